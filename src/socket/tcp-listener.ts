/** Where a program listens for TCP connections, and takes them from. */
import type { ListenOptions } from '../inet/tcp/control.ts'
import { listenerName } from '../inet/tcp/describe.ts'
import type { Listening } from '../inet/tcp/listening.ts'
import { CONN_IND, primitiveOf } from '../inet/tcp/primitives.ts'
import type { SocketName } from '../inet/udp/endpoint.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { AnyDriver } from '../streams/module.ts'
import { getq } from '../streams/queue.ts'
import type { Runtime } from '../streams/runtime.ts'
import { type OpenOptions, Stream } from '../streams/stream.ts'
import { TcpConnection } from './tcp-connection.ts'
import { rethrow } from './uncaught.ts'

export class TcpListener {
  readonly stream: Stream
  private readonly listening: Listening
  /** One for all: accepting makes no object of its own. */
  private readonly acceptOptions: OpenOptions
  private waitingCallback: (() => void) | null = null

  private constructor(stream: Stream) {
    this.stream = stream
    this.listening = stream.bottom.state as Listening
    this.acceptOptions = { options: { accept: this.listening } }
    stream.onReadable = () => this.tell()
    stream.onUncaught = rethrow
  }

  /**
   * Listens from now on.
   * @throws StackError `ERR_ADDR_IN_USE`, `ERR_ADDR_NOT_AVAILABLE`, `ERR_BAD_ADDRESS`, `ERR_BAD_ARGUMENT`, `ERR_PLUMBING` (no stack)
   */
  static open(runtime: Runtime, options: ListenOptions): TcpListener {
    return new TcpListener(Stream.open(runtime, 'tcp', { options: { listen: options } }))
  }

  /** Where it listens; the port that was chosen, if 0 was asked for. */
  get local(): SocketName {
    return listenerName(this.listening.listener)
  }

  /** Called when connections wait and none did when it was last called: accept until null. */
  set onConnection(callback: (() => void) | null) {
    this.waitingCallback = callback
    if (callback !== null && this.listening.listener.waiting > 0) this.listening.tellAgain()
  }

  private tell(): void {
    for (let mp = getq(this.stream.top); mp !== null; mp = getq(this.stream.top)) {
      const primitive = primitiveOf(mp)
      freemsg(mp)
      if (primitive === CONN_IND) this.waitingCallback?.()
    }
  }

  /**
   * Takes a connection that is established, oldest first; null if none waits.
   * @throws StackError what a module pushed by autopush refused with; the connection is closed then
   */
  accept(): TcpConnection | null {
    if (this.stream.isClosed || !this.listening.hasNext) return null
    const { runtime, bottom } = this.stream
    return TcpConnection.accepted(runtime, bottom.info as AnyDriver, this.acceptOptions)
  }

  /** Stops listening; connections that nobody accepted are reset, those that were go on. Twice is harmless. */
  close(): void {
    this.stream.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
