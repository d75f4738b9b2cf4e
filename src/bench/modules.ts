/**
 * `putnext bench modules`: what a module in the way of a message costs, and the calls on messages. In process, without
 * a device: streams with 0 to 16 modules that do nothing, and the slope of the price over their number.
 */
import { StackError } from '../base/errors.ts'
import { Prng } from '../base/prng.ts'
import { instant } from '../base/time.ts'
import { discardDriver } from '../driver/null.ts'
import { shimMemory } from '../driver/shim-memory.ts'
import { tryShim } from '../host/shim.ts'
import { Arena } from '../streams/mblk/arena.ts'
import { allocb, HEADROOM_BYTES } from '../streams/mblk/index.ts'
import { Runtime } from '../streams/runtime.ts'
import { Stream } from '../streams/stream.ts'
import { HEAP_BYTES_MAX, type HeapGrowth, HeapWatch, heapGrowth } from './heap.ts'
import { describeMachine, type Machine } from './machine.ts'
import { NULL_MODULES } from './null-modules.ts'
import { makeOperations, type Operation, type Operations } from './operations.ts'
import { type OnProgress, Progress } from './progress.ts'
import { byMedian, overRounds, type Requirement } from './requirements.ts'
import { fitLine, ROUNDS_MIN, rotated, SPREAD_MAX, type Summary, summarize } from './statistics.ts'

export interface ModulesBenchOptions {
  /** 7 by default, fewer than 5 decide nothing. */
  readonly rounds?: number
  /** Of each point in a round; 0.2 by default. */
  readonly seconds?: number
  /** Messages around which the heap is looked at in each round; 1,000,000 by default. */
  readonly heapMessages?: number
  readonly signal?: AbortSignal
  readonly onProgress?: OnProgress
}

export interface ModulesReport {
  readonly kind: 'modules'
  readonly machine: Machine
  readonly rounds: number
  readonly seconds: number
  /** Nanoseconds for a message from the head through so many modules to a driver that frees it, with its allocation. */
  readonly points: readonly { readonly modules: number; readonly nanoseconds: Summary }[]
  /** Nanoseconds for each module: the slope of a straight line through the points, by round. */
  readonly slope: Summary
  readonly operations: readonly { readonly name: string; readonly nanoseconds: Summary }[]
  /** What moves bytes: the shim from 256 bytes on, or portable code. */
  readonly memory: 'shim' | 'portable'
  /** Through all 16 modules, by round. */
  readonly heap: readonly HeapGrowth[]
  readonly requirements: readonly Requirement[]
  readonly warnings: readonly string[]
}

const ROUNDS = 7
const SECONDS = 0.2
const MODULE_COUNTS = [0, 1, 2, 4, 8, 16] as const
const PAYLOAD_BYTES = 64
const ARENA_BYTES = 8 * 1024 * 1024
const MODULE_NANOSECONDS_MAX = 10
/** A measurement between two looks at the clock takes about that long. */
const SLICE_MS = 4
/** Before anything counts, or as long as a point if that is shorter. */
const WARMUP_MS = 150
const HEAP_MESSAGES = 1_000_000

/** Something that is done many times, and its nanoseconds each time it was measured. */
interface Point {
  readonly run: (count: number) => void
  /** How many make up a slice. */
  count: number
  readonly nanoseconds: number[]
}

/** @throws the abort's reason; StackError `ERR_BAD_ARGUMENT` */
export async function run(options: ModulesBenchOptions = {}): Promise<ModulesReport> {
  const { rounds = ROUNDS, seconds = SECONDS, heapMessages = HEAP_MESSAGES, signal, onProgress } = options
  if (!(rounds >= 1) || !(seconds > 0))
    throw new StackError('ERR_BAD_ARGUMENT', 'a measurement needs at least one round, and time')
  const machine = describeMachine()
  const bench = new ModulesBench(heapMessages)
  const progress = new Progress(rounds, (bench.pointCount * seconds + 1) * rounds * 1_000, onProgress)
  try {
    progress.say('warming up')
    await bench.warmUp(Math.min(WARMUP_MS, seconds * 1_000), signal)
    for (let round = 0; round < rounds; round++) {
      progress.say(`round ${round + 1} of ${rounds}`)
      await bench.round(round, seconds * 1_000, signal)
      progress.step()
    }
    return reportOf(machine, rounds, seconds, bench)
  } finally {
    bench.close()
  }
}

class ModulesBench {
  readonly memory: 'shim' | 'portable'
  readonly streams: readonly Point[]
  readonly operations: readonly Operation[]
  readonly priced: readonly Point[]
  readonly heap: HeapGrowth[] = []
  private readonly runtime: Runtime
  private readonly made: Operations
  private readonly opened: Stream[] = []
  private readonly watch = new HeapWatch()
  private readonly release: () => void
  private readonly heapMessages: number

  constructor(heapMessages: number) {
    this.heapMessages = heapMessages
    const arena = new Arena({ sizeBytes: ARENA_BYTES })
    const shim = tryShim()
    this.memory = shim === null ? 'portable' : 'shim'
    const arenaId = shim?.bindArena(arena.bytes) ?? -1
    if (shim !== null) arena.memory = shimMemory(shim, arena, arenaId)
    this.release = () => void shim?.releaseArena(arenaId)
    const clock = { now: () => instant(performance.now() * 1_000) }
    this.runtime = new Runtime({ arena, clock, random: new Prng(1) })
    this.streams = MODULE_COUNTS.map(count => pointOf(this.sender(count)))
    this.made = makeOperations(this.runtime)
    this.operations = this.made.all
    this.priced = this.operations.map(({ run: doIt }) => pointOf(doIt))
  }

  get pointCount(): number {
    return this.streams.length + this.priced.length
  }

  /** Sends messages down a stream with so many modules. */
  private sender(count: number): (messages: number) => void {
    const { arena } = this.runtime
    const stream = Stream.open(this.runtime, discardDriver, { name: `null-${count}` })
    this.opened.push(stream)
    for (const info of NULL_MODULES.slice(0, count)) stream.push(info)
    return messages => {
      for (let i = 0; i < messages; i++) {
        const mp = allocb(arena, PAYLOAD_BYTES, HEADROOM_BYTES)!
        mp.wptr += PAYLOAD_BYTES
        stream.putmsg(mp)
      }
    }
  }

  async warmUp(ms: number, signal: AbortSignal | undefined): Promise<void> {
    // Twice, since the code for the first stream is made before the call sites have met the others.
    for (let i = 0; i < 2; i++)
      for (const point of [...this.streams, ...this.priced]) await measure(point, ms, signal)
    this.streams.at(-1)!.run(this.heapMessages)
    await this.watch.collected()
  }

  async round(round: number, ms: number, signal: AbortSignal | undefined): Promise<void> {
    for (const point of rotated([...this.streams, ...this.priced], round))
      point.nanoseconds.push(await measure(point, ms, signal))
    const longest = this.streams.at(-1)!
    const before = await this.watch.collected()
    longest.run(this.heapMessages)
    const after = await this.watch.now()
    this.heap.push(heapGrowth(before, after, await this.watch.collected(), this.heapMessages))
  }

  close(): void {
    this.watch.close()
    this.made.close()
    for (const stream of this.opened) stream.close()
    this.runtime.turn()
    this.runtime.arena.assertWhole()
    this.release()
  }
}

const pointOf = (doIt: (count: number) => void): Point => ({ run: doIt, count: 64, nanoseconds: [] })

/** @returns nanoseconds each time; the event loop has its turn between the slices */
async function measure(point: Point, ms: number, signal: AbortSignal | undefined): Promise<number> {
  let spentMs = 0
  let done = 0
  while (spentMs < ms) {
    signal?.throwIfAborted()
    const start = performance.now()
    point.run(point.count)
    const sliceMs = performance.now() - start
    spentMs += sliceMs
    done += point.count
    if (sliceMs < SLICE_MS / 2) point.count *= 2
    await new Promise<void>(resolve => setImmediate(resolve))
  }
  return (spentMs / done) * 1e6
}

function reportOf(machine: Machine, rounds: number, seconds: number, bench: ModulesBench): ModulesReport {
  const slopes = Array.from({ length: rounds }, (_, round) => {
    const prices = bench.streams.map(({ nanoseconds }) => nanoseconds[round]!)
    return fitLine(MODULE_COUNTS, prices).slope
  })
  const slope = summarize(slopes)
  const heap = bench.heap.map(({ allocatedPerPacket }) => allocatedPerPacket)
  const prices = new Map(bench.operations.map(({ name }, i) => [name, bench.priced[i]!.nanoseconds]))
  const operations = bench.operations.map(({ name, less }) => {
    const off = less === undefined ? undefined : prices.get(less)
    const samples = prices.get(name)!.map((price, round) => price - (off?.[round] ?? 0))
    return { name, nanoseconds: summarize(samples) }
  })
  return {
    kind: 'modules',
    machine,
    rounds,
    seconds,
    points: MODULE_COUNTS.map((modules, i) => ({
      modules,
      nanoseconds: summarize(bench.streams[i]!.nanoseconds),
    })),
    slope,
    operations,
    memory: bench.memory,
    heap: bench.heap,
    requirements: [
      overRounds('a null module', { atMost: MODULE_NANOSECONDS_MAX }, 'ns a message', slopes, slope.median),
      byMedian('heap allocated by message', { atMost: HEAP_BYTES_MAX }, 'bytes', heap),
    ],
    warnings: warningsOf(machine, rounds, slope),
  }
}

function warningsOf(machine: Machine, rounds: number, slope: Summary): string[] {
  const warnings: string[] = []
  if (machine.busy)
    warnings.push(
      `the machine was busy when it began (load ${machine.load.toFixed(1)}): measure again when it is not`,
    )
  if (rounds < ROUNDS_MIN) warnings.push(`${rounds} rounds decide nothing: take at least ${ROUNDS_MIN}`)
  if (slope.spread > SPREAD_MAX)
    warnings.push(`the slopes of the rounds differ by ${Math.round(slope.spread * 100)} %: too much to tell`)
  return warnings
}
