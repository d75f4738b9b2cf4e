/**
 * Datagram sockets of our stack in the shape of node:dgram (Node 20): same calls, events, errors and their order.
 * What differs is in `docs/divergence.md`. Data is copied once at this edge, both ways, because a program may keep what
 * it is given; {@link UdpEndpoint} is the way without copies.
 */
import { isIP } from 'node:net'
import { StackError } from '../base/errors.ts'
import { Stream } from '../streams/stream.ts'
import {
  type BindOptions,
  checkNumber,
  checkPort,
  checkString,
  type DatagramData,
  readBind,
  readSend,
  type SendCall,
  type SendCallback,
} from './dgram-arguments.ts'
import { DgramReceiver } from './dgram-receiver.ts'
import { DgramSender } from './dgram-sender.ts'
import { DgramSettings, optionSize } from './dgram-settings.ts'
import type { AddressInfo, Lookup, RemoteInfo, SocketOptions, SocketType } from './dgram-types.ts'
import { argumentTypeError, errnoNameOf, systemError, usageError } from './errors.ts'
import type { SocketHost } from './host.ts'
import { findAddress } from './lookup.ts'
import { rethrow } from './uncaught.ts'

export class DatagramSocket extends DgramSettings {
  readonly type: SocketType
  protected readonly host: SocketHost
  protected readonly stream: Stream
  protected readonly sender: DgramSender
  private readonly receiver: DgramReceiver
  private readonly find: Lookup
  private connected: 'no' | 'connecting' | 'yes' = 'no'
  private local: AddressInfo | null = null
  private remote: AddressInfo | null = null
  /** Closed, as soon as it is bound or cannot be. */
  private closing = false
  /** Calls that wait for the socket to be bound. */
  private waiting: (() => void)[] = []

  /** Use {@link createSocket}. */
  constructor(
    host: SocketHost,
    type: SocketType | SocketOptions,
    listener?: (data: Buffer, remote: RemoteInfo) => void,
  ) {
    super()
    const options: SocketOptions = typeof type === 'object' && type !== null ? type : { type }
    if (options.type !== 'udp4' && options.type !== 'udp6') throw usageError('ERR_SOCKET_BAD_TYPE')
    if (options.lookup !== undefined && typeof options.lookup !== 'function')
      throw argumentTypeError('lookup', 'of type function', options.lookup)
    this.type = options.type
    this.host = host
    this.find = options.lookup ?? findAddress
    this.recvBufferSize = optionSize('recvBufferSize', options.recvBufferSize)
    this.sendBufferSize = optionSize('sendBufferSize', options.sendBufferSize)
    checkSignal(options.signal)
    this.stream = Stream.open(host.runtime, 'udp', {
      name: 'dgram',
      options: {
        family: this.family,
        reuseAddress: options.reuseAddr === true,
        ipv6Only: options.ipv6Only === true,
        receiveBytes: this.recvBufferSize,
      },
    })
    this.sender = new DgramSender(this.stream, this.family)
    this.receiver = new DgramReceiver(this.stream, this.family, {
      onData: (data, remote) => this.emit('message', data, remote),
      onError: error => this.emit('error', error),
    })
    this.stream.onUncaught = rethrow
    this.stream.onDown = () => this.down()
    if (typeof listener === 'function') this.on('message', listener)
    if (options.signal !== undefined) this.obey(options.signal)
  }

  private get family(): 4 | 6 {
    return this.type === 'udp4' ? 4 : 6
  }

  private obey(signal: AbortSignal): void {
    const abort = (): void => {
      if (!this.closed) this.close()
    }
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    this.once('close', () => signal.removeEventListener('abort', abort))
  }

  /** Finds an address as Node does, never within the call. */
  private resolve(name: string, found: (error: Error | null, address: string) => void): void {
    const fallback = this.family === 4 ? '127.0.0.1' : '::1'
    this.find(name || fallback, this.family, (error, address) => found(error, address))
  }

  // ---- bind

  bind(port?: number, address?: string, callback?: () => void): this
  bind(port?: number, callback?: () => void): this
  bind(callback?: () => void): this
  bind(options: BindOptions, callback?: () => void): this
  bind(...args: readonly unknown[]): this {
    this.mustRun()
    if (this.bound !== 'no') throw usageError('ERR_SOCKET_ALREADY_BOUND')
    this.bound = 'binding'
    const { port, address, callback } = readBind(args)
    if (callback !== undefined) this.onceListening(callback)
    this.resolve(address || (this.family === 4 ? '0.0.0.0' : '::'), (error, found) => {
      if (this.closed) return
      if (error !== null) return this.bindFailed(error)
      const failed = (cause: unknown): void =>
        this.bindFailed(systemError(errnoNameOf(cause), 'bind', found, port, cause))
      this.ask('udp.bind', found, port).then(names => {
        if (!this.closed) this.listening(names)
      }, failed)
    })
    return this
  }

  /** IPv6 sockets know IPv4 by its v4-mapped text only, as the kernel's. */
  private async ask(command: string, address: string, port: number): Promise<unknown> {
    if (isIP(address) !== this.family)
      throw new StackError('ERR_BAD_ADDRESS', `${address} is no address for ${this.type}`)
    return await this.stream.ioctl(command, { address, port })
  }

  private onceListening(callback: () => void): void {
    const remove = (): void => {
      this.removeListener('error', remove)
      this.removeListener('listening', listening)
    }
    const listening = (): void => {
      remove()
      callback.call(this)
    }
    this.on('error', remove)
    this.on('listening', listening)
  }

  private bindFailed(error: Error): void {
    if (this.closed) return
    this.bound = 'no'
    this.waiting = []
    this.connected = 'no'
    this.tell(() => this.emit('error', error))
    if (this.closing && !this.closed) this.close()
  }

  private listening(names: unknown): void {
    this.local = infoOf(names, 'local')
    this.bound = 'yes'
    this.hold()
    this.receiver.start()
    const { waiting } = this
    this.waiting = []
    this.tell(() => {
      this.emit('listening')
      for (const call of waiting) call()
    })
  }

  /** What a listener throws is the program's, not that of the stack's promise. */
  private tell(action: () => void): void {
    try {
      action()
    } catch (error) {
      rethrow(error)
    }
  }

  private whenBound(call: () => void): void {
    if (this.bound === 'no') this.bind({ port: 0 })
    if (this.bound === 'yes') call()
    else this.waiting.push(call)
  }

  // ---- connect

  connect(port: number, address?: string, callback?: (error?: Error) => void): void
  connect(port: number, callback: (error?: Error) => void): void
  connect(port: unknown, address?: unknown, callback?: unknown): void {
    const checked = checkPort(port)
    if (typeof address === 'function') {
      callback = address
      address = ''
    }
    const name = checkString('address', address ?? '')
    if (this.connected !== 'no') throw usageError('ERR_SOCKET_DGRAM_IS_CONNECTED')
    this.mustRun()
    this.connected = 'connecting'
    const done = typeof callback === 'function' ? (callback as (error?: Error) => void) : undefined
    this.whenBound(() => {
      if (done !== undefined) this.once('connect', done)
      this.resolve(name, (error, found) => this.connectTo(error, found, checked, name, done))
    })
  }

  private connectTo(
    error: Error | null,
    found: string,
    port: number,
    name: string,
    callback: ((error?: Error) => void) | undefined,
  ): void {
    if (this.closed) return
    if (error !== null) return this.connectFailed(error, callback)
    this.ask('udp.connect', found, port).then(
      names => {
        this.connected = 'yes'
        this.local = infoOf(names, 'local')
        this.remote = infoOf(names, 'remote')
        process.nextTick(() => {
          this.emit('connect')
        })
      },
      cause => this.connectFailed(systemError(errnoNameOf(cause), 'connect', name, port, cause), callback),
    )
  }

  private connectFailed(error: Error, callback: ((error?: Error) => void) | undefined): void {
    this.connected = 'no'
    process.nextTick(() => {
      if (callback === undefined) return this.emit('error', error)
      this.removeListener('connect', callback)
      return callback(error)
    })
  }

  disconnect(): void {
    if (this.connected !== 'yes') throw usageError('ERR_SOCKET_DGRAM_NOT_CONNECTED')
    this.connected = 'no'
    this.remote = null
    this.stream.ioctl('udp.disconnect').then(
      names => {
        this.local = infoOf(names, 'local')
      },
      () => {},
    )
  }

  // ---- send

  send(
    data: DatagramData | readonly DatagramData[],
    port?: number,
    address?: string,
    callback?: SendCallback,
  ): void
  send(data: DatagramData | readonly DatagramData[], port?: number, callback?: SendCallback): void
  send(data: DatagramData | readonly DatagramData[], callback?: SendCallback): void
  send(
    data: DatagramData,
    offset: number,
    length: number,
    port?: number,
    address?: string,
    callback?: SendCallback,
  ): void
  send(data: DatagramData, offset: number, length: number, port?: number, callback?: SendCallback): void
  send(data: DatagramData, offset: number, length: number, callback?: SendCallback): void
  send(...args: readonly unknown[]): void {
    const call = readSend(this.connected === 'yes', args)
    this.mustRun()
    this.whenBound(() => this.sendBound(call))
  }

  private sendBound(call: SendCall): void {
    if (this.closed) return
    // Connected meanwhile, or no longer: as Node, which reads the arguments again.
    if (call.port === null) return this.sender.send(call.list, null, undefined, undefined, call.callback)
    if (this.connected === 'yes') throw usageError('ERR_SOCKET_DGRAM_IS_CONNECTED')
    const { list, port, address, callback } = call
    this.resolve(address ?? '', (error, found) => {
      if (this.closed) return
      if (error === null) return this.sender.send(list, found, port!, address, callback)
      process.nextTick(() =>
        callback === undefined ? this.emit('error', error) : (callback as (error: Error) => void)(error),
      )
    })
  }

  /** The old name of `send` with all arguments. */
  sendto(
    data: DatagramData,
    offset: number,
    length: number,
    port: number,
    address: string,
    callback?: SendCallback,
  ): void {
    checkNumber('offset', offset)
    checkNumber('length', length)
    checkNumber('port', port)
    checkString('address', address)
    this.send(data, offset, length, port, address, callback)
  }

  /** The stream broke, or the stack was taken away. */
  private down(): void {
    if (this.closed) return
    const { error } = this.stream.poll()
    process.nextTick(() => {
      if (this.closed) return
      this.close()
      if (error !== null)
        this.emit('error', systemError(errnoNameOf(error), 'recvmsg', undefined, undefined, error))
    })
  }

  // ---- close

  close(callback?: () => void): this {
    if (typeof callback === 'function') this.on('close', callback)
    if (this.bound === 'binding' && this.waiting.length > 0) {
      // Calls made before the socket is bound are still done.
      this.closing = true
      this.waiting.push(() => this.close())
      return this
    }
    this.mustRun()
    this.closed = true
    this.sender.close()
    this.stream.close()
    this.letGo()
    process.nextTick(() => {
      this.emit('close')
    })
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.closed) return
    await new Promise<void>(resolve => this.close(resolve))
  }

  // ---- what is asked and set

  address(): AddressInfo {
    this.mustHaveDescriptor('getsockname')
    return { ...this.local! }
  }

  remoteAddress(): AddressInfo {
    this.mustRun()
    if (this.connected !== 'yes') throw usageError('ERR_SOCKET_DGRAM_NOT_CONNECTED')
    return { ...this.remote! }
  }
}

/**
 * A socket on a stack, as `dgram.createSocket`.
 * @throws TypeError `ERR_SOCKET_BAD_TYPE`; StackError if the stack has no UDP
 */
export function createSocket(
  host: SocketHost,
  type: SocketType | SocketOptions,
  listener?: (data: Buffer, remote: RemoteInfo) => void,
): DatagramSocket {
  return new DatagramSocket(host, type, listener)
}

/** The part of node:dgram that programs use, for one stack: what is handed to a library in the place of the module. */
export interface Dgram {
  createSocket(
    type: SocketType | SocketOptions,
    listener?: (data: Buffer, remote: RemoteInfo) => void,
  ): DatagramSocket
}

export function dgramOn(host: SocketHost): Dgram {
  return { createSocket: (type, listener) => createSocket(host, type, listener) }
}

function infoOf(names: unknown, side: 'local' | 'remote'): AddressInfo | null {
  const name = (names as Record<string, { address: string; family: 4 | 6; port: number } | null>)[side]
  if (!name) return null
  return { address: name.address, family: name.family === 4 ? 'IPv4' : 'IPv6', port: name.port }
}

function checkSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return
  throw argumentTypeError('options.signal', 'an instance of AbortSignal', signal)
}
