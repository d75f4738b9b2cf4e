/** POST /iperf: a throughput test on the node's own stack, within its process, so that nothing but the stack is measured. */
import { StackError } from '../base/errors.ts'
import type { ControlContext } from './control.ts'
import type { IperfRequest } from './control-requests.ts'
import { runClient } from './iperf/client.ts'
import { DATAGRAM_HEADER_BYTES } from './iperf/datagram-header.ts'
import type { IperfLine } from './iperf/lines.ts'
import {
  DATAGRAM_BYTES_MAX,
  SECONDS_MAX,
  TCP_BLOCK_BYTES,
  TEST_SECONDS,
  type TestParameters,
  UDP_BITS_PER_SECOND,
  UDP_BLOCK_BYTES,
} from './iperf/parameters.ts'
import { IperfServer } from './iperf/server.ts'
import { TcpNetwork } from './iperf/tcp-network.ts'
import { portInUse } from './port-in-use.ts'

export async function postIperf({ node, body, response, signal }: ControlContext): Promise<void> {
  const request = body as IperfRequest
  const network = new TcpNetwork(node.runtime)
  // The head goes out with the first line, so that a test which cannot begin gets a status of its own.
  const tell = (line: IperfLine): void => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    if (!response.destroyed) response.write(`${JSON.stringify(line)}\n`)
  }
  try {
    if (request.role === 'client') {
      const { address, port, intervalSeconds, timeoutMs } = request
      const parameters = parametersOf(request)
      await runClient({ network, address, port, parameters, intervalSeconds, timeoutMs, tell }, signal)
    } else await serve(network, request, signal, tell)
  } catch (error) {
    throw request.role === 'server' ? portInUse(error, 'tcp', request.port, node.config.services) : error
  } finally {
    network.close()
  }
}

async function serve(
  network: TcpNetwork,
  request: Extract<IperfRequest, { role: 'server' }>,
  signal: AbortSignal,
  tell: (line: IperfLine) => void,
): Promise<void> {
  const { port, address, intervalSeconds, once } = request
  await new Promise<void>((resolve, reject) => {
    const place = address === undefined ? { port } : { port, address }
    IperfServer.start({ network, ...place, intervalSeconds, once, tell, onClosed: resolve }).then(server => {
      const stop = (): void => server.close()
      signal.addEventListener('abort', stop, { once: true })
      if (signal.aborted) stop()
    }, reject)
  })
}

/** @throws StackError `ERR_BAD_ARGUMENT` if more than one thing ends the test */
function parametersOf(request: Extract<IperfRequest, { role: 'client' }>): TestParameters {
  const { seconds, bytes, blocks, protocol } = request
  const isUdp = protocol === 'udp'
  const blockBytes = request.blockBytes ?? (isUdp ? UDP_BLOCK_BYTES : TCP_BLOCK_BYTES)
  if (isUdp && (blockBytes < DATAGRAM_HEADER_BYTES || blockBytes > DATAGRAM_BYTES_MAX))
    throw new StackError(
      'ERR_BAD_ARGUMENT',
      `a datagram has ${DATAGRAM_HEADER_BYTES} to ${DATAGRAM_BYTES_MAX} bytes`,
    )
  const ends = [seconds, bytes, blocks].filter(value => value !== undefined && value > 0)
  if (ends.length > 1) throw new StackError('ERR_BAD_ARGUMENT', 'give one of seconds, bytes and blocks')
  return {
    protocol,
    direction: request.direction,
    parallel: request.parallel,
    seconds: bytes === undefined && blocks === undefined ? Math.min(seconds ?? TEST_SECONDS, SECONDS_MAX) : 0,
    bytes: bytes ?? 0,
    blocks: blocks ?? 0,
    omitSeconds: request.omitSeconds,
    blockBytes,
    bitsPerSecond: request.bitsPerSecond ?? (isUdp ? UDP_BITS_PER_SECOND : 0),
    noDelay: request.noDelay,
    maxSegment: request.maxSegment,
    windowBytes: request.windowBytes,
    wideCounters: false,
  }
}
