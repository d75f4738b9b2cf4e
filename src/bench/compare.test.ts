import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { changeOf, compareRuns } from './compare.ts'
import { betterOf } from './compare-figures.ts'
import { comparisonText } from './compare-text.ts'
import type { CopiesResult } from './copies-result.ts'
import { type Summary, summarize } from './statistics.ts'

const read = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'))
const SAMPLE = read('test/bench/copies-sample.json') as CopiesResult
const NAMES = ['a.json', 'b.json'] as const

/** The sample with every sample of its figures changed. */
const scaled = (value: unknown, by: (sample: number) => number): unknown => {
  if (Array.isArray(value)) return value.map(one => scaled(one, by))
  if (value === null || typeof value !== 'object') return value
  if ('median' in value) return summarize((value as Summary).samples.map(by))
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, scaled(one, by)]))
}

describe('bench/compare', () => {
  it('ranges that overlap cannot be told apart', () => {
    const a = summarize([10, 11, 12, 13, 14])
    expect(changeOf(a, summarize([13, 15, 16, 17, 18]), 'more', 0.05)).toBe('unclear')
    expect(changeOf(a, summarize([15, 16, 17, 18, 19]), 'more', 0.05)).toBe('better')
    expect(changeOf(a, summarize([15, 16, 17, 18, 19]), 'less', 0.05)).toBe('worse')
    expect(changeOf(a, summarize([5, 6, 7, 8, 9]), 'less', 0.05)).toBe('better')
    expect(changeOf(a, summarize([5, 6, 7, 8, 9]), null, 0.05)).toBe('changed')
  })

  it('what is within the tolerance is the same, whether ranges overlap or not', () => {
    const a = summarize([100, 100.1, 100.2, 100.3, 100.4])
    expect(changeOf(a, summarize([102, 102.1, 102.2, 102.3, 102.4]), 'more', 0.05)).toBe('same')
    expect(changeOf(a, summarize([102, 102.1, 102.2, 102.3, 102.4]), 'more', 0.01)).toBe('better')
    expect(changeOf(a, a, 'more', 0)).toBe('unclear')
    expect(changeOf(a, a, 'more', 0.05)).toBe('same')
  })

  it('few rounds decide nothing, but a count is a count', () => {
    expect(changeOf(summarize([10, 11, 12]), summarize([20, 21, 22]), 'more', 0.05)).toBe('unclear')
    expect(changeOf(summarize([0, 0, 0]), summarize([1, 1, 1]), 'less', 0.05)).toBe('worse')
    expect(changeOf(summarize([0, 0, 0]), summarize([0, 0, 0]), 'less', 0.05)).toBe('same')
  })

  it('values around 0 have no ratio', () => {
    const a = { ...SAMPLE, moduleSlope: summarize([-0.1, 0, 0.1, 0.1, 0.2]) }
    const { rows } = compareRuns(a, a, { names: NAMES })
    expect(rows.find(({ name }) => name === 'each module, ns')).toMatchObject({
      ratio: null,
      range: null,
      change: 'unclear',
    })
  })

  it('a run against itself: nothing changed, and no conclusion moved', () => {
    const { rows, conclusions, onlyInA, onlyInB, warnings, concluded } = compareRuns(SAMPLE, SAMPLE, {
      names: NAMES,
    })
    expect(rows.length).toBeGreaterThan(200)
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length)
    // Of an arm and of its line: once.
    const same = rows.filter(
      ({ name }) => name.startsWith('chains (') && name.endsWith(': throughput, Gbit/s'),
    )
    const sizes = same.map(({ name }) => Number(/\d+/.exec(name)![0]))
    expect(sizes.length).toBeGreaterThan(2)
    expect(new Set(sizes).size).toBe(sizes.length)
    expect(rows.filter(({ change }) => change === 'better' || change === 'worse')).toEqual([])
    expect([conclusions, onlyInA, onlyInB, warnings]).toEqual([[], [], [], []])
    expect(concluded).toBe(11)
  })

  it('twice of everything is better or worse by what the figure is', () => {
    const double = scaled(SAMPLE, sample => sample * 2)
    const { rows } = compareRuns(SAMPLE, double, { names: NAMES })
    const rowOf = (part: string) => rows.find(({ name }) => name.startsWith(part))!
    expect(rowOf('chains (65536 bytes): throughput, Gbit/s')).toMatchObject({ change: 'better' })
    expect(rowOf('chains (65536 bytes): throughput, Gbit/s').ratio).toBeCloseTo(2)
    expect(rowOf('chains (65536 bytes): processor time per byte, ns')).toMatchObject({ change: 'worse' })
    expect(rowOf('null modules (16 modules in the way)')).toMatchObject({ change: 'worse' })
    for (const { ratio, range } of rows.filter(row => row.ratio !== null)) {
      expect(range![0]).toBeLessThanOrEqual(ratio!)
      expect(range![1]).toBeGreaterThanOrEqual(ratio!)
    }
  })

  it('an arm that is called something else now is the same arm', () => {
    const renamed = { ...SAMPLE, arms: SAMPLE.arms.map(arm => ({ ...arm, title: `new ${arm.title}` })) }
    const { onlyInA, rows } = compareRuns(SAMPLE, renamed, { names: NAMES })
    expect(onlyInA).toEqual([])
    expect(rows.some(({ name }) => name.startsWith('chains (65536 bytes)'))).toBe(true)
  })

  it('conclusions that moved are told, and figures that only one has', () => {
    const { comparisons, requirements, arms, series } = SAMPLE
    const moved = {
      ...SAMPLE,
      arms: arms.slice(1),
      series: series.map(one => ({ ...one, lines: one.lines.filter(({ id }) => id !== arms[0]!.id) })),
      comparisons: comparisons.map((one, i) => (i === 0 ? { ...one, verdict: 'unclear' as const } : one)),
      requirements: requirements.slice(1),
    }
    const told = compareRuns(SAMPLE, moved, { names: NAMES })
    expect(told.conclusions).toEqual([
      { name: `b over a: ${comparisons[0]!.step}`, a: 'faster', b: 'unclear' },
    ])
    expect(told.onlyInA.length).toBeGreaterThan(5)
    expect(told.onlyInB).toEqual([])
  })

  it('says what makes two runs hard to compare', () => {
    const other = {
      ...SAMPLE,
      rounds: 3,
      mode: 'wire' as const,
      machine: { ...SAMPLE.machine, kernel: '7.0', busy: true, load: 4 },
    }
    expect(compareRuns(SAMPLE, other, { names: NAMES }).warnings).toEqual([
      'the kernels differ: 6.18.0 and 7.0',
      'the modes differ: tun and wire',
      'the machine of B was busy when it began (load 4.0)',
      'B has 3 rounds: what differs from round to round is not decided below 5',
    ])
  })

  it.each(['docs/benchmarks/2026-11-21-modules.json', 'docs/benchmarks/2026-11-21-udp.json'])(
    'takes %s, too',
    path => {
      const document = read(path)
      const { rows, concluded } = compareRuns(document, document, { names: NAMES })
      expect(rows.length).toBeGreaterThan(9)
      expect(concluded).toBeGreaterThan(1)
    },
  )

  it('refuses what is no report, and two of different measurements', () => {
    const modules = read('docs/benchmarks/2026-11-21-modules.json')
    expect(() => compareRuns(SAMPLE, modules, { names: NAMES })).toThrow(
      'a.json is of bench copies, b.json of bench modules',
    )
    for (const wrong of [null, 1, [], {}, { kind: 'else' }, { result: null }])
      expect(() => compareRuns(SAMPLE, wrong, { names: NAMES })).toThrow('b.json is not a report')
    expect(() => compareRuns({ ...SAMPLE, version: 99 }, SAMPLE, { names: NAMES })).toThrow('of version 99')
  })

  it('figures of bench tcp are read by their names', () => {
    expect(['receive Gbit/s', 'connections/s', 'Jain index', 'goodput Mbit/s'].map(betterOf)).toEqual(
      Array(4).fill('more'),
    )
    expect(['ping-pong p50 µs', 'copied bytes', 'bytes a connection', 'failed'].map(betterOf)).toEqual(
      Array(4).fill('less'),
    )
    expect(betterOf('their Gbit/s')).toBeNull()
  })

  it('a conclusion that one run could not draw has not moved', () => {
    const { comparisons: given } = SAMPLE
    expect(given.slice(0, 2).map(({ verdict }) => verdict)).toEqual(['faster', 'slower'])
    const verdicts = ['unclear', 'faster'] as const
    const comparisons = given.map((one, i) => ({ ...one, verdict: verdicts[i] ?? one.verdict }))
    const text = comparisonText(compareRuns(SAMPLE, { ...SAMPLE, comparisons }, { names: NAMES }), false)
    expect(text).toContain('Of 11 conclusions 1 moved, and 1 only one run could draw:')
    expect(text).toMatch(/slower +faster\n.*faster +cannot tell/)
  })

  it('the text has what changed; with all of it, everything', () => {
    const { arms } = SAMPLE
    const changed = {
      ...SAMPLE,
      arms: arms.map(arm => (arm.id === 'e' ? (scaled(arm, x => x * 3) as typeof arm) : arm)),
    }
    const comparison = compareRuns(SAMPLE, changed, { names: NAMES })
    const text = comparisonText(comparison, false)
    expect(text).toMatch(/chains \(65536 bytes\): throughput, Gbit\/s +3\.14 +9\.42 +3 +\S+ to \S+ +better/)
    expect(text).toContain('WORSE')
    expect(text).not.toContain('node:net (65536 bytes)')
    expect(text).toContain('Both runs come to the same conclusions, all 11.')
    expect(comparisonText(comparison, true)).toContain('node:net (65536 bytes)')
  })
})
