/**
 * Connections of which only the SYN is known (SYN-RECEIVED of a passive opening), as records of 92 bytes in one Int32Array:
 * with index and deadline at most 128 bytes each, and no object (RFC 4987 §3). Everything takes constant time; nothing
 * is allocated save when the table grows, in steps, up to its limit.
 */
import { assert } from '../../base/assert.ts'
import { LOCAL, REMOTE } from '../unitdata.ts'
import { DeadlineWheel } from './timer-wheel.ts'
import { REC_LOCAL, REC_OWN, REC_PORTS, REC_REMOTE, TupleIndex } from './tuple-index.ts'

/** Word offsets in a record: `words[index + HO_ISS]`. Four words each, as in a control block: */
export const HO_REMOTE = REC_REMOTE
export const HO_LOCAL = REC_LOCAL
/** `localPort << 16 | remotePort`. */
export const HO_PORTS = REC_PORTS
/** All that follow are zero in a new record. Our initial sequence number. */
export const HO_ISS = REC_OWN
/** The peer's. */
export const HO_IRS = REC_OWN + 1
/** The MSS it announced, clamped; as {@link Tcb.peerMss}. */
export const HO_MSS = REC_OWN + 2
/** As `Tcb.scales`: the peer's shift in the low byte, ours in the next. */
export const HO_SCALES = REC_OWN + 3
/** `F_*` of `tcb.ts`: what was agreed on; the upper bits are free for `handshake.ts`. */
export const HO_FLAGS = REC_OWN + 4
/** The timestamp value of its SYN. */
export const HO_TS_RECENT = REC_OWN + 5
export const HO_TS_OFFSET = REC_OWN + 6
/** What we announce, as the listener's settings have it: the MSS in the upper half, the window, not scaled, in the lower. */
export const HO_ANNOUNCED = REC_OWN + 7
/** `Listener.id`. */
export const HO_LISTENER = REC_OWN + 8
/** SYN-ACKs that were sent again. */
export const HO_RETRIES = REC_OWN + 9
/** When the first SYN-ACK was sent, in `Tcp.nowUs`: the first sample of the round trip. */
export const HO_SENT_US = REC_OWN + 10
/** When it came, in `Tcp.nowMs`. */
export const HO_BEGAN_AT = REC_OWN + 11
/** As `Tcb.challenge`. */
export const HO_CHALLENGE = REC_OWN + 12
/** 4 or 6. */
export const HO_FAMILY = REC_OWN + 13
export const HO_WORDS = 23

const RECORDS_MIN = 64

export class HalfOpenTable {
  /** Records that may be in use; lowering it drops none. */
  limit: number
  /** All records. Read it anew after {@link add}: growing replaces it. */
  words = new Int32Array(RECORDS_MIN * HO_WORDS)
  private readonly index: TupleIndex
  /** The entry of a record is its number plus one. */
  private readonly wheel = new DeadlineWheel()
  /** Records that were never used begin here. */
  private fresh = 0
  /** A record that is free, plus one; in its first word the next. */
  private free = 0

  /** @param seed - random and secret */
  constructor(limit: number, seed: number) {
    this.limit = limit
    this.index = new TupleIndex(HO_WORDS, seed)
  }

  get size(): number {
    return this.index.size
  }

  /** @returns the index of the record's first word, -1 if there is none. @param at - of a control block */
  find(words: Int32Array, at: number, ports: number): number {
    return this.index.find(this.words, words, at, ports)
  }

  /** As {@link find}: remote words, local words, ports. */
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
  ): number {
    return this.index.findTuple(this.words, r0, r1, r2, r3, l0, l1, l2, l3, ports)
  }

  /**
   * A record for a control block's tuple, which has none yet; all else is zero but {@link HO_BEGAN_AT}. It has no
   * deadline until {@link schedule} gives it one.
   * @returns -1 if the table is full
   */
  add(words: Int32Array, at: number, ports: number, nowMs: number): number {
    if (this.size >= this.limit) return -1
    const rec = this.allocate()
    const own = this.words
    for (let i = 0; i < 4; i++) {
      own[rec + HO_REMOTE + i] = words[at + REMOTE + i]!
      own[rec + HO_LOCAL + i] = words[at + LOCAL + i]!
    }
    own[rec + HO_PORTS] = ports
    for (let i = REC_OWN; i < HO_WORDS; i++) own[rec + i] = 0
    own[rec + HO_BEGAN_AT] = nowMs
    this.index.add(own, rec / HO_WORDS)
    return rec
  }

  /** Sets or moves a record's deadline. */
  schedule(index: number, atMs: number, nowMs: number): void {
    this.wheel.set(index / HO_WORDS + 1, atMs, nowMs)
  }

  remove(index: number): void {
    assert(this.words[index + HO_FAMILY]! >= 0, 'a half-open record is removed twice')
    this.index.remove(this.words, index / HO_WORDS)
    this.wheel.clear(index / HO_WORDS + 1)
    this.words[index + HO_FAMILY] = -1
    this.words[index] = this.free
    this.free = index + 1
  }

  /** Calls `fn` with every record whose deadline has come: it schedules the record anew or removes it. */
  expire(nowMs: number, fn: (index: number) => void): void {
    for (let entry = this.wheel.take(nowMs); entry !== 0; entry = this.wheel.take(nowMs))
      fn((entry - 1) * HO_WORDS)
  }

  /** When to call {@link expire} next; null if nothing waits. */
  pollAt(): number | null {
    return this.wheel.pollAt()
  }

  /** Every record, in no order; `fn` may remove the one that it is given, and must not add. */
  each(fn: (index: number) => void): void {
    this.index.each(fn)
  }

  private allocate(): number {
    if (this.free !== 0) {
      const rec = this.free - 1
      this.free = this.words[rec]!
      return rec
    }
    if (this.fresh === this.words.length) {
      const larger = new Int32Array(2 * this.words.length)
      larger.set(this.words)
      this.words = larger
    }
    const rec = this.fresh
    this.fresh += HO_WORDS
    return rec
  }
}
