/**
 * What drives the run queue above the kernel's sockets: the callbacks in which Node tells of them. What one of them brings is handed up,
 * answered and written before it ends; what programs do elsewhere goes when the promises that are due have run.
 */
import { randomInt } from 'node:crypto'
import { Prng } from '../base/prng.ts'
import { instant } from '../base/time.ts'
import type { Arena } from '../streams/mblk/arena.ts'
import { Runtime } from '../streams/runtime.ts'

/** Turns before the event loop has its own. */
const TURNS_MAX = 64
/** Runs from ticks before the event loop has its turn: ticks that bring about ticks keep it from ever having one. */
const TICKS_MAX = 32

/** As long as a timer of Node's may be: a longer one comes at once, again and again. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** Something that gathers what a turn writes. */
export interface Gatherer {
  /** The turn is over. */
  flush(): void
}

export class KernelLoop {
  readonly runtime: Runtime
  private readonly gatherers: Gatherer[] = []
  /** Callbacks of Node's on the stack, between {@link enter} and {@link leave}. */
  private depth = 0
  private running = false
  private scheduled = false
  private closed = false
  private ticks = 0
  private alarm: NodeJS.Timeout | null = null
  private alarmAt = 0
  private readonly onMicrotask = (): void => process.nextTick(this.onTick)
  private readonly onTick = (): void => {
    // A program waits for the event loop.
    if (this.runtime.scheduler.programEvents > 0) setImmediate(this.onImmediate)
    else this.go()
  }
  private readonly onImmediate = (): void => {
    this.ticks = 0
    this.go()
  }

  constructor(arena: Arena) {
    this.runtime = new Runtime({
      arena,
      clock: { now: () => instant(performance.now() * 1_000) },
      random: new Prng(randomInt(2 ** 31)),
      wake: () => this.wake(),
    })
  }

  /** A callback of Node's begins: {@link leave} lets the run queue go. @param isTick - it comes from a tick, not from the event loop */
  enter(isTick = false): void {
    this.depth++
    if (isTick) this.ticks++
    else this.ticks = 0
  }

  leave(): void {
    if (--this.depth > 0) return
    // Most often a callback says that something was written, and nobody waits for that.
    if (this.runtime.scheduler.idle && this.gatherers.length === 0) this.setAlarm()
    else if (this.ticks > TICKS_MAX) this.wake()
    else this.run()
  }

  /** An occasion that is no matter of speed. */
  within(action: () => void): void {
    this.enter()
    try {
      action()
    } finally {
      this.leave()
    }
  }

  /** Once for every time that it has gathered something. */
  gathers(gatherer: Gatherer): void {
    this.gatherers.push(gatherer)
    this.wake()
  }

  private wake(): void {
    if (this.scheduled || this.running || this.depth > 0 || this.closed) return
    this.scheduled = true
    if (this.ticks >= TICKS_MAX) setImmediate(this.onImmediate)
    else {
      this.ticks++
      // Behind all promises, so that what they write travels together.
      queueMicrotask(this.onMicrotask)
    }
  }

  private go(): void {
    this.scheduled = false
    this.run()
  }

  private run(): void {
    if (this.running || this.closed) return
    this.running = true
    const { scheduler } = this.runtime
    try {
      for (let i = 0; i < TURNS_MAX && scheduler.programEvents === 0; i++) if (!this.runtime.turn()) break
      this.flush()
    } finally {
      this.running = false
    }
    if (!scheduler.idle || this.gatherers.length > 0) this.wake()
    this.setAlarm()
  }

  private flush(): void {
    const { gatherers } = this
    for (let i = 0; i < gatherers.length; i++) gatherers[i]!.flush()
    gatherers.length = 0
  }

  /** One that comes too early stays: what is due moves on with every call, and a timer is dear. */
  private setAlarm(): void {
    const { timers } = this.runtime
    const due = timers.idle ? null : timers.pollAt()
    if (due === null || this.closed || (this.alarm !== null && this.alarmAt <= due)) return
    if (this.alarm !== null) clearTimeout(this.alarm)
    const delayMs = Math.min(TIMER_MS_MAX, Math.max(0, Math.ceil((due - this.runtime.clock.now()) / 1_000)))
    this.alarmAt = due
    this.alarm = setTimeout(this.onAlarm, delayMs)
    this.alarm.unref()
  }

  private readonly onAlarm = (): void => {
    this.alarm = null
    this.ticks = 0
    this.run()
  }

  close(): void {
    this.closed = true
    if (this.alarm !== null) clearTimeout(this.alarm)
    this.alarm = null
  }
}
