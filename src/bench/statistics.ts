/** What is said of samples: medians and ranges, ratios between candidates, slopes, and whether all that tells anything. */
import { assert } from '../base/assert.ts'

/** Rounds from which a comparison may be decided. */
export const ROUNDS_MIN = 5
/** A candidate whose values spread wider than this, against its own median, was disturbed. */
export const SPREAD_MAX = 0.3

/** Samples of one quantity, a value for each round. */
export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
  /** (max - min) / median; 0 if all are equal. */
  readonly spread: number
  readonly samples: readonly number[]
}

/** @param samples - at least one; left as they are */
export function median(samples: readonly number[]): number {
  assert(samples.length > 0, 'median of nothing')
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** @param samples - at least one */
export function summarize(samples: readonly number[]): Summary {
  const middle = median(samples)
  const min = Math.min(...samples)
  const max = Math.max(...samples)
  return { median: middle, min, max, spread: max === min ? 0 : (max - min) / Math.abs(middle), samples }
}

/**
 * The value below which `part` of the samples lie: the sample of that rank, none made up in between.
 * @param sorted - ascending, at least one
 * @param part - 0 to 1
 */
export function quantile(sorted: ArrayLike<number>, part: number): number {
  assert(sorted.length > 0, 'quantile of nothing')
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!
}

/** One candidate's values over another's, measured in the same rounds. */
export interface Ratio {
  readonly ratioOfMedians: number
  /** What counts: each round has its own conditions, and both candidates met them. */
  readonly medianOfRatios: number
  readonly min: number
  readonly max: number
  /** By round. */
  readonly samples: readonly number[]
}

/** @param over - as many as `under`, in the same order of rounds */
export function compare(over: readonly number[], under: readonly number[]): Ratio {
  assert(over.length === under.length && over.length > 0, 'ratios need the same rounds')
  const samples = over.map((value, round) => value / under[round]!)
  const { min, max } = summarize(samples)
  return { ratioOfMedians: median(over) / median(under), medianOfRatios: median(samples), min, max, samples }
}

/** The same for candidates of which one has more rounds: what is missing is missing at the end. @param over - at least one, as `under` */
export function compareCommon(over: readonly number[], under: readonly number[]): Ratio {
  const rounds = Math.min(over.length, under.length)
  return compare(over.slice(0, rounds), under.slice(0, rounds))
}

/** What the rounds say of a limit. `unclear`: too few rounds, or they contradict each other. */
export type Verdict = 'held' | 'missed' | 'unclear'

/** A limit, at least or at most. */
export type Limit = { readonly atLeast: number } | { readonly atMost: number }

/**
 * Decides only what every round says: where the limit lies inside the spread, the measurement cannot tell.
 * @param samples - by round
 */
export function judge(samples: readonly number[], limit: Limit, roundsMin = ROUNDS_MIN): Verdict {
  const { length } = samples
  if (length < roundsMin || samples.some(Number.isNaN)) return 'unclear'
  const holds = (value: number): boolean =>
    'atLeast' in limit ? value >= limit.atLeast : value <= limit.atMost
  const held = samples.filter(holds).length
  return held === length ? 'held' : held === 0 ? 'missed' : 'unclear'
}

/** A straight line through points. */
export interface Line {
  readonly slope: number
  readonly intercept: number
}

/** Least squares. @param ys - as many as `xs`; two different `xs` at least */
export function fitLine(xs: readonly number[], ys: readonly number[]): Line {
  assert(xs.length === ys.length && xs.length > 1, 'a line needs two points')
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length
  const meanX = mean(xs)
  const meanY = mean(ys)
  let covariance = 0
  let variance = 0
  for (const [i, x] of xs.entries()) {
    covariance += (x - meanX) * (ys[i]! - meanY)
    variance += (x - meanX) ** 2
  }
  assert(variance > 0, 'a line needs two different x')
  const slope = covariance / variance
  return { slope, intercept: meanY - slope * meanX }
}

/** The order of candidates in a round: each is the first as often as the others. */
export function rotated<T>(candidates: readonly T[], round: number): T[] {
  const at = round % candidates.length
  return [...candidates.slice(at), ...candidates.slice(0, at)]
}
