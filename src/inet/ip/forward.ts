/** Passing on a packet that is not for us, where that was configured: RFC 1812 §4 and §5, RFC 8200. */
import { type Mblk, OFFLOAD_CSUM_NEEDED, OFFLOAD_GSO } from '../../streams/mblk/mblk.ts'
import { ERROR_HOP_LIMIT, ERROR_NET_UNREACHABLE, ERROR_TOO_BIG } from '../icmp/errors.ts'
import { sendIcmpError } from '../icmp/send-error.ts'
import { MAPPED_WORD } from '../unitdata.ts'
import {
  decrementTimeToLive,
  IPV4_DF,
  IPV4_MF,
  IPV4_OFFSET_MASK,
  ipv4Destination,
  ipv4FragmentField,
  ipv4Protocol,
  ipv4Source,
  ipv4TimeToLive,
} from '../wire/ipv4.ts'
import {
  IPV6_HEADER_SIZE,
  ipv6DestinationWord,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6SourceWord,
  NH_HOP_BY_HOP,
  setIpv6HopLimit,
} from '../wire/ipv6.ts'
import { makeWritable, offloadFits, PROTOCOL_TCP, PROTOCOL_UDP } from './checksum-offload.ts'
import { drop } from './deliver.ts'
import { DEST_INTERFACE, isLinkScoped } from './destinations.ts'
import { HEADERS_BYTES_MAX, walkHeaders } from './extension-headers.ts'
import { atFront } from './input4.ts'
import type { Interface } from './interfaces.ts'
import type { Ip } from './ip.ts'
import { largestPacket, transmit } from './transmit.ts'

/**
 * @param mp - consumed: a checked packet to a unicast address that is not ours
 * @param headerBytes - of the IPv4 header with options, or of the IPv6 header alone
 */
export function forward(
  ip: Ip,
  from: Interface,
  mp: Mblk,
  family: number,
  headerBytes: number,
  size: number,
): void {
  if (!ip.forwarding || from.loopback) return drop(ip, mp, 'not-ours')
  if (isLinkScopedPacket(mp, family)) return drop(ip, mp, 'forward-not-allowed')
  const front = family === 4 ? mp : checkHopByHop(ip, mp, size)
  if (front === null) return
  if (front.offload !== 0 && !offloadCanPass(front, family, headerBytes, size))
    return drop(ip, front, 'offload-mismatch')
  const { bytes, rptr } = front
  const hops = family === 4 ? ipv4TimeToLive(bytes, rptr) : ipv6HopLimit(bytes, rptr)
  if (hops <= 1) return refuse(ip, front, 'forward-hop-limit', ERROR_HOP_LIMIT, 0)
  const out = ip.interfaces[ip.destinations.table[findDestination(ip, front, family) + DEST_INTERFACE]!]
  if (out === undefined || out === null)
    return refuse(ip, front, 'forward-no-route', ERROR_NET_UNREACHABLE, 0)
  if (largestPacket(front, headerBytes, size) > out.mtu && !mayCut(front, family))
    return refuse(ip, front, 'forward-too-big', ERROR_TOO_BIG, out.mtu)
  const writable = makeWritable(front, headerBytes)
  if (writable === null) {
    ip.counters['no-buffers']++
    return
  }
  if (family === 4) decrementTimeToLive(writable.dblk.bytes, writable.rptr)
  else setIpv6HopLimit(writable.dblk.bytes, writable.rptr, hops - 1)
  ip.counters['packets-forwarded']++
  transmit(ip, out, writable, family, size, out.mtu)
}

function refuse(
  ip: Ip,
  mp: Mblk,
  reason: 'forward-hop-limit' | 'forward-no-route' | 'forward-too-big',
  error: number,
  detail: number,
): void {
  ip.counters[reason]++
  sendIcmpError(ip, mp, error, detail)
}

/** RFC 3927 §7, RFC 4291 §2.5.6: such addresses mean nothing on another link. */
function isLinkScopedPacket(mp: Mblk, family: number): boolean {
  const { bytes, rptr } = mp
  return family === 4
    ? isLinkScoped(0, 0, MAPPED_WORD, ipv4Source(bytes, rptr)) ||
        isLinkScoped(0, 0, MAPPED_WORD, ipv4Destination(bytes, rptr))
    : isLinkScoped(ipv6SourceWord(bytes, rptr, 0), 0, 0, 0) ||
        isLinkScoped(ipv6DestinationWord(bytes, rptr, 0), 0, 0, 0)
}

/** RFC 8200 §4: of the extension headers, routers look at the hop-by-hop options alone. */
function checkHopByHop(ip: Ip, mp: Mblk, size: number): Mblk | null {
  if (ipv6NextHeader(mp.bytes, mp.rptr) !== NH_HOP_BY_HOP) return mp
  const front = atFront(ip, mp, Math.min(size, IPV6_HEADER_SIZE + HEADERS_BYTES_MAX))
  if (front === null) return null
  const end = Math.min(front.wptr, front.rptr + size)
  const fault = walkHeaders(front.bytes, front.rptr, end, true, false, ip.walk)
  if (fault === null) return front
  ip.counters[fault]++
  sendIcmpError(ip, front, ip.walk.error, ip.walk.pointer)
  return null
}

/**
 * Checklist 3.7-67: what is left to be finished must be where the fields say. A super-packet behind extension
 * headers is refused, since nobody could cut it.
 */
function offloadCanPass(mp: Mblk, family: number, headerBytes: number, size: number): boolean {
  const { bytes, rptr, offload } = mp
  if ((offload & OFFLOAD_GSO) !== 0 && (offload & OFFLOAD_CSUM_NEEDED) === 0) return false
  if (family === 4) {
    const isFragment = (ipv4FragmentField(bytes, rptr) & (IPV4_MF | IPV4_OFFSET_MASK)) !== 0
    if (isFragment) return (offload & (OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO)) === 0
    return offloadFits(mp, 4, ipv4Protocol(bytes, rptr), headerBytes, size)
  }
  const next = ipv6NextHeader(bytes, rptr)
  if (next === PROTOCOL_TCP || next === PROTOCOL_UDP) return offloadFits(mp, 6, next, headerBytes, size)
  if ((offload & OFFLOAD_GSO) !== 0) return false
  if ((offload & OFFLOAD_CSUM_NEEDED) === 0) return true
  return mp.csumStart >= headerBytes && mp.csumStart + mp.csumOffset + 2 <= size
}

function mayCut(mp: Mblk, family: number): boolean {
  return (
    family === 4 && (mp.offload & OFFLOAD_GSO) === 0 && (ipv4FragmentField(mp.bytes, mp.rptr) & IPV4_DF) === 0
  )
}

function findDestination(ip: Ip, mp: Mblk, family: number): number {
  const { bytes, rptr } = mp
  if (family === 4) return ip.destinations.find4(ipv4Destination(bytes, rptr))
  return ip.destinations.find(
    ipv6DestinationWord(bytes, rptr, 0),
    ipv6DestinationWord(bytes, rptr, 1),
    ipv6DestinationWord(bytes, rptr, 2),
    ipv6DestinationWord(bytes, rptr, 3),
    0,
  )
}
