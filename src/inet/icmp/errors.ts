/**
 * What an ICMP error, or IP itself, tells a transport: one small number for both families, in the word `ERROR_CODE` of
 * a control block. Here are its meaning for programs and its types and codes on the wire
 * (RFC 792, RFC 1122 §3.2.2, RFC 1812 §5.2.7, RFC 4443 §3).
 */
import type { ErrorCode } from '../../base/errors.ts'
import {
  ICMP4_PARAMETER_PROBLEM,
  ICMP4_TIME_EXCEEDED,
  ICMP4_UNREACHABLE,
  ICMP6_PARAMETER_PROBLEM,
  ICMP6_TIME_EXCEEDED,
  ICMP6_TOO_BIG,
  ICMP6_UNREACHABLE,
} from '../wire/icmp.ts'

export const ERROR_NET_UNREACHABLE = 1
export const ERROR_HOST_UNREACHABLE = 2
export const ERROR_PROTOCOL_UNREACHABLE = 3
export const ERROR_PORT_UNREACHABLE = 4
/** Larger than the path takes; `ERROR_MTU` says what it takes. */
export const ERROR_TOO_BIG = 5
export const ERROR_PROHIBITED = 6
export const ERROR_HOP_LIMIT = 7
export const ERROR_REASSEMBLY_TIME = 8
/** A header field was wrong; of a REJECT_REQ, the pointer is 0. */
export const ERROR_PARAMETER = 9
/** IPv6: a next header that is not known. */
export const ERROR_NEXT_HEADER = 10
/** IPv6: an option that is not known. */
export const ERROR_OPTION = 11
export const ERROR_SOURCE_ROUTE = 12
/** IPv6: a first fragment without all its headers (RFC 7112). */
export const ERROR_HEADER_CHAIN = 13

/** From here on: IP's own answers to a request, never seen on the wire. */
export const ERROR_SOURCE_NOT_OURS = 32
/** To a broadcast address without `UD_BROADCAST`. */
export const ERROR_BROADCAST = 33
/** To a multicast address. */
export const ERROR_MULTICAST = 34
export const ERROR_NO_BUFFERS = 35
/** The request makes no sense. */
export const ERROR_MALFORMED = 36

interface Meaning {
  readonly error: ErrorCode
  readonly text: string
  /** RFC 1122 §4.2.3.9: the peer or the path says that trying again is of no use. */
  readonly hard: boolean
}

const MEANINGS: Readonly<Record<number, Meaning>> = {
  [ERROR_NET_UNREACHABLE]: { error: 'ERR_NETWORK_UNREACHABLE', text: 'no route to the network', hard: false },
  [ERROR_HOST_UNREACHABLE]: {
    error: 'ERR_HOST_UNREACHABLE',
    text: 'the host cannot be reached',
    hard: false,
  },
  [ERROR_PROTOCOL_UNREACHABLE]: {
    error: 'ERR_NOT_SUPPORTED',
    text: 'the host does not speak the protocol',
    hard: true,
  },
  [ERROR_PORT_UNREACHABLE]: { error: 'ERR_CONN_REFUSED', text: 'nobody listens on the port', hard: true },
  [ERROR_TOO_BIG]: { error: 'ERR_FRAGMENT_NEEDED', text: 'larger than the path takes', hard: false },
  [ERROR_PROHIBITED]: { error: 'ERR_ACCESS', text: 'a filter on the way forbids it', hard: false },
  [ERROR_HOP_LIMIT]: { error: 'ERR_HOST_UNREACHABLE', text: 'too many hops', hard: false },
  [ERROR_REASSEMBLY_TIME]: { error: 'ERR_HOST_UNREACHABLE', text: 'a fragment was lost', hard: false },
  [ERROR_PARAMETER]: { error: 'ERR_PROTOCOL', text: 'the host refused a header field', hard: false },
  [ERROR_NEXT_HEADER]: { error: 'ERR_NOT_SUPPORTED', text: 'the host does not know the header', hard: true },
  [ERROR_OPTION]: { error: 'ERR_NOT_SUPPORTED', text: 'the host does not know the option', hard: false },
  [ERROR_SOURCE_ROUTE]: { error: 'ERR_NOT_SUPPORTED', text: 'the source route failed', hard: false },
  [ERROR_HEADER_CHAIN]: { error: 'ERR_PROTOCOL', text: 'the first fragment lacked headers', hard: false },
  [ERROR_SOURCE_NOT_OURS]: {
    error: 'ERR_ADDR_NOT_AVAILABLE',
    text: 'the source address is none of this stack',
    hard: false,
  },
  [ERROR_BROADCAST]: { error: 'ERR_ACCESS', text: 'broadcast was not allowed on this endpoint', hard: false },
  [ERROR_MULTICAST]: {
    error: 'ERR_NOT_SUPPORTED',
    text: 'sending to multicast is not supported',
    hard: false,
  },
  [ERROR_NO_BUFFERS]: { error: 'ERR_NO_BUFFERS', text: 'no block left', hard: false },
  [ERROR_MALFORMED]: { error: 'ERR_BAD_ARGUMENT', text: 'the request makes no sense', hard: false },
}

const UNKNOWN: Meaning = { error: 'ERR_PROTOCOL', text: 'an error of an unknown kind', hard: false }

/** The meaning of an `ERROR_CODE` word, for programs and people. */
export function errorMeaning(code: number): Meaning {
  return MEANINGS[code] ?? UNKNOWN
}

/** Codes of an ICMP Destination Unreachable, 0 to 15 (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1). */
const UNREACHABLE4 = [
  ERROR_NET_UNREACHABLE,
  ERROR_HOST_UNREACHABLE,
  ERROR_PROTOCOL_UNREACHABLE,
  ERROR_PORT_UNREACHABLE,
  ERROR_TOO_BIG,
  ERROR_SOURCE_ROUTE,
  ERROR_NET_UNREACHABLE,
  ERROR_HOST_UNREACHABLE,
  ERROR_HOST_UNREACHABLE,
  ERROR_PROHIBITED,
  ERROR_PROHIBITED,
  ERROR_NET_UNREACHABLE,
  ERROR_HOST_UNREACHABLE,
  ERROR_PROHIBITED,
  ERROR_HOST_UNREACHABLE,
  ERROR_PROHIBITED,
]

/** Codes of an ICMPv6 Destination Unreachable, 0 to 6 (RFC 4443 §3.1). */
const UNREACHABLE6 = [
  ERROR_NET_UNREACHABLE,
  ERROR_PROHIBITED,
  ERROR_HOST_UNREACHABLE,
  ERROR_HOST_UNREACHABLE,
  ERROR_PORT_UNREACHABLE,
  ERROR_PROHIBITED,
  ERROR_NET_UNREACHABLE,
]

const PARAMETER6 = [ERROR_PARAMETER, ERROR_NEXT_HEADER, ERROR_OPTION, ERROR_HEADER_CHAIN]

/** What an ICMP error that came in means; 0 for a code that nobody defined. */
export function errorOfIcmp4(type: number, code: number): number {
  if (type === ICMP4_UNREACHABLE) return UNREACHABLE4[code] ?? 0
  if (type === ICMP4_TIME_EXCEEDED)
    return code === 0 ? ERROR_HOP_LIMIT : code === 1 ? ERROR_REASSEMBLY_TIME : 0
  if (type === ICMP4_PARAMETER_PROBLEM) return code <= 2 ? ERROR_PARAMETER : 0
  return 0
}

/** As {@link errorOfIcmp4}, for ICMPv6. */
export function errorOfIcmp6(type: number, code: number): number {
  if (type === ICMP6_UNREACHABLE) return UNREACHABLE6[code] ?? 0
  // RFC 4443 §3.2: the code of a Packet Too Big is ignored.
  if (type === ICMP6_TOO_BIG) return ERROR_TOO_BIG
  if (type === ICMP6_TIME_EXCEEDED)
    return code === 0 ? ERROR_HOP_LIMIT : code === 1 ? ERROR_REASSEMBLY_TIME : 0
  if (type === ICMP6_PARAMETER_PROBLEM) return PARAMETER6[code] ?? 0
  return 0
}

/** Type and code on the wire, as `type << 8 | code`, by our error; 0 where the family has none. */
const WIRE4 = [0, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x030d, 0x0b00, 0x0b01, 0x0c00, 0, 0, 0x0305, 0]
const WIRE6 = [
  0, 0x0100, 0x0103, 0x0401, 0x0104, 0x0200, 0x0101, 0x0300, 0x0301, 0x0400, 0x0401, 0x0402, 0, 0x0403,
]

/** Type and code that tell an error to a peer. @returns `type << 8 | code`, 0 if the family has no such error */
export function icmpOfError(family: number, code: number): number {
  return (family === 4 ? WIRE4[code] : WIRE6[code]) ?? 0
}
