/**
 * A connection whose TCP is in another process: the state of the queue pair of a client's driver `tcp`. Data goes to the node as far as
 * the node gave credit, the rest waits on the write queue, which is full then; what the node sends waits on the read queue until
 * there is room above, and only then is credit for more given back.
 */
import { StackError } from '../base/errors.ts'
import type { ConnectionEnd } from '../inet/tcp/ends.ts'
import type { CloseReason } from '../inet/tcp/host.ts'
import type { TcpInfo } from '../inet/tcp/info.ts'
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
} from '../inet/tcp/primitives.ts'
import { readConnectionSettings } from '../inet/tcp/setting-ranges.ts'
import type { ConnectionSettings } from '../inet/tcp/settings.ts'
import type { StateName } from '../inet/tcp/states.ts'
import type { SocketName } from '../inet/udp/endpoint.ts'
import { nakIoctl } from '../streams/ioctl.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { M_DATA, M_PCPROTO } from '../streams/mblk/types.ts'
import type { AnyQueue } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import { canputnext, FLUSHALL, flushq, getq, putbq, putq, qenable } from '../streams/queue.ts'
import type { ClientPort, RemoteStream } from './client-port.ts'
import { CreditGiver } from './credit.ts'
import {
  ABORT,
  ANSWER,
  BODY_BYTES_MAX,
  CLOSE,
  CONNECTED,
  CREDIT,
  costOf,
  DATA,
  END,
  type ErrorText,
  errorFrom,
  FIRST_CREDIT_BYTES,
  NAMES,
  OVER,
  REFUSAL,
  readText,
  SET,
  SHUTDOWN,
  TROUBLE,
  URGENT,
  URGENT_DATA,
} from './protocol.ts'
import { RemoteRequests, streamOver } from './remote-requests.ts'
import { bodyCost } from './send-data.ts'

/** Read and not taken by the program: little, since it is of the memory that all connections share. */
const HEAD_BYTES = 128 * 1024

export interface StreamNames {
  readonly local: SocketName
  readonly remote: SocketName
  readonly settings: ConnectionSettings
}

interface OverText {
  readonly reason: CloseReason
  readonly error: ErrorText | null
}

export class RemoteConnection implements ConnectionEnd, RemoteStream {
  readonly q: AnyQueue
  readonly id: number
  readonly port: ClientPort
  stateName: StateName
  local: SocketName
  remote: SocketName
  settings: ConnectionSettings
  reason: CloseReason | null = null
  error: StackError | null = null
  silent = false
  /** What the program changed. */
  private readonly changed: Partial<ConnectionSettings> = {}
  /** Bytes that may be sent; below zero after a message that went over it. */
  private credit = FIRST_CREDIT_BYTES
  private readonly giver: CreditGiver
  /** Bytes that the program had read when credit was last given. */
  private readThen = 0
  /** Bytes of data that came, and where urgent data ends among them. */
  private received = 0
  private urgentEnd = 0
  /** Frames that came before its stream was complete: modules may be pushed on it by then. */
  private readonly early: { kind: number; detail: number; mp: Mblk | null }[] = []
  /** Primitives to be told behind the data. */
  private readonly ends: number[] = []
  /** Closed by its program, with data that the node has no credit for yet. */
  private readonly leftover: Mblk[] = []
  private closing = false
  private readonly requests: RemoteRequests

  constructor(q: AnyQueue, port: ClientPort, id: number, names: StreamNames, state: StateName) {
    this.q = q
    this.port = port
    this.id = id
    this.local = names.local
    this.remote = names.remote
    this.settings = names.settings
    this.stateName = state
    this.requests = new RemoteRequests(port, id, q.other)
    this.giver = new CreditGiver(port.credits)
    q.stream.setReadLimits(HEAD_BYTES, HEAD_BYTES)
  }

  // ---- from the node

  frame(kind: number, detail: number, mp: Mblk | null): void {
    if (this.early.length > 0) this.early.push({ kind, detail, mp })
    else this.take(kind, detail, mp)
  }

  /** @param mp - consumed */
  private take(kind: number, detail: number, mp: Mblk | null): void {
    switch (kind) {
      case DATA:
        if (mp !== null) this.data(mp)
        return
      case CREDIT:
        this.credit += detail
        if (this.credit > 0) this.mayGoOn()
        break
      case NAMES:
        this.named(readText(mp) as StreamNames)
        break
      case CONNECTED:
        this.stateName = 'ESTABLISHED'
        this.tell(CONN_CON)
        break
      case END:
        this.stateName = this.stateName === 'ESTABLISHED' ? 'CLOSE-WAIT' : this.stateName
        this.tell(ORDREL_IND)
        break
      case URGENT:
        this.urgentEnd = detail
        this.interrupt(URGENT_IND, 0)
        break
      case TROUBLE:
        this.interrupt(TROUBLE_IND, detail)
        break
      case OVER: {
        const { reason, error } = readText(mp) as OverText
        this.over(reason, error === null ? null : errorFrom(error))
        break
      }
      case ANSWER:
      case REFUSAL:
        this.requests.answer(kind, detail, mp)
        break
    }
    if (mp !== null) freemsg(mp)
  }

  /** The node says what it has; it said so before it heard what the program changed meanwhile. */
  private named({ local, remote, settings }: StreamNames): void {
    this.local = local
    this.remote = remote
    this.settings = { ...settings, ...this.changed }
  }

  /** Frames that came before the program took the connection. */
  replay(frames: readonly { kind: number; detail: number; mp: Mblk | null }[]): void {
    for (const { kind, detail, mp } of frames) this.early.push({ kind, detail, mp })
    qenable(this.q)
  }

  private data(mp: Mblk): void {
    if (this.silent) return freemsg(mp)
    this.received = (this.received + messageBytes(mp)) | 0
    mp.type = M_DATA
    if (this.q.first === null && canputnext(this.q)) this.up(mp)
    else putq(this.q, mp)
  }

  /** @param mp - consumed */
  private up(mp: Mblk): void {
    const cost = costOf(messageBytes(mp))
    putnext(this.q, mp)
    if (this.reason !== null) return
    const { read } = this
    // What the head took in is read only then.
    const given = this.giver.took(cost, read !== this.readThen)
    if (given === 0) return
    this.readThen = read
    this.port.send(this.id, CREDIT, given, null)
  }

  /** The read queue's service procedure: there is room above. */
  serveRead(): void {
    for (let next = this.early.shift(); next !== undefined; next = this.early.shift())
      this.take(next.kind, next.detail, next.mp)
    while (this.q.first !== null) {
      if (!canputnext(this.q)) return
      this.up(getq(this.q)!)
    }
    this.tellEnds()
  }

  private tell(primitive: number): void {
    this.ends.push(primitive)
    if (this.q.first === null) this.tellEnds()
  }

  private tellEnds(): void {
    const { arena } = this.q.stream.runtime
    while (this.ends.length > 0 && !this.silent) {
      const [kind] = this.ends as [number]
      const mp =
        kind === CONN_CON || kind === ORDREL_IND
          ? makePrimitive(arena, kind)
          : makeDisconnect(arena, this.reason!)
      if (mp === null) return this.retryLater(this.q)
      this.ends.shift()
      putnext(this.q, mp)
    }
  }

  private interrupt(primitive: number, detail: number): void {
    const mp = this.silent ? null : makePrimitive(this.q.stream.runtime.arena, primitive, detail)
    if (mp === null) return
    mp.type = M_PCPROTO
    putnext(this.q, mp)
  }

  /** It is over: the program hears of it behind the data. */
  over(reason: CloseReason, error: StackError | null): void {
    if (this.reason !== null) return
    this.reason = reason
    this.error = error
    this.stateName = 'CLOSED'
    this.giver.close()
    this.port.forget(this.id)
    for (const mp of this.leftover) freemsg(mp)
    this.leftover.length = 0
    this.requests.fail(error ?? streamOver())
    if (this.closing) return
    // Nothing is sent any more: whoever waits for room may come and hear it.
    flushq(this.q.other, FLUSHALL)
    this.tell(0)
  }

  // ---- to the node

  /** Credit came, or room. */
  private mayGoOn(): void {
    if (this.closing) this.sendLeftover()
    else if (this.q.other.first !== null) qenable(this.q.other)
  }

  private get maySend(): boolean {
    return this.credit > 0 && !this.port.isFull(this)
  }

  /** @param mp - consumed: M_DATA, an ORDREL_REQ or an URGENT_REQ */
  write(mp: Mblk): void {
    const wq = this.q.other
    if (this.reason !== null) freemsg(mp)
    else if (wq.first === null && (mp.type !== M_DATA || this.maySend)) {
      const rest = this.pass(mp)
      if (rest !== null) putq(wq, rest)
    } else putq(wq, mp)
  }

  serveWrite(): void {
    const wq = this.q.other
    while (wq.first !== null) {
      if (this.reason === null && wq.first.type === M_DATA && !this.maySend) return
      const rest = this.pass(getq(wq)!)
      if (rest === null) continue
      putbq(wq, rest)
      if (this.port.isStarved(this)) return
    }
  }

  /**
   * @param mp - consumed: a primitive, or data when it {@link maySend}
   * @returns what is left of data that is longer than the credit: the node would end a client that sends it
   */
  private pass(mp: Mblk): Mblk | null {
    if (this.reason === null && mp.type === M_DATA) {
      const { cutter } = this.port
      let rest: Mblk | null = mp
      do {
        const result = cutter.cut(rest, Math.min(BODY_BYTES_MAX, Math.max(this.credit, FIRST_CREDIT_BYTES)))
        rest = cutter.rest
        if (result === 'no-block') {
          this.port.waitForBlocks(this)
          return rest
        }
        if (result === 'no-view') return this.giveUp(rest!)
        this.credit -= bodyCost(cutter.body!)
        this.port.send(this.id, DATA, 0, cutter.body)
      } while (rest !== null && this.maySend)
      return rest
    }
    this.obey(mp)
    return null
  }

  /** Data that cannot be sent must not be missing: the connection ends. @param mp - consumed */
  private giveUp(mp: Mblk): null {
    freemsg(mp)
    this.port.count('no-views')
    this.reset(new StackError('ERR_NO_BUFFERS', 'too many views of blocks are alive'))
    return null
  }

  private obey(mp: Mblk): void {
    if (this.reason !== null) return freemsg(mp)
    const primitive = primitiveOf(mp)
    freemsg(mp)
    if (primitive === ORDREL_REQ) this.sendShutdown()
    else if (primitive === URGENT_REQ) this.port.send(this.id, URGENT_DATA, 0, null)
  }

  private sendShutdown(): void {
    if (this.stateName === 'ESTABLISHED') this.stateName = 'FIN-WAIT-1'
    else if (this.stateName === 'CLOSE-WAIT') this.stateName = 'LAST-ACK'
    this.port.send(this.id, SHUTDOWN, 0, null)
  }

  /** The channel has room again. */
  drained(): void {
    this.mayGoOn()
  }

  shutdownNow(): boolean {
    const wq = this.q.other
    if (wq.first !== null || this.q.stream.top.other.next !== wq) return false
    if (this.reason === null) this.sendShutdown()
    return true
  }

  // ---- the end

  abort(): void {
    if (this.reason === null)
      this.reset(new StackError('ERR_CONN_ABORTED', 'this side aborted the connection'))
  }

  private reset(error: StackError): void {
    this.port.send(this.id, ABORT, 0, null)
    this.over('aborted', error)
  }

  /** The program closed its stream: what waits to be sent goes on. */
  close(): void {
    this.silent = true
    const { q } = this
    if (this.reason !== null) return
    for (const { mp } of this.early) if (mp !== null) freemsg(mp)
    const unread = this.early.length > 0
    this.early.length = 0
    // RFC 2525 §2.17: a peer whose data was not read gets a reset. The head's queue is freed right after this.
    if (unread || q.first !== null || q.stream.top.first?.type === M_DATA) return this.abort()
    this.closing = true
    for (let mp = getq(q.other); mp !== null; mp = getq(q.other)) this.leftover.push(mp)
    this.sendLeftover()
  }

  private sendLeftover(): void {
    while (this.leftover.length > 0) {
      if (this.leftover[0]!.type === M_DATA && !this.maySend) return
      const rest = this.pass(this.leftover.shift()!)
      if (rest !== null) this.leftover.unshift(rest)
      if (this.reason !== null || this.port.isStarved(this)) return
    }
    this.port.send(this.id, CLOSE, 0, null)
    this.reason = 'done'
    this.stateName = 'CLOSED'
    this.giver.close()
    this.port.forget(this.id)
  }

  // ---- what the program asks

  /** Bytes that left the stream's head, modulo 2^32. */
  private get read(): number {
    return (this.received - this.q.count - this.q.stream.top.count) | 0
  }

  get urgentAhead(): number {
    return this.reason !== null ? 0 : Math.max(0, (this.urgentEnd - this.read) | 0)
  }

  change(given: Partial<ConnectionSettings>): void {
    this.settings = readConnectionSettings(given, this.settings)
    for (const name of Object.keys(given) as (keyof ConnectionSettings)[])
      Object.assign(this.changed, { [name]: this.settings[name] })
    if (this.reason === null) this.port.sendText(this.id, SET, 0, given)
  }

  info(): TcpInfo | null {
    return null
  }

  retryLater(q: AnyQueue): void {
    this.port.retryLater(q)
  }

  /** Passes an M_IOCTL on: the answer comes back. @param mp - consumed */
  request(mp: Mblk): void {
    if (this.reason !== null) nakIoctl(this.q.other, mp, this.error ?? streamOver())
    else this.requests.ask(mp)
  }
}
