/**
 * What passes between TCP and the program beside data: an M_PROTO of a word or two, in order with the data, in the manner
 * of TPI (T_CONN_IND, T_CONN_CON, T_ORDREL_IND, T_ORDREL_REQ, T_DISCON_IND). Modules pass on what they do not know.
 */
import { allocb } from '../../streams/mblk/alloc.ts'
import type { Arena } from '../../streams/mblk/arena.ts'
import type { BorrowedMblk, Mblk } from '../../streams/mblk/mblk.ts'
import { M_PCPROTO, M_PROTO } from '../../streams/mblk/types.ts'
import type { CloseReason } from './host.ts'

/** Up a listener's stream: connections wait to be accepted. Told again only after somebody found none left. */
export const CONN_IND = 0x101
/** Up: the connection that was asked for is there. */
export const CONN_CON = 0x102
/** Up: the peer's data ended in order. */
export const ORDREL_IND = 0x103
/** Down: this side's data ends here. */
export const ORDREL_REQ = 0x104
/** Up, and last: the connection is over. The second word says why. */
export const DISCON_IND = 0x105
/** Up, as an M_PCPROTO: the peer announced urgent data (RFC 6093); the bytes themselves are in the stream. */
export const URGENT_IND = 0x106
/**
 * Up, as an M_PCPROTO: something goes wrong that does not end the connection (RFC 9293 §3.9.1.8). The second word is the code
 * of an ICMP error (`icmp/errors.ts`), 0 if what is sent is not acknowledged.
 */
export const TROUBLE_IND = 0x108

/** Down: the data in front of it is urgent. */
export const URGENT_REQ = 0x107

const REASONS: readonly CloseReason[] = [
  'done',
  'refused',
  'reset',
  'timed-out',
  'unreachable',
  'aborted',
  'no-memory',
]

/** @returns null when no block is left */
export function makePrimitive(arena: Arena, kind: number, detail = 0): Mblk | null {
  const mp = allocb(arena, 8)
  if (mp === null) return null
  mp.type = M_PROTO
  arena.words[mp.rptr >> 2] = kind
  arena.words[(mp.rptr >> 2) + 1] = detail
  mp.wptr += 8
  return mp
}

/** @returns null when no block is left */
export function makeDisconnect(arena: Arena, reason: CloseReason): Mblk | null {
  return makePrimitive(arena, DISCON_IND, REASONS.indexOf(reason))
}

/** Which primitive a message is; 0 if it is none. */
export function primitiveOf(mp: BorrowedMblk): number {
  const { dblk, rptr } = mp
  const proto = mp.type === M_PROTO || mp.type === M_PCPROTO
  if (!proto || mp.wptr - rptr < 8 || (rptr & 3) !== 0 || dblk.sizeClass === null) return 0
  return dblk.arena.words[rptr >> 2]!
}

/** The code of an ICMP error, or 0. @param mp - borrowed: a {@link TROUBLE_IND} */
export function troubleCode(mp: BorrowedMblk): number {
  return mp.dblk.arena.words[(mp.rptr >> 2) + 1]!
}

/** Why the connection ended. @param mp - borrowed: a {@link DISCON_IND} */
export function disconnectReason(mp: BorrowedMblk): CloseReason {
  return REASONS[mp.dblk.arena.words[(mp.rptr >> 2) + 1]!] ?? 'aborted'
}
