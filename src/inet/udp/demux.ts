/**
 * Which endpoint gets a datagram: the connected one whose tuple matches exactly, else one bound to the address,
 * else one bound to any address; of two alike, one of IPv4 alone before one of both families, and the one bound last,
 * as Linux has it. A look-up allocates nothing.
 */
import { FAMILY, LOCAL_PORT, REMOTE, REMOTE_PORT } from '../unitdata.ts'
import { ACCEPT_ANY, ACCEPT_EXACT, ACCEPT_NONE, type Endpoint } from './endpoint.ts'

/** Endpoints of one stack. */
export const ENDPOINTS_MAX = 65_536
const PAGE_PORTS = 256
const BUCKETS_MIN = 64

/** The endpoints of one port. */
class PortEntry {
  /** Those that take datagrams from anybody, the one bound last in front. */
  open: Endpoint | null = null
  /** Those that are connected. */
  connected: Endpoint | null = null
}

type Page = (PortEntry | null)[]
const NO_PAGE: Page = new Array<PortEntry | null>(PAGE_PORTS).fill(null)

export class Demux {
  /** By the upper and then the lower half of the port: a stack with few ports stays small. */
  private readonly pages: Page[] = new Array<Page>(PAGE_PORTS).fill(NO_PAGE)
  private buckets: (Endpoint | null)[] = new Array<Endpoint | null>(BUCKETS_MIN).fill(null)
  private connectedCount = 0
  private readonly seed: number
  /** Every endpoint that has a port. */
  readonly bound = new Set<Endpoint>()

  /** @param seed - random, so that nobody can aim at one bucket */
  constructor(seed: number) {
    this.seed = seed
  }

  /**
   * The endpoint for what a control block describes, from `REMOTE` and `REMOTE_PORT` to `LOCAL` and `LOCAL_PORT`.
   * @param at - index of the control block's first word
   */
  find(words: Int32Array, at: number): Endpoint | null {
    if (this.connectedCount !== 0) {
      const peer = this.findConnected(words, at)
      if (peer !== null) return peer
    }
    const v4 = words[at + FAMILY] === 4
    let best: Endpoint | null = null
    let bestScore = 0
    for (let e = this.firstOpen(words[at + LOCAL_PORT]!); e !== null; e = e.nextOnPort) {
      const score = scoreOf(e, words, at, v4)
      if (score <= bestScore) continue
      best = e
      bestScore = score
    }
    return best
  }

  /** The connected endpoint whose tuple matches exactly. */
  findConnected(words: Int32Array, at: number): Endpoint | null {
    const v4 = words[at + FAMILY] === 4
    const bucket = this.hash(
      words[at + REMOTE]!,
      words[at + REMOTE + 1]!,
      words[at + REMOTE + 3]!,
      words[at + REMOTE_PORT]!,
      words[at + LOCAL_PORT]!,
    )
    let e = this.buckets[bucket]!
    while (e !== null && !e.isFromPeer(words, at, v4)) e = e.nextConnected!
    return e
  }

  /**
   * The next open endpoint that takes a datagram for many (broadcast, multicast).
   * @param after - the one before, or null for the first
   */
  nextOfMany(words: Int32Array, at: number, after: Endpoint | null): Endpoint | null {
    const v4 = words[at + FAMILY] === 4
    let e = after === null ? this.firstOpen(words[at + LOCAL_PORT]!) : after.nextOnPort
    while (e !== null && !e.takes(words, at, v4)) e = e.nextOnPort
    return e
  }

  private firstOpen(port: number): Endpoint | null {
    const entry = this.pages[port >>> 8]![port & 0xff]!
    return entry === null ? null : entry.open
  }

  private hash(r0: number, r1: number, r3: number, remotePort: number, localPort: number): number {
    let h = this.seed ^ ((remotePort << 16) | localPort)
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d) ^ r3
    h = Math.imul(h ^ (h >>> 12), 0x297a2d39) ^ r1
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d) ^ r0
    h = Math.imul(h ^ (h >>> 13), 0x297a2d39)
    return (h ^ (h >>> 16)) & (this.buckets.length - 1)
  }

  private hashOf(e: Endpoint): number {
    return this.hash(e.remote0, e.remote1, e.remote3, e.remotePort, e.port)
  }

  /** Whether `e`, bound to `port`, would be in the way of another, or another in its. */
  conflicts(e: Endpoint, port: number): boolean {
    const entry = this.pages[port >>> 8]![port & 0xff]!
    if (entry === null) return false
    for (let other = entry.open; other !== null; other = other.nextOnPort) {
      if (inTheWay(e, other)) return true
    }
    for (let other = entry.connected; other !== null; other = other.nextOnPort) {
      if (inTheWay(e, other)) return true
    }
    return false
  }

  /** Enters an endpoint whose port, local and remote are set. */
  add(e: Endpoint): void {
    const high = e.port >>> 8
    if (this.pages[high] === NO_PAGE) this.pages[high] = new Array<PortEntry | null>(PAGE_PORTS).fill(null)
    const page = this.pages[high]!
    const entry = (page[e.port & 0xff] ??= new PortEntry())
    if (e.connected) {
      e.nextOnPort = entry.connected
      entry.connected = e
      if (++this.connectedCount > this.buckets.length) this.grow()
      this.enter(e)
    } else {
      e.nextOnPort = entry.open
      entry.open = e
    }
    this.bound.add(e)
  }

  /** Takes an endpoint out, before anything by which it is found changes. */
  remove(e: Endpoint): void {
    if (!this.bound.delete(e)) return
    const page = this.pages[e.port >>> 8]!
    const entry = page[e.port & 0xff]!
    if (e.connected) {
      entry.connected = without(entry.connected, e)
      this.leave(e)
      this.connectedCount--
    } else {
      entry.open = without(entry.open, e)
    }
    e.nextOnPort = null
    if (entry.open === null && entry.connected === null) page[e.port & 0xff] = null
  }

  private enter(e: Endpoint): void {
    const bucket = this.hashOf(e)
    e.nextConnected = this.buckets[bucket]!
    this.buckets[bucket] = e
  }

  private leave(e: Endpoint): void {
    const bucket = this.hashOf(e)
    let before: Endpoint | null = null
    for (let each = this.buckets[bucket]!; each !== e; each = each!.nextConnected!) before = each
    if (before === null) this.buckets[bucket] = e.nextConnected
    else before.nextConnected = e.nextConnected
    e.nextConnected = null
  }

  private grow(): void {
    const old = this.buckets
    this.buckets = new Array<Endpoint | null>(2 * old.length).fill(null)
    for (let e of old) {
      while (e !== null) {
        const next: Endpoint | null = e.nextConnected
        this.enter(e)
        e = next
      }
    }
  }
}

/** 0: not for it. */
function scoreOf(e: Endpoint, words: Int32Array, at: number, v4: boolean): number {
  const accept = v4 ? e.accept4 : e.accept6
  if (accept === ACCEPT_NONE) return 0
  if (accept === ACCEPT_EXACT && !e.isLocal(words, at)) return 0
  return (accept === ACCEPT_EXACT ? 4 : 0) + (v4 && e.family === 4 ? 2 : 1)
}

/** Whether two endpoints cannot have the same port: a family and an address in common, and not both are sharing. */
function inTheWay(a: Endpoint, b: Endpoint): boolean {
  if (a === b || (a.reuseAddress && b.reuseAddress)) return false
  const both4 = a.accept4 !== ACCEPT_NONE && b.accept4 !== ACCEPT_NONE
  if (both4 && (a.accept4 === ACCEPT_ANY || b.accept4 === ACCEPT_ANY || a.local3 === b.local3)) return true
  const both6 = a.accept6 !== ACCEPT_NONE && b.accept6 !== ACCEPT_NONE
  return both6 && (a.accept6 === ACCEPT_ANY || b.accept6 === ACCEPT_ANY || sameLocal(a, b))
}

function sameLocal(a: Endpoint, b: Endpoint): boolean {
  return a.local0 === b.local0 && a.local1 === b.local1 && a.local2 === b.local2 && a.local3 === b.local3
}

/** The list without one of its members. */
function without(first: Endpoint | null, e: Endpoint): Endpoint | null {
  if (first === e) return e.nextOnPort
  for (let each = first; each !== null; each = each.nextOnPort) {
    if (each.nextOnPort !== e) continue
    each.nextOnPort = e.nextOnPort
    return first
  }
  return first
}
