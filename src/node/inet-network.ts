/** The Internet protocols as the network of a node. */
import { milliseconds } from '../base/time.ts'
import type { IpOptions } from '../inet/ip/ip.ts'
import { InetStack } from '../inet/stack.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { Stream } from '../streams/stream.ts'
import type { StreamSocket } from './bridged-stream.ts'
import type { NodeConfig, RouteConfig } from './config.ts'
import { openDatagramEndpoint } from './datagram-endpoint.ts'
import { EchoClient } from './echo-client.ts'
import { prefixOf } from './links.ts'
import type {
  AttachOptions,
  DatagramEndpoint,
  DatagramOptions,
  EchoRequest,
  EchoResult,
  ListenOptions,
  Network,
  NetworkFactory,
  StreamListener,
  StreamOptions,
} from './network.ts'
import type { PartCounters } from './node-metrics.ts'
import { Services } from './services.ts'
import { listenForStreams, openStreamSocket } from './stream-sockets.ts'

/** Share of the memory for fragments that is left when the oldest datagrams had to go, and that one sender may have. */
const REASSEMBLY_SHARE = 0.75

export const inetNetwork: NetworkFactory = (runtime, config) => new InetNetwork(runtime, config)

class InetNetwork implements Network {
  readonly stack: InetStack
  private readonly runtime: Runtime
  private echo: EchoClient | null = null
  private services: Services | null = null
  private readonly endpoints = new Set<DatagramEndpoint>()
  private readonly listeners = new Set<StreamListener>()

  constructor(runtime: Runtime, config: NodeConfig) {
    this.runtime = runtime
    this.stack = new InetStack(runtime, { ip: ipOptions(config.limits), tcp: config.tcp })
    this.stack.setForwarding(config.forwarding)
    const { ttl, icmpErrorsPerSecond: perSecond } = config.limits
    if (ttl !== undefined) this.stack.setHopLimit(ttl)
    if (perSecond !== undefined) this.stack.setErrorLimit({ perSecond })
  }

  attach(stream: Stream, options: AttachOptions): void {
    this.stack.attachLink(stream, options)
  }

  detach(name: string): void {
    this.stack.detachLink(name)
  }

  addRoute(route: RouteConfig): void {
    this.stack.addRoute(routeOptions(route))
  }

  removeRoute(route: RouteConfig): void {
    this.stack.removeRoute(routeOptions(route))
  }

  describe(): unknown {
    return this.stack.describe()
  }

  counters(): PartCounters {
    const { reassembly } = this.stack.describe() as { reassembly: Record<string, number> }
    const services = this.services?.counters
    return { ...this.stack.counters(), reassembly, ...(services === undefined ? {} : { services }) }
  }

  ping(request: EchoRequest): Promise<EchoResult> {
    this.echo ??= new EchoClient(this.runtime)
    return this.echo.ping(request)
  }

  openDatagrams(options: DatagramOptions): DatagramEndpoint {
    const endpoint = openDatagramEndpoint(this.runtime, options, () => this.endpoints.delete(endpoint))
    this.endpoints.add(endpoint)
    return endpoint
  }

  openStream(options: StreamOptions, signal?: AbortSignal): Promise<StreamSocket> {
    return openStreamSocket(this.runtime, options, signal)
  }

  async listenStreams(options: ListenOptions): Promise<StreamListener> {
    const listener = await listenForStreams(this.runtime, options, () => this.listeners.delete(listener))
    this.listeners.add(listener)
    return listener
  }

  async startServices(services: NodeConfig['services'], directory: string): Promise<void> {
    this.services = await Services.start(this.runtime, this, services, directory)
  }

  close(): void {
    this.echo?.close()
    this.services?.close()
    for (const endpoint of this.endpoints) endpoint.close()
    for (const listener of this.listeners) listener.close()
    this.stack.close()
  }
}

function ipOptions({
  reassemblyBytes,
  reassemblyDatagrams,
  reassemblyTimeout,
}: NodeConfig['limits']): IpOptions {
  const bytes = reassemblyBytes
  const share = bytes === undefined ? 0 : Math.floor(bytes * REASSEMBLY_SHARE)
  return {
    reassembly: {
      ...(bytes === undefined ? {} : { bytesHigh: bytes, bytesLow: share, sourceBytes: share }),
      ...(reassemblyDatagrams === undefined ? {} : { datagrams: reassemblyDatagrams }),
      ...(reassemblyTimeout === undefined ? {} : { timeout: milliseconds(reassemblyTimeout) }),
    },
  }
}

function routeOptions({ to, via, link }: RouteConfig): {
  prefix: string
  gateway?: string
  interface?: string
} {
  return {
    // Without a next hop, `default` means both families, as the stack itself has it.
    prefix: via === undefined ? to : prefixOf(to, via),
    ...(via === undefined ? {} : { gateway: via }),
    ...(link === undefined ? {} : { interface: link }),
  }
}
