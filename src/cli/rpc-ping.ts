/** `putnext rpc ping`: null calls, told as ping(8) tells of its own. */
import { PingStatistics, type PingSummary } from '../node/ping-statistics.ts'
import type { RpcCallLine } from '../node/rpc-calls.ts'
import { programName } from '../rpc/rpcbind/well-known.ts'
import type { CommandRun } from './command.ts'
import { EXIT_DONE, EXIT_FAILED } from './exit-codes.ts'
import {
  type CallBase,
  type CallMaker,
  callBase,
  callMaker,
  callOnce,
  programOf,
  versionOf,
} from './rpc-target.ts'

const COUNT = 4
const INTERVAL_MS = 1_000
/** No program has this version, so that the answer tells which ones there are. */
const NO_VERSION = 0xffff_ffff

export const rpcPing: CommandRun = async invocation => {
  const { args, out, signal } = invocation
  const make = callMaker(invocation)
  const program = programOf(args.required('PROG'))
  const asked = args.optional('VERS')
  const given = asked === undefined ? null : versionOf(asked)
  const base = await callBase(invocation)
  const version = given ?? (await newest(make, base, program))
  const results: RpcCallLine[] = []
  const statistics = new PingStatistics(base.address)
  out.line(
    `RPC PING ${base.address}: program ${programText(program)} version ${version} over ${base.transport}`,
  )
  const request = {
    ...base,
    program,
    version,
    procedure: 0,
    args: '',
    count: args.number('count') ?? COUNT,
    intervalMs: args.number('interval') ?? INTERVAL_MS,
  }
  try {
    await make(request, line => {
      results.push(line)
      statistics.add(echoOf(line))
      out.line(lineText(line))
    })
  } catch (error) {
    if (!signal.aborted) throw error
  }
  const summary = statistics.summary()
  const document = { address: base.address, program, version, transport: base.transport, results, summary }
  out.report(document, `\n${summaryText(summary)}`)
  return summary.received > 0 ? EXIT_DONE : EXIT_FAILED
}

function summaryText({ address, sent, received, lossPercent, rtt }: PingSummary): string {
  const head = `--- ${address} rpc statistics ---\n${sent} calls made, ${received} answered, ${lossPercent}% unanswered`
  if (rtt === null) return head
  const times = [rtt.min, rtt.avg, rtt.max, rtt.mdev].map(ms => ms.toFixed(3)).join('/')
  return `${head}\nmin/avg/max/mdev = ${times} ms`
}

/** The newest version that the server says it has. */
async function newest(make: CallMaker, base: CallBase, program: number): Promise<number> {
  const line = await callOnce(make, { ...base, program, version: NO_VERSION, procedure: 0, args: '' })
  if (line.kind === 'failed' && line.versions !== null) return line.versions[1]
  return line.kind === 'answer' ? NO_VERSION : 0
}

export function programText(program: number): string {
  const name = programName(program)
  return name === null ? String(program) : `${program} (${name})`
}

function echoOf(line: RpcCallLine): Parameters<PingStatistics['add']>[0] {
  const { sequence, milliseconds } = line
  if (line.kind === 'answer')
    return { kind: 'reply', sequence, from: line.from, bytes: 0, ttl: 0, milliseconds }
  return { kind: 'error', sequence, reason: line.message }
}

function lineText(line: RpcCallLine): string {
  if (line.kind === 'answer')
    return `answer from ${line.from}: call=${line.sequence} time=${line.milliseconds.toFixed(3)} ms`
  return `${line.message}: call=${line.sequence}`
}
