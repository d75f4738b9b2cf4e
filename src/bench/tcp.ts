/**
 * `putnext bench tcp`: streams, round trips and connections through a TUN device and between two, against the least that C
 * can do there and against the kernel, arms in turn each round. Needs root and a TUN device.
 */
import { describePlacement } from './placement.ts'
import type { OnProgress } from './progress.ts'
import { chooseScenarios, runScenarios } from './scenario-run.ts'
import { requirePrivileges } from './site.ts'
import { reportOf, type TcpReport } from './tcp-report.ts'
import { SCENARIOS } from './tcp-scenarios.ts'
import { requireCubic } from './tcp-site.ts'

export interface TcpBenchOptions {
  /** Each round starts every arm anew; 5 by default, fewer decide nothing. */
  readonly rounds?: number
  /** Of each load; 2 by default. */
  readonly seconds?: number
  /** Names of scenarios; all by default. */
  readonly only?: readonly string[]
  readonly signal?: AbortSignal
  readonly onProgress?: OnProgress
}

const ROUNDS = 5
const SECONDS = 2
const WARMUP_SECONDS = 0.7

/**
 * @throws StackError `ERR_PERMISSION` without root or TUN, or where CUBIC is needed and not permitted, `ERR_NOT_FOUND` without the
 * peers, `ERR_BAD_ARGUMENT` for a scenario that is not there, `ERR_HOST` if an arm fails; the abort's reason. Nothing stays behind then.
 */
export async function run(options: TcpBenchOptions = {}): Promise<TcpReport> {
  const { rounds = ROUNDS, seconds = SECONDS, only, signal, onProgress } = options
  const chosen = chooseScenarios('bench tcp', SCENARIOS, only)
  const shim = requirePrivileges()
  if (chosen.some(({ needsCubic }) => needsCubic === true)) requireCubic()
  const times = { rounds, seconds, warmupSeconds: WARMUP_SECONDS, loads: 3, signal, onProgress }
  const { machine, measured } = await runScenarios(shim, chosen, times)
  return reportOf('tcp', machine, rounds, seconds, describePlacement(), measured)
}
