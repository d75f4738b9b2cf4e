/** The sending half of a datagram socket: one block for each datagram, and a bounded line while the stack is full. */
import { parseAddress } from '../inet/address.ts'
import {
  allocUnitdata,
  ERROR_IND,
  FAMILY,
  FLAGS,
  isUnitdata,
  KIND,
  REMOTE,
  REMOTE_PORT,
  TAG,
  UD_REFUSED_HERE,
  UNITDATA_REQ,
} from '../inet/unitdata.ts'
import { UDP_PAYLOAD_MAX_V4, UDP_PAYLOAD_MAX_V6 } from '../inet/wire/udp.ts'
import { allocb, freemsg } from '../streams/mblk/alloc.ts'
import { HEADROOM_BYTES } from '../streams/mblk/arena.ts'
import { copyBytes } from '../streams/mblk/copy.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { rmvq } from '../streams/queue.ts'
import type { Stream } from '../streams/stream.ts'
import type { SendCallback } from './dgram-arguments.ts'
import { readUdpError } from './endpoint.ts'
import { errnoNameOf, systemError } from './errors.ts'

/** Bytes of datagrams that may wait for room; more is `ENOBUFS`. */
const LIMIT_BYTES = 256 * 1024
/** Datagrams, of whatever size, that may wait. */
const LIMIT_COUNT = 1_024

interface Waiting {
  readonly mp: Mblk
  readonly size: number
  readonly address: string | undefined
  readonly port: number | undefined
  readonly callback: SendCallback | undefined
}

export class DgramSender {
  private readonly stream: Stream
  private readonly family: 4 | 6
  private waiting: Waiting[] = []
  private nextTag = 1
  waitingBytes = 0
  limitBytes = LIMIT_BYTES

  constructor(stream: Stream, family: 4 | 6) {
    this.stream = stream
    this.family = family
  }

  get waitingCount(): number {
    return this.waiting.length
  }

  /**
   * Sends one datagram; the callback comes later in any case.
   * @param found - address to send to; null for the connected peer
   * @param address - as the program gave it, for errors
   */
  send(
    list: readonly Uint8Array[],
    found: string | null,
    port: number | undefined,
    address: string | undefined,
    callback: SendCallback | undefined,
  ): void {
    let size = 0
    for (const part of list) size += part.byteLength
    const mp = this.request(list, size, found, port)
    if (typeof mp === 'string') return this.failed(mp, address, port, callback)
    this.put({ mp, size, address, port, callback })
  }

  /** @returns the request, or the name of what is wrong */
  private request(
    list: readonly Uint8Array[],
    size: number,
    found: string | null,
    port: number | undefined,
  ): Mblk | string {
    const remote = found === null ? null : parseAddress(found)
    if (found !== null && remote?.family !== this.family) return 'EINVAL'
    const max = this.family === 4 ? UDP_PAYLOAD_MAX_V4 : UDP_PAYLOAD_MAX_V6
    if (size > max) return 'EMSGSIZE'
    const { arena } = this.stream.runtime
    const mp = allocUnitdata(arena, UNITDATA_REQ)
    const data = mp === null ? null : allocb(arena, size, HEADROOM_BYTES)
    if (mp === null || data === null) {
      if (mp !== null) freemsg(mp)
      return 'ENOBUFS'
    }
    for (const part of list) {
      copyBytes(arena, 'edge', data.dblk.bytes, data.wptr, part, 0, part.byteLength)
      data.wptr += part.byteLength
    }
    mp.cont = data
    const at = mp.rptr >> 2
    if (remote !== null) {
      arena.words[at + FAMILY] = remote.family
      for (let i = 0; i < 4; i++) arena.words[at + REMOTE + i] = remote.words[i]!
      arena.words[at + REMOTE_PORT] = port!
    }
    arena.words[at + TAG] = this.nextTag
    this.nextTag = (this.nextTag + 1) & 0x7fffffff
    return mp
  }

  private put(one: Waiting): void {
    if (this.waiting.length > 0) return this.wait(one)
    const { words } = this.stream.runtime.arena
    const tag = words[(one.mp.rptr >> 2) + TAG]!
    let sent: boolean
    try {
      sent = this.stream.putmsg(one.mp)
    } catch (error) {
      return this.failed(errnoNameOf(error), one.address, one.port, one.callback)
    }
    if (!sent) return this.wait(one)
    const refused = this.refusal(tag)
    if (refused !== null) this.failed(refused, one.address, one.port, one.callback)
    else if (one.callback !== undefined) process.nextTick(one.callback, null, one.size)
  }

  /** What the stack said at once of the request that was just put; its errors are the last thing in the queue. */
  private refusal(tag: number): string | null {
    const { top } = this.stream
    const mp = top.last
    if (mp === null || !isUnitdata(mp)) return null
    const { words } = mp.dblk.arena
    const at = mp.rptr >> 2
    if (words[at + KIND] !== ERROR_IND || words[at + TAG] !== tag) return null
    if ((words[at + FLAGS]! & UD_REFUSED_HERE) === 0) return null
    rmvq(top, mp)
    const { error } = readUdpError(mp)
    freemsg(mp)
    return error.errnoName
  }

  private wait(one: Waiting): void {
    if (this.waitingBytes + one.size > this.limitBytes || this.waiting.length >= LIMIT_COUNT) {
      freemsg(one.mp)
      return this.failed('ENOBUFS', one.address, one.port, one.callback)
    }
    this.waiting.push(one)
    this.waitingBytes += one.size
    this.stream.onWritable = () => this.flush()
  }

  private flush(): void {
    const { waiting } = this
    this.waiting = []
    this.waitingBytes = 0
    // What does not fit now goes to the line again, in order.
    for (const one of waiting) this.put(one)
  }

  /** As in Node, a datagram sent without a callback fails in silence. */
  private failed(
    code: string,
    address: string | undefined,
    port: number | undefined,
    callback: SendCallback | undefined,
  ): void {
    if (callback === undefined) return
    const error = systemError(code, 'send', address, port)
    process.nextTick(callback as (error: Error) => void, error)
  }

  /** Datagrams still in line are gone, as with a socket of Node. */
  close(): void {
    for (const one of this.waiting) {
      freemsg(one.mp)
      this.failed('ECANCELED', one.address, one.port, one.callback)
    }
    this.waiting = []
    this.waitingBytes = 0
  }
}
