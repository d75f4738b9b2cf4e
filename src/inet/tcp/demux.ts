/**
 * Whose segment it is. Connections are found by their whole tuple, in chains of control blocks; listeners by port: one
 * bound to the address before one bound to any, of two alike one of IPv4 alone before one of both families, and the
 * one that came last, as Linux has it. A look-up allocates nothing.
 */
import { FAMILY, LOCAL, REMOTE } from '../unitdata.ts'
import { ACCEPT_ANY, ACCEPT_EXACT, ACCEPT_NONE, type Listener } from './listener.ts'
import type { Tcb } from './tcb.ts'
import { TUPLE_HASH_BITS, TupleHash } from './tuple-hash.ts'

const BUCKETS_MIN = 64
/** Nobody gets so long a chain by chance; another hash is taken then. */
const CHAIN_MAX = 12

/** All connections that have a {@link Tcb}. */
export class ConnectionTable {
  size = 0
  private readonly hash: TupleHash
  private buckets: (Tcb | null)[] = emptyBuckets(BUCKETS_MIN)
  /** Additions until another hash may be taken, so that it cannot be had taken all the time. */
  private untilRekey = 0

  /** @param seed - random and secret, so that nobody can aim at one bucket */
  constructor(seed: number) {
    this.hash = new TupleHash(seed)
  }

  /**
   * The connection of a control block's remote and local address.
   * @param at - index of the control block's first word; @param ports - `localPort << 16 | remotePort`
   */
  find(words: Int32Array, at: number, ports: number): Tcb | null {
    return this.findTuple(
      words[at + REMOTE]!,
      words[at + REMOTE + 1]!,
      words[at + REMOTE + 2]!,
      words[at + REMOTE + 3]!,
      words[at + LOCAL]!,
      words[at + LOCAL + 1]!,
      words[at + LOCAL + 2]!,
      words[at + LOCAL + 3]!,
      ports,
    )
  }

  findTuple(
    r0: number,
    r1: number,
    r2: number,
    r3: number,
    l0: number,
    l1: number,
    l2: number,
    l3: number,
    ports: number,
  ): Tcb | null {
    const bucket = this.hash.of(r0, r1, r2, r3, l0, l1, l2, l3, ports) & (this.buckets.length - 1)
    let tcb: Tcb | null = this.buckets[bucket]!
    while (
      tcb !== null &&
      (tcb.ports !== ports ||
        tcb.remote3 !== r3 ||
        tcb.local3 !== l3 ||
        tcb.remote2 !== r2 ||
        tcb.remote1 !== r1 ||
        tcb.remote0 !== r0 ||
        tcb.local2 !== l2 ||
        tcb.local1 !== l1 ||
        tcb.local0 !== l0)
    )
      tcb = tcb.hashNext
    return tcb
  }

  /** Enters a connection whose addresses and ports are set. @returns false if another has them; nothing has changed then */
  add(tcb: Tcb): boolean {
    if (this.size >= this.buckets.length && this.buckets.length < 1 << TUPLE_HASH_BITS)
      this.rebuild(2 * this.buckets.length)
    const bucket = this.bucketOf(tcb)
    let length = 0
    for (let other: Tcb | null = this.buckets[bucket]!; other !== null; other = other.hashNext) {
      if (sameTuple(tcb, other)) return false
      length++
    }
    tcb.hashNext = this.buckets[bucket]!
    this.buckets[bucket] = tcb
    this.size++
    this.untilRekey--
    if (length >= CHAIN_MAX + 4 * (this.size / this.buckets.length) && this.untilRekey <= 0) {
      this.untilRekey = this.size
      this.hash.rekey()
      this.rebuild(this.buckets.length)
    }
    return true
  }

  /** Takes a connection out, before its tuple changes; does nothing if it is not in. */
  remove(tcb: Tcb): void {
    const bucket = this.bucketOf(tcb)
    let before: Tcb | null = null
    for (let each: Tcb | null = this.buckets[bucket]!; each !== tcb; each = each.hashNext) {
      if (each === null) return
      before = each
    }
    if (before === null) this.buckets[bucket] = tcb.hashNext
    else before.hashNext = tcb.hashNext
    tcb.hashNext = null
    this.size--
  }

  /** The first connection of a bucket, the others by `hashNext`. @param bucket - any number */
  chainAt(bucket: number): Tcb | null {
    return this.buckets[bucket & (this.buckets.length - 1)]!
  }

  /** Every connection, in no order; `fn` may remove the one that it is given, and must not add. */
  each(fn: (tcb: Tcb) => void): void {
    for (let bucket = 0; bucket < this.buckets.length; bucket++) {
      for (let tcb: Tcb | null = this.buckets[bucket]!; tcb !== null; ) {
        const next: Tcb | null = tcb.hashNext
        fn(tcb)
        tcb = next
      }
    }
  }

  private bucketOf(tcb: Tcb): number {
    return (
      this.hash.of(
        tcb.remote0,
        tcb.remote1,
        tcb.remote2,
        tcb.remote3,
        tcb.local0,
        tcb.local1,
        tcb.local2,
        tcb.local3,
        tcb.ports,
      ) &
      (this.buckets.length - 1)
    )
  }

  private rebuild(count: number): void {
    const old = this.buckets
    this.buckets = emptyBuckets(count)
    for (let tcb of old) {
      while (tcb !== null) {
        const next: Tcb | null = tcb.hashNext
        const bucket = this.bucketOf(tcb)
        tcb.hashNext = this.buckets[bucket]!
        this.buckets[bucket] = tcb
        tcb = next
      }
    }
  }
}

function emptyBuckets(count: number): (Tcb | null)[] {
  return new Array<Tcb | null>(count).fill(null)
}

function sameTuple(a: Tcb, b: Tcb): boolean {
  return (
    a.ports === b.ports &&
    a.remote3 === b.remote3 &&
    a.local3 === b.local3 &&
    a.remote2 === b.remote2 &&
    a.remote1 === b.remote1 &&
    a.remote0 === b.remote0 &&
    a.local2 === b.local2 &&
    a.local1 === b.local1 &&
    a.local0 === b.local0
  )
}

/** All listeners; those of one port in a list, the one that came last in front. */
export class ListenerTable {
  private readonly byPort = new Map<number, Listener>()
  size = 0

  /** The listener for the control block's local address. @param at - index of its first word */
  find(words: Int32Array, at: number, port: number): Listener | null {
    const v4 = words[at + FAMILY] === 4
    let best: Listener | null = null
    let bestScore = 0
    for (let l: Listener | null = this.byPort.get(port) ?? null; l !== null; l = l.nextOnPort) {
      const score = scoreOf(l, words, at, v4)
      if (score <= bestScore) continue
      best = l
      bestScore = score
    }
    return best
  }

  /** Whether any listener has a port. */
  has(port: number): boolean {
    return this.byPort.has(port)
  }

  /** Enters a listener whose port and address are set. */
  add(l: Listener): void {
    l.nextOnPort = this.byPort.get(l.port) ?? null
    this.byPort.set(l.port, l)
    this.size++
  }

  /** Does nothing if it is not in. */
  remove(l: Listener): void {
    const first = this.byPort.get(l.port) ?? null
    if (first === l) {
      if (l.nextOnPort === null) this.byPort.delete(l.port)
      else this.byPort.set(l.port, l.nextOnPort)
    } else {
      let before = first
      while (before !== null && before.nextOnPort !== l) before = before.nextOnPort
      if (before === null) return
      before.nextOnPort = l.nextOnPort
    }
    l.nextOnPort = null
    this.size--
  }

  /** Whether `l`, whose port and address are set, would have an address and a port in common with another, and not both share. */
  conflicts(l: Listener): boolean {
    for (
      let other: Listener | null = this.byPort.get(l.port) ?? null;
      other !== null;
      other = other.nextOnPort
    )
      if (inTheWay(l, other)) return true
    return false
  }

  each(fn: (l: Listener) => void): void {
    for (const first of [...this.byPort.values()]) {
      for (let l: Listener | null = first; l !== null; ) {
        const next: Listener | null = l.nextOnPort
        fn(l)
        l = next
      }
    }
  }
}

/** 0: not for it. */
function scoreOf(l: Listener, words: Int32Array, at: number, v4: boolean): number {
  const accept = v4 ? l.accept4 : l.accept6
  if (accept === ACCEPT_NONE) return 0
  if (accept === ACCEPT_EXACT && !isLocal(l, words, at)) return 0
  return (accept === ACCEPT_EXACT ? 4 : 0) + (v4 && l.family === 4 ? 2 : 1)
}

function isLocal(l: Listener, words: Int32Array, at: number): boolean {
  return (
    words[at + LOCAL + 3] === l.local3 &&
    words[at + LOCAL + 2] === l.local2 &&
    words[at + LOCAL + 1] === l.local1 &&
    words[at + LOCAL] === l.local0
  )
}

function inTheWay(a: Listener, b: Listener): boolean {
  if (a === b || (a.reuseAddress && b.reuseAddress)) return false
  const both4 = a.accept4 !== ACCEPT_NONE && b.accept4 !== ACCEPT_NONE
  if (both4 && (a.accept4 === ACCEPT_ANY || b.accept4 === ACCEPT_ANY || a.local3 === b.local3)) return true
  const both6 = a.accept6 !== ACCEPT_NONE && b.accept6 !== ACCEPT_NONE
  return both6 && (a.accept6 === ACCEPT_ANY || b.accept6 === ACCEPT_ANY || sameLocal(a, b))
}

function sameLocal(a: Listener, b: Listener): boolean {
  return a.local0 === b.local0 && a.local1 === b.local1 && a.local2 === b.local2 && a.local3 === b.local3
}
