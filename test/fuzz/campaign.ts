import { setImmediate as turn } from 'node:timers/promises'
import { Prng } from '../../src/base/prng.ts'
import { MAX_INPUT_BYTES, mutate } from './mutate.ts'
import { type FuzzTarget, hashBytes } from './target.ts'

const POOL_LIMIT = 512
/** Between two turns of the event loop: what a target left for the next tick runs there, and its memory goes. */
const RUNS_PER_TURN = 64

/** What the thread that watches can read while the target runs, and after it has died. */
export interface Window {
  /** Runs so far, and the length of the input that is running. */
  readonly numbers: Int32Array
  readonly input: Uint8Array
}

const RUNS = 0
const LENGTH = 1

export function openWindow(memory: SharedArrayBuffer): Window {
  return { numbers: new Int32Array(memory, 0, 2), input: new Uint8Array(memory, 8, MAX_INPUT_BYTES) }
}

export const newWindowMemory = (): SharedArrayBuffer => new SharedArrayBuffer(8 + MAX_INPUT_BYTES)
export const runsIn = (window: Window): number => Atomics.load(window.numbers, RUNS) >>> 0
export const inputIn = (window: Window): Uint8Array =>
  window.input.slice(0, Atomics.load(window.numbers, LENGTH))

export interface CampaignLimits {
  readonly seconds: number
  readonly runs: number
  readonly seed: number
}

export interface CampaignResult {
  readonly runs: number
  readonly seconds: number
  readonly outcomes: number
  /** The stack of what was thrown, and the input that did it; `null` if all went well. */
  readonly crash: { readonly input: Uint8Array; readonly stack: string } | null
}

/**
 * Runs one target on its corpus, then on its seeds, then on mutations of both until a limit is reached.
 * @param corpus - inputs kept from earlier runs; replayed first
 */
export async function runCampaign(
  target: FuzzTarget,
  corpus: readonly Uint8Array[],
  limits: CampaignLimits,
  window: Window,
): Promise<CampaignResult> {
  const random = new Prng(limits.seed ^ hashBytes(new TextEncoder().encode(target.name)))
  const starts = [...corpus, ...target.seeds.map(seed => seed.slice())]
  const pool = starts.length > 0 ? [...starts] : [new Uint8Array(0)]
  const outcomes = new Set<string>()
  const start = performance.now()
  const secondsSince = (): number => (performance.now() - start) / 1_000
  let runs = 0
  for (;;) {
    const input = runs < starts.length ? starts[runs]! : mutate(pool, random)
    // The target may change its input, so what would be reported is put aside first.
    window.input.set(input)
    Atomics.store(window.numbers, LENGTH, input.length)
    try {
      const outcome = runOnce(target, input.slice())
      if (typeof outcome === 'string' && !outcomes.has(outcome) && pool.length < POOL_LIMIT) {
        outcomes.add(outcome)
        if (runs >= starts.length) pool.push(input)
      }
    } catch (error) {
      const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
      return { runs: runs + 1, seconds: secondsSince(), outcomes: outcomes.size, crash: { input, stack } }
    }
    runs++
    Atomics.store(window.numbers, RUNS, runs | 0)
    if (runs < starts.length) continue
    if (runs >= limits.runs) break
    if (runs % RUNS_PER_TURN > 0) continue
    await turn()
    if (secondsSince() >= limits.seconds) break
  }
  return { runs, seconds: secondsSince(), outcomes: outcomes.size, crash: null }
}

/** @throws what the target throws, and if it is asynchronous: nobody would see it fail. */
export function runOnce(target: FuzzTarget, input: Uint8Array): unknown {
  const outcome = target.run(input, new Prng(hashBytes(input)))
  if (outcome instanceof Promise) throw new TypeError(`fuzz target ${target.name} has to be synchronous`)
  return outcome
}
