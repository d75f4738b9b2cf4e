/**
 * The UDP header (RFC 768; RFC 8200 §8.1 for IPv6): offsets, checks, accessors and emission. Nothing here allocates.
 */
import { fold, type ReadonlyBytes } from '../../base/checksum.ts'
import { FAMILY, LOCAL, REMOTE } from '../unitdata.ts'

export const SOURCE_PORT = 0
export const DESTINATION_PORT = 2
/** Of header and data together. */
export const LENGTH = 4
export const CHECKSUM = 6
export const UDP_HEADER_BYTES = 8
/** IP protocol number. */
export const IPPROTO_UDP = 17
/** What the length field can say. */
export const UDP_LENGTH_MAX = 65_535
/** Data of one datagram over IPv4: 65,535 less both headers. */
export const UDP_PAYLOAD_MAX_V4 = 65_507
/** Data of one datagram over IPv6, whose length field does not count the IP header. */
export const UDP_PAYLOAD_MAX_V6 = 65_527

/** Why {@link checkUdp} refuses a datagram. */
export type UdpHeaderDrop = 'header-truncated' | 'length-short' | 'length-beyond'

/**
 * Checks the header's length field against what IP brought.
 * @param start - where the header begins
 * @param end - end of the bytes that lie contiguous behind `start`
 * @param total - bytes from `start` to the end of the IP payload, in whatever blocks
 * @returns why it is to be dropped, or null
 */
export function checkUdp(
  bytes: ReadonlyBytes,
  start: number,
  end: number,
  total: number,
): UdpHeaderDrop | null {
  if (end - start < UDP_HEADER_BYTES || total < UDP_HEADER_BYTES) return 'header-truncated'
  const length = (bytes[start + LENGTH]! << 8) | bytes[start + LENGTH + 1]!
  // A length of 0 would mean a jumbogram (RFC 2675), which no link of ours carries.
  if (length < UDP_HEADER_BYTES) return 'length-short'
  if (length > total) return 'length-beyond'
  return null
}

export function sourcePort(bytes: ReadonlyBytes, start: number): number {
  return (bytes[start]! << 8) | bytes[start + 1]!
}

export function destinationPort(bytes: ReadonlyBytes, start: number): number {
  return (bytes[start + DESTINATION_PORT]! << 8) | bytes[start + DESTINATION_PORT + 1]!
}

/** Bytes of header and data. */
export function udpLength(bytes: ReadonlyBytes, start: number): number {
  return (bytes[start + LENGTH]! << 8) | bytes[start + LENGTH + 1]!
}

/** 0: the sender computed none. */
export function udpChecksum(bytes: ReadonlyBytes, start: number): number {
  return (bytes[start + CHECKSUM]! << 8) | bytes[start + CHECKSUM + 1]!
}

/** Writes a header. @param checksum - what stands in the field as it leaves here */
export function emitUdp(
  to: Uint8Array,
  start: number,
  source: number,
  destination: number,
  length: number,
  checksum: number,
): void {
  to[start] = source >>> 8
  to[start + 1] = source
  to[start + DESTINATION_PORT] = destination >>> 8
  to[start + DESTINATION_PORT + 1] = destination
  to[start + LENGTH] = length >>> 8
  to[start + LENGTH + 1] = length
  to[start + CHECKSUM] = checksum >>> 8
  to[start + CHECKSUM + 1] = checksum
}

/**
 * The folded sum of the pseudo-header (RFC 768, RFC 8200 §8.1) for the addresses of a control block. It is
 * the same in both directions.
 * @param words - the arena's
 * @param at - index of the control block's first word
 * @param length - of header and data
 */
export function pseudoHeaderSum(words: Int32Array, at: number, length: number): number {
  let sum = IPPROTO_UDP + (length >>> 16) + (length & 0xffff)
  const first = words[at + FAMILY] === 4 ? 3 : 0
  for (let i = first; i < 4; i++) {
    const remote = words[at + REMOTE + i]!
    const local = words[at + LOCAL + i]!
    sum += (remote >>> 16) + (remote & 0xffff) + (local >>> 16) + (local & 0xffff)
  }
  return fold(sum)
}
