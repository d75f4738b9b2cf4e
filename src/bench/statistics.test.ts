import { describe, expect, it } from 'vitest'
import { compare, fitLine, judge, median, quantile, rotated, summarize } from './statistics.ts'

describe('bench/statistics', () => {
  it('the median of an even number of samples lies between the middle two; the samples stay in order', () => {
    const samples = [9, 1, 4, 2]
    expect(median(samples)).toBe(3)
    expect(samples).toEqual([9, 1, 4, 2])
    expect(median([5, 1, 3])).toBe(3)
    expect(() => median([])).toThrow()
  })

  it('the spread is the range against the median', () => {
    expect(summarize([80, 100, 120])).toMatchObject({ median: 100, min: 80, max: 120, spread: 0.4 })
    expect(summarize([0, 0])).toMatchObject({ spread: 0 })
  })

  it('a quantile is a sample, not a value between two', () => {
    const sorted = Float64Array.from({ length: 100 }, (_, i) => i)
    expect(quantile(sorted, 0.5)).toBe(50)
    expect(quantile(sorted, 0.99)).toBe(99)
    expect(quantile(sorted, 1)).toBe(99)
  })

  it('ratios are taken round by round: a round that disturbed both candidates disturbs no ratio', () => {
    const ratio = compare([50, 60, 4], [100, 100, 10])
    expect(ratio.samples).toEqual([0.5, 0.6, 0.4])
    expect(ratio.medianOfRatios).toBe(0.5)
    expect(ratio.ratioOfMedians).toBe(0.5)
    expect(compare([1, 9, 9], [10, 10, 10]).ratioOfMedians).toBe(0.9)
    expect(() => compare([1], [1, 2])).toThrow()
  })

  it('a limit inside the spread is not decided, nor one of too few rounds', () => {
    const limit = { atLeast: 0.6 }
    expect(judge([0.7, 0.7, 0.61, 0.8, 0.9], limit)).toBe('held')
    expect(judge([0.5, 0.4, 0.59, 0.3, 0.5], limit)).toBe('missed')
    expect(judge([0.7, 0.7, 0.59, 0.8, 0.9], limit)).toBe('unclear')
    expect(judge([0.7, 0.7, 0.7, 0.8], limit)).toBe('unclear')
    expect(judge([0.7, 0.7, Number.NaN, 0.8, 0.9], limit)).toBe('unclear')
    expect(judge([1.3, 1.2, 1.1, 1, 1], { atMost: 1.3 })).toBe('held')
    expect(judge([0], { atMost: 0 }, 1)).toBe('held')
    expect(judge([1], { atMost: 0 }, 1)).toBe('missed')
  })

  it('least squares finds the slope of a line, and of points around one', () => {
    expect(fitLine([0, 1, 2, 4, 8, 16], [20, 25, 30, 40, 60, 100])).toEqual({ slope: 5, intercept: 20 })
    expect(fitLine([0, 1, 2], [0, 3, 0]).slope).toBe(0)
    expect(() => fitLine([1, 1], [2, 3])).toThrow()
  })

  it('each candidate is the first of a round as often as the others', () => {
    const orders = [0, 1, 2, 3].map(round => rotated(['a', 'b', 'c'], round).join(''))
    expect(orders).toEqual(['abc', 'bca', 'cab', 'abc'])
  })
})
