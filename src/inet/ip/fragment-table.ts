/**
 * The datagrams that are being reassembled, and who sent them: a seeded hash over the key, a list by age (every datagram
 * has the same time to live, so the oldest is the next to expire), and for each sender its own list by age.
 * Records are pooled: in steady state nothing is allocated.
 */
import { assert } from '../../base/assert.ts'
import type { Instant } from '../../base/time.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'

/** What identifies a datagram, and where its sender is counted. Filled anew for each fragment. */
export class FragmentKey {
  family = 4
  /** Of IPv4; 0 for IPv6, whose key has none (RFC 8200 §4.5). */
  protocol = 0
  identification = 0
  source0 = 0
  source1 = 0
  source2 = 0
  source3 = 0
  destination0 = 0
  destination1 = 0
  destination2 = 0
  destination3 = 0
}

/** A sender: an IPv4 address, or an IPv6 /64, since whoever has one address of that has all. */
export class FragmentSource {
  family = 4
  word0 = 0
  word1 = 0
  hash = 0
  hashNext: FragmentSource | null = null
  /** Memory that its fragments pin. */
  bytes = 0
  datagrams = 0
  oldest: Datagram | null = null
  newest: Datagram | null = null
}

const PIECES_AT_FIRST = 8

/** One datagram of which some fragments have come. */
export class Datagram extends FragmentKey {
  hash = 0
  hashNext: Datagram | null = null
  older: Datagram | null = null
  newer: Datagram | null = null
  sourceOlder: Datagram | null = null
  sourceNewer: Datagram | null = null
  source: FragmentSource | null = null
  /** In the table; false in the pool. */
  live = false
  /** It was refused: no piece is kept, and what still comes of it is dropped. */
  discarded = false
  expiresAt = 0.5 as Instant
  /** Pieces, by order of arrival; `order` has their numbers by order of their data. */
  pieces: (Mblk | null)[] = []
  starts = new Int32Array(PIECES_AT_FIRST)
  ends = new Int32Array(PIECES_AT_FIRST)
  order = new Int32Array(PIECES_AT_FIRST)
  count = 0
  /** Memory that the pieces pin. */
  bytes = 0
  /** Bytes of data that have come, without headers. */
  received = 0
  /** One past the last byte that has come. */
  reach = 0
  /** One past the last byte of all; -1 until the last fragment came. */
  end = -1
  /** A bit for each ECN codepoint that was seen. */
  codepoints = 0
  /** Of the first fragment, meaningful when it came: where its data begin, where its fragment header lies, ... */
  headerBytes = 0
  fragmentHeaderAt = 0
  /** ... where the number of the fragment header stands, and which header follows. */
  nextHeaderAt = 0
  nextHeader = 0

  /** Whether the fragment with offset 0 came. */
  get hasFirst(): boolean {
    return this.count > 0 && this.starts[this.order[0]!] === 0
  }

  /** Position in `order` of the first piece that begins at or after `start`. */
  position(start: number): number {
    let low = 0
    let high = this.count
    // Most fragments come in order: look at the end first.
    if (high > 0 && this.starts[this.order[high - 1]!]! < start) return high
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.starts[this.order[middle]!]! < start) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Adds a piece at a position that {@link position} gave. @param mp - consumed */
  insert(position: number, mp: Mblk, start: number, end: number): void {
    const slot = this.count
    if (slot === this.starts.length) this.grow()
    this.pieces[slot] = mp
    this.starts[slot] = start
    this.ends[slot] = end
    this.order.copyWithin(position + 1, position, slot)
    this.order[position] = slot
    this.count++
    this.received += end - start
    if (end > this.reach) this.reach = end
  }

  /** Takes the piece at a position out of its slot. @returns an owned message */
  take(position: number): Mblk {
    const slot = this.order[position]!
    const mp = this.pieces[slot]!
    this.pieces[slot] = null
    return mp
  }

  private grow(): void {
    const grown = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const larger = new Int32Array(2 * old.length)
      larger.set(old)
      return larger
    }
    this.starts = grown(this.starts)
    this.ends = grown(this.ends)
    this.order = grown(this.order)
  }

  /** Forgets what was collected; the caller has freed the pieces. */
  reset(): void {
    this.count = 0
    this.bytes = 0
    this.received = 0
    this.reach = 0
    this.end = -1
    this.codepoints = 0
    this.discarded = false
  }
}

const BUCKETS = 1_024
const MASK = BUCKETS - 1

export class FragmentTable {
  private readonly buckets: (Datagram | null)[] = new Array(BUCKETS).fill(null)
  private readonly sourceBuckets: (FragmentSource | null)[] = new Array(BUCKETS).fill(null)
  private freeDatagram: Datagram | null = null
  private freeSource: FragmentSource | null = null
  private readonly seed: number
  oldest: Datagram | null = null
  newest: Datagram | null = null
  size = 0
  /** Memory that all pieces pin. */
  bytes = 0

  /** @param seed - secret, so that nobody can choose keys that fall into one bucket */
  constructor(seed: number) {
    this.seed = seed | 0
  }

  /** The datagram of a key, or null. */
  find(key: FragmentKey): Datagram | null {
    const hash = this.hashKey(key)
    for (let at = this.buckets[hash & MASK] ?? null; at !== null; at = at.hashNext) {
      if (at.hash === hash && sameKey(at, key)) return at
    }
    return null
  }

  /** The sender of a key, or null if nothing of it waits. */
  findSource(key: FragmentKey): FragmentSource | null {
    const word0 = key.source0
    const word1 = key.family === 4 ? 0 : key.source1
    const hash = this.hashSource(key.family, word0, word1)
    for (let at = this.sourceBuckets[hash & MASK] ?? null; at !== null; at = at.hashNext) {
      if (at.hash === hash && at.family === key.family && at.word0 === word0 && at.word1 === word1) return at
    }
    return null
  }

  /** A new datagram of that key, the newest of all. */
  add(key: FragmentKey, expiresAt: Instant): Datagram {
    const datagram = this.freeDatagram ?? new Datagram()
    this.freeDatagram = datagram.newer
    datagram.newer = null
    copyKey(datagram, key)
    datagram.reset()
    datagram.live = true
    datagram.expiresAt = expiresAt
    datagram.hash = this.hashKey(key)
    datagram.hashNext = this.buckets[datagram.hash & MASK] ?? null
    this.buckets[datagram.hash & MASK] = datagram
    datagram.older = this.newest
    if (this.newest === null) this.oldest = datagram
    else this.newest.newer = datagram
    this.newest = datagram
    this.join(datagram, this.findSource(key) ?? this.addSource(key))
    this.size++
    return datagram
  }

  /** Counts memory that a datagram pins (or, below 0, no longer pins). */
  charge(datagram: Datagram, bytes: number): void {
    datagram.bytes += bytes
    datagram.source!.bytes += bytes
    this.bytes += bytes
  }

  /** Takes a datagram out; the caller has taken or freed its pieces. */
  remove(datagram: Datagram): void {
    assert(datagram.live, 'fragment table: the datagram is already out')
    this.charge(datagram, -datagram.bytes)
    this.leave(datagram)
    unhash(this.buckets, datagram)
    if (datagram.older === null) this.oldest = datagram.newer
    else datagram.older.newer = datagram.newer
    if (datagram.newer === null) this.newest = datagram.older
    else datagram.newer.older = datagram.older
    datagram.older = null
    datagram.newer = this.freeDatagram
    this.freeDatagram = datagram
    datagram.live = false
    this.size--
  }

  private addSource(key: FragmentKey): FragmentSource {
    const source = this.freeSource ?? new FragmentSource()
    this.freeSource = source.hashNext
    source.family = key.family
    source.word0 = key.source0
    source.word1 = key.family === 4 ? 0 : key.source1
    source.hash = this.hashSource(source.family, source.word0, source.word1)
    source.hashNext = this.sourceBuckets[source.hash & MASK] ?? null
    this.sourceBuckets[source.hash & MASK] = source
    return source
  }

  private join(datagram: Datagram, source: FragmentSource): void {
    datagram.source = source
    datagram.sourceNewer = null
    datagram.sourceOlder = source.newest
    if (source.newest === null) source.oldest = datagram
    else source.newest.sourceNewer = datagram
    source.newest = datagram
    source.datagrams++
  }

  private leave(datagram: Datagram): void {
    const source = datagram.source!
    const { sourceOlder, sourceNewer } = datagram
    if (sourceOlder === null) source.oldest = sourceNewer
    else sourceOlder.sourceNewer = sourceNewer
    if (sourceNewer === null) source.newest = sourceOlder
    else sourceNewer.sourceOlder = sourceOlder
    datagram.source = null
    datagram.sourceOlder = null
    datagram.sourceNewer = null
    if (--source.datagrams > 0) return
    assert(source.bytes === 0, 'fragment table: a sender without datagrams pins memory')
    unhash(this.sourceBuckets, source)
    source.hashNext = this.freeSource
    this.freeSource = source
  }

  private hashKey(key: FragmentKey): number {
    let hash = mix(this.seed, key.identification ^ (key.protocol << 24) ^ key.family)
    hash = mix(hash, key.source0)
    hash = mix(hash, key.destination0)
    if (key.family === 4) return hash
    hash = mix(mix(mix(hash, key.source1), key.source2), key.source3)
    return mix(mix(mix(hash, key.destination1), key.destination2), key.destination3)
  }

  private hashSource(family: number, word0: number, word1: number): number {
    return mix(mix(this.seed ^ family, word0), word1)
  }
}

/** One round of a multiplicative hash; its result is an int32. */
function mix(hash: number, word: number): number {
  let h = Math.imul(hash ^ word, 0x9e3779b1)
  h ^= h >>> 15
  h = Math.imul(h, 0x85ebca77)
  return h ^ (h >>> 13)
}

function unhash<T extends { hash: number; hashNext: T | null }>(buckets: (T | null)[], item: T): void {
  let before: T | null = null
  for (let at = buckets[item.hash & MASK] ?? null; at !== item; at = at!.hashNext) before = at
  if (before === null) buckets[item.hash & MASK] = item.hashNext
  else before.hashNext = item.hashNext
  item.hashNext = null
}

function copyKey(to: FragmentKey, from: FragmentKey): void {
  to.family = from.family
  to.protocol = from.protocol
  to.identification = from.identification
  to.source0 = from.source0
  to.source1 = from.source1
  to.source2 = from.source2
  to.source3 = from.source3
  to.destination0 = from.destination0
  to.destination1 = from.destination1
  to.destination2 = from.destination2
  to.destination3 = from.destination3
}

function sameKey(a: FragmentKey, b: FragmentKey): boolean {
  return (
    a.family === b.family &&
    a.protocol === b.protocol &&
    a.identification === b.identification &&
    a.source0 === b.source0 &&
    a.destination0 === b.destination0 &&
    a.source1 === b.source1 &&
    a.source2 === b.source2 &&
    a.source3 === b.source3 &&
    a.destination1 === b.destination1 &&
    a.destination2 === b.destination2 &&
    a.destination3 === b.destination3
  )
}
