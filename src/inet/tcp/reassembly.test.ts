import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { allocb, freemsg } from '../../streams/mblk/alloc.ts'
import { Arena } from '../../streams/mblk/arena.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { chainOf, flat } from '../../streams/testing/messages.ts'
import { heldBytes } from './condense.ts'
import { Reassembly } from './reassembly.ts'

const arena = (): Arena => new Arena({ sizeBytes: 4 * 1024 * 1024, poison: true })

/** Byte of a stream at a sequence number. */
const byteAt = (seq: number): number => (Math.imul(seq, 31) >>> 3) & 0xff

function piece(a: Arena, seq: number, length: number, places: readonly number[] = []): Mblk {
  return chainOf(
    a,
    Uint8Array.from({ length }, (_, i) => byteAt((seq + i) | 0)),
    places,
  )
}

/** All ranges with their bytes, which are checked. */
function ranges(r: Reassembly): [number, number][] {
  return Array.from({ length: r.count }, (_, i) => [r.startAt(i), r.endAt(i)])
}

function takeAll(r: Reassembly, seq: number): Uint8Array {
  const parts: number[] = []
  for (let mp = r.takeAt(seq); mp !== null; ) {
    const { next } = mp
    parts.push(...flat(mp))
    mp.next = null
    freemsg(mp)
    mp = next
  }
  return Uint8Array.from(parts)
}

describe('inet/tcp/reassembly', () => {
  it('SHLD-31: pieces in any order make ranges without gaps, which are taken in order', () => {
    const a = arena()
    const r = new Reassembly()
    r.insert(piece(a, 300, 100), 300, 100)
    r.insert(piece(a, 100, 100), 100, 100)
    expect(ranges(r)).toEqual([
      [100, 200],
      [300, 400],
    ])
    r.insert(piece(a, 200, 100), 200, 100)
    expect(ranges(r)).toEqual([[100, 400]])
    expect(r.takeAt(99)).toBeNull()
    expect([...takeAll(r, 100)]).toEqual(Array.from({ length: 300 }, (_, i) => byteAt(100 + i)))
    expect([r.count, r.messages, r.bytes, r.held]).toEqual([0, 0, 0, 0])
    a.assertWhole()
  })

  it('RFC 2018 §4: the ranges that grew last come first, four of them', () => {
    const a = arena()
    const r = new Reassembly()
    for (const seq of [100, 200, 300, 400, 500]) r.insert(piece(a, seq, 10), seq, 10)
    r.insert(piece(a, 210, 10), 210, 10)
    const out = new Int32Array(8)
    expect(r.newest(out, 0, 4)).toBe(4)
    expect([...out]).toEqual([200, 220, 500, 510, 400, 410, 300, 310])
    r.clear()
    a.assertWhole()
  })

  it('RFC 2883 §4: what was there already is told', () => {
    const a = arena()
    const r = new Reassembly()
    const insert = (seq: number, length: number): number[] => {
      r.insert(piece(a, seq, length), seq, length)
      return [r.duplicateLeft, r.duplicateRight]
    }
    expect(insert(100, 100)).toEqual([100, 100])
    expect(insert(120, 10)).toEqual([120, 130])
    expect(insert(180, 40)).toEqual([180, 200])
    expect(insert(90, 20)).toEqual([100, 110])
    expect(ranges(r)).toEqual([[90, 220]])
    r.clear()
    a.assertWhole()
  })

  it('checklist 3.5-47: the newest goes first, message by message', () => {
    const a = arena()
    const r = new Reassembly()
    for (const seq of [100, 110, 200, 210]) r.insert(piece(a, seq, 10), seq, 10)
    const { held } = r
    expect(r.pruneHighest()).toBe(held / 4)
    expect(ranges(r)).toEqual([
      [100, 120],
      [200, 210],
    ])
    r.pruneHighest()
    r.pruneHighest()
    expect(ranges(r)).toEqual([[100, 110]])
    r.pruneHighest()
    expect([r.pruneHighest(), r.count, r.held, r.messages]).toEqual([0, 0, 0, 0])
    a.assertWhole()
  })

  it('checklist 3.5-47 (SegmentSmack): a one-byte piece in front of 8,000 others costs microseconds', () => {
    const a = new Arena({ sizeBytes: 64 * 1024 * 1024 })
    const time = (count: number): number => {
      const r = new Reassembly()
      const begin = process.hrtime.bigint()
      for (let i = count; i > 0; i--) r.insert(piece(a, 2 * i, 1), 2 * i, 1)
      const took = Number(process.hrtime.bigint() - begin)
      expect(r.count).toBe(count)
      r.clear()
      return took / count
    }
    // The best of some: the machine has other things to do.
    const best = Math.min(...Array.from({ length: 5 }, () => time(8_000)))
    expect(best).toBeLessThan(25_000)
    a.assertWhole()
  })

  it('replaceEach: messages are exchanged in place', () => {
    const a = arena()
    const r = new Reassembly()
    const big = allocb(a, 2_000)!
    big.wptr += 1
    big.dblk.bytes[big.rptr] = byteAt(100)
    r.insert(big, 100, 1)
    r.insert(piece(a, 101, 5), 101, 5)
    const before = r.held
    r.replaceEach(mp => {
      if (heldBytes(mp) === 256) return mp
      freemsg(mp)
      return piece(a, 100, 1)
    }, 2)
    expect(before - r.held).toBe(2_048 - 256)
    expect([...takeAll(r, 100)]).toEqual(Array.from({ length: 6 }, (_, i) => byteAt(100 + i)))
    a.assertWhole()
  })

  it('property: whatever comes, every byte is there once, the sums are right, and nothing is lost of the arena', () => {
    const insert = fc.record({
      op: fc.constant('insert' as const),
      seq: fc.integer({ min: 0, max: 120 }),
      length: fc.integer({ min: 1, max: 40 }),
      places: fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 3 }),
    })
    const step = fc.oneof(
      { weight: 8, arbitrary: insert },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('prune' as const) }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('take' as const) }) },
    )
    // Around the wrap of sequence numbers too.
    const base = fc.constantFrom(0, 1_000, -60, 0x7fffffff - 50)
    fc.assert(
      fc.property(base, fc.array(step, { maxLength: 40 }), (origin, steps) => {
        const a = arena()
        const r = new Reassembly()
        let have = new Set<number>()
        const at = (n: number): number => (origin + n) | 0
        for (const s of steps) {
          if (s.op === 'insert') {
            const places = s.places.filter(p => p <= s.length).sort((x, y) => x - y)
            const before = r.held
            const grew = r.insert(piece(a, at(s.seq), s.length, places), at(s.seq), s.length)
            expect(r.held - before).toBe(grew)
            for (let i = 0; i < s.length; i++) have.add(s.seq + i)
          } else if (s.op === 'prune' && r.count > 0) {
            r.pruneHighest()
            const edge = r.count === 0 ? -1 : (r.highest - origin) | 0
            have = new Set([...have].filter(n => n < edge))
          } else if (s.op === 'take' && r.count > 0) {
            const start = r.startAt(0)
            const end = r.endAt(0)
            const taken = takeAll(r, start)
            expect([...taken]).toEqual(
              Array.from({ length: (end - start) | 0 }, (_, i) => byteAt((start + i) | 0)),
            )
            const edge = (end - origin) | 0
            have = new Set([...have].filter(n => n >= edge))
          }
          expect(r.bytes).toBe(have.size)
          const listed = ranges(r).flatMap(([left, right]) =>
            Array.from({ length: (right - left) | 0 }, (_, i) => (left + i - origin) | 0),
          )
          expect(listed).toEqual([...have].sort((x, y) => x - y))
          for (let i = 1; i < r.count; i++) expect((r.startAt(i) - r.endAt(i - 1)) | 0).toBeGreaterThan(0)
        }
        r.clear()
        expect([r.held, r.messages, r.bytes]).toEqual([0, 0, 0])
        a.assertWhole()
      }),
      { numRuns: 400 },
    )
  })
})
