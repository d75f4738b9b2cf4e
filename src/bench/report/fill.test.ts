import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { CopiesResult } from '../copies-result.ts'
import { fillFigures, misplacedMarks, unmarkedNumbers } from './fill.ts'

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')
const SAMPLE = JSON.parse(read('test/bench/copies-sample.json')) as CopiesResult
const filled = (mark: string): string => fillFigures(`a <!--$ ${mark} -->old<!--/--> b`, SAMPLE)

describe('bench/report/fill', () => {
  it('writes medians, ranges, ratios, sizes, texts and verdicts', () => {
    const between = (mark: string): string => /-->(.*)<!--\/--> b$/.exec(filled(mark))![1]!
    expect(between('arms.e.figures.gbitPerSecond')).toBe('3.14')
    expect(between('arms.e.figures.gbitPerSecond | range')).toBe('3.02 to 3.22')
    expect(between('comparisons.e/c.ratio')).toBe('1.47')
    expect(between('comparisons.e/c.verdict | order')).toBe('faster in every round')
    expect(between('crossover.ratios.65536.ratio')).toBe('1.31')
    expect(between('messageBytes | bytes')).toBe('64\u00a0KiB')
    expect(between('operations.putq + getq.nanoseconds')).toBe('7.64')
    expect(between('machine.processor')).toBe('Made-up Processor')
    expect(between('says.z/y')).toBe('Not measured in this run: (z) over (y).')
    expect(between('says.e/c')).toMatch(/^No copy instead of three: \(e\) moves/)
  })

  it('keeps the mark, and is done when it is done', () => {
    const once = filled('rounds')
    expect(once).toBe('a <!--$ rounds -->5<!--/--> b')
    expect(fillFigures(once, SAMPLE)).toBe(once)
  })

  it('a mark on a line of its own has lines after it: a list, or a table', () => {
    const list = fillFigures('<!--$ says.crossover -->\nold\n<!--/-->', SAMPLE)
    expect(list).toMatch(/^<!--\$ says\.crossover -->\n- Up to .*\n- From .*\n<!--\/-->$/)
    const table = fillFigures('<!--$ table.steps -->\n<!--/-->', SAMPLE)
    expect(table).toMatch(
      /-->\n\| step \| throughput \| .*\n\| --- .*\n\| \(b\) over \(a\): .* \| 1\.75 × \(1\.67–1\.90\) \| faster/,
    )
  })

  it.each(['arms.z.title', 'nothing', 'says.nothing', 'table.nothing', 'rounds | nonsense', 'machine'])(
    'refuses %s',
    path => {
      expect(() => filled(path)).toThrow(`the run has nothing at ${path}`)
    },
  )

  it('finds numbers that no run gave', () => {
    const text =
      'It takes 3.14 ns <!--$ x -->1.5<!--/--> `putq 7` [a 9](b-10.md)\n\n```sh\nrun 5\n```\n\nsince 2026.'
    expect(unmarkedNumbers(text)).toEqual(['3.14', '9]', '2026.'])
  })

  it('finds marks that would end the Markdown of their line', () => {
    expect(
      misplacedMarks('a <!--$ x -->1<!--/-->\n<!--$ x -->\n1\n<!--/-->\n| <!--$ x -->1<!--/--> |'),
    ).toEqual([])
    expect(misplacedMarks('<!--$ x -->1<!--/--> b\n- <!--$ x -->1<!--/-->')).toHaveLength(2)
  })
})
