/** `putnext rpc info`: what an rpcbind tells, as rpcinfo(8) prints it. */
import type { RpcCallLine } from '../node/rpc-calls.ts'
import { NETIDS } from '../rpc/rpcbind/netid.ts'
import {
  rpcbindV2Procedures,
  rpcbindV3Procedures,
  rpcbindV4Procedures,
} from '../rpc/rpcbind/rpcbind-procedures.ts'
import type { Rpcblist } from '../rpc/rpcbind/rpcbind-types.ts'
import { programName, RPCBIND_PORT, RPCBIND_PROGRAM } from '../rpc/rpcbind/well-known.ts'
import type { CommandRun } from './command.ts'
import { EXIT_DONE, EXIT_FAILED } from './exit-codes.ts'
import { type CallBase, type CallMaker, callBase, callMaker, callOnce, failure } from './rpc-target.ts'
import { fromBase64 } from './rpc-xdr.ts'

interface Entry {
  readonly program: number
  readonly version: number
  readonly netid: string
  readonly address: string
  /** Empty where nobody says. */
  readonly owner: string
  readonly service: string | null
}

const OLD = new Set(['PROG_MISMATCH', 'PROC_UNAVAIL'])

export const rpcInfo: CommandRun = async invocation => {
  const { args, out } = invocation
  const make = callMaker(invocation)
  const base = { ...(await callBase(invocation)), port: args.number('port') ?? RPCBIND_PORT }
  const versions = args.flag('portmapper') ? [2] : [4, 3, 2]
  for (const version of versions) {
    const line = await dump(make, base, version)
    if (line.kind === 'failed') {
      if (OLD.has(line.status ?? '') && version > 2) continue
      out.error(failure(line))
      out.failed(failure(line))
      return EXIT_FAILED
    }
    const entries = version === 2 ? portEntries(line.result) : entriesOf(version, line.result)
    const text = () => table(args.flag('short') ? shortRows(entries) : rows(entries))
    out.report({ address: base.address, version, entries }, text)
    return EXIT_DONE
  }
  return EXIT_FAILED
}

function dump(make: CallMaker, base: CallBase, version: number): Promise<RpcCallLine> {
  const { procedure } = rpcbindV4Procedures.dump
  return callOnce(make, { ...base, program: RPCBIND_PROGRAM, version, procedure, args: '' })
}

function entriesOf(version: number, result: string): Entry[] {
  const { dump } = version === 4 ? rpcbindV4Procedures : rpcbindV3Procedures
  const list = fromBase64<readonly Rpcblist[]>(dump.result, result)
  return list.map(({ map: { prog, vers, netid, address, owner } }) => {
    return { program: prog, version: vers, netid, address, owner, service: programName(prog) }
  })
}

function portEntries(result: string): Entry[] {
  return fromBase64(rpcbindV2Procedures.dump.result, result).map(
    ({ map: { prog, vers, protocol, port } }) => {
      const netid = NETIDS.find(one => one.protocol === protocol)?.name ?? `protocol ${protocol}`
      const address = `0.0.0.0.${port >>> 8}.${port & 255}`
      return { program: prog, version: vers, netid, address, owner: '', service: programName(prog) }
    },
  )
}

function rows(entries: readonly Entry[]): string[][] {
  const lines = entries.map(({ program, version, netid, address, owner, service }) => {
    return [String(program), String(version), netid, address, service ?? '-', owner]
  })
  return [['program', 'version', 'netid', 'address', 'service', 'owner'], ...lines]
}

function shortRows(entries: readonly Entry[]): string[][] {
  const programs = [...new Set(entries.map(({ program }) => program))]
  const joined = (values: readonly (string | number)[]) => [...new Set(values)].join(',')
  const lines = programs.map(program => {
    const own = entries.filter(entry => entry.program === program)
    const versions = own.map(({ version }) => version).toSorted((a, b) => a - b)
    const { service, owner } = own[0]!
    return [String(program), joined(versions), joined(own.map(({ netid }) => netid)), service ?? '-', owner]
  })
  return [['program', 'versions', 'netids', 'service', 'owner'], ...lines]
}

function table(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, at) => Math.max(...lines.map(line => line[at]!.length)))
  return lines
    .map(line =>
      line
        .map((cell, at) => cell.padEnd(widths[at]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
