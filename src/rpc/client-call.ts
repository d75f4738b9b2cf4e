/** One call of a client: what it keeps until it ends, and how it is written. */
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { adjmsg, dropEmptyHead, linkb, messageBytes } from '../streams/mblk/message.ts'
import { CallSlot } from './client-core.ts'
import type { ClientSession } from './client-session.ts'
import { writeCall } from './message.ts'
import type { ProcedureMetrics } from './procedure-metrics.ts'
import type { RpcProcedure } from './stub-types.ts'
import { type XdrEncoder, xdrVoid } from './xdr/index.ts'

/** What a client counts for each procedure. */
export const CLIENT_PROCEDURE_COUNTERS = [
  'calls',
  'transmissions',
  'ok',
  /** The server answered an error, or results that cannot be decoded. */
  'answered',
  'refused',
  'unknown',
] as const

export type ClientProcedureMetrics = ProcedureMetrics<(typeof CLIENT_PROCEDURE_COUNTERS)[number]>

/** What every program has at number 0 (RFC 5531 §12.1 as a convention). */
export function nullProcedure(program: number, version: number): RpcProcedure<void, void> {
  const name = `${program}.${version}.NULL`
  return { name, program, version, procedure: 0, isIdempotent: true, argument: xdrVoid, result: xdrVoid }
}

const IDLE = nullProcedure(0, 0) as unknown as RpcProcedure<unknown, unknown>
/** The epoch of a call that has to get a header before it is sent. */
export const NO_EPOCH = -1

export class Call extends CallSlot {
  procedure = IDLE
  metrics: ClientProcedureMetrics | null = null
  /** The encoded call: of one that may be sent again until it ends, else until it was sent. */
  message: Mblk | null = null
  headerBytes = 0
  /** Under which credentials the header was written: of the client's session. */
  epoch = NO_EPOCH
  /** It was encoded under a session, which has the server keep its reply. */
  inSession = false
  /** What its header says is the client's oldest call, if it was. */
  oldestSaid = 0
  /** It asks for a session. */
  asksForSession = false
  /** How often the server did not know the session that it went under. */
  rejections = 0
  resolve: (value: unknown) => void = ignore
  reject: (error: unknown) => void = ignore
  /** What cancels it: see `ClientSignals`. */
  signal: AbortSignal | null = null

  /** Lets go of everything, before the slot is used again. */
  clear(): void {
    const { message } = this
    this.message = null
    this.signal = null
    this.procedure = IDLE
    this.metrics = null
    this.resolve = ignore
    this.reject = ignore
    this.epoch = NO_EPOCH
    this.inSession = false
    this.asksForSession = false
    this.rejections = 0
    if (message !== null) freemsg(message)
  }
}

function ignore(): void {}

/**
 * Writes a call: its header for the session as it is now, and its arguments.
 * @throws XdrError if the arguments are not of the type, or no block is left; what their codec throws
 */
export function encodeCall(
  xdr: XdrEncoder,
  call: Call,
  session: ClientSession,
  oldestXid: number,
  leftUs: number,
  argument: unknown,
): void {
  xdr.start('argument')
  writeHeader(xdr, call, session, oldestXid, leftUs)
  call.headerBytes = xdr.size
  xdr.put(argument, call.procedure.argument)
}

/**
 * Gives a call the header of the session as it is now, in place of the one it has.
 * @throws XdrError if no block is left: the call is as it was
 */
export function renewHeader(
  xdr: XdrEncoder,
  call: Call,
  session: ClientSession,
  oldestXid: number,
  leftUs: number,
): void {
  xdr.start()
  writeHeader(xdr, call, session, oldestXid, leftUs)
  const headerBytes = xdr.size
  const message = xdr.finish()
  const old = call.message!
  adjmsg(old, call.headerBytes)
  const rest = dropEmptyHead(old)
  if (messageBytes(rest) === 0) freemsg(rest)
  else linkb(message, rest)
  call.message = message
  call.headerBytes = headerBytes
}

function writeHeader(
  xdr: XdrEncoder,
  call: Call,
  session: ClientSession,
  oldestXid: number,
  leftUs: number,
): void {
  const { program, version, procedure } = call.procedure
  const verifier = session.verifier(oldestXid, leftUs)
  writeCall(xdr, call.xid, program, version, procedure, session.credentials, verifier)
  call.epoch = session.isReady ? session.epoch : NO_EPOCH
  call.inSession = session.isBound
  call.oldestSaid = oldestXid
}

/** Writes the call that asks for a session. @throws XdrError */
export function encodeSessionRequest(xdr: XdrEncoder, call: Call, session: ClientSession): void {
  const { program, version, procedure } = call.procedure
  xdr.start()
  writeCall(xdr, call.xid, program, version, procedure, session.ask())
  call.message = xdr.finish()
}
