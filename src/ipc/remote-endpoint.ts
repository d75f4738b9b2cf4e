/**
 * A datagram endpoint whose UDP is in another process: the state of the queue pair of a client's driver `udp`. What the node has no
 * credit or the channel no room for waits on the write queue, which is full then. What comes is bounded by this side's credit: the rest waits
 * in the endpoint over there, and what finds no room in that is dropped and counted there (`receive-full`), as in any socket's buffer.
 */
import { type Counters, makeCounters } from '../base/counters.ts'
import type { StackError } from '../base/errors.ts'
import type { DatagramEnd, EndpointNames } from '../inet/udp/ends.ts'
import { allocUnitdata, KIND, UNITDATA_BYTES, UNITDATA_REQ } from '../inet/unitdata.ts'
import { makeError, makeHangup } from '../streams/condition.ts'
import { nakIoctl } from '../streams/ioctl.ts'
import { freeb, freemsg } from '../streams/mblk/alloc.ts'
import { FRAME_BLOCK_BYTES } from '../streams/mblk/arena.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { M_DATA } from '../streams/mblk/types.ts'
import type { AnyQueue } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import {
  canputnext,
  FLUSHALL,
  flushq,
  getq,
  holdq,
  putbq,
  putq,
  qenable,
  releaseq,
} from '../streams/queue.ts'
import type { ClientPort, RemoteStream } from './client-port.ts'
import { isDatagram, strip, unitdataOf } from './datagram-body.ts'
import {
  ANSWER,
  CLOSE,
  CREDIT,
  costOf,
  DATAGRAM,
  DATAGRAM_CREDIT_BYTES,
  DATAGRAM_CREDIT_STEP_BYTES,
  type ErrorText,
  errorFrom,
  NAMES,
  OVER,
  REFUSAL,
  readText,
} from './protocol.ts'
import { RemoteRequests, streamOver } from './remote-requests.ts'

export class RemoteEndpoint implements DatagramEnd, RemoteStream {
  readonly q: AnyQueue
  readonly id: number
  readonly port: ClientPort
  /** As the node last said. */
  names: EndpointNames = { local: null, remote: null }
  readonly counters: Counters<'request-malformed'> = makeCounters(['request-malformed'])
  private readonly requests: RemoteRequests
  private credit = DATAGRAM_CREDIT_BYTES
  /** To be given back to the node. */
  private handedOn = 0
  private isOver = false
  private error: StackError | null = null
  /** The program was not told yet that it is over: no block was left. */
  private untold = false
  private silent = false

  constructor(q: AnyQueue, port: ClientPort, id: number) {
    this.q = q
    this.port = port
    this.id = id
    this.requests = new RemoteRequests(port, id, q.other)
  }

  // ---- from the node

  /** @param mp - consumed */
  frame(kind: number, detail: number, mp: Mblk | null): void {
    switch (kind) {
      case DATAGRAM:
        if (mp !== null) this.data(mp)
        return
      case CREDIT:
        this.credit += detail
        this.drained()
        break
      case NAMES:
        this.names = readText(mp) as EndpointNames
        break
      case OVER: {
        const { error } = readText(mp) as { error: ErrorText }
        this.over('aborted', errorFrom(error))
        break
      }
      case ANSWER:
      case REFUSAL:
        this.requests.answer(kind, detail, mp)
        break
    }
    if (mp !== null) freemsg(mp)
  }

  private data(mp: Mblk): void {
    const { arena } = this.q.stream.runtime
    const cost = costOf(messageBytes(mp))
    if (this.silent || !isDatagram(mp)) return freemsg(mp)
    const message = unitdataOf(arena, mp)
    if (message === null) {
      this.port.count('no-buffers')
      return this.giveBack(cost)
    }
    if (this.q.first === null && canputnext(this.q)) this.up(message)
    else putq(this.q, message)
  }

  /** @param mp - consumed */
  private up(mp: Mblk): void {
    const cost = costOf(messageBytes(mp))
    putnext(this.q, mp)
    this.giveBack(cost)
  }

  private giveBack(cost: number): void {
    this.handedOn += cost
    if (this.handedOn < DATAGRAM_CREDIT_STEP_BYTES || this.isOver) return
    this.port.send(this.id, CREDIT, this.handedOn, null)
    this.handedOn = 0
  }

  /** The read queue's service procedure: there is room above, or a block. */
  serveRead(): void {
    while (this.q.first !== null) {
      if (!canputnext(this.q)) return
      this.up(getq(this.q)!)
    }
    if (this.untold) this.tell()
  }

  over(_reason: 'aborted', error: StackError | null): void {
    if (this.isOver) return
    this.isOver = true
    this.error = error
    this.port.forget(this.id)
    this.requests.fail(error ?? streamOver())
    flushq(this.q.other, FLUSHALL)
    releaseq(this.q.other)
    this.untold = !this.silent
    if (this.untold && this.q.first === null) this.tell()
  }

  private tell(): void {
    const { arena } = this.q.stream.runtime
    const mp = this.error === null ? makeHangup(arena) : makeError(arena, this.error.code, this.error.message)
    if (mp === null) return this.port.retryLater(this.q)
    this.untold = false
    putnext(this.q, mp)
  }

  // ---- to the node

  /** @param mp - consumed: an UNITDATA_REQ, or data for the connected peer */
  write(mp: Mblk): void {
    const wq = this.q.other
    if (this.isOver) freemsg(mp)
    else {
      const rest = wq.first === null ? this.pass(mp) : mp
      if (rest !== null) putq(wq, rest)
    }
  }

  serveWrite(): void {
    const wq = this.q.other
    for (let mp = getq(wq); mp !== null; mp = getq(wq)) {
      const rest = this.pass(mp)
      if (rest !== null) return putbq(wq, rest)
    }
  }

  /** @param mp - consumed @returns what is to wait, the caller's; null if it was sent, or is none that can be */
  private pass(mp: Mblk): Mblk | null {
    if (this.credit <= 0 || this.port.isFull(this)) return mp
    const request = mp.type === M_DATA ? this.requestFor(mp) : mp
    if (request !== null && !isRequest(request)) {
      this.counters['request-malformed']++
      freemsg(request)
      return null
    }
    if (request === null || !this.makeSendable(request)) {
      this.port.waitForBlocks(this)
      return request ?? mp
    }
    strip(request)
    this.credit -= costOf(messageBytes(request))
    this.port.send(this.id, DATAGRAM, 0, request)
    // Whoever asks for room before it takes a block finds one then.
    if (this.q.stream.runtime.arena.spares(FRAME_BLOCK_BYTES)) return null
    holdq(this.q.other)
    this.port.waitForBlocks(this)
    return null
  }

  private requestFor(data: Mblk): Mblk | null {
    const block = allocUnitdata(this.q.stream.runtime.arena, UNITDATA_REQ)
    if (block !== null) block.cont = data
    return block
  }

  /** Copies what the node does not have, in place. @param mp - borrowed @returns false if no block was left for all of it */
  private makeSendable(mp: Mblk): boolean {
    const { memory } = this.port
    let before = mp
    for (let bp = mp.cont; bp !== null; bp = before.cont) {
      if (memory.takes(bp)) {
        before = bp
        continue
      }
      const copy = bp.rptr === bp.wptr ? null : memory.copyFront(bp)
      if (copy === null && bp.rptr < bp.wptr) return false
      if (copy !== null) {
        before.cont = copy
        copy.cont = bp
        before = copy
      }
      if (bp.rptr < bp.wptr) continue
      before.cont = bp.cont
      freeb(bp)
    }
    return true
  }

  /** Credit came, or room, or blocks. */
  drained(): void {
    const wq = this.q.other
    if (this.isOver || this.silent) return
    if (wq.first !== null) qenable(wq)
    else if (this.q.stream.runtime.arena.spares(FRAME_BLOCK_BYTES)) releaseq(wq)
    else this.port.waitForBlocks(this)
  }

  /** Passes an M_IOCTL on: the answer comes back. @param mp - consumed */
  request(mp: Mblk): void {
    if (this.isOver) nakIoctl(this.q.other, mp, this.error ?? streamOver())
    else this.requests.ask(mp)
  }

  /** The program closed its stream. What waits for credit is gone, as with any socket's buffer. */
  close(): void {
    this.silent = true
    if (this.isOver) return
    this.isOver = true
    this.port.send(this.id, CLOSE, 0, null)
    this.port.forget(this.id)
  }
}

function isRequest(mp: Mblk): boolean {
  if (mp.wptr - mp.rptr < UNITDATA_BYTES || (mp.rptr & 3) !== 0 || !isDatagram(mp)) return false
  const { arena } = mp.dblk
  return mp.bytes === arena.bytes && arena.words[(mp.rptr >> 2) + KIND] === UNITDATA_REQ
}
