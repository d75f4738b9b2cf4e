/** What all streams of one stack share: memory, time, randomness, the run queue, the modules, and where events go. */
import { type Counters, makeCounters } from '../base/counters.ts'
import type { Random } from '../base/prng.ts'
import type { Clock, Instant } from '../base/time.ts'
import type { Arena } from './mblk/arena.ts'
import type { AnyQueue } from './module.ts'
import { fault } from './putnext.ts'
import { Registry } from './registry.ts'
import { Scheduler } from './scheduler.ts'
import type { Stream } from './stream.ts'
import { Timer, Timers } from './timers.ts'

/** Something worth telling a person, with its values. */
export interface StackEvent {
  readonly at: Instant
  readonly level: 'info' | 'warn' | 'error'
  /** Dotted name, stable: `stream.module-fault`. */
  readonly name: string
  readonly text: string
}

export interface RuntimeOptions {
  readonly arena: Arena
  readonly clock: Clock
  readonly random: Random
  /** Called when there is something to do while {@link Runtime.turn} is not running. May be called often. */
  readonly wake?: () => void
  readonly onEvent?: (event: StackEvent) => void
}

export class Runtime {
  readonly arena: Arena
  readonly clock: Clock
  readonly random: Random
  readonly scheduler: Scheduler
  readonly timers: Timers
  /**
   * `recent[0]` is the time of this turn: what the clock said at its beginning, or what a device's driver left at its last
   * exchange. For the data path, since reading it calls nothing and makes no number object. Between turns it is old:
   * {@link refresh} first.
   */
  readonly recent = new Float64Array(1)
  readonly registry = new Registry()
  /** Open streams, in the order of opening. */
  readonly streams = new Set<Stream>()
  readonly counters: Counters<'module-faults' | 'messages-flushed-by-pop' | 'messages-reclaimed'> =
    makeCounters(['module-faults', 'messages-flushed-by-pop', 'messages-reclaimed'])
  /** Queues whose module failed: what they had in hand is freed when no procedure is running any more. */
  private readonly failed: AnyQueue[] = []
  private readonly wake: () => void
  private readonly onEvent: (event: StackEvent) => void

  constructor(options: RuntimeOptions) {
    this.arena = options.arena
    this.clock = options.clock
    this.random = options.random
    const wake = options.wake ?? (() => {})
    this.wake = wake
    this.scheduler = new Scheduler(wake)
    this.timers = new Timers(wake)
    this.onEvent = options.onEvent ?? (() => {})
  }

  /**
   * One turn of the stack: the run queue, then due timers and what they caused.
   * @returns whether work is left for another turn
   */
  turn(budget?: number): boolean {
    this.refresh()
    return this.nextTurn(budget)
  }

  /** A turn right after another, or after an exchange with a device: at the time in {@link recent}, without asking the clock. */
  nextTurn(budget?: number): boolean {
    if (this.failed.length > 0) this.reclaim()
    // What came in first: a timer must not act on the want of something that waits to be handled.
    this.scheduler.run(budget)
    if (this.timers.isDue(this.recent[0]!)) {
      this.timers.expire(this.recent[0]! as Instant)
      this.scheduler.run(budget)
    }
    return !this.scheduler.idle
  }

  /** Has {@link recent} tell the time of now. */
  refresh(): void {
    this.recent[0] = this.clock.now()
  }

  /** A timer on behalf of a queue: if its callback throws, the queue's module is at fault, nobody else. */
  timer(q: AnyQueue, callback: (now: Instant) => void): Timer {
    return new Timer(now => {
      try {
        callback(now)
      } catch (error) {
        fault(q, null, error)
      }
    })
  }

  /** A module failed and was taken off: what its queues held is to be freed once its callers have returned. */
  reclaimLater(q: AnyQueue): void {
    this.failed.push(q, q.other)
    this.wake()
  }

  private reclaim(): void {
    for (const q of this.failed) this.counters['messages-reclaimed'] += this.arena.reclaim(q)
    this.failed.length = 0
  }

  /** Tells whoever listens. Not for the data path. */
  event(level: StackEvent['level'], name: string, text: string): void {
    this.onEvent({ at: this.clock.now(), level, name, text })
  }
}
