/** The last step of every packet: checksum, segments, fragments, then down the link. */

import { LINK_CSUM, LINK_TSO4, LINK_TSO6, LINK_USO } from '../../streams/link-info.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import {
  type Mblk,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_GSO,
  OFFLOAD_GSO_TCP4,
  OFFLOAD_GSO_TCP6,
  OFFLOAD_GSO_UDP,
} from '../../streams/mblk/mblk.ts'
import { putnext } from '../../streams/putnext.ts'
import { canputnext } from '../../streams/queue.ts'
import { ipv4Id } from '../wire/ipv4.ts'
import { finishChecksum, segmentHeaderBytes, TCP_CSUM_OFFSET, UDP_CSUM_OFFSET } from './checksum-offload.ts'
import { fragment } from './fragment.ts'
import type { Interface } from './interfaces.ts'
import type { Ip } from './ip.ts'
import { segment } from './segmentation.ts'

/** The capability that a super-packet asks of its link. */
function gsoCapability(gso: number): number {
  return gso === OFFLOAD_GSO_UDP
    ? LINK_USO
    : gso === OFFLOAD_GSO_TCP4
      ? LINK_TSO4
      : gso === OFFLOAD_GSO_TCP6
        ? LINK_TSO6
        : -1
}

/**
 * Bytes of the largest packet on the wire when this one leaves.
 * @param mp - borrowed; @param headerBytes - in front of the transport
 */
export function largestPacket(mp: Mblk, headerBytes: number, size: number): number {
  if ((mp.offload & OFFLOAD_GSO) === 0) return size
  return Math.min(size, headerBytes + segmentHeaderBytes(mp, headerBytes) + mp.gsoSize)
}

/**
 * Sends a packet, in as many pieces as it takes. Whether it may be cut at all is the caller's to know.
 * @param mp - consumed; IP header first, contiguous
 * @param size - its bytes
 * @param mtu - of the path, or the link's
 */
export function transmit(ip: Ip, out: Interface, mp: Mblk, family: number, size: number, mtu: number): void {
  if (!canputnext(out.out)) {
    ip.counters['link-full']++
    freemsg(mp)
    return
  }
  if (mp.offload === 0 && size <= mtu) sendOut(ip, out, mp)
  else transmitWithWork(ip, out, mp, family, size, mtu)
}

function sendOut(ip: Ip, out: Interface, mp: Mblk): void {
  ip.counters['packets-out']++
  out.packetsOut++
  putnext(out.out, mp)
}

function transmitWithWork(ip: Ip, out: Interface, mp: Mblk, family: number, size: number, mtu: number): void {
  // What a device vouched for on the way in means nothing on the way out.
  mp.offload &= OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO
  const gso = mp.offload & OFFLOAD_GSO
  if (gso !== 0) {
    if (gso !== OFFLOAD_GSO_UDP && isOneSegment(mp, size)) {
      mp.offload &= ~OFFLOAD_GSO
      mp.gsoSize = 0
    } else if ((out.capabilities & gsoCapability(gso)) !== 0) return sendOut(ip, out, mp)
    else return transmitSegments(ip, out, mp, family, size)
  }
  const finished = finishFor(ip, out, mp, size, size > mtu)
  if (finished === null) return
  if (size <= mtu) return sendOut(ip, out, finished)
  ip.counters['datagrams-fragmented']++
  ip.pieceOut = out
  // RFC 7739: unpredictable. An IPv4 packet has its number from whoever made its header.
  const id = family === 4 ? ipv4Id(finished.bytes, finished.rptr) : ip.random.int32()
  const count = fragment(finished, family as 4 | 6, mtu, id, ip.emitPiece)
  ip.counters['fragments-out'] += count
  if (count === 0) ip.counters['no-buffers']++
}

/**
 * Whether a super-segment of TCP is but one segment, which it would have been without the offload too. That it fits the MTU says
 * nothing: a peer may take less (RFC 9293 MUST-16).
 */
function isOneSegment(mp: Mblk, size: number): boolean {
  const header = segmentHeaderBytes(mp, mp.csumStart)
  return header > 0 && size - mp.csumStart - header <= mp.gsoSize
}

/** Finishes the checksum here if the link does not. @returns null when no block is left */
function finishFor(ip: Ip, out: Interface, mp: Mblk, size: number, always: boolean): Mblk | null {
  if ((mp.offload & OFFLOAD_CSUM_NEEDED) === 0) return mp
  const byLink = mp.csumOffset === UDP_CSUM_OFFSET || mp.csumOffset === TCP_CSUM_OFFSET
  if (!always && byLink && (out.capabilities & LINK_CSUM) !== 0) return mp
  ip.counters['checksums-in-software']++
  const finished = finishChecksum(mp, size)
  if (finished === null) ip.counters['no-buffers']++
  return finished
}

function transmitSegments(ip: Ip, out: Interface, mp: Mblk, family: number, size: number): void {
  ip.counters['segmented-in-software']++
  ip.pieceOut = out
  if (segment(mp, family, size, ip.emitPiece) === 0) ip.counters['no-buffers']++
}

/** Takes the pieces that `fragment` and `segment` make. @param mp - consumed; @param size - 0 for a fragment */
export function emitPiece(ip: Ip, mp: Mblk, size: number): void {
  const out = ip.pieceOut!
  const finished = size === 0 ? mp : finishFor(ip, out, mp, size, false)
  if (finished === null) return
  sendOut(ip, out, finished)
  // A link that sends at once may have come back here meanwhile.
  ip.pieceOut = out
}
