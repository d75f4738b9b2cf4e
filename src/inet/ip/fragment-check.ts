/**
 * What one fragment says of itself, and whether that can be: RFC 791 §3.2, RFC 8200 §4.5, and the attacks of
 * RFC 1858, RFC 3128 and RFC 7112. Nothing here knows of other fragments.
 */
import type { ReadonlyBytes } from '../../base/checksum.ts'
import { type BorrowedMblk, OFFLOAD_GSO } from '../../streams/mblk/mblk.ts'
import { messageBytes } from '../../streams/mblk/message.ts'
import { FragmentKey } from './fragment-table.ts'

/** Why one fragment is refused; each is a counter. */
export type FragmentFault =
  /** A length or header that IP's input had to refuse, or no fragment header where one must be. */
  | 'fragment-malformed'
  /** A super-packet cannot be a fragment. */
  | 'fragment-offload'
  /** No data. */
  | 'fragment-empty'
  /** More fragments follow, but the data are no multiple of 8 bytes. */
  | 'fragment-length'
  /** The datagram would be longer than 65,535 bytes (RFC 791; the payload, RFC 8200). */
  | 'fragment-too-long'
  /** The first fragment has no whole transport header, or a later one could overwrite it. */
  | 'fragment-tiny'
  /** IPv6: the first fragment does not hold all headers (RFC 7112). */
  | 'fragment-header-chain'

export const IPV4_HEADER_SIZE = 20
export const IPV6_HEADER_SIZE = 40
export const FRAGMENT_HEADER_SIZE = 8
export const PACKET_BYTES_MAX = 65_535

/** IPv4 fields, in bytes from the header. */
export const IPV4_TYPE_OF_SERVICE = 1
export const IPV4_TOTAL_LENGTH = 2
export const IPV4_IDENTIFICATION = 4
export const IPV4_FRAGMENT = 6
export const IPV4_PROTOCOL = 9
export const IPV4_CHECKSUM = 10
const IPV4_SOURCE = 12
const IPV4_DESTINATION = 16
export const IPV4_DONT_FRAGMENT = 0x4000
export const IPV4_MORE_FRAGMENTS = 0x2000
export const IPV4_OFFSET_MASK = 0x1fff

/** IPv6 fields, in bytes from the header. */
export const IPV6_PAYLOAD_LENGTH = 4
export const IPV6_NEXT_HEADER = 6
const IPV6_SOURCE = 8
const IPV6_DESTINATION = 24
/** Fragment header fields, in bytes from that header. */
export const FRAGMENT_OFFSET = 2
export const FRAGMENT_IDENTIFICATION = 4

const HOP_BY_HOP = 0
const TCP = 6
const ROUTING = 43
export const FRAGMENT = 44
const AUTHENTICATION = 51
const DESTINATION_OPTIONS = 60
/** IPv6 extension headers in one packet; nobody honest has more than four. */
const EXTENSION_HEADERS_MAX = 8

const TCP_HEADER_SIZE = 20
const TCP_DATA_OFFSET = 12
/** Bytes without which a header of a protocol says nothing: ICMP, UDP, DCCP, ICMPv6, SCTP, UDP-Lite. */
const TRANSPORT_HEADER_SIZE: Readonly<Record<number, number>> = {
  1: 8,
  6: TCP_HEADER_SIZE,
  17: 8,
  33: 12,
  58: 8,
  132: 12,
  136: 8,
}

/** A fragment's fields; one record serves all. */
export class FragmentFields extends FragmentKey {
  /** Bytes in front of the data: the IP header, for IPv6 all up to and with the fragment header. */
  headerBytes = 0
  fragmentHeaderAt = 0
  /** Where the byte stands that announces the fragment header. */
  nextHeaderAt = 0
  nextHeader = 0
  /** The data's place in the datagram, in bytes. */
  start = 0
  end = 0
  more = false
  /** The two ECN bits. */
  codepoint = 0
}

export function u16(bytes: ReadonlyBytes, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

function word(bytes: ReadonlyBytes, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}

/**
 * Reads an IPv4 fragment.
 * @param mp - borrowed; header contiguous
 * @param fields - filled in
 */
export function readFragment4(mp: BorrowedMblk, fields: FragmentFields): FragmentFault | null {
  const { bytes, rptr } = mp
  const contiguous = mp.wptr - rptr
  if (contiguous < IPV4_HEADER_SIZE || bytes[rptr]! >> 4 !== 4) return 'fragment-malformed'
  const headerBytes = (bytes[rptr]! & 0x0f) << 2
  const total = u16(bytes, rptr + IPV4_TOTAL_LENGTH)
  if (headerBytes < IPV4_HEADER_SIZE || headerBytes > contiguous) return 'fragment-malformed'
  if (total < headerBytes || total !== messageBytes(mp)) return 'fragment-malformed'
  const flags = u16(bytes, rptr + IPV4_FRAGMENT)
  fields.family = 4
  fields.protocol = bytes[rptr + IPV4_PROTOCOL]!
  fields.identification = u16(bytes, rptr + IPV4_IDENTIFICATION)
  fields.source0 = word(bytes, rptr + IPV4_SOURCE)
  fields.destination0 = word(bytes, rptr + IPV4_DESTINATION)
  fields.source1 = fields.source2 = fields.source3 = 0
  fields.destination1 = fields.destination2 = fields.destination3 = 0
  fields.headerBytes = headerBytes
  fields.nextHeader = fields.protocol
  fields.codepoint = bytes[rptr + IPV4_TYPE_OF_SERVICE]! & 3
  fields.start = (flags & IPV4_OFFSET_MASK) << 3
  fields.end = fields.start + total - headerBytes
  fields.more = (flags & IPV4_MORE_FRAGMENTS) !== 0
  const fault = checkExtent(mp, fields, headerBytes)
  if (fault !== null) return fault
  // RFC 1858 §3.2.2 and RFC 3128 §2: whoever begins 8 bytes into a TCP header wants to change its flags.
  if (fields.start === 8 && fields.protocol === TCP) return 'fragment-tiny'
  if (fields.start !== 0 || !fields.more) return null
  return transportFits(mp, headerBytes, fields.end, fields.protocol) ? null : 'fragment-tiny'
}

/**
 * Reads an IPv6 fragment.
 * @param mp - borrowed; contiguous up to and with the fragment header
 * @param fields - filled in
 */
export function readFragment6(mp: BorrowedMblk, fields: FragmentFields): FragmentFault | null {
  const { bytes, rptr } = mp
  const contiguous = mp.wptr - rptr
  if (contiguous < IPV6_HEADER_SIZE || bytes[rptr]! >> 4 !== 6) return 'fragment-malformed'
  const total = IPV6_HEADER_SIZE + u16(bytes, rptr + IPV6_PAYLOAD_LENGTH)
  if (total !== messageBytes(mp)) return 'fragment-malformed'
  if (!findFragmentHeader(bytes, rptr, contiguous, fields)) return 'fragment-malformed'
  const at = rptr + fields.fragmentHeaderAt
  const offset = u16(bytes, at + FRAGMENT_OFFSET)
  fields.family = 6
  fields.protocol = 0
  fields.identification = word(bytes, at + FRAGMENT_IDENTIFICATION)
  readAddresses6(bytes, rptr, fields)
  fields.headerBytes = fields.fragmentHeaderAt + FRAGMENT_HEADER_SIZE
  fields.nextHeader = bytes[at]!
  fields.codepoint = (bytes[rptr + 1]! >> 4) & 3
  fields.start = offset & 0xfff8
  fields.end = fields.start + total - fields.headerBytes
  fields.more = (offset & 1) !== 0
  // RFC 6946 §4: an atomic fragment has nothing to do with others, and nothing of it can be missing.
  if (fields.start === 0 && !fields.more) return (mp.offload & OFFLOAD_GSO) !== 0 ? 'fragment-offload' : null
  const fault = checkExtent(mp, fields, fields.fragmentHeaderAt - IPV6_HEADER_SIZE)
  if (fault !== null) return fault
  if (fields.start === 8 && fields.nextHeader === TCP) return 'fragment-tiny'
  return fields.start === 0 ? checkHeaderChain(mp, fields) : null
}

function readAddresses6(bytes: ReadonlyBytes, rptr: number, fields: FragmentFields): void {
  fields.source0 = word(bytes, rptr + IPV6_SOURCE)
  fields.source1 = word(bytes, rptr + IPV6_SOURCE + 4)
  fields.source2 = word(bytes, rptr + IPV6_SOURCE + 8)
  fields.source3 = word(bytes, rptr + IPV6_SOURCE + 12)
  fields.destination0 = word(bytes, rptr + IPV6_DESTINATION)
  fields.destination1 = word(bytes, rptr + IPV6_DESTINATION + 4)
  fields.destination2 = word(bytes, rptr + IPV6_DESTINATION + 8)
  fields.destination3 = word(bytes, rptr + IPV6_DESTINATION + 12)
}

/** Only hop-by-hop, routing and destination options may stand before the fragment header. */
function findFragmentHeader(
  bytes: ReadonlyBytes,
  rptr: number,
  size: number,
  fields: FragmentFields,
): boolean {
  let nextHeaderAt = IPV6_NEXT_HEADER
  let at = IPV6_HEADER_SIZE
  for (let count = 0; count <= EXTENSION_HEADERS_MAX && at + FRAGMENT_HEADER_SIZE <= size; count++) {
    const next = bytes[rptr + nextHeaderAt]!
    if (next === FRAGMENT) {
      fields.fragmentHeaderAt = at
      fields.nextHeaderAt = nextHeaderAt
      return true
    }
    if (next !== HOP_BY_HOP && next !== ROUTING && next !== DESTINATION_OPTIONS) return false
    nextHeaderAt = at
    at += (bytes[rptr + at + 1]! + 1) << 3
  }
  return false
}

/** @param ahead - bytes that count with the data against 65,535 */
function checkExtent(mp: BorrowedMblk, fields: FragmentFields, ahead: number): FragmentFault | null {
  if ((mp.offload & OFFLOAD_GSO) !== 0) return 'fragment-offload'
  const length = fields.end - fields.start
  if (length === 0) return 'fragment-empty'
  if (fields.more && (length & 7) !== 0) return 'fragment-length'
  if (ahead + fields.end > PACKET_BYTES_MAX) return 'fragment-too-long'
  return null
}

/** RFC 7112 §5 and RFC 8200 §4.5: all headers, the transport's too, are in the first fragment. */
function checkHeaderChain(mp: BorrowedMblk, fields: FragmentFields): FragmentFault | null {
  let next = fields.nextHeader
  let at = 0
  for (let count = 0; count <= EXTENSION_HEADERS_MAX; count++) {
    const size = extensionSize(mp, fields.headerBytes + at, next)
    if (size === 0) {
      const whole = transportFits(mp, fields.headerBytes + at, fields.end - at, next)
      return whole ? null : 'fragment-header-chain'
    }
    // Each of them is at least 8 bytes long, and of each the first 8 are read.
    if (at + size > fields.end) return 'fragment-header-chain'
    next = byteAt(mp, fields.headerBytes + at)
    at += size
  }
  return 'fragment-header-chain'
}

/** Bytes of an extension header; 0 if `header` is none, and more than there can be if it is cut off. */
function extensionSize(mp: BorrowedMblk, at: number, header: number): number {
  switch (header) {
    case HOP_BY_HOP:
    case ROUTING:
    case DESTINATION_OPTIONS: {
      const length = byteAt(mp, at + 1)
      return length < 0 ? PACKET_BYTES_MAX + 1 : (length + 1) << 3
    }
    case AUTHENTICATION: {
      const length = byteAt(mp, at + 1)
      return length < 0 ? PACKET_BYTES_MAX + 1 : (length + 2) << 2
    }
    case FRAGMENT:
      return FRAGMENT_HEADER_SIZE
    default:
      return 0
  }
}

function transportFits(mp: BorrowedMblk, at: number, length: number, protocol: number): boolean {
  if (length < (TRANSPORT_HEADER_SIZE[protocol] ?? 0)) return false
  return protocol !== TCP || length >= (byteAt(mp, at + TCP_DATA_OFFSET) >> 4) << 2
}

/** One byte of a message; -1 beyond its end. */
function byteAt(mp: BorrowedMblk, offset: number): number {
  for (let bp: BorrowedMblk | null = mp; bp !== null; bp = bp.cont) {
    const have = bp.wptr - bp.rptr
    if (offset < have) return bp.bytes[bp.rptr + offset]!
    offset -= have
  }
  return -1
}
