import { describe, expect, it } from 'vitest'
import { replayHint, type SoakResult, soak } from './run.ts'
import { drawScenario } from './scenario.ts'

const SEEDS = 200
const PART = 25

/** What is wrong with a run, with the command that shows it again. */
const told = (result: SoakResult): string[] =>
  result.problems.length === 0 ? [] : [...result.problems, replayHint(result.seed)]

describe('sim/soak: two stacks over a bad link, in virtual time', () => {
  it.each(Array.from({ length: SEEDS / PART }, (_, i) => [i * PART + 1, (i + 1) * PART] as const))(
    'seeds %i to %i: every byte arrives in order, every connection ends, every block comes home',
    (from, to) => {
      for (let seed = from; seed <= to; seed++) expect(told(soak(seed))).toEqual([])
    },
    120_000,
  )

  it('a fresh seed, too', () => {
    expect(told(soak(Date.now() % 1_000_000_000))).toEqual([])
  }, 60_000)

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('the same seed gives the same packets at the same times: %i', seed => {
    const [one, two] = [soak(seed), soak(seed)]
    expect(two).toEqual(one)
    expect(one.packets).toBeGreaterThan(0)
  })

  it('other seeds give other runs', () => {
    expect(new Set([1, 2, 3, 4].map(seed => soak(seed).trace)).size).toBe(4)
  })

  it('a link that is cut for ever is noticed', () => {
    const scenario = { ...drawScenario(4), cut: { atMs: 600, forMs: 100_000_000 } }
    expect(soak(4, scenario).problems.join()).toMatch(/timed-out|stalled/)
  })
})
