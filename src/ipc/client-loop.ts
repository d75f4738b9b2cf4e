/** What drives a client's run queue: the event loop, when the port or a program asks for it, or a deadline is due. */
import { Prng } from '../base/prng.ts'
import { instant } from '../base/time.ts'
import { shimMemory } from '../driver/shim-memory.ts'
import type { Shim } from '../host/shim.ts'
import type { Arena } from '../streams/mblk/arena.ts'
import { Runtime } from '../streams/runtime.ts'

/** Turns before the event loop has its own. */
const TURNS_MAX = 64
/** As long as a timer of Node's may be: a longer one comes at once, again and again. */
const TIMER_MS_MAX = 2 ** 31 - 1

export class ClientLoop {
  readonly runtime: Runtime
  readonly arenaId: number
  private readonly shim: Shim
  /** Called once, when it is closed. */
  onClose: (() => void) | null = null
  private scheduled = false
  private running = false
  private closed = false
  private alarm: NodeJS.Timeout | null = null

  constructor(shim: Shim, arena: Arena) {
    this.shim = shim
    this.arenaId = shim.bindArena(arena.bytes)
    arena.memory = shimMemory(shim, arena, this.arenaId)
    this.runtime = new Runtime({
      arena,
      clock: { now: () => instant(shim.now()) },
      random: new Prng(1),
      wake: () => this.wake(),
    })
  }

  private wake(): void {
    if (this.scheduled || this.running || this.closed) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.run()
    })
  }

  /** Lets the run queue go now. For callbacks of the event loop. */
  run(): void {
    if (this.running || this.closed) return
    this.running = true
    const { runtime } = this
    let more = true
    try {
      for (let i = 0; more && i < TURNS_MAX && runtime.scheduler.programEvents === 0; i++)
        more = runtime.turn()
    } finally {
      this.running = false
    }
    if (!runtime.scheduler.idle) this.wake()
    this.setAlarm()
  }

  private setAlarm(): void {
    const { timers, clock } = this.runtime
    if (this.alarm !== null) clearTimeout(this.alarm)
    this.alarm = null
    const due = timers.idle ? null : timers.pollAt()
    if (due === null || this.closed) return
    const delayMs = Math.min(TIMER_MS_MAX, Math.max(0, Math.ceil((due - clock.now()) / 1_000)))
    this.alarm = setTimeout(() => this.run(), delayMs)
    this.alarm.unref()
  }

  close(): void {
    this.closed = true
    if (this.alarm !== null) clearTimeout(this.alarm)
    this.shim.releaseArena(this.arenaId)
    this.onClose?.()
  }
}
