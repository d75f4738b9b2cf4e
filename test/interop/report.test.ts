/** The report of `bench copies` in a real browser: what is drawn, what can be read, in light, in dark and on paper. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Browser, findChromium } from '../../scripts/project/browser.mjs'
import { figurePicture } from '../../scripts/project/figure-picture.mjs'
import type { CopiesResult } from '../../src/bench/copies-result.ts'
import { copiesPage } from '../../src/bench/report/copies-page.ts'
import { type Summary, summarize } from '../../src/bench/statistics.ts'
import * as inPage from './report-in-page.mjs'

const CHROMIUM = findChromium()
const COMMITTED = 'docs/benchmarks/copies.json'
const PICTURES = 'build/report'
const WINDOW = { width: 1_000, height: 1_200 }
/** A4 without the margins of the style sheet. */
const PAPER = { width: 672, height: 985 }

const read = (path: string): CopiesResult => {
  const document = JSON.parse(readFileSync(path, 'utf8'))
  return document.result ?? document
}

const sample = read('test/bench/copies-sample.json')
/** As it is without root: fewer arms, and fewer figures of those. */
const small: CopiesResult = {
  ...sample,
  mode: 'wire',
  arms: sample.arms.filter(({ id }) => 'cde'.includes(id)),
  missing: [{ id: 'a', title: 'daemon behind the IPC port', reason: 'needs root and a TUN device' }],
  series: sample.series.filter(({ id }) => id !== 'cpu-by-size'),
  comparisons: sample.comparisons.filter(
    ({ arm, against }) => 'cde'.includes(arm) && 'cde'.includes(against),
  ),
}

/** As it is on a machine where others work: wide ranges, rounds in which nothing arrived, many digits. */
const rough: CopiesResult = {
  ...sample,
  arms: sample.arms.map((arm, i) => ({ ...arm, figures: mapped(arm.figures, one => roughened(one!, i)) })),
  series: sample.series.map(series => ({
    ...series,
    lines: series.lines.map((line, i) => ({
      ...line,
      points: line.points.map(point => ({ ...point, y: roughened(point.y, i) })),
    })),
  })),
  warnings: Array(12).fill(
    'the rounds of this arm differ by more than anybody would like to see in a report of measurements',
  ),
}

function mapped<T>(given: T, change: (one: T[keyof T]) => unknown): T {
  const entries = Object.entries(given as object).map(([key, one]) => [key, change(one)])
  return Object.fromEntries(entries)
}

function roughened({ samples }: Summary, arm: number): Summary {
  const rough = samples.map(
    (value, i) => value * [1, 300, 0, 7, 0.02][(i + arm) % 5]! * (arm % 3 === 0 ? 1_000 : 1),
  )
  const summary = summarize(rough)
  // JSON has no infinity.
  return arm % 4 === 0 ? { ...summary, max: null as never } : summary
}

const RESULTS: readonly (readonly [string, CopiesResult])[] = [
  ['the sample', sample],
  ['a run without root', small],
  ['a rough run', rough],
  ...(existsSync(COMMITTED) ? [['the committed run', read(COMMITTED)] as const] : []),
]

const title =
  CHROMIUM === null
    ? 'bench report in a browser (skipped: there is no chromium here)'
    : 'bench report in a browser'

describe.skipIf(CHROMIUM === null)(title, () => {
  let browser: Browser
  const folder = mkdtempSync(join(tmpdir(), 'putnext-report-'))

  beforeAll(async () => {
    browser = await Browser.start(CHROMIUM!)
    mkdirSync(PICTURES, { recursive: true })
  })

  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const open = async (result: CopiesResult): Promise<void> => {
    const path = join(folder, 'report.html')
    writeFileSync(path, copiesPage(result))
    await browser.open(pathToFileURL(path).href)
  }
  const ask = (what: () => unknown) => browser.evaluate(`(${what})()`)

  describe.each(RESULTS)('%s', (_, result) => {
    it('asks nobody for anything', async () => {
      await open(result)
      expect(browser.requests.filter(url => !url.startsWith('file:'))).toEqual([])
      expect(browser.requests).toHaveLength(1)
    })

    it.each([
      ['on a screen', WINDOW, ''],
      ['on a screen, with the widest font', WINDOW, 'DejaVu Sans'],
      ['on paper', PAPER, ''],
    ])('%s every plot has marks inside of it, and texts that stand alone', async (where, size, font) => {
      await open(result)
      await browser.show(size, { print: where === 'on paper' })
      if (font !== '') await browser.evaluate(inPage.withFont(font))
      const plots = await ask(inPage.plots)
      expect(plots.length).toBeGreaterThan(5)
      for (const { id, marks, outside, overlapping } of plots) {
        expect({ id, outside, overlapping }).toEqual({ id, outside: [], overlapping: [] })
        expect(marks, id).toBeGreaterThan(1)
      }
    })

    it.each(['light', 'dark', 'print'] as const)('%s: every text and every mark stands out', async how => {
      await open(result)
      await browser.show(how === 'print' ? PAPER : WINDOW, { dark: how === 'dark', print: how === 'print' })
      const { texts, marks, faint } = await ask(inPage.contrasts)
      expect(texts).toBeGreaterThan(300)
      expect(marks).toBeGreaterThan(50)
      expect(faint).toEqual([])
    })

    it('dark is dark, light is light, and paper is white whatever the screen is', async () => {
      await open(result)
      const ground = async (how: object): Promise<number> => {
        await browser.show(WINDOW, how)
        return ask(inPage.groundBrightness)
      }
      expect(await ground({ dark: true })).toBeLessThan(0.15)
      expect(await ground({})).toBeGreaterThan(0.9)
      expect(await ground({ dark: true, print: true })).toBe(1)
    })

    it.each([
      ['a screen', WINDOW, false],
      ['paper', PAPER, true],
    ])('nothing is wider than %s', async (_where, size, print) => {
      await open(result)
      await browser.show(size, { print })
      expect(await ask(inPage.tooWide)).toEqual([])
    })

    it('on paper a figure fits on a page, and prints', async () => {
      await open(result)
      await browser.show(PAPER, { print: true })
      const heights: number[] = await ask(inPage.figureHeights)
      expect(Math.max(...heights)).toBeLessThan(PAPER.height)
      const pdf = await browser.print()
      expect(pdf.subarray(0, 5).toString()).toBe('%PDF-')
      writeFileSync(join(PICTURES, 'report.pdf'), pdf)
    })
  })

  it('takes the picture of the README', async () => {
    await open(existsSync(COMMITTED) ? read(COMMITTED) : sample)
    const png = await figurePicture(browser)
    expect(png.subarray(1, 4).toString()).toBe('PNG')
    expect(png.length).toBeGreaterThan(10_000)
    expect(png.length).toBeLessThan(200_000)
    writeFileSync(join(PICTURES, 'copies.png'), png)
  })
})
