/** `putnext bench`: runs a measurement and tells its report. */
import type { Requirement } from '../bench/requirements.ts'
import type { Summary } from '../bench/statistics.ts'
import type { UdpReport } from '../bench/udp.ts'
import type { CommandRun, Invocation } from './command.ts'
import { EXIT_CHECK_FAILED, EXIT_DONE } from './exit-codes.ts'
import type { Output } from './output.ts'

/** What every report has. */
interface Report {
  readonly requirements: readonly Requirement[]
  readonly warnings: readonly string[]
}

export const benchUdp: CommandRun = async invocation => {
  const { run } = await import('../bench/udp.ts')
  const { args, out, signal } = invocation
  const report = await run({
    ...numbers(invocation, ['rounds', 'seconds', 'bytes', 'window', 'pings']),
    family: args.flag('ipv6') ? 6 : 4,
    inproc: args.flag('inproc'),
    signal,
    onProgress: text => out.progress(text),
  })
  return tell(invocation, report, udpText(report))
}

/** The options that were given, by name. */
function numbers({ args }: Invocation, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    names.flatMap(name => {
      const value = args.number(name)
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

function tell({ args, out }: Invocation, report: Report, text: string): number {
  out.progressDone()
  const { requirements, warnings } = report
  out.report(report, [text, ...requirements.map(one => requirementText(out, one))].join('\n'))
  for (const warning of warnings) out.warn(warning)
  const short = requirements.some(({ verdict }) => verdict === 'missed')
  return short && args.flag('check') ? EXIT_CHECK_FAILED : EXIT_DONE
}

const figure = (value: number): string =>
  value >= 1_000 ? Math.round(value).toLocaleString('en') : String(Math.round(value * 100) / 100)

const summaryText = ({ median, min, max }: Summary): string =>
  `${figure(median).padStart(10)}   (${figure(min)} to ${figure(max)})`

function requirementText(out: Output, { name, limit, unit, measured, verdict }: Requirement): string {
  const bound = 'atLeast' in limit ? `at least ${figure(limit.atLeast)}` : `at most ${figure(limit.atMost)}`
  const color = verdict === 'held' ? 'green' : verdict === 'missed' ? 'red' : 'yellow'
  return `${out.style(color, verdict.padEnd(9))} ${name}: ${figure(measured)} ${unit} (${bound})`
}

function udpText(report: UdpReport): string {
  const { machine, rounds, seconds, bytes, window } = report
  const head = `${machine.processor}, ${machine.processors} processors, Linux ${machine.kernel}, Node ${machine.node}
${rounds} rounds of ${seconds} s; datagrams of ${bytes} bytes, ${window} in flight; medians, and the range over the rounds
`
  if (report.mode === 'inproc')
    return `${head}
in a window, datagrams/s   ${summaryText(report.windowPerSecond)}
in turns, p50 µs           ${summaryText(report.pingpongP50Us)}
in turns, p99 µs           ${summaryText(report.pingpongP99Us)}
`
  const rows = report.candidates.map(({ title, windowPerSecond, pingpongP50Us, pingpongP99Us, lost }) =>
    [
      title,
      `  in a window, datagrams/s ${summaryText(windowPerSecond)}`,
      `  in turns, p50 µs         ${summaryText(pingpongP50Us)}`,
      `  in turns, p99 µs         ${summaryText(pingpongP99Us)}`,
      ...(lost === 0 ? [] : [`  lost: ${lost}`]),
    ].join('\n'),
  )
  return `${head}\n${rows.join('\n')}\n`
}
