/**
 * A socket of a script: what the calls of socket(7) do to a {@link TcpConnection} or a {@link TcpListener}, with the errors
 * that Linux gives. Calls that may wait are attempts: asked again whenever something happened, null while they have to wait.
 */

import type { CloseReason } from '../../inet/tcp/host.ts'
import type { TcpInfo } from '../../inet/tcp/info.ts'
import { CONNECTION_SETTINGS, type ConnectionSettings } from '../../inet/tcp/settings.ts'
import { TcpConnection, type TcpConnectOptions, TcpListener } from '../../socket/tcp-endpoint.ts'
import type { Runtime } from '../../streams/index.ts'
import type { Attempt, CallResult } from './call.ts'
import { asErrno, Errno, errnoOf } from './errno.ts'
import { patternBytes } from './packet-encode.ts'
import {
  connectionEvents,
  listenerEvents,
  NEVER_CONNECTED,
  type PollEvent,
  type QueueRequest,
  queueBytes,
} from './socket-look.ts'

type Phase = 'idle' | 'listening' | 'connecting' | 'connected'

/** Why a connection ended, as the error that the next call sees; null where it ended in order. */
const REASON_ERRNO: Readonly<Record<CloseReason, string | null>> = {
  done: null,
  refused: 'ECONNREFUSED',
  reset: 'ECONNRESET',
  'timed-out': 'ETIMEDOUT',
  unreachable: 'EHOSTUNREACH',
  aborted: 'ECONNABORTED',
  'no-memory': 'ENOBUFS',
}

const DONE: CallResult = { value: 0 }

export interface Name {
  readonly address: string
  readonly port: number
}

export class ScriptSocket {
  readonly family: 4 | 6
  nonblock: boolean
  /** What differs from the stack's own. */
  settings: Partial<ConnectionSettings> = {}
  bound: Name | null = null
  connection: TcpConnection | null = null
  listener: TcpListener | null = null
  reuseAddress = false
  reusePort = false
  ipv6Only = false
  /** SO_LINGER: milliseconds, null for off. */
  lingerMs: number | null = null
  /** SO_RCVTIMEO, SO_SNDTIMEO: microseconds, 0 for ever. */
  receiveTimeoutUs = 0
  sendTimeoutUs = 0
  private phase: Phase = 'idle'
  private readShut = false
  /** The asynchronous error that the next call is told, once. */
  private error: Errno | null = null
  private errorTold = false
  /** A connect that did not wait has not been told yet that it is done. */
  private untoldConnect = false
  private readonly runtime: Runtime
  /** Place in the stream of test data of what is written by size, and of what was read. */
  private written = 0
  readPlace = 0

  constructor(runtime: Runtime, family: 4 | 6, nonblock: boolean) {
    this.runtime = runtime
    this.family = family
    this.nonblock = nonblock
  }

  /** @param settings - of the listener that it was accepted from */
  static accepted(
    runtime: Runtime,
    from: ScriptSocket,
    connection: TcpConnection,
    nonblock: boolean,
  ): ScriptSocket {
    const socket = new ScriptSocket(runtime, from.family, nonblock)
    socket.settings = from.settings
    socket.phase = 'connected'
    socket.attach(connection)
    return socket
  }

  get isListening(): boolean {
    return this.phase === 'listening'
  }

  get isConnecting(): boolean {
    return this.phase === 'connecting'
  }

  /** A connection that is, or was, established. */
  get isConnected(): boolean {
    return this.phase === 'connected'
  }

  private attach(connection: TcpConnection): void {
    this.connection = connection
    this.error = null
    this.errorTold = false
    connection.onConnect = () => {
      this.phase = 'connected'
    }
    connection.onClosed = (reason, error) => {
      if (error !== null) this.error = errnoOf(error)
      else if (REASON_ERRNO[reason] !== null) this.error = new Errno(REASON_ERRNO[reason]!, reason)
    }
  }

  describe(): Record<string, unknown> {
    const { phase, family, nonblock } = this
    const state = this.connection?.state ?? (phase === 'listening' ? 'LISTEN' : 'CLOSED')
    return { family, phase, state, nonblock, local: this.localName() }
  }

  // ---- names

  bind(address: string, port: number): CallResult {
    if (this.bound !== null || this.phase !== 'idle') throw new Errno('EINVAL', 'bound already')
    this.bound = { address, port }
    return DONE
  }

  localName(): Name {
    const name = this.connection?.local ?? this.listener?.local
    if (name !== undefined) return { address: name.address, port: name.port }
    return this.bound ?? { address: this.family === 4 ? '0.0.0.0' : '::', port: 0 }
  }

  remoteName(): Name {
    if (this.connection === null || this.phase !== 'connected' || this.isOver)
      throw new Errno('ENOTCONN', 'not connected')
    const { address, port } = this.connection.remote
    return { address, port }
  }

  // ---- opening

  listen(backlog: number): CallResult {
    if (this.phase === 'listening') return DONE
    if (this.phase !== 'idle') throw new Errno('EINVAL', 'a connected socket does not listen')
    const { address, port } = this.localName()
    this.listener = asErrno(() =>
      TcpListener.open(this.runtime, {
        address,
        port,
        // Linux's listen takes one more connection than it says.
        backlog: Math.max(1, backlog + 1),
        ipv6Only: this.ipv6Only,
        reuseAddress: this.reusePort,
        settings: this.settings,
      }),
    )
    this.phase = 'listening'
    return DONE
  }

  accept(make: (connection: TcpConnection) => CallResult): Attempt {
    return () => {
      if (this.listener === null) throw new Errno('EINVAL', 'not listening')
      const connection = this.listener.accept()
      return connection === null ? null : make(connection)
    }
  }

  connect(address: string, port: number, waits: boolean): Attempt {
    if (this.phase === 'listening') throw new Errno('EISCONN', 'a listening socket')
    if (this.phase === 'connected') return this.toldConnected()
    const isNew = this.phase === 'idle'
    if (isNew) this.begin(address, port)
    this.untoldConnect = !waits
    return () => {
      if (this.phase === 'connected') {
        this.untoldConnect = false
        return DONE
      }
      this.throwError()
      if (!waits) throw new Errno(isNew ? 'EINPROGRESS' : 'EALREADY', 'the handshake is on its way')
      return null
    }
  }

  /** connect(2) on a socket that is connected: told once if an earlier call did not wait for it. */
  private toldConnected(): Attempt {
    const untold = this.untoldConnect
    this.untoldConnect = false
    if (!untold) throw new Errno('EISCONN', 'connected already')
    return () => DONE
  }

  private begin(address: string, port: number): void {
    const { bound } = this
    const options: TcpConnectOptions = {
      address,
      port,
      settings: this.settings,
      ...(bound === null || isWildcard(bound.address) ? {} : { localAddress: bound.address }),
      ...(bound === null ? {} : { localPort: bound.port }),
    }
    const connection = asErrno(() => TcpConnection.connect(this.runtime, options))
    this.phase = 'connecting'
    this.attach(connection)
  }

  // ---- errors

  /** Whether the connection has ended, and nothing of it waits to be read. */
  get isOver(): boolean {
    return this.connection !== null && this.connection.closeReason !== null
  }

  /** Takes the asynchronous error; null if there is none, or it was told before. */
  takeError(): Errno | null {
    const reason = this.connection?.closeReason ?? null
    if (this.errorTold || this.connection === null || reason === null) return null
    const name = REASON_ERRNO[reason]
    const error = this.error ?? (name === null ? null : new Errno(name, reason))
    this.errorTold = true
    this.untoldConnect = false
    if (this.phase === 'connecting') this.disconnected()
    return error
  }

  /** An attempt to connect failed: the socket may try again. */
  private disconnected(): void {
    this.connection?.close()
    this.connection = null
    this.phase = 'idle'
  }

  private throwError(): void {
    const error = this.takeError()
    if (error !== null) throw error
  }

  // ---- data

  /** @param into - where bytes go, from `at` on; the attempt is over when some came */
  receive(into: Uint8Array, at: number): number | 'end' | null {
    const { connection } = this
    if (this.phase === 'idle' || this.phase === 'listening' || connection === null) {
      this.throwError()
      throw new Errno('ENOTCONN', 'not connected')
    }
    if (this.readShut) return 'end'
    if (this.phase === 'connected') {
      const count = connection.fill(into, at, into.length - at)
      if (count > 0) return count
    }
    this.throwError()
    if (connection.ended || this.isOver) return 'end'
    return null
  }

  /**
   * Sends as many of the bytes as there is room for.
   * @param urgent - the last byte is urgent (MSG_OOB); @param more - hold back what is no full segment (MSG_MORE)
   * @returns how many; 0: it has to wait
   */
  send(bytes: Uint8Array, urgent: boolean, more: boolean): number {
    const { connection } = this
    this.throwError()
    if (this.phase === 'connecting') return 0
    if (this.phase !== 'connected' || connection === null || this.isOver)
      throw new Errno('EPIPE', 'not connected')
    const taken = asErrno(() => (urgent ? connection.writeUrgent(bytes) : connection.write(bytes)))
    // What MSG_MORE holds back the next write without it lets go; nothing has left yet.
    const cork = more || this.settings.cork === true
    if (taken > 0 && cork !== connection.settings.cork) connection.set({ cork })
    return taken
  }

  /** An error came when part of a call was done: the next one is told. */
  untake(error: Errno): void {
    this.error = error
    this.errorTold = false
  }

  /** Bytes of test data that go on where the last ones of this socket ended. */
  nextBytes(length: number): Uint8Array {
    return patternBytes(length, this.written)
  }

  /** @param length - bytes of {@link nextBytes} that were sent */
  usedBytes(length: number): void {
    this.written += length
  }

  // ---- ending

  /** Linux's inet_shutdown: a listener that stops reading stops listening, an attempt to connect is given up. */
  shutdown(how: 'rd' | 'wr' | 'rdwr'): CallResult {
    if (this.phase === 'listening') {
      if (how === 'wr') return DONE
      this.listener?.close()
      this.listener = null
      this.phase = 'idle'
      return DONE
    }
    if (this.phase === 'connecting') {
      this.connection?.abort()
      this.disconnected()
      return DONE
    }
    if (this.connection === null || this.isOver) throw new Errno('ENOTCONN', 'not connected')
    if (how !== 'wr') this.readShut = true
    if (how !== 'rd') this.connection.shutdown()
    return DONE
  }

  /** close(2); with SO_LINGER the attempt waits until everything was acknowledged, or nobody does any more. */
  close(): Attempt {
    const { connection, lingerMs } = this
    this.listener?.close()
    if (connection === null) return () => DONE
    if (lingerMs === 0) connection.abort()
    else if (lingerMs === null || this.phase !== 'connected' || this.isOver) connection.close()
    else {
      connection.shutdown()
      return () => {
        if (!this.isOver && !FIN_ACKNOWLEDGED.includes(connection.state)) return null
        connection.close()
        return DONE
      }
    }
    return () => DONE
  }

  /** Gives up what still waits, as the end of a process does. */
  drop(): void {
    this.connection?.close()
    this.listener?.close()
  }

  // ---- looking

  /** What poll(2) would say. */
  poll(): PollEvent[] {
    const { connection, listener } = this
    if (listener !== null) return listenerEvents(listener)
    if (connection === null) return NEVER_CONNECTED
    const ended = connection.ended || this.isOver || this.readShut
    const failed = this.isOver && !this.errorTold && REASON_ERRNO[connection.closeReason!] !== null
    return connectionEvents(connection, { connected: this.phase === 'connected', ended, failed })
  }

  /** As the ioctls of tcp(7). @throws Errno EINVAL on a socket that listens */
  ioctl(request: QueueRequest): number {
    if (this.phase === 'listening') throw new Errno('EINVAL', 'a listening socket has no data')
    return this.connection === null ? 0 : queueBytes(this.connection, request)
  }

  /** The snapshot of a connection; of a socket without one the state alone. */
  info(): Partial<TcpInfo> {
    if (this.connection === null) return { state: this.phase === 'listening' ? 'LISTEN' : 'CLOSED' }
    return this.connection.info() ?? { state: this.connection.state }
  }

  /** Changes settings, of the connection too if there is one. @throws Errno */
  set(settings: Partial<ConnectionSettings>): void {
    asErrno(() => this.connection?.set(settings))
    this.settings = { ...this.settings, ...settings }
  }

  get effective(): ConnectionSettings {
    if (this.connection !== null && !this.isOver) return this.connection.settings
    return { ...CONNECTION_SETTINGS, ...this.settings }
  }
}

const FIN_ACKNOWLEDGED: readonly string[] = ['FIN-WAIT-2', 'TIME-WAIT', 'CLOSED']

const isWildcard = (address: string): boolean => address === '0.0.0.0' || address === '::'
