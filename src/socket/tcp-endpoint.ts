/**
 * TCP without copies: connections and listeners as a program has them, one level below `net.Socket`. What comes in is
 * handed over as the message that it is, and belongs to the program until it frees it or sends it on.
 *
 * All callbacks are called by the run queue, never from within a call of the program's. What a program does not read
 * stays where it is and closes the window: that is how it pauses.
 */
import type { StackError } from '../base/errors.ts'
import type { CloseReason } from '../inet/tcp/host.ts'
import type { TcpInfo } from '../inet/tcp/info.ts'
import type { ConnectionSettings } from '../inet/tcp/settings.ts'
import type { StateName } from '../inet/tcp/states.ts'
import type { SocketName } from '../inet/udp/endpoint.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { Stream } from '../streams/stream.ts'

export interface TcpConnectOptions {
  /** An IP address; names are somebody else's business. A v4-mapped address is the IPv4 address that it maps. */
  readonly address: string
  readonly port: number
  /** One of the stack's addresses; IP chooses by default. */
  readonly localAddress?: string
  /** 0, the default: chosen by RFC 6056. */
  readonly localPort?: number
  readonly settings?: Partial<ConnectionSettings>
}

export interface TcpListenOptions {
  /** `::` by default, which takes IPv4 too unless `ipv6Only`; `0.0.0.0` takes IPv4 alone. */
  readonly address?: string
  /** 0: chosen. */
  readonly port: number
  /** Connections that may wait for {@link TcpListener.accept}; 511 by default. */
  readonly backlog?: number
  readonly ipv6Only?: boolean
  readonly reuseAddress?: boolean
  /** What connections that are accepted begin with. */
  readonly settings?: Partial<ConnectionSettings>
}

export class TcpConnection {
  /** For plumbing: modules may be pushed on it while it lives. */
  readonly stream: Stream
  /** Bytes of data taken by {@link getmsg} and {@link fill}. */
  bytesRead = 0
  /** Bytes of data taken over by {@link putmsg}, {@link write} and {@link sendOwned}. */
  bytesWritten = 0

  private constructor(stream: Stream) {
    this.stream = stream
  }

  /**
   * Begins to connect; {@link onConnect} or {@link onClosed} tells how it went. What is written before waits.
   * @throws StackError `ERR_BAD_ADDRESS`, `ERR_BAD_ARGUMENT`, `ERR_ADDR_NOT_AVAILABLE` (no such local address, or no port left),
   * `ERR_ADDR_IN_USE`, `ERR_NETWORK_UNREACHABLE`, `ERR_NO_BUFFERS` (too many connections), `ERR_PLUMBING` (no stack)
   */
  static connect(_runtime: Runtime, _options: TcpConnectOptions): TcpConnection {
    throw new Error('not yet')
  }

  /** `CLOSED` once it is over; see RFC 9293 §3.3.2. */
  get state(): StateName {
    throw new Error('not yet')
  }

  /**
   * This side's name; of family 4 for IPv4, also where the listener takes both families (node:net shows it v4-mapped there:
   * compare with the listener's `local.family`).
   */
  get local(): SocketName {
    throw new Error('not yet')
  }

  get remote(): SocketName {
    throw new Error('not yet')
  }

  /** Why it ended, known before {@link onClosed} is called, which waits until the data in front was read; null while it lives. */
  get closeReason(): CloseReason | null {
    throw new Error('not yet')
  }

  /** The peer's data ended, and all of it was taken. */
  get ended(): boolean {
    throw new Error('not yet')
  }

  /** Called once, when the handshake of {@link connect} is complete. */
  set onConnect(_callback: (() => void) | null) {
    throw new Error('not yet')
  }

  /** Called when data waits and none did when it was last called, or when the callback is set: take all of it, or pause. */
  set onReadable(_callback: (() => void) | null) {
    throw new Error('not yet')
  }

  /** Called when a write that was refused, or taken in part, may go on. */
  set onWritable(_callback: (() => void) | null) {
    throw new Error('not yet')
  }

  /** Called once, when the peer's data ended in order and all of it was taken. This side may go on sending. */
  set onEnd(_callback: (() => void) | null) {
    throw new Error('not yet')
  }

  /**
   * Called once when it is over, after the data that came before was taken, and not after {@link close} or {@link abort}. `error` is
   * null for `done`, else what a program would have seen (`ERR_CONN_RESET`, `ERR_CONN_REFUSED`, `ERR_TIMED_OUT`, …). The stream is still to be closed.
   */
  set onClosed(_callback: ((reason: CloseReason, error: StackError | null) => void) | null) {
    throw new Error('not yet')
  }

  /**
   * Takes the next data, without a copy.
   * @returns an owned chain of M_DATA blocks, or null if none waits
   */
  getmsg(): Mblk | null {
    throw new Error('not yet')
  }

  /**
   * Copies data that waits into the caller's memory; the rest stays.
   * @returns bytes copied; 0 if none wait
   */
  fill(_into: Uint8Array, _offset: number, _length: number): number {
    throw new Error('not yet')
  }

  /**
   * Sends a message, without a copy. Its blocks stay in use until the peer has acknowledged them.
   * @param mp - a chain of M_DATA; consumed if the answer is true, still the caller's if it is false: wait for {@link onWritable}
   * @throws StackError if this direction was shut down or the connection is over; `mp` is freed then
   */
  putmsg(_mp: Mblk): boolean {
    throw new Error('not yet')
  }

  /**
   * Copies bytes in and sends them.
   * @returns bytes taken; if fewer than given, wait for {@link onWritable}
   * @throws StackError as {@link putmsg}
   */
  write(_bytes: Uint8Array): number {
    throw new Error('not yet')
  }

  /**
   * Sends the caller's memory as it lies, without a copy.
   * @param bytes - not to be changed until `onReleased` was called
   * @param onReleased - called once, when the peer has acknowledged them or the connection is over; not if the answer is false. It must not throw
   * @returns false if there is no room: wait for {@link onWritable}
   * @throws StackError as {@link putmsg}; `onReleased` was called then
   */
  sendOwned(_bytes: Uint8Array, _onReleased: (bytes: Uint8Array) => void): boolean {
    throw new Error('not yet')
  }

  /** Ends this side's data, in order behind what was written; reading goes on. Twice is harmless. */
  shutdown(): void {
    throw new Error('not yet')
  }

  /**
   * Gives the connection up: what was written still goes out, then a FIN; a peer whose data was not read gets a reset
   * (RFC 2525 §2.17). No callback follows. Twice is harmless.
   */
  close(): void {
    throw new Error('not yet')
  }

  /** Resets it, and closes. */
  abort(): void {
    throw new Error('not yet')
  }

  /** Changes settings; those not named stay. @throws StackError `ERR_BAD_ARGUMENT`, and nothing has changed then */
  set(_settings: Partial<ConnectionSettings>): void {
    throw new Error('not yet')
  }

  get settings(): ConnectionSettings {
    throw new Error('not yet')
  }

  /** As Linux's TCP_INFO; null once it is over. */
  info(): TcpInfo | null {
    throw new Error('not yet')
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

export class TcpListener {
  readonly stream: Stream

  private constructor(stream: Stream) {
    this.stream = stream
  }

  /**
   * Listens from now on.
   * @throws StackError `ERR_ADDR_IN_USE`, `ERR_ADDR_NOT_AVAILABLE`, `ERR_BAD_ADDRESS`, `ERR_BAD_ARGUMENT`, `ERR_PLUMBING` (no stack)
   */
  static open(_runtime: Runtime, _options: TcpListenOptions): TcpListener {
    throw new Error('not yet')
  }

  /** Where it listens; the port that was chosen, if 0 was asked for. */
  get local(): SocketName {
    throw new Error('not yet')
  }

  /** Called when connections wait and none did when it was last called: accept until null. */
  set onConnection(_callback: (() => void) | null) {
    throw new Error('not yet')
  }

  /** Takes a connection that is established, oldest first; null if none waits. */
  accept(): TcpConnection | null {
    throw new Error('not yet')
  }

  /** Stops listening; connections that nobody accepted are reset, those that were go on. Twice is harmless. */
  close(): void {
    throw new Error('not yet')
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
