/** Channels over TCP: a connection with `rpcmod` pushed on it, and the listener that accepts such. */
import type { StackError } from '../base/errors.ts'
import type { SocketHost } from '../socket/host.ts'
import {
  TcpConnection,
  type TcpConnectOptions,
  TcpListener,
  type TcpListenOptions,
} from '../socket/tcp-endpoint.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { RpcChannel } from './channel.ts'
import { type RpcmodOptions, rpcmod } from './rpcmod.ts'

/** Of a record of one fragment (RFC 5531 §11). */
const RECORD_BYTES_MAX = 0x7fff_ffff

export class StreamChannel implements RpcChannel {
  readonly runtime: Runtime
  readonly isStream = true
  readonly maxMessageBytes = RECORD_BYTES_MAX
  readonly connection: TcpConnection
  isOpen: boolean
  onOpen: (() => void) | null = null
  onClosed: ((error: StackError | null) => void) | null = null
  onTrouble: ((error: StackError) => void) | null = null

  private constructor(connection: TcpConnection, limits: RpcmodOptions, isOpen: boolean) {
    this.connection = connection
    this.isOpen = isOpen
    this.runtime = connection.stream.runtime
    connection.stream.push(rpcmod, limits)
    connection.onConnect = () => {
      this.isOpen = true
      this.onOpen?.()
    }
    connection.onEnd = () => this.ends(null)
    connection.onClosed = (_reason, error) => this.ends(error)
    connection.onTrouble = error => this.onTrouble?.(error)
  }

  /**
   * Begins to connect; what is sent before it is established waits.
   * @throws StackError as `TcpConnection.connect`
   */
  static connect(host: SocketHost, options: TcpConnectOptions, limits: RpcmodOptions = {}): StreamChannel {
    return new StreamChannel(TcpConnection.connect(host.runtime, atOnce(options)), limits, false)
  }

  /** @param connection - just accepted; the channel's from now on */
  static over(connection: TcpConnection, limits: RpcmodOptions = {}): StreamChannel {
    return new StreamChannel(connection, limits, true)
  }

  get name(): string {
    const { address, family, port } = this.connection.remote
    return family === 6 ? `[${address}]:${port}` : `${address}:${port}`
  }

  set onReadable(callback: (() => void) | null) {
    this.connection.onReadable = callback
  }

  set onWritable(callback: (() => void) | null) {
    this.connection.onWritable = callback
  }

  receive(): Mblk | null {
    return this.connection.getmsg()
  }

  send(mp: Mblk): boolean {
    return this.connection.putmsg(mp)
  }

  reply(_envelope: Mblk | null, mp: Mblk): boolean {
    return this.connection.putmsg(mp)
  }

  peerOf(): string {
    return this.name
  }

  close(): void {
    this.onClosed = null
    this.connection.close()
  }

  abort(): void {
    this.onClosed = null
    this.connection.abort()
  }

  private ends(error: StackError | null): void {
    const { onClosed } = this
    this.onClosed = null
    onClosed?.(error)
  }
}

/** Accepts connections as channels. */
export class StreamListener {
  readonly listener: TcpListener
  /** Takes each connection, by the run queue; without it they wait. */
  onChannel: ((channel: StreamChannel) => void) | null = null
  /** Called once when it does not listen any more without having been closed. */
  onDown: ((error: StackError | null) => void) | null = null
  private readonly limits: RpcmodOptions

  /** @throws StackError as `TcpListener.open` */
  constructor(host: SocketHost, options: TcpListenOptions, limits: RpcmodOptions = {}) {
    this.limits = limits
    this.listener = TcpListener.open(host.runtime, atOnce(options))
    this.listener.onConnection = () => this.acceptAll()
    this.listener.onDown = error => this.onDown?.(error)
  }

  private acceptAll(): void {
    for (let connection = this.accept(); connection !== null; connection = this.accept())
      this.onChannel?.(StreamChannel.over(connection, this.limits))
  }

  private accept(): TcpConnection | null {
    if (this.onChannel === null) return null
    return this.listener.accept()
  }

  /** Connections that were accepted go on. Twice is harmless. */
  close(): void {
    this.listener.close()
  }
}

/** Calls and replies are gathered here already: what Nagle's algorithm holds back is a caller who waits. */
function atOnce<T extends TcpConnectOptions | TcpListenOptions>(options: T): T {
  return { ...options, settings: { noDelay: true, ...options.settings } }
}
