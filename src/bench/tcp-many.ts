/** Many connections: how fast they come and go, and what they weigh while they wait. */
import { setSysctl } from '../host/sysctl.ts'
import { at, runPeer } from './peers.ts'
import type { BenchSite } from './site.ts'
import { type Arm, type LoadTimes, NodeArm } from './tcp-arms.ts'
import { PeerProcess } from './tcp-ends.ts'
import { PORT_DISCARD, PORT_ECHO } from './tcp-ports.ts'
import { FAR, makePair, type Pair, RIGHT_KERNEL, TUN } from './tcp-site.ts'

/** Connections under way at a time. */
const AT_ONCE = 64
const HELD = 100_000
/** Held by one process of the load, which has a limit of descriptors (20,000 in many containers). */
const HELD_BY_ONE = 12_500
/** A source of the held connections for each process. */
const SOURCES = Array.from({ length: HELD / HELD_BY_ONE }, (_, i) => `10.77.1.${10 + i}`)

/** Opening and closing against the node's discard service, or the kernel's. */
export class ChurnArm implements Arm {
  readonly name: 'node' | 'kernel'
  readonly title: string
  private readonly node: NodeArm | null = null
  private readonly pair: Pair | null = null
  private server: PeerProcess | null = null

  constructor(site: BenchSite, name: 'node' | 'kernel') {
    this.name = name
    this.title = name === 'node' ? 'Putnext node' : 'kernel sockets over veth'
    if (name === 'node') this.node = new NodeArm(site, true, 'churn')
    else this.pair = makePair(site, 'churn')
    const { shim, namespace } = this.node?.place ?? this.pair!.left
    // Ports of connections that ended a second ago may be used again.
    setSysctl(shim, namespace, 'net.ipv4.tcp_tw_reuse', 1)
    setSysctl(shim, namespace, 'net.ipv4.tcp_max_tw_buckets', 1_000)
    setSysctl(shim, namespace, 'net.ipv4.ip_local_port_range', '1024 65000')
  }

  async start(): Promise<void> {
    if (this.node !== null) return this.node.start()
    const args = ['sink', RIGHT_KERNEL, String(PORT_DISCARD), '--seconds=3600']
    this.server = new PeerProcess(this.pair!.right, 'tcp-load', args)
    await this.server.start()
  }

  async run(times: LoadTimes): Promise<Record<string, number>> {
    const place = this.node?.place ?? this.pair!.left
    const address = this.node === null ? RIGHT_KERNEL : FAR
    const args = ['churn', address, String(PORT_DISCARD), `--connections=${AT_ONCE}`]
    const told = await runPeer(at(place, 'near'), 'tcp-load', args, times)
    return { 'connections/s': told['perSecond'] as number, failed: told['failed'] as number }
  }

  async stop(): Promise<void> {
    await this.node?.stop()
    await this.server?.stop()
  }
}

/** Idle connections: their weight above the empty node, and whether every echo comes. */
export class HoldArm implements Arm {
  readonly name = 'node'
  readonly title = 'Putnext node'
  private readonly node: NodeArm
  private readonly site: BenchSite

  constructor(site: BenchSite) {
    this.site = site
    this.node = new NodeArm(site, true, 'hold')
    const { shim, namespace } = this.node.place
    setSysctl(shim, namespace, 'net.ipv4.ip_local_port_range', '1024 65000')
  }

  async start(): Promise<void> {
    await this.node.start()
    this.site.control(this.node.place.namespace, control => {
      for (const source of SOURCES) control.addAddress(TUN, `${source}/24`)
    })
  }

  async run(times: LoadTimes): Promise<Record<string, number>> {
    const { inside, place } = this.node
    const empty = await inside.heap('collected')
    const args = [
      'hold',
      FAR,
      String(PORT_ECHO),
      `--connections=${HELD_BY_ONE}`,
      `--interval=${times.seconds}`,
    ]
    const loads = SOURCES.map(source =>
      runPeer(at(place, 'near'), 'tcp-load', [...args, `--source=${source}`], { ...times, warmupSeconds: 0 }),
    )
    // Opening takes some seconds; in the middle of the echoes is soon enough to look.
    const looking = new Promise(resolve => setTimeout(resolve, times.seconds * 500 + 15_000)).then(() =>
      inside.heap('collected'),
    )
    const [full, ...told] = await Promise.all([looking, ...loads])
    const sum = (name: string): number => told.reduce((all, each) => all + (each[name] as number), 0)
    return {
      held: sum('open'),
      'bytes a connection': (full.usedBytes - empty.usedBytes) / sum('open'),
      unanswered: sum('unanswered') + sum('lost'),
      'worst echo ms': Math.max(...told.map(each => each['worstMs'] as number)),
    }
  }

  stop(): Promise<void> {
    return this.node.stop()
  }
}
