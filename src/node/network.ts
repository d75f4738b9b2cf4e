/** What a node asks of the network above its links; `inet-network.ts` puts the Internet protocols behind it. */
import type { Runtime } from '../streams/runtime.ts'
import type { Stream } from '../streams/stream.ts'
import type { StreamSocket } from './bridged-stream.ts'
import type { NodeConfig, RouteConfig } from './config.ts'
import type { PartCounters } from './node-metrics.ts'

export interface AttachOptions {
  readonly name: string
  /** Addresses with their prefix lengths. */
  readonly addresses: readonly string[]
}

export interface EchoRequest {
  readonly address: string
  readonly sequence: number
  /** Bytes behind the ICMP header. */
  readonly bytes: number
  readonly timeoutMs: number
  readonly ttl?: number
  readonly signal?: AbortSignal
}

/** What became of one echo request. */
export type EchoResult =
  | {
      readonly kind: 'reply'
      readonly sequence: number
      readonly from: string
      readonly bytes: number
      readonly ttl: number
      readonly milliseconds: number
    }
  | { readonly kind: 'timeout'; readonly sequence: number }
  | { readonly kind: 'error'; readonly sequence: number; readonly reason: string }

export interface Datagram {
  readonly from: string
  readonly port: number
  readonly data: Uint8Array
}

export interface DatagramOptions {
  readonly family: 4 | 6
  /** 0 or nothing for any. */
  readonly port?: number
  /** One of the node's addresses; all by default. */
  readonly address?: string
  /** The only peer: nobody else is heard, and its ICMP errors are told. */
  readonly connect?: { readonly address: string; readonly port: number }
}

/** One UDP endpoint of the node's own stack. */
export interface DatagramEndpoint {
  readonly port: number
  onDatagram: ((datagram: Datagram) => void) | null
  /** An ICMP error or another failure that concerns this endpoint. */
  onError: ((error: Error) => void) | null
  /** @param to - null for the peer of a connected endpoint */
  send(data: Uint8Array, to: { readonly address: string; readonly port: number } | null): Promise<void>
  close(): void
}

export interface StreamOptions {
  /** An IP address. */
  readonly address: string
  readonly port: number
  /** One of the node's addresses; chosen by default. */
  readonly localAddress?: string
  /** 0 or nothing for any. */
  readonly localPort?: number
}

export interface ListenOptions {
  readonly port: number
  /** One of the node's addresses; all of both families by default. */
  readonly address?: string
}

/** Where a node listens for connections; each is a socket as `node:net` has them, half-open after the peer's end. */
export interface StreamListener {
  readonly address: string
  readonly port: number
  onConnection: ((socket: StreamSocket) => void) | null
  /** Stops listening; connections that were handed over go on. */
  close(): void
}

export interface Network {
  /** Puts a link below IP. @throws StackError */
  attach(stream: Stream, options: AttachOptions): void
  detach(name: string): void
  addRoute(route: RouteConfig): void
  removeRoute(route: RouteConfig): void
  /** Interfaces, addresses, routes, endpoints: for people, as a JSON value. */
  describe(): unknown
  counters(): PartCounters
  ping(request: EchoRequest): Promise<EchoResult>
  /** @throws StackError `ERR_ADDR_IN_USE`, `ERR_ADDR_NOT_AVAILABLE`, `ERR_BAD_ADDRESS` */
  openDatagrams(options: DatagramOptions): DatagramEndpoint
  /**
   * Connects.
   * @param signal - gives up
   * @throws StackError `ERR_CONN_REFUSED`, `ERR_TIMED_OUT`, `ERR_HOST_UNREACHABLE`, … and what is wrong with the options
   */
  openStream(options: StreamOptions, signal?: AbortSignal): Promise<StreamSocket>
  /** @throws StackError `ERR_ADDR_IN_USE`, `ERR_ADDR_NOT_AVAILABLE`, `ERR_BAD_ADDRESS` */
  listenStreams(options: ListenOptions): Promise<StreamListener>
  /**
   * Starts the services of the configuration.
   * @param directory - what paths in it are relative to
   */
  startServices(services: NodeConfig['services'], directory: string): Promise<void> | void
  /** Ends services and endpoints and takes the links from below IP; the links' streams stay open. */
  close(): void
}

export type NetworkFactory = (runtime: Runtime, config: NodeConfig) => Network
