/** Reports for people: tables in plain text. What a program reads are the reports themselves. */
import type { HeapGrowth } from './heap.ts'
import type { Machine } from './machine.ts'
import type { ModulesReport } from './modules.ts'
import type { Requirement } from './requirements.ts'
import type { Ratio, Summary, Verdict } from './statistics.ts'
import type { TcpReport } from './tcp-report.ts'
import type { UdpReport } from './udp.ts'
import type { UdpInprocReport } from './udp-inproc.ts'
import type { NodeCount, UdpNamespaceReport } from './udp-report.ts'

/** `760,000`, `12.3`, `0.61`: as many digits as tell something. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-'
  const size = Math.abs(value)
  if (size >= 1_000) return Math.round(value).toLocaleString('en')
  return String(Number(value.toFixed(size >= 10 ? 1 : size >= 0.1 ? 2 : 4)))
}

export const rangeOf = (min: number, max: number): string => `${figure(min)} to ${figure(max)}`

/** Columns as wide as they must be; the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows)
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')
  return rows.map(row => line(row).trimEnd()).join('\n')
}

export const summaryRow = (name: string, { median, min, max }: Summary): string[] => [
  name,
  figure(median),
  rangeOf(min, max),
]

export const machineText = ({ processor, processors, kernel, node, putnext, load }: Machine): string =>
  `${processor}, ${processors} processors, Linux ${kernel}, Node ${node}, putnext ${putnext}, load ${load.toFixed(1)}`

const VERDICT_TEXTS: Readonly<Record<Verdict, string>> = {
  held: 'held',
  missed: 'MISSED',
  unclear: 'cannot tell',
}

/** One line for each, with the limit and what was measured. */
export function requirementsText(requirements: readonly Requirement[]): string {
  const rows = requirements.map(({ name, limit, unit, measured, range, verdict }) => [
    name,
    `${figure(measured)} ${unit}`,
    range === null ? '' : rangeOf(range[0], range[1]),
    'atLeast' in limit ? `at least ${figure(limit.atLeast)}` : `at most ${figure(limit.atMost)}`,
    VERDICT_TEXTS[verdict],
  ])
  return table([['required', 'measured', 'range', 'limit', 'verdict'], ...rows])
}

/** What the command prints for a person. */
export function udpReportText(report: UdpReport): string {
  const { machine, rounds, seconds, bytes, window, family, requirements } = report
  const head =
    `${machineText(machine)}\n` +
    `${rounds} rounds of ${seconds} s each load; UDP over IPv${family}, ${bytes} bytes, ${window} in flight; medians and ranges`
  const body = report.mode === 'inproc' ? inprocText(report) : namespacesText(report)
  return [head, body, requirementsText(requirements)].join('\n\n')
}

/** What the command prints for a person. */
export function tcpReportText(report: TcpReport): string {
  const { machine, rounds, seconds, placement, scenarios, requirements } = report
  const head = `${machineText(machine)}\n${rounds} rounds, loads of ${seconds} s; medians and ranges; ${placement}`
  const bodies = scenarios.map(({ name, title, arms, ratios }) => {
    const measured = arms.flatMap(arm =>
      Object.entries(arm.figures).map(([what, { median, min, max }]) => [
        arm.title,
        what,
        figure(median),
        rangeOf(min, max),
      ]),
    )
    const compared = ratios.map(({ figure: what, arm, against, ratio }) => [
      `${arm} over ${against}`,
      `${what}: times`,
      figure(ratio.medianOfRatios),
      rangeOf(ratio.min, ratio.max),
    ])
    return `${name}: ${title}\n${table([['', '', 'median', 'range'], ...measured, ...compared])}`
  })
  return [head, ...bodies, requirementsText(requirements)].join('\n\n')
}

function inprocText(report: UdpInprocReport): string {
  const heap = report.heap.map(({ allocatedPerPacket }) => allocatedPerPacket)
  return table([
    ['two stacks in one process', 'median', 'range'],
    summaryRow('in a window, datagrams/s', report.windowPerSecond),
    summaryRow('in turns, p50 µs', report.pingpongP50Us),
    summaryRow('in turns, p99 µs', report.pingpongP99Us),
    ['heap allocated, bytes a datagram', '', rangeOf(Math.min(...heap), Math.max(...heap))],
  ])
}

function namespacesText(report: UdpNamespaceReport): string {
  const { candidates, ratios, lingeringRatios, counted, steady } = report
  const rows = candidates.flatMap(({ title, lost, ...one }) => [
    [title, 'median', 'range'],
    summaryRow('  in a window, datagrams/s', one.windowPerSecond),
    summaryRow('  in turns, p50 µs', one.pingpongP50Us),
    summaryRow('  in turns, p99 µs', one.pingpongP99Us),
    summaryRow('  in turns, p99.9 µs', one.pingpongP999Us),
    ['  lost', figure(lost), ''],
  ])
  const ratioRow = (name: string, ratio: Ratio): string[] => [
    name,
    figure(ratio.medianOfRatios),
    rangeOf(ratio.min, ratio.max),
    figure(ratio.ratioOfMedians),
  ]
  const ratioRows = [
    ['node against the ceiling', 'median of ratios', 'range', 'ratio of medians'],
    ratioRow('  in a window, rate', ratios.window),
    ratioRow('  in turns, p50', ratios.pingpongP50),
    ['node against C that lingers', '', '', ''],
    ratioRow('  in a window, rate', lingeringRatios.window),
    ratioRow('  in turns, p50', lingeringRatios.pingpongP50),
  ]
  return [table(rows), table(ratioRows), countedText({ ...counted, steady })].join('\n\n')
}

/** What the node counted of itself: copies by place, and its heap. */
function countedText(
  counted: Readonly<Record<'window' | 'pingpong' | 'steady', readonly NodeCount[]>>,
): string {
  const columns = [counted.window, counted.pingpong, counted.steady]
  const rows = [['inside the node, by datagram', 'window', 'in turns', 'in a row']]
  for (const place of ['stack', 'edge', 'kernel'] as const) {
    const calls = columns.map(counts =>
      rangeOrOne(counts.map(({ copies }) => copies.perDatagram[place].calls)),
    )
    rows.push([`  copies: ${place}`, ...calls])
  }
  const heapRow = (name: string, key: 'keptPerPacket' | 'allocatedPerPacket'): string[] => [
    name,
    ...columns.map(counts =>
      heapText(
        counts.map(({ heap }) => heap),
        key,
      ),
    ),
  ]
  rows.push(heapRow('  heap that stays, bytes', 'keptPerPacket'))
  rows.push(heapRow('  heap allocated, bytes', 'allocatedPerPacket'))
  return table(rows)
}

function rangeOrOne(values: readonly number[]): string {
  if (values.length === 0) return '-'
  const min = Math.min(...values)
  const max = Math.max(...values)
  return figure(min) === figure(max) ? figure(min) : rangeOf(min, max)
}

/** Where collections ran, what was allocated is more than what is seen. */
function heapText(growths: readonly HeapGrowth[], key: 'keptPerPacket' | 'allocatedPerPacket'): string {
  const more = key === 'allocatedPerPacket' && growths.some(({ collections }) => collections > 0)
  return `${more ? 'more than ' : ''}${rangeOrOne(growths.map(one => one[key]))}`
}

/** What the command prints for a person. */
export function modulesReportText(report: ModulesReport): string {
  const { machine, rounds, seconds, points, slope, operations, memory, requirements } = report
  const head = `${machineText(machine)}\n${rounds} rounds of ${seconds} s each point; nanoseconds, medians and ranges`
  const perMessage = table([
    ['a message through', 'ns', 'range'],
    ...points.map(({ modules, nanoseconds }) => summaryRow(`  ${modules} modules`, nanoseconds)),
    summaryRow('each module (slope)', slope),
  ])
  const calls = table([
    [`calls (bytes moved by: ${memory})`, 'ns', 'range'],
    ...operations.map(({ name, nanoseconds }) => summaryRow(`  ${name}`, nanoseconds)),
  ])
  return [head, perMessage, calls, requirementsText(requirements)].join('\n\n')
}
