import { afterEach, describe, expect, it } from 'vitest'
import { allocb, freemsg } from '../streams/mblk/alloc.ts'
import { Arena } from '../streams/mblk/arena.ts'
import {
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_CSUM_VALID,
  OFFLOAD_GSO_TCP4,
  OFFLOAD_GSO_TCP6,
  OFFLOAD_GSO_UDP,
  type UniqueMblk,
} from '../streams/mblk/mblk.ts'
import { readVirtioHeader, VIRTIO_HEADER_SIZE, writeVirtioHeader } from './virtio.ts'

const arena = new Arena({ sizeBytes: 1024 * 1024 })
afterEach(() => arena.assertWhole())

interface Claim {
  flags?: number
  gsoType?: number
  hdrLen?: number
  gsoSize?: number
  csumStart?: number
  csumOffset?: number
}

/** A message as read from the device: a virtio header that makes `claim`, then `packetBytes` of packet. */
function packet(claim: Claim, packetBytes: number, version = 4, dataOffset = 5): UniqueMblk {
  const mp = allocb(arena, 2_000)!
  const b = mp.dblk.bytes
  const { flags = 0, gsoType = 0, hdrLen = 0, gsoSize = 0, csumStart = 0, csumOffset = 0 } = claim
  const at = mp.rptr
  b.fill(0, at, at + VIRTIO_HEADER_SIZE + packetBytes)
  b[at] = flags
  b[at + 1] = gsoType
  for (const [i, value] of [hdrLen, gsoSize, csumStart, csumOffset].entries()) {
    b[at + 2 + 2 * i] = value
    b[at + 3 + 2 * i] = value >>> 8
  }
  b[at + VIRTIO_HEADER_SIZE] = version << 4
  if (csumStart > 0) b[at + VIRTIO_HEADER_SIZE + csumStart + 12] = dataOffset << 4
  mp.wptr += VIRTIO_HEADER_SIZE + packetBytes
  return mp
}

function verdict(claim: Claim, packetBytes: number, version = 4, dataOffset = 5) {
  const mp = packet(claim, packetBytes, version, dataOffset)
  const drop = readVirtioHeader(mp, VIRTIO_HEADER_SIZE + packetBytes)
  const { offload, csumStart, csumOffset, gsoSize } = mp
  freemsg(mp)
  return { drop, offload, csumStart, csumOffset, gsoSize }
}

const TCP4 = { flags: 1, gsoType: 1, gsoSize: 100, csumStart: 20, csumOffset: 16 }
const UDP4 = { flags: 1, gsoType: 5, gsoSize: 100, csumStart: 20, csumOffset: 6 }

describe('driver/virtio', () => {
  it('a header that claims nothing leaves a plain packet', () => {
    expect(verdict({}, 60)).toEqual({ drop: null, offload: 0, csumStart: 0, csumOffset: 0, gsoSize: 0 })
  })

  it('an unfinished checksum and one the device vouches for are told apart', () => {
    expect(verdict({ flags: 1, csumStart: 20, csumOffset: 6 }, 60)).toMatchObject({
      drop: null,
      offload: OFFLOAD_CSUM_NEEDED,
      csumStart: 20,
      csumOffset: 6,
    })
    expect(verdict({ flags: 2 }, 60)).toMatchObject({ drop: null, offload: OFFLOAD_CSUM_VALID })
  })

  it('super-packets of each kind are recognised', () => {
    expect(verdict(TCP4, 500)).toMatchObject({
      drop: null,
      offload: OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_TCP4,
      gsoSize: 100,
    })
    expect(verdict({ ...TCP4, gsoType: 4, csumStart: 40 }, 500, 6)).toMatchObject({
      drop: null,
      offload: OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_TCP6,
    })
    expect(verdict({ ...UDP4, gsoType: 5 }, 500)).toMatchObject({
      drop: null,
      offload: OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_UDP,
    })
    expect(verdict({ ...TCP4, gsoType: 0x81 }, 500).drop).toBeNull()
  })

  it('checklist 3.7-65: a wrong hdr_len does no harm, it is not read', () => {
    for (const hdrLen of [0, 1, 500, 65_535]) expect(verdict({ ...TCP4, hdrLen }, 500).drop).toBeNull()
  })

  it.each([
    ['3.7-64: nothing behind the header', {}, 0, 4, 5, 'virtio-short'],
    ['gso_type unknown', { ...TCP4, gsoType: 9 }, 500, 4, 5, 'virtio-gso-type'],
    ['gso_type UFO', { ...UDP4, gsoType: 3 }, 500, 4, 5, 'virtio-gso-type'],
    ['TCPv4 with an IPv6 packet', TCP4, 500, 6, 5, 'virtio-gso-version'],
    ['TCPv6 with an IPv4 packet', { ...TCP4, gsoType: 4 }, 500, 4, 5, 'virtio-gso-version'],
    ['gso_size 0', { ...TCP4, gsoSize: 0 }, 500, 4, 5, 'virtio-gso-size'],
    ['gso_size 1', { ...TCP4, gsoSize: 1 }, 500, 4, 5, 'virtio-gso-size'],
    ['gso_size above the payload', { ...TCP4, gsoSize: 461 }, 500, 4, 5, 'virtio-gso-size'],
    [
      'csum_start beyond the packet',
      { flags: 1, csumStart: 500, csumOffset: 6 },
      60,
      4,
      5,
      'virtio-csum-range',
    ],
    ['csum field across the end', { flags: 1, csumStart: 53, csumOffset: 6 }, 60, 4, 5, 'virtio-csum-range'],
    [
      'csum_start inside the IP header',
      { flags: 1, csumStart: 10, csumOffset: 6 },
      60,
      4,
      5,
      'virtio-csum-range',
    ],
    [
      'csum_offset of no transport',
      { flags: 1, csumStart: 20, csumOffset: 8 },
      60,
      4,
      5,
      'virtio-csum-offset',
    ],
    ['a super-segment without NEEDS_CSUM', { ...TCP4, flags: 0 }, 500, 4, 5, 'virtio-gso-csum'],
    ['TCP with the checksum field of UDP', { ...TCP4, csumOffset: 6 }, 500, 4, 5, 'virtio-gso-csum'],
    ['TCP data offset below 20', TCP4, 500, 4, 4, 'virtio-gso-header'],
    ['TCP header past the end', TCP4, 41, 4, 15, 'virtio-gso-header'],
    ['UDP segments of one byte by the thousand', { ...UDP4, gsoSize: 1 }, 1_500, 4, 5, 'virtio-gso-segments'],
  ] as const)('checklist 3.7-65: %s is refused', (_name, claim, bytes, version, dataOffset, drop) => {
    expect(verdict(claim, bytes, version, dataOffset).drop).toBe(drop)
  })

  it('what is written reads back, for every kind', () => {
    for (const [claim, version] of [
      [TCP4, 4],
      [UDP4, 4],
      [{ ...TCP4, gsoType: 4, csumStart: 40 }, 6],
      [{ flags: 1, csumStart: 20, csumOffset: 6 }, 4],
    ] as const) {
      const mp = packet(claim, 500, version)
      expect(readVirtioHeader(mp, 510)).toBeNull()
      const { offload, csumStart, csumOffset, gsoSize } = mp
      mp.rptr -= VIRTIO_HEADER_SIZE
      mp.csumStart += VIRTIO_HEADER_SIZE
      mp.dblk.bytes.fill(0xff, mp.rptr, mp.rptr + VIRTIO_HEADER_SIZE)
      writeVirtioHeader(mp.dblk.bytes, mp.rptr, mp)
      mp.offload = 0
      expect(readVirtioHeader(mp, 510)).toBeNull()
      expect({
        offload: mp.offload,
        csumStart: mp.csumStart,
        csumOffset: mp.csumOffset,
        gsoSize: mp.gsoSize,
      }).toEqual({ offload, csumStart, csumOffset, gsoSize })
      freemsg(mp)
    }
  })
})
