/** Making bytes contiguous or private: pullupmsg(9F), msgpullup(9F), copyb(9F), copymsg(9F), and the edges of a message. */
import type { ReadonlyBytes } from '../../base/checksum.ts'
import { StackError } from '../../base/errors.ts'
import { allocb, copyHead, dupmsg, freeb, freemsg } from './alloc.ts'
import { type Arena, HEADROOM_BYTES } from './arena.ts'
import { type CopyPlace, copyBytes, type PortCopyPlace } from './copy.ts'
import type { BorrowedMblk, Mblk, UniqueMblk } from './mblk.ts'
import { adjmsg, messageBytes } from './message.ts'

/**
 * Makes the first `size` bytes of a message contiguous.
 * @param mp - consumed; a chain of any shape
 * @param size - bytes, from 0 to the message's; -1 means all
 * @returns a chain whose first block holds at least `size` bytes; later blocks are reused, not copied. Null when no
 * block is left (`mp` is freed)
 * @throws {@link StackError} `ERR_MSG_SHORT` if the chain is shorter; `mp` is freed
 * @see pullupmsg(9F)
 */
export function pullupmsg(mp: Mblk, size: number): Mblk | null {
  if (size >= 0 && mp.wptr - mp.rptr >= size) return mp
  if (size < 0) {
    if (mp.cont === null) return mp
    size = messageBytes(mp)
  }
  const joined = msgpullupHead(mp, size)
  if (joined === null) {
    freemsg(mp)
    return null
  }
  adjmsg(mp, size)
  const rest = dropConsumed(mp)
  joined.cont = rest
  joined.at = mp.at
  return joined
}

/** Frees the blocks at the front that `adjmsg` emptied, the first included; those behind stay as they are. */
function dropConsumed(mp: Mblk): Mblk | null {
  let rest: Mblk | null = mp
  while (rest !== null && rest.rptr === rest.wptr) {
    const next: Mblk | null = rest.cont
    freeb(rest)
    rest = next
  }
  return rest
}

/** A new block with a copy of the first `size` bytes; throws (and frees `mp`) if there are fewer. */
function msgpullupHead(mp: Mblk, size: number): UniqueMblk | null {
  if (messageBytes(mp) < size) {
    freemsg(mp)
    throw new StackError('ERR_MSG_SHORT', `pullupmsg: the message is shorter than ${size} bytes`)
  }
  const joined = allocb(mp.dblk.arena, size, HEADROOM_BYTES)
  if (joined === null) return null
  copyHead(joined, mp)
  readMessage(mp, 0, joined.dblk.bytes, joined.wptr, size, 'stack')
  joined.wptr += size
  return joined
}

/**
 * A new message whose first `size` bytes are contiguous; the rest is shared with the old one.
 * @param mp - borrowed
 * @param size - bytes, -1 for all
 * @returns an owned message, or null when no block is left
 * @throws {@link StackError} `ERR_MSG_SHORT` if the message is shorter
 * @see msgpullup(9F)
 */
export function msgpullup(mp: BorrowedMblk, size: number): Mblk | null {
  const copy = dupmsg(mp)
  return copy === null ? null : pullupmsg(copy, size)
}

/**
 * Copies `length` bytes, from `offset` into the message, to the caller's memory.
 * @param mp - borrowed; a chain of any shape with at least `offset + length` bytes
 */
export function readMessage(
  mp: BorrowedMblk,
  offset: number,
  to: Uint8Array,
  toOffset: number,
  length: number,
  place: CopyPlace | PortCopyPlace,
): void {
  const arena = mp.dblk.arena
  for (let bp: BorrowedMblk | null = mp; bp !== null && length > 0; bp = bp.cont) {
    const have = bp.wptr - bp.rptr
    if (offset >= have) {
      offset -= have
      continue
    }
    const part = Math.min(length, have - offset)
    copyBytes(arena, place, to, toOffset, bp.bytes, bp.rptr + offset, part)
    toOffset += part
    length -= part
    offset = 0
  }
}

/**
 * A message with a copy of the caller's bytes, with headroom in front; long runs become a chain.
 * @returns null when the arena has not enough blocks left
 */
export function messageFrom(
  arena: Arena,
  bytes: ReadonlyBytes,
  start: number,
  end: number,
  place: CopyPlace,
): UniqueMblk | null {
  const largest = arena.classes[arena.classes.length - 1]!.blockBytes - HEADROOM_BYTES
  let head: UniqueMblk | null = null
  let tail: Mblk | null = null
  do {
    const part = Math.min(largest, end - start)
    const bp = allocb(arena, part, HEADROOM_BYTES)
    if (bp === null) {
      if (head !== null) freemsg(head)
      return null
    }
    copyBytes(arena, place, bp.dblk.bytes, bp.wptr, bytes, start, part)
    bp.wptr += part
    start += part
    if (tail === null) head = bp
    else tail.cont = bp
    tail = bp
  } while (start < end)
  return head
}

/**
 * A private copy of the first block; of several blocks if foreign memory does not fit the largest.
 * @param mp - borrowed
 * @see copyb(9F)
 */
export function copyb(mp: BorrowedMblk, place: CopyPlace = 'stack'): UniqueMblk | null {
  const copy = messageFrom(mp.dblk.arena, mp.bytes, mp.rptr, mp.wptr, place)
  if (copy === null) return null
  copyHead(copy, mp)
  for (let bp = copy.cont; bp !== null; bp = bp.cont) bp.type = mp.type
  return copy
}

/**
 * A private copy of a whole message, block by block.
 * @param mp - borrowed
 * @see copymsg(9F)
 */
export function copymsg(mp: BorrowedMblk, place: CopyPlace = 'stack'): UniqueMblk | null {
  const head = copyb(mp, place)
  let tail: Mblk | null = head
  for (let bp = mp.cont; bp !== null && tail !== null; bp = bp.cont) {
    tail = lastBlock(tail)
    tail.cont = copyb(bp, place)
    if (tail.cont === null) {
      freemsg(head!)
      return null
    }
    tail = tail.cont
  }
  return head
}

function lastBlock(mp: Mblk): Mblk {
  let last = mp
  while (last.cont !== null) last = last.cont
  return last
}

/**
 * Makes the first block writable: as it is when nobody shares it, a copy of it otherwise.
 * @param mp - consumed
 * @returns null when no block is left (`mp` is freed)
 */
export function unshare(mp: Mblk): UniqueMblk | null {
  if (mp.dblk.ref === 1) return mp as UniqueMblk
  const copy = copyb(mp)
  if (copy === null) {
    freemsg(mp)
    return null
  }
  lastBlock(copy).cont = mp.cont
  copy.at = mp.at
  freeb(mp)
  return copy
}
