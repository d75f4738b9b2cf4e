/** The result of `putnext bench copies` for people, in plain text; the page has more. */
import {
  COPIES_FIGURES,
  type CopiesCrossover,
  type CopiesFigure,
  type CopiesResult,
  type Order,
} from './copies-result.ts'
import { figure, machineText, rangeOf, requirementsText, summaryRow, table } from './report-text.ts'

/** Columns of the arms. */
const COLUMNS: readonly CopiesFigure[] = [
  'gbitPerSecond',
  'cpuNsPerByte',
  'copiedStack',
  'copiedIpc',
  'copiedIpcKernel',
  'syscallsPerMb',
  'p50Us',
  'p99Us',
]

const HEADS: Readonly<Partial<Record<CopiesFigure, string>>> = {
  gbitPerSecond: 'Gbit/s',
  cpuNsPerByte: 'cpu ns/byte',
  copiedStack: 'copies',
  copiedIpc: 'at the port',
  copiedIpcKernel: 'by its socket',
  syscallsPerMb: 'calls/MB',
  p50Us: 'p50 µs',
  p99Us: 'p99 µs',
}

const ORDER_TEXTS: Readonly<Record<Order, string>> = {
  faster: 'faster',
  slower: 'slower',
  unclear: 'cannot tell',
}

export function copiesText(result: CopiesResult): string {
  const { machine, rounds, seconds, messageBytes, mode, elapsedSeconds } = result
  const where =
    mode === 'tun' ? 'over TUN devices, the kernel at the other end' : 'two stacks of one process over a wire'
  const head =
    `${machineText(machine)}\n${rounds} rounds, loads of ${seconds} s, messages of ${messageBytes.toLocaleString('en')} bytes; ${where}; ` +
    `medians and ranges; ${Math.round(elapsedSeconds)} s in all`
  const parts = [head, armsText(result), stepsText(result), crossoverText(result), modulesText(result)]
  return [...parts, requirementsText(result.requirements), ...whyText(result)]
    .filter(part => part !== '')
    .join('\n\n')
}

function armsText({ arms, missing }: CopiesResult): string {
  const columns = COLUMNS.filter(name => arms.some(({ figures }) => figures[name] !== undefined))
  const rows = arms.map(({ id, title, figures }) => [
    `${id.padEnd(8)}${title}`,
    ...columns.map(name => figure(figures[name]?.median ?? Number.NaN)),
    figures.gbitPerSecond === undefined ? '' : rangeOf(figures.gbitPerSecond.min, figures.gbitPerSecond.max),
  ])
  const heads = columns.map(name => HEADS[name] ?? COPIES_FIGURES[name].title)
  const absent = missing.map(({ id, title, reason }) => `\n${id.padEnd(8)}${title}: ${reason}`)
  return table([['arm', ...heads, 'range Gbit/s'], ...rows]) + absent.join('')
}

const stepsText = ({ comparisons }: CopiesResult): string =>
  table([
    ['step', 'throughput', 'range', ''],
    ...comparisons.map(({ arm, against, step, ratio, verdict }) => [
      `${arm} over ${against}: ${step}`,
      figure(ratio.medianOfRatios),
      rangeOf(ratio.min, ratio.max),
      ORDER_TEXTS[verdict],
    ]),
  ])

function crossoverText({ crossover, chainCrossover }: CopiesResult): string {
  const block = (what: string, found: CopiesCrossover | null): string[][] =>
    found === null
      ? []
      : [
          [what, 'a copy costs', 'range', 'without'],
          ...found.ratios.map(({ bytes, ratio, verdict }) => [
            `  ${bytes.toLocaleString('en')} bytes`,
            `${figure(ratio.medianOfRatios)} times`,
            rangeOf(ratio.min, ratio.max),
            ORDER_TEXTS[verdict],
          ]),
        ]
  const rows = [
    ...block("writes at the program's edge", crossover),
    ...block('packets made contiguous (d), or chains (e)', chainCrossover),
  ]
  return rows.length === 0 ? '' : table(rows)
}

function modulesText({ moduleSlope, operations }: CopiesResult): string {
  if (moduleSlope === null) return ''
  return table([
    ['calls', 'ns', 'range'],
    summaryRow('a module in the way', moduleSlope),
    ...operations.map(({ name, nanoseconds }) => summaryRow(name, nanoseconds)),
  ])
}

const whyText = ({ requirements }: CopiesResult): string[] =>
  requirements.flatMap(({ name, why }) => (why === null ? [] : [`${name}: ${why}`]))
