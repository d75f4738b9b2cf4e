import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seqAdd, seqDiff, seqGeq, seqGt, seqIn, seqLeq, seqLt, seqMax, seqMin } from './seq32.ts'

const LAST = 0x7fffffff
const FIRST = -0x80000000
/** Any number, often one close to where it wraps: as int32 that is in the middle of a space and at its end. */
const seq = fc.oneof(
  fc.integer(),
  fc.integer({ min: -300, max: 300 }),
  fc.integer({ min: LAST - 300, max: LAST }),
  fc.integer({ min: FIRST, max: FIRST + 300 }),
)
/** Less than half the space. */
const step = fc.oneof(fc.integer({ min: 1, max: LAST }), fc.integer({ min: 1, max: 70_000 }))
const wrapped = (value: bigint): number => Number(BigInt.asIntN(32, value))

describe('base/seq32', () => {
  it('RFC 9293 §3.4: sums and differences are those of whole numbers modulo 2^32', () => {
    fc.assert(
      fc.property(seq, fc.integer(), (a, n) => {
        expect(seqAdd(a, n)).toBe(wrapped(BigInt(a) + BigInt(n)))
        expect(seqDiff(a, n)).toBe(wrapped(BigInt(a) - BigInt(n)))
        expect(seqDiff(seqAdd(a, n), a)).toBe(n)
      }),
    )
  })

  it('RFC 9293 §3.4: what lies less than 2^31 ahead is greater, wherever the numbers wrap', () => {
    fc.assert(
      fc.property(seq, step, (a, n) => {
        const b = seqAdd(a, n)
        expect([seqLt(a, b), seqLeq(a, b), seqGt(b, a), seqGeq(b, a)]).toEqual([true, true, true, true])
        expect([seqLt(b, a), seqLeq(b, a), seqGt(a, b), seqGeq(a, b)]).toEqual([false, false, false, false])
        expect([seqMax(a, b), seqMax(b, a), seqMin(a, b), seqMin(b, a)]).toEqual([b, b, a, a])
      }),
    )
  })

  it('RFC 9293 §3.4: a number is neither before nor behind itself', () => {
    fc.assert(
      fc.property(seq, a => {
        expect([seqLt(a, a), seqGt(a, a), seqLeq(a, a), seqGeq(a, a)]).toEqual([false, false, true, true])
        expect([seqMax(a, a), seqMin(a, a)]).toEqual([a, a])
      }),
    )
  })

  it('RFC 9293 §3.4: a window holds its low end and not its high one, over the wrap too', () => {
    fc.assert(
      fc.property(seq, step, fc.integer({ min: -70_000, max: 70_000 }), (low, size, offset) => {
        const high = seqAdd(low, size)
        expect(seqIn(low, low, high)).toBe(true)
        expect(seqIn(high, low, high)).toBe(false)
        expect(seqIn(seqAdd(low, -1), low, high)).toBe(false)
        expect(seqIn(seqAdd(high, -1), low, high)).toBe(true)
        if (Math.abs(offset) < LAST - size)
          expect(seqIn(seqAdd(low, offset), low, high)).toBe(offset >= 0 && offset < size)
        expect(seqIn(low, low, low)).toBe(false)
      }),
    )
  })

  it('checklist 3.5-51: the ends of the space meet', () => {
    expect(seqAdd(LAST, 1)).toBe(FIRST)
    expect(seqLt(LAST, FIRST)).toBe(true)
    expect(seqLt(-1, 0)).toBe(true)
    expect(seqMax(LAST, FIRST)).toBe(FIRST)
    expect(seqIn(FIRST, LAST, seqAdd(LAST, 2))).toBe(true)
  })

  it('every result is an int32', () => {
    fc.assert(
      fc.property(seq, fc.integer(), (a, n) => {
        for (const value of [seqAdd(a, n), seqDiff(a, n), seqMax(a, n), seqMin(a, n)])
          expect(value | 0).toBe(value)
      }),
    )
  })
})
