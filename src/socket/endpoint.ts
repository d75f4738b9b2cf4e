/**
 * A UDP endpoint without copies: what comes in is handed over as the message that it is, and belongs to the program
 * until it frees it or sends it on. One level below {@link DatagramSocket}.
 */
import { StackError } from '../base/errors.ts'
import { formatAddress, fromWords, type IpAddress, parseAddress } from '../inet/address.ts'
import { errorMeaning } from '../inet/icmp/errors.ts'
import type { EndpointOptions, EndpointSettings } from '../inet/udp/control.ts'
import { type DatagramEnd, type EndpointNames, isDatagramEnd } from '../inet/udp/ends.ts'
import {
  allocUnitdata,
  ERROR_CODE,
  ERROR_IND,
  ERROR_MTU,
  FAMILY,
  FLAGS,
  KIND,
  REMOTE,
  REMOTE_PORT,
  SEGMENT_BYTES,
  TAG,
  turnRound,
  UD_REFUSED_HERE,
  UNITDATA_REQ,
} from '../inet/unitdata.ts'
import { esballoc, freemsg } from '../streams/mblk/alloc.ts'
import type { BorrowedMblk, Mblk } from '../streams/mblk/mblk.ts'
import { canputnext, qenable } from '../streams/queue.ts'
import type { Runtime } from '../streams/runtime.ts'
import { Stream } from '../streams/stream.ts'

/** Messages handed to the program before other streams have their turn. */
const TURN_MESSAGES = 256

/** Where a datagram goes; made once, used often. */
export interface Destination {
  readonly address: IpAddress
  readonly port: number
}

/** @throws StackError `ERR_BAD_ADDRESS` */
export function destination(address: string, port: number): Destination {
  const parsed = parseAddress(address)
  if (parsed === null) throw new StackError('ERR_BAD_ADDRESS', `${JSON.stringify(address)} is no IP address`)
  return { address: parsed, port }
}

/** What {@link UdpEndpoint.sendTo} may be told. */
export interface SendOptions {
  /** Makes it a super-datagram: that many bytes in each datagram, at most 64 of them. */
  readonly segmentBytes?: number
  /** Comes back in {@link UdpError.tag} if the stack refuses the datagram. */
  readonly tag?: number
}

/** Something that did not reach its destination. */
export interface UdpError {
  readonly error: StackError
  /** Whom it was sent to. */
  readonly address: string
  readonly port: number
  /** The stack itself refused the request; otherwise a peer or a router said so. */
  readonly refusedHere: boolean
  /** Trying again is of no use (RFC 1122 §4.2.3.9). */
  readonly hard: boolean
  /** For a datagram that was too big: what fits. 0 if unknown. */
  readonly mtu: number
  readonly tag: number
}

/** Reads an ERROR_IND. @param mp - borrowed */
export function readUdpError(mp: BorrowedMblk): UdpError {
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  const { error, text, hard } = errorMeaning(words[at + ERROR_CODE]!)
  const address = formatAddress(remoteOf(mp))
  const port = words[at + REMOTE_PORT]!
  return {
    error: new StackError(error, `${address} port ${port}: ${text}`),
    address,
    port,
    refusedHere: (words[at + FLAGS]! & UD_REFUSED_HERE) !== 0,
    hard,
    mtu: words[at + ERROR_MTU]!,
    tag: words[at + TAG]!,
  }
}

/** The peer that a control block names. @param mp - borrowed */
export function remoteOf(mp: BorrowedMblk): IpAddress {
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  const family = words[at + FAMILY] === 4 ? 4 : 6
  const [a, b, c, d] = [0, 1, 2, 3].map(i => words[at + REMOTE + i]!)
  return fromWords(family, a!, b!, c!, d!)
}

export class UdpEndpoint {
  /** For plumbing: modules may be pushed on it. */
  readonly stream: Stream
  private readonly end: DatagramEnd
  private receiver: ((mp: Mblk) => void) | null = null
  /** Told of errors; without it they are dropped. */
  onError: ((error: UdpError) => void) | null = null

  private constructor(stream: Stream, end: DatagramEnd) {
    this.stream = stream
    this.end = end
  }

  /**
   * Opens an endpoint; `bind` and `connect` in the options take effect at once. Over a port to another process (`putnext/ipc`) they are asked
   * of the node: what it refuses is told by `stream.onDown`, and thrown by each later call.
   * @throws StackError what binding or connecting throws; nothing stays open then
   */
  static open(runtime: Runtime, options: EndpointOptions = {}, name = 'udp'): UdpEndpoint {
    const stream = Stream.open(runtime, 'udp', { name, options })
    const end: unknown = stream.bottom.state
    if (isDatagramEnd(end)) return new UdpEndpoint(stream, end)
    stream.close()
    throw new StackError('ERR_PLUMBING', 'this stack has no control stream of udp: link IP below udp first')
  }

  bind(address?: string, port?: number): Promise<EndpointNames> {
    return this.stream.ioctl('udp.bind', { address, port }) as Promise<EndpointNames>
  }

  connect(address: string, port: number): Promise<EndpointNames> {
    return this.stream.ioctl('udp.connect', { address, port }) as Promise<EndpointNames>
  }

  disconnect(): Promise<EndpointNames> {
    return this.stream.ioctl('udp.disconnect') as Promise<EndpointNames>
  }

  set(settings: EndpointSettings): Promise<EndpointSettings> {
    return this.stream.ioctl('udp.set', settings) as Promise<EndpointSettings>
  }

  /** Where it is bound and connected. */
  get names(): EndpointNames {
    return this.end.names
  }

  /**
   * Called for every datagram: the control block (`inet/unitdata.ts`) with the data behind it. The message is the
   * program's from then on: free it, keep it, or send it.
   */
  set onMessage(receiver: ((mp: Mblk) => void) | null) {
    this.receiver = receiver
    this.stream.onReadable = receiver === null ? null : () => this.deliver()
  }

  /** Called when a send that was refused may be tried again. */
  set onWritable(callback: (() => void) | null) {
    this.stream.onWritable = callback
  }

  private deliver(): void {
    const { stream } = this
    let left = TURN_MESSAGES
    try {
      for (; left > 0 && this.receiver !== null && !stream.isClosed; left--) {
        const mp = stream.getmsg()
        if (mp === null) return
        if (mp.dblk.arena.words[(mp.rptr >> 2) + KIND] === ERROR_IND) this.tell(mp)
        else this.receiver(mp)
      }
    } finally {
      // Whatever is left, because the turn was over or the program threw, is not forgotten.
      if (stream.top.first !== null && !stream.isClosed) qenable(stream.top)
    }
  }

  private tell(mp: Mblk): void {
    const told = this.onError === null ? null : readUdpError(mp)
    freemsg(mp)
    if (told !== null) this.onError!(told)
  }

  /**
   * Takes the next message, for a program that polls instead of setting {@link onMessage}; may be an ERROR_IND.
   * @returns owned, or null
   */
  getmsg(): Mblk | null {
    return this.stream.getmsg()
  }

  /**
   * Sends an UNITDATA_REQ with its data.
   * @param mp - consumed if the answer is true; still the caller's if it is false: wait for {@link onWritable}
   * @throws StackError if the stream is down; `mp` is freed then
   */
  send(mp: Mblk): boolean {
    return this.stream.putmsg(mp)
  }

  /** Sends an indication back to where it came from, with whatever data is behind it now. As {@link send}. */
  reply(mp: Mblk): boolean {
    turnRound(mp)
    return this.stream.putmsg(mp)
  }

  /**
   * Sends data.
   * @param data - consumed if the answer is true; null for an empty datagram
   * @param to - null for the peer of a connected endpoint
   * @returns false if there is no room; `data` is still the caller's then: wait for {@link onWritable}
   * @throws StackError if the stream is down, `ERR_NO_BUFFERS` if no block is left; `data` is freed then
   */
  sendTo(data: Mblk | null, to: Destination | null, options?: SendOptions): boolean {
    const { stream } = this
    if (!stream.isClosed && !canputnext(stream.top.other)) return false
    const mp = allocUnitdata(stream.runtime.arena, UNITDATA_REQ)
    if (mp === null) {
      if (data !== null) freemsg(data)
      throw noBlock()
    }
    const { words } = mp.dblk.arena
    const at = mp.rptr >> 2
    if (to !== null) {
      const address = to.address.words
      words[at + FAMILY] = to.address.family
      for (let i = 0; i < 4; i++) words[at + REMOTE + i] = address[i]!
      words[at + REMOTE_PORT] = to.port
    }
    words[at + SEGMENT_BYTES] = options?.segmentBytes ?? 0
    words[at + TAG] = options?.tag ?? 0
    mp.cont = data
    return stream.putmsg(mp)
  }

  /**
   * Sends the caller's memory as it lies, without a copy.
   * @param bytes - not to be changed until `onReleased` was called
   * @param onReleased - called once, when the stack is done with it; not if the answer is false. It must not throw
   * @returns false if there is no room
   * @throws StackError as {@link sendTo}; `onReleased` was called then
   */
  sendOwned(
    bytes: Uint8Array,
    to: Destination | null,
    onReleased: (bytes: Uint8Array) => void,
    options?: SendOptions,
  ): boolean {
    const { stream } = this
    if (!stream.isClosed && !canputnext(stream.top.other)) return false
    const data = esballoc(stream.runtime.arena, bytes, onReleased)
    if (data === null) {
      onReleased(bytes)
      throw noBlock()
    }
    return this.sendTo(data, to, options)
  }

  /** Frees what waits. Closing twice is harmless. */
  close(): void {
    this.receiver = null
    this.stream.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

function noBlock(): StackError {
  return new StackError('ERR_NO_BUFFERS', 'no block of memory is left for a datagram')
}
