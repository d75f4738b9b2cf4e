/**
 * Bytes that are made once and sent again and again: every message is another view of the same memory, so a sender of
 * bulk data neither generates nor copies anything.
 */
import { assert } from '../base/assert.ts'
import { allocb, dupb, freemsg } from '../streams/mblk/alloc.ts'
import type { Arena } from '../streams/mblk/arena.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'

/** What one block holds at the most: the largest that the arena has, with room to spare for nobody's headers. */
export const PREPARED_BYTES_MAX = 65_536

export class PreparedBlock {
  readonly bytes: number
  private block: Mblk | null

  private constructor(block: Mblk) {
    this.block = block
    this.bytes = block.wptr - block.rptr
  }

  /**
   * Takes a block of the arena.
   * @param size - bytes, at most {@link PREPARED_BYTES_MAX}
   * @param write - fills `size` bytes from `at` on, once
   * @returns null when the arena has none left
   */
  static make(
    arena: Arena,
    size: number,
    write: (bytes: Uint8Array, at: number, size: number) => void,
  ): PreparedBlock | null {
    assert(size > 0 && size <= PREPARED_BYTES_MAX, 'a prepared block has 1 to 65,536 bytes')
    const block = allocb(arena, size)
    if (block === null) return null
    write(block.dblk.bytes, block.rptr, size)
    block.wptr += size
    return new PreparedBlock(block)
  }

  /**
   * A message of its first `size` bytes.
   * @returns owned; null when too many views are alive
   */
  share(size = this.bytes): Mblk | null {
    const mp = dupb(this.block!)
    if (mp !== null && size < this.bytes) mp.wptr = mp.rptr + size
    return mp
  }

  /** Gives the memory back once no message refers to it any more. Twice is harmless. */
  free(): void {
    if (this.block !== null) freemsg(this.block)
    this.block = null
  }
}
