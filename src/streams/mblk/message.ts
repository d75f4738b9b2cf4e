/** Shaping messages without touching bytes: linkb(9F), unlinkb(9F), rmvb(9F), adjmsg(9F), msgdsize(9F), and prepending. */
import { allocb, copyHead, freeb, freemsg } from './alloc.ts'
import { HEADROOM_BYTES } from './arena.ts'
import type { BorrowedMblk, Mblk, UniqueMblk } from './mblk.ts'
import { M_DATA } from './types.ts'

/**
 * Appends a message to another.
 * @param mp - borrowed as the head
 * @param tail - consumed: from now on part of `mp`
 * @see linkb(9F)
 */
export function linkb(mp: Mblk, tail: Mblk): void {
  let last = mp
  while (last.cont !== null) last = last.cont
  last.cont = tail
  tail.at = null
}

/**
 * Takes the first block off.
 * @param mp - stays the caller's, now a single block
 * @returns the rest, now a message of its own, or null
 * @see unlinkb(9F)
 */
export function unlinkb(mp: Mblk): Mblk | null {
  const rest = mp.cont
  mp.cont = null
  if (rest !== null) rest.at = mp.at
  return rest
}

/**
 * Takes one block out of a message.
 * @param mp - consumed
 * @param block - the block; it stays the caller's, alone
 * @returns what is left of the message, null if nothing
 * @throws Error if the block is not in the message
 * @see rmvb(9F)
 */
export function rmvb(mp: Mblk, block: Mblk): Mblk | null {
  if (mp === block) return unlinkb(mp)
  for (let bp: Mblk = mp; bp.cont !== null; bp = bp.cont) {
    if (bp.cont !== block) continue
    bp.cont = block.cont
    block.cont = null
    return mp
  }
  throw new Error('rmvb: the block is not part of the message')
}

/** Bytes in all `M_DATA` blocks of a message. @see msgdsize(9F) */
export function msgdsize(mp: BorrowedMblk): number {
  let size = 0
  for (let bp: BorrowedMblk | null = mp; bp !== null; bp = bp.cont) {
    if (bp.type === M_DATA) size += bp.wptr - bp.rptr
  }
  return size
}

/** Bytes in all blocks, whatever their type. */
export function messageBytes(mp: BorrowedMblk): number {
  let size = 0
  for (let bp: BorrowedMblk | null = mp; bp !== null; bp = bp.cont) size += bp.wptr - bp.rptr
  return size
}

/** How many blocks a message has. */
export function blockCount(mp: BorrowedMblk): number {
  let count = 0
  for (let bp: BorrowedMblk | null = mp; bp !== null; bp = bp.cont) count++
  return count
}

/**
 * Trims bytes off the front (`length` > 0) or the end (`length` < 0) of a message of data. Blocks that become empty
 * stay, save that trimmed tail blocks are freed; the first block always stays, since it carries the message's type.
 * @param mp - borrowed; only views change, so shared bytes are safe
 * @returns false, with nothing changed, if the message is shorter than that
 * @see adjmsg(9F)
 */
export function adjmsg(mp: Mblk, length: number): boolean {
  const total = messageBytes(mp)
  if (length >= 0) return length <= total && trimHead(mp, length)
  return -length <= total && trimTail(mp, total + length)
}

function trimHead(mp: Mblk, length: number): boolean {
  for (let bp: Mblk | null = mp; bp !== null && length > 0; bp = bp.cont) {
    const cut = Math.min(length, bp.wptr - bp.rptr)
    bp.rptr += cut
    length -= cut
  }
  return true
}

function trimTail(mp: Mblk, keep: number): boolean {
  let bp: Mblk = mp
  for (;;) {
    const have = bp.wptr - bp.rptr
    if (keep <= have) break
    keep -= have
    bp = bp.cont!
  }
  bp.wptr = bp.rptr + keep
  if (bp.cont !== null) {
    freemsg(bp.cont)
    bp.cont = null
  }
  return true
}

/** Frees leading blocks that hold no bytes, keeping at least one; what the head says of the message moves on. */
export function dropEmptyHead(mp: Mblk): Mblk {
  while (mp.rptr === mp.wptr && mp.cont !== null) {
    const next: Mblk = mp.cont
    copyHead(next, mp)
    next.at = mp.at
    freeb(mp)
    mp = next
  }
  return mp
}

/**
 * Makes room for a header of `size` bytes in front: in place when the first block is the arena's, is not shared and has
 * the headroom, else in a new block. `csumStart` moves along.
 * @param mp - consumed
 * @param size - bytes, at most `HEADROOM_BYTES`
 * @returns the message whose first `size` bytes are to be written, or null when no block is left (`mp` is freed)
 */
export function prepend(mp: Mblk, size: number): UniqueMblk | null {
  const dblk = mp.dblk
  if (dblk.ref === 1 && mp.rptr - dblk.base >= size && dblk.sizeClass !== null) {
    mp.rptr -= size
    mp.csumStart += size
    return mp as UniqueMblk
  }
  const head = allocb(dblk.arena, 0, HEADROOM_BYTES)
  if (head === null) {
    freemsg(mp)
    return null
  }
  copyHead(head, mp)
  head.at = mp.at
  mp.at = null
  head.cont = mp
  head.rptr -= size
  head.csumStart += size
  return head
}
