/**
 * Goodput and fairness over a link that loses, delays and reorders: the same link, a node of ours that routes between two
 * namespaces, for a stack of ours and for the kernel as the sender. The receiver is always the kernel.
 */
import { setSysctl } from '../host/sysctl.ts'
import { NodeProcess } from './node-process.ts'
import { type Place, runPeer } from './peers.ts'
import type { BenchSite } from './site.ts'
import { type Arm, gbitOf, type LoadTimes } from './tcp-arms.ts'
import type { TcpEndSent } from './tcp-end.ts'
import { EndProcess, PeerProcess } from './tcp-ends.ts'
import { PORT_DISCARD } from './tcp-ports.ts'
import { endOptions } from './tcp-site.ts'

/** Options of the module "impair", towards the receiver; both ways have the delay. */
export type Impairment = Readonly<Record<string, string | number>>

const NEAR_ROUTER = 'near0'
const FAR_ROUTER = 'far0'
const NEAR_KERNEL = '10.78.1.1'
const FAR_KERNEL = '10.78.2.1'
const ONE_WAY = '10ms'
/** Time for windows to open. */
const WARMUP_SECONDS = 3
const STACK_DEVICE = 'stack0'

/** The link, and what sends over it. */
abstract class ImpairedArm implements Arm {
  readonly name: string
  readonly title: string
  protected readonly near: Place
  private readonly far: Place
  private readonly router: NodeProcess
  private readonly sink: PeerProcess
  protected readonly stack: EndProcess

  constructor(site: BenchSite, label: string, name: string, title: string, impairment: Impairment) {
    this.name = name
    this.title = title
    this.near = site.namespace(`${label}near`)
    this.far = site.namespace(`${label}far`)
    for (const { shim, namespace } of [this.near, this.far]) {
      setSysctl(shim, namespace, 'net.ipv4.tcp_congestion_control', 'cubic')
      setSysctl(shim, namespace, 'net.ipv4.ip_forward', 1)
      // Nothing that was learnt in one round helps in the next.
      setSysctl(shim, namespace, 'net.ipv4.tcp_no_metrics_save', 1)
    }
    // Packets that were merged would be lost, and delayed, as one: no offload on this way.
    const link = { driver: 'tun' as const, offload: 'off' as const, txqueuelen: 20_000 }
    const impaired = (out: Impairment) => ({
      modules: [{ impair: { direction: 'out', delay: ONE_WAY, ...out } }],
    })
    this.router = new NodeProcess({
      directory: site.directory,
      config: {
        version: 1,
        name: 'router',
        forwarding: true,
        links: [
          {
            ...link,
            ...impaired({ limit: 10_000 }),
            name: NEAR_ROUTER,
            netns: this.near.namespace,
            addresses: ['10.78.1.2/24'],
            kernel: { addresses: [`${NEAR_KERNEL}/24`], routes: [{ to: '10.78.2.0/24', via: '10.78.1.2' }] },
          },
          {
            ...link,
            ...impaired(impairment),
            name: FAR_ROUTER,
            netns: this.far.namespace,
            addresses: ['10.78.2.2/24'],
            kernel: { addresses: [`${FAR_KERNEL}/24`], routes: [{ to: '10.78.0.0/16', via: '10.78.2.2' }] },
          },
        ],
        routes: [{ to: '10.78.3.0/24', via: NEAR_KERNEL }],
      },
    })
    const args = ['sink', FAR_KERNEL, String(PORT_DISCARD), '--seconds=3600']
    this.sink = new PeerProcess(this.far, 'tcp-load', args)
    const addresses = { addresses: ['10.78.3.2/24'], kernelAddresses: ['10.78.3.1/24'], gateway: '10.78.3.1' }
    this.stack = new EndProcess(this.near, endOptions(this.near, { ...addresses, device: STACK_DEVICE }))
  }

  async start(): Promise<void> {
    await this.router.start()
    await this.sink.start()
    await this.stack.start()
  }

  abstract run(times: LoadTimes): Promise<Readonly<Record<string, number>>>

  async stop(): Promise<void> {
    await this.stack.stop()
    await this.sink.stop()
    await this.router.stop()
  }

  protected fromStack(times: LoadTimes, connections: number): Promise<TcpEndSent> {
    const { seconds } = times
    const question = {
      ask: 'send',
      address: FAR_KERNEL,
      connections,
      seconds,
      warmupSeconds: WARMUP_SECONDS,
    } as const
    return this.stack.ask<TcpEndSent>(question, (seconds + WARMUP_SECONDS) * 1_000 + 15_000)
  }

  /** @returns Gbit/s of each */
  protected fromKernel(times: LoadTimes, connections: number): Promise<number[]> {
    const one = async (): Promise<number> => {
      const args = ['send', FAR_KERNEL, String(PORT_DISCARD)]
      const told = await runPeer(this.near, 'tcp-load', args, { ...times, warmupSeconds: WARMUP_SECONDS })
      return told['gbitPerSecond'] as number
    }
    return Promise.all(Array.from({ length: connections }, one))
  }
}

/** One stream. */
export class GoodputArm extends ImpairedArm {
  private readonly by: 'stack' | 'kernel'

  constructor(site: BenchSite, label: string, by: 'stack' | 'kernel', impairment: Impairment) {
    super(site, `${label}${by}`, by, by === 'stack' ? 'Putnext' : 'Linux, CUBIC', impairment)
    this.by = by
  }

  async run(times: LoadTimes): Promise<Record<string, number>> {
    const gbit =
      this.by === 'stack' ? gbitOf(await this.fromStack(times, 1)) : (await this.fromKernel(times, 1))[0]!
    return { 'Mbit/s': gbit * 1_000 }
  }
}

/** Jain's index: 1 if all have the same, 1/n if one has all. */
export function jainIndex(shares: readonly number[]): number {
  const sum = shares.reduce((a, b) => a + b, 0)
  const squares = shares.reduce((a, b) => a + b * b, 0)
  return squares === 0 ? Number.NaN : sum ** 2 / (shares.length * squares)
}

const FLOWS = 8

export type FairnessName = 'alone' | 'beside' | 'kernel'

const FAIRNESS_TITLES: Readonly<Record<FairnessName, string>> = {
  alone: '8 streams of ours',
  beside: '8 streams of ours beside 8 of Linux',
  kernel: '8 streams of Linux',
}

/** Eight streams of ours, by themselves or beside eight of the kernel's; and those by themselves, the yardstick of the same run. */
export class FairnessArm extends ImpairedArm {
  private readonly ownFlows: number
  private readonly kernelFlows: number

  constructor(site: BenchSite, name: FairnessName, impairment: Impairment) {
    super(site, `fair${name}`, name, FAIRNESS_TITLES[name], impairment)
    this.ownFlows = name === 'kernel' ? 0 : FLOWS
    this.kernelFlows = name === 'alone' ? 0 : FLOWS
  }

  async run(times: LoadTimes): Promise<Record<string, number>> {
    const [sent, kernel] = await Promise.all([
      this.fromStack(times, this.ownFlows),
      this.fromKernel(times, this.kernelFlows),
    ])
    const own = sent.bytes.map(bytes => (bytes * 8e-9) / sent.seconds)
    const share = own.reduce((a, b) => a + b, 0)
    const rest = kernel.reduce((a, b) => a + b, 0)
    return { 'Jain index': jainIndex([...own, ...kernel]), 'our Gbit/s': share, 'their Gbit/s': rest }
  }
}
