/** What happens to an IPv6 packet that a link brings: RFC 8200, RFC 4291, checklist 3.3. */
import { type Mblk, OFFLOAD_CSUM_NEEDED, OFFLOAD_GSO } from '../../streams/mblk/mblk.ts'
import { adjmsg, messageBytes } from '../../streams/mblk/message.ts'
import { isMapped } from '../address.ts'
import { ERROR_NEXT_HEADER } from '../icmp/errors.ts'
import { icmpInput } from '../icmp/input.ts'
import { sendIcmpError } from '../icmp/send-error.ts'
import { PROTOCOL_ICMPV6 } from '../wire/icmp.ts'
import {
  checkIpv6,
  FRAGMENT_HEADER_SIZE,
  IPV6_HEADER_SIZE,
  ipv6DestinationWord,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6SourceWord,
  NH_DESTINATION,
  NH_FRAGMENT,
  NH_HOP_BY_HOP,
  NH_NONE,
  NH_ROUTING,
} from '../wire/ipv6.ts'
import {
  KIND_LOCAL,
  KIND_LOOPBACK,
  KIND_MEMBER,
  KIND_MULTICAST,
  KIND_UNICAST,
  KIND_UNREACHABLE,
} from './addresses.ts'
import { offloadFits } from './checksum-offload.ts'
import { drop, indicate } from './deliver.ts'
import { DEST_KIND } from './destinations.ts'
import { HEADERS_BYTES_MAX, walkHeaders } from './extension-headers.ts'
import { forward } from './forward.ts'
import { atFront, isOwnTraffic, TRANSPORT_BYTES } from './input4.ts'
import type { Interface } from './interfaces.ts'
import type { Ip } from './ip.ts'
import type { PacketAddresses } from './packet-addresses.ts'

/** @param mp - consumed: a packet that begins with version 6 */
export function input6(ip: Ip, from: Interface, mp: Mblk): void {
  const size = mp.cont === null ? mp.wptr - mp.rptr : messageBytes(mp)
  const whole = mp.cont === null ? mp : atFront(ip, mp, Math.min(size, IPV6_HEADER_SIZE + TRANSPORT_BYTES))
  if (whole === null) return
  mp = whole
  const { bytes, rptr } = mp
  const fault = checkIpv6(bytes, rptr, mp.wptr - rptr, size)
  if (fault !== null) return drop(ip, mp, fault)
  const total = IPV6_HEADER_SIZE + ipv6PayloadLength(bytes, rptr)
  // RFC 2675: length 0 in front of hop-by-hop options is a jumbogram, which no link of ours carries.
  if (total === IPV6_HEADER_SIZE && ipv6NextHeader(bytes, rptr) === NH_HOP_BY_HOP)
    return drop(ip, mp, 'ipv6-jumbogram')
  if (total < size) {
    ip.counters['padding-trimmed']++
    adjmsg(mp, total - size)
  }
  const packet = readAddresses(ip, mp)
  const kind = kindOf(ip, packet.destination0, packet.destination1, packet.destination2, packet.destination3)
  const sourceKind = kindOf(ip, packet.source0, packet.source1, packet.source2, packet.source3)
  if (sourceKind !== KIND_UNICAST && sourceKind !== KIND_UNREACHABLE && !isOwnTraffic(from, sourceKind))
    return drop(ip, mp, 'martian-source')
  switch (kind) {
    case KIND_LOCAL:
      return toUs(ip, from, mp, total, false)
    case KIND_LOOPBACK:
      return from.loopback ? toUs(ip, from, mp, total, false) : drop(ip, mp, 'martian-destination')
    case KIND_MEMBER:
      return toUs(ip, from, mp, total, true)
    case KIND_MULTICAST:
      return drop(ip, mp, 'multicast-not-member')
    case KIND_UNICAST:
    case KIND_UNREACHABLE:
      return forward(ip, from, mp, 6, IPV6_HEADER_SIZE, total)
    default:
      return drop(ip, mp, 'martian-destination')
  }
}

function readAddresses(ip: Ip, mp: Mblk): PacketAddresses {
  const { bytes, rptr } = mp
  const { packet } = ip
  packet.source0 = ipv6SourceWord(bytes, rptr, 0)
  packet.source1 = ipv6SourceWord(bytes, rptr, 1)
  packet.source2 = ipv6SourceWord(bytes, rptr, 2)
  packet.source3 = ipv6SourceWord(bytes, rptr, 3)
  packet.destination0 = ipv6DestinationWord(bytes, rptr, 0)
  packet.destination1 = ipv6DestinationWord(bytes, rptr, 1)
  packet.destination2 = ipv6DestinationWord(bytes, rptr, 2)
  packet.destination3 = ipv6DestinationWord(bytes, rptr, 3)
  return packet
}

/** An IPv4-mapped address on the wire would be taken for the IPv4 address by whoever compares words. */
const KIND_MAPPED = -1

function kindOf(ip: Ip, w0: number, w1: number, w2: number, w3: number): number {
  if (isMapped(w0, w1, w2)) return KIND_MAPPED
  const { destinations } = ip
  return destinations.table[destinations.find(w0, w1, w2, w3, 0) + DEST_KIND]!
}

function isExtension(next: number): boolean {
  return next === NH_HOP_BY_HOP || next === NH_ROUTING || next === NH_DESTINATION || next === NH_FRAGMENT
}

function toUs(ip: Ip, from: Interface, mp: Mblk, total: number, notUnicast: boolean): void {
  const next = ipv6NextHeader(mp.bytes, mp.rptr)
  if (!isExtension(next)) local6(ip, from, mp, next, IPV6_HEADER_SIZE, 6, total, notUnicast)
  else toUsExtended(ip, from, mp, total, notUnicast, false)
}

/** As {@link toUs}, with extension headers. @param reassembled - a fragment header within is refused */
function toUsExtended(
  ip: Ip,
  from: Interface,
  mp: Mblk,
  total: number,
  notUnicast: boolean,
  reassembled: boolean,
): void {
  const { walk } = ip
  const front = atFront(ip, mp, Math.min(total, IPV6_HEADER_SIZE + HEADERS_BYTES_MAX + TRANSPORT_BYTES))
  if (front === null) return
  mp = front
  const { bytes, rptr } = mp
  const fault = walkHeaders(bytes, rptr, Math.min(mp.wptr, rptr + total), false, notUnicast, walk)
  if (fault !== null) {
    ip.counters[fault]++
    return sendIcmpError(ip, mp, walk.error, walk.pointer)
  }
  const { nextHeader, offset, nextHeaderAt } = walk
  if (nextHeader !== NH_FRAGMENT)
    return local6(ip, from, mp, nextHeader, offset, nextHeaderAt, total, notUnicast)
  if (reassembled) return drop(ip, mp, 'ipv6-nested-fragment')
  if ((mp.offload & (OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO)) !== 0) return drop(ip, mp, 'offload-fragment')
  if (offset + FRAGMENT_HEADER_SIZE > total) return drop(ip, mp, 'ipv6-headers-truncated')
  const datagram = ip.reassembly.input(mp, 6, ip.now())
  ip.armReassembly()
  if (datagram === null) return
  ip.counters['datagrams-reassembled']++
  toUsExtended(ip, from, datagram, messageBytes(datagram), notUnicast, true)
}

/** A whole datagram for us. @param offset - where the transport begins */
function local6(
  ip: Ip,
  from: Interface,
  mp: Mblk,
  protocol: number,
  offset: number,
  nextHeaderAt: number,
  size: number,
  notUnicast: boolean,
): void {
  if (mp.offload !== 0 && !offloadFits(mp, 6, protocol, offset, size)) return drop(ip, mp, 'offload-mismatch')
  if (protocol === PROTOCOL_ICMPV6) return icmpInput(ip, from, mp, 6, offset, size, notUnicast)
  if (protocol === NH_NONE) return drop(ip, mp, 'ipv6-no-next-header')
  const upper = ip.bound[protocol]!
  if (upper !== null) return indicate(ip, upper, from, mp, 6, protocol, offset, notUnicast)
  ip.counters['protocol-unknown']++
  sendIcmpError(ip, mp, ERROR_NEXT_HEADER, nextHeaderAt)
}
