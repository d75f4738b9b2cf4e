/**
 * Frames out of a byte stream that was read into large blocks. A body travels on as a view of the block that it was read into;
 * one that fits a small block is copied there, so that it does not hold a large one for as long as a program keeps it.
 */
import { allocb, dupb, freemsg } from '../streams/mblk/alloc.ts'
import { type Arena, FRAME_BLOCK_BYTES, HEADROOM_BYTES } from '../streams/mblk/arena.ts'
import { copyBytes } from '../streams/mblk/copy.ts'
import type { Mblk, UniqueMblk } from '../streams/mblk/mblk.ts'
import { BODY_BYTES_MAX, DATA, DATAGRAM, HEADER_BYTES, TEXT_BYTES_MAX } from './protocol.ts'

const SMALL_BYTES = FRAME_BLOCK_BYTES - HEADROOM_BYTES

/** @returns false if nothing more is to be read: the channel ended */
export type TakeFrame = (stream: number, kind: number, detail: number, mp: Mblk | null) => boolean

export class FrameReader {
  private readonly arena: Arena
  private readonly take: TakeFrame
  private readonly header = new Int32Array(HEADER_BYTES / 4)
  private readonly headerBytes = new Uint8Array(this.header.buffer)
  /** Bytes of the header that came. */
  private have = 0
  /** Bytes of the body that are still to come. */
  private need = 0
  /** What came of the body. */
  private body: Mblk | null = null
  private last: Mblk | null = null
  /** The body is copied: its own block. */
  private own: UniqueMblk | null = null

  constructor(arena: Arena, take: TakeFrame) {
    this.arena = arena
    this.take = take
  }

  /**
   * Goes on with bytes `at` to `end` of a block.
   * @returns false if the bytes are no frames, no view was left, or the channel ended
   */
  read(block: UniqueMblk, at: number, end: number): boolean {
    const { bytes } = block
    while (at < end) {
      while (this.have < HEADER_BYTES && at < end) this.headerBytes[this.have++] = bytes[at++]!
      if (this.have < HEADER_BYTES) return true
      if (this.need === 0 && this.body === null && !this.begin()) return false
      const part = Math.min(this.need, end - at)
      if (part > 0 && !this.append(block, at, part)) return false
      at += part
      this.need -= part
      if (this.need === 0 && !this.deliver()) return false
    }
    return true
  }

  private begin(): boolean {
    const length = this.header[2]!
    const kind = this.header[1]
    const max = kind === DATA || kind === DATAGRAM ? BODY_BYTES_MAX : TEXT_BYTES_MAX
    if (length < 0 || length > max) return false
    this.need = length
    if (length === 0 || length > SMALL_BYTES) return true
    // Without a small block the large one serves.
    this.own = allocb(this.arena, length, HEADROOM_BYTES)
    this.body = this.own
    return true
  }

  private append(block: UniqueMblk, at: number, part: number): boolean {
    const { own } = this
    if (own !== null) {
      copyBytes(this.arena, 'ipc', own.dblk.bytes, own.wptr, block.bytes, at, part)
      own.wptr += part
      return true
    }
    const { last } = this
    // Bytes that come one by one take no view each: views are the whole stack's.
    if (last !== null && last.dblk === block.dblk && last.wptr === at) {
      last.wptr += part
      return true
    }
    const view = dupb(block)
    if (view === null) return false
    view.rptr = at
    view.wptr = at + part
    if (last === null) this.body = view
    else last.cont = view
    this.last = view
    return true
  }

  private deliver(): boolean {
    const { header, body } = this
    this.have = 0
    this.body = this.last = this.own = null
    return this.take(header[0]!, header[1]!, header[3]!, body)
  }

  /** Frees what came of a frame. */
  clear(): void {
    if (this.body !== null) freemsg(this.body)
    this.body = this.last = this.own = null
    this.have = this.need = 0
  }
}
