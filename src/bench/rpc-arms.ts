/** What the scenarios of `bench rpc` compare: clients and servers from namespace to namespace. */
import { existsSync } from 'node:fs'
import { at, peerPath, runPeer } from './peers.ts'
import type { RpcEndCopies, RpcEndKind, RpcEndOptions, RpcEndQuestion } from './rpc-end.ts'
import type { FlightResult, TurnsResult } from './rpc-loads.ts'
import { PORT_RPC } from './rpc-program.ts'
import type { BenchSite } from './site.ts'
import { type Arm, type LoadTimes, PairArm } from './tcp-arms.ts'
import { EndProcess, PeerProcess } from './tcp-ends.ts'
import { LEFT_KERNEL, makePair, type Pair, pairEnd, RIGHT_KERNEL, RIGHT_STACK } from './tcp-site.ts'

/** One call at a time; null calls in flight on one connection; replies of 1 MiB. */
export type RpcLoad = 'turns' | 'flight' | 'blobs'

export const P50 = 'p50 µs'
export const P99 = 'p99 µs'
export const RATE = 'calls/s'
export const ONE = 'Gbit/s, one at a time'
export const SEVERAL = 'Gbit/s, 4 in flight'
export const COPIED_STACK = 'copied bytes: stack'
export const COPIED_EDGE = 'copied bytes: edge'

export const IN_FLIGHT = 32
const BLOBS_IN_FLIGHT = 4
const FILE = 'bench/rpc-end.js'
const END_MS = 15_000

/** One pair of namespaces for all arms: each starts its ends, and devices, anew. */
const pairs = new WeakMap<BenchSite, Pair>()
function pairOf(site: BenchSite): Pair {
  const pair = pairs.get(site) ?? makePair(site, 'rpc')
  pairs.set(site, pair)
  return pair
}

/** Client and server in JavaScript: ours, or somebody else's. */
export class RpcArm implements Arm {
  readonly name: string
  readonly title: string
  private readonly load: RpcLoad
  private readonly isOurs: boolean
  private readonly to: string
  private readonly server: EndProcess<RpcEndOptions, RpcEndQuestion>
  private readonly client: EndProcess<RpcEndOptions, RpcEndQuestion>

  constructor(site: BenchSite, kind: RpcEndKind, title: string, load: RpcLoad) {
    this.name = kind
    this.title = title
    this.load = load
    this.isOurs = kind === 'stack' || kind === 'kernel'
    this.to = kind === 'stack' ? RIGHT_STACK : RIGHT_KERNEL
    const { left, right } = pairOf(site)
    const isStack = kind === 'stack'
    const far = isStack ? { stack: pairEnd(right, 'right', {}) } : {}
    const near = isStack ? { stack: pairEnd(left, 'left', {}) } : {}
    this.server = new EndProcess(right, { kind, isServer: true, address: RIGHT_KERNEL, ...far }, FILE)
    this.client = new EndProcess(left, { kind, isServer: false, address: LEFT_KERNEL, ...near }, FILE)
  }

  async start(): Promise<void> {
    await this.server.start()
    await this.client.start()
  }

  async run(times: LoadTimes): Promise<Record<string, number>> {
    switch (this.load) {
      case 'turns': {
        const { p50Us, p99Us } = await this.ask<TurnsResult>(1, times)
        return { [P50]: p50Us, [P99]: p99Us }
      }
      case 'flight': {
        const { perSecond } = await this.ask<FlightResult>(IN_FLIGHT, times)
        return { [RATE]: perSecond }
      }
      case 'blobs':
        return this.blobs(times)
    }
  }

  private async blobs(times: LoadTimes): Promise<Record<string, number>> {
    const before = await this.copies()
    // A call is few procedures: it takes the compilers some thousand of them, and twice the time.
    const one = await this.ask<FlightResult>(1, { ...times, warmupSeconds: 2 * times.warmupSeconds })
    const several = await this.ask<FlightResult>(BLOBS_IN_FLIGHT, times)
    const figures = { [ONE]: one.gbitPerSecond, [SEVERAL]: several.gbitPerSecond }
    if (!this.isOurs) return figures
    const after = await this.copies()
    return {
      ...figures,
      [COPIED_STACK]: after.stack - before.stack,
      [COPIED_EDGE]: after.edge - before.edge,
    }
  }

  private ask<T>(inFlight: number, { seconds, warmupSeconds }: LoadTimes): Promise<T> {
    const question = { ask: this.load, address: this.to, inFlight, seconds, warmupSeconds }
    return this.client.ask<T>(question, (seconds + warmupSeconds) * 1_000 + END_MS)
  }

  /** At both ends together. */
  private async copies(): Promise<RpcEndCopies> {
    const ends = [this.client, this.server].map(end => end.ask<RpcEndCopies>({ ask: 'copies' }))
    const [a, b] = (await Promise.all(ends)) as [RpcEndCopies, RpcEndCopies]
    return { stack: a.stack + b.stack, edge: a.edge + b.edge }
  }

  async stop(): Promise<void> {
    await this.client.stop()
    await this.server.stop()
  }
}

/** Whether `rpc-load` could be built. */
export const hasLibtirpc = (): boolean => existsSync(peerPath('rpc-load'))

/** A client and a server in C on libtirpc. */
export class LibtirpcArm implements Arm {
  readonly name: 'libtirpc' | 'together'
  readonly title: string
  private readonly load: RpcLoad
  private readonly pair: Pair
  private readonly server: PeerProcess

  /** @param where - `together`: both ends on one processor, where no call waits for another one to wake up */
  constructor(site: BenchSite, load: RpcLoad, where: 'apart' | 'together' = 'apart') {
    this.name = where === 'apart' ? 'libtirpc' : 'together'
    this.title = where === 'apart' ? 'libtirpc in C' : 'libtirpc in C, both ends on one processor'
    this.load = load
    this.pair = pairOf(site)
    const place = at(this.pair.right, where === 'apart' ? 'far' : 'near')
    const args = ['serve', RIGHT_KERNEL, String(PORT_RPC), '--seconds=3600']
    this.server = new PeerProcess(place, 'rpc-load', args)
  }

  start(): Promise<void> {
    return this.server.start()
  }

  async run(times: LoadTimes): Promise<Record<string, number>> {
    const call = (mode: string, connections: number) => {
      const args = [mode, RIGHT_KERNEL, String(PORT_RPC), `--connections=${connections}`]
      return runPeer(this.pair.left, 'rpc-load', args, times)
    }
    switch (this.load) {
      case 'turns': {
        const told = await call('turns', 1)
        return { [P50]: told['p50Us'] as number, [P99]: told['p99Us'] as number }
      }
      case 'flight':
        return { [RATE]: (await call('many', IN_FLIGHT))['perSecond'] as number }
      case 'blobs': {
        const one = (await call('bulk', 1))['gbitPerSecond'] as number
        return { [ONE]: one, [SEVERAL]: (await call('bulk', BLOBS_IN_FLIGHT))['gbitPerSecond'] as number }
      }
    }
  }

  async stop(): Promise<void> {
    await this.server.stop()
  }
}

/** A stream between the same nodes, without calls: what they can carry. */
export class PlainTcpArm implements Arm {
  readonly name = 'tcp'
  readonly title = 'Putnext TCP, messages, no calls'
  private readonly pair: PairArm

  constructor(site: BenchSite) {
    this.pair = new PairArm(site, 'rpctcp', this.title, { edge: 'messages' })
  }

  start(): Promise<void> {
    return this.pair.start()
  }

  async run(times: LoadTimes): Promise<Record<string, number>> {
    const rate = (await this.pair.run(times))['Gbit/s']!
    return { [ONE]: rate, [SEVERAL]: rate }
  }

  stop(): Promise<void> {
    return this.pair.stop()
  }
}
