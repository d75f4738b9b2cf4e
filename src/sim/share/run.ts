/**
 * Flows of one stack to another over one bottleneck, in virtual time: what each of them gets. The loop turns at irregular times,
 * as that of a process does; without that, flows that keep step would share by their phases.
 */
import { Prng } from '../../base/prng.ts'
import { type Instant, instant, ManualClock, microseconds } from '../../base/time.ts'
import { impairModule, makeWire } from '../../driver/index.ts'
import { InetStack } from '../../inet/stack.ts'
import { TcpConnection, TcpListener } from '../../socket/tcp-endpoint.ts'
import { Arena, allocb, dupmsg, freemsg, LINK_CSUM, type Mblk, Runtime, Stream } from '../../streams/index.ts'

export interface SharePlan {
  readonly seed: number
  readonly flows: number
  /** Options of the module `impair`, towards the receiver. */
  readonly link: Readonly<Record<string, unknown>>
  readonly delay: string
  readonly warmupSeconds: number
  readonly seconds: number
  /** Microseconds between two turns of the loop, on average. */
  readonly turnUs: number
}

const PORT = 9
const ARENA_BYTES = 200 * 1024 * 1024
const CHUNK_BYTES = 65_536
const WAY_BACK_PACKETS = 20_000

class Share {
  readonly clock = new ManualClock()
  readonly arena = new Arena({ sizeBytes: ARENA_BYTES })
  private readonly plan: SharePlan
  private readonly random: Prng
  private readonly runtimes: readonly [Runtime, Runtime]
  private readonly stacks: readonly InetStack[]
  private readonly chunk: Mblk
  private readonly connections: readonly TcpConnection[]

  constructor(plan: SharePlan) {
    this.plan = plan
    const { seed, link, delay, flows } = plan
    this.random = new Prng(seed)
    this.runtimes = [this.makeRuntime(1), this.makeRuntime(2)]
    // No segmentation on this link: packets meet its queue one by one.
    const ends = makeWire({ capabilities: LINK_CSUM })
    this.stacks = this.runtimes.map((runtime, i) => {
      const stream = Stream.open(runtime, ends[i]!, { name: `wire${i}` })
      const way = i === 0 ? link : { limit: WAY_BACK_PACKETS }
      stream.push(impairModule, { direction: 'out', delay, seed: seed + i, ...way })
      const stack = new InetStack(runtime)
      stack.attachLink(stream, { name: 'link0', addresses: [`10.0.0.${i + 1}/24`] })
      return stack
    })
    this.chunk = allocb(this.arena, CHUNK_BYTES)!
    this.chunk.wptr += CHUNK_BYTES
    this.discard()
    // The links tell what they are before anybody connects.
    this.settle()
    this.connections = Array.from({ length: flows }, () => this.connect())
  }

  private makeRuntime(salt: number): Runtime {
    return new Runtime({ arena: this.arena, clock: this.clock, random: new Prng(this.plan.seed * 2 + salt) })
  }

  private discard(): void {
    const listener = TcpListener.open(this.runtimes[1], { port: PORT })
    listener.onConnection = () => {
      for (let each = listener.accept(); each !== null; each = listener.accept()) {
        const connection = each
        connection.onReadable = () => {
          for (let mp = connection.getmsg(); mp !== null; mp = connection.getmsg()) freemsg(mp)
        }
      }
    }
  }

  private connect(): TcpConnection {
    const connection = TcpConnection.connect(this.runtimes[0], { address: '10.0.0.2', port: PORT })
    const more = (): void => {
      for (let mp = dupmsg(this.chunk); mp !== null; mp = dupmsg(this.chunk)) {
        if (!connection.putmsg(mp)) return freemsg(mp)
      }
    }
    connection.onWritable = more
    connection.onConnect = more
    return connection
  }

  private settle(): void {
    for (;;) {
      const more = [this.runtimes[0].turn(), this.runtimes[1].turn()]
      if (!more[0] && !more[1] && this.runtimes.every(({ scheduler }) => scheduler.idle)) return
    }
  }

  runUntil(end: Instant): void {
    while (this.clock.now() < end) {
      const now = this.clock.now()
      const due = Math.min(...this.runtimes.map(({ timers }) => timers.pollAt() ?? end))
      const turn = now + this.random.below(2 * this.plan.turnUs)
      this.clock.advance(microseconds(Math.min(end, Math.max(now, due, turn)) - now))
      this.settle()
    }
  }

  /** Of each flow, acknowledged by the peer. */
  delivered(): number[] {
    return this.connections.map(connection => {
      const info = connection.info()
      return connection.bytesWritten - (info === null ? 0 : info.unackedBytes + info.notSentBytes)
    })
  }

  finish(): void {
    freemsg(this.chunk)
    for (const stack of this.stacks) stack.close()
    for (const runtime of this.runtimes) for (const stream of [...runtime.streams]) stream.close()
    for (const runtime of this.runtimes) runtime.turn()
    this.arena.assertWhole()
  }
}

/** @returns bits a second of each flow; the same for the same plan */
export function share(plan: SharePlan): number[] {
  const run = new Share(plan)
  run.runUntil(instant(plan.warmupSeconds * 1e6))
  const before = run.delivered()
  run.runUntil(instant((plan.warmupSeconds + plan.seconds) * 1e6))
  const rates = run.delivered().map((bytes, i) => ((bytes - before[i]!) * 8) / plan.seconds)
  run.finish()
  return rates
}
