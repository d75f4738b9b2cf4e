// Runs the stages of scripts/test one after the other, all of them even if one fails, and sums up.

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { STAGES } from './stages.mjs'

const COUNTS_FOLDER = 'build/test'

/** A stage that hangs fails, with time left for CI to say so. */
const STAGE_LIMIT_MINUTES = 20

/**
 * @typedef {import('./stages.mjs').Stage} Stage
 * @typedef {import('./vitest-counts.mjs').Counts} Counts
 * @typedef {{ stage: Stage, ok: boolean, seconds: number, counts: Counts | null }} Outcome
 */

const HELP = `usage: scripts/test [--quick] [STAGE...]

Runs everything that CI runs, or only the stages named. Installs and builds what is missing; asks nothing.
Ends with a line "N passed, N failed, N skipped", after the list of what was skipped and why.

  --quick   leave out the slow stages: ${STAGES.filter(stage => stage.slow)
    .map(stage => stage.name)
    .join(', ')}
  --help    this text

Stages, in order:
${STAGES.map(stage => `  ${stage.name.padEnd(9)} ${stage.title}`).join('\n')}
`

/** @param {string[]} args @returns {readonly Stage[] | string} the stages to run, or what is wrong */
function choose(args) {
  const quick = args.includes('--quick')
  const names = args.filter(arg => arg !== '--quick')
  const unknown = names.find(name => !STAGES.some(stage => stage.name === name))
  if (unknown !== undefined) return `no stage or option is called ${unknown}`
  if (names.length > 0) return STAGES.filter(stage => stage.name === 'setup' || names.includes(stage.name))
  return STAGES.filter(stage => !(quick && stage.slow))
}

/** @param {string} path @returns {Counts} a run that left no counts behind has died, which is one failure */
function readCounts(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return { passed: 0, failed: 1, skipped: [] }
  }
}

/** @param {readonly string[]} command @param {string} countsPath @returns {Promise<boolean>} */
function succeeds([program = '', ...args], countsPath) {
  const env = { ...process.env, PUTNEXT_TEST_COUNTS: countsPath }
  return new Promise(settle => {
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], env })
    const limit = setTimeout(() => {
      console.error(`no end within ${STAGE_LIMIT_MINUTES} minutes`)
      child.kill()
    }, STAGE_LIMIT_MINUTES * 60_000)
    child.on('error', error => {
      console.error(`${program}: ${error.message}`)
      clearTimeout(limit)
      settle(false)
    })
    child.on('exit', code => {
      clearTimeout(limit)
      settle(code === 0)
    })
  })
}

/** @param {Stage} stage @returns {Promise<Outcome>} */
async function runStage(stage) {
  console.log(`\n=== ${stage.name}: ${stage.title}`)
  const countsPath = resolve(COUNTS_FOLDER, `${stage.name}.json`)
  rmSync(countsPath, { force: true })
  const start = performance.now()
  const ended = await succeeds(stage.command, countsPath)
  const seconds = (performance.now() - start) / 1_000
  const counts = stage.counts ? readCounts(countsPath) : null
  const ok = ended && (counts === null || counts.failed === 0)
  console.log(`--- ${stage.name}: ${ok ? 'ok' : 'FAILED'} in ${seconds.toFixed(1)} s`)
  return { stage, ok, seconds, counts }
}

/** @param {readonly Outcome[]} outcomes */
function sumUp(outcomes) {
  console.log('\n=== summary')
  for (const { stage, ok, seconds } of outcomes) {
    console.log(
      `${stage.name.padEnd(9)} ${ok ? 'ok    ' : 'FAILED'} ${seconds.toFixed(1).padStart(7)} s  ${stage.title}`,
    )
  }
  const total = outcomes.reduce((sum, outcome) => sum + outcome.seconds, 0)
  console.log(`${'total'.padEnd(9)}        ${total.toFixed(1).padStart(7)} s`)
  const counts = outcomes.flatMap(outcome => outcome.counts ?? [])
  const skipped = counts.flatMap(one => one.skipped)
  for (const { name, reason } of skipped) console.log(`skipped: ${name} (${reason})`)
  const passed = counts.reduce((sum, one) => sum + one.passed, 0)
  const failed = counts.reduce((sum, one) => sum + one.failed, 0)
  console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`)
}

async function main() {
  const args = process.argv.slice(2)
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP)
    return
  }
  const stages = choose(args)
  if (typeof stages === 'string') {
    process.stderr.write(`scripts/test: ${stages}\n${HELP}`)
    process.exitCode = 2
    return
  }
  mkdirSync(COUNTS_FOLDER, { recursive: true })
  /** @type {Outcome[]} */
  const outcomes = []
  for (const stage of stages) {
    outcomes.push(await runStage(stage))
    // Without the packages every other stage would fail too, and hide why.
    if (!existsSync('node_modules/vitest')) break
  }
  sumUp(outcomes)
  if (outcomes.some(outcome => !outcome.ok)) process.exitCode = 1
}

await main()
