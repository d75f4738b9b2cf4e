/** The IPv6 header chain in front of the transport: RFC 8200 §4, bounded. Read §4.2 for what unknown options do. */
import type { ReadonlyBytes } from '../../base/checksum.ts'
import { ERROR_NEXT_HEADER, ERROR_OPTION, ERROR_PARAMETER } from '../icmp/errors.ts'
import { u16 } from '../wire/fields.ts'
import {
  FRAGMENT_HEADER_SIZE,
  IPV6_HEADER_SIZE,
  NH_DESTINATION,
  NH_FRAGMENT,
  NH_HOP_BY_HOP,
  NH_ROUTING,
} from '../wire/ipv6.ts'
import type { IpCounter } from './counters.ts'

/** Extension headers in one packet; nobody honest has more than four. */
export const HEADERS_MAX = 8
/** Bytes of all extension headers together. */
export const HEADERS_BYTES_MAX = 512

const NEXT_HEADER = 6
const FRAGMENT_OFFSET_MASK = 0xfff8
const HEADER_LENGTH = 1
const ROUTING_TYPE = 2
const SEGMENTS_LEFT = 3
const OPTION_PAD1 = 0
const OPTION_PADN = 1
const OPTION_ROUTER_ALERT = 5

/** Where a walk ended; one record serves all packets. */
export class HeaderWalk {
  /** The first header that is none of those walked over: the transport, a fragment header, or none. */
  nextHeader = 0
  /** Where it begins, in bytes from the IPv6 header. */
  offset = 0
  /** Where the byte stands that announces it. */
  nextHeaderAt = 0
  /** `ERROR_*` to tell the sender, 0 for none; {@link pointer} goes with it. */
  error = 0
  pointer = 0
}

/**
 * Walks over hop-by-hop options, routing headers and destination options.
 * @param at - where the IPv6 header begins
 * @param end - where the contiguous bytes, or the packet, end
 * @param hopByHopOnly - we forward the packet: the other headers are not ours to look at
 * @param toMulticast - the destination is multicast, which silences some errors
 * @param walk - filled in
 * @returns why the packet has to be dropped, or null
 */
export function walkHeaders(
  bytes: ReadonlyBytes,
  at: number,
  end: number,
  hopByHopOnly: boolean,
  toMulticast: boolean,
  walk: HeaderWalk,
): IpCounter | null {
  let offset = IPV6_HEADER_SIZE
  let nextHeaderAt = NEXT_HEADER
  walk.error = 0
  for (let count = 0; ; count++) {
    const next = bytes[at + nextHeaderAt]!
    walk.nextHeader = next
    walk.offset = offset
    walk.nextHeaderAt = nextHeaderAt
    if (next !== NH_HOP_BY_HOP && (hopByHopOnly || (next !== NH_ROUTING && next !== NH_DESTINATION)))
      return null
    if (next === NH_HOP_BY_HOP && offset !== IPV6_HEADER_SIZE) {
      return complain(walk, ERROR_NEXT_HEADER, nextHeaderAt, 'ipv6-header-order')
    }
    if (at + offset + 8 > end) return 'ipv6-headers-truncated'
    const size = (bytes[at + offset + HEADER_LENGTH]! + 1) << 3
    if (count >= HEADERS_MAX || offset + size > IPV6_HEADER_SIZE + HEADERS_BYTES_MAX)
      return 'ipv6-headers-too-many'
    if (at + offset + size > end) return 'ipv6-headers-truncated'
    const drop =
      next === NH_ROUTING
        ? checkRouting(bytes, at, offset, walk)
        : checkOptions(bytes, at, offset, size, toMulticast, walk)
    if (drop !== null) return drop
    nextHeaderAt = offset
    offset += size
  }
}

function complain(walk: HeaderWalk, error: number, pointer: number, counter: IpCounter): IpCounter {
  walk.error = error
  walk.pointer = pointer
  return counter
}

/** RFC 8200 §4.4 and RFC 5095: no routing type is followed; one that is used up is skipped. */
function checkRouting(bytes: ReadonlyBytes, at: number, offset: number, walk: HeaderWalk): IpCounter | null {
  if (bytes[at + offset + SEGMENTS_LEFT] === 0) return null
  return complain(walk, ERROR_PARAMETER, offset + ROUTING_TYPE, 'ipv6-routing-header')
}

function checkOptions(
  bytes: ReadonlyBytes,
  at: number,
  offset: number,
  size: number,
  toMulticast: boolean,
  walk: HeaderWalk,
): IpCounter | null {
  const end = offset + size
  for (let i = offset + 2; i < end; ) {
    const option = bytes[at + i]!
    if (option === OPTION_PAD1) {
      i++
      continue
    }
    if (i + 2 > end || i + 2 + bytes[at + i + 1]! > end) return 'ipv6-option-length'
    if (option !== OPTION_PADN && option !== OPTION_ROUTER_ALERT) {
      // RFC 8200 §4.2: the two top bits say what a node does that does not know the option.
      const action = option >> 6
      if (action === 1 || (action === 3 && toMulticast)) return 'ipv6-option-unknown'
      if (action !== 0) return complain(walk, ERROR_OPTION, i, 'ipv6-option-unknown')
    }
    i += 2 + bytes[at + i + 1]!
  }
  return null
}

/**
 * Goes over all extension headers without judging them, a first fragment's header included.
 * @param walk - filled in
 * @returns whether the end of the headers was found before the bytes ended, and no fragment other than the first
 */
export function skipHeaders(bytes: ReadonlyBytes, at: number, end: number, walk: HeaderWalk): boolean {
  walk.nextHeaderAt = NEXT_HEADER
  walk.offset = IPV6_HEADER_SIZE
  for (let count = 0; count <= HEADERS_MAX + 1; count++) {
    const next = bytes[at + walk.nextHeaderAt]!
    const start = at + walk.offset
    walk.nextHeader = next
    if (next !== NH_HOP_BY_HOP && next !== NH_ROUTING && next !== NH_DESTINATION && next !== NH_FRAGMENT)
      return true
    if (start + 8 > end) return false
    if (next === NH_FRAGMENT && (u16(bytes, start + 2) & FRAGMENT_OFFSET_MASK) !== 0) return false
    walk.nextHeaderAt = walk.offset
    walk.offset += next === NH_FRAGMENT ? FRAGMENT_HEADER_SIZE : (bytes[start + HEADER_LENGTH]! + 1) << 3
  }
  return false
}
