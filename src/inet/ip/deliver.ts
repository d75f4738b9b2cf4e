/** From a checked packet to the stream that takes its protocol: the control block in front, the IP header behind us. */
import { allocb, freemsg } from '../../streams/mblk/alloc.ts'
import { type Mblk, OFFLOAD_CSUM_NEEDED } from '../../streams/mblk/mblk.ts'
import { M_PROTO } from '../../streams/mblk/types.ts'
import type { AnyQueue } from '../../streams/module.ts'
import { putnext } from '../../streams/putnext.ts'
import { canputnext } from '../../streams/queue.ts'
import {
  ERROR_CODE,
  ERROR_MTU,
  FAMILY,
  FLAGS,
  HEADER_BYTES,
  HOP_LIMIT,
  INTERFACE,
  KIND,
  LOCAL,
  LOCAL_PORT,
  PROTOCOL,
  REMOTE,
  REMOTE_PORT,
  SEGMENT_BYTES,
  TAG,
  TRAFFIC_CLASS,
  UD_NOT_UNICAST,
  UNITDATA_BYTES,
  UNITDATA_IND,
} from '../unitdata.ts'
import { ipv4TimeToLive, ipv4TypeOfService } from '../wire/ipv4.ts'
import { ipv6HopLimit, ipv6TrafficClass } from '../wire/ipv6.ts'
import type { IpCounter } from './counters.ts'
import type { Interface } from './interfaces.ts'
import type { Ip } from './ip.ts'
import type { PacketAddresses } from './packet-addresses.ts'

/** Counts why a packet goes no further, and frees it. @param mp - consumed */
export function drop(ip: Ip, mp: Mblk, reason: IpCounter): void {
  ip.counters[reason]++
  freemsg(mp)
}

/**
 * Hands a packet up as an UNITDATA_IND; its addresses are those of `ip.packet`.
 * @param upper - read queue of the stream that takes it
 * @param mp - consumed; IP header first, all headers contiguous, offload fields checked
 * @param headerBytes - from the IP header to the transport's
 */
export function indicate(
  ip: Ip,
  upper: AnyQueue,
  from: Interface,
  mp: Mblk,
  family: number,
  protocol: number,
  headerBytes: number,
  notUnicast: boolean,
): void {
  if (!canputnext(upper)) return drop(ip, mp, 'upper-full')
  const control = allocb(ip.arena, UNITDATA_BYTES)
  if (control === null) return drop(ip, mp, 'no-buffers')
  control.type = M_PROTO
  control.wptr += UNITDATA_BYTES
  const { words } = ip
  const at = control.rptr >> 2
  words[at + KIND] = UNITDATA_IND
  words[at + FAMILY] = family
  words[at + PROTOCOL] = protocol
  words[at + REMOTE_PORT] = 0
  words[at + LOCAL_PORT] = 0
  fillAddresses(words, at, ip.packet)
  const { bytes, rptr } = mp
  words[at + HOP_LIMIT] = family === 4 ? ipv4TimeToLive(bytes, rptr) : ipv6HopLimit(bytes, rptr)
  words[at + TRAFFIC_CLASS] = family === 4 ? ipv4TypeOfService(bytes, rptr) : ipv6TrafficClass(bytes, rptr)
  words[at + INTERFACE] = from.index
  words[at + SEGMENT_BYTES] = mp.gsoSize
  words[at + FLAGS] = notUnicast ? UD_NOT_UNICAST : 0
  words[at + ERROR_CODE] = 0
  words[at + ERROR_MTU] = 0
  words[at + HEADER_BYTES] = headerBytes
  words[at + TAG] = 0
  words[at + TAG + 1] = 0
  words[at + TAG + 2] = 0
  mp.rptr += headerBytes
  // What is unfinished came from this host, so there is nothing to verify; what else a device says is kept.
  if ((mp.offload & OFFLOAD_CSUM_NEEDED) !== 0) mp.csumStart -= headerBytes
  else mp.csumStart = 0
  control.cont = mp
  ip.counters['packets-delivered']++
  putnext(upper, control)
}

function fillAddresses(words: Int32Array, at: number, packet: PacketAddresses): void {
  words[at + REMOTE] = packet.source0
  words[at + REMOTE + 1] = packet.source1
  words[at + REMOTE + 2] = packet.source2
  words[at + REMOTE + 3] = packet.source3
  words[at + LOCAL] = packet.destination0
  words[at + LOCAL + 1] = packet.destination1
  words[at + LOCAL + 2] = packet.destination2
  words[at + LOCAL + 3] = packet.destination3
}
