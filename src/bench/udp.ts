/**
 * `putnext bench udp`: the way of a datagram from a TUN device to an echo service and back, against the least that C can
 * do there, candidates interleaved. Needs root and a TUN device; without, `inproc` measures two stacks in one process.
 */
import { StackError } from '../base/errors.ts'
import { CANDIDATE_TITLES, type Candidate, Ceiling, FAR, KernelSockets, NodeCandidate } from './candidates.ts'
import { copiesPerDatagram } from './copies-check.ts'
import { heapGrowth } from './heap.ts'
import { describeMachine } from './machine.ts'
import {
  buildPeers,
  floodPing,
  LINGER_US,
  type Load,
  type LoadResult,
  type PingResult,
  runLoad,
} from './peers.ts'
import { type OnProgress, Progress } from './progress.ts'
import { BenchSite, requirePrivileges } from './site.ts'
import { rotated } from './statistics.ts'
import { runInproc, type UdpInprocReport } from './udp-inproc.ts'
import {
  type LastNode,
  type Measured,
  type NodeCount,
  type Rounds,
  reportOf,
  type UdpNamespaceReport,
  type UdpPlan,
} from './udp-report.ts'

export type UdpReport = UdpNamespaceReport | UdpInprocReport

export interface UdpBenchOptions {
  /** Each round starts every candidate anew; 5 by default, fewer decide nothing. */
  readonly rounds?: number
  /** Of each load; 3 by default. */
  readonly seconds?: number
  /** Two stacks in this process: no device, no kernel, no ceiling. */
  readonly inproc?: boolean
  /** Of each datagram, 8 to 1,400; 64 by default. */
  readonly bytes?: number
  /** Datagrams in flight, 1 to 1,024; 64 by default. */
  readonly window?: number
  /** 4 by default. */
  readonly family?: 4 | 6
  /** Requests of `ping -f`, in both families; 10,000 by default. */
  readonly pings?: number
  /** The file of another command line than this package's own. */
  readonly program?: string
  readonly signal?: AbortSignal
  readonly onProgress?: OnProgress
}

const ROUNDS = 5
const SECONDS = 3
/** What `udp-load` keeps track of. */
const WINDOW_MAX = 1_024
/** Before anything counts: enough for the compiler of the node's JavaScript. */
const WARMUPS = [
  ['window', 1.5],
  ['pingpong', 0.5],
] as const
const LOAD_WARMUP_SECONDS = 0.5
/** Of a candidate's round, beside the loads: start, warm-up, end. */
const START_SECONDS = 3

/**
 * @throws StackError `ERR_PERMISSION` without root or TUN, `ERR_NOT_FOUND` without the peers, `ERR_TIMED_OUT` if a candidate
 * does not answer; the abort's reason. Nothing stays behind then.
 */
export async function run(options: UdpBenchOptions = {}): Promise<UdpReport> {
  const plan = planOf(options)
  if (options.inproc === true) return runInproc(plan)
  const shim = requirePrivileges()
  await buildPeers()
  const machine = describeMachine()
  const site = new BenchSite(shim)
  try {
    const node = new NodeCandidate(site, options.program)
    const candidates = [new Ceiling(site), new Ceiling(site, LINGER_US), node, new KernelSockets(site)]
    const measured = await measureRounds(candidates, plan)
    const last = await lastNode(node, plan)
    return reportOf(plan, machine, measured, last)
  } catch (error) {
    // Ctrl-C reaches the candidates as well: that they ended is no error of theirs then.
    plan.signal?.throwIfAborted()
    throw error
  } finally {
    site.close()
  }
}

/** @throws StackError `ERR_BAD_ARGUMENT` */
function planOf(options: UdpBenchOptions): UdpPlan {
  const { rounds = ROUNDS, seconds = SECONDS, bytes = 64, window = 64, family = 4, pings = 10_000 } = options
  within('rounds', rounds, 1, 1_000)
  within('seconds', seconds, 0.1, 3_600)
  within('bytes', bytes, 8, 1_400)
  within('window', window, 1, WINDOW_MAX)
  const { signal, onProgress } = options
  return { rounds, seconds, bytes, window, family, pings, signal, onProgress }
}

function within(name: string, value: number, min: number, max: number): void {
  if (value >= min && value <= max) return
  throw new StackError('ERR_BAD_ARGUMENT', `${name} must be ${min} to ${max}, not ${value}`)
}

async function measureRounds(candidates: readonly Candidate[], plan: UdpPlan): Promise<Rounds> {
  const steps = plan.rounds * candidates.length
  const stepSeconds = START_SECONDS + 2 * (plan.seconds + LOAD_WARMUP_SECONDS)
  const progress = new Progress(steps, steps * stepSeconds * 1_000, plan.onProgress)
  const measured: Rounds = { ceiling: [], lingering: [], node: [], kernel: [] }
  for (let round = 0; round < plan.rounds; round++) {
    for (const candidate of rotated(candidates, round)) {
      const text = `round ${round + 1} of ${plan.rounds}: ${CANDIDATE_TITLES[candidate.name]}`
      progress.say(text)
      measured[candidate.name].push(await measure(candidate, plan, load => progress.say(`${text}, ${load}`)))
      progress.step()
    }
  }
  return measured
}

/** One round of one candidate, from its start to its end. */
async function measure(candidate: Candidate, plan: UdpPlan, say: (load: string) => void): Promise<Measured> {
  const { signal, bytes, window, seconds, family } = plan
  const address = family === 4 ? FAR.v4 : FAR.v6
  const base = { address, port: candidate.port, bytes, window }
  try {
    await candidate.start()
    for (const [mode, warmupSeconds] of WARMUPS)
      await runLoad(candidate.place, { ...base, mode, seconds: warmupSeconds, warmupSeconds: 0 }, signal)
    // What asking the first time leaves on the heap is not the datagrams'.
    await candidate.inside?.totals()
    const under = (mode: Load['mode']): Promise<{ result: LoadResult; count: NodeCount | null }> => {
      say(mode)
      const load = { ...base, mode, seconds, warmupSeconds: LOAD_WARMUP_SECONDS }
      return counting(candidate, () => runLoad(candidate.place, load, signal))
    }
    const inWindow = await under('window')
    const inTurns = await under('pingpong')
    const counted =
      inWindow.count === null || inTurns.count === null
        ? null
        : { window: inWindow.count, pingpong: inTurns.count }
    return { window: inWindow.result, pingpong: inTurns.result, counted }
  } finally {
    await candidate.stop()
  }
}

/** Runs a load between two looks at what the candidate counts. */
async function counting(
  { inside }: Candidate,
  load: () => Promise<LoadResult>,
): Promise<{ result: LoadResult; count: NodeCount | null }> {
  if (inside === undefined) return { result: await load(), count: null }
  const totals = await inside.totals()
  const before = await inside.heap('collected')
  const result = await load()
  const after = await inside.heap('now')
  const rest = await inside.heap('collected')
  const { copies, datagramsIn } = await inside.totals()
  const datagrams = datagramsIn - totals.datagramsIn
  const count = {
    copies: copiesPerDatagram(totals.copies, copies, datagrams),
    heap: heapGrowth(before, after, rest, datagrams),
  }
  return { result, count }
}

/** One more node: the floods of ping(8), then loads in a row on the same process, for what its heap does in the long run. */
async function lastNode(node: Candidate, plan: UdpPlan): Promise<LastNode> {
  const { pings: count, signal, onProgress, rounds, seconds, bytes, window, family } = plan
  const pings: PingResult[] = []
  const steady: NodeCount[] = []
  try {
    await node.start()
    for (const address of count === 0 ? [] : [FAR.v4, FAR.v6]) {
      onProgress?.(`ping -f ${address}, ${count} times`)
      const result = await floodPing(node.place, address, count, signal)
      if (result !== null) pings.push(result)
    }
    const address = family === 4 ? FAR.v4 : FAR.v6
    const load = {
      mode: 'window' as const,
      address,
      port: node.port,
      seconds,
      warmupSeconds: 0,
      bytes,
      window,
    }
    const progress = new Progress(rounds + 1, (rounds + 1) * seconds * 1_000, onProgress)
    for (let round = 0; round <= rounds; round++) {
      progress.say('one node, loads in a row')
      const { count: counted } = await counting(node, () => runLoad(node.place, load, signal))
      // The first one warms up.
      if (round > 0 && counted !== null) steady.push(counted)
      progress.step()
    }
  } finally {
    await node.stop()
  }
  return { pings, steady }
}
