/** A UDP endpoint of a node as the control port uses it: datagrams as bytes, copied at the edge. */
import { StackError } from '../base/errors.ts'
import { formatAddress } from '../inet/address.ts'
import { REMOTE_PORT } from '../inet/unitdata.ts'
import { destination, remoteOf, UdpEndpoint } from '../socket/endpoint.ts'
import { freemsg, type Mblk, messageBytes, messageFrom, type Runtime, readMessage } from '../streams/index.ts'
import type { Datagram, DatagramEndpoint, DatagramOptions } from './network.ts'

/**
 * @param onClosed - called when the endpoint was closed
 * @throws StackError `ERR_ADDR_IN_USE`, `ERR_ADDR_NOT_AVAILABLE`, `ERR_BAD_ADDRESS`
 */
export function openDatagramEndpoint(
  runtime: Runtime,
  options: DatagramOptions,
  onClosed: () => void,
): DatagramEndpoint {
  const { family, port = 0, address, connect } = options
  const bind = address === undefined ? { port } : { address, port }
  const opened = UdpEndpoint.open(
    runtime,
    { family, bind, ...(connect === undefined ? {} : { connect }) },
    'nc',
  )
  return new EdgeEndpoint(opened, onClosed)
}

class EdgeEndpoint implements DatagramEndpoint {
  onDatagram: ((datagram: Datagram) => void) | null = null
  onError: ((error: Error) => void) | null = null
  private readonly endpoint: UdpEndpoint
  private readonly onClosed: () => void
  private readonly waiting: (() => void)[] = []

  constructor(endpoint: UdpEndpoint, onClosed: () => void) {
    this.endpoint = endpoint
    this.onClosed = onClosed
    endpoint.onMessage = mp => this.receive(mp)
    endpoint.onError = ({ error }) => this.onError?.(error)
    endpoint.onWritable = () => {
      for (const resume of this.waiting.splice(0)) resume()
    }
  }

  get port(): number {
    return this.endpoint.names.local?.port ?? 0
  }

  private receive(mp: Mblk): void {
    const data = new Uint8Array(mp.cont === null ? 0 : messageBytes(mp.cont))
    if (mp.cont !== null) readMessage(mp.cont, 0, data, 0, data.length, 'edge')
    const port = mp.dblk.arena.words[(mp.rptr >> 2) + REMOTE_PORT]!
    const from = formatAddress(remoteOf(mp))
    freemsg(mp)
    this.onDatagram?.({ from, port, data })
  }

  async send(data: Uint8Array, peer: { address: string; port: number } | null): Promise<void> {
    const to = peer === null ? null : destination(peer.address, peer.port)
    const { arena } = this.endpoint.stream.runtime
    const mp = messageFrom(arena, data, 0, data.length, 'edge')
    if (mp === null) throw new StackError('ERR_NO_BUFFERS', 'no block left for a datagram')
    while (!this.endpoint.sendTo(mp, to)) {
      await new Promise<void>(resolve => this.waiting.push(resolve))
      if (this.endpoint.stream.isClosed) return freemsg(mp)
    }
  }

  close(): void {
    this.endpoint.close()
    for (const resume of this.waiting.splice(0)) resume()
    this.onClosed()
  }
}
