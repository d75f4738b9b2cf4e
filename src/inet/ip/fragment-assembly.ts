/** What is done to the blocks of fragments: compared, copied out of large blocks, chained, and given one IP header. */
import { fold, sumBytes } from '../../base/checksum.ts'
import { allocb, copyHead, freemsg } from '../../streams/mblk/alloc.ts'
import { FRAME_BLOCK_BYTES, HEADROOM_BYTES } from '../../streams/mblk/arena.ts'
import { copyBytes } from '../../streams/mblk/copy.ts'
import type { BorrowedMblk, Mblk, UniqueMblk } from '../../streams/mblk/mblk.ts'
import { adjmsg, dropEmptyHead } from '../../streams/mblk/message.ts'
import { readMessage } from '../../streams/mblk/pullup.ts'
import {
  FRAGMENT_HEADER_SIZE,
  IPV4_CHECKSUM,
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT,
  IPV4_TOTAL_LENGTH,
  IPV4_TYPE_OF_SERVICE,
  IPV6_HEADER_SIZE,
  IPV6_PAYLOAD_LENGTH,
  u16,
} from './fragment-check.ts'
import type { Datagram } from './fragment-table.ts'

/** Headers of a fragment that is copied into smaller blocks have to fit the first of them. */
export const COMPACT_BYTES = FRAME_BLOCK_BYTES - HEADROOM_BYTES
const CE = 3

/** What a message keeps from others: all of each block, however little of it is used. */
export function pinnedBytes(mp: BorrowedMblk): number {
  let pinned = 0
  for (let bp: BorrowedMblk | null = mp; bp !== null; bp = bp.cont) pinned += bp.dblk.lim - bp.dblk.base
  return pinned
}

export function withoutHeader(mp: Mblk, headerBytes: number): Mblk {
  adjmsg(mp, headerBytes)
  return dropEmptyHead(mp)
}

export function freePieces(datagram: Datagram): void {
  for (let i = 0; i < datagram.count; i++) {
    const mp = datagram.pieces[i]!
    if (mp !== null) freemsg(mp)
    datagram.pieces[i] = null
  }
}

/** A copy in blocks of frame size. @param mp - borrowed @returns null when no block is left */
export function copyIntoFrames(mp: BorrowedMblk, size: number): Mblk | null {
  const arena = mp.dblk.arena
  let head: Mblk | null = null
  let tail: Mblk | null = null
  for (let offset = 0; offset < size; offset += COMPACT_BYTES) {
    const part = Math.min(COMPACT_BYTES, size - offset)
    const bp = allocb(arena, part, HEADROOM_BYTES)
    if (bp === null) {
      if (head !== null) freemsg(head)
      return null
    }
    readMessage(mp, offset, bp.dblk.bytes, bp.wptr, part, 'stack')
    bp.wptr += part
    if (tail === null) head = bp
    else tail.cont = bp
    tail = bp
  }
  if (head !== null) copyHead(head, mp)
  return head
}

/** Whether `length` bytes of two messages are the same; both are long enough. */
export function sameData(
  a: BorrowedMblk,
  aOffset: number,
  b: BorrowedMblk,
  bOffset: number,
  length: number,
): boolean {
  let x: BorrowedMblk = a
  let y: BorrowedMblk = b
  let i = aOffset
  let j = bOffset
  for (; length > 0; length--) {
    while (i >= x.wptr - x.rptr) {
      i -= x.wptr - x.rptr
      x = x.cont!
    }
    while (j >= y.wptr - y.rptr) {
      j -= y.wptr - y.rptr
      y = y.cont!
    }
    if (x.bytes[x.rptr + i++] !== y.bytes[y.rptr + j++]) return false
  }
  return true
}

/** The fragments contradict each other. */
export const ECN_CONFLICT = -1
/** Nothing to change: the first fragment's codepoint stays. */
const AS_FIRST = -2

/**
 * RFC 3168 §5.3: CE if a fragment has it, but never when another is Not-ECT: then the datagram is dropped. For mixtures
 * without CE the RFC leaves it open: the first fragment's.
 */
export function combineCodepoints(seen: number): number {
  if ((seen & (1 << CE)) === 0) return AS_FIRST
  return (seen & 1) !== 0 ? ECN_CONFLICT : CE
}

/** Links pieces 1 and up behind the first, in order, walking each only once. */
export function chainPieces(head: Mblk, datagram: Datagram): void {
  let tail = head
  for (let i = 1; i < datagram.count; i++) {
    while (tail.cont !== null) tail = tail.cont
    tail.cont = datagram.take(i)
  }
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

export function repairHeader4(head: UniqueMblk, datagram: Datagram, codepoint: number): void {
  const bytes = head.dblk.bytes
  const at = head.rptr
  if (codepoint >= 0) bytes[at + IPV4_TYPE_OF_SERVICE] = bytes[at + IPV4_TYPE_OF_SERVICE]! | codepoint
  put16(bytes, at + IPV4_TOTAL_LENGTH, datagram.headerBytes + datagram.end)
  put16(bytes, at + IPV4_FRAGMENT, u16(bytes, at + IPV4_FRAGMENT) & IPV4_DONT_FRAGMENT)
  put16(bytes, at + IPV4_CHECKSUM, 0)
  put16(bytes, at + IPV4_CHECKSUM, ~fold(sumBytes(bytes, at, at + datagram.headerBytes)))
}

export function repairHeader6(head: UniqueMblk, datagram: Datagram, codepoint: number): Mblk {
  const { fragmentHeaderAt, nextHeaderAt, nextHeader, end } = datagram
  if (codepoint >= 0) head.dblk.bytes[head.rptr + 1]! |= codepoint << 4
  const length = fragmentHeaderAt - IPV6_HEADER_SIZE + end
  return removeFragmentHeader(head, fragmentHeaderAt, nextHeaderAt, nextHeader, length)
}

/** Moves what stands before the fragment header over it. @param mp - consumed */
export function removeFragmentHeader(
  mp: UniqueMblk,
  fragmentHeaderAt: number,
  nextHeaderAt: number,
  nextHeader: number,
  payloadLength: number,
): Mblk {
  const bytes = mp.dblk.bytes
  const from = mp.rptr
  bytes[from + nextHeaderAt] = nextHeader
  put16(bytes, from + IPV6_PAYLOAD_LENGTH, payloadLength)
  copyBytes(mp.dblk.arena, 'stack', bytes, from + FRAGMENT_HEADER_SIZE, bytes, from, fragmentHeaderAt)
  mp.rptr += FRAGMENT_HEADER_SIZE
  return mp
}
