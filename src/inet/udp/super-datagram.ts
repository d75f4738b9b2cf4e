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
 * Delivers the datagrams of a super-datagram one by one, as views of its blocks.
 * @param mp - consumed: control block and data, without the UDP header
 * @param size - payload bytes of each
 */
export function splitSuper(udp: Udp, e: Endpoint, mp: Mblk, size: number): void {
  udp.counters['super-datagrams-split']++
  const { words } = mp.dblk.arena
  words[(mp.rptr >> 2) + SEGMENT_BYTES] = 0
  let left = messageBytes(mp.cont!)
  for (; left > size; left -= size) {
    const part = copyUnitdata(mp)
    const data = part === null ? null : dupmsg(mp.cont!)
    if (part === null || data === null) {
      // Datagrams may be lost; the arena must not be.
      udp.counters['no-buffers']++
      if (part !== null) freemsg(part)
      break
    }
    adjmsg(data, size - left)
    part.cont = data
    adjmsg(mp.cont!, size)
    mp.cont = dropEmptyHead(mp.cont!)
    deliver(udp, e, part)
  }
  if (left > size) freemsg(mp)
  else deliver(udp, e, mp)
}
