/** Two stacks joined by a wire that can be made a bad one, or one with its loopback, in virtual time: what the campaigns of RPC run on. */
import { Prng } from '../../src/base/prng.ts'
import { after, type Duration, ManualClock, milliseconds } from '../../src/base/time.ts'
import { impairModule, makeWire } from '../../src/driver/index.ts'
import { InetStack } from '../../src/inet/stack.ts'
import { Arena, Runtime, Stream, Timer } from '../../src/streams/index.ts'

export interface WorldOptions {
  readonly seed: number
  /** What both directions of the wire do to packets; see `impair`. Without it the wire is perfect. */
  readonly impair?: Readonly<Record<string, unknown>>
  /** Client and server are one stack, and nothing is lost. */
  readonly isLoopback?: boolean
  readonly arenaBytes?: number
  /** Looks whether freed memory is written to: costs a pass over each block. */
  readonly poison?: boolean
}

export interface WorldSide {
  readonly runtime: Runtime
  readonly stack: InetStack
  readonly address: string
  /** Its end of the wire. */
  readonly link: Stream | null
}

const TURNS_MAX = 1_000_000
/** Deadlines that are nearer to each other than this are met together: microseconds. */
const STEP_US = 100

export class World {
  readonly arena: Arena
  readonly clock = new ManualClock(1_000_000)
  readonly client: WorldSide
  readonly server: WorldSide
  /** What modules failed with. */
  readonly errors: string[] = []
  private readonly sides: readonly WorldSide[]
  private readonly options: WorldOptions

  constructor(options: WorldOptions) {
    this.options = options
    this.arena = new Arena({
      sizeBytes: options.arenaBytes ?? 32 * 1024 * 1024,
      poison: options.poison ?? false,
    })
    if (options.isLoopback === true) {
      this.client = this.server = this.makeSide(1, '127.0.0.1', null)
      this.sides = [this.client]
    } else {
      const [one, two] = makeWire()
      this.client = this.makeSide(1, '10.77.0.1', one)
      this.server = this.makeSide(2, '10.77.0.2', two)
      this.sides = [this.client, this.server]
    }
    this.settle()
  }

  private makeSide(
    salt: number,
    address: string,
    driver: ReturnType<typeof makeWire>[number] | null,
  ): WorldSide {
    const { seed, impair } = this.options
    const runtime = new Runtime({
      arena: this.arena,
      clock: this.clock,
      random: new Prng(seed * 2 + salt),
      onEvent: ({ level, name, text }) => {
        if (level === 'error') this.errors.push(`${name}: ${text}`)
      },
    })
    const stack = new InetStack(runtime)
    let link: Stream | null = null
    if (driver !== null) {
      link = Stream.open(runtime, driver, { name: 'wire0' })
      // Each side impairs what it sends, so that nothing is impaired twice.
      if (impair !== undefined)
        link.push(impairModule, { direction: 'out', seed: seed * 2 + salt, ...impair })
      stack.attachLink(link, { name: 'wire0', addresses: [`${address}/24`] })
    }
    return { runtime, stack, address, link }
  }

  get nowMs(): number {
    return this.clock.now() / 1_000
  }

  /** What the wire did, of both directions. */
  get wireCounters(): Record<string, number> {
    const sum: Record<string, number> = {}
    for (const { link } of this.sides) {
      const impair = link?.find('impair')
      const counters = impair?.info.counters?.(impair.state) ?? {}
      for (const [name, value] of Object.entries(counters)) sum[name] = (sum[name] ?? 0) + value
    }
    return sum
  }

  /** Something to be done at its time, by the run queue. */
  at(delayMs: number, action: () => void, side: WorldSide = this.client): Timer {
    const timer = new Timer(action)
    side.runtime.timers.arm(timer, after(this.clock.now(), milliseconds(delayMs)))
    return timer
  }

  /** Kept after some virtual time. */
  delay(delayMs: number, side: WorldSide = this.client): Promise<void> {
    return new Promise(resolve => this.at(delayMs, resolve, side))
  }

  /** Runs the stacks until nothing is left to do at this moment; no promise goes on meanwhile. */
  settle(): void {
    for (let i = 0; i < TURNS_MAX; i++) {
      let more = false
      for (const { runtime } of this.sides) more = runtime.turn() || more
      if (!more && this.sides.every(({ runtime }) => runtime.scheduler.idle)) return
    }
    throw new Error(`the run queues were not empty after ${TURNS_MAX} turns`)
  }

  /** Runs stacks and promises until both are still. */
  async rest(): Promise<void> {
    this.settle()
    for (let i = 0; i < TURNS_MAX; i++) {
      await new Promise(resolve => setImmediate(resolve))
      if (this.sides.every(({ runtime }) => runtime.scheduler.idle && !isDue(runtime))) return
      this.settle()
    }
    throw new Error(`promises made work for ${TURNS_MAX} turns`)
  }

  /**
   * Lets time pass, with everything that is due on the way.
   * @param isDone - ends it early
   * @returns whether `isDone` was so
   */
  async pass(limitMs: number, isDone: () => boolean = () => false): Promise<boolean> {
    const end = this.clock.now() + limitMs * 1_000
    await this.rest()
    while (!isDone()) {
      const now = this.clock.now()
      const next = Math.max(this.nextDeadline(), now + STEP_US)
      if (next > end) {
        this.clock.advance((end - now) as Duration)
        await this.rest()
        return isDone()
      }
      this.clock.advance((next - now) as Duration)
      await this.rest()
    }
    return true
  }

  private nextDeadline(): number {
    return Math.min(...this.sides.map(({ runtime }) => runtime.timers.pollAt() ?? Number.POSITIVE_INFINITY))
  }

  /** Memory of the arena in use, in blocks, and how many views there are of it. */
  get memory(): { readonly blocks: number; readonly views: number } {
    const { blocksInUse, viewsInUse } = this.arena.state()
    return { blocks: blocksInUse, views: viewsInUse }
  }

  /** Closes everything and checks that every block came home. @throws AssertionError */
  async finish(): Promise<void> {
    await this.rest()
    for (const { stack } of this.sides) stack.close()
    await this.rest()
    for (const { runtime } of this.sides) for (const stream of [...runtime.streams]) stream.close()
    this.settle()
    this.arena.assertWhole()
  }
}

function isDue(runtime: Runtime): boolean {
  const at = runtime.timers.pollAt()
  return at !== null && at <= runtime.clock.now()
}
