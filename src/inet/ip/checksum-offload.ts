/** Transport checksums that somebody left to be finished, and offload fields that must fit their packet. */
import { fold } from '../../base/checksum.ts'
import {
  type BorrowedMblk,
  type Mblk,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_GSO,
  OFFLOAD_GSO_TCP4,
  OFFLOAD_GSO_TCP6,
  OFFLOAD_GSO_UDP,
} from '../../streams/mblk/mblk.ts'
import { pullupmsg, unshare } from '../../streams/mblk/pullup.ts'
import { sumMessage } from '../../streams/mblk/sum.ts'
import { putU16 } from '../wire/fields.ts'

export const PROTOCOL_TCP = 6
export const PROTOCOL_UDP = 17
export const TCP_CSUM_OFFSET = 16
export const UDP_CSUM_OFFSET = 6
export const UDP_HEADER_SIZE = 8
export const TCP_HEADER_SIZE = 20
const TCP_DATA_OFFSET = 12

/** Datagrams of one super-datagram; the kernel's own limit for UDP segmentation. */
export const UDP_SEGMENTS_MAX = 128

/**
 * Makes the first `size` bytes of a message contiguous and its first block nobody else's.
 * @param mp - consumed; a message of at least `size` bytes
 * @returns null when no block is left (`mp` is freed)
 */
export function makeWritable(mp: Mblk, size: number): Mblk | null {
  const whole = mp.wptr - mp.rptr >= size ? mp : pullupmsg(mp, size)
  if (whole === null || whole.dblk.ref === 1) return whole
  return unshare(whole)
}

/**
 * Sums a packet from `csumStart` to its end and writes the checksum (RFC 1071; RFC 768: 0 is sent as 0xFFFF).
 * @param mp - consumed; the field holds the pseudo-header's sum
 * @param size - bytes of the packet
 * @returns the packet, finished; null when no block is left (`mp` is freed)
 */
export function finishChecksum(mp: Mblk, size: number): Mblk | null {
  const { csumStart, csumOffset } = mp
  const done = makeWritable(mp, csumStart + csumOffset + 2)
  if (done === null) return null
  const checksum = ~fold(sumMessage(done, csumStart, size - csumStart)) & 0xffff
  const isUdp = csumOffset === UDP_CSUM_OFFSET
  putU16(done.dblk.bytes, done.rptr + csumStart + csumOffset, isUdp && checksum === 0 ? 0xffff : checksum)
  done.offload &= ~OFFLOAD_CSUM_NEEDED
  return done
}

/**
 * Whether the offload fields of a received packet fit it (checklist 3.7-65): a device may lie.
 * @param mp - borrowed; IP header first, transport header contiguous as far as 8 bytes go
 * @param headerBytes - bytes in front of the transport
 */
export function offloadFits(
  mp: BorrowedMblk,
  family: number,
  protocol: number,
  headerBytes: number,
  size: number,
): boolean {
  const { offload } = mp
  if ((offload & OFFLOAD_CSUM_NEEDED) !== 0) {
    const wanted =
      protocol === PROTOCOL_UDP ? UDP_CSUM_OFFSET : protocol === PROTOCOL_TCP ? TCP_CSUM_OFFSET : -1
    if (mp.csumStart !== headerBytes || mp.csumOffset !== wanted || headerBytes + wanted + 2 > size)
      return false
  }
  const gso = offload & OFFLOAD_GSO
  if (gso === 0) return true
  if (mp.gsoSize <= 0) return false
  if (gso === OFFLOAD_GSO_UDP) {
    const payload = size - headerBytes - UDP_HEADER_SIZE
    return protocol === PROTOCOL_UDP && payload > 0 && payload <= mp.gsoSize * UDP_SEGMENTS_MAX
  }
  return protocol === PROTOCOL_TCP && gso === (family === 4 ? OFFLOAD_GSO_TCP4 : OFFLOAD_GSO_TCP6)
}

/**
 * Bytes of the transport header of a super-packet.
 * @param mp - borrowed; @param headerBytes - bytes in front of it
 * @returns 0 if the header makes no sense
 */
export function segmentHeaderBytes(mp: BorrowedMblk, headerBytes: number): number {
  if ((mp.offload & OFFLOAD_GSO) === OFFLOAD_GSO_UDP) return UDP_HEADER_SIZE
  const at = headerBytes + TCP_DATA_OFFSET
  if (at >= mp.wptr - mp.rptr) return 0
  const size = (mp.bytes[mp.rptr + at]! >> 4) << 2
  return size < TCP_HEADER_SIZE ? 0 : size
}
