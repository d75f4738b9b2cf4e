/** What the scenarios of `bench tcp` compare: each arm makes its own namespaces once and starts its ends anew every round. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { endProcess } from './end-process.ts'
import { NodeProcess } from './node-process.ts'
import { at, LINGER_US, outputIn, type Place, runPeer, spawnIn } from './peers.ts'
import type { BenchSite } from './site.ts'
import type { TcpEndOptions, TcpEndSent } from './tcp-end.ts'
import { EndProcess, PeerProcess } from './tcp-ends.ts'
import { PORT_CHARGEN, PORT_DISCARD, PORT_ECHO } from './tcp-ports.ts'
import {
  endOptions,
  FAR,
  makePair,
  NEAR,
  type Pair,
  pairEnd,
  RIGHT_KERNEL,
  RIGHT_STACK,
  TUN,
  tuneKernel,
} from './tcp-site.ts'

/** How long each load of a round runs. */
export interface LoadTimes {
  readonly seconds: number
  readonly warmupSeconds: number
  readonly signal: AbortSignal | undefined
}

/** One candidate. */
export interface Arm {
  readonly name: string
  readonly title: string
  start(): Promise<void>
  /** @returns figures by name, the same names every round */
  run(times: LoadTimes): Promise<Readonly<Record<string, number>>>
  stop(): Promise<void>
}

export const gbitOf = ({ bytes, seconds }: TcpEndSent): number =>
  (bytes.reduce((sum, each) => sum + each, 0) * 8e-9) / seconds

/** Bulk both ways and ping-pong from the kernel's sockets to whatever is at the far end. */
async function bulkLoads(place: Place, address: string, times: LoadTimes): Promise<Record<string, number>> {
  const load = (mode: string, port: number) =>
    runPeer(at(place, 'near'), 'tcp-load', [mode, address, String(port)], times)
  const into = await load('send', PORT_DISCARD)
  const outOf = await load('receive', PORT_CHARGEN)
  const turns = await load('pingpong', PORT_ECHO)
  return {
    'receive Gbit/s': into['gbitPerSecond'] as number,
    'send Gbit/s': outOf['gbitPerSecond'] as number,
    'ping-pong p50 µs': turns['p50Us'] as number,
    'ping-pong p99 µs': turns['p99Us'] as number,
  }
}

/** `tun-tcp`: what the device allows. */
export class CeilingArm implements Arm {
  readonly name = 'ceiling'
  readonly title = 'C on a TUN device (ceiling)'
  private readonly place: Place
  private readonly site: BenchSite
  private readonly peer: PeerProcess

  constructor(site: BenchSite, offload: boolean) {
    this.site = site
    this.place = site.namespace(offload ? 'ceiling' : 'plainceiling')
    tuneKernel(this.place)
    const args = [TUN, FAR, `--linger=${LINGER_US}`, ...(offload ? [] : ['--no-offload'])]
    this.peer = new PeerProcess(at(this.place, 'far'), 'tun-tcp', args)
  }

  async start(): Promise<void> {
    await this.peer.start()
    this.site.control(this.place.namespace, control => {
      control.addAddress(TUN, `${NEAR}/24`)
      control.setUp(TUN)
    })
  }

  run(times: LoadTimes): Promise<Record<string, number>> {
    return bulkLoads(this.place, FAR, times)
  }

  async stop(): Promise<void> {
    await this.peer.stop()
  }
}

/** Our node with its small services, as `putnext node run` starts it. */
export class NodeArm implements Arm {
  readonly name = 'node'
  readonly title = 'Putnext node'
  readonly inside: NodeProcess
  readonly place: Place

  constructor(site: BenchSite, offload: boolean, label = offload ? 'node' : 'plainnode') {
    this.place = site.namespace(label)
    tuneKernel(this.place)
    const link = {
      name: TUN,
      driver: 'tun' as const,
      netns: this.place.namespace,
      offload: offload ? ('auto' as const) : ('off' as const),
      addresses: [`${FAR}/24`],
      kernel: { addresses: [`${NEAR}/24`] },
    }
    const services = {
      echo: { port: PORT_ECHO },
      discard: { port: PORT_DISCARD },
      chargen: { port: PORT_CHARGEN },
    }
    const config = { version: 1 as const, name: label, links: [link], services }
    this.inside = new NodeProcess({ directory: site.directory, config, end: 'far' })
  }

  start(): Promise<void> {
    return this.inside.start()
  }

  run(times: LoadTimes): Promise<Record<string, number>> {
    return bulkLoads(this.place, FAR, times)
  }

  stop(): Promise<void> {
    return this.inside.stop()
  }
}

/** A stack between two devices, from one namespace to another; or Node's own sockets over the veth pair. */
export class PairArm implements Arm {
  readonly name: string
  readonly title: string
  private readonly ends: readonly EndProcess[]
  private readonly to: string

  constructor(site: BenchSite, name: string, title: string, given: Partial<TcpEndOptions>) {
    this.name = name
    this.title = title
    const { left, right }: Pair = makePair(site, name)
    this.ends = [
      new EndProcess(left, pairEnd(left, 'left', given)),
      new EndProcess(right, pairEnd(right, 'right', given)),
    ]
    this.to = given.kind === 'kernel' ? RIGHT_KERNEL : RIGHT_STACK
  }

  async start(): Promise<void> {
    for (const end of this.ends) await end.start()
  }

  async run({ seconds, warmupSeconds }: LoadTimes): Promise<Record<string, number>> {
    const question = { ask: 'send', address: this.to, seconds, warmupSeconds } as const
    const sent = await this.ends[0]!.ask<TcpEndSent>(question, (seconds + warmupSeconds) * 1_000 + 15_000)
    return { 'Gbit/s': gbitOf(sent) }
  }

  async stop(): Promise<void> {
    for (const end of this.ends) await end.stop()
  }
}

/** `tun-tcp` at both ends. */
export class CeilingPairArm implements Arm {
  readonly name = 'ceiling'
  readonly title = 'C to C over two TUN devices (ceiling)'
  private readonly site: BenchSite
  private readonly pair: Pair
  private far: PeerProcess | null = null
  private near: PeerProcess | null = null

  constructor(site: BenchSite) {
    this.site = site
    this.pair = makePair(site, 'cc')
  }

  async start(): Promise<void> {
    this.far = new PeerProcess(this.pair.right, 'tun-tcp', [TUN, RIGHT_STACK, `--linger=${LINGER_US}`])
    await this.far.start()
    this.bringUp(this.pair.right, '10.77.3.1/24')
  }

  async run({ seconds, warmupSeconds }: LoadTimes): Promise<Record<string, number>> {
    const args = [TUN, '10.77.2.2', `--linger=${LINGER_US}`, `--connect=${RIGHT_STACK}`]
    this.near = new PeerProcess(this.pair.left, 'tun-tcp', args)
    await this.near.start()
    this.bringUp(this.pair.left, '10.77.2.1/24')
    // Its rate is over all its life, so that the start counts a little: no favour to the others.
    await new Promise(resolve => setTimeout(resolve, (seconds + warmupSeconds) * 1_000))
    const told = await this.near.stop()
    return { 'Gbit/s': Number(told?.['gbitPerSecond']) }
  }

  private bringUp(place: Place, address: string): void {
    this.site.control(place.namespace, control => {
      control.addAddress(TUN, address)
      control.setUp(TUN)
    })
  }

  async stop(): Promise<void> {
    await this.near?.stop()
    await this.far?.stop()
  }
}

/** The kernel's sockets at both ends of a veth pair. */
export class KernelArm implements Arm {
  readonly name = 'kernel'
  readonly title = 'kernel sockets over veth'
  private readonly pair: Pair
  private readonly servers: readonly PeerProcess[]

  constructor(site: BenchSite, label: string) {
    this.pair = makePair(site, label)
    const serve = (mode: string, port: number): PeerProcess =>
      new PeerProcess(this.pair.right, 'tcp-load', [mode, RIGHT_KERNEL, String(port), '--seconds=3600'])
    this.servers = [serve('sink', PORT_DISCARD), serve('source', PORT_CHARGEN), serve('echo', PORT_ECHO)]
  }

  async start(): Promise<void> {
    for (const server of this.servers) await server.start()
  }

  async run(times: LoadTimes): Promise<Record<string, number>> {
    const figures = await bulkLoads(this.pair.left, RIGHT_KERNEL, times)
    return { ...figures, 'Gbit/s': figures['receive Gbit/s']! }
  }

  async stop(): Promise<void> {
    for (const server of this.servers) await server.stop()
  }
}

/** iperf3(1) over a veth pair: what people compare with. Only where it is installed. */
export class Iperf3Arm implements Arm {
  readonly name = 'iperf3'
  readonly title = 'iperf3 over veth'
  private readonly pair: Pair
  private server: ChildProcess | null = null

  constructor(site: BenchSite) {
    this.pair = makePair(site, 'iperf')
  }

  async start(): Promise<void> {
    this.server = spawnIn(this.pair.right, 'iperf3', ['-s', '--forceflush'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await once(this.server.stdout!, 'data')
  }

  async run({ seconds, warmupSeconds, signal }: LoadTimes): Promise<Record<string, number>> {
    const args = [
      '-c',
      RIGHT_KERNEL,
      '-t',
      String(Math.ceil(seconds)),
      '-O',
      String(Math.ceil(warmupSeconds)),
      '-J',
    ]
    const told = await outputIn(
      this.pair.left,
      'iperf3',
      args,
      (seconds + warmupSeconds + 15) * 1_000,
      signal,
    )
    const { end } = JSON.parse(told) as { end: { sum_received: { bits_per_second: number } } }
    return { 'Gbit/s': end.sum_received.bits_per_second * 1e-9 }
  }

  async stop(): Promise<void> {
    await endProcess(this.server)
    this.server = null
  }
}

/** A stack at one end of a device in a process that can be asked for its copies. */
export class StackArm implements Arm {
  readonly name = 'stack'
  readonly title = 'Putnext stack, messages'
  private readonly place: Place
  private readonly end: EndProcess

  constructor(site: BenchSite) {
    this.place = site.namespace('stack')
    tuneKernel(this.place)
    this.end = new EndProcess(at(this.place, 'far'), endOptions(this.place, {}))
  }

  start(): Promise<void> {
    return this.end.start()
  }

  async run(times: LoadTimes): Promise<Record<string, number>> {
    const before = await this.end.ask<{ stack: number; edge: number }>({ ask: 'copies' })
    const figures = await bulkLoads(this.place, FAR, times)
    const after = await this.end.ask<{ stack: number; edge: number }>({ ask: 'copies' })
    return { ...figures, 'copied bytes': after.stack - before.stack + after.edge - before.edge }
  }

  stop(): Promise<void> {
    return this.end.stop()
  }
}
