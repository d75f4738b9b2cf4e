/**
 * An ICMP error that came in: whose packet it quotes, what that means for the path, and who is to hear of it.
 * RFC 1122 §3.2.2, RFC 1191, RFC 8201 §4, RFC 4443 §2.4; what it claims is believed only as far as RFC 5927 advises.
 */
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { putnext } from '../../streams/putnext.ts'
import { canputnext } from '../../streams/queue.ts'
import { KIND_LOCAL, KIND_LOOPBACK } from '../ip/addresses.ts'
import type { IpCounter } from '../ip/counters.ts'
import { drop } from '../ip/deliver.ts'
import { DEST_KIND } from '../ip/destinations.ts'
import { atFront } from '../ip/input4.ts'
import type { Interface } from '../ip/interfaces.ts'
import type { Ip } from '../ip/ip.ts'
import { lowerPathMtu } from '../ip/lower-path-mtu.ts'
import { plateauBelow } from '../ip/path-mtu.ts'
import {
  allocUnitdata,
  ERROR_CODE,
  ERROR_IND,
  ERROR_MTU,
  FAMILY,
  INTERFACE,
  LOCAL,
  LOCAL_PORT,
  MAPPED_WORD,
  PROTOCOL,
  QUOTED_SEQ,
  REMOTE,
  REMOTE_PORT,
} from '../unitdata.ts'
import { i32, u16 } from '../wire/fields.ts'
import {
  ICMP_HEADER_SIZE,
  ICMP4_ECHO_REQUEST,
  ICMP6_ECHO_REQUEST,
  icmp4NextHopMtu,
  icmp6Mtu,
  icmpCode,
  icmpIdentifier,
  icmpSequence,
  icmpType,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
} from '../wire/icmp.ts'
import {
  IPV4_HEADER_SIZE,
  IPV4_HEADER_SIZE_MAX,
  IPV4_OFFSET_MASK,
  ipv4Destination,
  ipv4FragmentField,
  ipv4HeaderBytes,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
} from '../wire/ipv4.ts'
import {
  FRAGMENT_HEADER_SIZE,
  IPV6_HEADER_SIZE,
  IPV6_MTU_MIN,
  ipv6DestinationWord,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6SourceWord,
  NH_FRAGMENT,
} from '../wire/ipv6.ts'
import { IPPROTO_TCP, SEQUENCE } from '../wire/tcp.ts'
import { ERROR_TOO_BIG, errorOfIcmp4, errorOfIcmp6 } from './errors.ts'

/** Bytes of transport header that every error quotes. */
const QUOTED_TRANSPORT_BYTES = 8
const MTU_MIN4 = 68
const FRAGMENT_OFFSET_MASK = 0xfff8

/** What an error quotes; one record serves all. */
class Quote {
  family = 4
  protocol = 0
  /** Bytes of the packet that caused it. */
  size = 0
  localPort = 0
  remotePort = 0
  /** Of TCP; else 0. */
  sequence = 0
  local0 = 0
  local1 = 0
  local2 = 0
  local3 = 0
  remote0 = 0
  remote1 = 0
  remote2 = 0
  remote3 = 0
}

const quote = new Quote()

/** @param mp - consumed: as in `icmpInput`, checksum right, neither echo nor a type that is ignored */
export function errorInput(
  ip: Ip,
  from: Interface,
  mp: Mblk,
  family: number,
  headerBytes: number,
  size: number,
): void {
  const icmpAt = mp.rptr + headerBytes
  const type = icmpType(mp.bytes, icmpAt)
  const code = icmpCode(mp.bytes, icmpAt)
  const error = family === 4 ? errorOfIcmp4(type, code) : errorOfIcmp6(type, code)
  if (error === 0) return drop(ip, mp, 'icmp-unknown')
  const quoteBytes =
    family === 4
      ? IPV4_HEADER_SIZE_MAX + QUOTED_TRANSPORT_BYTES
      : IPV6_HEADER_SIZE + FRAGMENT_HEADER_SIZE + QUOTED_TRANSPORT_BYTES
  const front = atFront(ip, mp, Math.min(size, headerBytes + ICMP_HEADER_SIZE + quoteBytes))
  if (front === null) return
  const fault = family === 4 ? readQuote4(front, headerBytes) : readQuote6(front, headerBytes)
  if (fault !== null) return drop(ip, front, fault)
  if (!isFromUs(ip, from)) return drop(ip, front, 'icmp-quote-not-ours')
  ip.counters['icmp-errors-in']++
  let mtu = 0
  if (error === ERROR_TOO_BIG) {
    mtu = claimedMtu(front, family, headerBytes)
    const fault = mtuFault(ip, mtu)
    if (fault !== null) return drop(ip, front, fault)
    // RFC 5927 §7.2: TCP knows whether it has sent such a segment, so TCP says whether it is believed.
    if (quote.protocol !== IPPROTO_TCP)
      lowerPathMtu(ip, quote.family, quote.remote0, quote.remote1, quote.remote2, quote.remote3, mtu)
  }
  freemsg(front)
  tell(ip, from, error, mtu)
}

/** Whether the quoted packet is one that we sent, by a way on which the reporter could have seen it. */
function isFromUs(ip: Ip, from: Interface): boolean {
  const { destinations } = ip
  const { table } = destinations
  const local =
    table[destinations.find(quote.local0, quote.local1, quote.local2, quote.local3, 0) + DEST_KIND]
  if (from.loopback) return local === KIND_LOCAL || local === KIND_LOOPBACK
  const remote =
    table[destinations.find(quote.remote0, quote.remote1, quote.remote2, quote.remote3, 0) + DEST_KIND]
  return local === KIND_LOCAL && remote !== KIND_LOCAL && remote !== KIND_LOOPBACK
}

function readQuote4(mp: Mblk, headerBytes: number): IpCounter | null {
  const { bytes } = mp
  const at = mp.rptr + headerBytes + ICMP_HEADER_SIZE
  if (mp.wptr - at < IPV4_HEADER_SIZE || bytes[at]! >> 4 !== 4) return 'icmp-quote-malformed'
  const quotedHeader = ipv4HeaderBytes(bytes, at)
  if (quotedHeader < IPV4_HEADER_SIZE) return 'icmp-quote-malformed'
  if (mp.wptr - at < quotedHeader + QUOTED_TRANSPORT_BYTES) return 'icmp-quote-malformed'
  if ((ipv4FragmentField(bytes, at) & IPV4_OFFSET_MASK) !== 0) return 'icmp-quote-malformed'
  quote.family = 4
  quote.protocol = ipv4Protocol(bytes, at)
  quote.size = ipv4TotalLength(bytes, at)
  quote.local0 = 0
  quote.local1 = 0
  quote.local2 = MAPPED_WORD
  quote.local3 = ipv4Source(bytes, at)
  quote.remote0 = 0
  quote.remote1 = 0
  quote.remote2 = MAPPED_WORD
  quote.remote3 = ipv4Destination(bytes, at)
  return readPorts(mp, at + quotedHeader)
}

function readQuote6(mp: Mblk, headerBytes: number): IpCounter | null {
  const { bytes } = mp
  const at = mp.rptr + headerBytes + ICMP_HEADER_SIZE
  const have = mp.wptr - at
  if (have < IPV6_HEADER_SIZE + QUOTED_TRANSPORT_BYTES || bytes[at]! >> 4 !== 6) return 'icmp-quote-malformed'
  quote.family = 6
  quote.protocol = ipv6NextHeader(bytes, at)
  quote.size = IPV6_HEADER_SIZE + ipv6PayloadLength(bytes, at)
  quote.local0 = ipv6SourceWord(bytes, at, 0)
  quote.local1 = ipv6SourceWord(bytes, at, 1)
  quote.local2 = ipv6SourceWord(bytes, at, 2)
  quote.local3 = ipv6SourceWord(bytes, at, 3)
  quote.remote0 = ipv6DestinationWord(bytes, at, 0)
  quote.remote1 = ipv6DestinationWord(bytes, at, 1)
  quote.remote2 = ipv6DestinationWord(bytes, at, 2)
  quote.remote3 = ipv6DestinationWord(bytes, at, 3)
  if (quote.protocol !== NH_FRAGMENT) return readPorts(mp, at + IPV6_HEADER_SIZE)
  // The only extension header that we send.
  const fragmentAt = at + IPV6_HEADER_SIZE
  if (have < IPV6_HEADER_SIZE + FRAGMENT_HEADER_SIZE + QUOTED_TRANSPORT_BYTES) return 'icmp-quote-malformed'
  if ((u16(bytes, fragmentAt + 2) & FRAGMENT_OFFSET_MASK) !== 0) return 'icmp-quote-malformed'
  quote.protocol = bytes[fragmentAt]!
  return readPorts(mp, fragmentAt + FRAGMENT_HEADER_SIZE)
}

/**
 * The quoted ports; of an echo request, its identifier and sequence number stand in their places; of TCP, its sequence number.
 * @param at - of the transport header, {@link QUOTED_TRANSPORT_BYTES} of which are there
 */
function readPorts(mp: Mblk, at: number): IpCounter | null {
  const { bytes } = mp
  quote.sequence = quote.protocol === IPPROTO_TCP ? i32(bytes, at + SEQUENCE) : 0
  if (quote.protocol !== PROTOCOL_ICMP && quote.protocol !== PROTOCOL_ICMPV6) {
    quote.localPort = u16(bytes, at)
    quote.remotePort = u16(bytes, at + 2)
    return null
  }
  const request = quote.protocol === PROTOCOL_ICMP ? ICMP4_ECHO_REQUEST : ICMP6_ECHO_REQUEST
  if (icmpType(bytes, at) !== request) return 'icmp-quote-malformed'
  quote.localPort = icmpIdentifier(bytes, at)
  quote.remotePort = icmpSequence(bytes, at)
  return null
}

function claimedMtu(mp: Mblk, family: number, headerBytes: number): number {
  const at = mp.rptr + headerBytes
  if (family === 6) return icmp6Mtu(mp.bytes, at)
  const mtu = icmp4NextHopMtu(mp.bytes, at)
  // RFC 1191 §5: a router of old does not say.
  return mtu === 0 ? Math.max(plateauBelow(quote.size), MTU_MIN4) : mtu
}

/**
 * Whether a smaller path MTU can be: the quoted packet must have been larger, and to somebody we sent to lately.
 * @returns why the error is not believed, or null
 */
function mtuFault(ip: Ip, claimed: number): IpCounter | null {
  // RFC 8201 §4: less than 1280 is no answer of a router.
  if (claimed < (quote.family === 4 ? MTU_MIN4 : IPV6_MTU_MIN)) return 'icmp-mtu-implausible'
  if (claimed >= quote.size) return 'icmp-mtu-implausible'
  const { remote0, remote1, remote2, remote3 } = quote
  return ip.destinations.wasSentTo(remote0, remote1, remote2, remote3) ? null : 'icmp-mtu-unsolicited'
}

/** Tells the transport whose packet it was. */
function tell(ip: Ip, from: Interface, error: number, mtu: number): void {
  const upper = ip.bound[quote.protocol]!
  if (upper === null) {
    ip.counters['icmp-quote-no-transport']++
    return
  }
  if (!canputnext(upper)) {
    ip.counters['upper-full']++
    return
  }
  const control = allocUnitdata(ip.arena, ERROR_IND)
  if (control === null) {
    ip.counters['no-buffers']++
    return
  }
  const { words } = ip
  const at = control.rptr >> 2
  words[at + FAMILY] = quote.family
  words[at + PROTOCOL] = quote.protocol
  words[at + LOCAL_PORT] = quote.localPort
  words[at + REMOTE_PORT] = quote.remotePort
  words[at + LOCAL] = quote.local0
  words[at + LOCAL + 1] = quote.local1
  words[at + LOCAL + 2] = quote.local2
  words[at + LOCAL + 3] = quote.local3
  words[at + REMOTE] = quote.remote0
  words[at + REMOTE + 1] = quote.remote1
  words[at + REMOTE + 2] = quote.remote2
  words[at + REMOTE + 3] = quote.remote3
  words[at + INTERFACE] = from.index
  words[at + ERROR_CODE] = error
  words[at + ERROR_MTU] = mtu
  words[at + QUOTED_SEQ] = quote.sequence
  putnext(upper, control)
}
