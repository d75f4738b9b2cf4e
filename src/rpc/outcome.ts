/**
 * How a call failed. The one thing that a caller has to know, and that a local call never makes it ask: may it have run?
 */
import { type ErrorCode, StackError, type StackErrorOptions } from '../base/errors.ts'
import type { ReplyHeader } from './message.ts'
import { RECORD_FAULTS, type RecordFault } from './record-mark.ts'
import {
  AUTH_BADCRED,
  AUTH_REJECTEDCRED,
  acceptName,
  authName,
  GARBAGE_ARGS,
  MSG_ACCEPTED,
  PROC_UNAVAIL,
  PROG_MISMATCH,
  PROG_UNAVAIL,
  RPC_MISMATCH,
} from './status.ts'
import { XdrError } from './xdr/index.ts'

/**
 * - `refused`: it did not run. Calling again is harmless.
 * - `unknown`: nobody can tell. The deadline passed, the connection was lost, or the call was cancelled, after it was sent.
 * - `answered`: the server answered; {@link RpcError.status} says what.
 */
export type RpcOutcome = 'refused' | 'unknown' | 'answered'

export interface RpcErrorOptions extends StackErrorOptions {
  readonly status?: string | null
  readonly fault?: string | null
  readonly versions?: readonly [low: number, high: number] | null
}

/**
 * Why a call failed. Look at {@link outcome} first, then at `hint`, which says what to do; `code` is for programs, `cause` is what lay behind.
 */
export class RpcError extends StackError {
  override readonly name = 'RpcError'
  /** What is known of the call: {@link mayHaveRun} puts it in one word. */
  readonly outcome: RpcOutcome
  /** With `answered`: `PROG_UNAVAIL`, `SYSTEM_ERR`, `AUTH_TOOWEAK`, … (RFC 5531 §9); `SUCCESS` if the results could not be decoded. Else null. */
  readonly status: string | null
  /** What was wrong with a reply (`reply-truncated`, `record-long`, `xdr-length`, …), as the counters have it; null if nothing was. */
  readonly fault: string | null
  /** With `PROG_MISMATCH` and `RPC_MISMATCH`: the lowest and the highest version that are there; else null. */
  readonly versions: readonly [low: number, high: number] | null

  constructor(outcome: RpcOutcome, code: ErrorCode, message: string, options: RpcErrorOptions = {}) {
    super(code, message, options)
    this.outcome = outcome
    this.status = options.status ?? null
    this.fault = options.fault ?? null
    this.versions = options.versions ?? null
  }

  /** Whether the procedure may have had its effect. A server that answers SYSTEM_ERR may have failed halfway. */
  get mayHaveRun(): boolean {
    if (this.outcome !== 'answered') return this.outcome === 'unknown'
    return this.status === 'SYSTEM_ERR' || this.status === 'SUCCESS'
  }
}

const AGAIN = 'it did not run: call again when you like'
const NOBODY =
  'it did not run, for nobody listens there: check address and port, or start the server, and call again'
const MEND = 'nothing was sent: mend what the message names'
const MISFIT = 'nothing was sent: the argument has to be as the interface file says'
const ASK =
  'it may have run: ask the server for the state before calling again, mark the procedure @idempotent, or connect with atMostOnce and a longer timeoutMs'

/** What it means that a server's bytes are no records that can be taken, and what can be done. */
const RECORD_MEANING: Readonly<Record<RecordFault, readonly [why: string, hint: string]>> = {
  'record-long': [
    'what came is longer than a record may be',
    'it may have run: if its result is that long, raise maxMessageBytes; else check that an RPC server is at this port',
  ],
  'record-fragments': [
    'what came are more fragments than a record may have',
    'it may have run: have the server send longer fragments',
  ],
  'record-empty': ['what came are no records', 'check that an RPC server is at this port'],
  'record-no-buffers': [
    'no memory was left for the answer',
    'it may have run: free what was received, or give the stack a larger arena',
  ],
  'record-memory': [
    'answers that are not complete held as much memory as they may',
    'it may have run: ask for less at a time, or give the stack a larger arena',
  ],
}

/**
 * @param procedure - its name, for the message
 * @param cause - if it has a hint, that is the error's, too
 */
export function refused(code: ErrorCode, procedure: string, why: string, cause?: unknown): RpcError {
  const hint = (cause instanceof StackError ? cause.hint : undefined) ?? hintOf(code, cause)
  return make('refused', code, `${procedure}: ${why}`, { hint, ...causeOf(cause) })
}

export function unknownOutcome(
  code: ErrorCode,
  procedure: string,
  why: string,
  cause?: unknown,
  fault: string | null = null,
): RpcError {
  const record = recordFault(cause)
  if (record === null)
    return make('unknown', code, `${procedure}: ${why}`, { hint: ASK, fault, ...causeOf(cause) })
  const [meaning, hint] = RECORD_MEANING[record]
  return make('unknown', code, `${procedure}: ${why}: ${meaning}`, { hint, fault: record, ...causeOf(cause) })
}

function hintOf(code: ErrorCode, cause: unknown): string {
  if (cause instanceof XdrError && cause.code === 'ERR_BAD_ARGUMENT') return MISFIT
  if (code === 'ERR_BAD_ARGUMENT' || code === 'ERR_BAD_ADDRESS') return MEND
  return cause instanceof StackError && cause.code === 'ERR_CONN_REFUSED' ? NOBODY : AGAIN
}

/** Of a connection that rpcmod ended: its error says which fault it was, behind its own name. */
function recordFault(cause: unknown): RecordFault | null {
  if (!(cause instanceof StackError) || cause.code !== 'ERR_PROTOCOL') return null
  return RECORD_FAULTS.find(fault => cause.message === `rpcmod: ${fault}`) ?? null
}

/** The error that a reply's status stands for. @param reply - not a success */
export function answerError(procedure: string, reply: ReplyHeader): RpcError {
  const { status, low, high } = reply
  if (reply.reply !== MSG_ACCEPTED) return denied(procedure, reply)
  const name = acceptName(status)
  const versions = status === PROG_MISMATCH ? ([low, high] as const) : null
  const [code, hint] = MEANING[status] ?? OTHER
  const detail = versions === null ? name : `${name}, ${versionsText(low, high)}`
  return make('answered', code, `${procedure}: the server answered ${detail}`, {
    status: name,
    versions,
    hint,
  })
}

function versionsText(low: number, high: number): string {
  return low === high ? `version ${low} is there` : `versions ${low} to ${high} are there`
}

const MEANING: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  [PROG_UNAVAIL]: [
    'ERR_NOT_FOUND',
    'this server does not have the program: check the port, or ask its rpcbind',
  ],
  [PROG_MISMATCH]: ['ERR_NOT_SUPPORTED', 'use a version that is there'],
  [PROC_UNAVAIL]: [
    'ERR_NOT_SUPPORTED',
    'the server has the program without this procedure: compare the interface files',
  ],
  [GARBAGE_ARGS]: [
    'ERR_BAD_ARGUMENT',
    'the server could not decode the arguments: compare the interface files',
  ],
}

/** SYSTEM_ERR: RFC 5531 §9 has it for memory and the like; servers that shed load answer it too. */
const OTHER = [
  'ERR_HOST',
  'the server failed (ours tells its onError why), or has too much to do: look there, or call later, and less often',
] as const

function denied(procedure: string, reply: ReplyHeader): RpcError {
  const { status, authStatus, low, high } = reply
  if (status === RPC_MISMATCH) {
    return make(
      'answered',
      'ERR_NOT_SUPPORTED',
      `${procedure}: the server speaks versions ${low} to ${high} of RPC`,
      {
        status: 'RPC_MISMATCH',
        versions: [low, high],
        hint: 'nothing but version 2 is in use: check that this is an RPC server',
      },
    )
  }
  const name = authName(authStatus)
  const isCredentials = authStatus === AUTH_BADCRED || authStatus === AUTH_REJECTEDCRED
  return make('answered', 'ERR_ACCESS', `${procedure}: the server denied the call: ${name}`, {
    status: name,
    hint: isCredentials ? 'check the credentials' : 'the server wants other credentials',
  })
}

/** The server did it, and what it sent is not a result. @param cause - what the decoder said */
export function undecodable(procedure: string, cause: unknown): RpcError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return make('answered', 'ERR_PROTOCOL', `${procedure}: the results cannot be decoded: ${why}`, {
    status: 'SUCCESS',
    fault: cause instanceof XdrError ? cause.fault : null,
    hint: 'the call succeeded, and its results are lost: compare the interface files',
    cause,
  })
}

function causeOf(cause: unknown): StackErrorOptions {
  return cause === undefined || cause === null ? {} : { cause }
}

/** Node with frozen intrinsics lets nobody change it. */
const mayLimitStack = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true

/** Without a stack: it would be the run queue's, and is most of what an error costs when a server sheds load. */
function make(outcome: RpcOutcome, code: ErrorCode, message: string, options: RpcErrorOptions): RpcError {
  if (!mayLimitStack) return new RpcError(outcome, code, message, options)
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return new RpcError(outcome, code, message, options)
  } finally {
    Error.stackTraceLimit = limit
  }
}
