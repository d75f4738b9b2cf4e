// Writes the figures of the committed run into the documents that quote it; see src/bench/report/fill.ts for the marks.
// Needs dist/ (scripts/setup). Usage: node scripts/fill-figures.mjs [--check]

import { readFileSync, writeFileSync } from 'node:fs'
import { isMain, report } from './project/source-text.mjs'

export const RUN = 'docs/benchmarks/copies.json'
export const DOCUMENTS = ['docs/guides/copy-avoidance.md', 'README.md']

if (isMain(import.meta.url)) {
  // By a name that the type checker does not follow: it runs before dist/ is there.
  const { fillFigures } = await import(new URL('../dist/bench/report/fill.js', import.meta.url).href)
  const check = process.argv.includes('--check')
  const document = JSON.parse(readFileSync(RUN, 'utf8'))
  const stale = DOCUMENTS.filter(path => {
    const text = readFileSync(path, 'utf8')
    const filled = fillFigures(text, document.result ?? document)
    if (filled !== text && !check) writeFileSync(path, filled)
    return filled !== text
  })
  const problems = stale.map(
    path => `${path}: not the figures of ${RUN}; node scripts/fill-figures.mjs writes them`,
  )
  report('figures', check ? problems : [], `${DOCUMENTS.length} documents, ${stale.length} written`)
}
