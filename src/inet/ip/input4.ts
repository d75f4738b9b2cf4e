/** What happens to an IPv4 packet that a link brings: RFC 791, RFC 1122 §3.2.1, checklist 3.1 in its order. */
import { type Mblk, OFFLOAD_CSUM_NEEDED, OFFLOAD_GSO } from '../../streams/mblk/mblk.ts'
import { adjmsg, messageBytes } from '../../streams/mblk/message.ts'
import { pullupmsg } from '../../streams/mblk/pullup.ts'
import { ERROR_PROTOCOL_UNREACHABLE } from '../icmp/errors.ts'
import { icmpInput } from '../icmp/input.ts'
import { sendIcmpError } from '../icmp/send-error.ts'
import { PROTOCOL_ICMP } from '../wire/icmp.ts'
import {
  checkIpv4,
  IPV4_HEADER_SIZE,
  IPV4_MF,
  IPV4_OFFSET_MASK,
  ipv4Destination,
  ipv4FragmentField,
  ipv4HeaderBytes,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
} from '../wire/ipv4.ts'
import {
  KIND_BROADCAST,
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
import { forward } from './forward.ts'
import type { Interface } from './interfaces.ts'
import type { Ip } from './ip.ts'
import { checkOptions4 } from './options.ts'

/** Bytes of the transport's header that IP makes contiguous. */
export const TRANSPORT_BYTES = 8

/** @param mp - consumed: a packet that begins with version 4 */
export function input4(ip: Ip, from: Interface, mp: Mblk): void {
  const size = mp.cont === null ? mp.wptr - mp.rptr : messageBytes(mp)
  const whole = mp.cont === null ? mp : contiguousHeaders(ip, mp, size)
  if (whole === null) return
  mp = whole
  const { bytes, rptr } = mp
  const fault = checkIpv4(bytes, rptr, mp.wptr - rptr, size)
  if (fault !== null) return drop(ip, mp, fault)
  const headerBytes = ipv4HeaderBytes(bytes, rptr)
  const total = ipv4TotalLength(bytes, rptr)
  if (total < size) {
    ip.counters['padding-trimmed']++
    adjmsg(mp, total - size)
  }
  const { destinations } = ip
  const source = ipv4Source(bytes, rptr)
  const destination = ipv4Destination(bytes, rptr)
  ip.packet.set4(source, destination)
  const kind = destinations.table[destinations.find4(destination) + DEST_KIND]!
  const sourceKind = destinations.table[destinations.find4(source) + DEST_KIND]!
  if (sourceKind !== KIND_UNICAST && sourceKind !== KIND_UNREACHABLE && !isOwnTraffic(from, sourceKind))
    return drop(ip, mp, 'martian-source')
  if (headerBytes > IPV4_HEADER_SIZE) {
    const optionFault = checkOptions4(bytes, rptr + IPV4_HEADER_SIZE, rptr + headerBytes)
    if (optionFault !== null) return drop(ip, mp, optionFault)
  }
  switch (kind) {
    case KIND_LOCAL:
      return toUs(ip, from, mp, headerBytes, total, false)
    case KIND_LOOPBACK:
      // RFC 1122 §3.2.1.3 g: such an address never appears outside a host.
      return from.loopback
        ? toUs(ip, from, mp, headerBytes, total, false)
        : drop(ip, mp, 'martian-destination')
    case KIND_BROADCAST:
    case KIND_MEMBER:
      return toUs(ip, from, mp, headerBytes, total, true)
    case KIND_MULTICAST:
      return drop(ip, mp, 'multicast-not-member')
    case KIND_UNICAST:
    case KIND_UNREACHABLE:
      return forward(ip, from, mp, 4, headerBytes, total)
    default:
      return drop(ip, mp, 'martian-destination')
  }
}

/** Our own addresses are good as a source where our own packets come back. */
export function isOwnTraffic(from: Interface, sourceKind: number): boolean {
  return from.loopback && (sourceKind === KIND_LOCAL || sourceKind === KIND_LOOPBACK)
}

/**
 * Makes the IP header and {@link TRANSPORT_BYTES} contiguous, or all there is.
 * @param mp - consumed; a chain
 */
function contiguousHeaders(ip: Ip, mp: Mblk, size: number): Mblk | null {
  const first = atFront(ip, mp, Math.min(size, IPV4_HEADER_SIZE + TRANSPORT_BYTES))
  if (first === null || size < IPV4_HEADER_SIZE) return first
  return atFront(ip, first, Math.min(size, ipv4HeaderBytes(first.bytes, first.rptr) + TRANSPORT_BYTES))
}

/** As `pullupmsg`, counted. @param mp - consumed; a message of at least `bytes` bytes */
export function atFront(ip: Ip, mp: Mblk, bytes: number): Mblk | null {
  if (mp.wptr - mp.rptr >= bytes) return mp
  const whole = pullupmsg(mp, bytes)
  if (whole === null) ip.counters['no-buffers']++
  return whole
}

function toUs(
  ip: Ip,
  from: Interface,
  mp: Mblk,
  headerBytes: number,
  total: number,
  notUnicast: boolean,
): void {
  const field = ipv4FragmentField(mp.bytes, mp.rptr)
  if ((field & (IPV4_MF | IPV4_OFFSET_MASK)) === 0)
    return local4(ip, from, mp, headerBytes, total, notUnicast)
  if ((mp.offload & (OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO)) !== 0) return drop(ip, mp, 'offload-fragment')
  const datagram = ip.reassembly.input(mp, 4, ip.now())
  ip.armReassembly()
  if (datagram === null) return
  ip.counters['datagrams-reassembled']++
  const size = messageBytes(datagram)
  const bytes = ipv4HeaderBytes(datagram.bytes, datagram.rptr)
  const whole = atFront(ip, datagram, Math.min(size, bytes + TRANSPORT_BYTES))
  if (whole !== null) local4(ip, from, whole, bytes, size, notUnicast)
}

/** A whole datagram for us. */
function local4(
  ip: Ip,
  from: Interface,
  mp: Mblk,
  headerBytes: number,
  size: number,
  notUnicast: boolean,
): void {
  const protocol = ipv4Protocol(mp.bytes, mp.rptr)
  if (mp.offload !== 0 && !offloadFits(mp, 4, protocol, headerBytes, size))
    return drop(ip, mp, 'offload-mismatch')
  if (protocol === PROTOCOL_ICMP) return icmpInput(ip, from, mp, 4, headerBytes, size, notUnicast)
  const upper = ip.bound[protocol]!
  if (upper !== null) return indicate(ip, upper, from, mp, 4, protocol, headerBytes, notUnicast)
  ip.counters['protocol-unknown']++
  sendIcmpError(ip, mp, ERROR_PROTOCOL_UNREACHABLE, 0)
}
