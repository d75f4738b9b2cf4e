/** Answering an echo request with the message that asked: RFC 792, RFC 1122 §3.2.2.6, RFC 4443 §4.2. Nothing is copied. */
import { updateChecksum } from '../../base/checksum.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { KIND_LOCAL, KIND_LOOPBACK, KIND_UNICAST } from '../ip/addresses.ts'
import { makeWritable } from '../ip/checksum-offload.ts'
import { drop } from '../ip/deliver.ts'
import { DEST_ID, DEST_INTERFACE, DEST_KIND, DEST_MTU, DEST_SENT, isLinkScoped } from '../ip/destinations.ts'
import type { Interface } from '../ip/interfaces.ts'
import type { Ip } from '../ip/ip.ts'
import { PATH_MTU_MIN4 } from '../ip/path-mtu.ts'
import { transmit } from '../ip/transmit.ts'
import { MAPPED_WORD } from '../unitdata.ts'
import { u16 } from '../wire/fields.ts'
import {
  ICMP_HEADER_SIZE,
  ICMP4_ECHO_REPLY,
  ICMP6_ECHO_REPLY,
  icmpChecksum,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  setIcmpChecksum,
  setIcmpType,
} from '../wire/icmp.ts'
import { emitIpv4, IPV4_DF, IPV4_HEADER_SIZE, ipv4TypeOfService } from '../wire/ipv4.ts'
import {
  emitIpv6,
  IPV6_HEADER_SIZE,
  ipv6TrafficClass,
  putIpv6Destination,
  putIpv6Source,
} from '../wire/ipv6.ts'

/**
 * Sends a request back as its answer; the addresses are those of `ip.packet`.
 * @param mp - consumed: an echo request to one of our addresses, checksum right; IP header first, contiguous with the ICMP
 * header. Options and extension headers are not answered in kind.
 */
export function answerEcho(
  ip: Ip,
  from: Interface,
  mp: Mblk,
  family: number,
  headerBytes: number,
  size: number,
): void {
  const writable = makeWritable(mp, headerBytes + ICMP_HEADER_SIZE)
  if (writable === null) {
    ip.counters['no-buffers']++
    return
  }
  writable.offload = 0
  setType(writable, headerBytes, family === 4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY)
  if (family === 4) answer4(ip, writable, headerBytes, size)
  else answer6(ip, from, writable, headerBytes, size)
}

function setType(mp: Mblk, headerBytes: number, type: number): void {
  const { bytes } = mp.dblk
  const at = mp.rptr + headerBytes
  const before = u16(bytes, at)
  setIcmpType(bytes, at, type)
  setIcmpChecksum(bytes, at, updateChecksum(icmpChecksum(bytes, at), before, u16(bytes, at)))
}

/** Where an answer goes to. @returns -1 if nowhere */
function pathTo(ip: Ip, w0: number, w1: number, w2: number, w3: number, scope: number): number {
  const { destinations } = ip
  const at = destinations.find(w0, w1, w2, w3, scope)
  const kind = destinations.table[at + DEST_KIND]
  if (kind !== KIND_UNICAST && kind !== KIND_LOCAL && kind !== KIND_LOOPBACK) return -1
  return destinations.table[at + DEST_INTERFACE] === 0 ? -1 : at
}

function answer4(ip: Ip, mp: Mblk, headerBytes: number, size: number): void {
  const { bytes } = mp.dblk
  const source = ip.packet.destination3
  const destination = ip.packet.source3
  const service = ipv4TypeOfService(bytes, mp.rptr)
  const at = pathTo(ip, 0, 0, MAPPED_WORD, destination, 0)
  if (at < 0) return drop(ip, mp, 'icmp-unanswerable')
  const { table } = ip.destinations
  const out = ip.interfaces[table[at + DEST_INTERFACE]!]!
  const mtu = table[at + DEST_MTU]!
  mp.rptr += headerBytes - IPV4_HEADER_SIZE
  const total = size - headerBytes + IPV4_HEADER_SIZE
  const fits = total <= mtu && mtu > PATH_MTU_MIN4
  const id = fits ? nextId(table, at) : ip.random.int32() & 0xffff
  const fragment = fits ? IPV4_DF : 0
  emitIpv4(bytes, mp.rptr, service, total, id, fragment, ip.hopLimit, PROTOCOL_ICMP, source, destination)
  ip.counters['echo-replies-out']++
  transmit(ip, out, mp, 4, total, mtu)
}

function nextId(table: Int32Array, at: number): number {
  const id = table[at + DEST_ID]! & 0xffff
  table[at + DEST_ID] = id + 1
  table[at + DEST_SENT] = 1
  return id
}

function answer6(ip: Ip, from: Interface, mp: Mblk, headerBytes: number, size: number): void {
  const { bytes } = mp.dblk
  const { rptr } = mp
  const trafficClass = ipv6TrafficClass(bytes, rptr)
  const { source0, source1, source2, source3 } = ip.packet
  const { destination0, destination1, destination2, destination3 } = ip.packet
  // A link-local peer is on the link that it was heard on.
  const scope = !from.loopback && isLinkScoped(source0, source1, source2, source3) ? from.index : 0
  const at = pathTo(ip, source0, source1, source2, source3, scope)
  if (at < 0) return drop(ip, mp, 'icmp-unanswerable')
  const { table } = ip.destinations
  const out = ip.interfaces[table[at + DEST_INTERFACE]!]!
  const mtu = table[at + DEST_MTU]!
  table[at + DEST_SENT] = 1
  mp.rptr += headerBytes - IPV6_HEADER_SIZE
  const length = size - headerBytes
  emitIpv6(bytes, mp.rptr, trafficClass, length, PROTOCOL_ICMPV6, ip.hopLimit)
  putIpv6Source(bytes, mp.rptr, destination0, destination1, destination2, destination3)
  putIpv6Destination(bytes, mp.rptr, source0, source1, source2, source3)
  ip.counters['echo-replies-out']++
  transmit(ip, out, mp, 6, IPV6_HEADER_SIZE + length, mtu)
}
