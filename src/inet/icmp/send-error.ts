/** Telling a sender what became of its packet: RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3.2, RFC 4443 §2.4 and §3. */
import { fold } from '../../base/checksum.ts'
import { allocb, freemsg } from '../../streams/mblk/alloc.ts'
import { HEADROOM_BYTES } from '../../streams/mblk/arena.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { adjmsg, messageBytes } from '../../streams/mblk/message.ts'
import { sumMessage } from '../../streams/mblk/sum.ts'
import {
  KIND_BROADCAST,
  KIND_LOCAL,
  KIND_LOOPBACK,
  KIND_MEMBER,
  KIND_MULTICAST,
  KIND_UNICAST,
} from '../ip/addresses.ts'
import { DEST_INTERFACE, DEST_KIND, DEST_MTU, DEST_SOURCE } from '../ip/destinations.ts'
import { HeaderWalk, skipHeaders } from '../ip/extension-headers.ts'
import type { Interface } from '../ip/interfaces.ts'
import type { Ip } from '../ip/ip.ts'
import { transmit } from '../ip/transmit.ts'
import { MAPPED_WORD } from '../unitdata.ts'
import {
  emitIcmp,
  ICMP_HEADER_SIZE,
  icmpType,
  isIcmp4Error,
  isIcmp6Error,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  setIcmpChecksum,
} from '../wire/icmp.ts'
import {
  emitIpv4,
  IPV4_DF,
  IPV4_HEADER_SIZE,
  IPV4_OFFSET_MASK,
  ipv4Destination,
  ipv4FragmentField,
  ipv4HeaderBytes,
  ipv4Protocol,
  ipv4Source,
} from '../wire/ipv4.ts'
import {
  addressSum6,
  emitIpv6,
  IPV6_HEADER_SIZE,
  IPV6_MTU_MIN,
  ipv6DestinationWord,
  ipv6SourceWord,
  putIpv6Destination,
  putIpv6Source,
} from '../wire/ipv6.ts'
import { ERROR_OPTION, ERROR_PARAMETER, ERROR_TOO_BIG, icmpOfError } from './errors.ts'

/** RFC 1812 §4.3.2.3: as much of the packet as makes an error of 576 bytes. */
const ERROR4_BYTES_MAX = 576
/** RFC 1812 §4.3.2.5: errors travel with precedence "internetwork control". */
const ERROR4_TYPE_OF_SERVICE = 0xc0

/** Where the error goes and what it says it comes from; one record serves all. */
class ErrorPath {
  to0 = 0
  to1 = 0
  to2 = 0
  to3 = 0
  from0 = 0
  from1 = 0
  from2 = 0
  from3 = 0
  out: Interface | null = null
  mtu = 0
}

const path = new ErrorPath()
const walk = new HeaderWalk()

/**
 * Answers a packet with an ICMP error, if the rules and the rate limit let us.
 * @param mp - consumed: the packet, IP header first, its headers contiguous as far as there are any
 * @param error - `ERROR_*`; 0, or one that the family does not know, sends nothing
 * @param detail - the MTU of `ERROR_TOO_BIG`, the pointer of `ERROR_PARAMETER` and its like, else 0
 */
export function sendIcmpError(ip: Ip, mp: Mblk, error: number, detail: number): void {
  const family = mp.bytes[mp.rptr]! >> 4
  const wire = icmpOfError(family, error)
  if (wire === 0) return freemsg(mp)
  const allowed = family === 4 ? mayAnswer4(ip, mp) : mayAnswer6(ip, mp, error)
  if (!allowed) {
    ip.counters['icmp-error-suppressed']++
    return freemsg(mp)
  }
  if (!ip.errorLimit.allow(path.to0 ^ path.to1 ^ path.to3, ip.now())) {
    ip.counters['icmp-error-rate-limited']++
    return freemsg(mp)
  }
  const rest = family === 4 && error === ERROR_PARAMETER ? detail << 24 : detail
  sendQuote(ip, mp, family, wire, rest)
}

/** RFC 1122 §3.2.2: which packets never cause an error. Fills in {@link path} for those that may. */
function mayAnswer4(ip: Ip, mp: Mblk): boolean {
  const { bytes, rptr } = mp
  if ((ipv4FragmentField(bytes, rptr) & IPV4_OFFSET_MASK) !== 0) return false
  if (ipv4Protocol(bytes, rptr) === PROTOCOL_ICMP) {
    const at = rptr + ipv4HeaderBytes(bytes, rptr)
    if (at >= mp.wptr || isIcmp4Error(icmpType(bytes, at))) return false
  }
  path.from0 = 0
  path.from1 = 0
  path.from2 = MAPPED_WORD
  path.from3 = ipv4Destination(bytes, rptr)
  path.to0 = 0
  path.to1 = 0
  path.to2 = MAPPED_WORD
  path.to3 = ipv4Source(bytes, rptr)
  return findPath(ip, false)
}

/** RFC 4443 §2.4 e. */
function mayAnswer6(ip: Ip, mp: Mblk, error: number): boolean {
  const { bytes, rptr } = mp
  if (concernsError6(mp)) return false
  path.from0 = ipv6DestinationWord(bytes, rptr, 0)
  path.from1 = ipv6DestinationWord(bytes, rptr, 1)
  path.from2 = ipv6DestinationWord(bytes, rptr, 2)
  path.from3 = ipv6DestinationWord(bytes, rptr, 3)
  path.to0 = ipv6SourceWord(bytes, rptr, 0)
  path.to1 = ipv6SourceWord(bytes, rptr, 1)
  path.to2 = ipv6SourceWord(bytes, rptr, 2)
  path.to3 = ipv6SourceWord(bytes, rptr, 3)
  return findPath(ip, error === ERROR_TOO_BIG || error === ERROR_OPTION)
}

/** Whether the packet is, or may be, an ICMPv6 error, or is a fragment other than the first. */
function concernsError6(mp: Mblk): boolean {
  const { bytes, rptr, wptr } = mp
  if (!skipHeaders(bytes, rptr, wptr, walk)) return true
  if (walk.nextHeader !== PROTOCOL_ICMPV6) return false
  const at = rptr + walk.offset
  return at >= wptr || isIcmp6Error(icmpType(bytes, at))
}

/**
 * The way back to the sender, and the address to answer from: the one that was asked, if it is ours.
 * @param multicastToo - errors of this kind answer packets to a group as well (RFC 4443 §2.4 e.3)
 */
function findPath(ip: Ip, multicastToo: boolean): boolean {
  const { destinations, interfaces } = ip
  const { table } = destinations
  const asked = table[destinations.find(path.from0, path.from1, path.from2, path.from3, 0) + DEST_KIND]
  if (asked === KIND_BROADCAST) return false
  if ((asked === KIND_MEMBER || asked === KIND_MULTICAST) && !multicastToo) return false
  const at = destinations.find(path.to0, path.to1, path.to2, path.to3, 0)
  const kind = table[at + DEST_KIND]
  if (kind !== KIND_UNICAST && kind !== KIND_LOCAL && kind !== KIND_LOOPBACK) return false
  path.out = interfaces[table[at + DEST_INTERFACE]!] ?? null
  path.mtu = table[at + DEST_MTU]!
  if (asked !== KIND_LOCAL && asked !== KIND_LOOPBACK) {
    path.from0 = table[at + DEST_SOURCE]!
    path.from1 = table[at + DEST_SOURCE + 1]!
    path.from2 = table[at + DEST_SOURCE + 2]!
    path.from3 = table[at + DEST_SOURCE + 3]!
  }
  return path.out !== null && (path.from0 | path.from1 | path.from2 | path.from3) !== 0
}

/** Puts the headers of the error in front of as much of the packet as may be quoted; nothing is copied. */
function sendQuote(ip: Ip, mp: Mblk, family: number, wire: number, rest: number): void {
  const head = allocb(ip.arena, ICMP_HEADER_SIZE, HEADROOM_BYTES)
  if (head === null) {
    ip.counters['no-buffers']++
    return freemsg(mp)
  }
  const headerBytes = family === 4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE
  const limit = Math.min(family === 4 ? ERROR4_BYTES_MAX : IPV6_MTU_MIN, path.mtu)
  const size = messageBytes(mp)
  const quoted = Math.min(size, limit - headerBytes - ICMP_HEADER_SIZE)
  if (quoted < size) adjmsg(mp, quoted - size)
  mp.offload = 0
  head.cont = mp
  const bytes = head.dblk.bytes
  const length = ICMP_HEADER_SIZE + quoted
  head.wptr += ICMP_HEADER_SIZE
  emitIcmp(bytes, head.rptr, wire >> 8, wire & 0xff, rest)
  head.rptr -= headerBytes
  if (family === 4) {
    const { from3, to3 } = path
    const total = headerBytes + length
    emitIpv4(
      bytes,
      head.rptr,
      ERROR4_TYPE_OF_SERVICE,
      total,
      0,
      IPV4_DF,
      ip.hopLimit,
      PROTOCOL_ICMP,
      from3,
      to3,
    )
  } else {
    emitIpv6(bytes, head.rptr, 0, length, PROTOCOL_ICMPV6, ip.hopLimit)
    putIpv6Source(bytes, head.rptr, path.from0, path.from1, path.from2, path.from3)
    putIpv6Destination(bytes, head.rptr, path.to0, path.to1, path.to2, path.to3)
  }
  const pseudo = family === 4 ? 0 : addressSum6(bytes, head.rptr) + PROTOCOL_ICMPV6 + length
  setIcmpChecksum(bytes, head.rptr + headerBytes, ~fold(sumMessage(head, headerBytes, length, fold(pseudo))))
  ip.counters['icmp-errors-out']++
  transmit(ip, path.out!, head, family, headerBytes + length, path.mtu)
}
