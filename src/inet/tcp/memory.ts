/** How near the stack is to the end of its memory: of TCP's own budget, and of the blocks that all of the stack shares. */
import {
  FRAME_BLOCK_BYTES,
  HEADER_BLOCK_BYTES,
  HEADROOM_BYTES,
  type SizeClass,
} from '../../streams/mblk/arena.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

export const PRESSURE_NONE = 0
/** Above three quarters: windows grow no further than a few segments, what is out of order moves to small blocks. */
export const PRESSURE_SOME = 1
/**
 * The budget is spent, or seven eighths of the blocks of some size: what nobody waits for is thrown away, and who holds
 * nothing yet gets one segment's worth ({@link placeFor}).
 */
export const PRESSURE_HARD = 2

export function pressure(tcp: Tcp): number {
  const { memoryBytes } = tcp.settings
  const { memoryUsed } = tcp
  const { classes } = tcp.arena
  if (memoryUsed >= memoryBytes) return PRESSURE_HARD
  let found = 4 * memoryUsed > 3 * memoryBytes ? PRESSURE_SOME : PRESSURE_NONE
  for (let i = 0; i < classes.length; i++) {
    const sizeClass = classes[i]!
    const all = sizeClass.limit - sizeClass.base
    const used = sizeClass.inUse * sizeClass.blockBytes
    if (4 * used <= 3 * all) continue
    if (8 * used > 7 * all) return PRESSURE_HARD
    found = PRESSURE_SOME
  }
  return found
}

/** Nothing is taken. */
export const PLACE_NONE = 0
/** What fits a block of headers. */
export const PLACE_CRUMB = 1
/** A segment, in as many blocks of headers as it takes. */
export const PLACE_HEADERS = 2
/** A segment, in a frame's block at most. */
export const PLACE_FRAME = 3
/** A segment's worth of a peer that has not shown yet how large its segments are. */
export const LITTLE_BYTES = FRAME_BLOCK_BYTES - HEADROOM_BYTES
export const littleBytes = (tcb: Tcb): number => Math.max(tcb.rcvMss, LITTLE_BYTES)
/** Bytes of {@link PLACE_CRUMB}. */
export const CRUMB_BYTES = HEADER_BLOCK_BYTES - HEADROOM_BYTES

/**
 * Where the data of a connection may go that has nothing unread, while memory is {@link PRESSURE_HARD}. It is a question of the
 * blocks that the data needs, not of those that have run out. What connections hold whose programs do not read ends at
 * seven eighths, so that the rest is for those that come on; the last sixteenth of the frames is for devices to read into,
 * and the last eighth of the headers for what is sent. The budget may be exceeded by an eighth, the second half of it in crumbs.
 */
export function placeFor(tcp: Tcp, length: number): number {
  const { memoryBytes } = tcp.settings
  const { memoryUsed, arena } = tcp
  if (memoryUsed >= memoryBytes + (memoryBytes >> 3)) return PLACE_NONE
  const headers = arena.classes[0]!
  if (length <= CRUMB_BYTES && isWithin(headers, 14)) return PLACE_CRUMB
  if (memoryUsed < memoryBytes + (memoryBytes >> 4)) {
    if (isWithin(arena.classes[1]!, 15)) return PLACE_FRAME
    if (isWithin(headers, 12)) return PLACE_HEADERS
  }
  return isWithin(headers, 14) ? PLACE_CRUMB : PLACE_NONE
}

/** Whether less than so many sixteenths of the blocks are out. */
function isWithin({ inUse, blockBytes, limit, base }: SizeClass, sixteenths: number): boolean {
  return 16 * inUse * blockBytes < sixteenths * (limit - base)
}
