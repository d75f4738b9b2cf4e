/**
 * What a listener whose TCP is not of this stack (a port to another process, the kernel) has for its program: connections that wait, and
 * the primitives that tell of them. A primitive for which no block is left waits here until there is one.
 */
import type { AnyQueue } from '../../streams/module.ts'
import { putnext } from '../../streams/putnext.ts'
import { CONN_CON, CONN_IND, makeDisconnect, makePrimitive } from './primitives.ts'

/** Instead of a primitive's number: the listener is over. */
const END = 0

export class Arrivals<T> {
  private readonly q: AnyQueue
  private readonly retryLater: (q: AnyQueue) => void
  private readonly waiting: T[] = []
  /** The program knows that connections wait. */
  private told = false
  private readonly untold: number[] = []

  /** @param q - read queue of the driver's end; @param retryLater - enables it again when there may be blocks */
  constructor(q: AnyQueue, retryLater: (q: AnyQueue) => void) {
    this.q = q
    this.retryLater = retryLater
  }

  get count(): number {
    return this.waiting.length
  }

  /** Whether a connection waits; if not, a CONN_IND comes up when one does. */
  get hasNext(): boolean {
    if (this.waiting.length === 0) this.told = false
    return this.waiting.length > 0
  }

  /** The one that waits for the longest, without taking it. */
  get first(): T | null {
    return this.waiting[0] ?? null
  }

  /** @returns the one that waits for the longest, the caller's now; null if none does */
  take(): T | null {
    return this.hasNext ? this.waiting.shift()! : null
  }

  add(connection: T): void {
    this.waiting.push(connection)
    if (!this.told) this.tellAgain()
  }

  /** Tells of those that wait to a program that was not listening when it was told. */
  tellAgain(): void {
    if (this.waiting.length === 0) return
    this.told = true
    this.tell(CONN_IND)
  }

  /** It listens. */
  opened(): void {
    this.tell(CONN_CON)
  }

  /** It does not listen any more, or never did. */
  ended(): void {
    this.tell(END)
  }

  private tell(primitive: number): void {
    this.untold.push(primitive)
    this.serveRead()
  }

  /** The read queue's service procedure: there may be a block now. */
  serveRead(): void {
    const { arena } = this.q.stream.runtime
    while (this.untold.length > 0) {
      const kind = this.untold[0]!
      const mp = kind === END ? makeDisconnect(arena, 'aborted') : makePrimitive(arena, kind)
      if (mp === null) return this.retryLater(this.q)
      this.untold.shift()
      putnext(this.q, mp)
    }
  }
}
