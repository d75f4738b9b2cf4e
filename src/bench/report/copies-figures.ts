/** The figures of `bench copies`: which part of the result each is drawn from. What was not measured has no figure. */
import { COPIES_FIGURES, type CopiesArm, type CopiesFigure, type CopiesResult } from '../copies-result.ts'
import type { Summary } from '../statistics.ts'
import { bytesText } from './axis.ts'
import { barPlot } from './bar-plot.ts'
import { armLabel, armName, armStyle, GROUP_STARTS } from './copies-arms.ts'
import { byEdgeFigure, bySizeFigure, modulesFigure } from './copies-lines.ts'
import {
  comparisonSay,
  copiedSay,
  extremesSay,
  listText,
  operationsSay,
  throughputSay,
  titlesOf,
  upper,
} from './copies-words.ts'
import { type DotRow, dotPlot } from './dot-plot.ts'
import type { Cell, Figure, Table } from './figure.ts'
import { digits, narrowRange } from './numbers.ts'

export function copiesFigures(result: CopiesResult): Figure[] {
  return [
    throughputFigure(result),
    stepsFigure(result),
    bySizeFigure(result, 'throughput-by-size'),
    bySizeFigure(result, 'cpu-by-size'),
    byEdgeFigure(result),
    copiedFigure(result),
    bySizeFigure(result, 'copied-by-size'),
    modulesFigure(result),
    operationsFigure(result),
    latencyFigure(result),
    heapFigure(result),
    syscallsFigure(result),
  ].filter(made => made !== null)
}

/** A value with its range, for a table. */
export const cellOf = (summary: Summary | undefined): Cell =>
  summary === undefined
    ? ''
    : {
        value: digits(summary.median),
        range: summary.min === summary.max ? '' : narrowRange(summary.min, summary.max),
      }

export const unitTitle = (name: CopiesFigure): string =>
  `${COPIES_FIGURES[name].title}, ${COPIES_FIGURES[name].unit}`

const having = ({ arms }: CopiesResult, name: CopiesFigure): CopiesArm[] =>
  arms.filter(({ figures }) => Number.isFinite(figures[name]?.median))

function armRow({ id, title, figures }: CopiesArm, names: readonly CopiesFigure[]): DotRow {
  return {
    label: armLabel(id, title),
    style: armStyle(id),
    values: names.map(name => figures[name] ?? { median: Number.NaN, samples: [] }),
    apart: GROUP_STARTS.includes(id),
  }
}

function armTable(caption: string, arms: readonly CopiesArm[], names: readonly CopiesFigure[]): Table {
  return {
    caption,
    head: ['arm', ...names.map(unitTitle)],
    rows: arms.map(({ id, title, figures }) => [
      armLabel(id, title),
      ...names.map(name => cellOf(figures[name])),
    ]),
  }
}

const ROUNDS_NOTE = 'Each dot is a round, the mark is the median, the line is the range.'

function throughputFigure(result: CopiesResult): Figure | null {
  const arms = having(result, 'gbitPerSecond')
  if (arms.length === 0) return null
  const id = 'throughput'
  const title = `Throughput with messages of ${bytesText(result.messageBytes)}`
  const says = throughputSay(result)
  const axis = unitTitle('gbitPerSecond')
  const rows = arms.map(arm => armRow(arm, ['gbitPerSecond']))
  return {
    id,
    title,
    says,
    plots: [dotPlot({ id, title, description: [...says, ROUNDS_NOTE].join(' '), axis, rows })],
    tables: [
      armTable(`${title}, and what it takes: medians and ranges of ${result.rounds} rounds`, arms, [
        'gbitPerSecond',
        'cpuNsPerByte',
        'userNsPerByte',
      ]),
    ],
  }
}

function stepsFigure(result: CopiesResult): Figure | null {
  const { comparisons } = result
  if (comparisons.length === 0) return null
  const id = 'steps'
  const title = 'What each step is worth'
  const titles = titlesOf(result)
  const pair = (arm: string, against: string): string =>
    `${armName(arm, titles)} over ${armName(against, titles)}`
  const rows = comparisons.map(({ arm, against, step, ratio }) => ({
    label: `${pair(arm, against)}: ${step}`,
    style: armStyle(arm),
    values: [{ median: ratio.medianOfRatios, samples: ratio.samples }],
  }))
  const axis = 'throughput of the first over the second, in the same round'
  const says = comparisons.map(one => comparisonSay(one, result))
  const description = `${says.join(' ')} A step is decided where all dots are on one side of 1.`
  return {
    id,
    title,
    says,
    plots: [dotPlot({ id, title, description, axis, rows, ratio: { below: 'slower', above: 'faster' } })],
    tables: [
      {
        caption: `${title}: ratios by round, their medians and ranges`,
        head: ['step', 'throughput', 'verdict', 'processor time per byte, outside the kernel'],
        rows: comparisons.map(({ arm, against, step, ratio, verdict, user }) => [
          `${pair(arm, against)}: ${step}`,
          { value: `${digits(ratio.medianOfRatios)} ×`, range: narrowRange(ratio.min, ratio.max) },
          verdict === 'unclear' ? 'cannot tell' : verdict,
          user === null
            ? ''
            : { value: `${digits(user.medianOfRatios)} ×`, range: narrowRange(user.min, user.max) },
        ]),
      },
    ],
  }
}

/** Every figure that counts copies, in the order in which they are told. */
const PLACES = (Object.keys(COPIES_FIGURES) as CopiesFigure[]).filter(name => name.startsWith('copied'))

/** Short enough to stand side by side above a plot. */
const PLACE_NAMES: Readonly<Record<string, string>> = {
  copiedStack: 'in the stack',
  copiedEdge: "at the program's edge",
  copiedIpc: 'by us at the IPC port',
  copiedIpcKernel: "by the IPC port's socket",
  copiedKernel: 'between stack and kernel',
}

function copiedFigure(result: CopiesResult): Figure | null {
  const places = PLACES.filter(name => having(result, name).length > 0)
  const arms = result.arms.filter(({ figures }) => places.some(place => figures[place] !== undefined))
  if (arms.length === 0) return null
  const id = 'copied'
  const title = 'Bytes copied for each byte delivered'
  const says = copiedSay(result)
  const rows = arms.map(arm => ({
    label: armLabel(arm.id, arm.title),
    values: places.map(place => arm.figures[place]?.median ?? 0),
  }))
  const parts = places.map(name => PLACE_NAMES[name] ?? COPIES_FIGURES[name].title)
  const description = says.join(' ')
  const axis = 'bytes copied per byte delivered'
  const table = armTable(`${title}, by place: medians and ranges`, arms, places)
  return {
    id,
    title,
    says,
    plots: [barPlot({ id, title, description, axis, parts, rows })],
    tables: [{ ...table, head: ['arm', ...parts] }],
  }
}

function operationsFigure(result: CopiesResult): Figure | null {
  const { operations } = result
  if (operations.length === 0) return null
  const id = 'operations'
  const title = 'What a call on a message costs'
  const says = operationsSay(result)
  const rows = operations.map(({ name, nanoseconds }) => ({ label: name, values: [nanoseconds] }))
  const description = [...says, ROUNDS_NOTE].join(' ')
  return {
    id,
    title,
    says,
    plots: [dotPlot({ id, title, description, axis: 'nanoseconds a call', rows })],
    tables: [
      {
        caption: `${title}: medians and ranges`,
        head: ['call', 'ns'],
        rows: operations.map(({ name, nanoseconds }) => [name, cellOf(nanoseconds)]),
      },
    ],
  }
}

function latencyFigure(result: CopiesResult): Figure | null {
  const arms = having(result, 'p50Us')
  if (arms.length === 0) return null
  const names = ['p50Us', 'p99Us', 'p999Us'] as const
  const id = 'latency'
  const title = 'Round trip of one byte'
  const says = names.flatMap(name => extremesSay(result, name))
  const rows = arms.map(arm => armRow(arm, names))
  const description = [...says, 'Marks are medians over the rounds, lines the ranges.'].join(' ')
  const plot = { id, title, description, axis: 'microseconds', rows, names: ['p50', 'p99', 'p99.9'] }
  return {
    id,
    title,
    says,
    plots: [dotPlot(plot)],
    tables: [armTable(`${title}: medians and ranges`, arms, names)],
  }
}

function heapFigure(result: CopiesResult): Figure | null {
  const arms = having(result, 'heapBytesPerGb')
  if (arms.length === 0) return null
  const names = ['heapBytesPerGb', 'gcPausesPerGb', 'gcPauseMaxMs'] as const
  const plotted = names.filter(name => having(result, name).length > 0)
  const title = 'The heap and its collector'
  const says = plotted.flatMap(name => extremesSay(result, name))
  const without = result.arms.filter(one => !arms.includes(one)).map(one => one.title)
  const none = without.length === 0 ? [] : [`No heap of JavaScript was counted for: ${listText(without)}.`]
  return {
    id: 'heap',
    title,
    says: [...says, ...none],
    plots: plotted.map(name => armPlot(result, name, `heap-${name}`)),
    tables: [armTable(`${title}: medians and ranges`, arms, names)],
  }
}

function syscallsFigure(result: CopiesResult): Figure | null {
  const arms = having(result, 'syscallsPerMb')
  if (arms.length === 0) return null
  return {
    id: 'syscalls',
    title: 'System calls',
    says: extremesSay(result, 'syscallsPerMb'),
    plots: [armPlot(result, 'syscallsPerMb', 'syscalls')],
    tables: [armTable('System calls: medians and ranges', arms, ['syscallsPerMb'])],
  }
}

/** One figure of every arm that has it. */
function armPlot(result: CopiesResult, name: CopiesFigure, id: string): string {
  const rows = having(result, name).map(arm => armRow(arm, [name]))
  const description = [...extremesSay(result, name), ROUNDS_NOTE].join(' ')
  return dotPlot({ id, title: upper(COPIES_FIGURES[name].title), description, axis: unitTitle(name), rows })
}
