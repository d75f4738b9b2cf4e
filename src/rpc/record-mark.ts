/**
 * Record marking (RFC 5531 §11): where messages begin and end on a byte stream. Each fragment has a word in front, its
 * length with the highest bit set on the last of a record.
 *
 * Nothing is joined: a record comes out as the blocks it came in, less the marks. One exception keeps memory bounded by
 * the record's size, whatever a peer does: pieces that hold far more memory than they have bytes may together hold
 * {@link RecordSplitter.looseMax} for the record that is not complete yet; those beyond are copied (at the place `stack`).
 */
import { assert } from '../base/assert.ts'
import { allocb, dupb, freeb, freemsg } from '../streams/mblk/alloc.ts'
import { type Arena, FRAME_BLOCK_BYTES, HEADER_BLOCK_BYTES } from '../streams/mblk/arena.ts'
import { copyBytes } from '../streams/mblk/copy.ts'
import type { Mblk, UniqueMblk } from '../streams/mblk/mblk.ts'
import { linkb, messageBytes, prepend } from '../streams/mblk/message.ts'

export const MARK_BYTES = 4
const LAST_FRAGMENT = 0x8000_0000
const LENGTH_MASK = 0x7fff_ffff
/** A piece is loose if its block is at least so many times as large. */
const LOOSE_RATIO = 4
/** What loose pieces of one unfinished record may hold in any case. */
export const LOOSE_BYTES = 256 * 1024
/** The same where there is memory for it: as many as come while a sender's congestion window grows, which may take all of a record. */
export const LOOSE_BYTES_AMPLE = 4 * 1024 * 1024

/**
 * Small pieces of an unfinished record that may be memory of others', as the kernel's sockets bring it: of such blocks only so many may be
 * alive, of all connections together, however small they are.
 */
export const FOREIGN_PIECES = 8

/** Why a stream cannot be read on; names of counters. The connection is to be closed. */
export const RECORD_FAULTS = [
  /** More bytes are announced than a record may have. */
  'record-long',
  /** More fragments than a record may have. */
  'record-fragments',
  /** A fragment without bytes that is not the end of a record with some: it would never end. */
  'record-empty',
  /** No view or block is left to go on with. */
  'record-no-buffers',
  /** Unfinished records of all connections hold as much memory as they may: this one, which asked for more, goes. */
  'record-memory',
] as const

export type RecordFault = (typeof RECORD_FAULTS)[number]

export interface RecordLimits {
  /** Bytes of a record without its marks, 4 MiB by default. */
  readonly maxRecordBytes?: number
  /** Fragments of a record, 4,096 by default: old C peers send some 4,000 bytes in each. */
  readonly maxFragments?: number
}

/** The reading end of one connection: {@link push} what came, then {@link next} until it gives none. */
export class RecordSplitter {
  /** Why nothing more can be read; null as long as it can. */
  fault: RecordFault | null = null
  /** Records given, and fragments seen. */
  records = 0
  fragments = 0
  readonly limits: Required<RecordLimits>
  /** What loose pieces of the record that is not complete may hold; the caller's, who knows of the others. */
  looseMax = LOOSE_BYTES
  private readonly maxRecordBytes: number
  private readonly maxFragments: number
  /** What came and was not looked at yet. */
  private input: Mblk | null = null
  /** The record in the making. */
  private head: Mblk | null = null
  private tail: Mblk | null = null
  private recordBytes = 0
  private recordFragments = 0
  private looseBytes = 0
  /** Of blocks that pieces were copied into, and small pieces of foreign memory that were not. */
  private ownBytes = 0
  private foreignPieces = 0
  /** The tail is a block of our own, with room behind `wptr`. */
  private tailIsOurs = false
  private mark = 0
  private markBytes = 0
  private fragmentLeft = 0
  private isLast = false

  constructor(limits: RecordLimits = {}) {
    this.maxRecordBytes = limits.maxRecordBytes ?? 4 * 1024 * 1024
    this.maxFragments = limits.maxFragments ?? 4_096
    this.limits = { maxRecordBytes: this.maxRecordBytes, maxFragments: this.maxFragments }
  }

  /** @param mp - consumed: the next bytes of the stream, any chain; freed at once after a fault */
  push(mp: Mblk): void {
    if (this.fault !== null) freemsg(mp)
    else if (this.input === null) this.input = mp
    else linkb(this.input, mp)
  }

  /** @returns an owned record without its marks, of one byte at least; null if none is complete, or on a {@link fault} */
  next(): Mblk | null {
    for (;;) {
      const bp = this.input
      if (bp === null) return null
      if (bp.rptr === bp.wptr) this.dropBlock(bp)
      else if (this.fragmentLeft > 0) {
        if (!this.takePiece(bp)) return this.fail('record-no-buffers')
        if (this.fragmentLeft === 0 && this.isLast) return this.complete()
      } else {
        if (!this.readMark(bp)) continue
        const fault = this.beginFragment()
        if (fault !== null) return this.fail(fault)
        if (this.fragmentLeft === 0) return this.complete()
      }
    }
  }

  /** Whether the stream is between two records: an end here loses nothing. */
  get isBetween(): boolean {
    return this.input === null && this.markBytes === 0 && this.recordFragments === 0
  }

  /** Memory that the unfinished record holds, in bytes. */
  get held(): number {
    return Math.max(this.looseBytes + this.ownBytes, this.recordBytes)
  }

  /** Gives up: for who has a bound of its own. */
  stop(fault: RecordFault): void {
    this.fail(fault)
  }

  /** Frees what is held; nothing comes out any more. */
  close(): void {
    if (this.input !== null) freemsg(this.input)
    if (this.head !== null) freemsg(this.head)
    this.input = null
    this.resetRecord()
  }

  /** Takes what the first block has of a mark. @returns whether that completes it */
  private readMark(bp: Mblk): boolean {
    const { bytes, rptr } = bp
    if (this.markBytes === 0 && bp.wptr - rptr >= MARK_BYTES) {
      this.mark = (bytes[rptr]! << 24) | (bytes[rptr + 1]! << 16) | (bytes[rptr + 2]! << 8) | bytes[rptr + 3]!
      bp.rptr = rptr + MARK_BYTES
      return true
    }
    this.mark = (this.mark << 8) | bytes[rptr]!
    bp.rptr = rptr + 1
    return ++this.markBytes === MARK_BYTES
  }

  private beginFragment(): RecordFault | null {
    const length = this.mark & LENGTH_MASK
    this.isLast = this.mark < 0
    this.mark = 0
    this.markBytes = 0
    this.fragments++
    if (++this.recordFragments > this.maxFragments) return 'record-fragments'
    if (length > this.maxRecordBytes - this.recordBytes) return 'record-long'
    // Senders that flush when their buffer is full end a record with a fragment of nothing; that is the only good one.
    if (length === 0 && !(this.isLast && this.recordBytes > 0)) return 'record-empty'
    this.fragmentLeft = length
    return null
  }

  /** Moves what the first block has of the fragment over to the record. @returns false if there is no memory for it */
  private takePiece(bp: Mblk): boolean {
    const have = bp.wptr - bp.rptr
    const part = Math.min(have, this.fragmentLeft)
    if (this.isLoose(bp, part)) {
      if (!this.copyPiece(bp, part)) return false
    } else if (part < have) {
      const view = dupb(bp)
      if (view === null) return false
      view.wptr = view.rptr + part
      bp.rptr += part
      this.append(view)
      this.tailIsOurs = false
    } else {
      this.input = bp.cont
      bp.cont = null
      bp.at = null
      this.append(bp)
      this.tailIsOurs = false
    }
    this.fragmentLeft -= part
    this.recordBytes += part
    return true
  }

  /** Whether a piece holds so much that it is to be copied. One that completes its record is not: it is gone at once. */
  private isLoose(bp: Mblk, part: number): boolean {
    const { sizeClass } = bp.dblk
    const blockBytes = sizeClass === null ? FRAME_BLOCK_BYTES : sizeClass.blockBytes
    if (part * LOOSE_RATIO > blockBytes) return false
    if (this.isLast && part === this.fragmentLeft) return false
    if (sizeClass === null) return ++this.foreignPieces > FOREIGN_PIECES
    if (this.looseBytes + blockBytes > this.looseMax) return true
    this.looseBytes += blockBytes
    return false
  }

  private copyPiece(bp: Mblk, part: number): boolean {
    const { arena } = bp.dblk
    while (part > 0) {
      if (!this.tailIsOurs || this.tail!.wptr === this.tail!.dblk.lim) {
        const block = allocb(arena, this.ownBytes === 0 ? HEADER_BLOCK_BYTES : FRAME_BLOCK_BYTES)
        if (block === null) return false
        this.ownBytes += block.dblk.lim - block.dblk.base
        this.append(block)
        this.tailIsOurs = true
      }
      const { dblk, wptr } = this.tail!
      const size = Math.min(part, dblk.lim - wptr)
      copyBytes(arena, 'stack', dblk.bytes, wptr, bp.bytes, bp.rptr, size)
      this.tail!.wptr = wptr + size
      bp.rptr += size
      part -= size
    }
    return true
  }

  private append(bp: Mblk): void {
    if (this.tail === null) this.head = bp
    else this.tail.cont = bp
    this.tail = bp
  }

  private dropBlock(bp: Mblk): void {
    this.input = bp.cont
    freeb(bp)
  }

  private complete(): Mblk {
    const record = this.head!
    this.records++
    this.resetRecord()
    return record
  }

  private resetRecord(): void {
    this.head = null
    this.tail = null
    this.recordBytes = 0
    this.recordFragments = 0
    this.looseBytes = 0
    this.ownBytes = 0
    this.foreignPieces = 0
    this.tailIsOurs = false
    this.fragmentLeft = 0
    this.mark = 0
    this.markBytes = 0
  }

  private fail(fault: RecordFault): null {
    this.fault = fault
    this.close()
    return null
  }
}

/**
 * A message as a record of one fragment: four bytes in front, in place where there is headroom.
 * @param mp - consumed; 1 to 2^31-1 bytes
 * @returns an owned chain; null when no block is left (`mp` is freed)
 */
export function markRecord(mp: Mblk): Mblk | null {
  const size = messageBytes(mp)
  assert(size > 0 && size <= LENGTH_MASK, 'a record has 1 to 2^31-1 bytes')
  const marked = prepend(mp, MARK_BYTES)
  if (marked !== null) putMark(marked, marked.rptr, LAST_FRAGMENT | size)
  return marked
}

/**
 * A message as a record of several fragments, for peers that take no large ones.
 * @param mp - consumed; one byte at least
 * @param fragmentBytes - the most that a fragment has
 * @returns an owned chain; null when no block or view is left (`mp` is freed)
 */
export function markFragments(mp: Mblk, fragmentBytes: number): Mblk | null {
  assert(fragmentBytes > 0 && fragmentBytes <= LENGTH_MASK, 'a fragment has 1 to 2^31-1 bytes')
  let left = messageBytes(mp)
  if (left <= fragmentBytes) return markRecord(mp)
  const { arena } = mp.dblk
  const head = prepend(mp, MARK_BYTES)
  if (head === null) return null
  putMark(head, head.rptr, fragmentBytes)
  let bp = cut(head, MARK_BYTES + fragmentBytes)
  for (left -= fragmentBytes; bp !== null; left -= fragmentBytes) {
    const size = Math.min(left, fragmentBytes)
    const mark = markBlock(arena, left > size ? size : LAST_FRAGMENT | size)
    if (mark === null) break
    mark.cont = bp.cont
    bp.cont = mark
    if (left === size) return head
    bp = cut(mark, MARK_BYTES + size)
  }
  freemsg(head)
  return null
}

/**
 * Makes a block boundary behind `size` bytes of a longer message.
 * @returns the block in front of it, or null when no view is left
 */
function cut(mp: Mblk, size: number): Mblk | null {
  let bp = mp
  while (size > bp.wptr - bp.rptr) {
    size -= bp.wptr - bp.rptr
    bp = bp.cont!
  }
  if (size === bp.wptr - bp.rptr) return bp
  const behind = dupb(bp)
  if (behind === null) return null
  behind.rptr += size
  behind.cont = bp.cont
  bp.wptr = bp.rptr + size
  bp.cont = behind
  return bp
}

function markBlock(arena: Arena, word: number): UniqueMblk | null {
  const mp = allocb(arena, MARK_BYTES)
  if (mp === null) return null
  mp.wptr += MARK_BYTES
  putMark(mp, mp.rptr, word)
  return mp
}

/** Writes the mark of a record of one fragment. */
export function putRecordMark(mp: UniqueMblk, at: number, size: number): void {
  putMark(mp, at, LAST_FRAGMENT | size)
}

function putMark(mp: UniqueMblk, at: number, word: number): void {
  const { bytes } = mp.dblk
  bytes[at] = word >>> 24
  bytes[at + 1] = word >>> 16
  bytes[at + 2] = word >>> 8
  bytes[at + 3] = word
}
