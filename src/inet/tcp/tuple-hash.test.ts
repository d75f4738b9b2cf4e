import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAPPED_WORD } from '../unitdata.ts'
import { TUPLE_HASH_BITS, TupleHash } from './tuple-hash.ts'

type Tuple = readonly [number, number, number, number, number, number, number, number, number]

const word = fc.integer()
const v4: fc.Arbitrary<Tuple> = fc
  .tuple(word, word, word)
  .map(([r3, l3, ports]) => [0, 0, MAPPED_WORD, r3, 0, 0, MAPPED_WORD, l3, ports])
const v6: fc.Arbitrary<Tuple> = fc.tuple(word, word, word, word, word, word, word, word, word)

/** How often two tuples meet under so many keys. */
function meetings(a: Tuple, b: Tuple, keys: number): number {
  const hash = new TupleHash(7)
  let count = 0
  for (let i = 0; i < keys; i++) {
    if (hash.of(...a) === hash.of(...b)) count++
    hash.rekey()
  }
  return count
}

describe('tcp/tuple-hash', () => {
  it('is the same for the same tuple and key, and has 17 bits', () => {
    fc.assert(
      fc.property(fc.oneof(v4, v6), word, (tuple, seed) => {
        const value = new TupleHash(seed).of(...tuple)
        expect(new TupleHash(seed).of(...tuple)).toBe(value)
        expect(value >>> TUPLE_HASH_BITS).toBe(0)
      }),
    )
  })

  it('depends on every bit of every word', () => {
    fc.assert(
      fc.property(v6, fc.nat(287), (tuple, bit) => {
        const other = [...tuple] as unknown as [...Tuple]
        other[bit >> 5]! ^= 1 << (bit & 31)
        expect(meetings(tuple, other as unknown as Tuple, 100)).toBeLessThan(3)
      }),
    )
  })

  // Universal: the chance over the keys is 2^-17 for whichever two, also those that a hash with known factors sends
  // together: differences in the top bits alone, of one word against another, in steps.
  it.each<[string, Tuple, Tuple]>([
    ['top bits', [1, 0, 0, 5, 1, 0, 0, 6, 7], [1 | (1 << 31), 0, 0, 5 | (1 << 31), 1, 0, 0, 6, 7]],
    [
      'top bits and their shifts',
      [1, 0, 0, 5, 1, 0, 0, 6, 7],
      [1, 1 << 31, 1 << 31, 5 ^ (1 << 16), 1, 0, 0, 6, 7],
    ],
    ['two words changed for one another', [1, 2, 3, 4, 1, 0, 0, 6, 7], [1, 2, 4, 3, 1, 0, 0, 6, 7]],
    ['remote for local', [1, 2, 3, 4, 5, 6, 7, 8, 9], [5, 6, 7, 8, 1, 2, 3, 4, 9]],
    ['halves of a word', [1, 2, 3, 0x00010002, 5, 6, 7, 8, 9], [1, 2, 3, 0x00020001, 5, 6, 7, 8, 9]],
    [
      'an IPv4 tuple and one of IPv6',
      [0, 0, 0xffff, 4, 0, 0, 0xffff, 8, 9],
      [0, 0, 0xfffe, 4, 0, 0, 0xfffe, 8, 9],
    ],
    ['neighbouring ports', [0, 0, 0xffff, 4, 0, 0, 0xffff, 8, 9], [0, 0, 0xffff, 4, 0, 0, 0xffff, 8, 10]],
  ])('collision resistance: %s seldom meet, whatever the key', (_, a, b) => {
    // 40,000 keys: 0.3 meetings are to be expected.
    expect(meetings(a, b, 40_000)).toBeLessThan(5)
  })

  it.each<[string, (i: number) => Tuple]>([
    [
      'the ports of one peer',
      i => [0, 0, MAPPED_WORD, 0x0a000001, 0, 0, MAPPED_WORD, 0x0a000002, (80 << 16) | i],
    ],
    [
      'a network of peers',
      i => [0, 0, MAPPED_WORD, 0x0a000000 + i, 0, 0, MAPPED_WORD, 0x0a000002, (80 << 16) | 1024],
    ],
    ['the hosts of one /64', i => [1, 2, Math.imul(i, 0x10001), i, 1, 2, 0, 1, (443 << 16) | 50_000]],
  ])(
    '%s: over the keys, finding one of 2^14 in as many buckets takes no more looks than with chance',
    (_, make) => {
      const hash = new TupleHash(99)
      const items = 1 << 14
      const keys = 50
      let looks = 0
      for (let key = 0; key < keys; key++) {
        const counts = new Int32Array(items)
        for (let i = 0; i < items; i++) looks += ++counts[hash.of(...make(i)) & (items - 1)]!
        hash.rekey()
      }
      // Pairwise independence: 1.5 is to be expected for every set of tuples, wide of it for some keys.
      expect(looks / items / keys).toBeLessThan(2)
    },
  )
})
