/** Packets for tests of modules: small, valid, and told apart by a number. */
import { sumBytes } from '../../base/checksum.ts'
import { allocb } from '../mblk/alloc.ts'
import type { Arena } from '../mblk/arena.ts'
import { HEADROOM_BYTES } from '../mblk/arena.ts'
import type { BorrowedMblk, UniqueMblk } from '../mblk/mblk.ts'
import { flat } from './messages.ts'

const IPV4_BYTES = 20
const UDP_BYTES = 8

/**
 * An IPv4 UDP packet from 10.77.1.1:7000 to 10.77.1.2:7 with both checksums right, whose last four bytes are `index`
 * (RFC 791 §3.1, RFC 768).
 * @param payloadBytes - 4 at least
 */
export function numberedPacket(arena: Arena, index: number, payloadBytes = 64): UniqueMblk {
  const size = IPV4_BYTES + UDP_BYTES + payloadBytes
  const mp = allocb(arena, size, HEADROOM_BYTES)
  if (mp === null) throw new Error('the test ran out of blocks')
  const packet = new Uint8Array(size)
  const view = new DataView(packet.buffer)
  packet.set([
    0x45,
    0,
    size >>> 8,
    size & 0xff,
    index >>> 8,
    index,
    0,
    0,
    64,
    17,
    0,
    0,
    10,
    77,
    1,
    1,
    10,
    77,
    1,
    2,
  ])
  view.setUint16(10, ~sumBytes(packet, 0, IPV4_BYTES) & 0xffff)
  view.setUint16(20, 7_000)
  view.setUint16(22, 7)
  view.setUint16(24, UDP_BYTES + payloadBytes)
  view.setUint32(size - 4, index)
  const pseudo = sumBytes(packet, 12, 20, 17 + UDP_BYTES + payloadBytes)
  view.setUint16(26, ~sumBytes(packet, IPV4_BYTES, size, pseudo) & 0xffff)
  mp.dblk.bytes.set(packet, mp.wptr)
  mp.wptr += size
  return mp
}

/** The number of a {@link numberedPacket}, or of any message that ends with one. */
export function packetNumber(mp: BorrowedMblk): number {
  const bytes = flat(mp)
  return new DataView(bytes.buffer).getUint32(bytes.length - 4)
}
