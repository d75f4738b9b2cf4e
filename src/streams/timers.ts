/**
 * Deadlines: a binary heap of timer objects that their owners make once and arm again and again. Nothing here
 * waits; the host's loop asks {@link Timers.pollAt} and calls {@link Timers.expire}.
 */
import type { Instant } from '../base/time.ts'

export class Timer {
  /** When it is due; meaningful while armed. */
  at = 0 as Instant
  /** Position in the heap, -1 while not armed. */
  index = -1
  /** Counts armings: of two that are due at once, the one armed first is called first. */
  sequence = 0
  readonly callback: (now: Instant) => void

  constructor(callback: (now: Instant) => void) {
    this.callback = callback
  }

  get armed(): boolean {
    return this.index >= 0
  }
}

export class Timers {
  private readonly heap: Timer[] = []
  private size = 0
  private armed = 0
  /** Called when the earliest deadline moved forward, so that the host can shorten its wait. */
  private readonly wake: () => void

  constructor(wake: () => void) {
    this.wake = wake
  }

  /** No deadline is set: nobody has to look at the clock. */
  get idle(): boolean {
    return this.size === 0
  }

  /** Whether a deadline has come. @param now - microseconds */
  isDue(now: number): boolean {
    return this.size !== 0 && this.heap[0]!.at <= now
  }

  /** The earliest deadline, or null. */
  pollAt(): Instant | null {
    return this.size === 0 ? null : this.heap[0]!.at
  }

  /** Sets or moves a timer. @see qtimeout(9F) */
  arm(timer: Timer, at: Instant): void {
    const earlier = timer.index >= 0 && at < timer.at
    timer.at = at
    timer.sequence = this.armed = (this.armed + 1) | 0
    if (timer.index < 0) {
      timer.index = this.size
      this.heap[this.size++] = timer
      this.up(timer)
    } else if (earlier) {
      this.up(timer)
    } else {
      this.down(timer)
    }
    if (timer.index === 0) this.wake()
  }

  /** Takes a timer out; harmless if it is not armed. @see quntimeout(9F) */
  cancel(timer: Timer): void {
    const index = timer.index
    if (index < 0) return
    timer.index = -1
    const last = this.heap[--this.size]!
    this.heap[this.size] = IDLE
    if (last === timer) return
    last.index = index
    this.heap[index] = last
    this.up(last)
    this.down(last)
  }

  /** Calls every timer that is due at `now`, earliest first; one that re-arms for `now` waits for the next call. */
  expire(now: Instant): void {
    const before = this.armed
    while (this.size > 0) {
      const timer = this.heap[0]!
      if (timer.at > now || ((timer.sequence - before) | 0) > 0) return
      this.cancel(timer)
      timer.callback(now)
    }
  }

  private up(timer: Timer): void {
    while (timer.index > 0) {
      const parent = this.heap[(timer.index - 1) >> 1]!
      if (isEarlier(parent, timer)) return
      this.swap(parent, timer)
    }
  }

  private down(timer: Timer): void {
    for (;;) {
      const left = 2 * timer.index + 1
      if (left >= this.size) return
      const right = left + 1
      let least = this.heap[left]!
      if (right < this.size && isEarlier(this.heap[right]!, least)) least = this.heap[right]!
      if (isEarlier(timer, least)) return
      this.swap(timer, least)
    }
  }

  private swap(upper: Timer, lower: Timer): void {
    const index = upper.index
    upper.index = lower.index
    lower.index = index
    this.heap[upper.index] = upper
    this.heap[index] = lower
  }
}

function isEarlier(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && ((a.sequence - b.sequence) | 0) < 0)
}

/** Stands in the unused part of the heap, so that the array keeps one kind of element. */
const IDLE = new Timer(() => {})
