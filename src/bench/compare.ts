/**
 * `putnext bench compare`: two runs of the same measurement, of two commits or two machines. Their rounds were not
 * taken in turn, so that nothing can be said by round: ranges decide, and only what is larger than a tolerance counts.
 */
import { StackError } from '../base/errors.ts'
import {
  type BenchReport,
  type Better,
  type ComparedFigure,
  conclusionsOf,
  figuresOf,
  reportIn,
} from './compare-figures.ts'
import { ROUNDS_MIN, type Summary } from './statistics.ts'

/** What the second run is against the first. `unclear`: the ranges overlap, or there are too few rounds. */
export type Change = 'better' | 'worse' | 'same' | 'changed' | 'unclear'

export interface ComparedRow {
  readonly name: string
  readonly better: Better
  readonly a: Summary
  readonly b: Summary
  /** The median of B over that of A; null where A is 0 or below, as noise around 0 is. */
  readonly ratio: number | null
  /** The smallest and the largest that the rounds allow. */
  readonly range: readonly [number, number] | null
  readonly change: Change
}

export interface Comparison {
  readonly kind: 'compare'
  readonly of: BenchReport['kind']
  readonly a: RunHead
  readonly b: RunHead
  /** Below it nothing counts as a change: a part of 1. */
  readonly tolerance: number
  readonly rows: readonly ComparedRow[]
  /** What the two runs decided, where they differ. */
  readonly conclusions: readonly { readonly name: string; readonly a: string; readonly b: string }[]
  /** How many conclusions both runs have, alike or not. */
  readonly concluded: number
  readonly onlyInA: readonly string[]
  readonly onlyInB: readonly string[]
  /** Why the two may not be comparable. */
  readonly warnings: readonly string[]
}

export interface RunHead {
  readonly name: string
  readonly machine: string
  readonly startedAt: string
  readonly commit: string | null
  readonly rounds: number
}

export interface CompareOptions {
  readonly names: readonly [string, string]
  /** 0.05 by default. */
  readonly tolerance?: number
}

const TOLERANCE = 0.05

/**
 * @param a - the document of the first run, with its envelope or without
 * @throws StackError `ERR_BAD_ARGUMENT` if one is no report, or they are of different measurements
 */
export function compareRuns(
  a: unknown,
  b: unknown,
  { names, tolerance = TOLERANCE }: CompareOptions,
): Comparison {
  const [first, second] = [reportIn(a, names[0]), reportIn(b, names[1])]
  if (first.kind !== second.kind)
    throw new StackError(
      'ERR_BAD_ARGUMENT',
      `${names[0]} is of bench ${first.kind}, ${names[1]} of bench ${second.kind}`,
    )
  const [ofA, ofB] = [byKey(figuresOf(first)), byKey(figuresOf(second))]
  const verdictsB = new Map(conclusionsOf(second).map(({ key, verdict }) => [key, verdict]))
  const both = conclusionsOf(first).flatMap(({ key, name, verdict }) => {
    const other = verdictsB.get(key)
    return other === undefined ? [] : [{ name, a: verdict, b: other }]
  })
  return {
    kind: 'compare',
    of: first.kind,
    a: headOf(first, names[0]),
    b: headOf(second, names[1]),
    tolerance,
    rows: [...ofA.values()].flatMap(figure => {
      const other = ofB.get(figure.key)
      return other === undefined ? [] : [rowOf(figure, other.summary, tolerance)]
    }),
    conclusions: both.filter(one => one.a !== one.b),
    concluded: both.length,
    onlyInA: namesOnlyIn(ofA, ofB),
    onlyInB: namesOnlyIn(ofB, ofA),
    warnings: warningsOf(first, second),
  }
}

const byKey = (figures: readonly ComparedFigure[]): Map<string, ComparedFigure> =>
  new Map(figures.map(figure => [figure.key, figure]))

const namesOnlyIn = (one: Map<string, ComparedFigure>, other: Map<string, ComparedFigure>): string[] =>
  [...one.values()].filter(({ key }) => !other.has(key)).map(({ name }) => name)

function headOf(report: BenchReport, name: string): RunHead {
  const { processor, processors, kernel, node, startedAt } = report.machine
  return {
    name,
    machine: `${processor}, ${processors} processors, Linux ${kernel}, Node ${node}`,
    startedAt,
    commit: report.kind === 'copies' ? report.commit : null,
    rounds: report.rounds,
  }
}

function rowOf({ name, better, summary: a }: ComparedFigure, b: Summary, tolerance: number): ComparedRow {
  const ratio = a.min > 0 && b.min > 0 ? b.median / a.median : null
  const range = ratio === null ? null : ([b.min / a.max, b.max / a.min] as const)
  return { name, better, a, b, ratio, range, change: changeOf(a, b, better, tolerance) }
}

/** @param tolerance - a part of 1 */
export function changeOf(a: Summary, b: Summary, better: Better, tolerance: number): Change {
  const isCount = a.spread === 0 && b.spread === 0
  if (isCount && a.median === b.median) return 'same'
  const near = (x: number, y: number): boolean => Math.abs(x - y) <= tolerance * Math.abs(y)
  if (near(b.min, a.max) && near(b.max, a.min)) return 'same'
  const isMore = b.min > a.max
  const isApart = isMore || b.max < a.min
  const rounds = Math.min(a.samples.length, b.samples.length)
  if (!isApart || (rounds < ROUNDS_MIN && !isCount)) return 'unclear'
  if (near(b.median, a.median)) return 'same'
  if (better === null) return 'changed'
  return (better === 'more') === isMore ? 'better' : 'worse'
}

function warningsOf(a: BenchReport, b: BenchReport): string[] {
  const warnings: string[] = []
  const say = (what: string, one: unknown, other: unknown): void => {
    if (one !== other) warnings.push(`${what} differ: ${one} and ${other}`)
  }
  say('the processors', a.machine.processor, b.machine.processor)
  say('the numbers of processors', a.machine.processors, b.machine.processors)
  say('the kernels', a.machine.kernel, b.machine.kernel)
  say('the versions of Node', a.machine.node, b.machine.node)
  say('the seconds of a measurement', a.seconds, b.seconds)
  if ('mode' in a && 'mode' in b) say('the modes', a.mode, b.mode)
  if (a.kind === 'copies' && b.kind === 'copies') say('the sizes of messages', a.messageBytes, b.messageBytes)
  for (const [name, { machine, rounds }] of [['A', a] as const, ['B', b] as const]) {
    if (machine.busy)
      warnings.push(`the machine of ${name} was busy when it began (load ${machine.load.toFixed(1)})`)
    if (rounds < ROUNDS_MIN)
      warnings.push(
        `${name} has ${rounds} rounds: what differs from round to round is not decided below ${ROUNDS_MIN}`,
      )
  }
  return warnings
}
