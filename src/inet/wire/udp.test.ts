import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addSum, sumBytes } from '../../base/checksum.ts'
import { Arena } from '../../streams/mblk/arena.ts'
import { allocUnitdata, FAMILY, LOCAL, MAPPED_WORD, REMOTE, UNITDATA_IND, unitdataAt } from '../unitdata.ts'
import {
  checkUdp,
  destinationPort,
  emitUdp,
  pseudoHeaderSum,
  sourcePort,
  UDP_HEADER_BYTES,
  udpChecksum,
  udpLength,
} from './udp.ts'

const port = fc.integer({ min: 0, max: 65_535 })

describe('inet/wire/udp', () => {
  it('RFC 768: every header comes back as it was written', () => {
    fc.assert(
      fc.property(port, port, port, port, fc.nat(9), (source, destination, length, checksum, at) => {
        const bytes = new Uint8Array(32).fill(0xa5)
        emitUdp(bytes, at, source, destination, length, checksum)
        expect(sourcePort(bytes, at)).toBe(source)
        expect(destinationPort(bytes, at)).toBe(destination)
        expect(udpLength(bytes, at)).toBe(length)
        expect(udpChecksum(bytes, at)).toBe(checksum)
        expect(bytes.subarray(0, at).every(byte => byte === 0xa5)).toBe(true)
        expect(bytes.subarray(at + UDP_HEADER_BYTES).every(byte => byte === 0xa5)).toBe(true)
      }),
    )
  })

  it.each([
    [0, 8, 'length-short'],
    [7, 8, 'length-short'],
    [7, 100, 'length-short'],
    [8, 8, null],
    [9, 8, 'length-beyond'],
    [9, 9, null],
    [65_535, 65_534, 'length-beyond'],
    [8, 65_535, null],
    [8, 7, 'header-truncated'],
    [8, 0, 'header-truncated'],
  ])('checklist 3.4-24: length field %i in %i bytes is %s', (length, total, drop) => {
    const bytes = new Uint8Array(8)
    emitUdp(bytes, 0, 1, 2, length, 0)
    expect(checkUdp(bytes, 0, Math.min(8, total), total)).toBe(drop)
  })

  it('checklist 3.4-24: a header that is not contiguous is refused, never read past its block', () => {
    expect(checkUdp(new Uint8Array(8), 4, 8, 100)).toBe('header-truncated')
  })

  it('RFC 768: the sum of an example over IPv4 is that of its pseudo-header written out', () => {
    const arena = new Arena({ sizeBytes: 1024 * 1024 })
    const mp = allocUnitdata(arena, UNITDATA_IND)!
    const at = unitdataAt(mp)
    arena.words[at + FAMILY] = 4
    arena.words.set([0, 0, MAPPED_WORD, 0x0a4d0101], at + REMOTE)
    arena.words.set([0, 0, MAPPED_WORD, 0xc0a8fffe | 0], at + LOCAL)
    const written = [10, 77, 1, 1, 192, 168, 255, 254, 0, 17, 0, 20]
    expect(pseudoHeaderSum(arena.words, at, 20)).toBe(sumBytes(written, 0, written.length))
  })

  it('RFC 8200 §8.1: the pseudo-header of IPv6 has both addresses, a 32-bit length and the next header', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 8, maxLength: 8 }), fc.nat(70_000), (words, length) => {
        const at = 0
        const block = new Int32Array(24)
        block[at + FAMILY] = 6
        block.set(words.slice(0, 4), at + REMOTE)
        block.set(words.slice(4), at + LOCAL)
        const written: number[] = []
        for (const word of [...words, length, 17])
          for (let shift = 24; shift >= 0; shift -= 8) written.push((word >>> shift) & 0xff)
        expect(addSum(0, pseudoHeaderSum(block, at, length))).toBe(sumBytes(written, 0, written.length))
      }),
    )
  })
})
