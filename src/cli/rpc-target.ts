/** Which stack makes remote calls, and whom they go to, by a command line. */
import { StackError } from '../base/errors.ts'
import { kernelHost } from '../kernel/index.ts'
import { ControlClient } from '../node/control-client.ts'
import { type RpcCallLine, type RpcCallsRequest, rpcCalls } from '../node/rpc-calls.ts'
import { resolveNode } from '../node/state-dir.ts'
import { programNumber } from '../rpc/rpcbind/well-known.ts'
import type { Invocation } from './command.ts'
import { UsageError } from './exit-codes.ts'
import { addressOf } from './host-port.ts'

const WAIT_MS = 10_000

export type Failed = Extract<RpcCallLine, { kind: 'failed' }>
export type Answer = Extract<RpcCallLine, { kind: 'answer' }>

/** Makes the calls of a request. */
export type CallMaker = (request: RpcCallsRequest, tell: (line: RpcCallLine) => void) => Promise<void>

/** @throws UsageError unless the command line names one stack */
export function callMaker({ args, host, signal }: Invocation): CallMaker {
  const name = args.string('node')
  if ((name !== undefined) === args.flag('kernel')) {
    throw new UsageError(
      name === undefined ? 'by which stack?' : 'one of --node and --kernel',
      "--node NODE for a node's own, --kernel for the kernel's",
    )
  }
  if (name !== undefined) {
    const client = new ControlClient(resolveNode(name, host.env))
    return helpful(`--node ${name}`, async (request, tell) => {
      for await (const line of client.rpc(request, signal)) tell(line)
    })
  }
  return helpful('--kernel', async (request, tell) => {
    const kernel = kernelHost({})
    try {
      await rpcCalls(kernel, request, signal, tell)
    } finally {
      await kernel.close()
    }
  })
}

/** Hints are for programs, or name a command that has to be told the stack, too. */
function helpful(stack: string, make: CallMaker): CallMaker {
  const adapted = (hint: string | undefined): string | undefined =>
    hint?.includes('atMostOnce')
      ? 'it may have run: ask the server for the state before calling again, or wait for longer: --wait'
      : hint?.replace(/"(putnext rpc info [^"]+)"/, `"$1 ${stack}"`)
  return async (request, tell) => {
    try {
      await make(request, line => tell(line.kind === 'failed' ? { ...line, hint: adapted(line.hint) } : line))
    } catch (error) {
      if (!(error instanceof StackError)) throw error
      const hint = adapted(error.hint)
      throw new StackError(
        error.code,
        error.message,
        hint === undefined ? { cause: error } : { cause: error, hint },
      )
    }
  }
}

/** What all requests of a command have in common: whom to call, and how. */
export type CallBase = Pick<RpcCallsRequest, 'address' | 'port' | 'transport' | 'timeoutMs' | 'uid'>

/** @throws StackError `ERR_NOT_FOUND` if nobody knows the host */
export async function callBase({ args }: Invocation): Promise<CallBase> {
  const port = args.number('port')
  const uid = args.number('uid')
  return {
    address: await addressOf(args.required('HOST')),
    transport: args.string('transport') === 'udp' ? 'udp' : 'tcp',
    timeoutMs: args.number('wait') ?? WAIT_MS,
    ...(port === undefined ? {} : { port }),
    ...(uid === undefined ? {} : { uid }),
  }
}

/** One call. */
export async function callOnce(
  make: CallMaker,
  request: Omit<RpcCallsRequest, 'count' | 'intervalMs'>,
): Promise<RpcCallLine> {
  const lines: RpcCallLine[] = []
  await make({ ...request, count: 1, intervalMs: 0 }, line => lines.push(line))
  if (lines[0] === undefined) throw new StackError('ERR_CONN_ABORTED', 'the call was given up')
  return lines[0]
}

/** A failed call as people and the JSON document are told. */
export function failure({ code, message, hint }: Failed): { code: string; message: string; hint?: string } {
  return { code, message, ...(hint === undefined ? {} : { hint }) }
}

/** `100003`, `0x20000001`. @returns null for anything else */
export function numberOf(text: string): number | null {
  if (!/^(?:0x[0-9a-f]{1,8}|[0-9]{1,10})$/i.test(text)) return null
  const number = Number(text)
  return number <= 0xffff_ffff ? number : null
}

/** @throws UsageError */
export function programOf(text: string): number {
  const number = numberOf(text) ?? programNumber(text)
  if (number !== null) return number
  throw new UsageError(`"${text}" is no program`, 'a number, or a well-known name as nfs or rpcbind')
}

/** @throws UsageError */
export function versionOf(text: string): number {
  const number = numberOf(text)
  if (number !== null) return number
  throw new UsageError(`"${text}" is no version`)
}
