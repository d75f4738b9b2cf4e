/** From a checked packet to the stream that takes its protocol: the control block in front, the IP header behind us. */
import { allocb, freemsg } from '../../streams/mblk/alloc.ts'
import { type Mblk, OFFLOAD_CSUM_NEEDED, OFFLOAD_CSUM_VALID } from '../../streams/mblk/mblk.ts'
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
  MAPPED_WORD,
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
import { ipv4Destination, ipv4Source, ipv4TimeToLive, ipv4TypeOfService } from '../wire/ipv4.ts'
import { ipv6DestinationWord, ipv6HopLimit, ipv6SourceWord, ipv6TrafficClass } from '../wire/ipv6.ts'
import type { IpCounter } from './counters.ts'
import type { Interface } from './interfaces.ts'
import type { Ip } from './ip.ts'

/** Counts why a packet goes no further, and frees it. @param mp - consumed */
export function drop(ip: Ip, mp: Mblk, reason: IpCounter): void {
  ip.counters[reason]++
  freemsg(mp)
}

/**
 * Hands a packet up as an UNITDATA_IND.
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
  if (family === 4) fillAddresses4(words, at, mp)
  else fillAddresses6(words, at, mp)
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

function fillAddresses4(words: Int32Array, at: number, mp: Mblk): void {
  const { bytes, rptr } = mp
  words[at + REMOTE] = 0
  words[at + REMOTE + 1] = 0
  words[at + REMOTE + 2] = MAPPED_WORD
  words[at + REMOTE + 3] = ipv4Source(bytes, rptr)
  words[at + LOCAL] = 0
  words[at + LOCAL + 1] = 0
  words[at + LOCAL + 2] = MAPPED_WORD
  words[at + LOCAL + 3] = ipv4Destination(bytes, rptr)
  words[at + HOP_LIMIT] = ipv4TimeToLive(bytes, rptr)
  words[at + TRAFFIC_CLASS] = ipv4TypeOfService(bytes, rptr)
}

function fillAddresses6(words: Int32Array, at: number, mp: Mblk): void {
  const { bytes, rptr } = mp
  for (let i = 0; i < 4; i++) {
    words[at + REMOTE + i] = ipv6SourceWord(bytes, rptr, i)
    words[at + LOCAL + i] = ipv6DestinationWord(bytes, rptr, i)
  }
  words[at + HOP_LIMIT] = ipv6HopLimit(bytes, rptr)
  words[at + TRAFFIC_CLASS] = ipv6TrafficClass(bytes, rptr)
}

/** Whether the device vouches for the transport's checksum, or there is none yet to verify. */
export function needsNoVerifying(mp: Mblk): boolean {
  return (mp.offload & (OFFLOAD_CSUM_NEEDED | OFFLOAD_CSUM_VALID)) !== 0
}
