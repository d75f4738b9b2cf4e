/** POST /ping: echo requests one after another through the node's own stack, each result a line of JSON. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ControlContext } from './control.ts'
import type { PingRequest } from './control-requests.ts'
import type { EchoResult, Network } from './network.ts'

/** What is left to say at the end, in the words of ping(8). */
export interface PingSummary {
  readonly kind: 'summary'
  readonly address: string
  readonly sent: number
  readonly received: number
  readonly lossPercent: number
  /** Round trip in milliseconds; null without a reply. */
  readonly rtt: {
    readonly min: number
    readonly avg: number
    readonly max: number
    readonly mdev: number
  } | null
}

/** Counts what came back. */
export class PingStatistics {
  private readonly address: string
  private sent = 0
  private readonly times: number[] = []

  constructor(address: string) {
    this.address = address
  }

  add(result: EchoResult): void {
    this.sent++
    if (result.kind === 'reply') this.times.push(result.milliseconds)
  }

  summary(): PingSummary {
    const { sent, times } = this
    const received = times.length
    const lossPercent = sent === 0 ? 0 : Math.round(((sent - received) / sent) * 1_000) / 10
    return { kind: 'summary', address: this.address, sent, received, lossPercent, rtt: roundTrips(times) }
  }
}

function roundTrips(times: readonly number[]): PingSummary['rtt'] {
  if (times.length === 0) return null
  const round = (ms: number): number => Math.round(ms * 1_000) / 1_000
  const avg = times.reduce((sum, ms) => sum + ms, 0) / times.length
  const squares = times.reduce((sum, ms) => sum + (ms - avg) ** 2, 0) / times.length
  return {
    min: round(Math.min(...times)),
    avg: round(avg),
    max: round(Math.max(...times)),
    mdev: round(Math.sqrt(squares)),
  }
}

/** Sends the requests and tells each result; ends early, with the statistics so far, when `signal` is aborted. */
export async function pingSeries(
  network: Network,
  request: PingRequest,
  signal: AbortSignal,
  tell: (line: EchoResult | PingSummary) => void,
): Promise<void> {
  const statistics = new PingStatistics(request.address)
  const { address, bytes, timeoutMs, ttl } = request
  for (let sequence = 1; sequence <= request.count && !signal.aborted; sequence++) {
    const began = performance.now()
    const result = await network.ping({
      address,
      sequence,
      bytes,
      timeoutMs,
      signal,
      ...(ttl === undefined ? {} : { ttl }),
    })
    // A request that nobody waited for to the end is no loss.
    if (signal.aborted && result.kind === 'timeout') break
    statistics.add(result)
    tell(result)
    const rest = request.intervalMs - (performance.now() - began)
    if (sequence < request.count && rest > 0) await delay(rest, undefined, { signal }).catch(() => {})
  }
  tell(statistics.summary())
}

export async function postPing({ node, body, response, signal }: ControlContext): Promise<void> {
  // The head goes out with the first result, so that a bad address still gets a status of its own.
  await pingSeries(node.network, body as PingRequest, signal, line => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    if (!response.destroyed) response.write(`${JSON.stringify(line)}\n`)
  })
}
