/** What a measurement must show, and whether it did. */
import { judge, type Limit, median, ROUNDS_MIN, type Verdict } from './statistics.ts'

export interface Requirement {
  readonly name: string
  readonly limit: Limit
  readonly unit: string
  /** The median of the rounds. */
  readonly measured: number
  /** Null where one value decides. */
  readonly range: readonly [number, number] | null
  readonly verdict: Verdict
}

/** A quantity that has a value each round. */
export function overRounds(
  name: string,
  limit: Limit,
  unit: string,
  samples: readonly number[],
  measured: number,
): Requirement {
  const range = [Math.min(...samples), Math.max(...samples)] as const
  return { name, limit, unit, measured, range, verdict: judge(samples, limit, ROUNDS_MIN) }
}

/** A count that one look decides. */
export function once(name: string, limit: Limit, unit: string, measured: number): Requirement {
  return { name, limit, unit, measured, range: null, verdict: judge([measured], limit, 1) }
}

/**
 * A quantity whose rounds are disturbed by single events, as a heap is by the compiler: the median decides.
 * @param samples - by round
 */
export function byMedian(name: string, limit: Limit, unit: string, samples: readonly number[]): Requirement {
  const measured = median(samples)
  const range = [Math.min(...samples), Math.max(...samples)] as const
  const verdict = samples.length < ROUNDS_MIN ? 'unclear' : judge([measured], limit, 1)
  return { name, limit, unit, measured, range, verdict }
}
