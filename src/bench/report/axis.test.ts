import { describe, expect, it } from 'vitest'
import { axisFor, bytesText, countAxis, linearAxis, logAxis, sizeAxis } from './axis.ts'
import { apart } from './labels.ts'
import { digits, narrowRange, rangeText } from './numbers.ts'
import { escapeText, wrap } from './svg.ts'

describe('bench/report/axis', () => {
  it('is linear from 0 unless that hides the small ones', () => {
    expect(axisFor([3, 20], [0, 100])).toMatchObject({ log: false })
    expect(axisFor([3, 20], [0, 100]).place(0)).toBe(0)
    expect(axisFor([1, 200], [0, 100])).toMatchObject({ log: true })
  })

  it('a log axis has a place for 0, before all others', () => {
    const axis = logAxis([0, 10, 1_000], [100, 400])
    expect(axis.place(0)).toBe(100)
    expect(axis.place(10)).toBeGreaterThan(120)
    expect(axis.place(1_000)).toBe(400)
    expect(axis.ticks[0]).toEqual({ at: 100, text: '0' })
    const upwards = logAxis([0, 10, 1_000], [400, 100])
    expect(upwards.place(0)).toBe(400)
    expect(upwards.place(10)).toBeLessThan(380)
  })

  it('one value alone, or none above 0, still has an axis', () => {
    for (const values of [[5], [0], [-1, 0], [1, 1]]) {
      const axis = axisFor(values, [0, 100])
      for (const value of values) expect(axis.place(value)).toBeGreaterThanOrEqual(0)
      expect(axis.ticks.length).toBeGreaterThan(0)
      expect(Number.isFinite(logAxis(values, [0, 100]).place(1))).toBe(true)
    }
  })

  it('a point without a number is not on the axis, and does not keep the others from it', () => {
    for (const odd of [null as never, Number.NaN, undefined as never, Number.POSITIVE_INFINITY, -Infinity]) {
      for (const make of [axisFor, linearAxis, logAxis, countAxis]) {
        const axis = make([1, odd, 10], [0, 100])
        expect(axis.place(10)).toBe(100)
        expect(axis.ticks.length).toBeLessThan(12)
        for (const { at } of axis.ticks) expect(Number.isFinite(at)).toBe(true)
      }
      for (const make of [axisFor, linearAxis, logAxis]) expect(make([odd], [0, 100]).place(0)).toBe(0)
      expect(sizeAxis([64, odd, 256], [0, 100]).ticks).toHaveLength(2)
    }
  })

  it('the smallest and the largest numbers have an end, too', () => {
    for (const values of [
      [5e-324, 1],
      [1, Number.MAX_VALUE],
    ])
      expect(logAxis(values, [0, 100]).ticks.length).toBeLessThan(1_000)
  })

  it('texts of ticks do not run into each other', () => {
    const { ticks } = sizeAxis([64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576], [0, 170])
    expect(ticks).toHaveLength(8)
    expect(ticks.filter(({ text }) => text !== '').length).toBeLessThan(6)
    expect(countAxis([0, 1, 2, 4, 8, 16], [0, 600]).ticks.map(({ text }) => text)).toEqual([
      '0',
      '1',
      '2',
      '4',
      '8',
      '16',
    ])
  })

  it('where there is no room for all texts, decades have theirs', () => {
    const { ticks } = logAxis([0.02, 90], [200, 0])
    const texts = ticks.map(({ text }) => text)
    for (const decade of ['0.1', '1', '10', '100']) expect(texts).toContain(decade)
    expect(
      logAxis([0.02, 90], [90, 0])
        .ticks.map(({ text }) => text)
        .filter(text => text !== ''),
    ).toEqual(['0.1', '1', '10', '100'])
  })

  it('sizes are powers of two', () => {
    expect([64, 1_024, 65_536, 1_048_576].map(bytesText)).toEqual(
      ['64 B', '1 KiB', '64 KiB', '1 MiB'].map(text => text.replace(' ', '\u00a0')),
    )
  })
})

describe('bench/report/labels', () => {
  it('leaves labels alone that have room, and moves the others as little as it takes', () => {
    expect(
      apart(
        [
          { y: 20, lines: 1 },
          { y: 80, lines: 1 },
        ],
        0,
        200,
      ),
    ).toEqual([20, 80])
    expect(
      apart(
        [
          { y: 52, lines: 1 },
          { y: 50, lines: 1 },
        ],
        0,
        200,
      ),
    ).toEqual([65, 50])
  })

  it('keeps them between top and bottom', () => {
    const placed = apart(
      [
        { y: 99, lines: 1 },
        { y: 98, lines: 2 },
        { y: 97, lines: 1 },
      ],
      0,
      100,
    )
    expect(placed).toEqual([92.5, 70, 47.5])
  })
})

describe('bench/report/numbers', () => {
  it('three digits, whole ones whole', () => {
    expect([0, 3, 2.7, 0.08214, 21.149, 3_190.4, 1_684_651, -0.25, 0.00001].map(digits)).toEqual([
      '0',
      '3',
      '2.70',
      '0.0821',
      '21.1',
      '3,190',
      '1,680,000',
      '-0.250',
      '1.00e-5',
    ])
    expect(digits(Number.NaN)).toBe('?')
  })

  it('ranges', () => {
    expect(rangeText(1.2, 1.3)).toBe('1.20 to 1.30')
    expect(rangeText(1.2001, 1.2002)).toBe('1.20')
    expect(rangeText(0.9999, 1)).toBe('1.00')
    expect(narrowRange(0.9999, 1)).toBe('')
    expect(narrowRange(1.2, null as never)).toBe('1.20–?')
    expect(narrowRange(1.2, 1.3)).toBe('1.20–1.30')
    expect(narrowRange(-0.2, 0.3)).toBe('-0.200 to 0.300')
  })
})

describe('bench/report/svg', () => {
  it('escapes and wraps', () => {
    expect(escapeText('<a & "b">')).toBe('&lt;a &amp; &quot;b&quot;&gt;')
    expect(wrap('chains, segmentation offload', 17)).toEqual(['chains,', 'segmentation', 'offload'])
    expect(wrap('incomprehensibilities', 5)).toEqual(['incomprehensibilities'])
  })
})
