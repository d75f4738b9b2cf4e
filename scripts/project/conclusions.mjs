// Whether several runs of a measurement conclude the same. Usage: node scripts/project/conclusions.mjs FILE FILE...

import { readFileSync } from 'node:fs'
import { isMain } from './source-text.mjs'

/** What a run could not decide. */
const UNDECIDED = 'unclear'

/**
 * @typedef {{ readonly name: string, readonly verdict: string }} Conclusion
 * @param {readonly (readonly Conclusion[])[]} runs
 * @returns {{ moved: string[], undecided: string[], same: number }} lines that say which
 */
export function compareConclusions(runs) {
  const names = new Set(runs.flatMap(run => run.map(({ name }) => name)))
  /** @type {string[]} */
  const moved = []
  /** @type {string[]} */
  const undecided = []
  let same = 0
  for (const name of names) {
    const verdicts = runs.map(run => run.find(one => one.name === name)?.verdict ?? 'not there')
    const decided = new Set(verdicts.filter(verdict => verdict !== UNDECIDED))
    const line = `${name}: ${verdicts.join(', ')}`
    if (decided.size > 1) moved.push(line)
    else if (verdicts.includes(UNDECIDED)) undecided.push(line)
    else same++
  }
  return { moved, undecided, same }
}

/** @param {string[]} files */
async function main(files) {
  if (files.length < 2)
    throw new Error('two runs at least: node scripts/project/conclusions.mjs FILE FILE...')
  const { conclusionsOf, reportIn } = await import('../../dist/bench/compare-figures.js')
  const runs = files.map(file => conclusionsOf(reportIn(JSON.parse(readFileSync(file, 'utf8')), file)))
  const { moved, undecided, same } = compareConclusions(runs)
  for (const line of undecided) console.log(`not decided by every run: ${line}`)
  for (const line of moved) console.error(`MOVED: ${line}`)
  console.log(
    `${same} conclusions of ${files.length} runs alike, ${undecided.length} not decided by every run, ${moved.length} moved`,
  )
  if (moved.length > 0) process.exitCode = 1
}

if (isMain(import.meta.url)) await main(process.argv.slice(2))
