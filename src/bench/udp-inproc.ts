/** Echo between two stacks of this process, over a wire: what the stack costs by itself, without a kernel or a device. */
import { Prng } from '../base/prng.ts'
import { instant } from '../base/time.ts'
import { makeWire } from '../driver/wire.ts'
import { InetStack } from '../inet/stack.ts'
import { destination, UdpEndpoint } from '../socket/endpoint.ts'
import { Arena } from '../streams/mblk/arena.ts'
import { allocb, freemsg, HEADROOM_BYTES } from '../streams/mblk/index.ts'
import type { AnyDriver } from '../streams/module.ts'
import { Runtime } from '../streams/runtime.ts'
import { Stream } from '../streams/stream.ts'
import { type CopiesPerDatagram, type CopyTotals, copiesPerDatagram } from './copies-check.ts'
import { HEAP_BYTES_MAX, type HeapGrowth, HeapWatch, heapGrowth } from './heap.ts'
import { describeMachine, type Machine } from './machine.ts'
import { Progress } from './progress.ts'
import { byMedian, once, type Requirement } from './requirements.ts'
import { quantile, type Summary, summarize } from './statistics.ts'
import type { UdpPlan } from './udp-report.ts'

export interface UdpInprocReport {
  readonly kind: 'udp'
  readonly mode: 'inproc'
  readonly machine: Machine
  readonly rounds: number
  readonly seconds: number
  readonly bytes: number
  readonly window: number
  readonly family: 4 | 6
  /** Datagrams there and back. */
  readonly windowPerSecond: Summary
  readonly pingpongP50Us: Summary
  readonly pingpongP99Us: Summary
  readonly copies: readonly CopiesPerDatagram[]
  readonly heap: readonly HeapGrowth[]
  readonly requirements: readonly Requirement[]
  readonly warnings: readonly string[]
}

const ECHO_PORT = 7
const ARENA_BYTES = 16 * 1024 * 1024
/** The event loop gets its turn that often. */
const SLICE_MS = 20
const PINGPONG_SAMPLES_MAX = 1_000_000
const WARMUP_MS = 1_000

interface Side {
  readonly runtime: Runtime
  readonly endpoint: UdpEndpoint
  readonly close: () => void
}

/** A stack with one link and one endpoint. @param number - 1 or 2, the last part of its addresses */
function openSide(arena: Arena, link: AnyDriver, number: 1 | 2): Side {
  const clock = { now: () => instant(performance.now() * 1_000) }
  const runtime = new Runtime({ arena, clock, random: new Prng(number) })
  const stack = new InetStack(runtime)
  const wire = Stream.open(runtime, link, { name: 'wire0' })
  stack.attachLink(wire, {
    name: 'wire0',
    addresses: [`10.77.1.${number}/24`, `fd77:1::${number}/64`],
  })
  const endpoint = UdpEndpoint.open(runtime, { bind: { port: ECHO_PORT } })
  const close = (): void => {
    endpoint.close()
    stack.close()
    wire.close()
    while (runtime.turn());
  }
  return { runtime, endpoint, close }
}

/** Two stacks: `near` sends, `far` echoes. */
class Pair {
  readonly arena = new Arena({ sizeBytes: ARENA_BYTES })
  private readonly near: Side
  private readonly far: Side
  private readonly bytes: number
  private readonly to: ReturnType<typeof destination>
  back = 0

  constructor(bytes: number, family: 4 | 6) {
    const [a, b] = makeWire()
    this.bytes = bytes
    this.near = openSide(this.arena, a, 1)
    this.far = openSide(this.arena, b, 2)
    this.to = destination(family === 4 ? '10.77.1.2' : 'fd77:1::2', ECHO_PORT)
    this.far.endpoint.onMessage = mp => {
      if (!this.far.endpoint.reply(mp)) freemsg(mp)
    }
    this.near.endpoint.onMessage = mp => {
      this.back++
      freemsg(mp)
    }
  }

  /** Sends `count` datagrams and waits until nothing moves any more. */
  echo(count: number): void {
    for (let i = 0; i < count; i++) {
      const data = allocb(this.arena, this.bytes, HEADROOM_BYTES)!
      data.wptr += this.bytes
      if (!this.near.endpoint.sendTo(data, this.to)) freemsg(data)
    }
    let more = true
    while (more) {
      const nearMore = this.near.runtime.turn()
      more = this.far.runtime.turn() || nearMore || !this.near.runtime.scheduler.idle
    }
  }

  copies(): CopyTotals {
    const { stack, edge, kernel } = this.arena.copies
    return { stack: { ...stack }, edge: { ...edge }, kernel: { ...kernel } }
  }

  close(): void {
    this.near.close()
    this.far.close()
  }
}

interface Round {
  readonly perSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly copies: CopiesPerDatagram
  readonly heap: HeapGrowth
}

export async function runInproc(plan: UdpPlan): Promise<UdpInprocReport> {
  const machine = describeMachine()
  const pair = new Pair(plan.bytes, plan.family)
  const heap = new HeapWatch()
  const progress = new Progress(plan.rounds, plan.rounds * plan.seconds * 2_000, plan.onProgress)
  const rounds: Round[] = []
  const samples = new Float64Array(PINGPONG_SAMPLES_MAX)
  try {
    progress.say('warming up')
    await forTime(WARMUP_MS, plan.signal, () => pair.echo(plan.window))
    await forTime(WARMUP_MS / 2, plan.signal, () => pair.echo(1))
    for (let round = 0; round < plan.rounds; round++) {
      progress.say(`round ${round + 1} of ${plan.rounds}`)
      rounds.push(await measure(pair, heap, plan, samples))
      progress.step()
    }
  } finally {
    heap.close()
    pair.close()
  }
  return reportOf(plan, machine, rounds)
}

async function measure(pair: Pair, heap: HeapWatch, plan: UdpPlan, samples: Float64Array): Promise<Round> {
  const { window, seconds, signal } = plan
  const copied = pair.copies()
  const before = await heap.collected()
  pair.back = 0
  const spentMs = await forTime(seconds * 1_000, signal, () => pair.echo(window))
  const after = await heap.now()
  const received = pair.back
  const copies = copiesPerDatagram(copied, pair.copies(), received)
  const growth = heapGrowth(before, after, await heap.collected(), received)
  let count = 0
  await forTime(seconds * 1_000, signal, () => {
    const start = performance.now()
    pair.echo(1)
    if (count < samples.length) samples[count++] = (performance.now() - start) * 1_000
  })
  const sorted = samples.subarray(0, count).sort()
  return {
    perSecond: (received / spentMs) * 1_000,
    p50Us: quantile(sorted, 0.5),
    p99Us: quantile(sorted, 0.99),
    copies,
    heap: growth,
  }
}

/** @returns milliseconds that `work` took, without what was between the slices */
async function forTime(ms: number, signal: AbortSignal | undefined, work: () => void): Promise<number> {
  let spent = 0
  while (spent < ms) {
    signal?.throwIfAborted()
    const start = performance.now()
    let now = start
    do {
      work()
      now = performance.now()
    } while (now - start < SLICE_MS)
    spent += now - start
    await new Promise<void>(resolve => setImmediate(resolve))
  }
  return spent
}

function reportOf(plan: UdpPlan, machine: Machine, measured: readonly Round[]): UdpInprocReport {
  const { rounds, seconds, bytes, window, family } = plan
  const of = (key: 'perSecond' | 'p50Us' | 'p99Us'): Summary => summarize(measured.map(one => one[key]))
  const kept = measured.map(({ heap }) => heap.keptPerPacket)
  const copies = measured.reduce((sum, one) => sum + one.copies.userSpaceCalls, 0)
  const requirements = [
    once('user-space copies, all rounds', { atMost: 0 }, 'copies', copies),
    byMedian('heap growth by datagram', { atMost: HEAP_BYTES_MAX }, 'bytes', kept),
  ]
  const warnings = ['in one process, over a wire: no kernel, no device, and no ceiling to compare with']
  if (machine.busy) warnings.push(`the machine was busy when it began (load ${machine.load.toFixed(1)})`)
  return {
    kind: 'udp',
    mode: 'inproc',
    machine,
    rounds,
    seconds,
    bytes,
    window,
    family,
    windowPerSecond: of('perSecond'),
    pingpongP50Us: of('p50Us'),
    pingpongP99Us: of('p99Us'),
    copies: measured.map(one => one.copies),
    heap: measured.map(one => one.heap),
    requirements,
    warnings,
  }
}
