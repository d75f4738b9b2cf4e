/** `putnext bench`: runs a measurement and tells its report. */
import { modulesReportText, tcpReportText, udpReportText } from '../bench/report-text.ts'
import type { Requirement } from '../bench/requirements.ts'
import type { CommandRun, Invocation } from './command.ts'
import { EXIT_CHECK_FAILED, EXIT_DONE } from './exit-codes.ts'

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
  return tell(invocation, report, udpReportText(report))
}

export const benchTcp: CommandRun = async invocation => {
  const { run } = await import('../bench/tcp.ts')
  const { args, out, signal } = invocation
  const report = await run({
    ...numbers(invocation, ['rounds', 'seconds']),
    only: args.list('SCENARIO'),
    signal,
    onProgress: text => out.progress(text),
  })
  return tell(invocation, report, tcpReportText(report))
}

export const benchRpc: CommandRun = async invocation => {
  const { run } = await import('../bench/rpc.ts')
  const { args, out, signal } = invocation
  const report = await run({
    ...numbers(invocation, ['rounds', 'seconds']),
    quick: args.flag('quick'),
    only: args.list('SCENARIO'),
    signal,
    onProgress: text => out.progress(text),
  })
  return tell(invocation, report, tcpReportText(report))
}

export const benchModules: CommandRun = async invocation => {
  const { run } = await import('../bench/modules.ts')
  const { out, signal } = invocation
  const given = numbers(invocation, ['rounds', 'seconds'])
  const report = await run({ ...given, signal, onProgress: text => out.progress(text) })
  return tell(invocation, report, modulesReportText(report))
}

export const benchCopies: CommandRun = async invocation => {
  const { run } = await import('../bench/copies.ts')
  const { copiesText } = await import('../bench/copies-text.ts')
  const { assertWritable, copiesPageOf, writePage } = await import('./bench-report.ts')
  const { args, out, signal } = invocation
  const to = args.string('output')
  if (to !== undefined) await assertWritable(to)
  const report = await run({
    ...numbers(invocation, ['rounds']),
    quick: args.flag('quick'),
    inproc: args.flag('inproc'),
    signal,
    onProgress: text => out.progress(text),
  })
  if (to !== undefined) await writePage(to, await copiesPageOf(report))
  const code = tell(invocation, report, copiesText(report))
  if (to !== undefined) out.note(`report: ${to}`)
  return code
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
  out.report(report, text)
  for (const warning of warnings) out.warn(warning)
  const short = requirements.some(({ verdict }) => verdict === 'missed')
  return short && args.flag('check') ? EXIT_CHECK_FAILED : EXIT_DONE
}
