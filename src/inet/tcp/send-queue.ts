/**
 * Bytes from the first that is not acknowledged to the last that the program gave, as the blocks it gave them in. A segment's
 * payload is views of them, sent again from the same bytes: nothing is copied. Only storms of small writes are: they
 * are gathered in blocks of our own, so that memory stays in proportion to the bytes (counted as `stack`).
 */
import { allocb, dupb, freemsg } from '../../streams/mblk/alloc.ts'
import { type Arena, FRAME_BLOCK_BYTES } from '../../streams/mblk/arena.ts'
import { copyBytes } from '../../streams/mblk/copy.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { M_DATA } from '../../streams/mblk/types.ts'

/** Blocks of payload in one segment: a device takes so many pieces at once, headers apart. */
export const SEGMENT_BLOCKS_MAX = 48
/** So many blocks may wait as they came, however little they hold. */
const LOOSE_BLOCKS = 16
/** A block is copied together with others if it holds no more than this, or a small part of its memory. */
const SMALL_BYTES = 512
const SMALL_PART = 8

/** What a block weighs in the stack's memory budget; memory that is not the arena's is its owner's. */
const weight = (mp: Mblk): number => (mp.dblk.sizeClass === null ? 0 : mp.dblk.sizeClass.blockBytes)

export class SendQueue {
  head: Mblk | null = null
  private tail: Mblk | null = null
  /** Sequence number of the head's first byte; one past the last byte. */
  headSeq = 0
  endSeq = 0
  blocks = 0
  /** Arena bytes of all blocks. */
  weight = 0
  /** Where the next new byte lies: a place in `cursor`, possibly its end. Null while nothing was queued. */
  cursor: Mblk | null = null
  cursorOffset = 0
  /** The tail is a block of our own, with room. */
  private gathering = false
  /** Blocks whose bytes were copied, to be freed by {@link freeSpent}. */
  private spent: Mblk | null = null
  /** After {@link views}: the place behind the last byte. */
  private placeBlock: Mblk | null = null
  private placeOffset = 0

  get bytes(): number {
    return (this.endSeq - this.headSeq) | 0
  }

  begin(seq: number): void {
    this.headSeq = seq
    this.endSeq = seq
  }

  /**
   * Call {@link freeSpent} when what it returns is counted.
   * @param mp - consumed: data of any shape
   * @returns arena bytes that the queue holds more than before
   */
  append(arena: Arena, mp: Mblk): number {
    const before = this.weight
    for (let bp: Mblk | null = mp; bp !== null; ) {
      const next: Mblk | null = bp.cont
      const length = bp.wptr - bp.rptr
      bp.cont = null
      if (length === 0 || bp.type !== M_DATA) this.spend(bp)
      else if (this.mayGather && isLoose(bp, length) && this.gather(arena, bp, length)) this.spend(bp)
      else this.link(bp, length)
      bp = next
    }
    return this.weight - before
  }

  /** A small block behind a large one stays: a stream of messages with short ends is no storm, and their memory is in proportion. */
  private get mayGather(): boolean {
    const { tail } = this
    if (this.blocks < LOOSE_BLOCKS || tail === null) return false
    return this.gathering || isLoose(tail, tail.wptr - tail.rptr)
  }

  private spend(bp: Mblk): void {
    bp.cont = this.spent
    this.spent = bp
  }

  /** Frees the blocks whose bytes the last {@link append} copied. Last of all: a block's free routine may call back, and send more. */
  freeSpent(): void {
    const { spent } = this
    if (spent === null) return
    this.spent = null
    freemsg(spent)
  }

  private link(bp: Mblk, length: number): void {
    bp.at = null
    bp.next = null
    if (this.tail === null) this.head = bp
    else this.tail.cont = bp
    if (this.cursor === null) {
      this.cursor = bp
      this.cursorOffset = bp.rptr
    }
    this.tail = bp
    this.gathering = false
    this.endSeq = (this.endSeq + length) | 0
    this.weight += weight(bp)
    this.blocks++
  }

  /** Copies a block's bytes behind the tail. @returns false if there is no memory for it */
  private gather(arena: Arena, bp: Mblk, length: number): boolean {
    const tail = this.tail!
    if (!this.gathering || tail.dblk.lim - tail.wptr < length) {
      const fresh = allocb(arena, Math.max(FRAME_BLOCK_BYTES, length))
      if (fresh === null) return false
      copyBytes(arena, 'stack', fresh.dblk.bytes, fresh.rptr, bp.bytes, bp.rptr, length)
      fresh.wptr += length
      this.link(fresh, length)
      this.gathering = true
      return true
    }
    // Views of the tail that are in flight end at their own `wptr`: nobody looks at what lies behind.
    copyBytes(arena, 'stack', tail.dblk.bytes, tail.wptr, bp.bytes, bp.rptr, length)
    tail.wptr += length
    this.endSeq = (this.endSeq + length) | 0
    return true
  }

  /**
   * How many of `want` bytes from a place one segment can take.
   * @param block - null counts as nothing
   */
  reach(block: Mblk | null, offset: number, want: number): number {
    let got = 0
    let bp = block
    for (let i = 0; i < SEGMENT_BLOCKS_MAX && bp !== null; ) {
      const have = bp.wptr - offset
      if (have > 0) {
        got += have
        if (got >= want) return want
        i++
      }
      bp = bp.cont
      if (bp !== null) offset = bp.rptr
    }
    return got
  }

  /** Views of `length` bytes from a place. @returns null if no view is left: nothing is held */
  views(block: Mblk | null, offset: number, length: number): Mblk | null {
    let first: Mblk | null = null
    let last: Mblk | null = null
    let bp = block
    while (length > 0) {
      const have = bp!.wptr - offset
      if (have > 0) {
        const view = dupb(bp!)
        if (view === null) {
          if (first !== null) freemsg(first)
          return null
        }
        const part = Math.min(have, length)
        view.rptr = offset
        view.wptr = offset + part
        view.offload = 0
        if (last === null) first = view
        else last.cont = view
        last = view
        length -= part
        offset += part
        if (length === 0) break
      }
      bp = bp!.cont
      offset = bp!.rptr
    }
    this.placeBlock = bp
    this.placeOffset = offset
    return first
  }

  /** Before new bytes are sent: a place at the end of a block is the next one's beginning, since the block may go first. */
  settleCursor(): void {
    const bp = this.cursor
    if (bp === null || bp.cont === null || this.cursorOffset < bp.wptr) return
    this.cursor = bp.cont
    this.cursorOffset = bp.cont.rptr
  }

  /** The bytes of the last {@link views} are no longer new. */
  moveCursor(): void {
    this.cursor = this.placeBlock
    this.cursorOffset = this.placeOffset
  }

  /**
   * Everything before `seq` is acknowledged.
   * @returns the blocks that nothing refers to any more, to be freed when all is consistent: a block's free routine may call back
   */
  acknowledge(seq: number): Mblk | null {
    const first = this.head
    let last: Mblk | null = null
    let bp = first
    let left = (seq - this.headSeq) | 0
    while (bp !== null) {
      const have = bp.wptr - bp.rptr
      if (have > left) {
        bp.rptr += left
        break
      }
      left -= have
      this.blocks--
      this.weight -= weight(bp)
      last = bp
      bp = bp.cont
    }
    this.headSeq = seq
    if (last === null) return null
    last.cont = null
    this.head = bp
    if (bp === null) {
      this.tail = null
      this.cursor = null
      this.gathering = false
    } else if (this.cursor === last) {
      // New bytes begin where the acknowledged block ended.
      this.cursor = bp
      this.cursorOffset = bp.rptr
    }
    return first
  }

  /** @returns arena bytes that were held */
  clear(): number {
    const { head, weight: held } = this
    this.head = null
    this.tail = null
    this.cursor = null
    this.gathering = false
    this.blocks = 0
    this.weight = 0
    this.placeBlock = null
    if (head !== null) freemsg(head)
    return held
  }
}

function isLoose(bp: Mblk, length: number): boolean {
  return (
    length <= SMALL_BYTES || (bp.dblk.sizeClass !== null && length * SMALL_PART <= bp.dblk.lim - bp.dblk.base)
  )
}
