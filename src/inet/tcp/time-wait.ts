/**
 * What is left of a connection in TIME-WAIT (RFC 9293 §3.6.1): 64 bytes in one Int32Array and 8 in its index, no object.
 * In the order of their deadlines, which holds because all wait equally long; when the table is full, the oldest makes room.
 * Everything takes constant time; nothing is allocated save when the table grows, in steps, up to its limit.
 */
import { assert } from '../../base/assert.ts'
import type { Tcb } from './tcb.ts'
import { REC_LOCAL, REC_OWN, REC_PORTS, REC_REMOTE, TupleIndex } from './tuple-index.ts'

/** Word offsets in a record: `words[index + TW_RCV_NXT]`. Four words each, as in a control block: */
export const TW_REMOTE = REC_REMOTE
export const TW_LOCAL = REC_LOCAL
/** `localPort << 16 | remotePort`. */
export const TW_PORTS = REC_PORTS
/** `RCV.NXT`, past the peer's FIN. */
export const TW_RCV_NXT = REC_OWN
/** `SND.NXT`, past our FIN. */
export const TW_SND_NXT = REC_OWN + 1
/** Valid with {@link TW_TIMESTAMPS}. The offset of what we send is `SequenceKeys.tsOffset` of the addresses, as ever. */
export const TW_TS_RECENT = REC_OWN + 2
/** In `Tcp.nowMs`. */
export const TW_DEADLINE = REC_OWN + 3
/** {@link TW_TIMESTAMPS} and other bits below 1 << 16; above, the window that was announced last, as it went out. */
export const TW_FLAGS = REC_OWN + 4
/** The record before and after it in the order of deadlines, plus one; 0 at the ends. */
const OLDER = REC_OWN + 5
const NEWER = REC_OWN + 6
export const TW_WORDS = 16

/** Bit of {@link TW_FLAGS}: both sides send timestamps. */
export const TW_TIMESTAMPS = 1

const RECORDS_MIN = 64

export class TimeWaitTable {
  /** Records that may be in use. */
  limit: number
  /** All records. Read it anew after {@link add}: growing replaces it. */
  words = new Int32Array(RECORDS_MIN * TW_WORDS)
  private readonly index: TupleIndex
  private oldest = 0
  private newest = 0
  /** Records that were never used begin here. */
  private fresh = 0
  /** A record that is free, plus one; in its first word the next. */
  private free = 0

  /** @param seed - random and secret */
  constructor(limit: number, seed: number) {
    this.limit = limit
    this.index = new TupleIndex(TW_WORDS, seed)
  }

  get size(): number {
    return this.index.size
  }

  /** The next {@link add} takes the place of the oldest. */
  get full(): boolean {
    return this.size >= this.limit
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
   * What is left of a connection, with its tuple, `rcvNxt`, `sndNxt` and `tsRecent`. No record with its tuple may be there.
   * @param flags - for {@link TW_FLAGS}; @param deadlineMs - no earlier than any other's
   */
  add(tcb: Tcb, flags: number, deadlineMs: number): number {
    while (this.full && this.oldest !== 0) this.remove(this.oldest - 1)
    const at = this.allocate()
    const own = this.words
    own[at + TW_REMOTE] = tcb.remote0
    own[at + TW_REMOTE + 1] = tcb.remote1
    own[at + TW_REMOTE + 2] = tcb.remote2
    own[at + TW_REMOTE + 3] = tcb.remote3
    own[at + TW_LOCAL] = tcb.local0
    own[at + TW_LOCAL + 1] = tcb.local1
    own[at + TW_LOCAL + 2] = tcb.local2
    own[at + TW_LOCAL + 3] = tcb.local3
    own[at + TW_PORTS] = tcb.ports
    own[at + TW_RCV_NXT] = tcb.rcvNxt
    own[at + TW_SND_NXT] = tcb.sndNxt
    own[at + TW_TS_RECENT] = tcb.tsRecent
    own[at + TW_FLAGS] = flags
    this.index.add(own, at / TW_WORDS)
    this.append(at, deadlineMs)
    return at
  }

  /** The waiting begins anew. @param deadlineMs - no earlier than any other's */
  restart(index: number, deadlineMs: number): void {
    this.takeOut(index)
    this.append(index, deadlineMs)
  }

  remove(index: number): void {
    assert(this.isUsed(index), 'a TIME-WAIT record is removed twice')
    this.index.remove(this.words, index / TW_WORDS)
    this.takeOut(index)
    this.words[index + NEWER] = -1
    this.words[index] = this.free
    this.free = index + 1
  }

  /** Removes every record whose deadline has come. @returns how many */
  expire(nowMs: number): number {
    let count = 0
    while (this.oldest !== 0 && ((nowMs - this.words[this.oldest - 1 + TW_DEADLINE]!) | 0) >= 0) {
      this.remove(this.oldest - 1)
      count++
    }
    return count
  }

  /** When to call {@link expire} next; null if nothing waits. */
  pollAt(): number | null {
    return this.oldest === 0 ? null : this.words[this.oldest - 1 + TW_DEADLINE]!
  }

  /** Every record, in no order; `fn` may remove the one that it is given, and must not add. */
  each(fn: (index: number) => void): void {
    this.index.each(fn)
  }

  private isUsed(index: number): boolean {
    return this.words[index + NEWER] !== -1
  }

  private append(at: number, deadlineMs: number): void {
    const own = this.words
    own[at + TW_DEADLINE] = deadlineMs
    own[at + OLDER] = this.newest
    own[at + NEWER] = 0
    if (this.newest === 0) this.oldest = at + 1
    else own[this.newest - 1 + NEWER] = at + 1
    this.newest = at + 1
  }

  private takeOut(at: number): void {
    const own = this.words
    const older = own[at + OLDER]!
    const newer = own[at + NEWER]!
    if (older === 0) this.oldest = newer
    else own[older - 1 + NEWER] = newer
    if (newer === 0) this.newest = older
    else own[newer - 1 + OLDER] = older
  }

  private allocate(): number {
    if (this.free !== 0) {
      const at = this.free - 1
      this.free = this.words[at]!
      return at
    }
    if (this.fresh === this.words.length) {
      const larger = new Int32Array(2 * this.words.length)
      larger.set(this.words)
      this.words = larger
    }
    const at = this.fresh
    this.fresh += TW_WORDS
    return at
  }
}
