/** ICMP and ICMPv6 messages: RFC 792, RFC 1191 §4, RFC 4443. `at` is the index of the message's first byte. */
import type { ReadonlyBytes } from '../../base/checksum.ts'
import { i32, putI32, putU16, u16 } from './fields.ts'

const TYPE = 0
const CODE = 1
const CHECKSUM = 2
const IDENTIFIER = 4
const SEQUENCE = 6
/** The second word: unused, a pointer, or an MTU. */
const REST = 4
export const ICMP_HEADER_SIZE = 8

export const PROTOCOL_ICMP = 1
export const PROTOCOL_ICMPV6 = 58

export const ICMP4_ECHO_REPLY = 0
export const ICMP4_UNREACHABLE = 3
export const ICMP4_SOURCE_QUENCH = 4
export const ICMP4_REDIRECT = 5
export const ICMP4_ECHO_REQUEST = 8
export const ICMP4_ROUTER_ADVERTISEMENT = 9
export const ICMP4_ROUTER_SOLICITATION = 10
export const ICMP4_TIME_EXCEEDED = 11
export const ICMP4_PARAMETER_PROBLEM = 12
export const ICMP4_TIMESTAMP = 13
export const ICMP4_TIMESTAMP_REPLY = 14
export const ICMP4_ADDRESS_MASK = 17
export const ICMP4_ADDRESS_MASK_REPLY = 18

export const ICMP6_UNREACHABLE = 1
export const ICMP6_TOO_BIG = 2
export const ICMP6_TIME_EXCEEDED = 3
export const ICMP6_PARAMETER_PROBLEM = 4
export const ICMP6_ECHO_REQUEST = 128
export const ICMP6_ECHO_REPLY = 129
export const ICMP6_MLD_QUERY = 130
export const ICMP6_MLD_DONE = 132
export const ICMP6_ROUTER_SOLICITATION = 133
export const ICMP6_REDIRECT = 137
export const ICMP6_MLD2_REPORT = 143

export const icmpType = (bytes: ReadonlyBytes, at: number): number => bytes[at + TYPE]!
export const icmpCode = (bytes: ReadonlyBytes, at: number): number => bytes[at + CODE]!
export const icmpChecksum = (bytes: ReadonlyBytes, at: number): number => u16(bytes, at + CHECKSUM)
/** Of an echo. */
export const icmpIdentifier = (bytes: ReadonlyBytes, at: number): number => u16(bytes, at + IDENTIFIER)
/** Of an echo. */
export const icmpSequence = (bytes: ReadonlyBytes, at: number): number => u16(bytes, at + SEQUENCE)
/** RFC 1191: the next hop's MTU, of a "fragmentation needed". */
export const icmp4NextHopMtu = (bytes: ReadonlyBytes, at: number): number => u16(bytes, at + SEQUENCE)
/** RFC 4443 §3.2: of a Packet Too Big, an unsigned 32-bit number, here clamped to 31 bits. */
export const icmp6Mtu = (bytes: ReadonlyBytes, at: number): number => {
  const mtu = i32(bytes, at + REST)
  return mtu < 0 ? 0x7fffffff : mtu
}

export const setIcmpChecksum = (bytes: Uint8Array, at: number, checksum: number): void =>
  putU16(bytes, at + CHECKSUM, checksum)

export const setIcmpType = (bytes: Uint8Array, at: number, type: number): void => {
  bytes[at + TYPE] = type
}

/** Writes the first 8 bytes, checksum 0. @param rest - the second word */
export function emitIcmp(bytes: Uint8Array, at: number, type: number, code: number, rest: number): void {
  bytes[at + TYPE] = type
  bytes[at + CODE] = code
  putU16(bytes, at + CHECKSUM, 0)
  putI32(bytes, at + REST, rest)
}

/** RFC 792: the errors among the types (RFC 1122 §3.2.2). */
export function isIcmp4Error(type: number): boolean {
  return (
    type === ICMP4_UNREACHABLE ||
    type === ICMP4_TIME_EXCEEDED ||
    type === ICMP4_PARAMETER_PROBLEM ||
    type === ICMP4_SOURCE_QUENCH ||
    type === ICMP4_REDIRECT
  )
}

/** RFC 4443 §2.1: errors have a type below 128; a redirect never causes an error either (§2.4 e.2). */
export function isIcmp6Error(type: number): boolean {
  return type < 128 || type === ICMP6_REDIRECT
}
