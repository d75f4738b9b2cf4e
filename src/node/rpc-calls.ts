/**
 * Remote calls whose arguments and results are bytes: what the commands `putnext rpc …` have a node do on its own stack, or do
 * themselves on the kernel's.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { StackError } from '../base/errors.ts'
import { type OpaqueAuth, sysAuth } from '../rpc/auth.ts'
import { RpcClient } from '../rpc/client.ts'
import { RpcError, type RpcOutcome } from '../rpc/outcome.ts'
import { rpcbindLookup } from '../rpc/rpcbind/client.ts'
import { RPCBIND_PROGRAM } from '../rpc/rpcbind/well-known.ts'
import type { RpcProcedure } from '../rpc/stub-types.ts'
import type { SocketHost } from '../socket/host.ts'

export interface RpcCallsRequest {
  readonly address: string
  /** Without it rpcbind is asked. */
  readonly port?: number | undefined
  readonly transport: 'tcp' | 'udp'
  readonly program: number
  readonly version: number
  readonly procedure: number
  /** XDR, in base64. */
  readonly args: string
  /** How many calls, one after the other. */
  readonly count: number
  readonly intervalMs: number
  /** For each, and for finding the port. */
  readonly timeoutMs: number
  /** AUTH_SYS with this number; without it nobody (AUTH_NONE). */
  readonly uid?: number | undefined
}

/** What became of one call. */
export type RpcCallLine =
  | {
      readonly kind: 'answer'
      readonly sequence: number
      /** Address and port of the server. */
      readonly from: string
      readonly milliseconds: number
      /** XDR, in base64. */
      readonly result: string
    }
  | {
      readonly kind: 'failed'
      readonly sequence: number
      readonly milliseconds: number
      readonly code: string
      readonly message: string
      readonly hint?: string | undefined
      /** Whether it may have run; see `RpcError`. */
      readonly outcome: RpcOutcome
      /** Of an answer: `PROG_MISMATCH`, … */
      readonly status: string | null
      readonly versions: readonly [low: number, high: number] | null
    }

/**
 * Calls, and tells what became of each.
 * @throws StackError if the server cannot be found or reached; a call that failed is told, not thrown
 */
export async function rpcCalls(
  host: SocketHost,
  request: RpcCallsRequest,
  signal: AbortSignal,
  tell: (line: RpcCallLine) => void,
): Promise<void> {
  const { address, port, transport, program, version, timeoutMs } = request
  const credentials = credentialsOf(request)
  const place = port === undefined ? { lookup: rpcbindLookup(host, { address, timeoutMs }) } : { port }
  const client = await RpcClient.connect(host, {
    address,
    transport,
    program,
    version,
    timeoutMs,
    persistent: false,
    lazy: true,
    ...place,
    ...(credentials === null ? {} : { credentials }),
  })
  // Who gives up does not wait for a server that may never be reached.
  const giveUp = () => client.close()
  signal.addEventListener('abort', giveUp)
  try {
    await client.ready().catch(error => {
      if (!signal.aborted) throw withPlace(error, request)
    })
    const args = Buffer.from(request.args, 'base64')
    const procedure = rawProcedure(request)
    for (let sequence = 1; sequence <= request.count && !signal.aborted; sequence++) {
      const began = performance.now()
      const line = await one(client, procedure, args, sequence, signal)
      if (signal.aborted) return
      tell(line)
      const rest = request.intervalMs - (performance.now() - began)
      if (sequence < request.count && rest > 0) await delay(rest, undefined, { signal }).catch(() => {})
    }
  } finally {
    signal.removeEventListener('abort', giveUp)
    client.close()
  }
}

/** Who was refused wants to know by whom. */
function withPlace(error: unknown, { address, port, transport, program }: RpcCallsRequest): unknown {
  if (!(error instanceof StackError) || error.code !== 'ERR_CONN_REFUSED') return error
  const told = (message: string, hint: string) => new StackError(error.code, message, { cause: error, hint })
  if (port !== undefined) {
    const hint =
      program === RPCBIND_PROGRAM
        ? 'without an rpcbind a server is reached by its own port: --port'
        : `"putnext rpc info ${address}" shows what an rpcbind there knows`
    return told(`nobody listens at ${address} on ${transport} port ${port}`, hint)
  }
  // The lookup's errors are those of its own calls.
  if (!error.message.startsWith('connect:'))
    return told(`no rpcbind listens at ${address}`, "give the server's port: --port")
  return told(
    `nobody listens at ${address} where its rpcbind says that program ${program} is`,
    'the server is gone, and did not tell its rpcbind: start it',
  )
}

async function one(
  client: RpcClient,
  procedure: RpcProcedure<Uint8Array, Uint8Array>,
  args: Uint8Array,
  sequence: number,
  signal: AbortSignal,
): Promise<RpcCallLine> {
  const began = performance.now()
  try {
    const result = await client.call(procedure, args, { signal })
    return {
      kind: 'answer',
      sequence,
      from: client.peer,
      milliseconds: millisecondsSince(began),
      result: Buffer.from(result).toString('base64'),
    }
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    const { code, message, hint, outcome, status, versions } = error
    const milliseconds = millisecondsSince(began)
    return { kind: 'failed', sequence, milliseconds, code, message, hint, outcome, status, versions }
  }
}

function millisecondsSince(began: number): number {
  return Math.round((performance.now() - began) * 1_000) / 1_000
}

function credentialsOf({ uid }: RpcCallsRequest): OpaqueAuth | null {
  if (uid === undefined) return null
  return sysAuth({ stamp: 0, machineName: 'putnext', uid, gid: uid, gids: [] })
}

/** @throws StackError `ERR_BAD_ARGUMENT` if the arguments are no XDR */
function rawProcedure(request: RpcCallsRequest): RpcProcedure<Uint8Array, Uint8Array> {
  const { program, version, procedure, args } = request
  if (Buffer.from(args, 'base64').length % 4 !== 0)
    throw new StackError('ERR_BAD_ARGUMENT', 'the arguments are no XDR, which comes in words of four bytes')
  return {
    name: `procedure ${procedure} of program ${program} version ${version}`,
    program,
    version,
    procedure,
    // Sent again only where that is what the transport is: nobody told what it does.
    isIdempotent: procedure === 0,
    argument: {
      encode: (xdr, bytes) => xdr.putOpaqueFixed('args', bytes, bytes.length),
      decode: xdr => xdr.opaqueFixed('args', xdr.left),
    },
    result: {
      encode: (xdr, bytes) => xdr.putOpaqueFixed('result', bytes, bytes.length),
      decode: xdr => xdr.opaqueFixed('result', xdr.left),
    },
  }
}
