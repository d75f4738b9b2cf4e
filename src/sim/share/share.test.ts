import { describe, expect, it } from 'vitest'
import { share } from './run.ts'

/** The link of `bench tcp fairness`: 20 ms there and back, and a queue of 0.7 times that. */
const BENCH = { link: { rate: '1gbit', limit: 2_000 }, delay: '10ms', flows: 8, turnUs: 500 }

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
/** Jain's index: 1 if all have the same. */
const jainIndex = (rates: readonly number[]): number =>
  sum(rates) ** 2 / (rates.length * sum(rates.map(rate => rate * rate)))

describe('sim/share: eight flows over 1 Gbit/s and 20 ms, in virtual time', () => {
  it('share alike (the mean of three seeds), and fill the link', () => {
    const runs = [4, 5, 6].map(seed => share({ ...BENCH, seed, warmupSeconds: 3, seconds: 15 }))
    const indices = runs.map(jainIndex)
    expect(sum(indices) / indices.length).toBeGreaterThan(0.94)
    expect(Math.min(...indices)).toBeGreaterThan(0.9)
    for (const rates of runs) expect(sum(rates)).toBeGreaterThan(0.95e9)
  }, 180_000)

  it('the same seed gives the same shares', () => {
    const plan = { ...BENCH, seed: 7, warmupSeconds: 0.5, seconds: 0.5 }
    expect(share(plan)).toEqual(share(plan))
  }, 60_000)
})
