/** Runs a scenario: two stacks, a wire with an impairment at each end, programs on both, and a clock that only this moves. */
import { Prng } from '../../base/prng.ts'
import { type Duration, ManualClock } from '../../base/time.ts'
import { impairModule, makeWire } from '../../driver/index.ts'
import { InetStack } from '../../inet/stack.ts'
import { TcpConnection, TcpListener } from '../../socket/tcp-endpoint.ts'
import { Arena, LINK_CSUM, LINK_TSO4, LINK_TSO6, Runtime, Stream, Timer } from '../../streams/index.ts'
import { Party } from './party.ts'
import { type ConnectionPlan, drawScenario, type Scenario } from './scenario.ts'
import { makeTraceModule, type PacketListener, Trace } from './trace.ts'

export interface SoakResult {
  readonly seed: number
  /** Empty if everything was as it must be. */
  readonly problems: readonly string[]
  /** The same for the same seed, whatever else is changed in the world. */
  readonly trace: string
  readonly packets: number
  readonly bytes: number
  /** Virtual time. */
  readonly seconds: number
}

/** A scenario that takes longer has stalled: virtual time. */
const LIMIT_MS = 4 * 60 * 60_000
const TURNS_MAX = 1_000_000
const FIRST_PORT = 7_000
const ARENA_BYTES = 24 * 1024 * 1024
const ADDRESSES = [
  ['10.0.0.1', 'fd00::1'],
  ['10.0.0.2', 'fd00::2'],
] as const
/** Each direction of each connection has its own place in the stream of test data. */
const PLACE_STRIDE = 1_000_003

class Soak {
  readonly scenario: Scenario
  readonly clock = new ManualClock()
  readonly arena = new Arena({ sizeBytes: ARENA_BYTES, poison: true })
  readonly trace = new Trace()
  readonly problems: string[] = []
  readonly parties: Party[] = []
  private readonly runtimes: readonly [Runtime, Runtime]
  private readonly stacks: readonly InetStack[]
  private readonly links: readonly Stream[]
  private readonly random: Prng
  private listeners: TcpListener[] = []
  private readonly expected: number

  constructor(scenario: Scenario) {
    this.scenario = scenario
    this.random = new Prng(scenario.seed ^ 0x5eed)
    this.runtimes = [this.makeRuntime(1), this.makeRuntime(2)]
    const capabilities = scenario.offload ? LINK_CSUM | LINK_TSO4 | LINK_TSO6 : 0
    const ends = makeWire({ mtu: scenario.mtu, capabilities })
    this.links = this.runtimes.map((runtime, i) => Stream.open(runtime, ends[i]!, { name: `wire${i}` }))
    // Each side impairs what it sends, so that nothing is impaired twice.
    this.links.forEach((link, i) => {
      link.push(impairModule, { direction: 'out', ...scenario.impair[i] })
      if (i === 0) link.push(makeTraceModule(this.trace))
    })
    this.stacks = this.runtimes.map((runtime, i) => {
      const stack = new InetStack(runtime, { tcp: scenario.tcp[i]! })
      const [v4, v6] = ADDRESSES[i]!
      stack.attachLink(this.links[i]!, { name: 'link0', addresses: [`${v4}/24`, `${v6}/64`] })
      return stack
    })
    this.expected = 2 * scenario.connections.length
    scenario.connections.forEach((plan, i) => {
      this.begin(plan, i)
    })
    if (scenario.cut !== null) this.planCut(scenario.cut)
  }

  private makeRuntime(salt: number): Runtime {
    return new Runtime({
      arena: this.arena,
      clock: this.clock,
      random: new Prng(this.scenario.seed * 2 + salt),
      onEvent: ({ level, name, text }) => {
        if (level === 'error') this.problems.push(`${name}: ${text}`)
      },
    })
  }

  // ---- what happens

  private begin(plan: ConnectionPlan, index: number): void {
    const [client, server] = this.runtimes
    const port = FIRST_PORT + index
    const places = [2 * index * PLACE_STRIDE, (2 * index + 1) * PLACE_STRIDE] as const
    const listener = TcpListener.open(server, { port, settings: plan.server.settings })
    this.listeners.push(listener)
    listener.onConnection = () => {
      for (let c = listener.accept(); c !== null; c = listener.accept())
        this.join(`server ${index}`, server, c, plan, [places[1], places[0]])
    }
    this.at(plan.beginsMs, () => {
      const address = ADDRESSES[1][plan.family === 4 ? 0 : 1]
      const connection = TcpConnection.connect(client, { address, port, settings: plan.client.settings })
      this.join(`client ${index}`, client, connection, plan, places)
    })
  }

  private join(
    name: string,
    runtime: Runtime,
    connection: TcpConnection,
    plan: ConnectionPlan,
    places: readonly [number, number],
  ): void {
    const isClient = runtime === this.runtimes[0]
    const [own, other] = isClient ? [plan.client, plan.server] : [plan.server, plan.client]
    this.parties.push(new Party(name, runtime, connection, own, other.bytes, places, this.random))
  }

  private planCut({ atMs, forMs }: { atMs: number; forMs: number }): void {
    const cut = (partition: boolean): void => {
      for (const link of this.links) {
        const impair = link.find('impair')
        impair.info.configure?.(impair, { direction: 'out', partition })
      }
    }
    this.at(atMs, () => cut(true))
    this.at(atMs + forMs, () => cut(false))
  }

  private at(ms: number, action: () => void): void {
    this.runtimes[0].timers.arm(new Timer(action), (ms * 1_000) as never)
  }

  // ---- time

  private settle(): void {
    for (let i = 0; i < TURNS_MAX; i++) {
      const more = [this.runtimes[0].turn(), this.runtimes[1].turn()]
      if (!more[0] && !more[1] && this.runtimes.every(({ scheduler }) => scheduler.idle)) return
    }
    throw new Error(`no rest at ${this.clock.now()} us`)
  }

  private get isDone(): boolean {
    return this.parties.length >= this.expected && this.parties.every(({ stage }) => stage !== 'working')
  }

  private nextDeadline(): number {
    return Math.min(...this.runtimes.map(({ timers }) => timers.pollAt() ?? Number.POSITIVE_INFINITY))
  }

  private step(): boolean {
    const next = this.nextDeadline()
    if (next === Number.POSITIVE_INFINITY) return false
    this.clock.advance(Math.max(0, next - this.clock.now()) as Duration)
    this.settle()
    return true
  }

  run(): void {
    this.settle()
    while (!this.isDone) {
      if (this.clock.now() > LIMIT_MS * 1_000) {
        this.problems.push(`stalled: not done after ${LIMIT_MS / 3_600_000} virtual hours`)
        break
      }
      if (!this.step()) {
        this.problems.push('stalled: nothing is going to happen any more')
        break
      }
    }
    for (const party of this.parties)
      if (party.stage !== 'closed' || this.problems.length > 0) this.problems.push(party.describe())
    this.drain()
  }

  /** After the programs TCP has still to end its connections: every one must be gone after TIME-WAIT. */
  private drain(): void {
    for (const listener of this.listeners) listener.close()
    const end = this.clock.now() + LIMIT_MS * 1_000
    while (this.clock.now() < end && this.connectionsLeft() > 0 && this.step()) {}
    if (this.connectionsLeft() > 0) this.problems.push(`${this.connectionsLeft()} connections never end`)
  }

  private connectionsLeft(): number {
    return this.stacks.reduce((sum, stack) => {
      const { states } = stack.describe()['tcp'] as { states: Readonly<Record<string, number>> }
      return sum + Object.values(states).reduce((a, b) => a + b, 0)
    }, 0)
  }

  finish(): void {
    for (const stack of this.stacks) stack.close()
    for (const runtime of this.runtimes) for (const stream of [...runtime.streams]) stream.close()
    for (const runtime of this.runtimes) runtime.turn()
    try {
      this.arena.assertWhole()
    } catch (error) {
      this.problems.push((error as Error).message)
    }
  }
}

/** How a run is had again, for messages. */
export const replayHint = (seed: number): string => `again: putnext sim run tcp --seeds ${seed} --packets`

/** Runs what a seed stands for, to its end. @param listener - told of every packet at the client's end of the wire */
export function soak(
  seed: number,
  scenario: Scenario = drawScenario(seed),
  listener: PacketListener | null = null,
): SoakResult {
  const run = new Soak(scenario)
  run.trace.listener = listener
  try {
    run.run()
    run.finish()
  } catch (error) {
    run.problems.push(`${(error as Error).name}: ${(error as Error).message}`)
  }
  return {
    seed,
    problems: run.problems,
    trace: run.trace.text,
    packets: run.trace.packets,
    bytes: scenario.connections.reduce((sum, { client, server }) => sum + client.bytes + server.bytes, 0),
    seconds: run.clock.now() / 1e6,
  }
}
