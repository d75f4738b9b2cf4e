/** How calls are timed: one at a time, and several in flight, whatever carries them. */
import { quantile } from './statistics.ts'

export interface LoadSeconds {
  readonly seconds: number
  readonly warmupSeconds: number
}

export interface TurnsResult {
  readonly p50Us: number
  readonly p99Us: number
}

export interface FlightResult {
  readonly perSecond: number
  /** Bytes of results a second, as Gbit; 0 if the calls do not tell any. */
  readonly gbitPerSecond: number
}

/** Makes one call, and is kept with the bytes of its result, or with nothing. */
export type OneCall = () => Promise<unknown>

const SAMPLES_MAX = 1_000_000
/** Looking at the clock costs as much as a part of a call. */
const CALLS_PER_LOOK = 16

/** @throws what a call throws */
export async function turns(call: OneCall, { seconds, warmupSeconds }: LoadSeconds): Promise<TurnsResult> {
  const samples = new Float64Array(SAMPLES_MAX)
  let count = 0
  const begin = performance.now() + warmupSeconds * 1_000
  const end = begin + seconds * 1_000
  for (let at = performance.now(); at < end && count < SAMPLES_MAX; ) {
    await call()
    const now = performance.now()
    if (at >= begin) samples[count++] = (now - at) * 1_000
    at = now
  }
  const sorted = samples.subarray(0, count).sort()
  return { p50Us: quantile(sorted, 0.5), p99Us: quantile(sorted, 0.99) }
}

/** Some callers, each of which calls again as soon as it was answered. @throws what a call throws */
export async function flight(
  call: OneCall,
  inFlight: number,
  { seconds, warmupSeconds }: LoadSeconds,
): Promise<FlightResult> {
  const begin = performance.now() + warmupSeconds * 1_000
  const end = begin + seconds * 1_000
  let [calls, bytes, startedAt, now] = [0, 0, 0, 0]
  const caller = async (): Promise<void> => {
    while (now < end) {
      const size = await call()
      calls++
      if (typeof size === 'number') bytes += size
      else if (calls % CALLS_PER_LOOK !== 0) continue
      now = performance.now()
      if (startedAt === 0 && now >= begin) [calls, bytes, startedAt] = [0, 0, now]
    }
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
  const took = (now - startedAt) / 1_000
  return { perSecond: calls / took, gbitPerSecond: (bytes * 8e-9) / took }
}

/** A plain function, called so often that the clock can see it; no compiler may take it away. */
export function localTurns({ seconds }: LoadSeconds): TurnsResult {
  const BATCH = 10_000
  const serve = [(value: number) => value + 1, (value: number) => value - 1]
  const samples: number[] = []
  let value = 0
  for (const end = performance.now() + seconds * 1_000; performance.now() < end; ) {
    const start = performance.now()
    for (let i = 0; i < BATCH; i++) value = serve[value & 1]!(value)
    samples.push(((performance.now() - start) * 1_000) / BATCH)
  }
  if (!Number.isInteger(value)) throw new Error('a local call lost its value')
  samples.sort((a, b) => a - b)
  return { p50Us: quantile(samples, 0.5), p99Us: quantile(samples, 0.99) }
}
