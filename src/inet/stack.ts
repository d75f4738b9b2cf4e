/**
 * The Internet protocols of one runtime, put together: IP with its loopback, TCP, UDP and ICMP echo above it, links below. Its
 * methods are what a configuration or a plumbing command asks; the data path does not come by here.
 */
import type { Counters } from '../base/counters.ts'
import { StackError } from '../base/errors.ts'
import type { Runtime } from '../streams/runtime.ts'
import { Stream } from '../streams/stream.ts'
import type { IpAddress } from './address.ts'
import { makeIcmpDriver } from './icmp/module.ts'
import type { RateLimitOptions } from './icmp/rate-limit.ts'
import {
  addAddress,
  addRoute,
  clearPathMtu,
  describeIp,
  doubtPath,
  isOwnAddress,
  pathMtu,
  type RouteOptions,
  removeAddress,
  removeRoute,
  setErrorLimit,
  setForwarding,
  setHopLimit,
  sourceFor,
} from './ip/control.ts'
import type { Ip, IpOptions } from './ip/ip.ts'
import { lowerPathMtu } from './ip/lower-path-mtu.ts'
import { plumbIp } from './ip/plumb.ts'
import { tcpDriver } from './tcp/module.ts'
import { readTcpSettings } from './tcp/setting-ranges.ts'
import type { TcpSettings } from './tcp/settings.ts'
import { udpDriver } from './udp/module.ts'
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from './wire/icmp.ts'
import { IPPROTO_TCP } from './wire/tcp.ts'
import { IPPROTO_UDP } from './wire/udp.ts'

const DRIVERS = ['ip', 'loop', 'tcp', 'udp', 'icmp']

/** A link to be put below IP. */
export interface LinkOptions {
  /** Name of the interface, unique in the stack: `tun0`. */
  readonly name: string
  /** Addresses with prefix lengths, both families: `10.77.1.2/24`. */
  readonly addresses: readonly string[]
  /** Bytes of the largest IP packet; the link's own MTU if that is smaller, or if this is absent. */
  readonly mtu?: number
}

export interface InetStackOptions {
  readonly ip?: IpOptions
  readonly tcp?: Partial<TcpSettings>
}

/** Every counter, by part and name. */
export type StackCounters = Readonly<Record<string, Readonly<Counters>>>

export class InetStack {
  readonly runtime: Runtime
  private readonly ip: Ip
  private readonly ipControl: Stream
  private readonly tcpControl: Stream
  private readonly udpControl: Stream
  private readonly icmpControl: Stream
  /** Streams that this stack opened, in the order in which they are closed. */
  private readonly own: readonly Stream[]
  /** Number of each link below IP, by its name. */
  private readonly links = new Map<string, number>()
  private closed = false

  /** @throws StackError `ERR_ADDR_IN_USE` if the runtime has a stack already, `ERR_BAD_CONFIG` for a wrong setting */
  constructor(runtime: Runtime, options: InetStackOptions = {}) {
    this.runtime = runtime
    const tcp = readTcpSettings(options.tcp ?? {})
    const { ip, control, loopback } = plumbIp(runtime, options.ip)
    this.ip = ip
    this.ipControl = control
    runtime.registry.register(tcpDriver(tcp))
    runtime.registry.register(udpDriver())
    runtime.registry.register(makeIcmpDriver(runtime))
    const below = (name: string, ...protocols: number[]): Stream =>
      Stream.open(runtime, 'ip', { name, options: { protocols } })
    const sources = {
      isLocal: (address: IpAddress) => isOwnAddress(ip, address),
      sourceFor: (remote: IpAddress) => sourceFor(ip, remote),
    }
    this.tcpControl = Stream.open(runtime, 'tcp', { name: 'tcp' })
    const ipForTcp = below('ip-tcp', IPPROTO_TCP)
    const paths = {
      ...sources,
      pathMtu: this.pathMtu.bind(this),
      lowerPathMtu: (family: number, w0: number, w1: number, w2: number, w3: number, mtu: number) =>
        lowerPathMtu(ip, family, w0, w1, w2, w3, mtu),
      doubtPath: (w0: number, w1: number, w2: number, w3: number) => doubtPath(ip, w0, w1, w2, w3),
    }
    this.tcpControl.link(ipForTcp, { paths })
    this.udpControl = Stream.open(runtime, 'udp', { name: 'udp-control' })
    const ipForUdp = below('ip-udp', IPPROTO_UDP)
    this.udpControl.link(ipForUdp, { sources })
    this.icmpControl = Stream.open(runtime, 'icmp', { name: 'icmp-control', options: { control: true } })
    const ipForIcmp = below('ip-icmp', PROTOCOL_ICMP, PROTOCOL_ICMPV6)
    this.icmpControl.link(ipForIcmp)
    this.own = [
      this.tcpControl,
      this.udpControl,
      this.icmpControl,
      ipForTcp,
      ipForUdp,
      ipForIcmp,
      control,
      loopback,
    ]
  }

  /**
   * Puts a link below IP; it stays the caller's to close, once it is detached.
   * @param stream - of a driver that sends and takes IP packets as M_DATA
   * @throws StackError `ERR_ADDR_IN_USE` for a name or an address that is taken, `ERR_BAD_ADDRESS`, `ERR_BAD_ARGUMENT`; nothing has changed then
   */
  attachLink(stream: Stream, options: LinkOptions): void {
    this.links.set(options.name, this.ipControl.link(stream, options))
  }

  /** Takes a link from below IP; its addresses and routes go with it. @throws StackError `ERR_NOT_FOUND` */
  detachLink(name: string): void {
    const id = this.links.get(name)
    if (id === undefined) {
      const hint = `links: ${[...this.links.keys()].join(', ') || 'none'}`
      throw new StackError('ERR_NOT_FOUND', `there is no link named ${name}`, { hint })
    }
    this.links.delete(name)
    this.ipControl.unlink(id)
  }

  addAddress(link: string, prefix: string): void {
    addAddress(this.ip, link, prefix)
  }

  removeAddress(link: string, prefix: string): void {
    removeAddress(this.ip, link, prefix)
  }

  addRoute(route: RouteOptions): void {
    addRoute(this.ip, route)
  }

  removeRoute(route: RouteOptions): void {
    removeRoute(this.ip, route)
  }

  /** Whether packets for others are passed on. Off by default. */
  setForwarding(on: boolean): void {
    setForwarding(this.ip, on)
  }

  /** TTL and hop limit of what is sent without one, 1 to 255. */
  setHopLimit(hopLimit: number): void {
    setHopLimit(this.ip, hopLimit)
  }

  /** How many ICMP errors may leave. */
  setErrorLimit(limits: Partial<RateLimitOptions>): void {
    setErrorLimit(this.ip, limits)
  }

  /** The range from which ports are chosen for programs that name none. */
  async setPortRange(first: number, last: number): Promise<void> {
    await this.udpControl.ioctl('udp.ports', { first, last })
    this.setTcp({ portFirst: first, portLast: last })
  }

  /** Changes settings of TCP, all that are named or none. @throws StackError `ERR_BAD_CONFIG` */
  setTcp(settings: Partial<TcpSettings>): void {
    const { bottom } = this.tcpControl
    bottom.info.configure!(bottom, settings)
  }

  /** Forgets every path MTU that was learnt. */
  clearPathMtu(): void {
    clearPathMtu(this.ip)
  }

  /** Whether a program may bind to the address. */
  isLocal(address: IpAddress): boolean {
    return isOwnAddress(this.ip, address)
  }

  /** The source of packets to `remote`; null if no route leads there. */
  sourceFor(remote: IpAddress): IpAddress | null {
    return sourceFor(this.ip, remote)
  }

  /** Bytes of the largest IP packet on the path to an address of four int32 words, as IP knows it now. */
  pathMtu(family: number, w0: number, w1: number, w2: number, w3: number): number {
    return pathMtu(this.ip, family, w0, w1, w2, w3)
  }

  /** Interfaces, addresses, routes, path MTUs, connections, endpoints: for people, as a JSON value. */
  describe(): Record<string, unknown> {
    const of = ({ bottom }: Stream): unknown => bottom.info.describe?.(bottom.state)
    return { ...describeIp(this.ip), tcp: of(this.tcpControl), udp: of(this.udpControl) }
  }

  counters(): StackCounters {
    const of = ({ bottom }: Stream): Readonly<Counters> => bottom.info.counters!(bottom.state)
    const { reassembly } = this.ip
    return {
      ip: of(this.ipControl),
      reassembly: reassembly.counters,
      tcp: of(this.tcpControl),
      udp: of(this.udpControl),
      icmp: of(this.icmpControl),
    }
  }

  /** Ends it: connections are reset, endpoints and listeners hear a hangup; the streams of links stay open, and are the caller's. Calling it twice is harmless. */
  close(): void {
    if (this.closed) return
    this.closed = true
    for (const stream of this.own.slice(0, 3)) stream.close()
    for (const id of [...this.ipControl.linked.keys()]) this.ipControl.unlink(id)
    this.links.clear()
    for (const stream of this.own.slice(3)) stream.close()
    for (const name of DRIVERS) this.runtime.registry.unregister(name)
  }
}
