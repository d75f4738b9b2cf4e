/** The report of `putnext bench udp`: medians, ratios, what was required, and what to be careful with. */
import { CANDIDATE_TITLES, type CandidateName } from './candidates.ts'
import type { CopiesPerDatagram } from './copies-check.ts'
import { HEAP_BYTES_MAX, type HeapGrowth } from './heap.ts'
import type { Machine } from './machine.ts'
import type { LoadResult, PingResult } from './peers.ts'
import type { OnProgress } from './progress.ts'
import { byMedian, once, overRounds, type Requirement } from './requirements.ts'
import { compare, type Ratio, ROUNDS_MIN, SPREAD_MAX, type Summary, summarize } from './statistics.ts'

/** The options with their defaults. */
export interface UdpPlan {
  readonly rounds: number
  readonly seconds: number
  readonly bytes: number
  readonly window: number
  readonly family: 4 | 6
  readonly pings: number
  readonly signal: AbortSignal | undefined
  readonly onProgress: OnProgress | undefined
}

/** Of one round, by load. */
export interface Measured {
  readonly window: LoadResult
  readonly pingpong: LoadResult
  /** Of the node. */
  readonly counted: { readonly window: NodeCount; readonly pingpong: NodeCount } | null
}

/** What the node counted during one load. */
export interface NodeCount {
  readonly copies: CopiesPerDatagram
  readonly heap: HeapGrowth
}

export interface CandidateReport {
  readonly name: CandidateName
  readonly title: string
  readonly windowPerSecond: Summary
  readonly pingpongP50Us: Summary
  readonly pingpongP99Us: Summary
  readonly pingpongP999Us: Summary
  readonly pingpongPerSecond: Summary
  /** Datagrams that never came back, in all rounds, of both loads. */
  readonly lost: number
  /** Those that came when the load had given them up. */
  readonly late: number
  readonly wrong: number
}

export interface Ratios {
  readonly window: Ratio
  readonly pingpongP50: Ratio
}

export interface UdpNamespaceReport {
  readonly kind: 'udp'
  readonly mode: 'namespaces'
  readonly machine: Machine
  readonly rounds: number
  readonly seconds: number
  readonly bytes: number
  readonly window: number
  readonly family: 4 | 6
  readonly candidates: readonly CandidateReport[]
  /** The node's values over the ceiling's. */
  readonly ratios: Ratios
  /** The node's values over those of the C program that lingers. */
  readonly lingeringRatios: Ratios
  /** The node's own count, by round. */
  readonly counted: { readonly window: readonly NodeCount[]; readonly pingpong: readonly NodeCount[] }
  /** Loads in a row on one node: what its heap does in the long run. */
  readonly steady: readonly NodeCount[]
  /** `ping -f`; empty where there is no ping(8) of iputils. */
  readonly pings: readonly PingResult[]
  readonly requirements: readonly Requirement[]
  /** Why a figure may be worth less than it looks. */
  readonly warnings: readonly string[]
}

/** What one more node was measured for, after the rounds. */
export interface LastNode {
  /** Empty where there is no ping(8) of iputils. */
  readonly pings: readonly PingResult[]
  /** Loads in a row on one process, a value for each. */
  readonly steady: readonly NodeCount[]
}

/** By candidate, by round. */
export type Rounds = Readonly<Record<CandidateName, Measured[]>>

const WINDOW_RATIO_MIN = 0.6
const PINGPONG_RATIO_MAX = 1.3

export function reportOf(
  { rounds, seconds, bytes, window, family, pings: wanted }: UdpPlan,
  machine: Machine,
  measured: Rounds,
  { pings, steady }: LastNode,
): UdpNamespaceReport {
  const names = Object.keys(measured) as CandidateName[]
  const candidates = names.map(name => candidateReport(name, measured[name]))
  const rates = (name: CandidateName): number[] => measured[name].map(one => one.window.perSecond)
  const trips = (name: CandidateName): number[] => measured[name].map(one => one.pingpong.p50Us ?? Number.NaN)
  const against = (name: CandidateName): Ratios => ({
    window: compare(rates('node'), rates(name)),
    pingpongP50: compare(trips('node'), trips(name)),
  })
  const ratios = against('ceiling')
  const counts = measured.node.flatMap(({ counted }) => (counted === null ? [] : [counted]))
  const counted = { window: counts.map(one => one.window), pingpong: counts.map(one => one.pingpong) }
  return {
    kind: 'udp',
    mode: 'namespaces',
    machine,
    rounds,
    seconds,
    bytes,
    window,
    family,
    candidates,
    ratios,
    lingeringRatios: against('lingering'),
    counted,
    steady,
    pings,
    requirements: requirementsOf(ratios, [...counted.window, ...counted.pingpong, ...steady], steady, pings),
    warnings: warningsOf(machine, rounds, candidates, wanted > 0 && pings.length === 0),
  }
}

function candidateReport(name: CandidateName, rounds: readonly Measured[]): CandidateReport {
  const of = (load: 'window' | 'pingpong', key: keyof LoadResult): Summary =>
    summarize(rounds.map(one => one[load][key] ?? Number.NaN))
  const sum = (key: 'lost' | 'late' | 'wrong'): number =>
    rounds.reduce((total, one) => total + one.window[key] + one.pingpong[key], 0)
  return {
    name,
    title: CANDIDATE_TITLES[name],
    windowPerSecond: of('window', 'perSecond'),
    pingpongP50Us: of('pingpong', 'p50Us'),
    pingpongP99Us: of('pingpong', 'p99Us'),
    pingpongP999Us: of('pingpong', 'p999Us'),
    pingpongPerSecond: of('pingpong', 'perSecond'),
    lost: Math.max(0, sum('lost') - sum('late')),
    late: sum('late'),
    wrong: sum('wrong'),
  }
}

function requirementsOf(
  ratios: Ratios,
  counts: readonly NodeCount[],
  steady: readonly NodeCount[],
  pings: readonly PingResult[],
): Requirement[] {
  const { window, pingpongP50 } = ratios
  const copies = counts.reduce((sum, { copies }) => sum + copies.userSpaceCalls, 0)
  const kept = steady.map(({ heap }) => heap.keptPerPacket)
  return [
    overRounds(
      'UDP echo in a window, against the ceiling',
      { atLeast: WINDOW_RATIO_MIN },
      'times its rate',
      window.samples,
      window.medianOfRatios,
    ),
    overRounds(
      'UDP ping-pong p50, against the ceiling',
      { atMost: PINGPONG_RATIO_MAX },
      'times its time',
      pingpongP50.samples,
      pingpongP50.medianOfRatios,
    ),
    once('user-space copies, all rounds', { atMost: 0 }, 'copies', copies),
    byMedian('heap growth by datagram, one node', { atMost: HEAP_BYTES_MAX }, 'bytes', kept),
    ...pings.map(({ address, lost, sent }) =>
      once(`ping -f ${address}, ${sent} times`, { atMost: 0 }, 'lost', lost),
    ),
  ]
}

function warningsOf(
  machine: Machine,
  rounds: number,
  candidates: readonly CandidateReport[],
  noPing: boolean,
): string[] {
  const warnings: string[] = []
  if (machine.busy)
    warnings.push(
      `the machine was busy when it began (load ${machine.load.toFixed(1)}): measure again when it is not`,
    )
  if (rounds < ROUNDS_MIN) warnings.push(`${rounds} rounds decide nothing: take at least ${ROUNDS_MIN}`)
  for (const { title, windowPerSecond, pingpongP50Us, wrong } of candidates) {
    const spreads = { window: windowPerSecond.spread, 'ping-pong': pingpongP50Us.spread }
    for (const [load, spread] of Object.entries(spreads))
      if (spread > SPREAD_MAX)
        warnings.push(
          `${title}, ${load}: the rounds differ by ${Math.round(spread * 100)} %: too much to tell`,
        )
    if (wrong > 0) warnings.push(`${title}: ${wrong} answers were not what was sent`)
  }
  if (noPing) warnings.push('there is no ping(8) of iputils: ping -f was left out')
  return warnings
}
