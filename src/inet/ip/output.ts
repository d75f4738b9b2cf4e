/** From a transport's request to a packet on a link: route, source, header, checksum's first part. */
import { fold } from '../../base/checksum.ts'
import { freeb, freemsg } from '../../streams/mblk/alloc.ts'
import {
  type Mblk,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_GSO,
  OFFLOAD_GSO_UDP,
  type UniqueMblk,
} from '../../streams/mblk/mblk.ts'
import { messageBytes, prepend } from '../../streams/mblk/message.ts'
import type { AnyQueue } from '../../streams/module.ts'
import { qreply } from '../../streams/putnext.ts'
import { canputnext } from '../../streams/queue.ts'
import { isMapped } from '../address.ts'
import {
  ERROR_BROADCAST,
  ERROR_HOST_UNREACHABLE,
  ERROR_MALFORMED,
  ERROR_MULTICAST,
  ERROR_NET_UNREACHABLE,
  ERROR_NO_BUFFERS,
  ERROR_SOURCE_NOT_OURS,
  ERROR_TOO_BIG,
} from '../icmp/errors.ts'
import {
  ERROR_CODE,
  ERROR_IND,
  ERROR_MTU,
  FAMILY,
  FLAGS,
  HOP_LIMIT,
  INTERFACE,
  isUnitdata,
  KIND,
  LOCAL,
  PROTOCOL,
  REMOTE,
  TRAFFIC_CLASS,
  UD_BROADCAST,
  UD_DONT_FRAGMENT,
  UD_REFUSED_HERE,
} from '../unitdata.ts'
import { putU16 } from '../wire/fields.ts'
import { PROTOCOL_ICMP } from '../wire/icmp.ts'
import { addressSum4, emitIpv4, IPV4_DF, IPV4_HEADER_SIZE } from '../wire/ipv4.ts'
import { emitIpv6, IPV6_HEADER_SIZE, putIpv6Destination, putIpv6Source } from '../wire/ipv6.ts'
import {
  KIND_BROADCAST,
  KIND_INVALID,
  KIND_LOCAL,
  KIND_LOOPBACK,
  KIND_MEMBER,
  KIND_MULTICAST,
  KIND_UNREACHABLE,
} from './addresses.ts'
import { makeWritable, segmentHeaderBytes, UDP_SEGMENTS_MAX } from './checksum-offload.ts'
import { DEST_ID, DEST_INTERFACE, DEST_KIND, DEST_MTU, DEST_SENT, DEST_SOURCE } from './destinations.ts'
import type { Interface } from './interfaces.ts'
import type { Ip } from './ip.ts'
import type { OutputRequest } from './output-request.ts'
import { PATH_MTU_MIN4 } from './path-mtu.ts'
import { transmit } from './transmit.ts'

/** Bytes of an IPv4 packet, and of an IPv6 payload, at most. */
const LENGTH_MAX = 65_535

/**
 * Sends what a transport asked for, or tells it why not.
 * @param q - write queue that the request came down
 * @param mp - consumed if the answer is true: an UNITDATA_REQ and the transport's message
 * @returns false if the link is full: queue it, the link's queue enables `q` again
 */
export function output(ip: Ip, q: AnyQueue, mp: Mblk): boolean {
  const data = mp.cont
  if (!isUnitdata(mp) || data === null) {
    ip.counters['request-malformed']++
    freemsg(mp)
    return true
  }
  const { request } = ip
  const error = readRequest(ip, mp, data)
  if (error !== 0) return refuse(ip, q, mp, error, 0)
  const at = ip.destinations.find(
    request.remote0,
    request.remote1,
    request.remote2,
    request.remote3,
    request.scope,
  )
  const { table } = ip.destinations
  const flags = ip.words[(mp.rptr >> 2) + FLAGS]!
  const kindError = checkKind(table[at + DEST_KIND]!, request.family, flags)
  if (kindError !== 0) return refuse(ip, q, mp, kindError, 0)
  const out = ip.interfaces[table[at + DEST_INTERFACE]!]
  if (out === undefined || out === null || !out.up) return refuse(ip, q, mp, ERROR_HOST_UNREACHABLE, 0)
  if (!canputnext(out.out)) return false
  const fitError = checkSize(ip, data, flags, table[at + DEST_MTU]!)
  if (fitError !== 0) return refuse(ip, q, mp, fitError, table[at + DEST_MTU]!)
  if (!takePath(ip, at, out)) return refuse(ip, q, mp, ERROR_SOURCE_NOT_OURS, 0)
  mp.cont = null
  send(ip, q, mp, data, out)
  return true
}

/** Reads the control block. @returns an error, or 0 */
function readRequest(ip: Ip, mp: Mblk, data: Mblk): number {
  const { request, words } = ip
  const at = mp.rptr >> 2
  request.family = words[at + FAMILY]!
  request.protocol = words[at + PROTOCOL]! & 0xff
  request.scope = words[at + INTERFACE]!
  request.remote0 = words[at + REMOTE]!
  request.remote1 = words[at + REMOTE + 1]!
  request.remote2 = words[at + REMOTE + 2]!
  request.remote3 = words[at + REMOTE + 3]!
  request.local0 = words[at + LOCAL]!
  request.local1 = words[at + LOCAL + 1]!
  request.local2 = words[at + LOCAL + 2]!
  request.local3 = words[at + LOCAL + 3]!
  request.hopLimit = words[at + HOP_LIMIT]! & 0xff
  if (request.hopLimit === 0) request.hopLimit = ip.hopLimit
  request.trafficClass = words[at + TRAFFIC_CLASS]! & 0xff
  request.payloadBytes = messageBytes(data)
  const mapped = isMapped(request.remote0, request.remote1, request.remote2)
  return mapped === (request.family === 4) && (mapped || request.family === 6) ? 0 : ERROR_MALFORMED
}

function checkKind(kind: number, family: number, flags: number): number {
  switch (kind) {
    case KIND_UNREACHABLE:
    case KIND_INVALID:
      return ERROR_NET_UNREACHABLE
    case KIND_MEMBER:
    case KIND_MULTICAST:
      return ERROR_MULTICAST
    case KIND_BROADCAST:
      return family === 4 && (flags & UD_BROADCAST) !== 0 ? 0 : ERROR_BROADCAST
    default:
      return 0
  }
}

/** Whether the packet fits the path, in pieces if need be. @returns an error, or 0 */
function checkSize(ip: Ip, data: Mblk, flags: number, mtu: number): number {
  const { request } = ip
  const headerBytes = request.family === 4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE
  const size = headerBytes + request.payloadBytes
  request.mtu = mtu
  request.largestBytes = size
  request.segments = 1
  if ((request.family === 4 ? size : request.payloadBytes) > LENGTH_MAX) return ERROR_TOO_BIG
  if ((data.offload & OFFLOAD_GSO) !== 0) return checkSuperPacket(request, data, headerBytes, mtu)
  return size > mtu && (flags & UD_DONT_FRAGMENT) !== 0 ? ERROR_TOO_BIG : 0
}

function checkSuperPacket(request: OutputRequest, data: Mblk, headerBytes: number, mtu: number): number {
  const transport = segmentHeaderBytes(data, 0)
  const payload = request.payloadBytes - transport
  if (transport === 0 || payload <= 0 || data.gsoSize <= 0 || (data.offload & OFFLOAD_CSUM_NEEDED) === 0)
    return ERROR_MALFORMED
  request.segments = Math.ceil(payload / data.gsoSize)
  if ((data.offload & OFFLOAD_GSO_UDP) !== 0 && request.segments > UDP_SEGMENTS_MAX) return ERROR_MALFORMED
  request.largestBytes = headerBytes + transport + Math.min(data.gsoSize, payload)
  return request.largestBytes > mtu ? ERROR_TOO_BIG : 0
}

/** Chooses or checks the source, and numbers the packet. @returns false if the source is not ours */
function takePath(ip: Ip, at: number, out: Interface): boolean {
  const { request, destinations } = ip
  const { table } = destinations
  table[at + DEST_SENT] = 1
  request.id = table[at + DEST_ID]! & 0xffff
  table[at + DEST_ID] = request.id + request.segments
  const source3 = table[at + DEST_SOURCE + 3]!
  const chosen =
    source3 | table[at + DEST_SOURCE]! | table[at + DEST_SOURCE + 1]! | table[at + DEST_SOURCE + 2]!
  if ((request.local0 | request.local1 | request.local2 | request.local3) === 0) {
    request.local0 = table[at + DEST_SOURCE]!
    request.local1 = table[at + DEST_SOURCE + 1]!
    request.local2 = table[at + DEST_SOURCE + 2]!
    request.local3 = source3
    return chosen !== 0
  }
  if (
    request.local3 === source3 &&
    request.local2 === table[at + DEST_SOURCE + 2] &&
    request.local1 === table[at + DEST_SOURCE + 1] &&
    request.local0 === table[at + DEST_SOURCE]
  ) {
    return true
  }
  if (isMapped(request.local0, request.local1, request.local2) !== (request.family === 4)) return false
  const own = destinations.find(request.local0, request.local1, request.local2, request.local3, 0)
  const kind = table[own + DEST_KIND]
  return kind === KIND_LOCAL || (kind === KIND_LOOPBACK && out.loopback)
}

/** Prepends the header and sends. @param mp - consumed: the control block alone; @param data - consumed */
function send(ip: Ip, q: AnyQueue, mp: Mblk, data: Mblk, out: Interface): void {
  const { request } = ip
  const isV4 = request.family === 4
  const needed = (data.offload & OFFLOAD_CSUM_NEEDED) !== 0
  if (needed && data.csumStart + data.csumOffset + 2 > request.payloadBytes) {
    freemsg(data)
    refuse(ip, q, mp, ERROR_MALFORMED, 0)
    return
  }
  const writable = needed ? makeWritable(data, data.csumStart + data.csumOffset + 2) : data
  const packet = writable === null ? null : prepend(writable, isV4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE)
  if (packet === null) {
    refuse(ip, q, mp, ERROR_NO_BUFFERS, 0)
    return
  }
  freeb(mp)
  if (isV4) emitHeader4(ip, packet)
  else emitHeader6(request, packet)
  const size = request.payloadBytes + (isV4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE)
  transmit(ip, out, packet, request.family, size, request.mtu)
}

function emitHeader4(ip: Ip, packet: UniqueMblk): void {
  const { request } = ip
  const { bytes } = packet.dblk
  const at = packet.rptr
  const size = IPV4_HEADER_SIZE + request.payloadBytes
  // RFC 1191: what fits the path says so; what has to be cut says that it may be cut again, and nobody can tell its
  // number beforehand (RFC 7739).
  const fits = request.largestBytes <= request.mtu && request.mtu > PATH_MTU_MIN4
  const fragment = fits ? IPV4_DF : 0
  const id = fits ? request.id : ip.random.int32() & 0xffff
  const { local3, remote3, protocol } = request
  emitIpv4(bytes, at, request.trafficClass, size, id, fragment, request.hopLimit, protocol, local3, remote3)
  if ((packet.offload & OFFLOAD_CSUM_NEEDED) === 0) return
  const sum = protocol === PROTOCOL_ICMP ? 0 : addressSum4(local3, remote3) + protocol + request.payloadBytes
  putPseudoSum(packet, sum)
}

function emitHeader6(request: OutputRequest, packet: UniqueMblk): void {
  const { bytes } = packet.dblk
  const at = packet.rptr
  const { payloadBytes, protocol } = request
  emitIpv6(bytes, at, request.trafficClass, payloadBytes, protocol, request.hopLimit)
  putIpv6Source(bytes, at, request.local0, request.local1, request.local2, request.local3)
  putIpv6Destination(bytes, at, request.remote0, request.remote1, request.remote2, request.remote3)
  if ((packet.offload & OFFLOAD_CSUM_NEEDED) !== 0)
    putPseudoSum(packet, addressSum(request) + protocol + payloadBytes)
}

/** What both addresses add to a checksum; below 2^20. */
function addressSum(request: OutputRequest): number {
  const { local0, local1, local2, local3, remote0, remote1, remote2, remote3 } = request
  return (
    halves(local0) +
    halves(local1) +
    halves(local2) +
    halves(local3) +
    halves(remote0) +
    halves(remote1) +
    halves(remote2) +
    halves(remote3)
  )
}

const halves = (word: number): number => (word >>> 16) + (word & 0xffff)

/** The checksum field gets the pseudo-header's sum; whoever finishes the checksum sums over it. */
function putPseudoSum(packet: UniqueMblk, sum: number): void {
  // When the header went into a block of its own, the transport's is the next one, writable as makeWritable left it.
  const own = packet.wptr - packet.rptr > packet.csumStart
  const block = own ? packet : packet.cont!
  const start = own ? packet.rptr + packet.csumStart : block.rptr
  putU16(block.dblk.bytes, start + packet.csumOffset, fold(sum))
}

/**
 * Turns a request round into an ERROR_IND for who made it.
 * @param mp - consumed; what hangs on it is freed
 * @returns true: the request is done with
 */
function refuse(ip: Ip, q: AnyQueue, mp: Mblk, error: number, mtu: number): true {
  countRefusal(ip, error)
  if (mp.cont !== null) {
    freemsg(mp.cont)
    mp.cont = null
  }
  if (!canputnext(q.other)) {
    freeb(mp)
    return true
  }
  const at = mp.rptr >> 2
  ip.words[at + KIND] = ERROR_IND
  ip.words[at + ERROR_CODE] = error
  ip.words[at + ERROR_MTU] = mtu
  ip.words[at + FLAGS]! |= UD_REFUSED_HERE
  qreply(q, mp)
  return true
}

function countRefusal(ip: Ip, error: number): void {
  if (error === ERROR_NO_BUFFERS) ip.counters['no-buffers']++
  else if (error === ERROR_TOO_BIG) ip.counters['request-too-big']++
  else if (error === ERROR_MALFORMED) ip.counters['request-malformed']++
  else if (error === ERROR_NET_UNREACHABLE || error === ERROR_HOST_UNREACHABLE)
    ip.counters['request-unreachable']++
  else ip.counters['request-refused']++
}
