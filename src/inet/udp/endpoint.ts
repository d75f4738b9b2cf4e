/** What UDP knows of one endpoint: where it is bound, whom it is connected to, its settings and its counters. */
import { type Counters, makeCounters } from '../../base/counters.ts'
import type { AnyQueue } from '../../streams/module.ts'
import { HEAD_HIWAT } from '../../streams/stream-head.ts'
import { formatV4Word, formatV6Words, type IpAddress, isMapped } from '../address.ts'
import { LOCAL, LOCAL_PORT, REMOTE, REMOTE_PORT } from '../unitdata.ts'
import type { DatagramEnd, EndpointNames } from './ends.ts'

/** How an endpoint takes datagrams of one family: not at all, to any address, to its own address only. */
export const ACCEPT_NONE = 0
export const ACCEPT_ANY = 1
export const ACCEPT_EXACT = 2

const ENDPOINT_COUNTERS = [
  'in-datagrams',
  'in-super-datagrams',
  'out-datagrams',
  'out-super-datagrams',
  'receive-full',
  'arena-pressure',
  'send-refused',
  'errors-indicated',
] as const

export type EndpointCounters = Counters<(typeof ENDPOINT_COUNTERS)[number]>

/** An address and a port for people. */
export interface SocketName {
  readonly address: string
  readonly family: 4 | 6
  readonly port: number
}

/** One endpoint stream's state. */
export class Endpoint implements DatagramEnd {
  /** Read queue of the driver's end of its stream: `putnext(q, mp)` goes to the program. */
  readonly q: AnyQueue
  /** 6 takes IPv4 too, as v4-mapped addresses, unless `ipv6Only`. */
  readonly family: 4 | 6
  readonly reuseAddress: boolean
  readonly ipv6Only: boolean

  /** 0: not bound. */
  port = 0
  /** Four int32 words; v4-mapped for IPv4. */
  local0 = 0
  local1 = 0
  local2 = 0
  local3 = 0
  accept4 = ACCEPT_NONE
  accept6 = ACCEPT_NONE
  /** The local address was chosen by `connect`, and goes with it. */
  localByConnect = false

  /** 0: not connected. */
  remotePort = 0
  remote0 = 0
  remote1 = 0
  remote2 = 0
  remote3 = 0

  /** TTL or hop limit of what it sends; 0: IP's default. */
  ttl = 0
  /** Full type of service or traffic class. */
  trafficClass = 0
  broadcast = false
  dontFragment = false
  /** Takes super-datagrams whole. */
  superDatagrams = false
  receiveBytes = HEAD_HIWAT

  /** The next endpoint on the same port, in the same list of the demultiplexer. */
  nextOnPort: Endpoint | null = null
  nextConnected: Endpoint | null = null
  /** In line for room below. */
  waiting = false
  nextWaiting: Endpoint | null = null

  readonly counters: EndpointCounters = makeCounters(ENDPOINT_COUNTERS)

  constructor(q: AnyQueue, family: 4 | 6, reuseAddress: boolean, ipv6Only: boolean) {
    this.q = q
    this.family = family
    this.reuseAddress = reuseAddress
    this.ipv6Only = ipv6Only
  }

  get connected(): boolean {
    return this.remotePort !== 0
  }

  setLocal(address: IpAddress): void {
    const [w0, w1, w2, w3] = address.words
    this.local0 = w0
    this.local1 = w1
    this.local2 = w2
    this.local3 = w3
    const v4 = isMapped(w0, w1, w2)
    const any = v4 ? w3 === 0 : (w0 | w1 | w2 | w3) === 0
    this.accept4 = v4 ? (any ? ACCEPT_ANY : ACCEPT_EXACT) : any && !this.ipv6Only ? ACCEPT_ANY : ACCEPT_NONE
    this.accept6 = v4 ? ACCEPT_NONE : any ? ACCEPT_ANY : ACCEPT_EXACT
  }

  setRemote(address: IpAddress, port: number): void {
    const [w0, w1, w2, w3] = address.words
    this.remote0 = w0
    this.remote1 = w1
    this.remote2 = w2
    this.remote3 = w3
    this.remotePort = port
  }

  /** Bounds what may wait for the program. */
  setReceiveBytes(size: number): void {
    this.receiveBytes = size
    this.q.stream.setReadLimits(size, size >> 2)
  }

  clearRemote(): void {
    this.remotePort = 0
    this.remote0 = this.remote1 = this.remote2 = this.remote3 = 0
  }

  /** Whether it is bound to one address. */
  get hasLocalAddress(): boolean {
    return this.accept4 === ACCEPT_EXACT || this.accept6 === ACCEPT_EXACT
  }

  isLocal(words: Int32Array, at: number): boolean {
    return (
      words[at + LOCAL + 3] === this.local3 &&
      words[at + LOCAL + 2] === this.local2 &&
      words[at + LOCAL + 1] === this.local1 &&
      words[at + LOCAL] === this.local0
    )
  }

  /** Whether a control block's local address is one that it takes, family aside. */
  takes(words: Int32Array, at: number, v4: boolean): boolean {
    const accept = v4 ? this.accept4 : this.accept6
    return accept === ACCEPT_ANY || (accept === ACCEPT_EXACT && this.isLocal(words, at))
  }

  /** Whether a control block is from its peer, to it. */
  isFromPeer(words: Int32Array, at: number, v4: boolean): boolean {
    return (
      words[at + REMOTE_PORT] === this.remotePort &&
      words[at + LOCAL_PORT] === this.port &&
      words[at + REMOTE + 3] === this.remote3 &&
      words[at + REMOTE + 2] === this.remote2 &&
      words[at + REMOTE + 1] === this.remote1 &&
      words[at + REMOTE] === this.remote0 &&
      this.takes(words, at, v4)
    )
  }

  get localName(): SocketName {
    return nameOf(this.family, this.local0, this.local1, this.local2, this.local3, this.port)
  }

  get remoteName(): SocketName | null {
    if (!this.connected) return null
    return nameOf(this.family, this.remote0, this.remote1, this.remote2, this.remote3, this.remotePort)
  }

  get names(): EndpointNames {
    return { local: this.port === 0 ? null : this.localName, remote: this.remoteName }
  }

  /** For people, as JSON. */
  describe(): object {
    return {
      stream: this.q.stream.name,
      local: this.port === 0 ? null : this.localName,
      remote: this.remoteName,
      waitingMessages: this.q.next?.zero.messages ?? 0,
      waitingBytes: this.q.next?.zero.count ?? 0,
    }
  }
}

/** An IPv4 address at an endpoint of family 6 is shown v4-mapped, as everywhere. */
function nameOf(family: 4 | 6, w0: number, w1: number, w2: number, w3: number, port: number): SocketName {
  const address = family === 4 ? formatV4Word(w3) : formatV6Words(w0, w1, w2, w3)
  return { address, family, port }
}
