/**
 * `putnext bench rpc`: remote procedure calls from namespace to namespace, ours against libtirpc in C, gRPC, bare frames and a
 * local function, arms in turn each round. Needs root and a TUN device.
 */
import { describePlacement } from './placement.ts'
import type { OnProgress } from './progress.ts'
import { hasGrpc } from './rpc-grpc.ts'
import { rpcScenarios } from './rpc-scenarios.ts'
import { chooseScenarios, runScenarios } from './scenario-run.ts'
import { requirePrivileges } from './site.ts'
import { reportOf, type TcpReport } from './tcp-report.ts'

export interface RpcBenchOptions {
  /** Each round starts every arm anew; 5 by default, fewer decide nothing. */
  readonly rounds?: number
  /** Of each load; 1.5 by default. */
  readonly seconds?: number
  /** Within two minutes: two rounds of shorter loads, which decide nothing. */
  readonly quick?: boolean
  /** Names of scenarios; all by default. */
  readonly only?: readonly string[]
  readonly signal?: AbortSignal
  readonly onProgress?: OnProgress
}

const LONG = { rounds: 5, seconds: 1.5, warmupSeconds: 2.2 }
const QUICK = { rounds: 2, seconds: 0.6, warmupSeconds: 0.4 }

/**
 * @throws StackError `ERR_PERMISSION` without root or TUN, `ERR_NOT_FOUND` without the peers, `ERR_BAD_ARGUMENT` for a scenario
 * that is not there, `ERR_HOST` if an arm fails; the abort's reason. Nothing stays behind then.
 */
export async function run(options: RpcBenchOptions = {}): Promise<TcpReport> {
  const usual = options.quick === true ? QUICK : LONG
  const { rounds = usual.rounds, seconds = usual.seconds, only, signal, onProgress } = options
  const chosen = chooseScenarios('bench rpc', rpcScenarios({ grpc: await hasGrpc() }), only)
  const shim = requirePrivileges()
  const times = { rounds, seconds, warmupSeconds: usual.warmupSeconds, loads: 1.3, signal, onProgress }
  const { machine, measured } = await runScenarios(shim, chosen, times)
  return reportOf('rpc', machine, rounds, seconds, describePlacement(), measured)
}
