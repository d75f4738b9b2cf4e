/**
 * What drives a stack on a host: the event loop calls it when a device is readable, when a program sent something,
 * or when a deadline is due. While packets come in quick succession it looks for the next one for some microseconds
 * before it goes back to sleep: a sleeper's wake-up across cores costs more than the packet. Looks that are in vain make
 * it stop looking for a while, and the event loop gets its turn every few milliseconds all the same.
 */
import { randomFillSync } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { Random } from '../base/prng.ts'
import { type Clock, type Instant, instant } from '../base/time.ts'
import { shimMemory } from '../driver/shim-memory.ts'
import { type Tun, tunDriver } from '../driver/tun.ts'
import { type Shim, tryShim } from '../host/shim.ts'
import { Arena } from '../streams/mblk/arena.ts'
import { type Queue, qenable, WR } from '../streams/queue.ts'
import { Runtime, type StackEvent } from '../streams/runtime.ts'

export interface NodeLoopOptions {
  /** Null to do without a device, even where the shim is there; loaded by default. */
  readonly shim?: Shim | null
  /** Shared with other stacks of this process that are joined by wires; own by default. */
  readonly arena?: Arena
  readonly random?: Random
  readonly onEvent?: (event: StackEvent) => void
  /** How long to look for the next packet before sleeping, while that pays; 0 never looks. 0 by default on one core. */
  readonly spinUs?: number
}

/**
 * As long as a wake-up across cores takes, or a little longer: whoever looks so long loses no more than twice what it would have cost to
 * know. A peer that answers thirty-two calls at once takes some 50 µs; see docs/benchmarks.md.
 */
export const SPIN_US = 100
/** A look that finds a packet earns one unit, up to the maximum; one in vain costs several. Below zero, no looking. */
const CREDIT_MAX = 32
const CREDIT_LOSS = 4
/** Readiness events after which looking is tried again. */
const REST_EVENTS = 256
/** Time after which the event loop gets its turn in any case. */
const HOLD_US = 2_000
const TURNS_MAX = 256
/**
 * Procedures between two looks at the time. One of a device moves 64 packets, which takes a fraction of a millisecond, or several on a
 * machine that is busy: a whole run queue of them would hold the event loop for seconds.
 */
const TURN_BUDGET = 16
/** Node's timers count milliseconds. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** Random numbers from the host's CSPRNG, fetched by the thousand. */
class HostRandom implements Random {
  private readonly pool = new Int32Array(1_024)
  private next = this.pool.length

  int32(): number {
    if (this.next === this.pool.length) {
      randomFillSync(this.pool)
      this.next = 0
    }
    return this.pool[this.next++]!
  }

  below(bound: number): number {
    return Math.floor(this.unit() * bound)
  }

  unit(): number {
    return (this.int32() >>> 0) / 4_294_967_296
  }
}

export class NodeLoop {
  readonly runtime: Runtime
  readonly shim: Shim | null
  /** The shim's number of the runtime's arena; -1 without a shim. */
  readonly arenaId: number
  private readonly spinUs: number
  private credit = CREDIT_MAX
  private rest = 0
  /** What the device had moved when it was last looked at in vain. */
  private seenMoved = 0
  private readonly clock: Clock
  private scheduled: NodeJS.Immediate | null = null
  private alarm: NodeJS.Timeout | null = null
  private alarmAt = 0
  private running = false
  private ticking = false
  /** Until when the event loop need not have its turn. */
  private tickUntil = 0
  private closed = false
  private readonly tuns = new Set<Queue<Tun>>()
  /** The device, if there is just one: with several, looking at one would keep the others waiting. */
  private only: Queue<Tun> | null = null
  private holds = 0
  /** Asked while the loop looks for the next packet: whether something else came, which has been enabled then. */
  readonly pollers = new Set<() => boolean>()

  constructor(options: NodeLoopOptions = {}) {
    const arena = options.arena ?? new Arena()
    const shim = options.shim === undefined ? tryShim() : options.shim
    this.shim = shim
    this.spinUs = options.spinUs ?? (availableParallelism() > 1 ? SPIN_US : 0)
    this.clock =
      shim === null ? { now: () => instant(performance.now() * 1_000) } : { now: () => instant(shim.now()) }
    this.runtime = new Runtime({
      arena,
      clock: this.clock,
      random: options.random ?? new HostRandom(),
      wake: () => this.wake(),
      ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
    })
    this.arenaId = shim === null ? -1 : shim.bindArena(arena.bytes)
    if (shim !== null) {
      arena.memory = shimMemory(shim, arena, this.arenaId)
      this.runtime.registry.register(this.tunDriver(shim))
    }
  }

  /** The TUN driver, told to this loop when one opens and closes. */
  private tunDriver(shim: Shim): ReturnType<typeof tunDriver> {
    const info = tunDriver({ shim, arenaId: this.arenaId, onReady: () => this.run() })
    return {
      ...info,
      open: (q, options) => {
        const tun = info.open(q, options)
        this.tuns.add(q)
        this.only = soleOf(this.tuns)
        return tun
      },
      close: q => {
        this.tuns.delete(q)
        this.only = soleOf(this.tuns)
        info.close(q)
      },
    }
  }

  /** Comes back soon: there is something to do. Safe to call at any time, often. */
  wake(): void {
    if (this.running || this.ticking || this.scheduled !== null || this.closed) return
    if (this.runtime.recent[0]! < this.tickUntil) {
      this.ticking = true
      process.nextTick(tickOf, this)
      return
    }
    this.scheduled = setImmediate(() => {
      this.scheduled = null
      this.run()
    })
  }

  /** Runs behind the microtasks that are due, without a turn of the event loop between. */
  tick(): void {
    this.ticking = false
    this.runOn()
  }

  /** Lets the process end although the loop waits for devices or deadlines; `hold` undoes one `release`. */
  hold(): void {
    if (this.holds++ === 0) this.setRef(true)
  }

  release(): void {
    if (--this.holds === 0) this.setRef(false)
  }

  private setRef(on: boolean): void {
    for (const q of this.tuns) this.shim!.portRef(q.state.port, on ? 1 : 0)
    if (on) this.alarm?.ref()
    else this.alarm?.unref()
  }

  /** Lets the stack go now. For callbacks of the event loop. */
  run(): void {
    this.runtime.refresh()
    this.tickUntil = this.runtime.recent[0]! + HOLD_US
    this.runOn()
  }

  private runOn(): void {
    if (this.running || this.closed) return
    this.running = true
    try {
      const { only } = this
      if (only === null) this.turns()
      else this.turnsWith(only)
    } finally {
      this.running = false
    }
    this.setAlarm()
  }

  private turns(): void {
    const { runtime } = this
    let more = runtime.turn(TURN_BUDGET)
    const end = runtime.recent[0]! + HOLD_US
    while (more && this.mayGoOn && runtime.recent[0]! < end) more = runtime.turn(TURN_BUDGET)
    if (more) this.again()
  }

  /** As {@link turns}, by the time that each exchange with the device leaves behind: reading it makes no number object. */
  private turnsWith(q: Queue<Tun>): void {
    const { runtime } = this
    const { recent } = runtime
    let more = runtime.turn(TURN_BUDGET)
    const end = recent[0]! + HOLD_US
    for (
      let left = TURNS_MAX;
      left > 0 && this.mayGoOn && (more || this.spin(q)) && recent[0]! < end;
      left--
    ) {
      const before = recent[0]!
      more = runtime.nextTurn(TURN_BUDGET)
      // Nothing was exchanged, as when the stack talks to itself: then the clock must tell.
      if (more && recent[0]! === before) runtime.refresh()
    }
    // A look may have used up the run queue's budget, with no turn after it.
    if (more || !this.runtime.scheduler.idle) this.again()
  }

  /** No program waits for the event loop to tell it something: its answer is worth more than the next packet. */
  private get mayGoOn(): boolean {
    return this.runtime.scheduler.programEvents === 0
  }

  /** Looks for a packet for a short while. @returns whether one came */
  private spin(q: Queue<Tun>): boolean {
    const tun = q.state
    if (tun.moved === this.seenMoved || tun.gone || tun.waitingToWrite || !this.maySpin()) return false
    const { scheduler, timers, recent } = this.runtime
    let end = recent[0]! + this.spinUs
    if (!timers.idle) end = Math.min(end, timers.pollAt()!)
    this.seenMoved = tun.moved
    do {
      qenable(WR(q))
      scheduler.run()
      if (this.somethingCame()) return true
      if (tun.moved !== this.seenMoved) {
        if (this.credit < CREDIT_MAX) this.credit++
        return true
      }
    } while (recent[0]! < end && !tun.gone)
    this.credit -= CREDIT_LOSS
    if (this.credit < 0) this.rest = REST_EVENTS
    return false
  }

  private somethingCame(): boolean {
    // Asked with every look at the device: an iterator over nothing is garbage all the same.
    if (this.pollers.size === 0) return false
    for (const poll of this.pollers) if (poll()) return true
    return false
  }

  private maySpin(): boolean {
    if (this.spinUs === 0) return false
    if (this.rest === 0) return true
    if (--this.rest === 0) this.credit = CREDIT_LOSS
    return false
  }

  private again(): void {
    this.scheduled ??= setImmediate(() => {
      this.scheduled = null
      this.run()
    })
  }

  /** One timer of the host's for the earliest deadline. */
  private setAlarm(): void {
    if (this.runtime.timers.idle) return
    const due = this.runtime.timers.pollAt()
    if (due === null || this.closed) return
    if (this.alarm !== null && this.alarmAt <= due) return
    if (this.alarm !== null) clearTimeout(this.alarm)
    const now: Instant = this.clock.now()
    const delayMs = Math.min(TIMER_MS_MAX, Math.max(0, Math.ceil((due - now) / 1_000)))
    this.alarmAt = due
    this.alarm = setTimeout(() => {
      this.alarm = null
      // The device first: what it has may be what a deadline is about.
      for (const q of this.tuns) qenable(WR(q))
      this.run()
    }, delayMs)
    if (this.holds === 0) this.alarm.unref()
  }

  /**
   * Stops driving the stack. Close its streams first: what is queued stays where it is.
   * @throws StackError if a device is still open
   */
  close(): void {
    this.closed = true
    if (this.scheduled !== null) clearImmediate(this.scheduled)
    if (this.alarm !== null) clearTimeout(this.alarm)
    this.scheduled = null
    this.alarm = null
    this.shim?.releaseArena(this.arenaId)
  }
}

function tickOf(loop: NodeLoop): void {
  loop.tick()
}

function soleOf<T>(set: ReadonlySet<T>): T | null {
  return set.size === 1 ? [...set][0]! : null
}
