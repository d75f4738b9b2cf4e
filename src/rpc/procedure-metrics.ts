/** What clients and servers count for each procedure: how calls ended, and how long they took. */
import { type Counters, makeCounters } from '../base/counters.ts'
import type { RpcProcedure } from './stub-types.ts'

/** Parts of each power of two: a figure read from the histogram is at most an eighth too large. */
const PARTS_BITS = 3
const PARTS = 1 << PARTS_BITS
/** Up to 2^32 microseconds, which is more than an hour; longer ones are counted in the last. */
const POWERS = 32
const BUCKETS = (POWERS - PARTS_BITS + 1) * PARTS

/** Durations in microseconds, in buckets of a fixed number: recording one is an addition. */
export class LatencyHistogram {
  count = 0
  sumUs = 0
  maxUs = 0
  private readonly buckets = new Float64Array(BUCKETS)

  record(us: number): void {
    this.count++
    this.sumUs += us
    if (us > this.maxUs) this.maxUs = us
    this.buckets[bucketOf(us)]!++
  }

  /**
   * @param share - 0.5 for the median, 0.99 for the 99th percentile
   * @returns microseconds that this share of all durations did not exceed, at most an eighth too large; 0 if there is none
   */
  quantile(share: number): number {
    const wanted = Math.max(1, Math.ceil(share * this.count))
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.buckets[bucket]!
      if (seen >= wanted) return bucket === BUCKETS - 1 ? this.maxUs : Math.min(this.maxUs, endOf(bucket))
    }
    return this.maxUs
  }

  describe(): LatencySummary {
    const { count, sumUs, maxUs } = this
    return {
      count,
      meanUs: count === 0 ? 0 : sumUs / count,
      p50Us: this.quantile(0.5),
      p99Us: this.quantile(0.99),
      maxUs,
    }
  }
}

/** Durations of calls, in microseconds; 0 where there were none. */
export interface LatencySummary {
  readonly count: number
  readonly meanUs: number
  readonly p50Us: number
  readonly p99Us: number
  readonly maxUs: number
}

/** Small ones have a bucket each; above, eight for each power of two. */
function bucketOf(us: number): number {
  const whole = us >= 2 ** POWERS ? 0xffff_ffff : us < 0 ? 0 : us >>> 0
  if (whole < PARTS) return whole
  const power = 31 - Math.clz32(whole)
  return (power - PARTS_BITS + 1) * PARTS + ((whole >>> (power - PARTS_BITS)) & (PARTS - 1))
}

/** The first duration that is beyond a bucket. */
function endOf(bucket: number): number {
  if (bucket < PARTS) return bucket + 1
  const shift = Math.floor(bucket / PARTS) - 1
  return (PARTS + (bucket % PARTS) + 1) * 2 ** shift
}

/** Of one procedure. */
export class ProcedureMetrics<Name extends string> {
  /** As in the interface file. */
  readonly name: string
  readonly counters: Counters<Name>
  /** At a client from the call to its end, at a server from the last byte of the call to the reply; calls that were answered only. */
  readonly latency = new LatencyHistogram()

  constructor(name: string, names: readonly Name[]) {
    this.name = name
    this.counters = makeCounters(names)
  }
}

/** Procedures that are counted one by one; the rest together. */
const PROCEDURES_MAX = 1_024

/** All procedures that were called, at most 1,024 one by one. */
export class MetricsTable<Name extends string> {
  private readonly names: readonly Name[]
  private readonly table = new Map<object, ProcedureMetrics<Name>>()
  private readonly others: ProcedureMetrics<Name>
  private lastProcedure: object | null = null
  private last: ProcedureMetrics<Name>

  /** @param names - of the counters that each procedure has */
  constructor(names: readonly Name[]) {
    this.names = names
    this.others = new ProcedureMetrics('others', names)
    this.last = this.others
  }

  /** @param procedure - by identity: generated code has one object for each */
  of<A, R>(procedure: RpcProcedure<A, R>): ProcedureMetrics<Name> {
    if (procedure === this.lastProcedure) return this.last
    const known = this.table.get(procedure) ?? this.add(procedure)
    this.lastProcedure = procedure
    this.last = known
    return known
  }

  private add<A, R>(procedure: RpcProcedure<A, R>): ProcedureMetrics<Name> {
    if (this.table.size >= PROCEDURES_MAX) return this.others
    const metrics = new ProcedureMetrics(procedure.name, this.names)
    this.table.set(procedure, metrics)
    return metrics
  }

  /** Those that were called, in the order of their first call; what did not fit is the last, named `others`. */
  *[Symbol.iterator](): Generator<ProcedureMetrics<Name>> {
    yield* this.table.values()
    if (this.table.size >= PROCEDURES_MAX) yield this.others
  }
}
