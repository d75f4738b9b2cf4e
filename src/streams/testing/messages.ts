/** Messages for tests: flat bytes as a chain of any shape, and back. */
import { allocb } from '../mblk/alloc.ts'
import type { Arena } from '../mblk/arena.ts'
import type { BorrowedMblk, UniqueMblk } from '../mblk/mblk.ts'
import { messageBytes } from '../mblk/message.ts'

/**
 * A message with these bytes.
 * @param places - where a new block begins, ascending; a place given twice makes an empty block
 * @param headroom - in front of the data of every block
 */
export function chainOf(
  arena: Arena,
  bytes: Uint8Array,
  places: readonly number[] = [],
  headroom = 0,
): UniqueMblk {
  const ends = [...places, bytes.length]
  let head: UniqueMblk | null = null
  let tail: UniqueMblk | null = null
  let start = 0
  for (const end of ends) {
    const bp = allocb(arena, end - start, headroom)
    if (bp === null) throw new Error('the test ran out of blocks')
    for (let i = start; i < end; i++) bp.dblk.bytes[bp.wptr++] = bytes[i]!
    if (tail === null) head = bp
    else tail.cont = bp
    tail = bp
    start = end
  }
  return head!
}

/** The bytes of a message, flat. */
export function flat(mp: BorrowedMblk): Uint8Array {
  const bytes = new Uint8Array(messageBytes(mp))
  let at = 0
  for (let bp: BorrowedMblk | null = mp; bp !== null; bp = bp.cont)
    for (let i = bp.rptr; i < bp.wptr; i++) bytes[at++] = bp.bytes[i]!
  return bytes
}
