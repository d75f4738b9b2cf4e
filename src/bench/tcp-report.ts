/** The report of `putnext bench tcp` and `rpc`: medians and ranges of every figure, ratios against the arm that a scenario names, what was required. */
import type { Machine } from './machine.ts'
import { overRounds, type Requirement } from './requirements.ts'
import { compare, type Ratio, ROUNDS_MIN, SPREAD_MAX, type Summary, summarize } from './statistics.ts'

/** A limit for one arm's figure, by itself or against another arm's of the same round. */
export interface Demand {
  readonly figure: string
  readonly arm: string
  /** The arm to compare with; absent for the figure itself. */
  readonly against?: string
  readonly limit: { readonly atLeast: number } | { readonly atMost: number }
}

export interface ArmFigures {
  readonly name: string
  readonly title: string
  /** By name of the figure, which names its unit. */
  readonly figures: Readonly<Record<string, Summary>>
}

export interface ScenarioReport {
  readonly name: string
  readonly title: string
  readonly arms: readonly ArmFigures[]
  readonly ratios: readonly {
    readonly figure: string
    readonly arm: string
    readonly against: string
    readonly ratio: Ratio
  }[]
}

/** Of `bench tcp`, and of `bench rpc`. */
export interface TcpReport {
  readonly kind: 'tcp' | 'rpc'
  readonly machine: Machine
  readonly rounds: number
  readonly seconds: number
  /** Where the ends ran, in words. */
  readonly placement: string
  readonly scenarios: readonly ScenarioReport[]
  readonly requirements: readonly Requirement[]
  readonly warnings: readonly string[]
}

/** What an arm gave, round by round. */
export interface ArmRounds {
  readonly name: string
  readonly title: string
  readonly rounds: readonly Readonly<Record<string, number>>[]
}

export interface ScenarioRounds {
  readonly name: string
  readonly title: string
  readonly demands: readonly Demand[]
  readonly arms: readonly ArmRounds[]
}

export function reportOf(
  kind: TcpReport['kind'],
  machine: Machine,
  rounds: number,
  seconds: number,
  placement: string,
  measured: readonly ScenarioRounds[],
): TcpReport {
  const scenarios = measured.map(scenarioReport)
  return {
    kind,
    machine,
    rounds,
    seconds,
    placement,
    scenarios,
    requirements: measured.flatMap(requirementsOf),
    warnings: [...warningsOf(machine, rounds, scenarios), ...measured.flatMap(missingArms)],
  }
}

const samplesOf = ({ arms }: ScenarioRounds, arm: string, figure: string): number[] =>
  (arms.find(({ name }) => name === arm)?.rounds ?? []).map(round => round[figure] ?? Number.NaN)

function scenarioReport(scenario: ScenarioRounds): ScenarioReport {
  const { name, title } = scenario
  const demands = measurable(scenario)
  const arms = scenario.arms.map(arm => ({
    name: arm.name,
    title: arm.title,
    figures: Object.fromEntries(
      Object.keys(arm.rounds[0] ?? {}).map(figure => [
        figure,
        summarize(arm.rounds.map(round => round[figure] ?? Number.NaN)),
      ]),
    ),
  }))
  const ratios = demands.flatMap(({ figure, arm, against }) =>
    against === undefined
      ? []
      : [
          {
            figure,
            arm,
            against,
            ratio: compare(samplesOf(scenario, arm, figure), samplesOf(scenario, against, figure)),
          },
        ],
  )
  return { name, title, arms, ratios }
}

/** A demand against an arm that this machine cannot run is left out; a warning says so. */
const measurable = ({ demands, arms }: ScenarioRounds): readonly Demand[] =>
  demands.filter(({ against }) => against === undefined || arms.some(({ name }) => name === against))

function requirementsOf(scenario: ScenarioRounds): Requirement[] {
  return measurable(scenario).map(({ figure, arm, against, limit }) => {
    const own = samplesOf(scenario, arm, figure)
    const name = `${scenario.name}: ${arm}, ${figure}`
    if (against === undefined) return overRounds(name, limit, '', own, summarize(own).median)
    const { samples, medianOfRatios } = compare(own, samplesOf(scenario, against, figure))
    return overRounds(`${name}, against ${against}`, limit, 'times', samples, medianOfRatios)
  })
}

const missingArms = ({ name, demands, arms }: ScenarioRounds): string[] =>
  demands
    .filter(({ against }) => against !== undefined && !arms.some(arm => arm.name === against))
    .map(({ against }) => `${name}: not compared with ${against}, which is not installed`)

function warningsOf(machine: Machine, rounds: number, scenarios: readonly ScenarioReport[]): string[] {
  const warnings: string[] = []
  if (machine.busy)
    warnings.push(
      `the machine was busy when it began (load ${machine.load.toFixed(1)}): measure again when it is not`,
    )
  if (rounds < ROUNDS_MIN) warnings.push(`${rounds} rounds decide nothing: take at least ${ROUNDS_MIN}`)
  for (const { name, arms } of scenarios)
    for (const arm of arms)
      for (const [figure, { spread }] of Object.entries(arm.figures))
        if (spread > SPREAD_MAX)
          warnings.push(
            `${name}, ${arm.title}, ${figure}: the rounds differ by ${Math.round(spread * 100)} %: too much to tell`,
          )
  return warnings
}
