/** What a stream socket knows of its connection and of what its program asked for: see `net-socket.ts`. */
import { AsyncResource } from 'node:async_hooks'
import type { Socket } from 'node:net'
import type { SocketHost } from './host.ts'
import type { Connecting } from './net-connect.ts'
import { SocketEvents } from './net-events.ts'
import { type HandleOwner, TcpHandle } from './net-handle.ts'
import { IdleTimer } from './net-timeout.ts'
import { type AcceptOptions, infoOf, type Named, nextBuffer, type OnRead } from './net-types.ts'
import type { TcpConnection } from './tcp-endpoint.ts'

/** As libuv sets them along with the idle time. */
const KEEP = { keepIntervalMs: 1_000, keepProbes: 10 }

/** The async context of whoever loaded this module. */
const root = new AsyncResource('TCPWRAP')

export class SocketState {
  readonly host: SocketHost
  private readonly owner: HandleOwner
  handle: TcpHandle | null = null
  opening: Connecting | null = null
  /** A connection is there, or looked for: node:net has a handle then. */
  isOpen = false
  readonly timer = new IdleTimer()
  readonly onread: OnRead | null
  onMessages: (() => void) | null = null
  /** Bytes of a write that waits for the connection. */
  pendingBytes = 0
  /** Bytes of a write under way when the idle timer last looked; 0 if there is none. */
  lastWaiting = 0
  noDelay: boolean
  keepAlive: boolean
  keepIdleSeconds: number
  private wantsRef = true
  /** IPv4 addresses are shown v4-mapped: the server or the program has IPv6. */
  private mapped = false
  private local: Named | null = null
  private remote: Named | null = null
  private lastBytesRead = 0
  private lastBytesWritten = 0

  /** @param settings - as the program gave them */
  constructor(
    host: SocketHost,
    socket: Socket,
    onread: OnRead | null,
    settings: { noDelay?: unknown; keepAlive?: unknown; keepAliveInitialDelay?: number | undefined },
  ) {
    this.host = host
    this.owner = new SocketEvents(socket, this)
    this.onread = onread
    this.noDelay = Boolean(settings.noDelay)
    this.keepAlive = Boolean(settings.keepAlive)
    this.keepIdleSeconds = secondsOf(settings.keepAliveInitialDelay)
  }

  /** A connection that a server accepted. */
  accept(connection: TcpConnection, options: AcceptOptions): void {
    this.isOpen = true
    this.mapped = options.mapped
    this.noDelay = options.noDelay
    this.keepAlive = options.keepAlive
    this.keepIdleSeconds = options.keepIdleSeconds
    // As node:net: in no context of the program's.
    this.handle = root.runInAsyncScope(() => new TcpHandle(this.host, connection, this.owner, false))
    this.configureIfAsked()
  }

  /** The program wants a connection. @returns whether it had none */
  open(): boolean {
    const { isOpen } = this
    if (!isOpen) {
      this.local = null
      this.remote = null
      this.lastBytesRead = 0
      this.lastBytesWritten = 0
    }
    this.isOpen = true
    return !isOpen
  }

  /** The connection of the next attempt. @param family - of the address that was asked for */
  attempt(connection: TcpConnection, family: 4 | 6): void {
    this.mapped = family === 6
    this.handle = new TcpHandle(this.host, connection, this.owner, true)
    if (!this.wantsRef) this.handle.unref()
    if (this.onread !== null) nextBuffer(this.onread)
  }

  established(): void {
    this.opening = null
    this.local = null
    this.timer.refresh()
    this.configureIfAsked()
  }

  /** Gives up the connection, if there is one. */
  drop(reset: boolean, closed: () => void): void {
    const { handle } = this
    if (handle === null) return
    this.lastBytesRead = handle.bytesRead
    this.lastBytesWritten = handle.bytesWritten
    this.handle = null
    handle.close(reset, closed)
  }

  /** The socket is destroyed. @param closed - called in a turn of the event loop of its own */
  close(reset: boolean, closed: () => void): void {
    this.isOpen = false
    this.opening?.cancel()
    this.opening = null
    this.local = null
    if (this.handle === null) setImmediate(closed)
    else this.drop(reset, closed)
  }

  // ---- settings

  setNoDelay(on: boolean): void {
    this.noDelay = on
    this.configure()
  }

  setKeepAlive(on: boolean, delayMs: number | undefined): void {
    this.keepAlive = on
    this.keepIdleSeconds = secondsOf(delayMs)
    this.configure()
  }

  private configureIfAsked(): void {
    if (this.noDelay || this.keepAlive) this.configure()
  }

  private configure(): void {
    const { noDelay, keepAlive, keepIdleSeconds } = this
    this.handle?.connection.set({ noDelay, keepAlive, keepIdleMs: keepIdleSeconds * 1_000, ...KEEP })
  }

  setRef(on: boolean): void {
    this.wantsRef = on
    if (on) this.handle?.ref()
    else this.handle?.unref()
  }

  /** A write under way that made progress since this was last asked is no idleness. */
  isIdle(): boolean {
    const waiting = this.handle?.waitingBytes ?? 0
    if (this.lastWaiting === 0 || waiting === this.lastWaiting) return true
    this.lastWaiting = waiting
    return false
  }

  // ---- names and counts

  localName(): Named {
    const connection = this.handle?.connection
    if (connection === undefined) return {}
    this.local ??= infoOf(connection.local, this.mapped)
    return this.local
  }

  /** What was asked for once is known after the end, too. */
  remoteName(connecting: boolean): Named {
    const connection = this.handle?.connection
    if (connection === undefined || connecting) return this.remote ?? {}
    if (this.remote === null && connection.state === 'CLOSED') return {}
    this.remote ??= infoOf(connection.remote, this.mapped)
    return this.remote
  }

  get bytesRead(): number {
    return this.handle?.bytesRead ?? this.lastBytesRead
  }

  /** Bytes that were handed to the connection. */
  get bytesDispatched(): number {
    return this.handle?.bytesWritten ?? this.lastBytesWritten
  }
}

const secondsOf = (ms: number | undefined): number => Math.max(0, ~~((ms ?? 0) / 1_000))
