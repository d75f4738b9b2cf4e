/** The IPv6 header and what its extension headers have in common: RFC 8200 §3 and §4. */
import type { ReadonlyBytes } from '../../base/checksum.ts'
import { i32, putI32, putU16, u16 } from './fields.ts'

const PAYLOAD_LENGTH = 4
const NEXT_HEADER = 6
const HOP_LIMIT = 7
const SOURCE = 8
const DESTINATION = 24
export const IPV6_HEADER_SIZE = 40
/** Every link carries packets of this size (RFC 8200 §5). */
export const IPV6_MTU_MIN = 1_280

export const NH_HOP_BY_HOP = 0
export const NH_ROUTING = 43
export const NH_FRAGMENT = 44
export const NH_NONE = 59
export const NH_DESTINATION = 60
export const FRAGMENT_HEADER_SIZE = 8

export type Ipv6Drop = 'ipv6-truncated' | 'ipv6-version' | 'ipv6-payload-length'

/**
 * Whether a packet begins with a header that can be trusted.
 * @param contiguous - bytes that lie in one piece from `at` on
 * @param size - bytes of the whole packet, padding included
 */
export function checkIpv6(
  bytes: ReadonlyBytes,
  at: number,
  contiguous: number,
  size: number,
): Ipv6Drop | null {
  if (contiguous < IPV6_HEADER_SIZE) return 'ipv6-truncated'
  if (bytes[at]! >> 4 !== 6) return 'ipv6-version'
  if (IPV6_HEADER_SIZE + u16(bytes, at + PAYLOAD_LENGTH) > size) return 'ipv6-payload-length'
  return null
}

export const ipv6TrafficClass = (bytes: ReadonlyBytes, at: number): number => (u16(bytes, at) >> 4) & 0xff
export const ipv6FlowLabel = (bytes: ReadonlyBytes, at: number): number => i32(bytes, at) & 0xfffff
export const ipv6PayloadLength = (bytes: ReadonlyBytes, at: number): number => u16(bytes, at + PAYLOAD_LENGTH)
export const ipv6NextHeader = (bytes: ReadonlyBytes, at: number): number => bytes[at + NEXT_HEADER]!
export const ipv6HopLimit = (bytes: ReadonlyBytes, at: number): number => bytes[at + HOP_LIMIT]!
/** @param index - which of the four words, 0 the most significant */
export const ipv6SourceWord = (bytes: ReadonlyBytes, at: number, index: number): number =>
  i32(bytes, at + SOURCE + 4 * index)
export const ipv6DestinationWord = (bytes: ReadonlyBytes, at: number, index: number): number =>
  i32(bytes, at + DESTINATION + 4 * index)

export const setIpv6HopLimit = (bytes: Uint8Array, at: number, hopLimit: number): void => {
  bytes[at + HOP_LIMIT] = hopLimit
}
export const setIpv6PayloadLength = (bytes: Uint8Array, at: number, length: number): void =>
  putU16(bytes, at + PAYLOAD_LENGTH, length)

/** Writes a header, flow label 0, save for the addresses. */
export function emitIpv6(
  bytes: Uint8Array,
  at: number,
  trafficClass: number,
  payloadLength: number,
  nextHeader: number,
  hopLimit: number,
): void {
  putI32(bytes, at, 0x60000000 | (trafficClass << 20))
  putU16(bytes, at + PAYLOAD_LENGTH, payloadLength)
  bytes[at + NEXT_HEADER] = nextHeader
  bytes[at + HOP_LIMIT] = hopLimit
}

export function putIpv6Source(
  bytes: Uint8Array,
  at: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): void {
  putWords(bytes, at + SOURCE, w0, w1, w2, w3)
}

export function putIpv6Destination(
  bytes: Uint8Array,
  at: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): void {
  putWords(bytes, at + DESTINATION, w0, w1, w2, w3)
}

function putWords(bytes: Uint8Array, at: number, w0: number, w1: number, w2: number, w3: number): void {
  putI32(bytes, at, w0)
  putI32(bytes, at + 4, w1)
  putI32(bytes, at + 8, w2)
  putI32(bytes, at + 12, w3)
}

/** What the two addresses of a header add to a checksum; below 2^20. */
export function addressSum6(bytes: ReadonlyBytes, at: number): number {
  let sum = 0
  for (let i = at + SOURCE; i < at + IPV6_HEADER_SIZE; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!
  return sum
}
