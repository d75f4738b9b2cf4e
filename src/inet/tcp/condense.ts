/**
 * The memory under received data. A message stays in the blocks that the device put it in, whatever the loss on the way: its
 * program gets it without a copy. Most fill their blocks well enough; one that holds four times what it needs (a few
 * bytes in a frame's block, a few segments in a super-segment's) is called loose. A connection may keep loose messages as
 * long as memory is plenty: together not more than a quarter of what is free of the budget, were they all of the largest
 * kind. Beyond that, and while memory is short, loose messages are moved to blocks of their size: those that come, and
 * those that came before ({@link IntakePool.squeeze}). That is the only copy on the way from the device to the program.
 */
import { allocb, copyHead, freemsg } from '../../streams/mblk/alloc.ts'
import {
  FRAME_BLOCK_BYTES,
  HEADER_BLOCK_BYTES,
  HEADROOM_BYTES,
  SUPER_BLOCK_BYTES,
} from '../../streams/mblk/arena.ts'
import type { Dblk, Mblk } from '../../streams/mblk/mblk.ts'
import { messageBytes } from '../../streams/mblk/message.ts'
import { readMessage } from '../../streams/mblk/pullup.ts'
import { PRESSURE_NONE, pressure } from './memory.ts'
import type { Tcp } from './tcp.ts'

/** A message is loose if what it needs is at most one part in this many of what it holds. */
const LOOSE_RATIO = 4
/** Messages up to this are put behind what waits already, when loose ones may be no more. */
export const COALESCE_BYTES = 512
/** What one of many views of a block counts for at least, as a part of the block (log2): the last of them keeps all of it. */
const VIEW_PART = 5
/** The part of the free budget that one connection's loose messages may take (log2). */
const LENT_PART = 2

/**
 * Memory that a message holds: its blocks. Where it is one of several views of a block (two stacks in one process, a
 * super-packet that was cut up), what it shows of it; memory that is not the arena's likewise. The
 * same at all times, whoever else lets go of the block, so that sums of it stay right.
 */
export function heldBytes(mp: Mblk): number {
  let bytes = 0
  for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont) {
    const dblk: Dblk = bp.dblk
    const shown = bp.wptr - bp.rptr
    if (dblk.sizeClass === null) bytes += shown
    else if (bp === dblk.own) bytes += dblk.sizeClass.blockBytes
    else bytes += Math.max(shown, dblk.sizeClass.blockBytes >> VIEW_PART)
  }
  return bytes
}

/** What `size` bytes need. */
const neededBytes = (size: number): number =>
  size + HEADROOM_BYTES <= FRAME_BLOCK_BYTES ? size + HEADROOM_BYTES : size + FRAME_BLOCK_BYTES

/** @param size - bytes of a message; @param held - its {@link heldBytes} */
export function isLoose(size: number, held: number): boolean {
  return neededBytes(size) * LOOSE_RATIO <= held
}

/** The blocks that {@link condensed} takes for `size` bytes: whole ones. */
function condensedBytes(size: number): number {
  if (size + HEADROOM_BYTES <= HEADER_BLOCK_BYTES) return HEADER_BLOCK_BYTES
  if (size + HEADROOM_BYTES <= FRAME_BLOCK_BYTES) return FRAME_BLOCK_BYTES
  return Math.ceil(size / FRAME_BLOCK_BYTES) * FRAME_BLOCK_BYTES
}

/**
 * Whether a copy is worth while: a loose message whose blocks are the smallest there are for it (200 bytes in a frame's)
 * would be as loose in others, and copied again each time.
 */
export function canShrink(size: number, held: number): boolean {
  return condensedBytes(size) * LOOSE_RATIO <= held
}

/** Bytes that the loose messages of one connection may hold: none while memory is short. */
export function lentBytes(tcp: Tcp): number {
  if (pressure(tcp) !== PRESSURE_NONE) return 0
  return (tcp.settings.memoryBytes - tcp.memoryUsed) >> LENT_PART
}

/** Whether a connection that has so many loose messages may keep one more. */
export function mayStayLoose(tcp: Tcp, count: number): boolean {
  return (count + 1) * SUPER_BLOCK_BYTES <= lentBytes(tcp)
}

/** A message in blocks of its size if that saves memory, the message itself otherwise. @param mp - consumed */
export function condensed(tcp: Tcp, mp: Mblk): Mblk {
  const size = messageBytes(mp)
  if (!canShrink(size, heldBytes(mp))) return mp
  const alone = size + HEADROOM_BYTES <= FRAME_BLOCK_BYTES
  return moved(
    tcp,
    mp,
    size,
    alone ? allocb(tcp.arena, size, HEADROOM_BYTES) : chain(tcp, size, FRAME_BLOCK_BYTES),
  )
}

/** A message in blocks of headers, of which there are some left when the others have run out. @param mp - consumed */
export function inHeaders(tcp: Tcp, mp: Mblk): Mblk {
  const size = messageBytes(mp)
  return moved(tcp, mp, size, chain(tcp, size, HEADER_BLOCK_BYTES))
}

/** @param small - empty blocks; those that would save nothing (larger ones serve when a size has run out) are given back */
function moved(tcp: Tcp, mp: Mblk, size: number, small: Mblk | null): Mblk {
  if (small === null) return mp
  if (blockBytes(small) >= heldBytes(mp)) {
    freemsg(small)
    return mp
  }
  let at = 0
  for (let bp: Mblk | null = small; bp !== null; bp = bp.cont) {
    const part = Math.min(size - at, bp.dblk.lim - bp.wptr)
    readMessage(mp, at, bp.dblk.bytes, bp.wptr, part, 'stack')
    bp.wptr += part
    at += part
  }
  copyHead(small, mp)
  tcp.counters.condensed++
  mp.next = null
  mp.prev = null
  freemsg(mp)
  return small
}

function blockBytes(mp: Mblk): number {
  let bytes = 0
  for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont) bytes += bp.dblk.lim - bp.dblk.base
  return bytes
}

/** Blocks of one size, for so many bytes together. */
function chain(tcp: Tcp, size: number, each: number): Mblk | null {
  let head: Mblk | null = null
  for (; size > 0; size -= each) {
    const bp = allocb(tcp.arena, each)
    if (bp === null) {
      if (head !== null) freemsg(head)
      return null
    }
    bp.cont = head
    head = bp
  }
  return head
}

/** Copies a message behind another, if that has the room. @param mp - freed if so */
export function coalesce(tcp: Tcp, last: Mblk, mp: Mblk, length: number): boolean {
  let tail = last
  while (tail.cont !== null) tail = tail.cont
  const { dblk } = tail
  if (tail !== dblk.own || dblk.ref !== 1 || dblk.sizeClass === null || dblk.lim - tail.wptr < length)
    return false
  readMessage(mp, 0, dblk.bytes, tail.wptr, length, 'stack')
  tail.wptr += length
  tcp.counters.condensed++
  freemsg(mp)
  return true
}
