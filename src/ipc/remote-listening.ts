/** A listener whose TCP is in another process. Connections are accepted there ahead of the program, a few; their data waits with its credit. */
import type { StackError } from '../base/errors.ts'
import { Arrivals } from '../inet/tcp/arrivals.ts'
import type { ListeningEnd } from '../inet/tcp/ends.ts'
import type { SocketName } from '../inet/udp/endpoint.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { AnyQueue } from '../streams/module.ts'
import type { ClientPort, RemoteStream } from './client-port.ts'
import {
  ABORT,
  ACCEPTED,
  CLOSE,
  type ErrorText,
  errorFrom,
  INCOMING,
  NAMES,
  OVER,
  takeText,
} from './protocol.ts'
import type { StreamNames } from './remote-connection.ts'

/** A connection that the program has not taken yet: its frames wait. */
export class Incoming implements RemoteStream {
  readonly id: number
  readonly names: StreamNames
  readonly frames: { kind: number; detail: number; mp: Mblk | null }[] = []

  constructor(id: number, names: StreamNames) {
    this.id = id
    this.names = names
  }

  frame(kind: number, detail: number, mp: Mblk | null): void {
    this.frames.push({ kind, detail, mp })
  }

  drained(): void {}

  over(): void {
    this.clear()
  }

  clear(): void {
    for (const { mp } of this.frames) if (mp !== null) freemsg(mp)
    this.frames.length = 0
  }
}

export class RemoteListening implements ListeningEnd, RemoteStream {
  readonly q: AnyQueue
  readonly id: number
  readonly port: ClientPort
  local: SocketName
  isOpen = false
  error: StackError | null = null
  private over_ = false
  private readonly arrivals: Arrivals<Incoming>

  constructor(q: AnyQueue, port: ClientPort, id: number, local: SocketName) {
    this.q = q
    this.port = port
    this.id = id
    this.local = local
    this.arrivals = new Arrivals(q, queue => port.retryLater(queue))
  }

  frame(kind: number, detail: number, mp: Mblk | null): void {
    const text = takeText(mp)
    if (kind === NAMES) {
      this.local = (text as { local: SocketName }).local
      this.isOpen = true
      this.arrivals.opened()
    } else if (kind === INCOMING) {
      const incoming = new Incoming(detail, text as StreamNames)
      this.port.add(detail, incoming)
      this.arrivals.add(incoming)
    } else if (kind === OVER) {
      this.over('aborted', errorFrom((text as { error: ErrorText }).error))
    }
  }

  drained(): void {}

  over(_reason: 'aborted', error: StackError | null): void {
    if (this.over_) return
    this.over_ = true
    this.error = error
    this.port.forget(this.id)
    this.arrivals.ended()
  }

  serveRead(): void {
    this.arrivals.serveRead()
  }

  tellAgain(): void {
    this.arrivals.tellAgain()
  }

  get hasNext(): boolean {
    return this.arrivals.hasNext
  }

  /** Takes the next connection. */
  take(): Incoming | null {
    const incoming = this.arrivals.take()
    if (incoming !== null && !this.over_) this.port.send(this.id, ACCEPTED, 1, null)
    return incoming
  }

  close(): void {
    for (let incoming = this.arrivals.take(); incoming !== null; incoming = this.arrivals.take()) {
      incoming.clear()
      this.port.send(incoming.id, ABORT, 0, null)
      this.port.forget(incoming.id)
    }
    if (this.over_) return
    this.over_ = true
    this.port.send(this.id, CLOSE, 0, null)
    this.port.forget(this.id)
  }
}
