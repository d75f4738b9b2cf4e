// The fuzz driver: compiled to build/fuzz by scripts/fuzz, and started again as a thread for each target.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import {
  type CampaignResult,
  inputIn,
  newWindowMemory,
  openWindow,
  runCampaign,
  runOnce,
  runsIn,
} from './campaign.ts'
import { type FuzzOptions, HELP, parseOptions } from './options.ts'
import type { FuzzTarget } from './target.ts'

/** From the root of the repository, where scripts/fuzz starts us. */
const SOURCES = 'test/fuzz'
const CORPUS = 'test/fuzz/corpus'

/** A single input that keeps a parser busy for so long is a failure of its own. */
const HANG_MS = 10_000
const HEAP_LIMIT_MIB = 1_024

interface Found {
  readonly target: FuzzTarget
  readonly module: string
}

interface Job {
  readonly name: string
  readonly module: string
  readonly memory: SharedArrayBuffer
  readonly options: FuzzOptions
}

async function findTargets(): Promise<Found[]> {
  const found: Found[] = []
  for (const file of readdirSync(SOURCES).sort()) {
    if (!file.endsWith('.fuzz.ts')) continue
    const module = new URL(file.replace(/\.ts$/, '.js'), import.meta.url).href
    const { targets } = (await import(module)) as { targets?: readonly FuzzTarget[] }
    if (targets === undefined) throw new Error(`${SOURCES}/${file} exports no targets`)
    found.push(...targets.map(target => ({ target, module })))
  }
  const names = found.map(one => one.target.name)
  const odd = names.find((name, at) => !/^[a-z0-9][a-z0-9-]*$/.test(name) || names.indexOf(name) !== at)
  if (odd !== undefined)
    throw new Error(`the fuzz target name ${JSON.stringify(odd)} is used twice or not kebab-case`)
  return found
}

function readCorpus(name: string): Uint8Array[] {
  const folder = join(CORPUS, name)
  if (!existsSync(folder)) return []
  const files = readdirSync(folder, { withFileTypes: true }).filter(entry => entry.isFile())
  return files.map(entry => new Uint8Array(readFileSync(join(folder, entry.name))))
}

function keepCrash(name: string, input: Uint8Array): string {
  const folder = join(CORPUS, name)
  const path = join(folder, `crash-${createHash('sha256').update(input).digest('hex').slice(0, 16)}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(path, input)
  return path
}

/** Runs a target in a thread of its own, which may die or hang; either is a crash with the input that did it. */
function watch(found: Found, options: FuzzOptions): Promise<CampaignResult> {
  const memory = newWindowMemory()
  const window = openWindow(memory)
  const job: Job = { name: found.target.name, module: found.module, memory, options }
  const start = performance.now()
  return new Promise(settle => {
    const worker = new Worker(fileURLToPath(import.meta.url), {
      workerData: job,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_LIMIT_MIB },
    })
    let lastRuns = -1
    const end = (result: CampaignResult): void => {
      clearInterval(hangCheck)
      settle(result)
    }
    const die = (stack: string): void => {
      const seconds = (performance.now() - start) / 1_000
      end({ runs: runsIn(window), seconds, outcomes: 0, crash: { input: inputIn(window), stack } })
    }
    const hangCheck = setInterval(() => {
      const runs = runsIn(window)
      if (runs === lastRuns) {
        die(`no end within ${HANG_MS} ms`)
        void worker.terminate()
      }
      lastRuns = runs
    }, HANG_MS)
    worker.on('message', end)
    worker.on('error', error => die(error.stack ?? error.message))
    worker.on('exit', code => {
      if (code !== 0) die(`the thread ended with code ${code}`)
    })
  })
}

/** @returns true if the target ran and held */
function tell(name: string, result: CampaignResult): boolean {
  const rate = Math.round(result.runs / Math.max(result.seconds, 0.001))
  const figures = `${result.runs} runs, ${rate}/s, ${result.outcomes} outcomes, ${result.seconds.toFixed(1)} s`
  if (result.crash !== null) {
    const path = keepCrash(name, result.crash.input)
    console.log(`${name}: FAILED after ${figures}\n${result.crash.stack}`)
    console.log(`  replay: scripts/fuzz --target ${name} --replay ${path}`)
    return false
  }
  console.log(`${name}: ${result.runs === 0 ? 'FAILED, it never ran' : 'held'}: ${figures}`)
  return result.runs > 0
}

async function fuzzAll(found: readonly Found[], options: FuzzOptions): Promise<boolean> {
  const waiting = [...found]
  let held = true
  const takeTurns = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const result = await watch(next, options)
      if (!tell(next.target.name, result)) held = false
    }
  }
  await Promise.all(Array.from({ length: options.jobs }, takeTurns))
  return held
}

async function main(): Promise<number> {
  let options: FuzzOptions
  try {
    options = parseOptions(process.argv.slice(2), Date.now())
  } catch (error) {
    console.error(`scripts/fuzz: ${error instanceof Error ? error.message : error}\n\n${HELP}`)
    return 2
  }
  if (options.help) {
    console.log(HELP)
    return 0
  }
  const all = await findTargets()
  const unknown = options.targets.find(name => !all.some(one => one.target.name === name))
  if (unknown !== undefined) {
    console.error(`scripts/fuzz: no target is called ${unknown}; --list names them`)
    return 2
  }
  const chosen =
    options.targets.length === 0 ? all : all.filter(one => options.targets.includes(one.target.name))
  if (options.list) {
    for (const one of chosen) console.log(one.target.name)
    return 0
  }
  if (options.replay !== null) {
    const outcome = runOnce(chosen[0]!.target, new Uint8Array(readFileSync(options.replay)))
    console.log(`${chosen[0]!.target.name}: held${typeof outcome === 'string' ? `, ${outcome}` : ''}`)
    return 0
  }
  console.log(`fuzz: seed ${options.seed}, ${chosen.length} targets, ${options.jobs} at a time`)
  if (chosen.length === 0) console.error('scripts/fuzz: there is no target, and no run is no success')
  return chosen.length > 0 && (await fuzzAll(chosen, options)) ? 0 : 1
}

async function runJob(job: Job): Promise<CampaignResult> {
  const { targets } = (await import(job.module)) as { targets: readonly FuzzTarget[] }
  const target = targets.find(one => one.name === job.name)!
  return runCampaign(target, readCorpus(job.name), job.options, openWindow(job.memory))
}

if (isMainThread) process.exitCode = await main()
else parentPort!.postMessage(await runJob(workerData as Job))
