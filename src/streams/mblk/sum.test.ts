import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fold } from '../../base/checksum.ts'
import { chainOf } from '../testing/messages.ts'
import { freemsg } from './alloc.ts'
import { Arena } from './arena.ts'
import { sumMessage } from './sum.ts'

/** RFC 1071 §4.1, as it is written there: 16-bit words, an odd last byte as the high half, carries folded in. */
function plainSum(bytes: Uint8Array, start: number, length: number, sum: number): number {
  for (let i = 0; i < length; i++) sum += i % 2 === 0 ? bytes[start + i]! * 256 : bytes[start + i]!
  while (sum > 0xffff) sum = (sum % 65_536) + Math.floor(sum / 65_536)
  return sum
}

/** Sums are equal if they differ only in how zero is written (0 or 0xffff). */
const same = (a: number, b: number): boolean => fold(a) % 0xffff === fold(b) % 0xffff

describe('mblk/sum', () => {
  it('checklist 3.6-59: a message split at every two places sums like the flat bytes, from every offset', () => {
    const arena = new Arena({ sizeBytes: 1024 * 1024, poison: true })
    const bytes = Uint8Array.from({ length: 33 }, (_, i) => (i * 37 + 200) & 0xff)
    for (let a = 0; a <= bytes.length; a++) {
      for (let b = a; b <= bytes.length; b++) {
        const mp = chainOf(arena, bytes, [a, b], (a + b) % 4)
        for (const offset of [0, 1, 2, 7, 16, 33]) {
          const length = bytes.length - offset
          expect(sumMessage(mp, offset, length)).toBe(plainSum(bytes, offset, length, 0))
        }
        freemsg(mp)
      }
    }
    arena.assertWhole()
  })

  it('checklist 3.6-61: property: blocks of odd length at odd places, long and short, any start value', () => {
    const arena = new Arena({ sizeBytes: 4 * 1024 * 1024 })
    const property = fc.property(
      fc.uint8Array({ maxLength: 2_000 }),
      fc.array(fc.nat(2_000), { maxLength: 8 }),
      fc.nat(),
      fc.nat(),
      fc.nat(0xffff),
      fc.nat(3),
      (bytes, cuts, a, b, start, headroom) => {
        const places = cuts.map(place => place % (bytes.length + 1)).sort((x, y) => x - y)
        const offset = a % (bytes.length + 1)
        const length = b % (bytes.length - offset + 1)
        const mp = chainOf(arena, bytes, places, headroom)
        const sum = sumMessage(mp, offset, length, start)
        expect(sum).toBeLessThanOrEqual(0xffff)
        expect(same(sum, plainSum(bytes, offset, length, start))).toBe(true)
        freemsg(mp)
      },
    )
    fc.assert(property, { numRuns: 1_000 })
    arena.assertWhole()
  })

  it('RFC 1071 §2: all ones never overflows, at the largest datagram', () => {
    const arena = new Arena({ sizeBytes: 4 * 1024 * 1024 })
    const bytes = new Uint8Array(65_535).fill(0xff)
    for (const places of [[], [1], [32_768], [191, 383], [32_767, 32_769]]) {
      const mp = chainOf(arena, bytes, places)
      expect(sumMessage(mp, 0, bytes.length, 0xffff)).toBe(plainSum(bytes, 0, bytes.length, 0xffff))
      freemsg(mp)
    }
  })
})
