/** The IPv4 header: RFC 791 §3.1. `at` is always the index of the header's first byte. */
import { fold, type ReadonlyBytes, updateChecksum } from '../../base/checksum.ts'
import { i32, putI32, putU16, u16 } from './fields.ts'

const TYPE_OF_SERVICE = 1
const TOTAL_LENGTH = 2
const IDENTIFICATION = 4
const FRAGMENT = 6
const TIME_TO_LIVE = 8
const PROTOCOL = 9
const HEADER_CHECKSUM = 10
const SOURCE = 12
const DESTINATION = 16
export const IPV4_HEADER_SIZE = 20
export const IPV4_HEADER_SIZE_MAX = 60

/** Bits of the fragment field. */
export const IPV4_DF = 0x4000
export const IPV4_MF = 0x2000
export const IPV4_OFFSET_MASK = 0x1fff

export type Ipv4Drop =
  | 'ipv4-truncated'
  | 'ipv4-version'
  | 'ipv4-header-length'
  | 'ipv4-total-length'
  | 'ipv4-checksum'

/**
 * Whether a packet begins with a header that can be trusted (RFC 791, RFC 1122 §3.2.1).
 * @param contiguous - bytes that lie in one piece from `at` on
 * @param size - bytes of the whole packet, padding included
 */
export function checkIpv4(
  bytes: ReadonlyBytes,
  at: number,
  contiguous: number,
  size: number,
): Ipv4Drop | null {
  if (contiguous < IPV4_HEADER_SIZE) return 'ipv4-truncated'
  const first = bytes[at]!
  if (first !== 0x45) {
    if (first >> 4 !== 4) return 'ipv4-version'
    if ((first & 0x0f) < 5 || (first & 0x0f) << 2 > contiguous) return 'ipv4-header-length'
  }
  const headerSize = (first & 0x0f) << 2
  const total = u16(bytes, at + TOTAL_LENGTH)
  if (total < headerSize || total > size) return 'ipv4-total-length'
  if (fold(headerSum(bytes, at, headerSize)) !== 0xffff) return 'ipv4-checksum'
  return null
}

function headerSum(bytes: ReadonlyBytes, at: number, headerSize: number): number {
  let sum = 0
  for (let i = at; i < at + headerSize; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!
  return sum
}

export const ipv4HeaderBytes = (bytes: ReadonlyBytes, at: number): number => (bytes[at]! & 0x0f) << 2
export const ipv4TypeOfService = (bytes: ReadonlyBytes, at: number): number => bytes[at + TYPE_OF_SERVICE]!
export const ipv4TotalLength = (bytes: ReadonlyBytes, at: number): number => u16(bytes, at + TOTAL_LENGTH)
export const ipv4Id = (bytes: ReadonlyBytes, at: number): number => u16(bytes, at + IDENTIFICATION)
/** Flags and offset; the offset counts 8-byte units. */
export const ipv4FragmentField = (bytes: ReadonlyBytes, at: number): number => u16(bytes, at + FRAGMENT)
export const ipv4TimeToLive = (bytes: ReadonlyBytes, at: number): number => bytes[at + TIME_TO_LIVE]!
export const ipv4Protocol = (bytes: ReadonlyBytes, at: number): number => bytes[at + PROTOCOL]!
export const ipv4HeaderChecksum = (bytes: ReadonlyBytes, at: number): number =>
  u16(bytes, at + HEADER_CHECKSUM)
export const ipv4Source = (bytes: ReadonlyBytes, at: number): number => i32(bytes, at + SOURCE)
export const ipv4Destination = (bytes: ReadonlyBytes, at: number): number => i32(bytes, at + DESTINATION)

/**
 * Writes a header without options, checksum included.
 * @param total - bytes of the packet
 * @param fragment - flags and offset
 */
export function emitIpv4(
  bytes: Uint8Array,
  at: number,
  typeOfService: number,
  total: number,
  id: number,
  fragment: number,
  timeToLive: number,
  protocol: number,
  source: number,
  destination: number,
): void {
  const service = 0x4500 | typeOfService
  const life = (timeToLive << 8) | protocol
  const sum = service + total + id + fragment + life + addressSum4(source, destination)
  putU16(bytes, at, service)
  putU16(bytes, at + TOTAL_LENGTH, total)
  putU16(bytes, at + IDENTIFICATION, id)
  putU16(bytes, at + FRAGMENT, fragment)
  putU16(bytes, at + TIME_TO_LIVE, life)
  putU16(bytes, at + HEADER_CHECKSUM, ~fold(sum))
  putI32(bytes, at + SOURCE, source)
  putI32(bytes, at + DESTINATION, destination)
}

/** What two addresses add to a checksum; below 2^18. */
export function addressSum4(source: number, destination: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff)
}

/** Takes one off the time to live; the checksum follows (RFC 1624). */
export function decrementTimeToLive(bytes: Uint8Array, at: number): void {
  const before = u16(bytes, at + TIME_TO_LIVE)
  const after = before - 0x100
  putU16(bytes, at + TIME_TO_LIVE, after)
  putU16(bytes, at + HEADER_CHECKSUM, updateChecksum(u16(bytes, at + HEADER_CHECKSUM), before, after))
}

/** Sets the total length and the identification of a header; the checksum follows. */
export function setIpv4LengthAndId(bytes: Uint8Array, at: number, total: number, id: number): void {
  const sum = updateChecksum(ipv4HeaderChecksum(bytes, at), ipv4TotalLength(bytes, at), total)
  putU16(bytes, at + HEADER_CHECKSUM, updateChecksum(sum, ipv4Id(bytes, at), id))
  putU16(bytes, at + TOTAL_LENGTH, total)
  putU16(bytes, at + IDENTIFICATION, id)
}
