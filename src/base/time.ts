declare const unit: unique symbol

/** Microseconds on the caller's monotonic clock; origin arbitrary, never wall time. */
export type Instant = number & { readonly [unit]: 'instant-us' }

/** Microseconds between two instants. */
export type Duration = number & { readonly [unit]: 'duration-us' }

export const microseconds = (n: number): Duration => n as Duration
export const milliseconds = (n: number): Duration => (n * 1_000) as Duration
export const seconds = (n: number): Duration => (n * 1_000_000) as Duration

export const instant = (us: number): Instant => us as Instant
export const after = (start: Instant, delay: Duration): Instant => (start + delay) as Instant
export const between = (start: Instant, end: Instant): Duration => (end - start) as Duration

/** The earlier of two deadlines, where `null` means never. */
export function earlier(a: Instant | null, b: Instant | null): Instant | null {
  if (a === null) return b
  if (b === null) return a
  return a < b ? a : b
}

/** Where time comes from: the host's monotonic clock, or a simulation's. */
export interface Clock {
  now(): Instant
}

/** A clock that moves only when it is told to. */
export class ManualClock implements Clock {
  private at: Instant

  constructor(start = 0) {
    this.at = start as Instant
  }

  now(): Instant {
    return this.at
  }

  advance(delay: Duration): Instant {
    this.at = after(this.at, delay)
    return this.at
  }
}
