import { describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import { LatencyHistogram, MetricsTable } from './procedure-metrics.ts'
import type { RpcProcedure } from './stub-types.ts'
import { xdrVoid } from './xdr/index.ts'

function procedure(name: string): RpcProcedure<void, void> {
  return {
    name,
    program: 1,
    version: 1,
    procedure: 1,
    isIdempotent: false,
    argument: xdrVoid,
    result: xdrVoid,
  }
}

describe('rpc/procedure-metrics: the histogram', () => {
  it('a quantile is never too small, and at most an eighth too large', () => {
    const random = new Prng(7)
    const histogram = new LatencyHistogram()
    const all = Array.from({ length: 5_000 }, () => Math.floor(2 ** (random.unit() * 31)))
    for (const us of all) histogram.record(us)
    all.sort((a, b) => a - b)
    for (const share of [0.001, 0.1, 0.5, 0.9, 0.99, 1]) {
      const exact = all[Math.ceil(share * all.length) - 1]!
      expect(histogram.quantile(share)).toBeGreaterThanOrEqual(exact)
      expect(histogram.quantile(share)).toBeLessThanOrEqual(exact * 1.125 + 1)
    }
    expect(histogram.describe()).toMatchObject({ count: 5_000, maxUs: all.at(-1) })
  })

  it.each([0, -1, 0.5, 7, 8, 2 ** 31, 2 ** 32, 2 ** 40])('takes %d µs', us => {
    const histogram = new LatencyHistogram()
    histogram.record(us)
    expect(histogram.count).toBe(1)
    expect(histogram.quantile(0.5)).toBe(Math.max(us, 0))
  })

  it('of nothing all figures are 0', () => {
    expect(new LatencyHistogram().describe()).toEqual({ count: 0, meanUs: 0, p50Us: 0, p99Us: 0, maxUs: 0 })
  })
})

describe('rpc/procedure-metrics: the table', () => {
  it('counts each procedure by itself', () => {
    const table = new MetricsTable(['calls'])
    const [a, b] = [procedure('A'), procedure('B')]
    for (const one of [a, b, a, a]) table.of(one).counters.calls++
    expect([...table].map(({ name, counters }) => [name, counters.calls])).toEqual([
      ['A', 3],
      ['B', 1],
    ])
  })

  it('is bounded: what does not fit is counted together', () => {
    const table = new MetricsTable(['calls'])
    for (let i = 0; i < 1_030; i++) table.of(procedure(`P${i}`)).counters.calls++
    const all = [...table]
    expect(all).toHaveLength(1_025)
    expect(all.at(-1)).toMatchObject({ name: 'others', counters: { calls: 6 } })
  })
})
