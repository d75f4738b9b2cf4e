/** From what the arms gave, round by round, to the document: medians, steps, the crossover, what was required and why it is not so. */
import type { Figures } from './copies-arms.ts'
import {
  COPIES_ARMS,
  COPIES_FIGURES,
  COPIES_VERSION,
  type CopiesArm,
  type CopiesArmId,
  type CopiesCheck,
  type CopiesComparison,
  type CopiesCrossover,
  type CopiesFigure,
  type CopiesLine,
  type CopiesRequirement,
  type CopiesResult,
  type CopiesRun,
  type CopiesSeries,
  type Order,
} from './copies-result.ts'
import { ARM_TEXTS, COMPARED } from './copies-steps.ts'
import type { ModulesReport } from './modules.ts'
import { once, overRounds, type Requirement } from './requirements.ts'
import {
  compare,
  compareCommon,
  judge,
  median,
  type Ratio,
  ROUNDS_MIN,
  SPREAD_MAX,
  type Summary,
  summarize,
} from './statistics.ts'

/** What one arm gave. */
export interface ArmMeasured {
  readonly id: CopiesArmId
  readonly check: CopiesCheck | null
  /** By size of the messages, one entry for each round. */
  readonly bySize: ReadonlyMap<number, readonly Figures[]>
  /** Round trips, one entry for each round. */
  readonly turns: readonly Figures[]
}

/** A way to write at the program's edge, by size and round. */
export interface EdgeMeasured {
  readonly id: 'write' | 'sendOwned'
  readonly bySize: ReadonlyMap<number, readonly Figures[]>
}

export interface CopiesMeasured extends CopiesRun {
  readonly arms: readonly ArmMeasured[]
  readonly edge: readonly EdgeMeasured[]
  readonly modules: ModulesReport | null
}

/** (e) over (c). */
const CHAINS_GAIN_MIN = 1.25

export function copiesResult(measured: CopiesMeasured): CopiesResult {
  const { arms, edge, modules, ...run } = measured
  const { messageBytes } = run
  const told = COPIES_ARMS.flatMap(id => arms.filter(arm => arm.id === id)).map(arm =>
    armOf(arm, messageBytes),
  )
  const comparisons = comparisonsOf(arms, messageBytes)
  return {
    kind: 'copies',
    version: COPIES_VERSION,
    ...run,
    arms: told,
    series: seriesOf(arms, edge, modules),
    comparisons,
    crossover: crossoverBetween(edge, 'write', 'sendOwned'),
    chainCrossover: crossoverBetween(arms, 'd', 'e'),
    moduleSlope: modules?.slope ?? null,
    operations: modules?.operations ?? [],
    requirements: requirementsOf(arms, comparisons, messageBytes),
    warnings: [...run.warnings, ...warningsOf(measured, told, comparisons)],
  }
}

const titleOf = (id: CopiesArmId): string => `${id.length === 1 ? `(${id}) ` : ''}${ARM_TEXTS[id].title}`

function armOf({ id, check, bySize, turns }: ArmMeasured, messageBytes: number): CopiesArm {
  const figures: Partial<Record<CopiesFigure, Summary>> = {}
  const rounds = [bySize.get(messageBytes) ?? [], turns]
  for (const name of Object.keys(COPIES_FIGURES) as CopiesFigure[]) {
    for (const each of rounds) {
      const samples = samplesOf(each, name)
      if (samples !== null) figures[name] = summarize(samples)
    }
  }
  return { id, ...ARM_TEXTS[id], check, figures }
}

/** @returns null if a round has not the figure */
function samplesOf(rounds: readonly Figures[], name: CopiesFigure): number[] | null {
  const samples = rounds.flatMap(round => {
    const value = round[name]
    return value === undefined || !Number.isFinite(value) ? [] : [value]
  })
  return samples.length === 0 || samples.length < rounds.length ? null : samples
}

// ---- series

const SIZE_AXIS = { title: 'size of a message', unit: 'bytes', scale: 'log' } as const

interface Sized {
  readonly id: string
  readonly title: string
  readonly bySize: ReadonlyMap<number, readonly Figures[]>
}

/** Lines of one figure over the sizes; those that have it at one size only are no lines. */
function linesOf(all: readonly Sized[], figure: CopiesFigure): CopiesLine[] {
  return all.flatMap(({ id, title, bySize }) => {
    const points = [...bySize]
      .sort(([a], [b]) => a - b)
      .flatMap(([x, rounds]) => {
        const samples = samplesOf(rounds, figure)
        return samples === null ? [] : [{ x, y: summarize(samples) }]
      })
    return points.length < 2 ? [] : [{ id, title, points }]
  })
}

function seriesOf(
  arms: readonly ArmMeasured[],
  edge: readonly EdgeMeasured[],
  modules: ModulesReport | null,
): CopiesSeries[] {
  const sized = arms.map(({ id, bySize }) => ({ id, title: ARM_TEXTS[id].title, bySize }))
  const ways = edge.map(({ id, bySize }) => ({ id, title: EDGE_TITLES[id], bySize }))
  const over = (
    id: CopiesSeries['id'],
    title: string,
    figure: CopiesFigure,
    all: readonly Sized[],
  ): CopiesSeries => ({ id, title, x: SIZE_AXIS, figure, lines: linesOf(all, figure) })
  const series = [
    over('throughput-by-size', 'throughput against the size of a message', 'gbitPerSecond', sized),
    over('cpu-by-size', 'processor time per byte against the size of a message', 'cpuNsPerByte', sized),
    over('copied-by-size', 'bytes copied in the stack against the size of a message', 'copiedStack', sized),
    over(
      'edge-throughput-by-size',
      "a write that copies at the program's edge, and one that does not",
      'gbitPerSecond',
      ways,
    ),
    over(
      'edge-cpu-by-size',
      'processor time of a write that copies, and of one that does not',
      'cpuNsPerByte',
      ways,
    ),
  ]
  if (modules !== null) {
    const points = modules.points.map(point => ({ x: point.modules, y: point.nanoseconds }))
    series.push({
      id: 'modules',
      title: 'time of a message through modules that do nothing',
      x: { title: 'modules in the way', unit: '', scale: 'linear' },
      figure: 'nanoseconds',
      lines: [{ id: 'null', title: 'null modules', points }],
    })
  }
  return series
}

const EDGE_TITLES = { write: 'write: copies', sendOwned: 'sendOwned: does not copy' } as const

// ---- what the rounds say

/** @param ratios - by round, above 1 for faster */
export function orderOf(ratios: readonly number[], roundsMin = ROUNDS_MIN): Order {
  if (judge(ratios, { atLeast: 1 }, roundsMin) === 'held') return 'faster'
  return judge(ratios, { atMost: 1 }, roundsMin) === 'held' ? 'slower' : 'unclear'
}

/** @param copying - processor time per byte counts, since it is what waiting does not disturb; @param not - the same without the copy */
export function crossoverOf(
  copying: ReadonlyMap<number, readonly Figures[]>,
  not: ReadonlyMap<number, readonly Figures[]>,
): CopiesCrossover {
  const sizes = [...copying.keys()].filter(bytes => not.has(bytes)).sort((a, b) => a - b)
  const ratios = sizes.flatMap(bytes => {
    const over = samplesOf(copying.get(bytes)!, 'cpuNsPerByte')
    const under = samplesOf(not.get(bytes)!, 'cpuNsPerByte')
    if (over === null || under === null) return []
    const ratio = compareCommon(over, under)
    return [{ bytes, ratio, verdict: orderOf(ratio.samples) }]
  })
  const contrary = ratios.findLastIndex(({ verdict }) => verdict !== 'faster')
  const copyWins = ratios.findLast(({ verdict }) => verdict === 'slower')
  return { bytes: ratios[contrary + 1]?.bytes ?? null, copyWinsUpTo: copyWins?.bytes ?? null, ratios }
}

/** @returns null if one of the two is not there */
function crossoverBetween(
  all: readonly { readonly id: string; readonly bySize: ReadonlyMap<number, readonly Figures[]> }[],
  copying: string,
  not: string,
): CopiesCrossover | null {
  const of = (id: string): ReadonlyMap<number, readonly Figures[]> | undefined =>
    all.find(one => one.id === id)?.bySize
  const [over, under] = [of(copying), of(not)]
  return over === undefined || under === undefined ? null : crossoverOf(over, under)
}

function comparisonsOf(arms: readonly ArmMeasured[], messageBytes: number): CopiesComparison[] {
  const samples = (id: CopiesArmId, figure: CopiesFigure): number[] | null =>
    samplesOf(arms.find(arm => arm.id === id)?.bySize.get(messageBytes) ?? [], figure)
  const ratio = (arm: CopiesArmId, against: CopiesArmId, figure: CopiesFigure): Ratio | null => {
    const [over, under] = [samples(arm, figure), samples(against, figure)]
    return over === null || under === null || over.length !== under.length ? null : compare(over, under)
  }
  return COMPARED.flatMap(({ arm, against, step }) => {
    const throughput = ratio(arm, against, 'gbitPerSecond')
    if (throughput === null) return []
    const verdict = orderOf(throughput.samples)
    const user = ratio(arm, against, 'userNsPerByte')
    return [{ arm, against, step, figure: 'gbitPerSecond', ratio: throughput, verdict, user }]
  })
}

// ---- requirements

function requirementsOf(
  arms: readonly ArmMeasured[],
  comparisons: readonly CopiesComparison[],
  messageBytes: number,
): CopiesRequirement[] {
  const of = (id: CopiesArmId): readonly Figures[] =>
    arms.find(arm => arm.id === id)?.bySize.get(messageBytes) ?? []
  const size = messageBytes.toLocaleString('en')
  const found: CopiesRequirement[] = []
  const add = (requirement: Requirement, why: () => string): void => {
    found.push({ ...requirement, why: requirement.verdict === 'held' ? null : why() })
  }
  const against = (arm: CopiesArmId, other: CopiesArmId): Ratio | undefined =>
    comparisons.find(each => each.arm === arm && each.against === other)?.ratio
  const chains = against('e', 'c')
  if (chains !== undefined)
    add(
      overRounds(
        `e over c: throughput at ${size} bytes`,
        { atLeast: CHAINS_GAIN_MIN },
        'times',
        chains.samples,
        chains.medianOfRatios,
      ),
      () => whyNot('the three copies of c', of('c'), of('e'), chains),
    )
  const chained = of('g')
  if (chained.length > 0) {
    const copied = Math.max(
      ...chained.map(each => (each.copiedStack ?? 0) + (each.copiedEdge ?? 0) + (each.copiedIpc ?? 0)),
    )
    add(
      once(`g: copied in user space at ${size} bytes`, { atMost: 0 }, 'bytes per byte', copied),
      () => 'the counters say which place copied: copiedStack, copiedEdge',
    )
  }
  const control = against('h', 'g')
  if (control !== undefined)
    add(
      overRounds(
        `h over g: throughput at ${size} bytes`,
        { atMost: 1 },
        'times',
        control.samples,
        control.medianOfRatios,
      ),
      () => whyNot('the added copy of h', of('h'), of('g'), control),
    )
  return found
}

/** Where the time went, as far as the figures tell. */
function whyNot(
  what: string,
  more: readonly Figures[],
  less: readonly Figures[],
  { samples }: Ratio,
): string {
  const cost = (rounds: readonly Figures[], figure: 'userNsPerByte' | 'cpuNsPerByte'): number =>
    median(rounds.map(round => round[figure] ?? Number.NaN))
  const difference = cost(more, 'userNsPerByte') - cost(less, 'userNsPerByte')
  const whole = cost(less, 'cpuNsPerByte')
  const share = Math.round((difference / whole) * 100)
  const spread = Math.round((Math.max(...samples) / Math.min(...samples) - 1) * 100)
  const rounds =
    samples.length < ROUNDS_MIN
      ? `${samples.length} rounds decide nothing`
      : `the rounds' ratios differ by ${spread} %`
  return (
    `${what} cost ${difference.toPrecision(2)} ns a byte outside the kernel, ${share} % of the ${whole.toPrecision(2)} ns that a byte takes ` +
    `without; ${rounds}`
  )
}

function warningsOf(
  { machine, rounds, mode, missing }: CopiesMeasured,
  arms: readonly CopiesArm[],
  comparisons: readonly CopiesComparison[],
): string[] {
  const warnings: string[] = []
  if (machine.busy)
    warnings.push(
      `the machine was busy when it began (load ${machine.load.toFixed(1)}): measure again when it is not`,
    )
  if (rounds < ROUNDS_MIN)
    warnings.push(
      `${rounds} ${rounds === 1 ? 'round decides' : 'rounds decide'} nothing: take at least ${ROUNDS_MIN}`,
    )
  if (mode === 'wire')
    warnings.push(
      'without root: two stacks of one process over a wire, no kernel and no device between; processor time is that of both stacks',
    )
  for (const { id, title, reason } of missing)
    if (reason.startsWith('it failed')) warnings.push(`(${id}) ${title} is not in this run: ${reason}`)
  for (const { id, figures } of arms) {
    const spread = figures.gbitPerSecond?.spread ?? 0
    if (spread > SPREAD_MAX)
      warnings.push(`${titleOf(id)}: the rounds' throughput differs by ${Math.round(spread * 100)} %`)
  }
  for (const { arm, against, ratio, verdict } of comparisons)
    if (verdict === 'unclear' && ratio.samples.length >= ROUNDS_MIN)
      warnings.push(
        `${titleOf(arm)} and ${titleOf(against)} cannot be told apart: the rounds contradict each other`,
      )
  return warnings
}
