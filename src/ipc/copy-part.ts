/** What a mapped port copies: memory that the other process does not map. */
import { allocb } from '../streams/mblk/alloc.ts'
import { type Arena, SUPER_BLOCK_BYTES } from '../streams/mblk/arena.ts'
import { copyBytes } from '../streams/mblk/copy.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'

/**
 * Copies the front of a block into one of the arena's own.
 * @param bp - borrowed: what was copied is cut off
 * @returns null when no block is left
 */
export function copyPart(arena: Arena, bp: Mblk): Mblk | null {
  const size = Math.min(bp.wptr - bp.rptr, SUPER_BLOCK_BYTES)
  const block = allocb(arena, size)
  if (block === null) return null
  copyBytes(arena, 'ipc', block.dblk.bytes, block.wptr, bp.bytes, bp.rptr, size)
  block.wptr += size
  bp.rptr += size
  return block
}
