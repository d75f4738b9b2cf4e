/** Figures of one quantity by arm: each round a dot, the range a line, the median a mark, and its number. */
import { type ArmStyle, mark, styleAt } from './arm-style.ts'
import { type Axis, axisFor, logAxis, type Span } from './axis.ts'
import { digits } from './numbers.ts'
import { drawing, element, LINE_HEIGHT, line, textAt, textWidth, wrap } from './svg.ts'

/** One value with its rounds. */
export interface Dots {
  readonly median: number
  readonly samples: readonly number[]
}

export interface DotRow {
  readonly label: string
  readonly style?: ArmStyle
  /** One in most plots; several where a row has several quantities of the same unit. */
  readonly values: readonly Dots[]
  /** Begins a group: some room above. */
  readonly apart?: boolean
}

export interface DotPlot {
  readonly id: string
  readonly title: string
  readonly description: string
  /** What the axis means, with its unit. */
  readonly axis: string
  readonly rows: readonly DotRow[]
  /** Names of the values of a row, if it has several: written above those of the first. */
  readonly names?: readonly string[]
  /** Ratios: a log axis around 1, with words for what lies below and above it. */
  readonly ratio?: { readonly below: string; readonly above: string }
}

const WIDTH = 780
const ROW_PADDING = 9
const GROUP_GAP = 10
const HEAD = 8
/** For the names of values, or of the sides. */
const NAMES_HEAD = 28
const FOOT = 44
const GAP = 14
const LABEL_CHARACTERS = 42
const VALUE_HEIGHT = 5
/** Of a mark, where several stand in a row. */
const SMALL_AREA = 30
const NAME_FONT_SIZE = 11

interface PlacedRow extends DotRow {
  readonly lines: readonly string[]
  readonly number: string
  readonly index: number
  readonly y: number
}

/** With several values each has a shape of its own, and no numbers stand beside them: the table has those. */
export function dotPlot(plot: DotPlot): string {
  const { axis: title, names, ratio } = plot
  const several = names !== undefined
  const head = several || ratio !== undefined ? NAMES_HEAD : HEAD
  const { rows, bottom } = placedRows(plot, head)
  const left = Math.max(...rows.flatMap(({ lines }) => lines.map(text => textWidth(text)))) + GAP
  const right = WIDTH - Math.max(...rows.map(row => textWidth(row.number)), 20) - GAP
  const axis = axisOf(plot, [left + 4, right - 10])
  const marks = [
    ...axisMarks(axis, [left, right], head - 4, bottom, title),
    ...(ratio === undefined ? [] : sideMarks(ratio, axis, head - 4, bottom)),
    ...rows.flatMap(row => [...labelMarks(row, left - GAP), rowMarks(row, axis, several)]),
    ...(names === undefined ? [] : nameMarks(rows[0], names, axis, head - 14)),
  ]
  return drawing({ ...plot, width: WIDTH, height: bottom + FOOT, marks })
}

function placedRows({ rows, names, ratio }: DotPlot, head: number): { rows: PlacedRow[]; bottom: number } {
  let y = head
  const placed = rows.map((row, index) => {
    const lines = wrap(row.label, LABEL_CHARACTERS)
    const height = lines.length * LINE_HEIGHT + ROW_PADDING
    if (row.apart === true && index > 0) y += GROUP_GAP
    y += height
    const median = digits(row.values[0]?.median ?? Number.NaN)
    const number = names !== undefined ? '' : ratio === undefined ? median : `${median} ×`
    return { ...row, lines, number, index, y: y - height / 2 }
  })
  return { rows: placed, bottom: y + 4 }
}

function axisOf({ rows, ratio }: DotPlot, span: Span): Axis {
  const all = rows.flatMap(({ values }) => values.flatMap(({ median, samples }) => [median, ...samples]))
  const finite = all.filter(Number.isFinite)
  return ratio === undefined ? axisFor(finite, span) : logAxis([...finite, 0.5, 2], span)
}

function axisMarks(
  { ticks }: Axis,
  [left, right]: Span,
  top: number,
  bottom: number,
  title: string,
): string[] {
  return [
    ...ticks.flatMap(({ at, text }) => [
      line(at, top, at, bottom, 'grid'),
      ...(text === '' ? [] : [textAt(at, bottom + 16, text, 'middle', 'tick')]),
    ]),
    line(left, bottom, right, bottom, 'axis'),
    textAt((left + right) / 2, bottom + 36, title, 'middle', 'axis-title'),
  ]
}

/** The line of equality, and what its sides mean. */
function sideMarks(
  { below, above }: { below: string; above: string },
  axis: Axis,
  top: number,
  bottom: number,
): string[] {
  const one = axis.place(1)
  return [
    line(one, top - 6, one, bottom, 'equal'),
    textAt(one - 8, top - 4, `← ${below}`, 'end', 'tick'),
    textAt(one + 8, top - 4, `${above} →`, 'start', 'tick'),
  ]
}

function labelMarks({ lines, number, y, style }: PlacedRow, right: number): string[] {
  const first = y - ((lines.length - 1) * LINE_HEIGHT) / 2 + 4
  const tone = style === undefined ? '' : ` t${style.tone}`
  return [
    ...lines.map((text, i) => textAt(right, first + i * LINE_HEIGHT, text, 'end', `label${tone}`)),
    ...(number === '' ? [] : [textAt(WIDTH, y + 4, number, 'end', 'value')]),
  ]
}

function rowMarks({ values, style = styleAt(0), y }: PlacedRow, axis: Axis, several: boolean): string {
  const finite = values.filter(({ median }) => Number.isFinite(median))
  const marks = finite.flatMap(({ median, samples }, i) => {
    const own = several ? { ...styleAt(i), tone: style.tone } : style
    // Ranges of several values may lie over each other, so that each has a height of its own.
    const at = several ? y + (i - (finite.length - 1) / 2) * VALUE_HEIGHT : y
    const places = samples.filter(Number.isFinite).map(axis.place)
    const rounds = places.map(cx => element('circle', { cx, cy: y, r: 2.2, class: `round t${own.tone}` }))
    return [
      line(Math.min(...places), at, Math.max(...places), at, `whisker t${own.tone}`),
      ...(several ? [] : rounds),
      mark(axis.place(median), at, own, several ? SMALL_AREA : undefined),
    ]
  })
  return element('g', { class: 'row' }, ...marks)
}

/** Names above the marks of the first row, moved to the right where they would touch. */
function nameMarks(row: PlacedRow | undefined, names: readonly string[], axis: Axis, y: number): string[] {
  let free = 0
  return names.flatMap((name, i) => {
    const median = row?.values[i]?.median
    if (row === undefined || median === undefined || !Number.isFinite(median)) return []
    const half = textWidth(name, NAME_FONT_SIZE) / 2
    const at = Math.max(axis.place(median), free + half)
    free = at + half + 6
    return [line(axis.place(median), row.y - 6, at, y + 4, 'leader'), textAt(at, y, name, 'middle', 'tick')]
  })
}
