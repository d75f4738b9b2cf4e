/**
 * Checklist 43: ten times more calls than a server can serve: what becomes of those that it takes, of those that it does not, and of its memory.
 * In virtual time, and a function of the seed.
 */
import { Prng } from '../../src/base/prng.ts'
import {
  LatencyHistogram,
  RpcClient,
  RpcError,
  type RpcProcedure,
  RpcServer,
  rpcHandler,
} from '../../src/rpc/index.ts'
import { xdrInt } from '../../src/rpc/xdr/index.ts'
import { heapBytes } from './heap.ts'
import { World } from './world.ts'

const PROGRAM = 0x2000_0123
const PORT = 3_100
const PROBLEMS_TOLD = 5

const WORK: RpcProcedure<number, number> = {
  name: 'WORK',
  program: PROGRAM,
  version: 1,
  procedure: 1,
  isIdempotent: false,
  argument: xdrInt,
  result: xdrInt,
}

export interface OverloadOptions {
  readonly seed: number
  readonly transport: 'tcp' | 'udp'
  /** With sessions the server knows each caller's deadline. */
  readonly session: boolean
  /** How long a call works, half of that more or less, and how many may at once: together the capacity. */
  readonly workMs: number
  readonly concurrency: number
  readonly clients: number
  readonly timeoutMs: number
  /** UDP: after which a call is sent again. */
  readonly retransmitMs?: number
  /** Of the capacity, one phase after the other, and how long each takes. */
  readonly phases: readonly { readonly load: number; readonly seconds: number }[]
  /** The server's own bounds of waiting: how long, and how many. */
  readonly maxWaitMs?: number
  readonly maxWaiting?: number
  /** One more client has calls in all phases: so many of the capacity, by a connection of its own. */
  readonly modestLoad?: number
}

/** What became of the calls that were begun in one phase. */
export interface PhaseResult {
  readonly offered: number
  readonly ok: number
  /** Of the server's capacity in that time. */
  readonly goodput: number
  /** Answered SYSTEM_ERR. */
  readonly shed: number
  /** Not sent, for want of room at the client. */
  readonly refused: number
  readonly unknown: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly shedP50Ms: number
  readonly shedP99Ms: number
  /** The most blocks of the arena, of both ends and the wire between, and the heap at the phase's end. */
  readonly mostBlocks: number
  readonly heapBytes: number
}

export interface OverloadResult {
  readonly phases: readonly PhaseResult[]
  /** Of the modest client, in the same phases. */
  readonly modest: readonly PhaseResult[]
  readonly problems: readonly string[]
  readonly server: Readonly<Record<string, number>>
  readonly transmissions: number
}

/** Calls that come by chance, so many in a millisecond on average, and what becomes of them. */
class Phase {
  offered = 0
  ok = 0
  shed = 0
  refused = 0
  unknown = 0
  readonly latency = new LatencyHistogram()
  readonly shedLatency = new LatencyHistogram()
  private readonly perMs: number
  private dueMs: number

  constructor(perMs: number, nowMs: number) {
    this.perMs = perMs
    this.dueMs = nowMs
  }

  /** @returns whether one more call has to be made */
  isDue(nowMs: number, random: Prng): boolean {
    if (this.perMs === 0 || this.dueMs > nowMs) return false
    this.dueMs -= Math.log(1 - random.unit()) / this.perMs
    this.offered++
    return true
  }

  /** @param capacity - calls that could be served in that time */
  summary(capacity: number, mostBlocks: number, heapBytes: number): PhaseResult {
    const { offered, ok, shed, refused, unknown, latency, shedLatency } = this
    const ms = (histogram: LatencyHistogram, share: number): number => histogram.quantile(share) / 1_000
    return {
      offered,
      ok,
      goodput: ok / capacity,
      shed,
      refused,
      unknown,
      p50Ms: ms(latency, 0.5),
      p99Ms: ms(latency, 0.99),
      shedP50Ms: ms(shedLatency, 0.5),
      shedP99Ms: ms(shedLatency, 0.99),
      mostBlocks,
      heapBytes,
    }
  }
}

class Overload {
  private readonly options: OverloadOptions
  private readonly world: World
  private readonly random: Prng
  private readonly server: RpcServer
  private readonly clients: RpcClient[] = []
  private readonly problems: string[] = []
  private calls = 0

  constructor(options: OverloadOptions) {
    const { seed, concurrency, workMs, maxWaitMs, maxWaiting } = options
    this.options = options
    this.world = new World({ seed, impair: { delay: '2ms', jitter: '1ms' } })
    this.random = new Prng(seed ^ 0x10ad)
    const { server } = this.world
    this.server = new RpcServer(server, {
      service: { concurrency, ...(maxWaiting === undefined ? {} : { maxWaiting }) },
      secretWord: () => server.runtime.random.int32(),
      ...(maxWaitMs === undefined ? {} : { maxWaitMs }),
    })
    const work = async (value: number): Promise<number> => {
      await this.world.delay((0.5 + this.random.unit()) * workMs, server)
      return value
    }
    this.server.add({ name: 'WORK', program: PROGRAM, version: 1, handlers: [rpcHandler(WORK, work)] })
  }

  async run(): Promise<OverloadResult> {
    const { world, server, options, problems, clients } = this
    await Promise.all([server.listen({ port: PORT, address: '0.0.0.0' }), world.pass(1)])
    for (let i = 0; i < options.clients; i++) clients.push(await this.connect())
    const modest = await this.connect()
    const made: (() => [PhaseResult, PhaseResult])[] = []
    for (const { load, seconds } of options.phases) made.push(await this.phase(load, seconds, modest))
    await world.pass(3 * options.timeoutMs)
    const results = made.map(summary => summary())
    let transmissions = 0
    for (const client of [...clients, modest]) {
      if (client.outstanding > 0) problems.push(`${client.outstanding} calls outlived their deadline`)
      for (const { counters } of client.procedures) transmissions += counters.transmissions
      client.close()
    }
    const closed = server.close()
    await world.pass(120_000)
    await closed
    problems.push(...world.errors)
    await world.finish()
    const [phases, ofModest] = [results.map(([all]) => all), results.map(([, one]) => one)]
    return { phases, modest: ofModest, problems, server: { ...server.counters }, transmissions }
  }

  private async connect(): Promise<RpcClient> {
    const { transport, session, timeoutMs, retransmitMs = 500 } = this.options
    const { client, server } = this.world
    const made = RpcClient.connect(client, {
      address: server.address,
      port: PORT,
      transport,
      atMostOnce: session,
      program: PROGRAM,
      version: 1,
      timeoutMs,
      retransmitMs,
    })
    await this.world.pass(20)
    return made
  }

  /**
   * Calls are made when they are due, whatever becomes of those before.
   * @returns what gives the results once all calls have ended
   */
  private async phase(
    load: number,
    seconds: number,
    modest: RpcClient,
  ): Promise<() => [PhaseResult, PhaseResult]> {
    const { workMs, concurrency, modestLoad = 0 } = this.options
    const { world, clients, random } = this
    const perMs = concurrency / workMs
    const all = new Phase(perMs * load, world.nowMs)
    const one = new Phase(perMs * modestLoad, world.nowMs)
    let mostBlocks = 0
    for (const end = world.nowMs + seconds * 1_000; world.nowMs < end; ) {
      while (all.isDue(world.nowMs, random)) this.call(all, clients[random.below(clients.length)]!)
      while (one.isDue(world.nowMs, random)) this.call(one, modest)
      await world.pass(1)
      mostBlocks = Math.max(mostBlocks, world.memory.blocks)
    }
    const heap = heapBytes()
    const capacity = perMs * seconds * 1_000
    return () => [all.summary(capacity, mostBlocks, heap), one.summary(capacity, mostBlocks, heap)]
  }

  private call(phase: Phase, client: RpcClient): void {
    const { world } = this
    const number = this.calls++
    const began = world.nowMs
    const took = (): number => (world.nowMs - began) * 1_000
    client.call(WORK, number).then(
      result => {
        if (result !== number) this.problem(`${number} was answered ${result}`)
        phase.ok++
        phase.latency.record(took())
      },
      error => {
        if (!(error instanceof RpcError)) return this.problem(String(error))
        if (error.outcome !== 'answered') {
          phase[error.outcome]++
          return
        }
        if (error.status !== 'SYSTEM_ERR') this.problem(error.message)
        phase.shed++
        phase.shedLatency.record(took())
      },
    )
  }

  private problem(text: string): void {
    if (this.problems.length < PROBLEMS_TOLD) this.problems.push(text)
  }
}

export function overload(options: OverloadOptions): Promise<OverloadResult> {
  return new Overload(options).run()
}
