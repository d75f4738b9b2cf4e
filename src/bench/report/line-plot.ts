/** Figures of one quantity over another: a panel or several small ones with the same axes, lines named at their ends. */
import { line as pathOf } from 'd3-shape'
import { type ArmStyle, mark } from './arm-style.ts'
import { type Axis, countAxis, linearAxis, logAxis, sizeAxis } from './axis.ts'
import { apart } from './labels.ts'
import { drawing, element, LINE_HEIGHT, line, textAt, textWidth, wrap } from './svg.ts'

export interface PlotPoint {
  readonly x: number
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface Series {
  /** Written at the end of its line; a line that is alone needs no name. */
  readonly label: string
  readonly style: ArmStyle
  /** Ascending by x. */
  readonly points: readonly PlotPoint[]
}

export interface Panel {
  /** Above it; none where there is one panel. */
  readonly title?: string
  readonly series: readonly Series[]
  /** A stretch of x that something is said of. */
  readonly band?: {
    readonly from: number
    readonly to: number
    /** What holds on the left and on the right of it; may be empty. */
    readonly before: string
    readonly after: string
  }
  /** A straight line through the points. */
  readonly fit?: { readonly slope: number; readonly intercept: number; readonly label: string }
}

export interface LinePlot {
  readonly id: string
  readonly title: string
  readonly description: string
  readonly panels: readonly Panel[]
  readonly x: { readonly title: string; readonly kind: 'size' | 'count' }
  readonly y: { readonly title: string; readonly kind: 'log' | 'linear' }
}

const WIDTH = 780
const LEFT = 46
/** Where no line is named. */
const RIGHT = 20
const GUTTER = 18
const LABEL_CHARACTERS = 17
const LABEL_WIDTH = LABEL_CHARACTERS * 7.5 + 16
const PANEL_HEIGHT = 210
const TITLE_HEIGHT = 26
/** Below a panel: ticks and what the axis means. */
const FOOT = 46

/** Whether any panel has lines to tell apart. */
const isNamed = ({ panels }: Pick<LinePlot, 'panels'>): boolean =>
  panels.some(({ series }) => series.length > 1)

interface Box {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

export function linePlot(plot: LinePlot): string {
  const { panels } = plot
  const columns = panels.length === 1 ? 1 : 2
  const rows = Math.ceil(panels.length / columns)
  const titleHeight = panels.some(({ title, band }) => (title ?? band) !== undefined) ? TITLE_HEIGHT : 10
  const rowHeight = titleHeight + (columns === 1 ? 280 : PANEL_HEIGHT) + FOOT
  const columnWidth = (WIDTH - GUTTER * (columns - 1)) / columns
  const head = 22
  const marks = [textAt(0, 12, plot.y.title, 'start', 'axis-title')]
  for (const [i, panel] of panels.entries()) {
    const left = (i % columns) * (columnWidth + GUTTER)
    const top = head + Math.floor(i / columns) * rowHeight + titleHeight
    const box = {
      left: left + LEFT,
      right: left + columnWidth - (isNamed(plot) ? LABEL_WIDTH : RIGHT),
      top,
      bottom: top + rowHeight - FOOT - titleHeight,
    }
    marks.push(panelMarks(plot, panel, box))
  }
  return drawing({ ...plot, width: WIDTH, height: head + rows * rowHeight, marks })
}

function panelMarks({ panels, x, y }: LinePlot, panel: Panel, box: Box): string {
  const all = panels.flatMap(({ series }) => series).flatMap(({ points }) => points)
  const xs = [...new Set(all.map(point => point.x))].sort((a, b) => a - b)
  const span = [box.left, box.right] as const
  const xAxis = x.kind === 'size' ? sizeAxis(xs, span) : countAxis(xs, span)
  const ys = all.flatMap(({ min, median, max }) => [min, median, max])
  const upwards = [box.bottom, box.top] as const
  const yAxis = y.kind === 'log' ? logAxis(ys, upwards) : linearAxis(ys, upwards)
  return element(
    'g',
    { class: 'panel' },
    ...(panel.title === undefined
      ? []
      : [textAt(box.left, box.top - 12, panel.title, 'start', 'panel-title')]),
    ...bandMarks(panel, box, xAxis),
    ...gridMarks(box, xAxis, yAxis),
    textAt((box.left + box.right) / 2, box.bottom + 36, x.title, 'middle', 'axis-title'),
    ...fitMarks(panel, xs, xAxis, yAxis),
    ...panel.series.flatMap(series => seriesMarks(series, xAxis, yAxis)),
    ...(isNamed({ panels }) ? endLabels(panel, box, xAxis, yAxis) : []),
  )
}

function gridMarks({ left, right, bottom }: Box, x: Axis, y: Axis): string[] {
  return [
    ...y.ticks.flatMap(({ at, text }) => [
      line(left, at, right, at, 'grid'),
      ...(text === '' ? [] : [textAt(left - 7, at + 4, text, 'end', 'tick')]),
    ]),
    line(left, bottom, right, bottom, 'axis'),
    ...x.ticks.flatMap(({ at, text }) => [
      line(at, bottom, at, bottom + (text === '' ? 3 : 5), 'axis'),
      ...(text === '' ? [] : [textAt(at, bottom + 18, text, 'middle', 'tick')]),
    ]),
  ]
}

function seriesMarks({ points, style }: Series, x: Axis, y: Axis): string[] {
  const path = pathOf<PlotPoint>(
    point => x.place(point.x),
    point => y.place(point.median),
  ).digits(1)(points)
  return [
    element('path', { d: path ?? '', class: `line t${style.tone}`, 'stroke-dasharray': style.dash }),
    ...points.flatMap(point => {
      const at = x.place(point.x)
      return [
        line(at, y.place(point.min), at, y.place(point.max), `whisker t${style.tone}`),
        mark(at, y.place(point.median), style),
      ]
    }),
  ]
}

function fitMarks({ fit }: Panel, xs: readonly number[], x: Axis, y: Axis): string[] {
  if (fit === undefined) return []
  const { slope, intercept, label } = fit
  const [from, to] = [xs[0]!, xs.at(-1)!]
  const at = (value: number): number => y.place(intercept + slope * value)
  const middle = from + (to - from) * 0.55
  return [
    line(x.place(from), at(from), x.place(to), at(to), 'fit'),
    textAt(x.place(middle) + 14, at(middle) + 22, label, 'start', 'note'),
  ]
}

/** A grey stretch, and above it what holds on its sides, where there is room to say so. */
function bandMarks({ band }: Panel, box: Box, x: Axis): string[] {
  if (band === undefined) return []
  const { before, after } = band
  const from = x.place(band.from)
  const width = Math.max(1.5, x.place(band.to) - from)
  const fitsBefore = before !== '' && from - 6 - textWidth(before) >= box.left
  const fitsAfter = after !== '' && from + width + 6 + textWidth(after) <= box.right
  return [
    element('rect', { x: from, y: box.top, width, height: box.bottom - box.top, class: 'band' }),
    ...(fitsBefore ? [textAt(from - 6, box.top - 6, before, 'end', 'note')] : []),
    ...(fitsAfter ? [textAt(from + width + 6, box.top - 6, after, 'start', 'note')] : []),
  ]
}

function endLabels({ series }: Panel, box: Box, x: Axis, y: Axis): string[] {
  const texts = series.map(({ label }) => wrap(label, LABEL_CHARACTERS))
  const ends = series.map(({ points }) => points.at(-1))
  const wanted = ends.map((end, i) => ({
    y: end === undefined ? box.bottom : y.place(end.median),
    lines: texts[i]!.length,
  }))
  const middles = apart(wanted, box.top - 4, box.bottom + 24)
  return series.flatMap(({ style }, i) => {
    const end = ends[i]
    if (end === undefined) return []
    const lines = texts[i]!
    const first = middles[i]! - ((lines.length - 1) * LINE_HEIGHT) / 2 + 4
    const startX = x.place(end.x) + 7
    return [
      line(startX, wanted[i]!.y, box.right + 18, middles[i]!, 'leader'),
      ...lines.map((text, at) =>
        textAt(box.right + 22, first + at * LINE_HEIGHT, text, 'start', `label t${style.tone}`),
      ),
    ]
  })
}
