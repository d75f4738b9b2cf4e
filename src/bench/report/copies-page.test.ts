import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { CopiesResult } from '../copies-result.ts'
import { summarize } from '../statistics.ts'
import { copiesPage } from './copies-page.ts'

const SAMPLE = JSON.parse(
  readFileSync(new URL('../../../test/bench/copies-sample.json', import.meta.url), 'utf8'),
) as CopiesResult

const ids = (page: string): string[] =>
  [...page.matchAll(/<svg[^>]*aria-labelledby="(\S+)-title/g)].map(one => one[1]!)

describe('bench/report/copies-page', () => {
  const page = copiesPage(SAMPLE)

  it('has every figure, each with a title, a description and a table', () => {
    expect(ids(page)).toEqual([
      'throughput',
      'steps',
      'throughput-by-size',
      'cpu-by-size',
      'edge-cpu-by-size',
      'edge-throughput-by-size',
      'copied',
      'modules',
      'operations',
      'latency',
      'heap-heapBytesPerGb',
      'heap-gcPausesPerGb',
      'heap-gcPauseMaxMs',
      'syscalls',
    ])
    for (const id of ids(page)) {
      expect(page).toMatch(
        new RegExp(`<title id="${id}-title">[^<]+</title><desc id="${id}-desc">[^<]+</desc>`),
      )
    }
    const sections = [...page.matchAll(/<section id="figure-[\s\S]*?<\/section>/g)].map(one => one[0])
    expect(sections).toHaveLength(11)
    for (const section of sections) expect(section).toMatch(/<caption>[^<]+<\/caption>/)
  })

  it('sizes of which there are fewer rounds are compared by those, and no size is told of that was not', () => {
    const cut = (rounds: number, sizes: number, ids: string) =>
      SAMPLE.series.map(series => ({
        ...series,
        lines: series.lines.map(line => ({
          ...line,
          points: line.points.slice(0, ids.includes(line.id) ? sizes : undefined).map(point => ({
            ...point,
            y: ids.includes(line.id) ? summarize(point.y.samples.slice(0, rounds)) : point.y,
          })),
        })),
      }))
    const says = (series: CopiesResult['series']): string =>
      /<section id="figure-throughput-by-size"[\s\S]*?<\/section>/.exec(copiesPage({ ...SAMPLE, series }))![0]
    const few = says(cut(3, 9, 'e'))
    expect(few).toMatch(/\(e\) over \(c\): [^;]*; cannot tell: 3 rounds decide nothing, at every size/)
    expect(few).toContain('medians and ranges of 3 to 5 rounds')
    const one = says(cut(5, 1, 'e'))
    expect(one).toMatch(/\(e\) over \(c\): [\d.]+ times \([^)]*\) at 64\u00a0B; at 64\u00a0B /)
  })

  it('needs nothing from anywhere, and runs nothing', () => {
    expect(page).not.toMatch(/(src|href|action)="(?!#|data:)/)
    expect(page).not.toMatch(/url\((?!#)/)
    expect(page).not.toMatch(/@import|<link|<img|<iframe/)
    expect([...page.matchAll(/<script[^>]*>/g)].map(one => one[0])).toEqual([
      '<script type="application/json" id="result">',
    ])
  })

  it('carries what it was made from, twice: for programs and for the reader', () => {
    const inside = /<script type="application\/json" id="result">(.*?)<\/script>/s.exec(page)![1]!
    expect(JSON.parse(inside)).toEqual(SAMPLE)
    const saved = /href="data:application\/json;base64,([^"]+)"/.exec(page)![1]!
    expect(JSON.parse(Buffer.from(saved, 'base64').toString())).toEqual(SAMPLE)
  })

  it('ids are there once', () => {
    const all = [...page.matchAll(/ id="([^"]+)"/g)].map(one => one[1]!)
    expect(all.length).toBe(new Set(all).size)
  })

  it('no coordinate is no number', () => {
    expect(page.replace(/<script[\s\S]*/, '')).not.toMatch(/NaN|Infinity|undefined/)
  })

  it('text of the result is text of the page, not markup', () => {
    const hostile = '</script><b onclick="x">&'
    const told = copiesPage({ ...SAMPLE, warnings: [hostile], commands: [hostile] })
    expect(told).not.toContain('<b onclick')
    expect(told.match(/<\/script>/g)).toHaveLength(1)
    expect(told).toContain('&lt;/script&gt;&lt;b onclick=&quot;x&quot;&gt;&amp;')
  })

  it('a run without root has fewer arms and figures, and the page says which are missing', () => {
    const arms = SAMPLE.arms.slice(2, 5).map(arm => ({
      ...arm,
      figures: { gbitPerSecond: arm.figures.gbitPerSecond! },
    }))
    const missing = [{ id: 'a' as const, title: 'a daemon', reason: 'needs root' }]
    const series = SAMPLE.series.filter(({ id }) => id === 'modules')
    const small = { ...SAMPLE, mode: 'wire' as const, arms, missing, series, crossover: null, operations: [] }
    const told = copiesPage(small)
    expect(ids(told)).toEqual(['throughput', 'steps', 'modules'])
    expect(told).toContain('Not measured: (a) a daemon. Needs root.')
    expect(told).toContain('Without a TUN device')
    expect(told.replace(/<script[\s\S]*/, '')).not.toMatch(/NaN|Infinity|undefined/)
  })

  it('nothing measured is a page, too', () => {
    const nothing = {
      ...SAMPLE,
      arms: [],
      series: [],
      comparisons: [],
      operations: [],
      requirements: [],
      crossover: null,
    }
    expect(ids(copiesPage({ ...nothing, moduleSlope: null }))).toEqual([])
  })
})
