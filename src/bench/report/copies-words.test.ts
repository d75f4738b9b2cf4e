import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { CopiesComparison, CopiesResult, Order } from '../copies-result.ts'
import { compare } from '../statistics.ts'
import {
  comparisonSay,
  copiedSay,
  crossoverSay,
  extremesSay,
  lossesSay,
  operationsSay,
  orderText,
  requirementSay,
  throughputSay,
} from './copies-words.ts'

const SAMPLE = JSON.parse(
  readFileSync(new URL('../../../test/bench/copies-sample.json', import.meta.url), 'utf8'),
) as CopiesResult

const step = (samples: number[], verdict: Order, arm: 'e' | 'h' = 'e'): CopiesComparison => ({
  arm,
  against: arm === 'e' ? 'c' : 'g',
  step: 'no copy instead of three',
  figure: 'gbitPerSecond',
  ratio: compare(
    samples,
    samples.map(() => 1),
  ),
  verdict,
  user: null,
})
const ratioAt = (bytes: number, value: number, verdict: Order, rounds = 5) => ({
  bytes,
  ratio: compare(Array(rounds).fill(value), Array(rounds).fill(1)),
  verdict,
})

describe('bench/report/copies-words', () => {
  it('a verdict is what every round says, or that nobody can tell', () => {
    expect(orderText('faster', 5)).toBe('faster in every round')
    expect(orderText('unclear', 5)).toBe('cannot tell: the rounds contradict each other')
    expect(orderText('unclear', 3)).toBe('cannot tell: 3 rounds decide nothing')
  })

  it('a step is told with its ratio, its range and its verdict', () => {
    const told = (samples: number[], verdict: Order): string => comparisonSay(step(samples, verdict), SAMPLE)
    expect(told([1.4, 1.5, 1.6], 'faster')).toBe(
      'No copy instead of three: (e) moves 1.50 times (1.40 to 1.60) as much as (c); faster in every round.',
    )
    expect(told([0.9, 1.01, 1.1], 'unclear')).toContain(
      '1.01 times (0.900 to 1.10) as much as (c); cannot tell: 3 rounds decide nothing',
    )
    expect(told([0.8, 0.8, 0.8], 'slower')).toContain('slower in every round')
  })

  it('says where copying is cheaper, and from where on it is not', () => {
    const ratios = [ratioAt(64, 0.5, 'slower'), ratioAt(1_024, 1, 'unclear'), ratioAt(65_536, 1.3, 'faster')]
    const crossover = { bytes: 65_536, copyWinsUpTo: 64, ratios }
    expect(crossoverSay({ ...SAMPLE, crossover })).toEqual([
      'Up to 64\u00a0B copying is cheaper in every round: with messages of 64\u00a0B a write that copies takes 0.500 times (0.500) the time of one that does not.',
      'From 64\u00a0KiB on not copying wins in every round: the copy takes 1.30 times (1.30) the time at 64\u00a0KiB.',
      'At 1\u00a0KiB: cannot tell: the rounds contradict each other.',
    ])
  })

  it('rounds that are too few contradict nobody: sizes are told apart by why nobody can tell', () => {
    const unclear = (bytes: number, rounds: number) => ratioAt(bytes, 1.5, 'unclear', rounds)
    const ratios = [unclear(64, 3), unclear(1_024, 5), unclear(4_096, 3)]
    const result = { ...SAMPLE, crossover: { bytes: null, copyWinsUpTo: null, ratios }, comparisons: [] }
    const few = '64\u00a0B and 4\u00a0KiB: cannot tell: 3 rounds decide nothing.'
    const many = '1\u00a0KiB: cannot tell: the rounds contradict each other.'
    expect(crossoverSay(result).slice(2)).toEqual([`At ${few}`, `At ${many}`])
    expect(lossesSay(result)).toEqual([
      `At the program's edge, with messages of ${few}`,
      `At the program's edge, with messages of ${many}`,
    ])
  })

  it('says so where copying always wins, and where it was not asked', () => {
    const ratios = [ratioAt(64, 0.5, 'slower'), ratioAt(65_536, 0.8, 'slower')]
    const always = crossoverSay({ ...SAMPLE, crossover: { bytes: null, copyWinsUpTo: 65_536, ratios } })
    expect(always.join(' ')).toContain('Up to 64\u00a0KiB copying is cheaper')
    expect(always.join(' ')).toContain('At no size, and from there on, does not copying win')
    expect(crossoverSay({ ...SAMPLE, crossover: null }).join()).toContain('was not compared')
  })

  it('names every loss: small messages, a step that went the other way, a control that costs nothing', () => {
    const ratios = [ratioAt(64, 0.5, 'slower')]
    const lost = lossesSay({
      ...SAMPLE,
      crossover: { bytes: null, copyWinsUpTo: 64, ratios },
      comparisons: [step([0.9, 0.9, 0.9], 'slower'), step([0.9, 1.1, 1], 'unclear', 'h')],
    })
    expect(lost).toHaveLength(3)
    expect(lost[0]).toContain('loses with messages of 64\u00a0B')
    expect(lost[1]).toContain('(e) over (c)')
    expect(lost[1]).toContain('the side that copies more was faster in every round')
    expect(lost[2]).toContain('(h) over (g)')
    expect(lost[2]).toContain('cannot tell')
  })

  it('says that nothing was lost only if every step and every size says so', () => {
    const won = { bytes: 64, copyWinsUpTo: null, ratios: [ratioAt(64, 1.5, 'faster')] }
    const comparisons = [step([1.2, 1.3, 1.4], 'faster')]
    expect(lossesSay({ ...SAMPLE, crossover: won, comparisons }).join()).toContain('it did not lose')
    const unclear = { ...won, ratios: [ratioAt(64, 1.5, 'unclear')] }
    expect(lossesSay({ ...SAMPLE, crossover: unclear, comparisons }).join()).not.toContain('did not lose')
    expect(lossesSay({ ...SAMPLE, crossover: null, comparisons: [] })).toEqual(['This run did not ask.'])
  })

  it('arms whose ranges all overlap are not told apart', () => {
    const [first, second] = SAMPLE.arms
    const value = (median: number, min: number, max: number) => ({ median, min, max, spread: 0, samples: [] })
    const with50 = (one: typeof first, p50Us: ReturnType<typeof value>) => ({ ...one!, figures: { p50Us } })
    const near = { ...SAMPLE, arms: [with50(first, value(10, 9, 12)), with50(second, value(11, 10, 13))] }
    expect(extremesSay(near, 'p50Us').join()).toContain('cannot tell them apart')
    const far = { ...SAMPLE, arms: [with50(first, value(10, 9, 12)), with50(second, value(20, 19, 23))] }
    expect(extremesSay(far, 'p50Us')).toEqual([
      'Round trip of one byte, p50: from 10 µs (9 to 12) with (a) to 20 µs (19 to 23) with (b).',
    ])
  })

  it('no copy is claimed only of arms that had none in any round', () => {
    const arms = SAMPLE.arms.map(arm =>
      arm.id === 'g'
        ? {
            ...arm,
            figures: { ...arm.figures, copiedEdge: { median: 0, min: 0, max: 0.2, spread: 0, samples: [] } },
          }
        : arm,
    )
    const none = (result: CopiesResult): string => copiedSay(result)[0]!
    expect(none(SAMPLE)).toContain('(g)')
    expect(none({ ...SAMPLE, arms })).not.toContain('(g)')
  })

  it('what was required is told with what it came to, and why', () => {
    const required = {
      name: 'h over g',
      limit: { atMost: 1 },
      unit: 'times',
      measured: 1.02,
      range: [0.9, 1.1] as const,
      verdict: 'unclear' as const,
      why: 'the kernel is the limit.',
    }
    expect(requirementSay(required)).toBe(
      'h over g: 1.02 times (0.900 to 1.10), required at most 1: this run cannot tell. The kernel is the limit.',
    )
  })

  it('a run without arms or operations is told, too', () => {
    const empty = { ...SAMPLE, arms: [], operations: [] }
    expect(throughputSay(empty)).toEqual(['No arm was measured.'])
    expect(operationsSay(empty)).toEqual([])
    expect(copiedSay(empty)).toEqual(['Copies were not counted in this run.'])
    expect(extremesSay(empty, 'p50Us').join()).toContain('Not counted')
  })
})
