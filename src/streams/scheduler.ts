/**
 * The run queue: queues whose service procedure is to run, in the order in which they were enabled. It has no
 * timers and no thread: the host's loop, or a simulation, calls {@link Scheduler.run}.
 */
import { freemsg } from './mblk/alloc.ts'
import type { Mblk } from './mblk/mblk.ts'
import type { AnyQueue } from './module.ts'
import { deliver, fault, put } from './putnext.ts'

/** Service procedures run in one go before the caller gets control back. */
export const RUN_BUDGET = 4_096
/** The same, from the moment on when a program waits for an event of the host's event loop: a segment's way up and its answer's down. */
const HURRIED_BUDGET = 16

export class Scheduler {
  private first: AnyQueue | null = null
  private last: AnyQueue | null = null
  private running = false
  /** Called when work appears while nobody runs it, so that the host can come back. */
  private readonly wake: () => void
  /** Procedures run since the start. */
  runs = 0
  /**
   * Events that a program is told of by the host's event loop, not by the run queue, and that wait for it: the run queue, and
   * whoever drives it, lets the event loop have its turn soon.
   */
  programEvents = 0

  constructor(wake: () => void) {
    this.wake = wake
  }

  get idle(): boolean {
    return this.first === null
  }

  /** Whether {@link run} is on the call stack. */
  get busy(): boolean {
    return this.running
  }

  /** Puts a queue on the run queue, once. */
  enable(q: AnyQueue): void {
    if (q.enabled) return
    q.enabled = true
    q.runNext = null
    if (this.last === null) this.first = q
    else this.last.runNext = q
    this.last = q
    if (!this.running) this.wake()
  }

  /** Keeps a message that arrived too deep in the call chain, to be handed over in order. */
  defer(q: AnyQueue, mp: Mblk): void {
    mp.next = null
    if (q.deferredLast === null) q.deferredFirst = mp
    else q.deferredLast.next = mp
    q.deferredLast = mp
    mp.queued = true
    this.enable(q)
  }

  /**
   * Runs service procedures until none is left or the budget is used up.
   * @param budget - how many at the most
   * @returns how many ran; if {@link idle} is false afterwards, call again
   */
  run(budget = RUN_BUDGET): number {
    if (this.running) return 0
    this.running = true
    let count = 0
    let end = budget
    try {
      for (let q = this.first; q !== null && count < end; q = this.first) {
        this.first = q.runNext
        if (this.first === null) this.last = null
        q.runNext = null
        q.enabled = false
        count++
        this.runOne(q)
        if (this.programEvents > 0 && end > count + HURRIED_BUDGET) end = count + HURRIED_BUDGET
      }
    } finally {
      this.running = false
    }
    this.runs += count
    return count
  }

  private runOne(q: AnyQueue): void {
    if (q.deferredFirst !== null) handOver(q)
    if (q.service === null || q.removed) return
    try {
      q.service(q)
    } catch (error) {
      fault(q, null, error)
    }
  }
}

/**
 * Gives a queue the messages that were deferred for it: one by one, so that what is sent to it meanwhile waits behind
 * the rest, and only those that wait now, so that two modules that answer each other for ever do not hold the run queue.
 */
function handOver(q: AnyQueue): void {
  const stop = q.deferredLast
  for (let mp = q.deferredFirst; mp !== null; mp = q.deferredFirst) {
    q.deferredFirst = mp.next
    if (q.deferredFirst === null) q.deferredLast = null
    mp.next = null
    mp.queued = false
    const to = successor(q)
    if (to.removed) freemsg(mp)
    else if (to === q) deliver(q, mp)
    else put(to, mp)
    if (mp === stop) break
  }
  if (q.deferredFirst !== null) q.scheduler.enable(q)
}

/** Where the messages of a queue go that was taken off meanwhile: to where it led; nowhere if the stream is closed. */
function successor(q: AnyQueue): AnyQueue {
  while (q.removed && q.next !== null) q = q.next
  return q
}
