/** Where a program listens for TCP connections, and takes them from. */
import { StackError } from '../base/errors.ts'
import type { ListenOptions } from '../inet/tcp/control.ts'
import type { ListeningEnd } from '../inet/tcp/ends.ts'
import { CONN_CON, CONN_IND, DISCON_IND, primitiveOf } from '../inet/tcp/primitives.ts'
import type { SocketName } from '../inet/udp/endpoint.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { AnyDriver } from '../streams/module.ts'
import { getq } from '../streams/queue.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { OpenOptions, Stream } from '../streams/stream.ts'
import { TcpConnection } from './tcp-connection.ts'
import { openTcp } from './tcp-open.ts'
import { rethrow } from './uncaught.ts'

export class TcpListener {
  readonly stream: Stream
  private readonly listening: ListeningEnd
  /** One for all: accepting makes no object of its own. */
  private readonly acceptOptions: OpenOptions
  private waitingCallback: (() => void) | null = null
  /** Called once where listening takes a while (see {@link isOpen}): it does now, or `error` says why it does not. */
  onOpen: ((error: StackError | null) => void) | null = null
  /** Called once when it does not listen any more without having been closed: the stack is gone. */
  onDown: ((error: StackError | null) => void) | null = null

  private constructor(stream: Stream) {
    this.stream = stream
    this.listening = stream.bottom.state as ListeningEnd
    this.acceptOptions = { options: { accept: this.listening } }
    stream.onReadable = () => this.tell()
    stream.onDown = () => this.goesDown()
    stream.onUncaught = rethrow
  }

  /**
   * Listens from now on.
   * @throws StackError `ERR_ADDR_IN_USE`, `ERR_ADDR_NOT_AVAILABLE`, `ERR_BAD_ADDRESS`, `ERR_BAD_ARGUMENT`, `ERR_NETWORK_DOWN` (the stack is closed)
   */
  static open(runtime: Runtime, options: ListenOptions): TcpListener {
    return new TcpListener(openTcp(runtime, { options: { listen: options } }))
  }

  /** Whether it listens; at once on a stack of this process, after {@link onOpen} over a port to another. */
  get isOpen(): boolean {
    return this.listening.isOpen
  }

  /** Where it listens; the port that was chosen, if 0 was asked for. */
  get local(): SocketName {
    return this.listening.local
  }

  /** Called when connections wait and none did when it was last called: accept until null. */
  set onConnection(callback: (() => void) | null) {
    this.waitingCallback = callback
    if (callback !== null) this.listening.tellAgain()
  }

  private tell(): void {
    for (let mp = getq(this.stream.top); mp !== null; mp = getq(this.stream.top)) {
      const primitive = primitiveOf(mp)
      freemsg(mp)
      if (primitive === CONN_IND) this.waitingCallback?.()
      else if (primitive === CONN_CON) this.onOpen?.(null)
      else if (primitive === DISCON_IND) this.tellEnd()
      if (this.stream.isClosed) return
    }
  }

  /** The stack was closed: who waits for it to listen waits in vain. */
  private goesDown(): void {
    const { error } = this.stream.poll()
    if (!this.listening.isOpen) this.onOpen?.(error ?? new StackError('ERR_HANGUP', 'the stack was closed'))
  }

  private tellEnd(): void {
    const { isOpen, error } = this.listening
    if (isOpen) this.onDown?.(error)
    else this.onOpen?.(error)
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
