/**
 * The virtio-net header in front of each packet of a TUN device: what it claims is checked once, here, and becomes
 * the offload fields of the message. Read linux/virtio_net.h and wireguard-go's checks for the same header first.
 * The header's words are in the host's order, little-endian on every machine the shim is built for.
 */
import type { ReadonlyBytes } from '../base/checksum.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import {
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_CSUM_VALID,
  OFFLOAD_GSO,
  OFFLOAD_GSO_TCP4,
  OFFLOAD_GSO_TCP6,
  OFFLOAD_GSO_UDP,
} from '../streams/mblk/mblk.ts'

const FLAGS = 0
const GSO_TYPE = 1
const HDR_LEN = 2
const GSO_SIZE = 4
const CSUM_START = 6
const CSUM_OFFSET = 8
export const VIRTIO_HEADER_SIZE = 10

const F_NEEDS_CSUM = 1
const F_DATA_VALID = 2
const GSO_NONE = 0
const GSO_TCPV4 = 1
const GSO_TCPV6 = 4
const GSO_UDP_L4 = 5
const GSO_ECN = 0x80

const TCP_CSUM_OFFSET = 16
const UDP_CSUM_OFFSET = 6
const TCP_HEADER_SIZE = 20
const UDP_HEADER_SIZE = 8
/** Datagrams in one super-datagram; the kernel itself makes at most 128 (UDP_MAX_SEGMENTS). */
export const UDP_SEGMENTS_MAX = 128

export const VIRTIO_DROPS = [
  'virtio-short',
  'virtio-csum-range',
  'virtio-csum-offset',
  'virtio-gso-type',
  'virtio-gso-version',
  'virtio-gso-size',
  'virtio-gso-csum',
  'virtio-gso-header',
  'virtio-gso-segments',
] as const
export type VirtioDrop = (typeof VIRTIO_DROPS)[number]

const u16le = (b: ReadonlyBytes, i: number): number => b[i]! | (b[i + 1]! << 8)

/**
 * Checks the header at `mp.rptr`, moves `rptr` behind it and sets the offload fields.
 * @param mp - a packet as read: its first block holds the headers
 * @param size - bytes of the whole message, virtio header included
 * @returns null, or why the packet cannot be believed
 */
export function readVirtioHeader(mp: Mblk, size: number): VirtioDrop | null {
  const b = mp.bytes
  const at = mp.rptr
  if (size <= VIRTIO_HEADER_SIZE) return 'virtio-short'
  const flags = b[at + FLAGS]!
  const gsoType = b[at + GSO_TYPE]! & ~GSO_ECN
  mp.rptr += VIRTIO_HEADER_SIZE
  if (flags === 0 && gsoType === GSO_NONE) return null
  const packetBytes = size - VIRTIO_HEADER_SIZE
  if ((flags & F_NEEDS_CSUM) !== 0) {
    const start = u16le(b, at + CSUM_START)
    const offset = u16le(b, at + CSUM_OFFSET)
    if (start + offset + 2 > packetBytes || start < 20) return 'virtio-csum-range'
    if (offset !== TCP_CSUM_OFFSET && offset !== UDP_CSUM_OFFSET) return 'virtio-csum-offset'
    mp.offload = OFFLOAD_CSUM_NEEDED
    mp.csumStart = start
    mp.csumOffset = offset
  } else if ((flags & F_DATA_VALID) !== 0) {
    mp.offload = OFFLOAD_CSUM_VALID
  }
  return gsoType === GSO_NONE ? null : readGso(mp, gsoType, u16le(b, at + GSO_SIZE), packetBytes)
}

/** The header's hdr_len is not read: the kernel may set it to the whole first packet, so it is derived. */
function readGso(mp: Mblk, gsoType: number, gsoSize: number, packetBytes: number): VirtioDrop | null {
  const b = mp.bytes
  const version = b[mp.rptr]! >> 4
  const kind =
    gsoType === GSO_TCPV4
      ? OFFLOAD_GSO_TCP4
      : gsoType === GSO_TCPV6
        ? OFFLOAD_GSO_TCP6
        : gsoType === GSO_UDP_L4
          ? OFFLOAD_GSO_UDP
          : 0
  if (kind === 0) return 'virtio-gso-type'
  if (kind === OFFLOAD_GSO_TCP4 && version !== 4) return 'virtio-gso-version'
  if (kind === OFFLOAD_GSO_TCP6 && version !== 6) return 'virtio-gso-version'
  // A super-segment's sum is never complete: without NEEDS_CSUM its header lies.
  if ((mp.offload & OFFLOAD_CSUM_NEEDED) === 0) return 'virtio-gso-csum'
  const udp = kind === OFFLOAD_GSO_UDP
  if (mp.csumOffset !== (udp ? UDP_CSUM_OFFSET : TCP_CSUM_OFFSET)) return 'virtio-gso-csum'
  const transport = mp.rptr + mp.csumStart
  let headerBytes = UDP_HEADER_SIZE
  if (!udp) {
    if (transport + TCP_HEADER_SIZE > mp.wptr) return 'virtio-gso-header'
    headerBytes = (b[transport + 12]! >> 4) * 4
    if (headerBytes < TCP_HEADER_SIZE) return 'virtio-gso-header'
  }
  const payloadBytes = packetBytes - mp.csumStart - headerBytes
  if (payloadBytes < 0) return 'virtio-gso-header'
  if (gsoSize === 0 || (gsoSize === 1 && !udp) || gsoSize > payloadBytes) return 'virtio-gso-size'
  if (udp && payloadBytes > gsoSize * UDP_SEGMENTS_MAX) return 'virtio-gso-segments'
  mp.offload |= kind
  mp.gsoSize = gsoSize
  return null
}

/**
 * Writes the header that says what the message's offload fields say.
 * @param to - memory of {@link VIRTIO_HEADER_SIZE} bytes at `at`, right before the packet
 * @param mp - the message whose `rptr` is `at`, so that `csumStart` still counts this header
 */
export function writeVirtioHeader(to: Uint8Array, at: number, mp: Mblk): void {
  const offload = mp.offload
  const needsCsum = (offload & OFFLOAD_CSUM_NEEDED) !== 0
  const csumStart = needsCsum ? mp.csumStart - VIRTIO_HEADER_SIZE : 0
  to[at + FLAGS] = needsCsum ? F_NEEDS_CSUM : 0
  put16le(to, at + CSUM_START, csumStart)
  put16le(to, at + CSUM_OFFSET, needsCsum ? mp.csumOffset : 0)
  if ((offload & OFFLOAD_GSO) === 0) {
    to[at + GSO_TYPE] = GSO_NONE
    put16le(to, at + HDR_LEN, 0)
    put16le(to, at + GSO_SIZE, 0)
    return
  }
  const udp = (offload & OFFLOAD_GSO_UDP) !== 0
  const transport = at + VIRTIO_HEADER_SIZE + csumStart
  const headerBytes = udp ? UDP_HEADER_SIZE : (to[transport + 12]! >> 4) * 4
  to[at + GSO_TYPE] = udp ? GSO_UDP_L4 : (offload & OFFLOAD_GSO_TCP4) !== 0 ? GSO_TCPV4 : GSO_TCPV6
  put16le(to, at + HDR_LEN, csumStart + headerBytes)
  put16le(to, at + GSO_SIZE, mp.gsoSize)
}

function put16le(to: Uint8Array, at: number, value: number): void {
  to[at] = value
  to[at + 1] = value >>> 8
}
