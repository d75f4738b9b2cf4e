/**
 * The stream side of one connection: the state of the driver's queue pair. Data goes up while there is room above, and
 * what is not taken stays with the core, where the window and the memory's bounds are kept; data comes down as far as the
 * core takes it, the rest waits on the write queue, which is full then.
 */
import { StackError } from '../../base/errors.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { M_DATA, M_PCPROTO } from '../../streams/mblk/types.ts'
import type { AnyQueue } from '../../streams/module.ts'
import { putnext } from '../../streams/putnext.ts'
import { FLUSHALL, flushq, getq, holdq, putq, qenable, releaseq } from '../../streams/queue.ts'
import { errorMeaning } from '../icmp/errors.ts'
import type { SocketName } from '../udp/endpoint.ts'
import { abort, release, shutdown } from './close.ts'
import { heldBytes } from './condense.ts'
import { setConnection } from './control.ts'
import { localName, remoteName } from './describe.ts'
import type { ConnectionEnd } from './ends.ts'
import type { CloseReason, ConnectionUser } from './host.ts'
import { type TcpInfo, tcpInfo } from './info.ts'
import {
  CONN_CON,
  makeDisconnect,
  makePrimitive,
  ORDREL_IND,
  ORDREL_REQ,
  primitiveOf,
  TROUBLE_IND,
  URGENT_IND,
  URGENT_REQ,
} from './primitives.ts'
import { atEof, programRead, takeUp, windowOpened } from './receive.ts'
import { send, sendRoom } from './send.ts'
import type { ConnectionSettings } from './settings.ts'
import { CLOSED, type StateName, stateName } from './states.ts'
import { F_EOF_TOLD, F_FIN_QUEUED, F_FIN_RECEIVED, F_WANTS_ROOM, type Tcb } from './tcb.ts'
import type { Transport } from './transport.ts'
import { urgentAhead, urgentOut } from './urgent.ts'

/** Bytes and messages that go up before the program reads. It has them in hand, so they are out of the core's reach when memory is short. */
export const HEAD_BYTES = 256 * 1024
const HEAD_MESSAGES = 32

export class Connection implements ConnectionUser, ConnectionEnd {
  /** Read queue of the driver's end of its stream: `putnext(q, mp)` goes to the program. */
  readonly q: AnyQueue
  readonly transport: Transport
  /** Stays when the connection is over, for its names and the data that was not taken. */
  tcb: Tcb | null = null
  /** Why it is over; null while it lives. */
  reason: CloseReason | null = null
  /** Nothing goes up any more: the program was told the end, or closed. */
  silent = false

  constructor(q: AnyQueue, transport: Transport) {
    this.q = q
    this.transport = transport
    q.stream.setReadLimits(HEAD_BYTES, HEAD_BYTES)
  }

  /** What the program asked to connect, or accepted. @param reason - why it is over already; null if it is not */
  begin(tcb: Tcb, reason: CloseReason | null = null): void {
    this.tcb = tcb
    if (reason !== null) this.reason = reason
    // What came before goes up when the stream is complete: modules may be pushed on it by then.
    if (reason !== null || tcb.intake !== null || (tcb.flags & F_FIN_RECEIVED) !== 0) qenable(this.q)
  }

  // ---- up

  /** Whether the queue above takes more; if not, it enables ours when it does. */
  private hasRoom(): boolean {
    const above = this.q.next!.forward
    if (!above.full && above.messages < HEAD_MESSAGES && !(above.messages > 0 && this.transport.isShort))
      return true
    above.wantsWriter = true
    return false
  }

  /** Bytes that went up and that the program has not read. Whoever counts them wants to know when it has. */
  unread(): number {
    const above = this.q.next?.forward
    if (above === undefined || above.count === 0) return 0
    above.wantsWriter = true
    // Primitives are no data. They stand in front of it (an opening, urgency) or behind it (an end).
    let bytes = above.count
    let mp = above.first
    for (; mp !== null && mp.type !== M_DATA; mp = mp.next) bytes -= mp.queuedBytes
    if (mp === null) return bytes
    for (mp = above.last; mp !== null && mp.type !== M_DATA; mp = mp.prev) bytes -= mp.queuedBytes
    return bytes
  }

  /** Memory that the data holds which went up and that the program has not read. */
  unreadHeld(): number {
    const above = this.q.next?.forward
    if (above === undefined || above.count === 0) return 0
    above.wantsWriter = true
    let bytes = 0
    for (let mp = above.first; mp !== null; mp = mp.next) if (mp.type === M_DATA) bytes += heldBytes(mp)
    return bytes
  }

  /** @param mp - consumed */
  private up(mp: Mblk): void {
    const { q } = this
    if (!q.next!.forward.enabled) this.transport.programFollows()
    putnext(q, mp)
  }

  /** Hands up what is in order. */
  pull(): void {
    const { tcb, q, transport } = this
    if (tcb === null || this.silent) return
    const { tcp } = transport
    // The program has all that went up before.
    if (q.next!.forward.count === 0) {
      programRead(tcp, tcb)
      if (this.reason === null) windowOpened(tcp, tcb)
    }
    while (this.hasRoom()) {
      const mp = takeUp(tcp, tcb)
      if (mp === null) return this.tellEnd(tcb)
      // The sender may wait for what the program is about to read.
      if (2 * ((tcb.rcvAdv - tcb.rcvNxt) | 0) <= tcb.rcvBuf) q.next!.forward.wantsWriter = true
      this.up(mp)
    }
  }

  /** The read queue's service procedure: the program read something. */
  serveRead(): void {
    const { tcb, transport } = this
    if (tcb === null || this.silent) return
    transport.touch()
    programRead(transport.tcp, tcb)
    if (this.reason === null) windowOpened(transport.tcp, tcb)
    this.pull()
  }

  private tellEnd(tcb: Tcb): void {
    if (atEof(tcb) && (tcb.flags & F_EOF_TOLD) === 0) {
      if (!this.tell(makePrimitive(this.arena, ORDREL_IND))) return
      tcb.flags |= F_EOF_TOLD
    }
    if (this.reason === null) return
    if (this.tell(makeDisconnect(this.arena, this.reason))) this.silent = true
  }

  private tell(mp: Mblk | null): boolean {
    if (mp === null) this.transport.retryLater(this.q)
    else this.up(mp)
    return mp !== null
  }

  private get arena() {
    return this.transport.runtime.arena
  }

  // ---- what the core says

  connected(): void {
    const mp = makePrimitive(this.arena, CONN_CON)
    // Whoever waits for it would wait for ever.
    if (mp === null) abort(this.transport.tcp, this.tcb!)
    else this.up(mp)
  }

  /** MUST-32: the program hears of it at once, whatever it has not read. */
  urgent(): void {
    const mp = makePrimitive(this.arena, URGENT_IND)
    if (mp === null) return
    mp.type = M_PCPROTO
    putnext(this.q, mp)
  }

  /** RFC 9293 §3.9.1.8, SHLD-9, SHLD-25: as urgent data, whatever it has not read. @param code - of an ICMP error, or 0 */
  trouble(code: number): void {
    if (this.silent) return
    const mp = makePrimitive(this.arena, TROUBLE_IND, code)
    if (mp === null) return
    mp.type = M_PCPROTO
    putnext(this.q, mp)
  }

  /** @param tcb - the one that {@link begin} gets, if it is over before `connect` returned */
  closed(tcb: Tcb, reason: CloseReason): void {
    this.tcb = tcb
    this.reason = reason
    if (this.silent) return
    // Nothing is sent any more: whoever waits for room may come and hear it.
    flushq(this.q.other, FLUSHALL)
    releaseq(this.q.other)
    this.pull()
  }

  // ---- down

  get maySend(): boolean {
    return this.reason === null && this.tcb !== null && (this.tcb.flags & F_FIN_QUEUED) === 0
  }

  /** @param mp - consumed: M_DATA, an ORDREL_REQ or an URGENT_REQ */
  write(mp: Mblk): void {
    const wq = this.q.other
    const { tcb } = this
    if (!this.maySend || tcb === null) return freemsg(mp)
    this.transport.touch()
    if (wq.first === null && (mp.type !== M_DATA || this.hasSendRoom(tcb))) {
      this.sendNow(tcb, mp)
      this.holdIfFull(tcb)
      return
    }
    // Whoever sends without asking for room.
    putq(wq, mp)
    tcb.flags |= F_WANTS_ROOM
  }

  private hasSendRoom(tcb: Tcb): boolean {
    return sendRoom(this.transport.tcp, tcb) > 0
  }

  /** The bound is the core's (`sendBytes`): the message that reached it was the last, and the next one does not get as far as here. */
  private holdIfFull(tcb: Tcb): void {
    if (!this.maySend || this.hasSendRoom(tcb)) return
    tcb.flags |= F_WANTS_ROOM
    holdq(this.q.other)
  }

  /** The write queue's service procedure: there is room. */
  serveWrite(): void {
    const wq = this.q.other
    const { tcb } = this
    if (tcb === null) return
    this.transport.touch()
    while (wq.first !== null) {
      if (this.maySend && wq.first.type === M_DATA && !this.hasSendRoom(tcb)) break
      this.sendNow(tcb, getq(wq)!)
    }
    if (wq.first !== null || (this.maySend && !this.hasSendRoom(tcb))) {
      tcb.flags |= F_WANTS_ROOM
      holdq(wq)
    } else releaseq(wq)
  }

  /** @param mp - consumed */
  private sendNow(tcb: Tcb, mp: Mblk): void {
    if (mp.type === M_DATA && this.maySend) return send(this.transport.tcp, tcb, mp)
    const primitive = primitiveOf(mp)
    if (primitive === ORDREL_REQ && this.maySend) shutdown(this.transport.tcp, tcb)
    else if (primitive === URGENT_REQ) urgentOut(this.transport.tcp, tcb)
    freemsg(mp)
  }

  /** Ends this side's data at once if nothing is in front of it. @returns false if an ORDREL_REQ has to go down behind the data */
  shutdownNow(): boolean {
    const wq = this.q.other
    if (wq.first !== null || this.q.stream.top.other.next !== wq) return false
    if (!this.maySend) return true
    this.transport.touch()
    shutdown(this.transport.tcp, this.tcb!)
    return true
  }

  // ---- the end

  /** Resets it; the program hears of it as of any end. */
  abort(): void {
    if (this.reason !== null || this.tcb === null) return
    this.transport.touch()
    abort(this.transport.tcp, this.tcb)
  }

  /** The program closed its stream: what waits to be sent is the core's from here on. */
  close(): void {
    const { tcb } = this
    this.silent = true
    if (tcb === null) return
    const wq = this.q.other
    this.transport.touch()
    for (let mp = getq(wq); mp !== null; mp = getq(wq)) this.sendNow(tcb, mp)
    release(this.transport.tcp, tcb)
  }

  /** What its end means for a program; null if it lives, or ended in order. */
  get error(): StackError | null {
    return this.reason === null ? null : closeError(this.reason, this.tcb?.softError ?? 0)
  }

  get isOver(): boolean {
    return this.reason !== null || this.tcb === null || this.tcb.state === CLOSED
  }

  // ---- what the program asks

  get stateName(): StateName {
    return this.isOver ? 'CLOSED' : stateName(this.tcb!.state)
  }

  get local(): SocketName {
    return localName(this.tcb!)
  }

  get remote(): SocketName {
    return remoteName(this.tcb!)
  }

  get urgentAhead(): number {
    return this.isOver ? 0 : urgentAhead(this.transport.tcp, this.tcb!)
  }

  get settings(): ConnectionSettings {
    return this.tcb!.settings
  }

  change(settings: Partial<ConnectionSettings>): void {
    setConnection(this, settings)
  }

  info(): TcpInfo | null {
    return this.isOver ? null : tcpInfo(this.transport.tcp, this.tcb!)
  }

  retryLater(q: AnyQueue): void {
    this.transport.retryLater(q)
  }
}

/** @param softError - the last ICMP error that concerned the connection, 0 if none did */
export function closeError(reason: CloseReason, softError: number): StackError | null {
  switch (reason) {
    case 'done':
      return null
    case 'refused':
      return new StackError('ERR_CONN_REFUSED', 'the peer refused the connection')
    case 'reset':
      return new StackError('ERR_CONN_RESET', 'the peer reset the connection')
    case 'aborted':
      return new StackError('ERR_CONN_ABORTED', 'this side aborted the connection')
    case 'no-memory':
      return new StackError('ERR_NO_BUFFERS', 'the connection was given up for want of memory')
    case 'timed-out':
    case 'unreachable': {
      // RFC 9293 §3.9.2.2: what ICMP said last says more than that nobody answered.
      if (softError === 0) return new StackError('ERR_TIMED_OUT', 'the peer does not answer')
      const { error, text } = errorMeaning(softError)
      return new StackError(error, text)
    }
  }
}
