/**
 * What a script drives: one stack over a {@link CaptureLink}, with a clock that moves only when it is told to. All that is
 * random comes from a seed, so that a script's run is a function of the script.
 */
import { Prng } from '../../base/prng.ts'
import { type Duration, ManualClock } from '../../base/time.ts'
import { InetStack } from '../../inet/stack.ts'
import type { TcpSettings } from '../../inet/tcp/settings.ts'
import { Arena } from '../../streams/mblk/arena.ts'
import { Runtime, type StackEvent } from '../../streams/runtime.ts'
import { CaptureLink } from './capture-link.ts'

/** What has to be known before the stack begins, and what it is by default. */
export interface WorldOptions {
  /** Of everything random: initial sequence numbers, ports, timestamp offsets. */
  readonly seed: number
  /** Where the stack's own clock begins, in microseconds; the script's begins at 0. */
  readonly startUs: number
  readonly mtu: number
  /** Whether the link takes and brings super-segments and finishes checksums. */
  readonly offload: boolean
  /** Addresses with prefix lengths. All other addresses are reached over the link, too. */
  readonly addresses: readonly string[]
  readonly arenaBytes: number
  /** Settings of TCP that are not the stack's own. */
  readonly tcp: Partial<TcpSettings>
}

export const WORLD_DEFAULTS: WorldOptions = {
  seed: 1,
  startUs: 0,
  mtu: 1_500,
  offload: false,
  addresses: ['192.0.2.1/24', '2001:db8::1/64'],
  arenaBytes: 64 * 1024 * 1024,
  tcp: {},
}

/** Turns at one moment after which something is taken to run in circles. */
const TURNS_MAX = 100_000
const EVENTS_MAX = 1_000
export const LINK_NAME = 'link0'

/** The stack did what it must not: a defect of this program, not of the script. */
export class WorldFault extends Error {
  override readonly name = 'WorldFault'
}

export class World {
  readonly runtime: Runtime
  readonly stack: InetStack
  readonly link: CaptureLink
  readonly events: StackEvent[] = []
  private faults: string[] = []
  private readonly clock: ManualClock
  private readonly arena: Arena
  private readonly startUs: number

  constructor(options: WorldOptions) {
    this.startUs = options.startUs
    this.clock = new ManualClock(options.startUs)
    this.arena = new Arena({ sizeBytes: options.arenaBytes, poison: true })
    this.runtime = new Runtime({
      arena: this.arena,
      clock: this.clock,
      random: new Prng(options.seed),
      onEvent: event => {
        this.events.push(event)
        if (event.level === 'error') this.faults.push(`${event.name}: ${event.text}`)
        if (this.events.length > EVENTS_MAX) this.events.shift()
      },
    })
    this.stack = new InetStack(this.runtime, { tcp: options.tcp })
    this.link = new CaptureLink(this.runtime, options.mtu, options.offload)
    this.stack.attachLink(this.link.stream, { name: LINK_NAME, addresses: options.addresses })
    this.stack.addRoute({ prefix: 'default', interface: LINK_NAME })
    this.settle()
  }

  /** Microseconds since the script began. */
  get now(): number {
    return this.clock.now() - this.startUs
  }

  /** What a packet's time on the stack's clock is on the script's. */
  sinceStart(at: number): number {
    return at - this.startUs
  }

  /** Events of level error since the last call: nothing that a script does should lead to one. */
  takeFaults(): string[] {
    return this.faults.length === 0 ? this.faults : this.faults.splice(0)
  }

  get isIdle(): boolean {
    return this.runtime.scheduler.idle
  }

  /** Lets the stack run until nothing is left to do at this moment. @throws WorldFault */
  settle(): void {
    for (let i = 0; i < TURNS_MAX; i++) if (!this.runtime.turn()) return
    throw new WorldFault(`the stack did not come to rest in ${TURNS_MAX} turns`)
  }

  /**
   * Moves the clock to `end`, stopping at every deadline on the way.
   * @param end - microseconds since the script began
   * @param pause - asked at every stop, after the stack came to rest: whether to stay there
   * @param nextOwn - the caller's own next deadline, or null
   * @throws WorldFault if time stands still because the stack wants to be called again and again
   */
  advanceTo(end: number, pause: () => boolean, nextOwn: () => number | null): void {
    for (let still = 0; still < TURNS_MAX; still++) {
      const next = Math.max(this.now, Math.min(end, this.nextDeadline(), nextOwn() ?? end))
      if (next > this.now) still = 0
      this.clock.advance((next - this.now) as Duration)
      this.settle()
      // A timer that was armed for this very moment while the others ran is met at the next stop.
      if (pause() || (this.now >= end && this.nextDeadline() > end)) return
    }
    throw new WorldFault(`time stands still at ${this.now} us`)
  }

  private nextDeadline(): number {
    const due = this.runtime.timers.pollAt()
    return due === null ? Number.POSITIVE_INFINITY : this.sinceStart(due)
  }

  /** Ends it all. @returns what did not come home; null if everything did */
  finish(): string | null {
    this.stack.close()
    this.link.stream.close()
    for (const stream of [...this.runtime.streams]) stream.close()
    this.runtime.turn()
    try {
      this.arena.assertWhole()
      return null
    } catch (error) {
      return (error as Error).message
    }
  }
}
