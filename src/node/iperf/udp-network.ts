/** Datagrams of throughput tests on a node's own UDP: a header of our own in front of memory that all of them share. */
import { formatAddress } from '../../inet/address.ts'
import { REMOTE_PORT, SEGMENT_BYTES } from '../../inet/unitdata.ts'
import { type Destination, destination, remoteOf, UdpEndpoint } from '../../socket/endpoint.ts'
import { allocb, freemsg } from '../../streams/mblk/alloc.ts'
import { HEADROOM_BYTES } from '../../streams/mblk/arena.ts'
import { copyBytes } from '../../streams/mblk/copy.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { messageBytes } from '../../streams/mblk/message.ts'
import { readMessage } from '../../streams/mblk/pullup.ts'
import type { Runtime } from '../../streams/runtime.ts'
import type { PreparedBlock } from '../prepared-block.ts'
import type { DatagramFlow, DatagramListener, EndName } from './bulk.ts'
import { DATAGRAM_HEADER_BYTES } from './datagram-header.ts'

/** Peers of one listener: the streams of one test, both directions. */
const FLOWS_MAX = 256

/** Gives each datagram of a message, which may be many of one size, to `take`. @param mp - consumed */
function eachDatagram(mp: Mblk, head: Uint8Array, take: (head: Uint8Array, size: number) => void): void {
  const { cont } = mp
  const all = cont === null ? 0 : messageBytes(cont)
  const each = mp.dblk.arena.words[(mp.rptr >> 2) + SEGMENT_BYTES] || all
  for (let at = 0; cont !== null && at < all; at += each) {
    const size = Math.min(each, all - at)
    readMessage(cont, at, head, 0, Math.min(size, head.length), 'edge')
    take(head, size)
  }
  freemsg(mp)
}

class UdpFlow implements DatagramFlow {
  onDatagram: ((head: Uint8Array, size: number) => void) | null = null
  onWritable: (() => void) | null = null
  onError: ((error: Error) => void) | null = null
  readonly local: EndName
  readonly remote: EndName
  private readonly endpoint: UdpEndpoint
  private readonly block: PreparedBlock
  private readonly to: Destination | null
  private readonly onClose: () => void

  constructor(
    endpoint: UdpEndpoint,
    block: PreparedBlock,
    remote: EndName,
    connected: boolean,
    onClose: () => void,
  ) {
    this.endpoint = endpoint
    this.block = block
    this.remote = remote
    this.to = connected ? null : destination(remote.address, remote.port)
    this.local = endpoint.names.local ?? { address: '', port: 0 }
    this.onClose = onClose
  }

  send(head: Uint8Array, size: number): boolean {
    const { arena } = this.endpoint.stream.runtime
    const data = allocb(arena, DATAGRAM_HEADER_BYTES, HEADROOM_BYTES)
    if (data === null) return false
    const own = Math.min(size, head.length)
    copyBytes(arena, 'edge', data.dblk.bytes, data.wptr, head, 0, own)
    data.wptr += own
    if (size > own) data.cont = this.block.share(size - own)
    if ((size === own || data.cont !== null) && this.endpoint.sendTo(data, this.to)) return true
    freemsg(data)
    return false
  }

  close(): void {
    this.onDatagram = null
    this.onWritable = null
    this.onClose()
  }
}

/** @throws StackError */
export function openUdpFlow(
  runtime: Runtime,
  block: PreparedBlock,
  address: string,
  port: number,
): DatagramFlow {
  const family = address.includes(':') ? 6 : 4
  const endpoint = UdpEndpoint.open(
    runtime,
    { family, bind: { port: 0 }, connect: { address, port }, superDatagrams: true },
    'iperf',
  )
  const flow = new UdpFlow(endpoint, block, { address, port }, true, () => endpoint.close())
  const head = new Uint8Array(DATAGRAM_HEADER_BYTES)
  endpoint.onMessage = mp => eachDatagram(mp, head, (bytes, size) => flow.onDatagram?.(bytes, size))
  endpoint.onWritable = () => flow.onWritable?.()
  endpoint.onError = ({ error }) => flow.onError?.(error)
  return flow
}

/** @throws StackError `ERR_ADDR_IN_USE` */
export function listenForUdpFlows(
  runtime: Runtime,
  block: PreparedBlock,
  port: number,
  address: string | undefined,
): DatagramListener {
  const bind = address === undefined || address === '::' ? { port } : { port, address }
  const endpoint = UdpEndpoint.open(runtime, { bind, superDatagrams: true }, 'iperf')
  const flows = new Map<string, UdpFlow>()
  const listener: DatagramListener = { onFlow: null, close: () => endpoint.close() }
  const head = new Uint8Array(DATAGRAM_HEADER_BYTES)
  const flowOf = (mp: Mblk): UdpFlow | null => {
    const remote = {
      address: formatAddress(remoteOf(mp)),
      port: mp.dblk.arena.words[(mp.rptr >> 2) + REMOTE_PORT]!,
    }
    const name = `${remote.address} ${remote.port}`
    const known = flows.get(name)
    if (known !== undefined || listener.onFlow === null || flows.size >= FLOWS_MAX) return known ?? null
    const flow = new UdpFlow(endpoint, block, remote, false, () => flows.delete(name))
    flows.set(name, flow)
    if (listener.onFlow(flow)) return flow
    flows.delete(name)
    return null
  }
  endpoint.onMessage = mp => {
    const flow = flowOf(mp)
    if (flow === null) freemsg(mp)
    else eachDatagram(mp, head, (bytes, size) => flow.onDatagram?.(bytes, size))
  }
  endpoint.onWritable = () => {
    for (const flow of flows.values()) flow.onWritable?.()
  }
  return listener
}
