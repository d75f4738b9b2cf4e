/**
 * The body of a datagram's frame, both ways: the control block of `inet/unitdata.ts` as it lies (both ends are of one host and
 * one version), and the data behind it.
 */
import { allocUnitdata, FLAGS, HEADER_BYTES, UNITDATA_BYTES, UNITDATA_REQ } from '../inet/unitdata.ts'
import { freeb, freemsg } from '../streams/mblk/alloc.ts'
import type { Arena } from '../streams/mblk/arena.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { adjmsg, messageBytes } from '../streams/mblk/message.ts'
import { readMessage } from '../streams/mblk/pullup.ts'
import { M_DATA, M_PROTO } from '../streams/mblk/types.ts'

/** Longest body: a super-datagram and its control block. */
export const DATAGRAM_BYTES_MAX = 128 * 1024

/** Whether a body can be a datagram. @param mp - borrowed */
export const isDatagram = (mp: Mblk): boolean => {
  const size = messageBytes(mp)
  return size >= UNITDATA_BYTES && size <= DATAGRAM_BYTES_MAX
}

/**
 * Makes an indication ready to leave: what holds in this process only is taken out.
 * @param mp - borrowed: a control block with its data
 */
export function strip(mp: Mblk): void {
  mp.wptr = mp.rptr + UNITDATA_BYTES
  mp.dblk.arena.words[(mp.rptr >> 2) + HEADER_BYTES] = 0
}

/**
 * The message of a body: a control block with the data behind it. A control block that lies by itself in the arena serves as it is.
 * @param mp - consumed; a datagram by {@link isDatagram}
 * @returns null when no block is left
 */
export function unitdataOf(arena: Arena, mp: Mblk): Mblk | null {
  if (mp.bytes !== arena.bytes || (mp.rptr & 3) !== 0 || mp.wptr - mp.rptr !== UNITDATA_BYTES)
    return ownUnitdata(arena, mp)
  mp.type = M_PROTO
  return mp
}

/**
 * The same, with a control block that nobody else can write.
 * @param mp - consumed
 * @returns null when no block is left
 */
export function ownUnitdata(arena: Arena, mp: Mblk): Mblk | null {
  const block = allocUnitdata(arena, UNITDATA_REQ)
  if (block === null) {
    freemsg(mp)
    return null
  }
  readMessage(mp, 0, arena.bytes, block.rptr, UNITDATA_BYTES, 'ipc')
  adjmsg(mp, UNITDATA_BYTES)
  block.cont = dataOf(mp)
  return block
}

/** Without the blocks that the control block emptied. @param mp - consumed */
function dataOf(mp: Mblk): Mblk | null {
  let data: Mblk | null = mp
  while (data !== null && data.rptr === data.wptr) {
    const next: Mblk | null = data.cont
    freeb(data)
    data = next
  }
  if (data !== null) data.type = M_DATA
  return data
}

/** A request as a client may make it: flags that only the stack sets are taken out. @param mp - borrowed: an {@link ownUnitdata} */
export function cleanRequest(mp: Mblk, flags: number): void {
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  words[at] = UNITDATA_REQ
  words[at + FLAGS] = words[at + FLAGS]! & flags
  words[at + HEADER_BYTES] = 0
}
