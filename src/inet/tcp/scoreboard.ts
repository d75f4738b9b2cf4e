/**
 * What was sent and is not acknowledged: one record for each segment or super-segment, cut only where a SACK, a loss or the
 * congestion window asks for it. Records lie in int32 words, numbered by slot; three orders run through them: by
 * sequence (`order`, so that a SACK edge is found by halving), by time of the last transmission (RFC 8985 §5.2:
 * what is neither SACKed nor waits to be sent again), and the free ones. Sums are kept, so that RFC 6675's pipe costs nothing.
 *
 * A range that is SACKed becomes one record, so work is paid for by what an ACK newly says (CVE-2019-11477, -11478, -11479).
 */
import { assert } from '../../base/assert.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'

const SEQ = 0
const END = 1
const FLAGS = 2
const XMIT = 3
const OLDER = 4
const NEWER = 5
const OFFSET = 6
const SEGMENTS = 7
const MSS = 8
const STRIDE = 9

/** The receiver has it. */
export const SACKED = 0x01
/** Taken for lost. Together with {@link RETRANSMITTED}: and sent again since. */
export const LOST = 0x02
export const RETRANSMITTED = 0x04
/** Was ever sent twice: no RTT sample (Karn). */
export const EVER_RETRANSMITTED = 0x08
/** Its last sequence number is the FIN's. */
export const HAS_FIN = 0x10
const TIMED = 0x20

const CAPACITY_FIRST = 16
/** A pooled board does not stay larger than this. */
const CAPACITY_KEPT = 256

export class Scoreboard {
  private words = new Int32Array(CAPACITY_FIRST * STRIDE)
  private blocks: (Mblk | null)[] = new Array(CAPACITY_FIRST).fill(null)
  private order = new Int32Array(2 * CAPACITY_FIRST)
  private start = 0
  private capacity = CAPACITY_FIRST
  private free = -1
  /** Slots below were handed out since the board was cleared. */
  private fresh = 0
  /** Records. */
  count = 0
  /** Ends of the list by time; -1: empty. */
  oldest = -1
  newest = -1
  sackedBytes = 0
  lostBytes = 0
  retransmittedBytes = 0
  /** Lost and not sent again yet. */
  waitingBytes = 0
  segments = 0
  sackedSegments = 0
  lostSegments = 0
  retransmittedSegments = 0
  /** No record that waits to be sent again begins before this one. Valid while there are any. */
  private waitingFrom = 0

  /** The slot of the `index`th record in sequence. */
  slot(index: number): number {
    return this.order[this.start + index]!
  }

  seq(slot: number): number {
    return this.words[slot * STRIDE + SEQ]!
  }

  end(slot: number): number {
    return this.words[slot * STRIDE + END]!
  }

  flags(slot: number): number {
    return this.words[slot * STRIDE + FLAGS]!
  }

  /** Microseconds of the last transmission. */
  xmitUs(slot: number): number {
    return this.words[slot * STRIDE + XMIT]!
  }

  /** Block that holds the first byte; {@link offset} says where. Null for a FIN alone. */
  block(slot: number): Mblk | null {
    return this.blocks[slot]!
  }

  offset(slot: number): number {
    return this.words[slot * STRIDE + OFFSET]!
  }

  segmentCount(slot: number): number {
    return this.words[slot * STRIDE + SEGMENTS]!
  }

  mss(slot: number): number {
    return this.words[slot * STRIDE + MSS]!
  }

  newer(slot: number): number {
    return this.words[slot * STRIDE + NEWER]!
  }

  bytes(slot: number): number {
    const at = slot * STRIDE
    return (this.words[at + END]! - this.words[at + SEQ]!) | 0
  }

  /** Payload: without the FIN. */
  payloadBytes(slot: number): number {
    return this.bytes(slot) - ((this.flags(slot) & HAS_FIN) !== 0 ? 1 : 0)
  }

  /** Adds what was just sent, at the end of both orders. @returns its slot */
  append(
    seq: number,
    end: number,
    mss: number,
    nowUs: number,
    block: Mblk | null,
    offset: number,
    fin: boolean,
  ): number {
    const slot = this.take()
    const at = slot * STRIDE
    const { words } = this
    const payload = ((end - seq) | 0) - (fin ? 1 : 0)
    const segments = payload <= mss ? 1 : Math.ceil(payload / mss)
    words[at + SEQ] = seq
    words[at + END] = end
    words[at + FLAGS] = fin ? HAS_FIN : 0
    words[at + XMIT] = nowUs
    words[at + OFFSET] = offset
    words[at + SEGMENTS] = segments
    words[at + MSS] = mss
    this.blocks[slot] = block
    this.segments += segments
    this.linkNewest(slot)
    if (this.start + this.count === this.order.length) this.compact()
    this.order[this.start + this.count++] = slot
    return slot
  }

  /** The last record did not leave after all. */
  dropLast(): void {
    const slot = this.order[this.start + this.count - 1]!
    this.segments -= this.words[slot * STRIDE + SEGMENTS]!
    this.unlinkTimed(slot)
    this.release(slot)
    this.count--
  }

  /** The first record is acknowledged. */
  shift(): void {
    const slot = this.order[this.start]!
    this.uncount(slot)
    this.segments -= this.words[slot * STRIDE + SEGMENTS]!
    this.unlinkTimed(slot)
    this.release(slot)
    this.count--
    if (this.count === 0) this.start = 0
    else this.start++
  }

  /** The first record is acknowledged up to `seq`, inside it. */
  trimFirst(seq: number): void {
    const slot = this.order[this.start]!
    const at = slot * STRIDE
    const { words } = this
    const flags = words[at + FLAGS]!
    this.uncount(slot)
    this.advance(slot, (seq - words[at + SEQ]!) | 0)
    words[at + SEQ] = seq
    const left = this.segmentsOf(slot)
    this.segments += left - words[at + SEGMENTS]!
    words[at + SEGMENTS] = left
    words[at + FLAGS] = flags
    this.recount(slot)
  }

  /** Index of the first record that ends after `seq`; `count` if none does. */
  find(seq: number): number {
    const { words, order, start } = this
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >> 1
      if (((words[order[start + middle]! * STRIDE + END]! - seq) | 0) > 0) high = middle
      else low = middle + 1
    }
    return low
  }

  /**
   * Cuts a record in two, both as it was.
   * @param seq - inside it; where a segment began, or the cut makes shorter segments than were sent
   */
  split(index: number, seq: number): void {
    const first = this.slot(index)
    const second = this.take()
    const { words } = this
    const a = first * STRIDE
    const b = second * STRIDE
    const length = (seq - words[a + SEQ]!) | 0
    assert(length > 0 && ((words[a + END]! - seq) | 0) > 0, 'scoreboard: a cut lies inside')
    const flags = words[a + FLAGS]!
    words.copyWithin(b, a, a + STRIDE)
    this.blocks[second] = this.blocks[first]!
    this.uncount(first)
    this.segments -= words[a + SEGMENTS]!
    this.advance(second, length)
    words[a + END] = seq
    words[b + SEQ] = seq
    words[a + FLAGS] = flags & ~HAS_FIN
    words[b + FLAGS] = flags
    words[a + SEGMENTS] = this.segmentsOf(first)
    words[b + SEGMENTS] = this.segmentsOf(second)
    this.segments += words[a + SEGMENTS]! + words[b + SEGMENTS]!
    if ((flags & TIMED) !== 0) this.linkAfter(first, second)
    this.recount(first)
    this.recount(second)
    this.insert(index + 1, second)
  }

  /** SACKs the record; losses and retransmissions are forgotten with it. Join the range afterwards. */
  markSacked(slot: number): void {
    this.uncount(slot)
    this.unlinkTimed(slot)
    const at = slot * STRIDE + FLAGS
    this.words[at] = (this.words[at]! & ~(LOST | RETRANSMITTED)) | SACKED
    this.recount(slot)
  }

  /** Takes the record for lost; whoever marked it sends it again. What was sent again is lost once more. */
  markLost(slot: number): void {
    this.uncount(slot)
    this.unlinkTimed(slot)
    const at = slot * STRIDE
    this.words[at + FLAGS] = (this.words[at + FLAGS]! & ~RETRANSMITTED) | LOST
    const seq = this.words[at + SEQ]!
    if (this.waitingBytes === 0 || ((seq - this.waitingFrom) | 0) < 0) this.waitingFrom = seq
    this.recount(slot)
  }

  /** The record was sent again now. */
  markRetransmitted(slot: number, nowUs: number): void {
    this.uncount(slot)
    this.unlinkTimed(slot)
    const at = slot * STRIDE
    this.words[at + FLAGS]! |= RETRANSMITTED | EVER_RETRANSMITTED
    this.words[at + XMIT] = nowUs
    this.linkNewest(slot)
    this.recount(slot)
  }

  /** Nothing is lost after all (undo), or SACKs do not count any more (reneging): all that had these marks is in flight again. */
  clearMarks(marks: number): void {
    let hint = -1
    for (let i = 0; i < this.count; i++) {
      const slot = this.slot(i)
      const at = slot * STRIDE + FLAGS
      if ((this.words[at]! & marks) === 0) continue
      this.uncount(slot)
      const flags = this.words[at]! & ~marks
      this.words[at] = flags
      if ((flags & (TIMED | SACKED)) === 0 && (flags & (LOST | RETRANSMITTED)) !== LOST) {
        this.linkByTime(slot, hint)
        hint = slot
      }
      this.recount(slot)
    }
  }

  /** Notes that it was sent once more outside of loss recovery (a probe): no RTT sample, and its time is now. */
  touch(slot: number, nowUs: number): void {
    const at = slot * STRIDE
    this.words[at + FLAGS]! |= EVER_RETRANSMITTED
    if ((this.words[at + FLAGS]! & TIMED) === 0) return
    this.unlinkTimed(slot)
    this.words[at + XMIT] = nowUs
    this.linkNewest(slot)
  }

  /** Joins SACKed records from `from` up to `to` (indexes, `to` not included) and their SACKed neighbours. */
  joinSacked(from: number, to: number): void {
    while (from > 0 && (this.flags(this.slot(from - 1)) & SACKED) !== 0) from--
    while (to < this.count && (this.flags(this.slot(to)) & SACKED) !== 0) to++
    if (to - from < 2) return
    const { words } = this
    const a = this.slot(from) * STRIDE
    for (let i = from + 1; i < to; i++) {
      const slot = this.slot(i)
      const b = slot * STRIDE
      words[a + END] = words[b + END]!
      words[a + FLAGS]! |= words[b + FLAGS]!
      words[a + SEGMENTS]! += words[b + SEGMENTS]!
      this.release(slot)
    }
    this.order.copyWithin(this.start + from + 1, this.start + to, this.start + this.count)
    this.count -= to - from - 1
  }

  /** Index of the first record that is lost and not sent again; -1 if none is. */
  nextWaiting(): number {
    if (this.waitingBytes === 0) return -1
    for (let i = this.find(this.waitingFrom); i < this.count; i++) {
      const slot = this.slot(i)
      if ((this.flags(slot) & (LOST | RETRANSMITTED)) !== LOST) continue
      this.waitingFrom = this.seq(slot)
      return i
    }
    assert(false, 'scoreboard: nothing waits')
  }

  /** Forgets everything. */
  clear(): void {
    this.blocks.fill(null)
    if (this.capacity > CAPACITY_KEPT) {
      this.capacity = CAPACITY_FIRST
      this.words = new Int32Array(CAPACITY_FIRST * STRIDE)
      this.blocks = new Array(CAPACITY_FIRST).fill(null)
      this.order = new Int32Array(2 * CAPACITY_FIRST)
    }
    this.start = 0
    this.count = 0
    this.free = -1
    this.fresh = 0
    this.oldest = -1
    this.newest = -1
    this.sackedBytes = 0
    this.lostBytes = 0
    this.retransmittedBytes = 0
    this.waitingBytes = 0
    this.segments = 0
    this.sackedSegments = 0
    this.lostSegments = 0
    this.retransmittedSegments = 0
  }

  // ---- sums: a record is taken out of them before its length or marks change, and put back afterwards

  private uncount(slot: number): void {
    if ((this.flags(slot) & (SACKED | LOST | RETRANSMITTED)) !== 0) this.sum(slot, -1)
  }

  private recount(slot: number): void {
    if ((this.flags(slot) & (SACKED | LOST | RETRANSMITTED)) !== 0) this.sum(slot, 1)
  }

  private sum(slot: number, sign: number): void {
    const flags = this.flags(slot)
    const bytes = sign * this.bytes(slot)
    const segments = sign * this.segmentCount(slot)
    if ((flags & SACKED) !== 0) {
      this.sackedBytes += bytes
      this.sackedSegments += segments
    }
    if ((flags & LOST) !== 0) {
      this.lostBytes += bytes
      this.lostSegments += segments
      if ((flags & RETRANSMITTED) === 0) this.waitingBytes += bytes
    }
    if ((flags & RETRANSMITTED) !== 0) {
      this.retransmittedBytes += bytes
      this.retransmittedSegments += segments
    }
  }

  private segmentsOf(slot: number): number {
    const payload = this.payloadBytes(slot)
    const mss = this.mss(slot)
    return payload <= mss ? 1 : Math.ceil(payload / mss)
  }

  /** Moves the place of the first byte on. */
  private advance(slot: number, length: number): void {
    const at = slot * STRIDE + OFFSET
    let block = this.blocks[slot]!
    let offset = this.words[at]! + length
    while (block !== null && offset >= block.wptr && block.cont !== null) {
      offset += block.cont.rptr - block.wptr
      block = block.cont
    }
    this.blocks[slot] = block
    this.words[at] = offset
  }

  // ---- slots and orders

  private take(): number {
    const slot = this.free
    if (slot >= 0) {
      this.free = this.words[slot * STRIDE + NEWER]!
      return slot
    }
    if (this.fresh === this.capacity) this.grow()
    return this.fresh++
  }

  private release(slot: number): void {
    this.blocks[slot] = null
    this.words[slot * STRIDE + NEWER] = this.free
    this.free = slot
  }

  private grow(): void {
    this.capacity *= 2
    const words = new Int32Array(this.capacity * STRIDE)
    words.set(this.words)
    this.words = words
    for (let i = this.blocks.length; i < this.capacity; i++) this.blocks.push(null)
    const order = new Int32Array(2 * this.capacity)
    order.set(this.order.subarray(this.start, this.start + this.count))
    this.order = order
    this.start = 0
  }

  /** The order's end met the array's: there are never more records than half of it, so this is paid for by as many steps. */
  private compact(): void {
    this.order.copyWithin(0, this.start, this.start + this.count)
    this.start = 0
  }

  private insert(index: number, slot: number): void {
    if (this.start + this.count === this.order.length) this.compact()
    const at = this.start + index
    this.order.copyWithin(at + 1, at, this.start + this.count)
    this.order[at] = slot
    this.count++
  }

  private linkNewest(slot: number): void {
    this.linkAfter(this.newest, slot)
  }

  /** Puts a record behind another one in the order of time; -1: as the oldest. */
  private linkAfter(place: number, slot: number): void {
    const { words } = this
    const at = slot * STRIDE
    const newer = place < 0 ? this.oldest : words[place * STRIDE + NEWER]!
    words[at + FLAGS]! |= TIMED
    words[at + OLDER] = place
    words[at + NEWER] = newer
    if (place < 0) this.oldest = slot
    else words[place * STRIDE + NEWER] = slot
    if (newer < 0) this.newest = slot
    else words[newer * STRIDE + OLDER] = slot
  }

  /** Puts a record that had been taken out back where its time belongs. @param hint - one that is likely older, -1: none */
  private linkByTime(slot: number, hint: number): void {
    const { words } = this
    const xmit = this.xmitUs(slot)
    let place = hint >= 0 && ((this.xmitUs(hint) - xmit) | 0) <= 0 ? hint : -1
    let next = place < 0 ? this.oldest : words[place * STRIDE + NEWER]!
    while (next >= 0 && ((this.xmitUs(next) - xmit) | 0) <= 0) {
      place = next
      next = words[next * STRIDE + NEWER]!
    }
    this.linkAfter(place, slot)
  }

  private unlinkTimed(slot: number): void {
    const { words } = this
    const at = slot * STRIDE
    if ((words[at + FLAGS]! & TIMED) === 0) return
    words[at + FLAGS]! &= ~TIMED
    const older = words[at + OLDER]!
    const newer = words[at + NEWER]!
    if (older < 0) this.oldest = newer
    else words[older * STRIDE + NEWER] = newer
    if (newer < 0) this.newest = older
    else words[newer * STRIDE + OLDER] = older
  }
}
