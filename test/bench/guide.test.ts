import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { DOCUMENTS, RUN } from '../../scripts/fill-figures.mjs'
import { fillFigures, misplacedMarks, unmarkedNumbers } from '../../src/bench/report/fill.ts'

const document = JSON.parse(readFileSync(RUN, 'utf8'))

describe.each(DOCUMENTS)('%s', path => {
  const text = readFileSync(path, 'utf8')

  it('has the figures of the committed run (node scripts/fill-figures.mjs writes them)', () => {
    expect(text).toContain('<!--$ ')
    expect(fillFigures(text, document.result ?? document)).toBe(text)
  })

  it('has no mark that would end the Markdown of its line', () => {
    expect(misplacedMarks(text)).toEqual([])
  })
})

it('docs/guides/copy-avoidance.md has no number that no run gave', () => {
  expect(unmarkedNumbers(readFileSync('docs/guides/copy-avoidance.md', 'utf8'))).toEqual([])
})
