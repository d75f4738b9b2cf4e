/** What a server can be told, what it counts, and the bounds that it has unless told otherwise. */
import { StackError } from '../base/errors.ts'
import { CALL_FAULTS, type CallFault } from './message.ts'
import type { LatencySummary } from './procedure-metrics.ts'
import type { RpcmodOptions } from './rpcmod.ts'
import type { Authenticate } from './server-auth.ts'
import type { ServiceOptions } from './service-queue.ts'
import type { RpcTrace } from './trace.ts'
import type { XdrDecoderOptions } from './xdr/decoder.ts'

/** What of at-most-once is bounded. */
export interface AtMostOnceOptions {
  /** Sessions at the same time, 1,024 by default; 0 for a server that gives none. */
  readonly maxSessions?: number
  /** How many calls of a session may be unanswered, 256 by default: told to the client. */
  readonly windowCalls?: number
  /** Milliseconds without a call after which a session goes, 5 minutes by default. */
  readonly sessionIdleMs?: number
  /** Bytes of memory that the kept replies of one session may hold, 1 MiB by default. */
  readonly maxSessionBytes?: number
  /** The same of all kept replies, 8 MiB by default, at most a quarter of the arena: half of it for whoever comes first, of the other half each session has its part. */
  readonly maxKeptBytes?: number
  /** Calls by datagrams without a session that are remembered, 4,096 by default; replies of theirs up to 256 bytes are kept beyond all limits of bytes. */
  readonly maxCalls?: number
  /** Milliseconds for which their replies are, 60,000 by default: longer than any client repeats itself. */
  readonly retentionMs?: number
}

/** What a server may be told; each has a default. */
export interface RpcServerOptions {
  /** How calls are served, where {@link RpcServer.add} is not told otherwise. */
  readonly service?: ServiceOptions
  /** What is remembered, so that calls that come twice run once. */
  readonly atMostOnce?: AtMostOnceOptions
  /** Decides about credentials, beside and behind what the server knows by itself. */
  readonly authenticate?: Authenticate
  /** Connections at the same time, 10,000 by default; for one more the oldest goes that no call came of, or it is reset. */
  readonly maxConnections?: number
  /** Replies that wait for a connection to take them, 1,024 and 4 MiB by default: beyond that its calls are not read. */
  readonly maxWaitingReplies?: number
  readonly maxWaitingReplyBytes?: number
  /** Milliseconds after which a connection is ended that takes none of the replies that wait for it, 30,000 by default. */
  readonly stallMs?: number
  /** Milliseconds that a call may wait to be run before it is shed, whatever its caller said; without it half of what its caller said (in a session), else 5,000. */
  readonly maxWaitMs?: number
  /** Calls of one connection that are taken before others have their turn, 128 by default. */
  readonly callsPerTurn?: number
  /** Of calls that are answered at once, the time of every so-manieth is taken, 16 by default: to look at the clock costs more than a null call. */
  readonly measureEvery?: number
  /** Limits of what is decoded. */
  readonly decoder?: XdrDecoderOptions
  /** Limits of records on TCP. */
  readonly records?: RpcmodOptions
  /** Told of each call that ends. */
  readonly trace?: RpcTrace
  /** Told what handlers threw that is no status, with the name of the procedure; peers are not told. Without it the first of each procedure is a warning of the process. */
  readonly onError?: (error: unknown, where: string) => void
  /** 32 bits that nobody can guess, as an int32: for session handles. The host's generator by default; a simulation brings its own. */
  readonly secretWord?: () => number
}

export interface ServerSettings {
  readonly maxConnections: number
  readonly maxWaitingReplies: number
  readonly maxWaitingReplyBytes: number
  readonly stallMs: number
  /** Infinity: none of its own. */
  readonly maxWaitMs: number
  readonly callsPerTurn: number
  readonly measureEvery: number
  readonly maxSessions: number
  readonly windowCalls: number
  readonly sessionIdleMs: number
  readonly maxSessionBytes: number
  readonly maxKeptBytes: number
  readonly maxCalls: number
  readonly retentionMs: number
}

const DEFAULTS: ServerSettings = {
  maxConnections: 10_000,
  maxWaitingReplies: 1_024,
  maxWaitingReplyBytes: 4 * 1024 * 1024,
  stallMs: 30_000,
  maxWaitMs: Number.POSITIVE_INFINITY,
  callsPerTurn: 128,
  measureEvery: 16,
  maxSessions: 1_024,
  windowCalls: 256,
  sessionIdleMs: 300_000,
  maxSessionBytes: 1024 * 1024,
  maxKeptBytes: 8 * 1024 * 1024,
  maxCalls: 4_096,
  retentionMs: 60_000,
}

const MAY_BE_ZERO = new Set(['maxSessions', 'maxConnections'])

/** @throws StackError `ERR_BAD_CONFIG` */
export function serverSettings(options: RpcServerOptions): ServerSettings {
  const given: Record<string, unknown> = { ...options, ...options.atMostOnce }
  const settings: Record<string, number> = { ...DEFAULTS }
  for (const name of Object.keys(DEFAULTS)) {
    const value = given[name]
    if (value === undefined) continue
    const least = MAY_BE_ZERO.has(name) ? 0 : 1
    if (!(typeof value === 'number' && value >= least)) {
      throw new StackError('ERR_BAD_CONFIG', `${JSON.stringify(value)} is no ${name} of a server`)
    }
    settings[name] = value
  }
  return settings as unknown as ServerSettings
}

/** What a server counts, beside what it counts for each procedure. */
export const SERVER_COUNTERS = [
  /** With a header that can be read. */
  'calls',
  'replies',
  ...CALL_FAULTS,
  /** Answered MSG_DENIED. */
  'denied-rpc-version',
  'denied-auth',
  /** Answered with that status. */
  'prog-unavail',
  'prog-mismatch',
  'proc-unavail',
  'garbage-args',
  'system-err',
  /** SYSTEM_ERR without being run: the queue was full; the deadline passed; no more replies may be kept; the server stops. */
  'shed-queue-full',
  'shed-deadline',
  'shed-replies-full',
  'shed-stopping',
  /** At-most-once: calls that came again. Dropped, since the first is in the works; answered with the kept reply; dropped, since that was too large to keep. */
  'duplicate-in-progress',
  'duplicate-answered',
  'duplicate-unkept',
  /** Refused again, as the first was. */
  'duplicate-shed',
  /** Dropped, never run: the client has the answer or gave up; the xid is that of another call; beyond the window, or nothing can be remembered of it. */
  'duplicate-stale',
  'duplicate-changed',
  'duplicate-beyond',
  /** Calls in the works that their client gave up. */
  'given-up',
  /** Calls that were not begun, and answers that nobody takes any more. */
  'connection-gone',
  'reply-too-long',
  /** No block was left for a reply. */
  'no-buffers',
  'connections',
  'connections-refused',
  /** Ended for a new one, since no call came of it. */
  'connections-displaced',
  /** Ended since it took no reply for the time that is set. */
  'connections-stalled',
  /** Ended since memory was short, and it held the most of those that did not take their replies. */
  'connections-late',
  /** Ended since what came was no record, or more than one may hold (RFC 5531 §11). */
  'record-faults',
  /** How often a connection was not read on, since its replies waited. */
  'reading-held',
  /** A datagram did not arrive. */
  'trouble',
] as const

export type ServerCounter = (typeof SERVER_COUNTERS)[number]
export type { CallFault }

/** What a server counts for each procedure. */
export const PROCEDURE_COUNTERS = [
  'calls',
  /** With SUCCESS. */
  'answered',
  /** Arguments that are not of the type. */
  'garbage-args',
  /** The handler answered with a status. */
  'refused',
  /** The handler threw, or its result was not of the type. */
  'failed',
  'shed',
  'duplicates',
  /** Nobody waited for the answer any more. */
  'cancelled',
] as const

export type ProcedureCounter = (typeof PROCEDURE_COUNTERS)[number]

/** One procedure of {@link RpcServer.describe}. */
export interface ProcedureSummary {
  readonly name: string
  readonly counters: Readonly<Record<ProcedureCounter, number>>
  readonly latency: LatencySummary
}
