/** POST /ping: echo requests one after another through the node's own stack, each result a line of JSON. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ControlContext } from './control.ts'
import type { PingRequest } from './control-requests.ts'
import type { EchoResult, Network } from './network.ts'
import { PingStatistics, type PingSummary } from './ping-statistics.ts'

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
