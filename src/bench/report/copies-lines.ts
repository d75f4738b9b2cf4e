/** The figures of `bench copies` that are lines over an axis: sizes of messages, and numbers of modules. */
import {
  COPIES_FIGURES,
  type CopiesLine,
  type CopiesResult,
  type CopiesSeries,
  type CopiesSeriesId,
} from '../copies-result.ts'
import { compareCommon, fitLine, judge, type Ratio } from '../statistics.ts'
import { styleAt } from './arm-style.ts'
import { bytesText } from './axis.ts'
import { armLabel, armName, armStyle, PANELS } from './copies-arms.ts'
import {
  crossoverSay,
  listText,
  modulesSay,
  orderText,
  timesText,
  titlesOf,
  upper,
  valueText,
} from './copies-words.ts'
import type { Cell, Figure, Table } from './figure.ts'
import { linePlot, type Panel, type Series } from './line-plot.ts'
import { digits, narrowRange } from './numbers.ts'

const seriesOf = (
  { series }: CopiesResult,
  id: CopiesSeriesId | 'copied-by-size',
): CopiesSeries | undefined =>
  series.find(one => one.id === id && one.lines.some(({ points }) => points.length > 0))

/** JSON has no infinity: a time per byte where none arrived is null there. */
const numberOr = (value: number | null, other: number): number =>
  value !== null && Number.isFinite(value) ? value : other

const drawn = ({ id, points }: CopiesLine, label: string, style = armStyle(id)): Series => ({
  label,
  style,
  points: points
    .filter(({ y }) => Number.isFinite(y.median))
    .map(({ x, y: { median, min, max } }) => ({
      x,
      median,
      min: numberOr(min, median),
      max: numberOr(max, median),
    })),
})

/** Of some sizes a busy machine takes fewer rounds. */
function roundsOf({ lines }: CopiesSeries, rounds: number): string {
  const least = Math.min(rounds, ...lines.flatMap(({ points }) => points.map(({ y }) => y.samples.length)))
  return least === rounds ? `${rounds} rounds` : `${least} to ${rounds} rounds`
}

/** Rows are lines, columns are values of x. */
function seriesTable(series: CopiesSeries, rounds: number): Table {
  const { title, figure: name, x, lines } = series
  const xs = [...new Set(lines.flatMap(({ points }) => points.map(point => point.x)))].sort((a, b) => a - b)
  const cell = ({ points }: CopiesLine, at: number): Cell => {
    const found = points.find(point => point.x === at)?.y
    if (found === undefined) return ''
    return {
      value: digits(found.median),
      range: found.min === found.max ? '' : narrowRange(found.min, found.max),
    }
  }
  return {
    caption: `${upper(title)} (${COPIES_FIGURES[name].unit}): medians and ranges of ${roundsOf(series, rounds)}`,
    head: ['', ...xs.map(at => (x.scale === 'log' ? bytesText(at) : digits(at)))],
    rows: lines.map(line => [armLabel(line.id, line.title), ...xs.map(at => cell(line, at))]),
  }
}

const axisTitle = ({ figure: name }: CopiesSeries): string => {
  const { title, unit } = COPIES_FIGURES[name]
  return `${upper(title)}, ${unit}`
}

/** Throughput, processor time or copies against the size of a message: a panel for each question. */
export function bySizeFigure(
  result: CopiesResult,
  id: 'throughput-by-size' | 'cpu-by-size' | 'copied-by-size',
): Figure | null {
  const series = seriesOf(result, id)
  if (series === undefined) return null
  const { title } = series
  const panels: Panel[] = PANELS.flatMap(panel => {
    const lines = panel.ids.flatMap(arm => series.lines.filter(line => line.id === arm))
    // A panel compares: one line alone says nothing.
    return lines.length < 2
      ? []
      : [{ title: panel.title, series: lines.map(line => drawn(line, armLabel(line.id, line.title))) }]
  })
  const isCount = id === 'copied-by-size'
  const says = isCount ? endsSay(series) : sizesSay(result, series)
  const description = `${says.join(' ')} The same axes in each panel; lines are named at their ends.`
  const y = { title: axisTitle(series), kind: isCount ? 'linear' : 'log' } as const
  const x = { title: series.x.title, kind: 'size' } as const
  const plots = panels.length === 0 ? [] : [linePlot({ id, title, description, panels, x, y })]
  return { id, title: upper(title), says, plots, tables: [seriesTable(series, result.rounds)] }
}

/** What each line is at its ends. */
function endsSay({ lines, figure }: CopiesSeries): string[] {
  const { unit } = COPIES_FIGURES[figure]
  return lines.flatMap(({ id, title, points }) => {
    const [first, last] = [points[0], points.at(-1)]
    if (first === undefined || last === undefined) return []
    const ends = [first, last].map(({ x, y }) => `${valueText(y, unit)} at ${bytesText(x)}`)
    return [`${armLabel(id, title)}: ${[...new Set(ends)].join(', ')}.`]
  })
}

/** The steps of the experiment, at every size: where one side wins, and by how much at the ends. */
function sizesSay(result: CopiesResult, { lines, figure }: CopiesSeries): string[] {
  const { better } = COPIES_FIGURES[figure]
  const titles = titlesOf(result)
  return result.comparisons.flatMap(({ arm, against }) => {
    const points = lines.find(({ id }) => id === arm)?.points ?? []
    const others = lines.find(({ id }) => id === against)?.points ?? []
    const met = points.flatMap(({ x, y }) => {
      const other = others.find(point => point.x === x)?.y
      if (other === undefined) return []
      const ratio = compareCommon(y.samples, other.samples)
      return [{ x, ratio, order: orderOf(ratio, better) }]
    })
    const [first, last] = [met[0], met.at(-1)]
    if (first === undefined || last === undefined) return []
    const ends =
      first === last
        ? `${timesText(first.ratio)} at ${bytesText(first.x)}`
        : `${timesText(first.ratio)} at ${bytesText(first.x)}, ${timesText(last.ratio)} at ${bytesText(last.x)}`
    return [`${armName(arm, titles)} over ${armName(against, titles)}: ${ends}; ${ordersText(met)}.`]
  })
}

function orderOf({ samples }: Ratio, better: 'more' | 'less'): Order {
  const verdict = judge(samples, better === 'more' ? { atLeast: 1 } : { atMost: 1 })
  return verdict === 'held' ? 'better' : verdict === 'missed' ? 'worse' : 'unclear'
}

type Order = 'better' | 'worse' | 'unclear'

/** `better in every round, at every size`, or size by size. */
function ordersText(
  met: readonly { readonly x: number; readonly ratio: Ratio; readonly order: Order }[],
): string {
  const found = new Map<string, string[]>()
  for (const order of ['better', 'worse', 'unclear'] as const) {
    for (const { x, ratio } of met.filter(one => one.order === order)) {
      const told = order === 'unclear' ? orderText(order, ratio.samples.length) : `${order} in every round`
      found.set(told, [...(found.get(told) ?? []), bytesText(x)])
    }
  }
  return [...found]
    .map(([told, sizes]) =>
      sizes.length < met.length || sizes.length === 1
        ? `at ${listText(sizes)} ${told}`
        : `${told}, at every size`,
    )
    .join('; ')
}

/** A write that copies beside one that does not, with the stretch in which one overtakes the other. */
export function byEdgeFigure(result: CopiesResult): Figure | null {
  const found = (['edge-cpu-by-size', 'edge-throughput-by-size'] as const).flatMap(
    id => seriesOf(result, id) ?? [],
  )
  if (found.length === 0) return null
  const id = 'crossover'
  const title = 'Where copying wins, and where it does not'
  const says = crossoverSay(result)
  const band = bandOf(result)
  const plots = found.map(series => {
    const lines = series.lines.map(line => drawn(line, line.title))
    const panel = { series: lines, ...(band === null ? {} : { band }) }
    const x = { title: series.x.title, kind: 'size' } as const
    const y = { title: axisTitle(series), kind: 'log' } as const
    const named = { id: series.id, title: upper(series.title), description: says.join(' ') }
    return linePlot({ ...named, panels: [panel], x, y })
  })
  return {
    id,
    title,
    says,
    plots,
    tables: [...found.map(series => seriesTable(series, result.rounds)), ...crossoverTable(result)],
  }
}

function bandOf({ crossover }: CopiesResult): NonNullable<Panel['band']> | null {
  if (crossover === null) return null
  const { bytes, copyWinsUpTo } = crossover
  if (bytes === null && copyWinsUpTo === null) return null
  return {
    from: copyWinsUpTo ?? bytes!,
    to: bytes ?? copyWinsUpTo!,
    before: copyWinsUpTo === null ? '' : '← copying wins',
    after: bytes === null ? '' : 'not copying wins →',
  }
}

function crossoverTable({ crossover }: CopiesResult): Table[] {
  if (crossover === null) return []
  return [
    {
      caption: 'Time per byte with a copy over time per byte without, by round: medians and ranges',
      head: ['size of a message', 'ratio', 'a write that does not copy is'],
      rows: crossover.ratios.map(({ bytes, ratio, verdict }) => [
        bytesText(bytes),
        { value: `${digits(ratio.medianOfRatios)} ×`, range: narrowRange(ratio.min, ratio.max) },
        verdict === 'unclear' ? 'cannot tell' : verdict,
      ]),
    },
  ]
}

export function modulesFigure(result: CopiesResult): Figure | null {
  const series = seriesOf(result, 'modules')
  const points = series?.lines[0]?.points ?? []
  if (series === undefined || points.length < 2) return null
  const title = 'What a module in the way costs'
  const says = modulesSay(result)
  const fit = fitLine(
    points.map(({ x }) => x),
    points.map(({ y }) => y.median),
  )
  const panel: Panel = {
    series: series.lines.map(line => drawn(line, line.title, { ...styleAt(0), dash: '0 1000' })),
    fit: { ...fit, label: `${digits(fit.slope)} ns a module` },
  }
  const description = `${says.join(' ')} Points with their ranges, and a straight line through the medians.`
  const x = { title: series.x.title, kind: 'count' } as const
  const y = { title: 'Nanoseconds a message', kind: 'linear' } as const
  return {
    id: 'modules',
    title,
    says,
    plots: [linePlot({ id: 'modules', title, description, panels: [panel], x, y })],
    tables: [seriesTable(series, result.rounds)],
  }
}
