/** The stream of a listener: the state of the driver's queue pair. */
import type { AnyQueue } from '../../streams/module.ts'
import { putnext } from '../../streams/putnext.ts'
import type { SocketName } from '../udp/endpoint.ts'
import { listenerName } from './describe.ts'
import type { ListeningEnd } from './ends.ts'
import { acceptNext, closeListener, type Listener, type ListenRequest, listen } from './listener.ts'
import { CONN_IND, makePrimitive } from './primitives.ts'
import type { Tcb } from './tcb.ts'
import type { Transport } from './transport.ts'

export class Listening implements ListeningEnd {
  /** Read queue of the driver's end of its stream. */
  readonly q: AnyQueue
  readonly transport: Transport
  readonly listener: Listener
  readonly isOpen = true
  readonly error = null
  /** The program knows that connections wait. */
  private told = false

  /** @throws StackError as {@link listen} */
  constructor(q: AnyQueue, transport: Transport, request: ListenRequest) {
    this.q = q
    this.transport = transport
    transport.touch()
    this.listener = listen(transport.tcp, { ...request, user: this })
    transport.listening.add(this)
  }

  get local(): SocketName {
    return listenerName(this.listener)
  }

  /** Connections wait. */
  tell(): void {
    if (this.told) return
    const mp = makePrimitive(this.transport.runtime.arena, CONN_IND)
    if (mp === null) return this.transport.retryLater(this.q)
    this.told = true
    putnext(this.q, mp)
  }

  /** The read queue's service procedure: there may be a block now. */
  serveRead(): void {
    if (this.listener.waiting > 0) this.tell()
  }

  /** Tells it to a program that was not listening when it was told. */
  tellAgain(): void {
    if (this.listener.waiting === 0) return
    this.told = false
    this.tell()
  }

  /** Whether a connection waits; if not, it will be told when one does. */
  get hasNext(): boolean {
    if (this.listener.waiting === 0) this.told = false
    return this.listener.waiting > 0
  }

  accept(): Tcb | null {
    return acceptNext(this.transport.tcp, this.listener)
  }

  close(): void {
    this.transport.touch()
    closeListener(this.transport.tcp, this.listener)
    this.transport.listening.delete(this)
  }
}
