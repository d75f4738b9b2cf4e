/** `putnext rpc call`: a procedure by its interface file, arguments and result in JSON. */
import type { RpcCallLine } from '../node/rpc-calls.ts'
import { analyze } from '../rpc/idl/analyze.ts'
import { DynamicCodecs } from '../rpc/idl/dynamic-codec.ts'
import { argumentFromJson, valueFromJson, valueToJson } from '../rpc/idl/json-values.ts'
import type { Interface, Program, ResolvedProcedure, ResolvedVersion, WireType } from '../rpc/idl/model.ts'
import { formatProblem } from '../rpc/idl/source.ts'
import type { XdrCodec } from '../rpc/xdr/index.ts'
import type { CommandRun, Invocation } from './command.ts'
import { EXIT_BAD_CONFIG, EXIT_DONE, EXIT_FAILED, ExitError, UsageError } from './exit-codes.ts'
import { callBase, callMaker, callOnce, failure, numberOf, programOf, versionOf } from './rpc-target.ts'
import { fromBase64, toBase64 } from './rpc-xdr.ts'
import { readInterfaceText } from './rpcgen.ts'

/** What is called, whether a file says so or nobody does. */
interface Target {
  readonly program: number
  readonly version: number
  readonly procedure: number
  readonly name: string
  /** @throws StackError `ERR_BAD_ARGUMENT` */
  encode(json: unknown): string
  decode(result: string): unknown
}

export const rpcCall: CommandRun = async invocation => {
  const { args, out } = invocation
  const make = callMaker(invocation)
  const file = args.string('interface')
  const target = file === undefined ? rawTarget(invocation) : fileTarget(invocation, file)
  const json = await jsonArgument(invocation)
  const request = {
    program: target.program,
    version: target.version,
    procedure: target.procedure,
    args: target.encode(json),
  }
  const base = await callBase(invocation)
  const line = withName(await callOnce(make, { ...base, ...request }), target)
  if (line.kind === 'failed') {
    const { outcome, status, versions } = line
    out.report({ procedure: target.name, outcome, status, versions })
    out.error(failure(line))
    out.failed(failure(line))
    return EXIT_FAILED
  }
  const result = target.decode(line.result)
  out.detail(`${target.name}: ${line.milliseconds.toFixed(3)} ms, from ${line.from}`)
  const { from, milliseconds } = line
  out.report({ procedure: target.name, from, milliseconds, result }, () => JSON.stringify(result, null, 2))
  return EXIT_DONE
}

/** Who calls from bytes to bytes knows numbers only. */
function withName(line: RpcCallLine, { name }: Target): RpcCallLine {
  if (line.kind !== 'failed') return line
  return { ...line, message: line.message.replace(/^procedure \d+ of program \d+ version \d+/, name) }
}

async function jsonArgument({ args, host }: Invocation): Promise<unknown> {
  const given = args.optional('JSON')
  if (given === undefined) return undefined
  let text = given
  if (given === '-') {
    text = ''
    for await (const chunk of host.stdin) text += String(chunk)
  }
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw new UsageError(
      `the arguments are no JSON: ${(cause as Error).message}`,
      `a string needs its own quotes: '"text"'; several arguments are an array: '[1, 2]'`,
    )
  }
}

const BYTES: WireType = {
  kind: 'opaque',
  isFixed: false,
  size: null,
  style: { hyper: 'bigint', string: 'utf8', opaque: 'bytes' },
}

/** Without an interface: numbers, and bytes as they are on the wire. */
function rawTarget({ args }: Invocation): Target {
  const [program, version] = programAndVersion(args.required('PROG[:VERS]'))
  if (version === undefined)
    throw new UsageError('which version?', 'PROG:VERS, or --interface F.x, which knows its versions')
  const procedure = numberOf(args.required('PROC'))
  if (procedure === null) throw new UsageError('PROC is a number', 'or give --interface F.x, which has names')
  return {
    program: programOf(program),
    version: versionOf(version),
    procedure,
    name: `procedure ${procedure} of program ${program} version ${version}`,
    encode: json =>
      Buffer.from(valueFromJson(BYTES, json ?? 'hex:', 'args') as Uint8Array).toString('base64'),
    decode: result => valueToJson(BYTES, Buffer.from(result, 'base64')),
  }
}

function programAndVersion(text: string): [program: string, version: string | undefined] {
  const [program = '', version, ...more] = text.split(':')
  if (more.length > 0) throw new UsageError(`"${text}" is no PROG:VERS`)
  return [program, version]
}

/** @throws ExitError 78 if the file has errors; UsageError if it has no such program or procedure */
function fileTarget({ args }: Invocation, file: string): Target {
  const found = readInterface([...args.strings('with'), file])
  const [programText, versionText] = programAndVersion(args.required('PROG[:VERS]'))
  const program = findProgram(found, programText)
  const version = findVersion(program, versionText)
  const procedure = findProcedure(version, args.required('PROC'))
  const codecs = new DynamicCodecs()
  return {
    program: program.number,
    version: version.number,
    procedure: procedure.number,
    name: procedure.name,
    encode: json => {
      const value = argumentFromJson(procedure.parameters, json)
      return toBase64(codecs.argument(procedure.parameters), value)
    },
    decode: result => {
      const codec: XdrCodec<unknown> = codecs.of(procedure.result)
      return valueToJson(procedure.result, fromBase64(codec, result))
    },
  }
}

function readInterface(files: readonly string[]): Interface {
  const { interface: found, problems } = analyze(files.map(readInterfaceText))
  if (found !== null) return found
  const errors = problems.filter(({ severity }) => severity === 'error')
  throw new ExitError(EXIT_BAD_CONFIG, 'ERR_BAD_CONFIG', errors.map(formatProblem).join('\n'), {
    hint: `"putnext rpcgen ${files.at(-1)}" checks it`,
  })
}

function findProgram({ programs }: Interface, text: string): Program {
  const number = numberOf(text)
  const found = programs.find(one => one.name === text || one.number === number)
  if (found !== undefined) return found
  const known = programs.map(one => `${one.name} (${one.number})`).join(', ')
  throw new UsageError(`the file has no program "${text}"`, known === '' ? 'it has none' : `it has ${known}`)
}

function findVersion({ name, versions }: Program, text: string | undefined): ResolvedVersion {
  const byNumber = versions.toSorted((a, b) => b.number - a.number)
  const number = text === undefined ? byNumber[0]?.number : numberOf(text)
  const found = byNumber.find(one => one.number === number || one.name === text)
  if (found !== undefined) return found
  const known = versions.map(one => one.number).join(', ')
  throw new UsageError(`${name} has no version ${text}`, `it has ${known}`)
}

function findProcedure({ procedures, name }: ResolvedVersion, text: string): ResolvedProcedure {
  const number = numberOf(text)
  const ends = procedures.filter(one => one.name.toLowerCase().endsWith(`_${text.toLowerCase()}`))
  const exact = procedures.find(one => one.name === text || one.number === number)
  const found = exact ?? (ends.length === 1 ? ends[0] : undefined)
  if (found !== undefined) return found
  const known = (ends.length > 1 ? ends : procedures).map(one => one.name).join(', ')
  throw new UsageError(`${name} has no procedure "${text}"`, `there are ${known}`)
}
