import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { SequenceKeys } from './isn.ts'
import {
  COOKIE_MSS,
  checkCookie,
  cookieEcn,
  cookieSack,
  cookieScale,
  cookieTimestamp,
  makeCookie,
} from './syn-cookie.ts'

type Tuple = readonly [number, number, number, number, number, number, number, number, number]

const keys = new SequenceKeys(Int32Array.of(11, 22, 33, 44, 55, 66, 77, 88))
const word = fc.integer()
const tuple: fc.Arbitrary<Tuple> = fc.tuple(word, word, word, word, word, word, word, word, word)
const TUPLE: Tuple = [1, 2, 3, 4, 5, 6, 7, 8, 9]
const make = (now: number, t: Tuple, irs: number, mss: number): number =>
  makeCookie(keys, now, ...t, irs, mss)
const check = (now: number, t: Tuple, irs: number, cookie: number): number =>
  checkCookie(keys, now, ...t, irs, cookie)
const TICK_MS = 65_536

describe('tcp/syn-cookie', () => {
  it('checklist 3.5-36: carries the MSS, never more than the peer announced', () => {
    fc.assert(
      fc.property(tuple, word, word, fc.integer({ min: 48, max: 65_535 }), (t, irs, now, mss) => {
        const said = check(now, t, irs, make(now, t, irs, mss))
        expect(COOKIE_MSS).toContain(said)
        expect(said).toBeLessThanOrEqual(mss)
        const larger = COOKIE_MSS.find(each => each > said)
        if (larger !== undefined) expect(larger).toBeGreaterThan(mss)
      }),
    )
  })

  it('checklist 3.5-36: holds 65 seconds at least and 131 at most, also where the clock wraps', () => {
    const age = fc.integer({ min: 0, max: 10_000_000 })
    fc.assert(
      fc.property(fc.oneof(word, fc.constantFrom(0x7fffffff, -1, -65_000)), age, (now, ms) => {
        const cookie = make(now, TUPLE, 5, 1_460)
        const said = check((now + ms) | 0, TUPLE, 5, cookie)
        if (ms <= TICK_MS) expect(said).toBe(1_460)
        // Of four values of the clock's bits two are good, and then 27 bits have to be right by chance.
        if (ms >= 2 * TICK_MS) expect(said).toBe(0)
      }),
      { numRuns: 1_000 },
    )
  })

  it('checklist 3.5-36: the secret is another in every minute: an old proof is none, even when its clock bits come round', () => {
    const cookie = make(0, TUPLE, 5, 1_460)
    for (let tick = 2; tick < 2_000; tick++) expect(check(tick * TICK_MS, TUPLE, 5, cookie)).toBe(0)
  })

  it('checklist 3.5-36: for another tuple, another opening or another stack it is worth nothing', () => {
    const cookie = make(1_000, TUPLE, 5, 1_460)
    expect(check(1_000, TUPLE, 5, cookie)).toBe(1_460)
    for (let i = 0; i < 9; i++) {
      const other = [...TUPLE] as number[]
      other[i]! += 1
      expect(check(1_000, other as unknown as Tuple, 5, cookie)).toBe(0)
    }
    expect(check(1_000, TUPLE, 6, cookie)).toBe(0)
    const restarted = new SequenceKeys(Int32Array.of(11, 22, 33, 44, 55, 66, 77, 89))
    expect(checkCookie(restarted, 1_000, ...TUPLE, 5, cookie)).toBe(0)
  })

  it('every bit counts', () => {
    const cookie = make(1_000, TUPLE, 5, 1_460)
    for (let bit = 0; bit < 32; bit++) expect(check(1_000, TUPLE, 5, cookie ^ (1 << bit))).toBe(0)
  })

  it('hostile: of two million guesses none is good (one in 2^28 is)', () => {
    const random = new Prng(1)
    let good = 0
    for (let i = 0; i < 2_000_000; i++) if (check(1_000, TUPLE, 5, random.int32()) !== 0) good++
    expect(good).toBe(0)
  })

  it('as initial sequence numbers they look random', () => {
    const counts = new Int32Array(256)
    for (let i = 0; i < 100_000; i++) {
      const t: Tuple = [0, 0, 0xffff, i >> 4, 0, 0, 0xffff, 1, i & 15]
      counts[make(i, t, 5, 1_460) >>> 24]!++
    }
    const mean = 100_000 / 256
    const chi = counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0)
    expect(chi).toBeLessThan(255 + 5 * 22.6)
  })

  it('checklist 3.5-36: with timestamps it carries scale, SACK and ECN, and is never ahead of the clock', () => {
    fc.assert(
      fc.property(
        word,
        fc.integer({ min: -1, max: 14 }),
        fc.boolean(),
        fc.boolean(),
        (clock, scale, sack, ecn) => {
          const value = cookieTimestamp(clock, scale, sack, ecn)
          expect([cookieScale(value), cookieSack(value), cookieEcn(value)]).toEqual([scale, sack, ecn])
          expect((clock - value) | 0).toBeGreaterThanOrEqual(0)
          expect((clock - value) | 0).toBeLessThan(128)
        },
      ),
    )
  })
})
