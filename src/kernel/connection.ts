/**
 * A connection of the kernel's TCP: the state of the queue pair of the driver `tcp`. What Node reads goes up as it lies, or waits on the
 * read queue while Node reads no more; what goes down in a turn is given to Node at its end, by one write, and its blocks stay in use
 * until the kernel has taken them.
 */
import type { Socket } from 'node:net'
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
} from '../inet/tcp/primitives.ts'
import type { ConnectionSettings } from '../inet/tcp/settings.ts'
import type { StateName } from '../inet/tcp/states.ts'
import type { SocketName } from '../inet/udp/endpoint.ts'
import { esballoc, freemsg } from '../streams/mblk/alloc.ts'
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
import { HEAD_HIWAT } from '../streams/stream-head.ts'
import { closeReasonOf, kernelError } from './errors.ts'
import type { Gatherer } from './loop.ts'
import { KernelConnectionOutbox } from './outbox.ts'
import type { KernelSockets } from './sockets.ts'
import { applySettings, readSettings } from './tcp-options.ts'

/** Bytes that Node may hold because the kernel does not take them; the message that reaches it is the last. */
const SEND_HIWAT = 256 * 1024

export interface ConnectionNames {
  readonly local: SocketName
  readonly remote: SocketName
}

export class KernelConnection implements ConnectionEnd, Gatherer {
  readonly q: AnyQueue
  stateName: StateName
  local: SocketName
  remote: SocketName
  settings: ConnectionSettings
  reason: CloseReason | null = null
  error: StackError | null = null
  silent = false
  /** There is no way to announce urgent data. */
  readonly urgentAhead = 0
  private readonly sockets: KernelSockets
  private readonly socket: Socket
  private readonly outbox: KernelConnectionOutbox
  /** What was read, and there was no block for: behind the read queue, and no more than Node had in hand. */
  private readonly unwrapped: Buffer[] = []
  private paused = false
  /** The write queue counts as full. */
  private held = false
  private gathering = false
  private endAsked = false
  private endSent = false
  /** Its program closed it: it goes on alone until what was written is out. */
  private closing = false
  /** Primitives to be told behind the data; 0 for the end. */
  private readonly ends: number[] = []

  constructor(
    q: AnyQueue,
    sockets: KernelSockets,
    socket: Socket,
    names: ConnectionNames,
    settings: ConnectionSettings,
    state: StateName,
  ) {
    this.q = q
    this.sockets = sockets
    this.socket = socket
    this.local = names.local
    this.remote = names.remote
    this.settings = settings
    this.stateName = state
    this.outbox = new KernelConnectionOutbox(sockets, socket, () => this.drained())
    q.stream.setReadLimits(settings.receiveBytes || HEAD_HIWAT, settings.receiveBytes || HEAD_HIWAT)
    applySettings(socket, null, settings)
    this.listen()
  }

  private listen(): void {
    const { socket, sockets } = this
    const { loop } = sockets
    socket.on('data', (chunk: Buffer) => {
      loop.enter()
      try {
        this.data(chunk)
      } finally {
        loop.leave()
      }
    })
    socket.on('end', () => loop.within(() => this.ended()))
    socket.on('error', error => {
      this.error ??= kernelError(error)
    })
    socket.on('close', () => loop.within(() => this.closed()))
  }

  /** Node's event: the handshake is complete. */
  connected(names: ConnectionNames): void {
    this.local = names.local
    this.remote = names.remote
    if (this.stateName === 'SYN-SENT') this.stateName = 'ESTABLISHED'
    this.tell(CONN_CON)
  }

  // ---- up

  private data(chunk: Buffer): void {
    this.sockets.kernelCopied(chunk.length)
    if (this.closing) return this.reset()
    if (this.silent || this.reason !== null) return
    const { q } = this
    const mp = this.unwrapped.length > 0 ? null : esballoc(q.stream.runtime.arena, chunk, released)
    if (mp === null) {
      this.unwrapped.push(chunk)
      this.pause()
      this.sockets.retryLater(q)
    } else if (q.first === null && canputnext(q)) putnext(q, mp)
    else {
      putq(q, mp)
      this.pause()
    }
    // Nobody reads until there is room: what the kernel holds closes the window.
    if (!this.paused && !canputnext(q)) this.pause()
  }

  private pause(): void {
    if (this.paused) return
    this.paused = true
    this.socket.pause()
  }

  /** The read queue's service procedure: there is room above, or a block. */
  serveRead(): void {
    const { q } = this
    while (q.first !== null) {
      if (!canputnext(q)) return
      putnext(q, getq(q)!)
    }
    if (!this.wrapAll()) return
    this.tellEnds()
    if (!this.paused || !canputnext(q)) return
    this.paused = false
    if (!this.socket.destroyed) this.socket.resume()
  }

  /** @returns false if there is still no block, or no room */
  private wrapAll(): boolean {
    const { unwrapped, q } = this
    while (unwrapped.length > 0) {
      if (!canputnext(q)) return false
      const mp = esballoc(q.stream.runtime.arena, unwrapped[0]!, released)
      if (mp === null) {
        this.sockets.retryLater(q)
        return false
      }
      unwrapped.shift()
      putnext(q, mp)
    }
    return true
  }

  private ended(): void {
    if (this.stateName === 'ESTABLISHED') this.stateName = 'CLOSE-WAIT'
    else if (this.stateName === 'FIN-WAIT-1' || this.stateName === 'FIN-WAIT-2') this.stateName = 'TIME-WAIT'
    this.tell(ORDREL_IND)
  }

  private tell(primitive: number): void {
    if (this.closing || this.silent) return
    this.ends.push(primitive)
    this.tellEnds()
  }

  private tellEnds(): void {
    const { arena } = this.q.stream.runtime
    const { ends, q } = this
    while (ends.length > 0 && !this.silent) {
      const kind = ends[0]!
      // Behind the data, but for the opening.
      if (kind !== CONN_CON && (q.first !== null || this.unwrapped.length > 0)) return
      const mp = kind === 0 ? makeDisconnect(arena, this.reason!) : makePrimitive(arena, kind)
      if (mp === null) return this.sockets.retryLater(q)
      ends.shift()
      putnext(q, mp)
    }
  }

  /** Node is done with the socket. */
  private closed(): void {
    this.sockets.remove(this.socket)
    this.outbox.clear()
    const error =
      this.error ?? (this.orderly ? null : new StackError('ERR_CONN_RESET', 'the connection broke'))
    this.over(error === null ? 'done' : closeReasonOf(error), error)
  }

  private get orderly(): boolean {
    return this.socket.readableEnded && this.socket.writableFinished
  }

  private over(reason: CloseReason, error: StackError | null): void {
    if (this.reason !== null) return
    this.reason = reason
    this.error = error
    this.stateName = 'CLOSED'
    if (this.closing) return
    // Nothing is sent any more: whoever waits for room may come and hear it.
    flushq(this.q.other, FLUSHALL)
    this.release()
    this.tell(0)
  }

  // ---- down

  private get maySend(): boolean {
    return this.reason === null && !this.endAsked
  }

  private get isFull(): boolean {
    return this.outbox.bytes >= (this.settings.sendBytes || SEND_HIWAT)
  }

  /** @param mp - consumed: M_DATA, an ORDREL_REQ or an URGENT_REQ */
  write(mp: Mblk): void {
    const wq = this.q.other
    if (!this.maySend) freemsg(mp)
    else if (wq.first === null && (mp.type !== M_DATA || !this.isFull)) this.take(mp)
    else putq(wq, mp)
  }

  /** @param mp - consumed */
  private take(mp: Mblk): void {
    if (mp.type === M_DATA) {
      this.outbox.put(mp, messageBytes(mp))
      this.gather()
      if (this.isFull && !this.held && !this.closing) {
        this.held = true
        holdq(this.q.other)
      }
      return
    }
    // Urgency is a hint, which the kernel's sockets have no call for in Node.
    if (primitiveOf(mp) === ORDREL_REQ) this.askEnd()
    freemsg(mp)
  }

  private gather(): void {
    if (this.gathering) return
    this.gathering = true
    this.sockets.loop.gathers(this)
  }

  flush(): void {
    this.gathering = false
    if (this.socket.destroyed) return this.outbox.clear()
    this.outbox.flush()
    if (!this.endAsked || this.endSent) return
    this.endSent = true
    this.socket.end()
  }

  /** The kernel took a part of what was written. */
  private drained(): void {
    const { q } = this
    if (this.held && this.outbox.bytes < (this.settings.sendBytes || SEND_HIWAT) / 2) {
      this.release()
      if (q.other.first !== null) qenable(q.other)
    }
    this.sockets.feed()
  }

  private release(): void {
    if (!this.held) return
    this.held = false
    releaseq(this.q.other)
  }

  /** The write queue's service procedure: there is room. */
  serveWrite(): void {
    const wq = this.q.other
    while (wq.first !== null) {
      const mp = getq(wq)!
      if (!this.maySend) freemsg(mp)
      else if (mp.type === M_DATA && this.isFull) {
        putbq(wq, mp)
        return
      } else this.take(mp)
    }
  }

  private askEnd(): void {
    if (this.endAsked) return
    this.endAsked = true
    if (this.stateName === 'ESTABLISHED') this.stateName = 'FIN-WAIT-1'
    else if (this.stateName === 'CLOSE-WAIT') this.stateName = 'LAST-ACK'
    this.gather()
  }

  shutdownNow(): boolean {
    const wq = this.q.other
    if (wq.first !== null || this.q.stream.top.other.next !== wq) return false
    if (this.reason === null) this.askEnd()
    return true
  }

  // ---- the end

  abort(): void {
    if (this.reason !== null) return
    this.reset()
    this.over('aborted', new StackError('ERR_CONN_ABORTED', 'this side aborted the connection'))
  }

  private reset(): void {
    const { socket } = this
    if (socket.destroyed) return
    // Of an opening nothing is to be reset: the kernel forgets it.
    if (socket.connecting) socket.destroy()
    else socket.resetAndDestroy()
    this.outbox.clear()
  }

  /** The program closed its stream: what waits to be sent goes on. */
  close(): void {
    const { q, socket } = this
    this.silent = true
    if (this.reason !== null) return
    // RFC 2525 §2.17: a peer whose data was not read gets a reset. The head's queue is freed right after this.
    const unread = q.first !== null || this.unwrapped.length > 0 || socket.readableLength > 0
    this.unwrapped.length = 0
    if (unread || q.stream.top.first?.type === M_DATA) return this.abort()
    this.closing = true
    for (let mp = getq(q.other); mp !== null; mp = getq(q.other)) this.take(mp)
    this.reason = 'done'
    this.stateName = 'CLOSED'
    if (socket.connecting && this.outbox.bytes === 0) return this.reset()
    // The kernel does the rest without us, and answers with a reset what comes then.
    if (socket.writableFinished) socket.destroy()
    else socket.once('finish', () => socket.destroy())
    this.endAsked = true
    if (!this.endSent) this.gather()
    if (this.paused) socket.resume()
  }

  // ---- what the program asks

  change(given: Partial<ConnectionSettings>): void {
    const before = this.settings
    this.settings = readSettings(given, before)
    if (this.reason !== null) return
    applySettings(this.socket, before, this.settings)
    const { receiveBytes } = this.settings
    this.q.stream.setReadLimits(receiveBytes || HEAD_HIWAT, receiveBytes || HEAD_HIWAT)
    if (!this.isFull) this.drained()
  }

  info(): TcpInfo | null {
    return null
  }

  retryLater(q: AnyQueue): void {
    this.sockets.retryLater(q)
  }

  describe(): object {
    return {
      state: this.stateName,
      over: this.reason,
      unreadBytes: this.q.next?.forward.count ?? 0,
      waitingToSendBytes: this.q.other.count + this.outbox.bytes,
      settings: this.settings,
    }
  }
}

/** Node's memory is the garbage collector's. */
function released(): void {}
