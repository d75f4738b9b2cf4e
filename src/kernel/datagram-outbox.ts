/** What an endpoint sends: requests are checked and given to Node, one call each; they stay here until it has called back, in order. */
import type { Socket } from 'node:dgram'
import { ERROR_MALFORMED, ERROR_PORT_UNREACHABLE, ERROR_TOO_BIG } from '../inet/icmp/errors.ts'
import {
  allocUnitdata,
  ERROR_CODE,
  ERROR_IND,
  ERROR_MTU,
  FAMILY,
  FLAGS,
  isUnitdata,
  KIND,
  MAPPED_WORD,
  REMOTE,
  REMOTE_PORT,
  SEGMENT_BYTES,
  UD_REFUSED_HERE,
  UNITDATA_REQ,
} from '../inet/unitdata.ts'
import { UDP_PAYLOAD_MAX_V4 } from '../inet/wire/udp.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { M_DATA } from '../streams/mblk/types.ts'
import { putnext } from '../streams/putnext.ts'
import { canputnext, getq, putq, qenable } from '../streams/queue.ts'
import type { AddressCache } from './address-cache.ts'
import type { KernelEndpoint } from './endpoint.ts'
import { indicationOf } from './errors.ts'
import { type KernelSockets, viewOf } from './sockets.ts'

/** Bytes that Node may hold; from there on requests wait on the write queue. */
const SEND_HIWAT = 256 * 1024
/** A datagram of no bytes counts, too. */
const REQUEST_BYTES = 256
/** Parts of a super-datagram. */
const SEGMENTS_MAX = 64

export class DatagramOutbox {
  /** Bytes that Node has in hand, with what each request counts for. */
  bytes = 0
  private readonly end: KernelEndpoint
  private readonly sockets: KernelSockets
  private readonly socket: Socket
  private readonly peers: AddressCache
  /** Requests that Node has in hand, in order; `next` links them. */
  private first: Mblk | null = null
  private last: Mblk | null = null
  /** Calls of the first that have not come back. */
  private firstCalls = 0
  private readonly calls: number[] = []
  private closed = false

  constructor(end: KernelEndpoint, sockets: KernelSockets, socket: Socket, peers: AddressCache) {
    this.end = end
    this.sockets = sockets
    this.socket = socket
    this.peers = peers
  }

  /** @param mp - consumed */
  write(mp: Mblk): void {
    const wq = this.end.q.other
    if (wq.first !== null || this.bytes >= SEND_HIWAT) putq(wq, mp)
    else this.send(mp)
  }

  /** The write queue's service procedure: there is room. */
  serve(): void {
    const wq = this.end.q.other
    while (this.bytes < SEND_HIWAT) {
      const mp = getq(wq)
      if (mp === null) return
      this.send(mp)
    }
  }

  /** @param mp - consumed */
  private send(given: Mblk): void {
    const mp = this.requestOf(given)
    if (mp === null) return
    const { words } = mp.dblk.arena
    const at = mp.rptr >> 2
    const error = this.check(words, at, mp)
    if (error !== 0) return this.refuse(mp, error)
    if (!this.end.isBound) {
      try {
        this.end.bind(null, 0)
      } catch (cause) {
        return this.refuse(mp, indicationOf((cause as Error).cause))
      }
    }
    this.keep(mp)
    // Node sends to the peer of a connected socket alone, and wants no address then.
    const to = this.end.remote === null ? this.peers.textAt(words, at) : null
    const port = words[at + REMOTE_PORT]!
    const segment = words[at + SEGMENT_BYTES]!
    const size = mp.cont === null ? 0 : messageBytes(mp.cont)
    if (segment === 0 || segment >= size) return this.give(mp, 0, size, to, port)
    for (let from = 0; from < size; from += segment)
      this.give(mp, from, Math.min(size, from + segment), to, port)
  }

  /** @param mp - freed if it is no request */
  private requestOf(mp: Mblk): Mblk | null {
    if (mp.type !== M_DATA) {
      const isRequest = isUnitdata(mp) && mp.dblk.arena.words[(mp.rptr >> 2) + KIND] === UNITDATA_REQ
      if (isRequest && (mp.cont === null || mp.cont.type === M_DATA)) return mp
    } else {
      const block = allocUnitdata(mp.dblk.arena, UNITDATA_REQ)
      if (block !== null) {
        block.cont = mp
        return block
      }
      this.sockets.counters['no-buffers']++
    }
    freemsg(mp)
    return null
  }

  /** Completes the destination. @returns the code of what is wrong with a request; 0 if nothing is */
  private check(words: Int32Array, at: number, mp: Mblk): number {
    const { remote, remotePort, family } = this.end
    const size = mp.cont === null ? 0 : messageBytes(mp.cont)
    const segment = words[at + SEGMENT_BYTES]!
    if (size > UDP_PAYLOAD_MAX_V4) return ERROR_TOO_BIG
    if (segment < 0 || (segment > 0 && size > segment * SEGMENTS_MAX)) return ERROR_MALFORMED
    if (words[at + FAMILY] === 0) {
      if (remote === null) return ERROR_MALFORMED
      words[at + FAMILY] = remote.family
      for (let i = 0; i < 4; i++) words[at + REMOTE + i] = remote.words[i]!
      words[at + REMOTE_PORT] = remotePort
      return 0
    }
    const port = words[at + REMOTE_PORT]!
    const mapped =
      words[at + REMOTE] === 0 && words[at + REMOTE + 1] === 0 && words[at + REMOTE + 2] === MAPPED_WORD
    if (port <= 0 || port > 0xffff || (!mapped && family === 4)) return ERROR_MALFORMED
    return remote !== null && !isPeer(words, at, remote.words, remotePort) ? ERROR_MALFORMED : 0
  }

  private keep(mp: Mblk): void {
    mp.next = null
    if (this.last === null) this.first = mp
    else this.last.next = mp
    this.last = mp
    this.calls.push(0)
    this.bytes += messageBytes(mp) + REQUEST_BYTES
  }

  /** Gives Node a part of the data of the request that was kept last. */
  private give(mp: Mblk, from: number, to: number, address: string | null, port: number): void {
    const { socket, calls } = this
    calls[calls.length - 1]!++
    const data = gather(mp.cont, from, to)
    if (address === null) socket.send(data as Buffer, this.onSent)
    else socket.send(data as Buffer, port, address, this.onSent)
  }

  private readonly onSent = (error: Error | null, bytes: number): void => {
    if (this.closed) return
    const { loop } = this.sockets
    loop.enter(true)
    try {
      this.sent(error, bytes)
    } finally {
      loop.leave()
    }
  }

  private sent(error: Error | null, bytes: number): void {
    const mp = this.first!
    const { counters } = this.sockets
    if (error === null) {
      counters['out-datagrams']++
      this.sockets.kernelCopied(bytes)
    }
    const refused = error === null ? 0 : indicationOf(error)
    if (refused !== 0) mp.dblk.arena.words[(mp.rptr >> 2) + ERROR_CODE] = refused
    if (++this.firstCalls < this.calls[0]!) return
    this.firstCalls = 0
    this.calls.shift()
    this.first = mp.next
    if (this.first === null) this.last = null
    mp.next = null
    this.bytes -= messageBytes(mp) + REQUEST_BYTES
    const code = mp.dblk.arena.words[(mp.rptr >> 2) + ERROR_CODE]!
    if (code === 0) freemsg(mp)
    else this.refuse(mp, code)
    const wq = this.end.q.other
    if (wq.first !== null && this.bytes < SEND_HIWAT / 2) qenable(wq)
    this.sockets.feed()
  }

  /** Sends a request back as an ERROR_IND. @param mp - consumed: a control block with or without data */
  private refuse(mp: Mblk, code: number): void {
    const { q } = this.end
    const { words } = mp.dblk.arena
    const at = mp.rptr >> 2
    this.sockets.counters['send-refused']++
    if (mp.cont !== null) freemsg(mp.cont)
    mp.cont = null
    words[at + KIND] = ERROR_IND
    words[at + ERROR_CODE] = code
    words[at + ERROR_MTU] = 0
    // Of a port that nobody listens on the kernel tells with the next datagram; what it says came from the peer.
    words[at + FLAGS] = code === ERROR_PORT_UNREACHABLE ? 0 : UD_REFUSED_HERE
    if (canputnext(q)) putnext(q, mp)
    else freemsg(mp)
  }

  /** Frees everything: the socket is closed, and reads no more of it. */
  clear(): void {
    this.closed = true
    for (let mp = this.first; mp !== null; ) {
      const next = mp.next
      mp.next = null
      freemsg(mp)
      mp = next
    }
    this.first = this.last = null
    this.bytes = 0
    this.calls.length = 0
  }
}

function isPeer(words: Int32Array, at: number, remote: readonly number[], port: number): boolean {
  if (words[at + REMOTE_PORT] !== port) return false
  for (let i = 0; i < 4; i++) if (words[at + REMOTE + i] !== remote[i]) return false
  return true
}

/** The bytes of a part of a message, where they lie. */
function gather(data: Mblk | null, from: number, to: number): Buffer | Buffer[] {
  if (data === null || from === to) return EMPTY
  if (data.cont === null) return viewOf(data, data.rptr + from, data.rptr + to)
  const list: Buffer[] = []
  let at = 0
  for (let bp: Mblk | null = data; bp !== null && at < to; bp = bp.cont) {
    const size = bp.wptr - bp.rptr
    const first = Math.max(0, from - at)
    const end = Math.min(size, to - at)
    if (end > first) list.push(viewOf(bp, bp.rptr + first, bp.rptr + end))
    at += size
  }
  return list
}

const EMPTY = Buffer.alloc(0)
