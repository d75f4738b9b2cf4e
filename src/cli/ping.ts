/** `putnext ping`: echo requests through a node's own stack, told as ping(8) tells it. */
import type { EchoResult } from '../node/network.ts'
import { PingStatistics, type PingSummary } from '../node/ping-statistics.ts'
import type { CommandRun } from './command.ts'
import { EXIT_DONE, EXIT_FAILED } from './exit-codes.ts'
import { nodeClient } from './node-target.ts'

const ICMP_HEADER_BYTES = 8
const DEFAULT_BYTES = 56

export const ping: CommandRun = async invocation => {
  const { args, out, signal } = invocation
  const address = args.required('ADDRESS')
  const options = {
    count: args.number('count'),
    intervalMs: args.number('interval'),
    bytes: args.number('size'),
    timeoutMs: args.number('timeout'),
    ttl: args.number('ttl'),
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const results: EchoResult[] = []
  const statistics = new PingStatistics(address)
  out.line(`PING ${address} from ${args.required('NODE')}: ${options.bytes ?? DEFAULT_BYTES} data bytes`)
  try {
    for await (const line of nodeClient(invocation).ping({ address, ...given }, signal)) {
      if (line.kind === 'summary') break
      statistics.add(line)
      results.push(line)
      out.line(resultText(line))
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  const summary = statistics.summary()
  out.report({ results, summary }, `\n${summaryText(summary)}`)
  return summary.received > 0 ? EXIT_DONE : EXIT_FAILED
}

/** One result as a line. */
export function resultText(result: EchoResult): string {
  const sequence = `icmp_seq=${result.sequence}`
  if (result.kind === 'timeout') return `no answer: ${sequence}`
  if (result.kind === 'error') return `${result.reason}: ${sequence}`
  const { from, bytes, ttl, milliseconds } = result
  return `${bytes + ICMP_HEADER_BYTES} bytes from ${from}: ${sequence} ttl=${ttl} time=${milliseconds.toFixed(3)} ms`
}

export function summaryText(summary: PingSummary): string {
  const { address, sent, received, lossPercent, rtt } = summary
  const head = `--- ${address} ping statistics ---\n${sent} packets transmitted, ${received} received, ${lossPercent}% packet loss`
  if (rtt === null) return head
  const times = [rtt.min, rtt.avg, rtt.max, rtt.mdev].map(ms => ms.toFixed(3)).join('/')
  return `${head}\nrtt min/avg/max/mdev = ${times} ms`
}
