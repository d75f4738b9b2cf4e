/** Taking, sharing and freeing blocks: allocb(9F), esballoc(9F), dupb(9F), dupmsg(9F), freeb(9F), freemsg(9F). */
import { assert } from '../../base/assert.ts'
import type { Arena } from './arena.ts'
import { HEADROOM_BYTES } from './arena.ts'
import type { BorrowedMblk, FreeRoutine, Mblk, UniqueMblk } from './mblk.ts'

/**
 * A message of one empty block.
 * @param size - bytes that must fit behind `headroom`
 * @param headroom - bytes left free in front of `rptr` for headers to come
 * @returns null when the arena has no block left; there is no waiting in the data path
 * @see allocb(9F)
 */
export function allocb(arena: Arena, size: number, headroom = 0): UniqueMblk | null {
  const mp = arena.take(size + headroom)
  if (mp === null) return null
  mp.rptr += headroom
  mp.wptr = mp.rptr
  return mp
}

/** An empty block with {@link HEADROOM_BYTES} in front, for headers prepended from the inside out. */
export function allocHeader(arena: Arena): UniqueMblk | null {
  return allocb(arena, 0, HEADROOM_BYTES)
}

/**
 * A message around the caller's memory, without a copy.
 * @param bytes - the caller's; not to be changed until `freeRoutine` ran
 * @param freeRoutine - called once, when the last reference goes, possibly within this stack's code: it must not throw
 * @returns the block with `rptr` 0 and `wptr` at the end, or null when too many are alive
 * @see esballoc(9F)
 */
export function esballoc(arena: Arena, bytes: Uint8Array, freeRoutine: FreeRoutine): UniqueMblk | null {
  const mp = arena.wrap(bytes, freeRoutine)
  if (mp === null) return null
  mp.rptr = 0
  mp.wptr = bytes.length
  return mp
}

/**
 * Another view of the first block's bytes; both are now shared.
 * @returns an owned block, or null when too many views are alive
 * @see dupb(9F)
 */
export function dupb(mp: BorrowedMblk): Mblk | null {
  const dblk = mp.dblk
  assert((mp as Mblk).live, 'dupb: the block is free')
  const copy = dblk.arena.takeView(dblk)
  if (copy === null) return null
  dblk.ref++
  copy.rptr = mp.rptr
  copy.wptr = mp.wptr
  copyHead(copy, mp)
  return copy
}

/** Carries over what the first block says of the whole message. */
export function copyHead(to: Mblk, from: BorrowedMblk): void {
  to.type = from.type
  to.band = from.band
  to.flag = from.flag
  to.offload = from.offload
  to.csumStart = from.csumStart
  to.csumOffset = from.csumOffset
  to.gsoSize = from.gsoSize
}

/**
 * Views of all blocks of a message.
 * @returns an owned message that shares every byte, or null when too many views are alive (nothing is leaked)
 * @see dupmsg(9F)
 */
export function dupmsg(mp: BorrowedMblk): Mblk | null {
  const head = dupb(mp)
  if (head === null) return null
  let tail = head
  for (let bp = mp.cont; bp !== null; bp = bp.cont) {
    const next = dupb(bp)
    if (next === null) {
      freemsg(head)
      return null
    }
    tail.cont = next
    tail = next
  }
  return head
}

/**
 * Frees one block; its `cont` is not followed.
 * @param mp - consumed
 * @see freeb(9F)
 */
export function freeb(mp: Mblk): void {
  mp.dblk.arena.giveBack(mp)
}

/**
 * Frees all blocks of a message.
 * @param mp - consumed
 * @see freemsg(9F)
 */
export function freemsg(mp: Mblk): void {
  let bp: Mblk | null = mp
  while (bp !== null) {
    const next: Mblk | null = bp.cont
    bp.dblk.arena.giveBack(bp)
    bp = next
  }
}
