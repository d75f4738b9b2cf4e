/**
 * Super-datagrams: many datagrams of one size, the last possibly shorter, that a device handed over as one
 * (UDP segmentation offload). One endpoint takes them whole; for another they are taken apart without a copy.
 */
import { dupmsg, freemsg } from '../../streams/mblk/alloc.ts'
import { type Mblk, OFFLOAD_CSUM_NEEDED, OFFLOAD_GSO, OFFLOAD_GSO_UDP } from '../../streams/mblk/mblk.ts'
import { adjmsg, dropEmptyHead, messageBytes } from '../../streams/mblk/message.ts'
import { SEGMENT_BYTES } from '../unitdata.ts'
import { copyUnitdata, deliver } from './deliver.ts'
import type { Endpoint } from './endpoint.ts'
import type { Udp } from './state.ts'

/** Datagrams in one super-datagram that comes in: what the newest kernels send (`UDP_MAX_SEGMENTS`). */
export const SEGMENTS_IN_MAX = 128
/** Datagrams in one super-datagram that goes out: what every kernel with the offload takes. */
export const SEGMENTS_OUT_MAX = 64

/**
 * Whether what a device says of a super-datagram can be: it may lie (checklist 3.7-65).
 * @param data - borrowed: header and data
 * @param payload - bytes behind the UDP header
 */
export function isSuperDatagram(data: Mblk, payload: number): boolean {
  // The sums of the single datagrams do not exist yet; only the kernel on the same host can hand over such a thing.
  if ((data.offload & OFFLOAD_GSO) !== OFFLOAD_GSO_UDP || (data.offload & OFFLOAD_CSUM_NEEDED) === 0)
    return false
  const size = data.gsoSize
  return size > 0 && payload > 0 && payload <= size * SEGMENTS_IN_MAX
}

/**
 * Delivers a super-datagram to an endpoint: one datagram after the other, as views of its blocks; or whole where the
 * endpoint takes that, in parts that it can send as they are.
 * @param mp - consumed: control block and data, without the UDP header
 * @param segmentBytes - payload bytes of each datagram
 */
export function deliverSuper(udp: Udp, e: Endpoint, mp: Mblk, segmentBytes: number): void {
  let left = messageBytes(mp.cont!)
  let partBytes = segmentBytes
  if (e.superDatagrams) {
    partBytes *= SEGMENTS_OUT_MAX
    e.counters['in-super-datagrams']++
  } else {
    udp.counters['super-datagrams-split']++
  }
  for (; left > partBytes; left -= partBytes) {
    const part = copyUnitdata(mp)
    const data = part === null ? null : dupmsg(mp.cont!)
    if (part === null || data === null) {
      // Datagrams may be lost; the arena must not be.
      udp.counters['no-buffers']++
      if (part !== null) freemsg(part)
      freemsg(mp)
      return
    }
    adjmsg(data, partBytes - left)
    part.cont = data
    adjmsg(mp.cont!, partBytes)
    mp.cont = dropEmptyHead(mp.cont!)
    setSegmentBytes(part, segmentBytes, partBytes)
    deliver(udp, e, part)
  }
  setSegmentBytes(mp, segmentBytes, left)
  deliver(udp, e, mp)
}

function setSegmentBytes(mp: Mblk, segmentBytes: number, size: number): void {
  mp.dblk.arena.words[(mp.rptr >> 2) + SEGMENT_BYTES] = size > segmentBytes ? segmentBytes : 0
}
