/**
 * Received data beyond a gap, in order and without overlaps: ranges sorted by sequence number, each a list of messages. Finding a
 * place takes logarithmic time and moves only small numbers, so that a sender of a thousand gaps costs no more than
 * one of a thousand segments (checklist 3.5-47). Everything here may be thrown away: SACK allows it (RFC 2018 §8).
 */
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { adjmsg, dropEmptyHead, messageBytes } from '../../streams/mblk/message.ts'
import { heldBytes, isLoose } from './condense.ts'

const RANGES_MIN = 16
/** Ranges kept in the order in which they last grew: what fits a SACK option. */
const RECENT_MAX = 4

export class Reassembly {
  /** Ranges. */
  count = 0
  /** Messages in all ranges. */
  messages = 0
  /** Payload bytes in all ranges. */
  bytes = 0
  /** {@link heldBytes} of all messages. */
  held = 0
  /** Messages that hold much more than they need, see `condense.ts`. */
  loose = 0
  /** Slots of the ranges, by sequence number. */
  private order = new Int32Array(RANGES_MIN)
  private starts = new Int32Array(RANGES_MIN)
  private ends = new Int32Array(RANGES_MIN)
  private readonly firsts: (Mblk | null)[] = new Array<Mblk | null>(RANGES_MIN).fill(null)
  private readonly lasts: (Mblk | null)[] = new Array<Mblk | null>(RANGES_MIN).fill(null)
  /** Slots that are free, a stack. */
  private free = new Int32Array(RANGES_MIN)
  private freeCount = 0
  private readonly recent = new Int32Array(RECENT_MAX)
  private recentCount = 0
  /** What the last {@link insert} found to be there already; empty if the edges are equal. */
  duplicateLeft = 0
  duplicateRight = 0
  /** Next in the pool. */
  next: Reassembly | null = null

  constructor() {
    for (let i = RANGES_MIN - 1; i >= 0; i--) this.free[this.freeCount++] = i
  }

  /** Left edge of the range at a place, 0 being the lowest. */
  startAt(place: number): number {
    return this.starts[this.order[place]!]!
  }

  endAt(place: number): number {
    return this.ends[this.order[place]!]!
  }

  /** One past the highest byte held; only if there is a range. */
  get highest(): number {
    return this.endAt(this.count - 1)
  }

  /**
   * Puts a segment's data where it belongs. What is there already is kept, save ranges that lie within the new data.
   * @param mp - consumed
   * @param seq - of its first byte, @param length - its bytes, more than 0
   * @returns bytes by which the memory held grew, negative if more went than came
   */
  insert(mp: Mblk, seq: number, length: number): number {
    this.duplicateLeft = seq
    this.duplicateRight = seq
    const before = this.held
    const place = this.placeOf(seq)
    if (place < this.count && ((this.startAt(place) - seq) | 0) <= 0) {
      const known = (this.endAt(place) - seq) | 0
      if (known >= length) {
        this.duplicateRight = (seq + length) | 0
        this.touch(this.order[place]!)
        freemsg(mp)
        return 0
      }
      if (known > 0) {
        this.duplicateRight = (seq + known) | 0
        adjmsg(mp, known)
        seq = (seq + known) | 0
        length -= known
      }
      this.append(place, dropEmptyHead(mp), seq, length)
      return this.held - before
    }
    const kept = this.makeRoom(place, seq, length)
    if (kept < length) adjmsg(mp, kept - length)
    length = kept
    const end = (seq + length) | 0
    if (place < this.count && this.startAt(place) === end) {
      const slot = this.order[place]!
      const first = this.firsts[slot]!
      mp.next = first
      mp.prev = null
      first.prev = mp
      this.firsts[slot] = mp
      this.starts[slot] = seq
      this.touch(slot)
    } else this.addRange(place, mp, seq, end)
    this.counted(mp, length)
    return this.held - before
  }

  /**
   * Takes away what lies within `seq` to `seq + length`.
   * @param place - of the first range that ends behind `seq`; it begins behind it as well
   * @returns how much of `length` remains: less if the last range reached overlaps its end
   */
  makeRoom(place: number, seq: number, length: number): number {
    while (place < this.count) {
      const ahead = (this.startAt(place) - seq) | 0
      if (ahead >= length) return length
      const known = (this.endAt(place) - seq) | 0
      if (this.duplicateLeft === this.duplicateRight) {
        this.duplicateLeft = (seq + ahead) | 0
        this.duplicateRight = (seq + Math.min(known, length)) | 0
      }
      if (known >= length) return ahead
      this.dropRange(place)
    }
    return length
  }

  /**
   * Takes the lowest range out, if it begins at `seq`.
   * @returns its messages, linked by `next`, the caller's from now on; {@link takenEnd} says how far they reach
   */
  takeAt(seq: number): Mblk | null {
    if (this.count === 0 || this.startAt(0) !== seq) return null
    const slot = this.order[0]!
    const first = this.firsts[slot]!
    this.takenEnd = this.ends[slot]!
    this.takenLast = this.lasts[slot]!
    for (let mp: Mblk | null = first; mp !== null; mp = mp.next) this.uncounted(mp)
    this.forgetSlot(0)
    return first
  }

  takenEnd = 0
  takenLast: Mblk | null = null

  /** Throws the highest message away. @returns bytes of memory that this gave back, 0 if there was none */
  pruneHighest(): number {
    if (this.count === 0) return 0
    const place = this.count - 1
    const slot = this.order[place]!
    const mp = this.lasts[slot]!
    const before = this.held
    const length = this.uncounted(mp)
    const previous = mp.prev
    if (previous === null) this.forgetSlot(place)
    else {
      previous.next = null
      this.lasts[slot] = previous
      this.ends[slot] = (this.ends[slot]! - length) | 0
    }
    discard(mp)
    return before - this.held
  }

  clear(): void {
    while (this.count > 0) this.dropRange(this.count - 1)
  }

  /** The ranges that grew last, newest first. @returns how many edges pairs were written from `at` on, at most `room` */
  newest(out: Int32Array, at: number, room: number): number {
    const count = Math.min(room, this.recentCount)
    for (let i = 0; i < count; i++) {
      const slot = this.recent[i]!
      out[at + 2 * i] = this.starts[slot]!
      out[at + 2 * i + 1] = this.ends[slot]!
    }
    return count
  }

  /** The range that holds `seq` within it, or -1. */
  rangeAround(seq: number): number {
    const place = this.placeOf(seq)
    return place < this.count && ((this.startAt(place) - seq) | 0) <= 0 && this.endAt(place) !== seq
      ? place
      : -1
  }

  /**
   * Calls for every message, lowest first; what it returns, of the same bytes, takes the message's place.
   * @param most - it ends when so many were replaced; @returns how many of these remain
   */
  replaceEach(replace: (mp: Mblk) => Mblk, most: number): number {
    for (let place = 0; place < this.count; place++) {
      const slot = this.order[place]!
      for (let mp: Mblk | null = this.firsts[slot]!; mp !== null; mp = mp.next) {
        if (most === 0) return 0
        const { next, prev } = mp
        const before = heldBytes(mp)
        const other = replace(mp)
        if (other === mp) continue
        most--
        const size = messageBytes(other)
        const after = heldBytes(other)
        this.held += after - before
        this.loose += (isLoose(size, after) ? 1 : 0) - (isLoose(size, before) ? 1 : 0)
        other.next = next
        other.prev = prev
        if (prev === null) this.firsts[slot] = other
        else prev.next = other
        if (next === null) this.lasts[slot] = other
        else next.prev = other
        mp = other
      }
    }
    return most
  }

  /** The first place whose range ends at `seq` or behind it. */
  private placeOf(seq: number): number {
    const { order, ends } = this
    let low = 0
    let high = this.count
    // Most often the data goes on where the highest range ends.
    if (high > 0 && ((ends[order[high - 1]!]! - seq) | 0) <= 0)
      return ends[order[high - 1]!] === seq ? high - 1 : high
    while (low < high) {
      const middle = (low + high) >> 1
      if (((ends[order[middle]!]! - seq) | 0) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Data that goes on where a range ends; it may reach the next one or cover it. */
  private append(place: number, mp: Mblk, seq: number, length: number): void {
    const kept = this.makeRoom(place + 1, seq, length)
    if (kept < length) adjmsg(mp, kept - length)
    const slot = this.order[place]!
    const last = this.lasts[slot]!
    last.next = mp
    mp.prev = last
    mp.next = null
    this.lasts[slot] = mp
    this.ends[slot] = (seq + kept) | 0
    this.counted(mp, kept)
    this.touch(slot)
    if (place + 1 < this.count && this.startAt(place + 1) === this.ends[slot]) this.join(place)
  }

  /** Two ranges without a gap become one. */
  private join(place: number): void {
    const slot = this.order[place]!
    const after = this.order[place + 1]!
    const first = this.firsts[after]!
    const last = this.lasts[slot]!
    last.next = first
    first.prev = last
    this.lasts[slot] = this.lasts[after]!
    this.ends[slot] = this.ends[after]!
    this.forgetSlot(place + 1)
  }

  private addRange(place: number, mp: Mblk, seq: number, end: number): void {
    if (this.freeCount === 0) this.grow()
    const slot = this.free[--this.freeCount]!
    this.order.copyWithin(place + 1, place, this.count)
    this.order[place] = slot
    this.count++
    this.starts[slot] = seq
    this.ends[slot] = end
    this.firsts[slot] = mp
    this.lasts[slot] = mp
    mp.next = null
    mp.prev = null
    this.touch(slot)
  }

  private counted(mp: Mblk, length: number): void {
    this.messages++
    this.bytes += length
    const held = heldBytes(mp)
    this.held += held
    if (isLoose(length, held)) this.loose++
  }

  private uncounted(mp: Mblk): number {
    const length = messageBytes(mp)
    this.messages--
    this.bytes -= length
    const held = heldBytes(mp)
    this.held -= held
    if (isLoose(length, held)) this.loose--
    return length
  }

  private dropRange(place: number): void {
    let mp = this.firsts[this.order[place]!]!
    for (;;) {
      const { next } = mp
      this.uncounted(mp)
      discard(mp)
      if (next === null) break
      mp = next
    }
    this.forgetSlot(place)
  }

  private forgetSlot(place: number): void {
    const slot = this.order[place]!
    this.order.copyWithin(place, place + 1, this.count)
    this.count--
    this.firsts[slot] = null
    this.lasts[slot] = null
    this.free[this.freeCount++] = slot
    let kept = 0
    for (let i = 0; i < this.recentCount; i++) {
      if (this.recent[i] !== slot) this.recent[kept++] = this.recent[i]!
    }
    this.recentCount = kept
  }

  /** Brings a range to the front of those that grew last. */
  private touch(slot: number): void {
    const { recent } = this
    let i = 0
    while (i < this.recentCount && recent[i] !== slot) i++
    if (i === this.recentCount && i < RECENT_MAX) this.recentCount++
    for (let j = Math.min(i, RECENT_MAX - 1); j > 0; j--) recent[j] = recent[j - 1]!
    recent[0] = slot
  }

  /** Twice the slots. Their number is bounded by the messages that a connection may hold here. */
  private grow(): void {
    const old = this.starts.length
    this.order = enlarged(this.order)
    this.starts = enlarged(this.starts)
    this.ends = enlarged(this.ends)
    this.free = enlarged(this.free)
    for (let slot = 2 * old - 1; slot >= old; slot--) {
      this.firsts[slot] = null
      this.lasts[slot] = null
      this.free[this.freeCount++] = slot
    }
  }
}

function discard(mp: Mblk): void {
  mp.next = null
  mp.prev = null
  freemsg(mp)
}

function enlarged(old: Int32Array): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(2 * old.length)
  grown.set(old)
  return grown
}
