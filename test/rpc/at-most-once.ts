/**
 * The campaign of checklist 39 to 41: calls of a counter service over a wire that loses, doubles and reorders packets, with a server that crashes,
 * stops and loses its connections meanwhile. In virtual time, and a function of the seed.
 */
import { Prng } from '../../src/base/prng.ts'
import type { RpcProcedure, RpcServerOptions } from '../../src/rpc/index.ts'
import { RpcClient, RpcError } from '../../src/rpc/index.ts'
import { CounterServer, PORT } from './counter-server.ts'
import {
  ADD,
  ADD_THEN_WAIT,
  CounterState,
  PROGRAM,
  TOUCH,
  VERSION,
  WAIT_THEN_ADD,
} from './counter-service.ts'
import { World } from './world.ts'

export interface AtMostOnceOptions {
  readonly seed: number
  readonly calls: number
  readonly transport: 'tcp' | 'udp'
  /** Whether the clients ask for a session. */
  readonly session: boolean
  /** How often the server crashes or stops, and how often its connections are reset, evenly over the calls. */
  readonly restarts: number
  readonly resets: number
  readonly clients?: number
  readonly callersPerClient?: number
  readonly server?: RpcServerOptions
}

export const BAD_WIRE = {
  delay: '4ms',
  jitter: '3ms',
  jitterReorder: true,
  loss: '5%',
  duplicate: '5%',
  reorder: '5%',
  limit: 20_000,
}

export type Outcome = 'ok' | 'refused' | 'unknown' | 'answered'

export interface AtMostOnceResult {
  /** What must not be: empty if all was well; the first few, and how many there were. */
  readonly problems: readonly string[]
  readonly problemCount: number
  readonly outcomes: Readonly<Record<Outcome, number>>
  /** Calls of unknown outcome that did have their effect, and that did not. */
  readonly unknownDone: number
  readonly unknownNotDone: number
  /** Calls that are no idempotent ones and had their effect more than once. */
  readonly twice: number
  readonly restarts: number
  readonly resets: number
  readonly server: Readonly<Record<string, number>>
  readonly client: Readonly<Record<string, number>>
  readonly wire: Readonly<Record<string, number>>
  readonly virtualSeconds: number
}

const LIMIT_MS = 6 * 3_600_000
const PROBLEMS_TOLD = 5
/** Of a thousand calls: with a deadline that many miss, and cancelled by their caller. */
const HASTY = 40
const CANCELLED = 15

class Campaign {
  readonly options: AtMostOnceOptions
  readonly world: World
  readonly state: CounterState
  readonly server: CounterServer
  readonly clients: RpcClient[] = []
  readonly outcomes: (Outcome | undefined)[] = []
  readonly problems: string[] = []
  private problemCount = 0
  private readonly random: Prng
  private begun = 0
  private ended = 0

  constructor(options: AtMostOnceOptions) {
    const { seed, calls, transport } = options
    this.options = options
    this.random = new Prng(seed ^ 0x0a57)
    this.world = new World({ seed, impair: BAD_WIRE })
    this.state = new CounterState(calls)
    const waitMs = () => this.random.below(40)
    this.server = new CounterServer(this.world, this.state, transport === 'tcp', waitMs, options.server)
  }

  async run(): Promise<AtMostOnceResult> {
    const { world, server, options } = this
    server.start()
    await this.connect()
    const { callersPerClient = 64 } = options
    for (const client of this.clients) for (let i = 0; i < callersPerClient; i++) this.next(client)
    const isDone = await world.pass(LIMIT_MS, () => this.ended === options.calls)
    if (!isDone) this.problem(`${options.calls - this.ended} calls never ended`)
    // Packets that are still on their way must not do anything any more, either.
    await world.pass(30_000)
    for (const client of this.clients) client.close()
    const closed = server.close()
    await world.pass(120_000)
    await closed
    const wire = world.wireCounters
    try {
      await world.finish()
    } catch (error) {
      this.problem(String(error))
    }
    return this.judge(wire)
  }

  private async connect(): Promise<void> {
    const { transport, session, clients = 4 } = this.options
    const { client, server } = this.world
    const address = server.address
    const common = { address, port: PORT, transport, program: PROGRAM, version: VERSION, lazy: true }
    // A client without a session is an ordinary one, which would go on in the second best way.
    const atMostOnce = session ? 'required' : false
    for (let i = 0; i < clients; i++) {
      const made = RpcClient.connect(client, { ...common, atMostOnce, retransmitMs: 60 })
      // With `lazy` nothing is waited for.
      this.clients.push(await made)
    }
  }

  // ---- calls

  private next(client: RpcClient): void {
    const { random } = this
    if (this.begun === this.options.calls) return
    const call = this.begun++
    const isHasty = random.below(1_000) < HASTY
    const timeoutMs = isHasty ? 1 + random.below(60) : 10_000
    const controller = random.below(1_000) < CANCELLED ? new AbortController() : null
    if (controller !== null) this.world.at(random.below(40), () => controller.abort())
    const signal = controller === null ? {} : { signal: controller.signal }
    client.call(this.procedure(call), call, { timeoutMs, ...signal }).then(
      () => this.ends(client, call, 'ok'),
      error => {
        if (!(error instanceof RpcError)) this.problem(`call ${call} ended with ${error}`)
        this.ends(client, call, error instanceof RpcError ? error.outcome : 'unknown')
      },
    )
  }

  private procedure(call: number): RpcProcedure<number, number> {
    const kind = call % 10
    return kind < 6 ? ADD : kind < 7 ? ADD_THEN_WAIT : kind < 9 ? WAIT_THEN_ADD : TOUCH
  }

  private ends(client: RpcClient, call: number, outcome: Outcome): void {
    if (this.outcomes[call] !== undefined) this.problem(`call ${call} ended twice`)
    this.outcomes[call] = outcome
    // At once: what a caller was told must be so from the moment on.
    if (outcome === 'ok' && this.state.effects[call] === 0)
      this.problem(`call ${call} succeeded without its effect`)
    this.ended++
    this.disturb()
    this.next(client)
  }

  /** Faults come evenly over the calls, whatever time those take. */
  private disturb(): void {
    const { restarts, resets, calls } = this.options
    const { server, ended, random } = this
    if (isStep(ended, calls, restarts)) {
      if (server.restarts % 3 === 2) server.stop(30)
      else server.crash(random.below(300))
    } else if (server.isUp && isStep(ended + half(calls, resets), calls, resets)) server.reset()
  }

  // ---- what came of it

  private problem(text: string): void {
    if (++this.problemCount <= PROBLEMS_TOLD) this.problems.push(text)
  }

  private judge(wire: Readonly<Record<string, number>>): AtMostOnceResult {
    const outcomes = { ok: 0, refused: 0, unknown: 0, answered: 0 }
    let unknownDone = 0
    let twice = 0
    this.outcomes.forEach((outcome, call) => {
      if (outcome === undefined) return
      const effects = this.state.effects[call]!
      outcomes[outcome]++
      if (outcome === 'unknown' && effects > 0) unknownDone++
      if (outcome === 'refused' && effects > 0) this.problem(`call ${call} was refused and had its effect`)
      if (effects > 1 && this.procedure(call) !== TOUCH) {
        twice++
        this.problem(`call ${call} (${outcome}) had its effect ${effects} times`)
      }
    })
    for (const error of this.world.errors) this.problem(error)
    return {
      problems: this.problems,
      problemCount: this.problemCount,
      outcomes,
      unknownDone,
      unknownNotDone: outcomes.unknown - unknownDone,
      twice,
      restarts: this.server.restarts,
      resets: this.server.resets,
      server: this.server.counters,
      client: sum(this.clients.map(client => client.counters)),
      wire,
      virtualSeconds: this.world.nowMs / 1_000,
    }
  }
}

/** Half a step: so that resets come between restarts. */
function half(calls: number, steps: number): number {
  return Math.floor(calls / (steps + 1) / 2)
}

/** Whether the n-th of `calls` is one of `steps` that divide them evenly. */
function isStep(n: number, calls: number, steps: number): boolean {
  if (steps === 0 || n === calls) return false
  return n % Math.floor(calls / (steps + 1)) === 0 && n / Math.floor(calls / (steps + 1)) <= steps
}

function sum(sets: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {}
  for (const set of sets)
    for (const [name, value] of Object.entries(set)) total[name] = (total[name] ?? 0) + value
  return total
}

export function atMostOnce(options: AtMostOnceOptions): Promise<AtMostOnceResult> {
  return new Campaign(options).run()
}
