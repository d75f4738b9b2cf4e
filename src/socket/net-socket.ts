/**
 * Stream sockets of our stack in the shape of node:net (Node 20): same calls, events, errors and their order. What differs is
 * in `docs/divergence.md`. As a Duplex a socket copies data once at this edge, each way, because a program may keep what it is
 * given; {@link Socket.getmsg}, {@link Socket.putmsg} and {@link Socket.sendOwned} are the way without copies.
 */
import type { EventEmitter } from 'node:events'
import type net from 'node:net'
import type { DuplexOptions } from 'node:stream'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { argumentTypeError, systemError } from './errors.ts'
import type { SocketHost } from './host.ts'
import { checkFunction, readCall } from './net-arguments.ts'
import { Connecting, type ConnectingSocket, type ConnectOptions } from './net-connect.ts'
import { bufferedBytes, bytesOf, readyState, refuseWrites, SocketBase, undestroy } from './net-duplex.ts'
import { connectError, missingOptionsError, netUsageError } from './net-errors.ts'
import { LATER } from './net-handle.ts'
import { checkStack } from './net-stack.ts'
import { SocketState } from './net-state.ts'
import { type AcceptOptions, checkOptions, type Named, readOnread, type SocketOptions } from './net-types.ts'
import { checkMessage, checkOwned } from './tcp-arguments.ts'
import type { TcpConnection } from './tcp-endpoint.ts'

type Done = (error?: Error | null) => void

/** What counts sockets: a server. */
interface Counting {
  _connections: number
  _emitCloseIfDrained?(): void
}

/** Makes the socket of a connection that a server accepted. */
export let acceptSocket: (host: SocketHost, connection: TcpConnection, options: AcceptOptions) => Socket

export class Socket extends SocketBase {
  readonly #state: SocketState
  declare connecting: boolean
  declare timeout?: number
  declare resetAndClosing?: boolean
  declare autoSelectFamilyAttemptedAddresses: string[]
  declare server: unknown
  declare _server: Counting | null

  /** @throws TypeError with Node's codes for options that are wrong, or that name something of the kernel's */
  constructor(host: SocketHost, options?: SocketOptions) {
    checkStack(host, 'Socket')
    checkOptions(options)
    const { onread, ...rest } = { ...options }
    const allowHalfOpen = Boolean(rest.allowHalfOpen)
    super({
      ...rest,
      allowHalfOpen,
      emitClose: false,
      autoDestroy: true,
      decodeStrings: false,
    } as DuplexOptions)
    this.connecting = false
    this.server = null
    this._server = null
    this.on('end', refuseWrites)
    this.#state = new SocketState(host, this, readOnread(onread), rest)
    // As Node: a signal that was aborted before has had its say, and the socket may be used.
    if (this.destroyed) undestroy(this)
  }

  static {
    acceptSocket = (host, connection, options) => {
      const { allowHalfOpen, highWaterMark, paused } = options
      const socket = new Socket(host, {
        allowHalfOpen,
        readableHighWaterMark: highWaterMark,
        writableHighWaterMark: highWaterMark,
      })
      socket.#state.accept(connection, options)
      if (paused) (socket as { readableFlowing: boolean | null }).readableFlowing = false
      else socket.read(0)
      return socket
    }
    const define = (name: string, get: (socket: Socket) => unknown): void => {
      Object.defineProperty(Socket.prototype, name, {
        enumerable: true,
        get(this: Socket) {
          return get(this)
        },
      })
    }
    define('_connecting', socket => socket.connecting)
    define('readyState', socket => readyState(socket))
    define('pending', socket => !socket.#state.isOpen || socket.connecting)
    define('bufferSize', socket => (socket.#state.isOpen ? socket.writableLength : undefined))
    define('bytesRead', socket => socket.#state.bytesRead)
    define('_bytesDispatched', socket => socket.#state.bytesDispatched)
    define('bytesWritten', socket => {
      const { bytesDispatched, pendingBytes } = socket.#state
      return bytesDispatched + pendingBytes + bufferedBytes(socket)
    })
    define('localAddress', socket => socket._getsockname().address)
    define('localPort', socket => socket._getsockname().port)
    define('localFamily', socket => socket._getsockname().family)
    define('remoteAddress', socket => socket._getpeername().address)
    define('remotePort', socket => socket._getpeername().port)
    define('remoteFamily', socket => socket._getpeername().family)
  }

  // ---- connecting

  override connect(options: net.SocketConnectOpts, listener?: () => void): this
  override connect(port: number, host: string, listener?: () => void): this
  override connect(port: number, listener?: () => void): this
  override connect(path: string, listener?: () => void): this
  override connect(...args: readonly unknown[]): this {
    const { options, callback } = readCall<ConnectOptions & { path?: unknown }>(args)
    if (callback !== null) this.once('connect', callback as () => void)
    const { port, path } = options
    if (port === undefined && path == null) throw missingOptionsError()
    // What the end of the last connection put there.
    if (Object.hasOwn(this, 'write')) delete (this as { write?: unknown }).write
    const state = this.#state
    if (state.open()) undestroy(this)
    state.timer.refresh()
    this.connecting = true
    if (path) {
      if (typeof path !== 'string') throw argumentTypeError('options.path', 'of type string', path)
      process.nextTick(() => this.destroy(connectError('ENOTSUP', 'connect', path, 0)))
      return this
    }
    state.opening = new Connecting(this.#view(), state.host, options)
    state.opening.start()
    return this
  }

  /** Itself, as {@link Connecting} sees it. */
  #view(): ConnectingSocket {
    return {
      isConnecting: () => this.connecting,
      emit: (event, ...args) => this.emit(event, ...args),
      destroy: error => this.destroy(error),
      tries: list => {
        this.autoSelectFamilyAttemptedAddresses = list
      },
      touch: () => this.#state.timer.refresh(),
      attempt: (connection, family) => this.#state.attempt(connection, family),
      giveUp: () => this.#state.drop(false, () => {}),
      established: () => this.#established(),
    }
  }

  #established(): void {
    this.connecting = false
    this.#state.established()
    this.emit('connect')
    this.emit('ready')
    if (!this.isPaused()) this.read(0)
  }

  // ---- reading

  override _read(size: number): void {
    if (this.connecting || this.#state.handle === null) this.once('connect', () => this._read(size))
    else this.#state.handle.readStart()
  }

  override pause(): this {
    if (this.#state.onread !== null && !this.connecting) this.#state.handle?.readStop()
    return super.pause()
  }

  override resume(): this {
    if (this.#state.onread !== null && !this.connecting) this.#state.handle?.readStart()
    return super.resume()
  }

  override read(size?: number): ReturnType<net.Socket['read']> {
    if (this.#state.onread !== null && !this.connecting) this.#state.handle?.readStart()
    return super.read(size)
  }

  // ---- writing

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: Done): void {
    this.#send([bytesOf(chunk, encoding)], done)
  }

  override _writev(chunks: { chunk: Buffer | string; encoding: BufferEncoding }[], done: Done): void {
    this.#send(
      chunks.map(({ chunk, encoding }) => bytesOf(chunk, encoding)),
      done,
    )
  }

  #send(list: readonly Buffer[], done: Done): void {
    let bytes = 0
    for (const each of list) bytes += each.length
    if (this.connecting) return this.#sendOnceConnected(list, bytes, done)
    this.#state.pendingBytes = 0
    const handle = this.#state.handle
    if (handle === null) return done(netUsageError('ERR_SOCKET_CLOSED'))
    this.#state.timer.refresh()
    const state = handle.write(list, bytes, code => this.#written(code, done))
    if (state === null) return done()
    if (state !== LATER) return done(systemError(state, 'write'))
    this.#state.lastWaiting = handle.waitingBytes
  }

  #sendOnceConnected(list: readonly Buffer[], bytes: number, done: Done): void {
    this.#state.pendingBytes = bytes
    const closed = (): void => done(netUsageError('ERR_SOCKET_CLOSED_BEFORE_CONNECTION'))
    this.once('connect', () => {
      this.off('close', closed)
      this.#send(list, done)
    })
    this.once('close', closed)
  }

  #written(code: string | null, done: Done): void {
    if (this.destroyed) return done(null)
    if (code !== null) return done(systemError(code, 'write'))
    this.#state.timer.refresh()
    this.#state.lastWaiting = 0
    return done(null)
  }

  override _final(done: Done): void {
    if (this.pending) this.once('connect', () => this._final(done))
    else if (this.#state.handle?.shutdown(() => done()) !== true) done()
  }

  // ---- without copies

  /**
   * Takes what comes in as messages from now on, in place of `data`: `callback` is called when some wait, and takes them with
   * {@link getmsg}, or leaves them where they are, which slows the peer down. `end`, `error` and `close` come as ever. It wins over
   * `data`, `read`, pipes and `onread`: they get what the Duplex had buffered before, and nothing more.
   * @throws TypeError `ERR_INVALID_ARG_TYPE` without a function
   */
  takeMessages(callback: () => void): this {
    checkFunction(callback, 'callback')
    this.#state.onMessages = callback
    this.read(0)
    this.#state.handle?.readAgain()
    return this
  }

  /** @returns the next message, without a copy: to be freed or sent on by the program; null if none waits */
  getmsg(): Mblk | null {
    return this.#state.handle?.connection.getmsg() ?? null
  }

  /**
   * Sends a message, without a copy, behind what was written.
   * @param mp - consumed if the answer is true; still the caller's if it is false: wait for `drain`
   * @throws TypeError `ERR_INVALID_ARG_TYPE` for what is no message; Error `ERR_SOCKET_CLOSED` (`mp` stays the caller's); StackError
   * if the connection is over (`mp` is freed)
   */
  putmsg(mp: Mblk): boolean {
    checkMessage(mp)
    return this.#pass(connection => connection.putmsg(mp))
  }

  /**
   * Sends the caller's memory, without a copy, behind what was written.
   * @param bytes - not to be changed until `onReleased` was called, when the peer has them; it must not throw
   * @returns false if there is no room: wait for `drain`, and try again
   * @throws as {@link putmsg}
   */
  sendOwned(bytes: Uint8Array, onReleased: (bytes: Uint8Array) => void): boolean {
    checkOwned(bytes, onReleased)
    return this.#pass(connection => connection.sendOwned(bytes, onReleased))
  }

  #pass(send: (connection: TcpConnection) => boolean): boolean {
    if (this.connecting) {
      this.once('connect', () => this.emit('drain'))
      return false
    }
    const handle = this.#state.handle
    if (handle === null) throw netUsageError('ERR_SOCKET_CLOSED')
    if (!handle.maySend()) return false
    this.#state.timer.refresh()
    const taken = send(handle.connection)
    if (!taken) handle.awaitRoom()
    return taken
  }

  // ---- the end

  override destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', this.destroy)
  }

  override resetAndDestroy(): this {
    const reset = (): void => {
      this.resetAndClosing = true
      this.destroy()
    }
    if (!this.#state.isOpen) this.destroy(netUsageError('ERR_SOCKET_CLOSED'))
    else if (this.connecting) this.once('connect', reset)
    else reset()
    return this
  }

  override _destroy(error: Error | null, done: Done): void {
    this.connecting = false
    // Its signal may have been aborted before it was made.
    const isMade = #state in this
    if (isMade) this.#state.timer.stop()
    if (!isMade || !this.#state.isOpen) {
      done(error)
      process.nextTick(() => (this as EventEmitter).emit('close'))
      return
    }
    const failed = error !== null
    this.#state.close(this.resetAndClosing === true, () => this.emit('close', failed))
    this.resetAndClosing = false
    done(error)
    const { _server } = this
    if (_server === null) return
    _server._connections--
    _server._emitCloseIfDrained?.()
  }

  // ---- what is set and asked

  override setTimeout(ms: number, callback?: () => void): this {
    if (this.destroyed) return this
    this.timeout = ms
    const runs = this.#state.timer.set(ms, () => this._onTimeout())
    if (callback === undefined) return this
    checkFunction(callback, 'callback')
    if (runs) this.once('timeout', callback)
    else this.removeListener('timeout', callback)
    return this
  }

  /** A name of node:net's, which its TLS sockets call. */
  _unrefTimer(): void {
    this.#state.timer.refresh()
  }

  /** A name of node:net's, which programs override. */
  _onTimeout(): void {
    if (this.#state.isIdle()) this.emit('timeout')
    else this.#state.timer.refresh()
  }

  override setNoDelay(on?: boolean): this {
    this.#state.setNoDelay(on === undefined ? true : Boolean(on))
    return this
  }

  override setKeepAlive(on?: boolean, delayMs?: number): this {
    this.#state.setKeepAlive(Boolean(on), delayMs)
    return this
  }

  override ref(): this {
    if (!this.#state.isOpen) return this.once('connect', this.ref)
    this.#state.setRef(true)
    return this
  }

  override unref(): this {
    if (!this.#state.isOpen) return this.once('connect', this.unref)
    this.#state.setRef(false)
    return this
  }

  override address(): Named {
    return this.#state.localName()
  }

  /** A name of node:net's. */
  _getsockname(): Named {
    return this.#state.localName()
  }

  /** A name of node:net's. */
  _getpeername(): Named {
    return this.#state.remoteName(this.connecting)
  }
}
