/**
 * What tells one request from another with the same number. Not against an adversary: who can forge calls needs no collision.
 *
 * All bytes go into an Internet checksum, which the memory's own routine makes at its speed; the first of them, where most requests
 * differ, into 32 bits more.
 */
import type { BorrowedMblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { sumMessage } from '../streams/mblk/sum.ts'
import type { CallHeader } from './message.ts'

/** Bytes that are hashed one by one. */
const HASHED_BYTES = 256
const PRIME = 0x0100_0193

/** @returns an int32 of a whole message: every repetition of it has the same bytes */
export function messageChecksum(mp: BorrowedMblk): number {
  return mix(hash(mp, 0), mp, 0)
}

/**
 * Of a call of a session, whose verifier says something else at each repetition: of the procedure and the arguments.
 * @param headerBytes - in front of the arguments
 */
export function argumentsChecksum(mp: BorrowedMblk, headerBytes: number, call: CallHeader): number {
  let sum = hash(mp, headerBytes)
  sum = Math.imul(sum ^ call.program, PRIME)
  sum = Math.imul(sum ^ call.version, PRIME)
  sum = Math.imul(sum ^ call.procedure, PRIME)
  return mix(sum, mp, headerBytes)
}

/** FNV-1a (Fowler, Noll, Vo). */
function hash(mp: BorrowedMblk, offset: number): number {
  let sum = 0x811c_9dc5 | 0
  let left = HASHED_BYTES
  for (let bp: BorrowedMblk | null = mp; bp !== null && left > 0; bp = bp.cont) {
    const { bytes, wptr } = bp
    let at = bp.rptr + offset
    offset = Math.max(0, at - wptr)
    for (; at < wptr && left > 0; at++, left--) sum = Math.imul(sum ^ bytes[at]!, PRIME)
  }
  return sum
}

function mix(sum: number, mp: BorrowedMblk, offset: number): number {
  const length = messageBytes(mp) - offset
  const total = length <= HASHED_BYTES ? 0 : sumMessage(mp, offset, length)
  sum = Math.imul(sum ^ length, PRIME)
  sum = Math.imul(sum ^ total, PRIME)
  return sum ^ (sum >>> 15)
}
