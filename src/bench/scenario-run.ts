/** Runs scenarios: their arms in turn each round, each started anew, warmed up, measured and ended. */
import { StackError } from '../base/errors.ts'
import type { Shim } from '../host/shim.ts'
import { describeMachine, type Machine } from './machine.ts'
import { buildPeers } from './peers.ts'
import { type OnProgress, Progress } from './progress.ts'
import { BenchSite } from './site.ts'
import { rotated } from './statistics.ts'
import type { Arm, LoadTimes } from './tcp-arms.ts'
import type { ArmRounds, ScenarioRounds } from './tcp-report.ts'
import type { Scenario } from './tcp-scenarios.ts'

export interface ScenarioRunOptions {
  readonly rounds: number
  /** Of each load, where the scenario has no time of its own. */
  readonly seconds: number
  readonly warmupSeconds: number
  /** How many loads an arm has in a round, about: for the time that is left. */
  readonly loads: number
  readonly signal: AbortSignal | undefined
  readonly onProgress: OnProgress | undefined
}

/**
 * @param command - for the message: `bench tcp`
 * @param only - names; all that are not for asking alone by default
 * @throws StackError `ERR_BAD_ARGUMENT` for a scenario that is not there
 */
export function chooseScenarios(
  command: string,
  all: readonly Scenario[],
  only: readonly string[] | undefined,
): readonly Scenario[] {
  if (only === undefined || only.length === 0) return all.filter(({ asked }) => asked !== true)
  return only.map(name => {
    const found = all.find(scenario => scenario.name === name)
    if (found !== undefined) return found
    const hint = `scenarios: ${all.map(scenario => scenario.name).join(', ')}`
    throw new StackError('ERR_BAD_ARGUMENT', `${command} has no scenario "${name}"`, { hint })
  })
}

/** @throws StackError `ERR_NOT_FOUND` without the peers, `ERR_HOST` if an arm fails; the abort's reason. Nothing stays behind then. */
export async function runScenarios(
  shim: Shim,
  chosen: readonly Scenario[],
  options: ScenarioRunOptions,
): Promise<{ readonly machine: Machine; readonly measured: readonly ScenarioRounds[] }> {
  const { rounds, seconds, warmupSeconds, loads, signal, onProgress } = options
  await buildPeers()
  const machine = describeMachine()
  const site = new BenchSite(shim)
  try {
    const scenarios = chosen.map(scenario => ({ ...scenario, arms: scenario.arms(site) }))
    const steps = scenarios.reduce((sum, { arms }) => sum + arms.length * rounds, 0)
    const stepSeconds = 3 + loads * (seconds + warmupSeconds)
    const progress = new Progress(steps, steps * stepSeconds * 1_000, onProgress)
    const measured: ScenarioRounds[] = []
    for (const scenario of scenarios) {
      const times = { seconds: scenario.seconds ?? seconds, warmupSeconds, signal }
      measured.push(await measure(scenario, rounds, times, progress))
    }
    return { machine, measured }
  } catch (error) {
    // Ctrl-C reaches the arms as well: that they ended is no error of theirs then.
    signal?.throwIfAborted()
    throw error
  } finally {
    site.close()
  }
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
