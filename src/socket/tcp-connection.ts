/**
 * TCP without copies: a connection as a program has it, one level below `net.Socket`. What comes in is
 * handed over as the message that it is, and belongs to the program until it frees it or sends it on.
 *
 * All callbacks are called by the run queue, with the connection as `this`, never from within a call of the program's. What a program does not read
 * stays where it is and closes the window: that is how it pauses.
 */
import { StackError } from '../base/errors.ts'
import { closeError } from '../inet/tcp/connection.ts'
import type { ConnectOptions } from '../inet/tcp/control.ts'
import type { ConnectionEnd } from '../inet/tcp/ends.ts'
import type { CloseReason } from '../inet/tcp/host.ts'
import type { TcpInfo } from '../inet/tcp/info.ts'
import {
  CONN_CON,
  DISCON_IND,
  makePrimitive,
  ORDREL_IND,
  ORDREL_REQ,
  primitiveOf,
  TROUBLE_IND,
  troubleCode,
  URGENT_IND,
  URGENT_REQ,
} from '../inet/tcp/primitives.ts'
import type { ConnectionSettings } from '../inet/tcp/settings.ts'
import type { StateName } from '../inet/tcp/states.ts'
import type { SocketName } from '../inet/udp/endpoint.ts'
import { esballoc, freemsg } from '../streams/mblk/alloc.ts'
import { HEADROOM_BYTES } from '../streams/mblk/arena.ts'
import type { Holder, Mblk } from '../streams/mblk/mblk.ts'
import { adjmsg, dropEmptyHead, messageBytes } from '../streams/mblk/message.ts'
import { messageFrom, readMessage } from '../streams/mblk/pullup.ts'
import { M_DATA } from '../streams/mblk/types.ts'
import type { AnyDriver } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import { canputnext, getq, putbq, qenable } from '../streams/queue.ts'
import type { Runtime } from '../streams/runtime.ts'
import { type OpenOptions, Stream } from '../streams/stream.ts'
import type { Program } from '../streams/stream-head.ts'
import { checkMessage, checkOwned } from './tcp-arguments.ts'
import { openTcp } from './tcp-open.ts'
import { rethrow } from './uncaught.ts'

/** Bytes that {@link TcpConnection.write} copies into one message. */
const WRITE_BYTES = 64 * 1024
/** Who has what {@link TcpConnection.getmsg} gave away, for whoever looks for blocks that did not come home. */
const PROGRAM: Holder = { holderName: 'a program that took it with getmsg' }

export class TcpConnection implements Program {
  /** For plumbing: modules may be pushed on it while it lives. */
  readonly stream: Stream
  /** Bytes of data taken by {@link getmsg} and {@link fill}. */
  bytesRead = 0
  /** Bytes of data taken over by {@link putmsg}, {@link write} and {@link sendOwned}. */
  bytesWritten = 0
  /** The peer's data ended, and all of it was taken. */
  ended = false
  /** Called once, when the handshake of {@link connect} is complete. */
  onConnect: (() => void) | null = null
  /** Called when a write that was refused, or taken in part, may go on. */
  onWritable: (() => void) | null = null
  /** Called once, when the peer's data ended in order and all of it was taken. This side may go on sending. */
  onEnd: (() => void) | null = null
  /**
   * Called once when it is over, after the data that came before was taken, and not after {@link close} or {@link abort}. `error` is
   * null for `done`, else what a program would have seen (`ERR_CONN_RESET`, `ERR_CONN_REFUSED`, `ERR_TIMED_OUT`, …). The stream is still to be closed.
   */
  onClosed: ((reason: CloseReason, error: StackError | null) => void) | null = null
  /** Called when the peer announces urgent data (RFC 6093): {@link urgentAhead} says where it ends. */
  onUrgent: (() => void) | null = null
  /**
   * Called when something goes wrong that does not end the connection (RFC 9293 §3.9.1.8), once until the peer acknowledges
   * something: `ERR_TIMED_OUT` when what was sent was not acknowledged for several timeouts (`r1Retries`), `ERR_HOST_UNREACHABLE` and
   * the like when ICMP says so. Not with the setting `troubleReports` off.
   */
  onTrouble: ((error: StackError, code: number) => void) | null = null
  private dataCallback: (() => void) | null = null
  private readonly connection: ConnectionEnd
  /** {@link shutdown} was called. */
  private shut = false

  private constructor(stream: Stream) {
    this.stream = stream
    this.connection = stream.bottom.state as ConnectionEnd
    stream.program = this
  }

  /**
   * Begins to connect; {@link onConnect} or {@link onClosed} tells how it went. What is written before waits.
   * @throws StackError `ERR_BAD_ADDRESS`, `ERR_BAD_ARGUMENT`, `ERR_ADDR_NOT_AVAILABLE` (no such local address, or no port left),
   * `ERR_ADDR_IN_USE`, `ERR_NETWORK_UNREACHABLE`, `ERR_NO_BUFFERS` (too many connections), `ERR_NETWORK_DOWN` (the stack is closed)
   */
  static connect(runtime: Runtime, options: ConnectOptions): TcpConnection {
    return new TcpConnection(openTcp(runtime, { options: { connect: options } }))
  }

  /** For `TcpListener`. @param driver - of its stream, with a connection that waits */
  static accepted(runtime: Runtime, driver: AnyDriver, options: OpenOptions): TcpConnection {
    return new TcpConnection(Stream.open(runtime, driver, options))
  }

  /** `CLOSED` once it is over; see RFC 9293 §3.3.2. */
  get state(): StateName {
    return this.connection.stateName
  }

  /**
   * This side's name; of family 4 for IPv4, also where the listener takes both families (node:net shows it v4-mapped there:
   * compare with the listener's `local.family`).
   */
  get local(): SocketName {
    return this.connection.local
  }

  get remote(): SocketName {
    return this.connection.remote
  }

  /** Why it ended, known before {@link onClosed} is called, which waits until the data in front was read; null while it lives. */
  get closeReason(): CloseReason | null {
    return this.connection.reason
  }

  /** Called when data waits and none did when it was last called, or when the callback is set: take all of it, or pause. */
  set onReadable(callback: (() => void) | null) {
    this.dataCallback = callback
    if (callback !== null && this.stream.top.first !== null) qenable(this.stream.top)
  }

  // ---- reading

  /**
   * Takes the next data, without a copy.
   * @returns an owned chain of M_DATA blocks, or null if none waits
   */
  getmsg(): Mblk | null {
    const { top } = this.stream
    if (top.first !== null && top.first.type !== M_DATA) {
      // An event, not data: the run queue tells it.
      qenable(top)
      return null
    }
    const mp = getq(top)
    if (mp === null) return null
    // Whoever takes a fixed number may stop at the last message without asking for one more: the next must wake it.
    if (top.first === null) top.wantsReader = true
    this.bytesRead += messageBytes(mp)
    for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont) bp.at = PROGRAM
    return mp
  }

  /**
   * Copies data that waits into the caller's memory; the rest stays.
   * @returns bytes copied; 0 if none wait
   */
  fill(into: Uint8Array, offset: number, length: number): number {
    let done = 0
    while (done < length) {
      const mp = this.getmsg()
      if (mp === null) break
      const size = messageBytes(mp)
      const part = Math.min(size, length - done)
      readMessage(mp, 0, into, offset + done, part, 'edge')
      done += part
      if (part === size) freemsg(mp)
      else {
        this.bytesRead -= size - part
        adjmsg(mp, part)
        putbq(this.stream.top, dropEmptyHead(mp))
      }
    }
    return done
  }

  /** Bytes that are still to be read until the end of the peer's urgent data; 0 if none is announced (RFC 9293 MUST-33). */
  get urgentAhead(): number {
    return this.connection.urgentAhead
  }

  // ---- writing

  /**
   * Sends a message, without a copy. Its blocks stay in use until the peer has acknowledged them.
   * @param mp - a chain of M_DATA; consumed if the answer is true, still the caller's if it is false: wait for {@link onWritable}
   * @throws StackError if this direction was shut down or the connection is over; `mp` is freed then. TypeError `ERR_INVALID_ARG_TYPE` for
   * what is no message
   */
  putmsg(mp: Mblk): boolean {
    checkMessage(mp)
    const refusal = this.refusal
    if (refusal !== null) {
      freemsg(mp)
      throw refusal
    }
    const size = messageBytes(mp)
    if (!this.stream.putmsg(mp)) return false
    this.bytesWritten += size
    return true
  }

  /**
   * Copies bytes in and sends them.
   * @returns bytes taken; if fewer than given, wait for {@link onWritable}
   * @throws StackError as {@link putmsg}
   */
  write(bytes: Uint8Array): number {
    const { stream, refusal } = this
    if (refusal !== null) throw refusal
    const { arena } = stream.runtime
    let done = 0
    while (done < bytes.length && canputnext(stream.top.other)) {
      const part = Math.min(WRITE_BYTES, bytes.length - done)
      const mp = arena.spares(part + HEADROOM_BYTES)
        ? messageFrom(arena, bytes, done, done + part, 'edge')
        : null
      if (mp === null) {
        this.connection.retryLater(stream.top.other)
        break
      }
      done += part
      stream.putmsg(mp)
    }
    this.bytesWritten += done
    return done
  }

  /**
   * Sends the caller's memory as it lies, without a copy.
   * @param bytes - not to be changed until `onReleased` was called
   * @param onReleased - called once, when the peer has acknowledged them or the connection is over; not if the answer is false. It must not throw
   * @returns false if there is no room: wait for {@link onWritable}
   * @throws StackError as {@link putmsg}; `onReleased` was called then. TypeError `ERR_INVALID_ARG_TYPE`, at once
   */
  sendOwned(bytes: Uint8Array, onReleased: (bytes: Uint8Array) => void): boolean {
    checkOwned(bytes, onReleased)
    const { stream } = this
    if (this.refusal === null && !canputnext(stream.top.other)) return false
    const mp = esballoc(stream.runtime.arena, bytes, onReleased)
    if (mp !== null) return this.putmsg(mp)
    this.connection.retryLater(stream.top.other)
    return false
  }

  /**
   * Writes bytes of which the last one ends urgent data (RFC 6093; RFC 9293 MUST-30): all that is in front of it is announced
   * as urgent. Nothing overtakes anything. If not all is taken, the rest is the caller's to write so again.
   * @returns bytes taken; @throws StackError as {@link putmsg}
   */
  writeUrgent(bytes: Uint8Array): number {
    const { stream } = this
    const done = this.write(bytes)
    if (done === 0) return 0
    const mp = makePrimitive(stream.runtime.arena, URGENT_REQ)
    // Urgency is a hint: without a block for it the data goes as any other.
    if (mp !== null) putnext(stream.top.other, mp)
    return done
  }

  /** Why nothing can be written; null if it can. */
  private get refusal(): StackError | null {
    const { stream, connection } = this
    if (stream.isClosed) return new StackError('ERR_STREAM_CLOSED', 'the connection was closed')
    if (this.shut) return new StackError('ERR_STREAM_CLOSED', 'this direction was shut down')
    if (connection.reason === null) return null
    return connection.error ?? new StackError('ERR_STREAM_CLOSED', 'the connection is over')
  }

  /**
   * Ends this side's data, in order behind what was written; reading goes on. Twice is harmless.
   * @throws StackError `ERR_NO_BUFFERS` if a module is pushed and no block is left to tell it: try again
   */
  shutdown(): void {
    const { stream, connection } = this
    if (this.shut || stream.isClosed) return
    if (!connection.shutdownNow()) {
      const mp = makePrimitive(stream.runtime.arena, ORDREL_REQ)
      if (mp === null) throw new StackError('ERR_NO_BUFFERS', 'shutdown: no block left')
      putnext(stream.top.other, mp)
    }
    this.shut = true
  }

  // ---- the end

  /**
   * Gives the connection up: what was written still goes out, then a FIN; a peer whose data was not read gets a reset
   * (RFC 2525 §2.17). No callback follows. Twice is harmless.
   */
  close(): void {
    this.stream.close()
  }

  /** Resets it, and closes. */
  abort(): void {
    if (this.stream.isClosed) return
    this.connection.silent = true
    this.connection.abort()
    this.stream.close()
  }

  /** Changes settings; those not named stay. @throws StackError `ERR_BAD_ARGUMENT`, and nothing has changed then */
  set(settings: Partial<ConnectionSettings>): void {
    this.connection.change(settings)
  }

  get settings(): ConnectionSettings {
    return this.connection.settings
  }

  /** As Linux's TCP_INFO; null once it is over, and where it must be asked for: `stream.ioctl('tcp.info')` answers everywhere. */
  info(): TcpInfo | null {
    return this.connection.info()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  // ---- what the stream head calls; not for programs

  /** Hands data to the program, and tells what stands between it. */
  readable(): void {
    const { stream } = this
    const { top } = stream
    while (top.first !== null && !stream.isClosed) {
      if (top.first.type !== M_DATA) {
        this.tell(getq(top)!)
        continue
      }
      if (this.dataCallback === null) return
      this.dataCallback()
      // It pauses.
      if (top.first?.type === M_DATA) return
    }
    top.wantsReader = true
  }

  /** @param mp - consumed */
  private tell(mp: Mblk): void {
    const primitive = primitiveOf(mp)
    if (primitive === TROUBLE_IND) return this.tellTrouble(mp)
    freemsg(mp)
    switch (primitive) {
      case CONN_CON:
        return this.onConnect?.()
      case ORDREL_IND:
        this.ended = true
        return this.onEnd?.()
      case URGENT_IND:
        return this.onUrgent?.()
      case DISCON_IND:
        return this.onClosed?.(this.connection.reason!, this.connection.error)
    }
  }

  /** @param mp - consumed */
  private tellTrouble(mp: Mblk): void {
    const code = troubleCode(mp)
    freemsg(mp)
    if (this.onTrouble !== null) this.onTrouble(closeError('timed-out', code)!, code)
  }

  writable(): void {
    this.onWritable?.()
  }

  /** A module on the stream failed, or the stack is gone. */
  down(): void {
    const { error } = this.stream.poll()
    this.connection.silent = true
    this.connection.abort()
    this.onClosed?.('aborted', error ?? new StackError('ERR_HANGUP', 'the stack was closed'))
  }

  control(mp: Mblk): void {
    freemsg(mp)
  }

  uncaught(error: unknown): void {
    rethrow(error)
  }
}
