/**
 * `putnext bench tcp`: streams, round trips and connections through a TUN device and between two, against the least that C
 * can do there and against the kernel, arms in turn each round. Needs root and a TUN device.
 */
import { StackError } from '../base/errors.ts'
import { describeMachine } from './machine.ts'
import { buildPeers } from './peers.ts'
import { describePlacement } from './placement.ts'
import { type OnProgress, Progress } from './progress.ts'
import { BenchSite, requirePrivileges } from './site.ts'
import { rotated } from './statistics.ts'
import type { Arm, LoadTimes } from './tcp-arms.ts'
import { type ArmRounds, reportOf, type ScenarioRounds, type TcpReport } from './tcp-report.ts'
import { SCENARIOS, type Scenario } from './tcp-scenarios.ts'
import { requireCubic } from './tcp-site.ts'

export interface TcpBenchOptions {
  /** Each round starts every arm anew; 5 by default, fewer decide nothing. */
  readonly rounds?: number
  /** Of each load; 2 by default. */
  readonly seconds?: number
  /** Names of scenarios; all by default. */
  readonly only?: readonly string[]
  readonly signal?: AbortSignal
  readonly onProgress?: OnProgress
}

const ROUNDS = 5
const SECONDS = 2
const WARMUP_SECONDS = 0.7

/**
 * @throws StackError `ERR_PERMISSION` without root or TUN, or where CUBIC is needed and not permitted, `ERR_NOT_FOUND` without the
 * peers, `ERR_BAD_ARGUMENT` for a scenario that is not there, `ERR_HOST` if an arm fails; the abort's reason. Nothing stays behind then.
 */
export async function run(options: TcpBenchOptions = {}): Promise<TcpReport> {
  const { rounds = ROUNDS, seconds = SECONDS, only, signal, onProgress } = options
  const chosen = choose(only)
  const shim = requirePrivileges()
  if (chosen.some(({ needsCubic }) => needsCubic === true)) requireCubic()
  await buildPeers()
  const machine = describeMachine()
  const site = new BenchSite(shim)
  try {
    const scenarios = chosen.map(scenario => ({ ...scenario, arms: scenario.arms(site) }))
    const steps = scenarios.reduce((sum, { arms }) => sum + arms.length * rounds, 0)
    const stepSeconds = 3 + 3 * (seconds + WARMUP_SECONDS)
    const progress = new Progress(steps, steps * stepSeconds * 1_000, onProgress)
    const measured: ScenarioRounds[] = []
    for (const scenario of scenarios) {
      const times = { seconds: scenario.seconds ?? seconds, warmupSeconds: WARMUP_SECONDS, signal }
      measured.push(await measure(scenario, rounds, times, progress))
    }
    return reportOf(machine, rounds, seconds, describePlacement(), measured)
  } catch (error) {
    // Ctrl-C reaches the arms as well: that they ended is no error of theirs then.
    signal?.throwIfAborted()
    throw error
  } finally {
    site.close()
  }
}

function choose(only: readonly string[] | undefined): readonly Scenario[] {
  if (only === undefined || only.length === 0) return SCENARIOS.filter(({ asked }) => asked !== true)
  return only.map(name => {
    const found = SCENARIOS.find(scenario => scenario.name === name)
    if (found !== undefined) return found
    const hint = `scenarios: ${SCENARIOS.map(scenario => scenario.name).join(', ')}`
    throw new StackError('ERR_BAD_ARGUMENT', `bench tcp has no scenario "${name}"`, { hint })
  })
}

async function measure(
  scenario: Omit<Scenario, 'arms'> & { readonly arms: readonly Arm[] },
  rounds: number,
  times: LoadTimes,
  progress: Progress,
): Promise<ScenarioRounds> {
  const { name, title, demands, arms } = scenario
  const given = new Map<string, Readonly<Record<string, number>>[]>(arms.map(arm => [arm.name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const arm of rotated(arms, round)) {
      times.signal?.throwIfAborted()
      progress.say(`${name}, round ${round + 1} of ${rounds}: ${arm.title}`)
      try {
        await arm.start()
        given.get(arm.name)!.push(await arm.run(times))
      } finally {
        await arm.stop()
      }
      progress.step()
    }
  }
  const told: ArmRounds[] = arms.map(arm => ({
    name: arm.name,
    title: arm.title,
    rounds: given.get(arm.name)!,
  }))
  return { name, title, demands, arms: told }
}
