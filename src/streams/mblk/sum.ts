/** The Internet checksum over a chain: blocks of any length at any offset give the sum of the flat bytes. */
import { addSum, swapSum } from '../../base/checksum.ts'
import type { BorrowedMblk } from './mblk.ts'

/** From here on the memory's own routine (the shim's, where there is one) is worth the call. */
const LONG_BYTES = 192

/**
 * @param mp - borrowed; a chain with at least `offset + length` bytes
 * @param sum - folded partial sum to start from
 * @returns the folded partial sum
 * @see RFC 1071 §2 for why an odd start swaps the halves
 */
export function sumMessage(mp: BorrowedMblk, offset: number, length: number, sum = 0): number {
  const memory = mp.dblk.arena.memory
  let odd = false
  for (let bp: BorrowedMblk | null = mp; bp !== null && length > 0; bp = bp.cont) {
    const have = bp.wptr - bp.rptr
    if (offset >= have) {
      offset -= have
      continue
    }
    const start = bp.rptr + offset
    const part = Math.min(length, have - offset)
    const partSum =
      part >= LONG_BYTES
        ? memory.sum(bp.bytes, start, start + part, 0)
        : shortSum(bp.bytes, start, start + part)
    sum = addSum(sum, odd ? swapSum(partSum) : partSum)
    if ((part & 1) === 1) odd = !odd
    length -= part
    offset = 0
  }
  return sum
}

function shortSum(bytes: BorrowedMblk['bytes'], start: number, end: number): number {
  let sum = 0
  let i = start
  for (; i < end - 1; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!
  if (i < end) sum += bytes[i]! << 8
  return sum
}
