/** Servers of our stack in the shape of node:net's: see `net-socket.ts`. */
import { AsyncResource } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import { addAbortListener } from 'node:events'
import net, { type BlockList } from 'node:net'
import { promisify } from 'node:util'
import { errnoNameOf, systemError } from './errors.ts'
import type { SocketHost } from './host.ts'
import { findAddresses } from './lookup.ts'
import { checkSignal, type ListenCall, readCall, readListen } from './net-arguments.ts'
import { descriptorError, listenError, netUsageError } from './net-errors.ts'
import { acceptSocket, type Socket } from './net-socket.ts'
import { checkStack } from './net-stack.ts'
import { infoOf, type ServerOptions } from './net-types.ts'
import { type TcpConnection, TcpListener } from './tcp-endpoint.ts'

const serverSockets = channel('net.server.socket')
const ANY_ADDRESS = '::'

/** Listens while it is open: as a handle of libuv, it keeps the program running. */
interface Listening {
  readonly listener: TcpListener
  readonly scope: AsyncResource
  /** A turn of the event loop was asked for. */
  due: boolean
}

export class Server extends net.Server {
  readonly #host: SocketHost
  readonly #blockList: BlockList | undefined
  #listening: Listening | null = null
  /** Tells a name that was looked up for an earlier `listen`, or before `close`. */
  #turn = 0
  #wantsRef = true
  #holdsRef = false
  declare _connections: number
  declare allowHalfOpen: boolean
  declare pauseOnConnect: boolean
  declare noDelay: boolean
  declare keepAlive: boolean
  /** Seconds. */
  declare keepAliveInitialDelay: number
  declare highWaterMark: number

  /** @throws TypeError with Node's codes for options that are wrong */
  constructor(
    host: SocketHost,
    options?: ServerOptions | ((socket: Socket) => void) | null,
    listener?: (socket: Socket) => void,
  ) {
    checkStack(host, 'Server')
    super(options as net.ServerOpts, listener as (socket: net.Socket) => void)
    this.#host = host
    this.#blockList = typeof options === 'object' ? options?.blockList : undefined
  }

  static {
    Object.defineProperty(Server.prototype, 'listening', {
      configurable: true,
      enumerable: true,
      get(this: Server) {
        return this.#listening !== null
      },
    })
  }

  override listen(port?: number, host?: string, backlog?: number, listener?: () => void): this
  override listen(port?: number, host?: string, listener?: () => void): this
  override listen(port?: number, backlog?: number, listener?: () => void): this
  override listen(port?: number, listener?: () => void): this
  override listen(path: string, backlog?: number, listener?: () => void): this
  override listen(path: string, listener?: () => void): this
  override listen(options: net.ListenOptions, listener?: () => void): this
  override listen(handle: unknown, backlog?: number, listener?: () => void): this
  override listen(handle: unknown, listener?: () => void): this
  override listen(...args: readonly unknown[]): this {
    const { options, callback } = readCall<net.ListenOptions & { fd?: unknown; _handle?: unknown }>(args)
    if (this.#listening !== null) throw netUsageError('ERR_SERVER_ALREADY_LISTEN')
    if (callback !== null) this.once('listening', callback as () => void)
    const turn = ++this.#turn
    if (options._handle) throw descriptorError('options._handle', options._handle)
    if (options.signal !== undefined) this.#obey(checkSignal(options.signal))
    if (typeof options.fd === 'number' && options.fd >= 0) throw descriptorError('options.fd', options.fd)
    const call = readListen(args, options)
    if (call.kind === 'path') this.#refuse(listenError('ENOTSUP', call.path, -1))
    else if (call.host === undefined) this.#open(ANY_ADDRESS, 6, { ...call, ipv6Only: false })
    else this.#lookup(call.host, turn, call)
    return this
  }

  #obey(signal: AbortSignal): void {
    const close = (): void => {
      this.close()
    }
    if (signal.aborted) return process.nextTick(close)
    const listening = addAbortListener(signal, close)
    this.once('close', () => listening[Symbol.dispose]())
    return undefined
  }

  #lookup(name: string, turn: number, call: ListenCall & { kind: 'port' }): void {
    const find = this.#host.lookup ?? findAddresses
    find(name, {}, (error: Error | null, address: unknown, family?: number) => {
      if (turn !== this.#turn) return
      if (error) this.emit('error', error)
      else this.#open(address as string, family === 6 ? 6 : 4, call)
    })
  }

  #open(address: string, family: 4 | 6, { port, backlog, ipv6Only }: ListenCall & { kind: 'port' }): void {
    let listener: TcpListener
    try {
      listener = TcpListener.open(this.#host.runtime, {
        address,
        port,
        ...(backlog > 0 ? { backlog } : {}),
        ...(family === 6 ? { ipv6Only } : {}),
      })
    } catch (error) {
      return this.#refuse(listenError(errnoNameOf(error), address, port, error))
    }
    const listening = { listener, scope: new AsyncResource('TCPSERVERWRAP'), due: false }
    this.#listening = listening
    listener.onConnection = () => this.#wake(listening)
    listener.onDown = error => {
      process.nextTick(() => this.#fail(listening, listenError(errnoNameOf(error), address, port, error)))
    }
    this.#hold()
    if (listener.isOpen) process.nextTick(() => this.#opened(listening, null))
    // Over a port to another process: the answer is still to come.
    else
      listener.onOpen = error => {
        const told = error === null ? null : listenError(errnoNameOf(error), address, port, error)
        process.nextTick(() => this.#opened(listening, told))
      }
    return undefined
  }

  #opened(listening: Listening, error: Error | null): void {
    if (error !== null) this.#fail(listening, error)
    else if (this.#listening === listening) this.emit('listening')
  }

  /** It does not listen, or not any more. */
  #fail(listening: Listening, error: Error): void {
    if (this.#listening !== listening) return
    this.#listening = null
    this.#hold()
    listening.listener.close()
    listening.scope.runInAsyncScope(() => this.emit('error', error))
    this._emitCloseIfDrained()
  }

  #refuse(error: Error): void {
    process.nextTick(() => this.emit('error', error))
  }

  // ---- accepting: each connection in a turn of the event loop of its own, as libuv tells them

  #wake(listening: Listening): void {
    if (listening.due) return
    listening.due = true
    this.#host.runtime.scheduler.programEvents++
    setImmediate(() => this.#acceptNext(listening))
  }

  #acceptNext(listening: Listening): void {
    listening.due = false
    this.#host.runtime.scheduler.programEvents--
    if (listening !== this.#listening) return
    let connection: TcpConnection | null
    try {
      connection = listening.listener.accept()
    } catch (error) {
      // A module that is pushed on every connection refused this one.
      this.#wake(listening)
      const told = systemError(errnoNameOf(error), 'accept', undefined, undefined, error)
      listening.scope.runInAsyncScope(() => this.emit('error', told))
      return
    }
    if (connection === null) return
    const accepted = connection
    // Behind what is told now; also if a listener of the program's throws.
    this.#wake(listening)
    listening.scope.runInAsyncScope(() => this.#take(accepted, listening.listener.local.family === 6))
  }

  #take(connection: TcpConnection, mapped: boolean): void {
    const { address, family } = connection.remote
    const isBlocked = this.#blockList?.check(address, `ipv${family}`) === true
    const isFull = Boolean(this.maxConnections) && this._connections >= this.maxConnections
    if (isBlocked || isFull) return this.#drop(connection, mapped)
    const socket = acceptSocket(this.#host, connection, {
      allowHalfOpen: this.allowHalfOpen,
      highWaterMark: this.highWaterMark,
      paused: this.pauseOnConnect,
      noDelay: this.noDelay,
      keepAlive: this.keepAlive,
      keepIdleSeconds: this.keepAliveInitialDelay,
      mapped,
    })
    this._connections++
    socket.server = this
    socket._server = this as unknown as NonNullable<Socket['_server']>
    this.emit('connection', socket)
    if (serverSockets.hasSubscribers) serverSockets.publish({ socket })
    return undefined
  }

  #drop(connection: TcpConnection, mapped: boolean): void {
    const local = infoOf(connection.local, mapped)
    const remote = infoOf(connection.remote, mapped)
    connection.close()
    this.emit('drop', {
      localAddress: local.address,
      localPort: local.port,
      localFamily: local.family,
      remoteAddress: remote.address,
      remotePort: remote.port,
      remoteFamily: remote.family,
    })
  }

  // ---- the end

  override close(callback?: (error?: Error) => void): this {
    this.#turn++
    if (typeof callback === 'function') {
      if (this.#listening !== null) this.once('close', callback)
      else this.once('close', () => callback(netUsageError('ERR_SERVER_NOT_RUNNING')))
    }
    this.#listening?.listener.close()
    this.#listening = null
    this.#hold()
    this._emitCloseIfDrained()
    return this
  }

  /** A name of node:net's, which its sockets call. */
  _emitCloseIfDrained(): void {
    if (this.#listening !== null || this._connections > 0) return
    process.nextTick(() => this.emit('close'))
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    if (this.#listening !== null) await promisify(this.close).call(this)
  }

  // ---- what is asked and set

  /** Where it listens; null if it does not. */
  override address(): net.AddressInfo | null {
    return this.#listening === null ? null : infoOf(this.#listening.listener.local, false)
  }

  override getConnections(callback: (error: Error | null, count: number) => void): this {
    const { _connections } = this
    process.nextTick(callback, null, _connections)
    return this
  }

  override ref(): this {
    this.#wantsRef = true
    this.#hold()
    return this
  }

  override unref(): this {
    this.#wantsRef = false
    this.#hold()
    return this
  }

  #hold(): void {
    const holds = this.#wantsRef && this.#listening !== null
    if (holds === this.#holdsRef) return
    this.#holdsRef = holds
    if (holds) this.#host.keepalive?.ref()
    else this.#host.keepalive?.unref()
  }
}
