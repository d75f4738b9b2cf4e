/**
 * Cutting a packet that is too big for its link: RFC 791 §3.2, RFC 8200 §4.5. The payload is not copied: each
 * fragment is a new header in front of views of the packet's blocks.
 */
import { assert } from '../../base/assert.ts'
import { fold, type ReadonlyBytes, sumBytes } from '../../base/checksum.ts'
import { allocb, copyHead, dupb, freemsg } from '../../streams/mblk/alloc.ts'
import { HEADROOM_BYTES } from '../../streams/mblk/arena.ts'
import { copyBytes } from '../../streams/mblk/copy.ts'
import {
  type BorrowedMblk,
  type Mblk,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_GSO,
  type UniqueMblk,
} from '../../streams/mblk/mblk.ts'
import { messageBytes } from '../../streams/mblk/message.ts'
import {
  FRAGMENT,
  FRAGMENT_HEADER_SIZE,
  FRAGMENT_IDENTIFICATION,
  FRAGMENT_OFFSET,
  IPV4_CHECKSUM,
  IPV4_FRAGMENT,
  IPV4_HEADER_SIZE,
  IPV4_IDENTIFICATION,
  IPV4_MORE_FRAGMENTS,
  IPV4_OFFSET_MASK,
  IPV4_TOTAL_LENGTH,
  IPV6_HEADER_SIZE,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  u16,
} from './fragment-check.ts'

const HOP_BY_HOP = 0
const ROUTING = 43
const DESTINATION_OPTIONS = 60

const OPTION_END = 0
const OPTION_NOP = 1
/** The bit of an option's type that says: in every fragment (RFC 791 §3.1). */
const OPTION_COPIED = 0x80

/** How the packet in hand is cut; one record serves all. */
class Plan {
  family: 4 | 6 = 4
  identification = 0
  /** Bytes of header at the front of the packet. */
  headerBytes = 0
  /** IPv6: where the number of the first header behind the fragment header stands. */
  nextHeaderAt = 0
  /** Bytes of payload in the packet, and how far into the original datagram they begin. */
  payloadBytes = 0
  firstOffset = 0
  /** The packet is itself a fragment with more behind it. */
  moreBehind = false
  /** Where the next view of the payload begins: a block, and the place in it. */
  block: BorrowedMblk | null = null
  place = 0
}

const plan = new Plan()

/**
 * Cuts a packet into fragments that fit a link, in order. A packet that fits goes out as it is: an atomic fragment
 * is never made (RFC 8021).
 * @param mp - consumed; one IP packet with its headers contiguous in the first block, checksums finished, no
 * super-packet. An IPv4 packet may be a fragment already
 * @param mtu - of the link, in bytes, at least 68 (IPv4) or 1280 (IPv6)
 * @param id - identification, 16 bits (IPv4) or 32; a fragment that is cut again has to keep its own
 * @param emit - takes each fragment, owned
 * @returns how many went out; 0 if none did, because blocks were short or the headers leave no room: then nothing was
 * emitted and `mp` is freed
 */
export function fragment(mp: Mblk, family: 4 | 6, mtu: number, id: number, emit: (mp: Mblk) => void): number {
  assert((mp.offload & (OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO)) === 0, 'fragment: the checksum is not finished')
  const total = messageBytes(mp)
  if (total <= mtu) {
    emit(mp)
    return 1
  }
  plan.family = family
  plan.identification = id
  if (family === 4) planFragments4(mp)
  else planFragments6(mp)
  plan.payloadBytes = total - plan.headerBytes
  const first = cut(mp, mtu)
  freemsg(mp)
  return first === null ? 0 : emitAll(first, emit)
}

function planFragments4(mp: BorrowedMblk): void {
  const { bytes, rptr } = mp
  const flags = u16(bytes, rptr + IPV4_FRAGMENT)
  plan.headerBytes = (bytes[rptr]! & 0x0f) << 2
  plan.firstOffset = (flags & IPV4_OFFSET_MASK) << 3
  plan.moreBehind = (flags & IPV4_MORE_FRAGMENTS) !== 0
}

/** RFC 8200 §4.5: all up to the routing header goes in every fragment; else hop-by-hop options; else the IPv6 header. */
function planFragments6(mp: BorrowedMblk): void {
  const { bytes, rptr, wptr } = mp
  plan.headerBytes = IPV6_HEADER_SIZE
  plan.nextHeaderAt = IPV6_NEXT_HEADER
  plan.firstOffset = 0
  plan.moreBehind = false
  let nextHeaderAt = IPV6_NEXT_HEADER
  let at = IPV6_HEADER_SIZE
  while (rptr + at + 8 <= wptr) {
    const header = bytes[rptr + nextHeaderAt]!
    if (header !== HOP_BY_HOP && header !== ROUTING && header !== DESTINATION_OPTIONS) return
    nextHeaderAt = at
    at += (bytes[rptr + at + 1]! + 1) << 3
    if (header === DESTINATION_OPTIONS || rptr + at > wptr) continue
    plan.headerBytes = at
    plan.nextHeaderAt = nextHeaderAt
  }
}

/** Makes all fragments before any goes out. @returns them, linked by `next`; null if it cannot be */
function cut(mp: BorrowedMblk, mtu: number): Mblk | null {
  let first: Mblk | null = null
  let last: Mblk | null = null
  rewind(mp)
  for (let done = 0; done < plan.payloadBytes; ) {
    const header = makeHeader(mp, plan.firstOffset + done > 0)
    const room = header === null ? 0 : (mtu - (header.wptr - header.rptr)) & ~7
    const rest = plan.payloadBytes - done
    const left = header === null ? 0 : mtu - (header.wptr - header.rptr)
    const part = rest <= left ? rest : room
    if (header === null || part <= 0 || !appendViews(header, part)) {
      if (header !== null) freemsg(header)
      freeAll(first)
      return null
    }
    finishHeader(header, done, part)
    if (last === null) first = header
    else last.next = header
    last = header
    done += part
  }
  return first
}

function freeAll(first: Mblk | null): void {
  for (let mp = first; mp !== null; ) {
    const next: Mblk | null = mp.next
    mp.next = null
    freemsg(mp)
    mp = next
  }
}

function emitAll(first: Mblk, emit: (mp: Mblk) => void): number {
  let count = 0
  for (let mp: Mblk | null = first; mp !== null; ) {
    const next: Mblk | null = mp.next
    mp.next = null
    emit(mp)
    count++
    mp = next
  }
  return count
}

/** Puts the plan's place to the first byte of payload. */
function rewind(mp: BorrowedMblk): void {
  plan.block = mp
  plan.place = plan.headerBytes
}

/** Chains views of the next `length` bytes of payload. @returns false when no view is left */
function appendViews(header: Mblk, length: number): boolean {
  let tail = header
  while (length > 0) {
    const bp = plan.block!
    const have = bp.wptr - bp.rptr - plan.place
    if (have <= 0) {
      plan.block = bp.cont
      plan.place -= bp.wptr - bp.rptr
      continue
    }
    const view = dupb(bp)
    if (view === null) return false
    const part = Math.min(length, have)
    view.rptr += plan.place
    view.wptr = view.rptr + part
    plan.place += part
    length -= part
    tail.cont = view
    tail = view
  }
  return true
}

/** A block with the header of one fragment, lengths still open. @returns null when none is left */
function makeHeader(mp: BorrowedMblk, later: boolean): UniqueMblk | null {
  const arena = mp.dblk.arena
  const header = allocb(arena, plan.headerBytes + FRAGMENT_HEADER_SIZE, HEADROOM_BYTES)
  if (header === null) return null
  copyHead(header, mp)
  header.offload = 0
  const to = header.dblk.bytes
  if (plan.family === 4 && later && plan.headerBytes > IPV4_HEADER_SIZE) {
    copyBytes(arena, 'stack', to, header.wptr, mp.bytes, mp.rptr, IPV4_HEADER_SIZE)
    header.wptr += IPV4_HEADER_SIZE
    copyOptions(mp.bytes, mp.rptr + IPV4_HEADER_SIZE, mp.rptr + plan.headerBytes, header)
    return header
  }
  copyBytes(arena, 'stack', to, header.wptr, mp.bytes, mp.rptr, plan.headerBytes)
  header.wptr += plan.headerBytes
  if (plan.family === 6) header.wptr += FRAGMENT_HEADER_SIZE
  return header
}

/** RFC 791 §3.1: the options whose copy bit is set, padded to whole words. */
function copyOptions(from: ReadonlyBytes, start: number, end: number, header: UniqueMblk): void {
  const to = header.dblk.bytes
  const begin = header.wptr
  for (let i = start; i < end && from[i] !== OPTION_END; ) {
    if (from[i] === OPTION_NOP) {
      i++
      continue
    }
    const size = i + 1 < end ? from[i + 1]! : 0
    if (size < 2 || i + size > end) break
    if ((from[i]! & OPTION_COPIED) !== 0) for (let j = 0; j < size; j++) to[header.wptr++] = from[i + j]!
    i += size
  }
  while (((header.wptr - begin) & 3) !== 0) to[header.wptr++] = OPTION_END
}

/** Fills in what differs from fragment to fragment. @param done - payload bytes before this one's */
function finishHeader(header: UniqueMblk, done: number, part: number): void {
  const bytes = header.dblk.bytes
  const at = header.rptr
  const size = header.wptr - at
  const more = done + part < plan.payloadBytes || plan.moreBehind
  const offset = plan.firstOffset + done
  if (plan.family === 4) {
    bytes[at] = 0x40 | (size >> 2)
    put16(bytes, at + IPV4_TOTAL_LENGTH, size + part)
    put16(bytes, at + IPV4_IDENTIFICATION, plan.identification)
    put16(bytes, at + IPV4_FRAGMENT, (offset >> 3) | (more ? IPV4_MORE_FRAGMENTS : 0))
    put16(bytes, at + IPV4_CHECKSUM, 0)
    put16(bytes, at + IPV4_CHECKSUM, ~fold(sumBytes(bytes, at, at + size)))
    return
  }
  const fragmentAt = at + plan.headerBytes
  put16(bytes, at + IPV6_PAYLOAD_LENGTH, size - IPV6_HEADER_SIZE + part)
  bytes[fragmentAt] = bytes[at + plan.nextHeaderAt]!
  bytes[fragmentAt + 1] = 0
  bytes[at + plan.nextHeaderAt] = FRAGMENT
  put16(bytes, fragmentAt + FRAGMENT_OFFSET, offset | (more ? 1 : 0))
  put16(bytes, fragmentAt + FRAGMENT_IDENTIFICATION, plan.identification >>> 16)
  put16(bytes, fragmentAt + FRAGMENT_IDENTIFICATION + 2, plan.identification)
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}
