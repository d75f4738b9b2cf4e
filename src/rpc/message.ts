/**
 * The headers of calls and replies (RFC 5531 §9), in front of arguments and results in the same message: read with a
 * decoder that goes on behind them, written with an encoder that does.
 *
 * What a peer sent never throws here: it is a fault with a name, for a counter, and where the RFC has an answer to it
 * the fault says which.
 */
import { AUTH_MAX_BYTES, AUTH_NONE, NO_AUTH, type OpaqueAuth } from './auth.ts'
import {
  AUTH_ERROR,
  AUTH_OK,
  CALL,
  isAcceptStatus,
  isAuthStatus,
  MSG_ACCEPTED,
  MSG_DENIED,
  PROG_MISMATCH,
  REPLY,
  RPC_MISMATCH,
  RPC_VERSION,
  SUCCESS,
} from './status.ts'
import type { XdrDecoder } from './xdr/decoder.ts'
import type { XdrEncoder } from './xdr/encoder.ts'
import { XdrError } from './xdr/error.ts'

/** Of a call without credentials, and of a successful reply without a verifier. */
export const CALL_HEADER_BYTES = 40
export const REPLY_HEADER_BYTES = 24

/** What can be wrong with a call; names of counters. */
export const CALL_FAULTS = [
  /** It ends within its header: there is no answer. */
  'call-truncated',
  /** A reply, or neither: there is no answer. */
  'call-not-a-call',
  /** Another version of the protocol: the answer is MSG_DENIED, RPC_MISMATCH. */
  'call-rpc-version',
  /** Credentials of more than 400 bytes, or cut off, or badly padded: MSG_DENIED, AUTH_BADCRED. */
  'call-credentials',
  /** Such a verifier: MSG_DENIED, AUTH_BADVERF. */
  'call-verifier',
] as const

export type CallFault = (typeof CALL_FAULTS)[number]

/** What can be wrong with a reply; names of counters. The call, if its xid is known, fails with it. */
export const REPLY_FAULTS = [
  'reply-truncated',
  /** A call, or neither. */
  'reply-not-a-reply',
  /** A verifier of more than 400 bytes, or cut off, or badly padded. */
  'reply-verifier',
  /** A status that RFC 5531 does not have. */
  'reply-status',
] as const

export type ReplyFault = (typeof REPLY_FAULTS)[number]

/** The header of a call: one object, filled again for each. */
export class CallHeader {
  /** Chosen by the caller: its 32 bits as an int32, since larger numbers would be allocated. For people `xid >>> 0`. */
  xid = 0
  /** Whether the message has one. */
  hasXid = false
  program = 0
  version = 0
  procedure = 0
  credentials: OpaqueAuth = NO_AUTH
  verifier: OpaqueAuth = NO_AUTH
}

/** The header of a reply: one object, filled again for each. */
export class ReplyHeader {
  /** Of the call that it answers, an int32. */
  xid = 0
  /** Whether the message has one. */
  hasXid = false
  /** `MSG_ACCEPTED` or `MSG_DENIED`. */
  reply = MSG_ACCEPTED
  /** Of a reply that is accepted. */
  verifier: OpaqueAuth = NO_AUTH
  /** The `accept_stat` or the `reject_stat`, whichever {@link reply} says. */
  status = SUCCESS
  /** With AUTH_ERROR: why. */
  authStatus = AUTH_OK
  /** With PROG_MISMATCH and RPC_MISMATCH: the versions that are there. */
  low = 0
  high = 0

  /** Whether results follow. */
  get isSuccess(): boolean {
    return this.reply === MSG_ACCEPTED && this.status === SUCCESS
  }
}

/**
 * Reads the header of a call; arguments come next.
 * @param xdr - started with the message
 * @param call - filled as far as the message goes
 * @returns null, or what is wrong
 */
export function readCall(xdr: XdrDecoder, call: CallHeader): CallFault | null {
  call.hasXid = xdr.left >= 4
  call.xid = call.hasXid ? xdr.int('xid') : 0
  if (xdr.left < 4) return 'call-truncated'
  if (xdr.int('mtype') !== CALL) return 'call-not-a-call'
  if (xdr.left < 4) return 'call-truncated'
  // Another version may have any layout behind this word.
  if (xdr.int('rpcvers') !== RPC_VERSION) return 'call-rpc-version'
  if (xdr.left < 12) return 'call-truncated'
  call.program = xdr.uint('prog')
  call.version = xdr.uint('vers')
  call.procedure = xdr.uint('proc')
  const credentials = readAuth(xdr)
  if (credentials === null) return 'call-credentials'
  call.credentials = credentials
  const verifier = readAuth(xdr)
  if (verifier === null) return 'call-verifier'
  call.verifier = verifier
  return null
}

/**
 * Reads the header of a reply; results come next if it {@link ReplyHeader.isSuccess}.
 * @param xdr - started with the message
 * @param reply - filled as far as the message goes
 * @returns null, or what is wrong
 */
export function readReply(xdr: XdrDecoder, reply: ReplyHeader): ReplyFault | null {
  reply.hasXid = xdr.left >= 4
  reply.xid = reply.hasXid ? xdr.int('xid') : 0
  if (xdr.left < 4) return 'reply-truncated'
  if (xdr.int('mtype') !== REPLY) return 'reply-not-a-reply'
  if (xdr.left < 4) return 'reply-truncated'
  reply.reply = xdr.int('stat')
  reply.verifier = NO_AUTH
  if (reply.reply === MSG_ACCEPTED) {
    const verifier = readAuth(xdr)
    if (verifier === null) return 'reply-verifier'
    reply.verifier = verifier
  } else if (reply.reply !== MSG_DENIED) {
    return 'reply-status'
  }
  if (xdr.left < 4) return 'reply-truncated'
  reply.status = xdr.int('stat')
  return reply.reply === MSG_ACCEPTED ? readAccepted(xdr, reply) : readDenied(xdr, reply)
}

function readAccepted(xdr: XdrDecoder, reply: ReplyHeader): ReplyFault | null {
  if (!isAcceptStatus(reply.status)) return 'reply-status'
  return reply.status === PROG_MISMATCH ? readVersions(xdr, reply) : null
}

function readDenied(xdr: XdrDecoder, reply: ReplyHeader): ReplyFault | null {
  if (reply.status === RPC_MISMATCH) return readVersions(xdr, reply)
  if (reply.status !== AUTH_ERROR) return 'reply-status'
  if (xdr.left < 4) return 'reply-truncated'
  reply.authStatus = xdr.int('auth_stat')
  return isAuthStatus(reply.authStatus) ? null : 'reply-status'
}

function readVersions(xdr: XdrDecoder, reply: ReplyHeader): ReplyFault | null {
  if (xdr.left < 8) return 'reply-truncated'
  reply.low = xdr.uint('low')
  reply.high = xdr.uint('high')
  return null
}

/** @returns null if it is too long, cut off or badly padded */
function readAuth(xdr: XdrDecoder): OpaqueAuth | null {
  if (xdr.left < 8) return null
  const flavor = xdr.uint('flavor')
  const length = xdr.uint('length')
  if (length === 0) return flavor === AUTH_NONE ? NO_AUTH : { flavor, body: NO_AUTH.body }
  if (length > AUTH_MAX_BYTES) return null
  try {
    return { flavor, body: xdr.opaqueFixed('body', length) }
  } catch (error) {
    if (error instanceof XdrError) return null
    throw error
  }
}

// ---- writing: each begins the message, arguments or results come next

/** @param xid - an int32; @throws XdrError `xdr-no-buffers`, or `xdr-length` for credentials of more than 400 bytes */
export function writeCall(
  xdr: XdrEncoder,
  xid: number,
  program: number,
  version: number,
  procedure: number,
  credentials: OpaqueAuth = NO_AUTH,
  verifier: OpaqueAuth = NO_AUTH,
): void {
  const at = xdr.claim(24)
  const { view } = xdr
  view.setInt32(at, xid)
  view.setUint32(at + 4, CALL)
  view.setUint32(at + 8, RPC_VERSION)
  view.setUint32(at + 12, program)
  view.setUint32(at + 16, version)
  view.setUint32(at + 20, procedure)
  writeAuth(xdr, credentials)
  writeAuth(xdr, verifier)
}

/** A reply that is accepted: with SUCCESS the results come next. @param status - any `accept_stat` but PROG_MISMATCH */
export function writeAccepted(
  xdr: XdrEncoder,
  xid: number,
  status: number,
  verifier: OpaqueAuth = NO_AUTH,
): void {
  startReply(xdr, xid, MSG_ACCEPTED)
  writeAuth(xdr, verifier)
  word(xdr, status)
}

/** The program is there, in versions `low` to `high` and not as asked for. */
export function writeProgramMismatch(
  xdr: XdrEncoder,
  xid: number,
  low: number,
  high: number,
  verifier: OpaqueAuth = NO_AUTH,
): void {
  writeAccepted(xdr, xid, PROG_MISMATCH, verifier)
  word(xdr, low)
  word(xdr, high)
}

/** The caller speaks another version of the protocol than 2. */
export function writeRpcMismatch(xdr: XdrEncoder, xid: number): void {
  startReply(xdr, xid, MSG_DENIED)
  word(xdr, RPC_MISMATCH)
  word(xdr, RPC_VERSION)
  word(xdr, RPC_VERSION)
}

/** @param status - any `auth_stat` but AUTH_OK */
export function writeAuthError(xdr: XdrEncoder, xid: number, status: number): void {
  startReply(xdr, xid, MSG_DENIED)
  word(xdr, AUTH_ERROR)
  word(xdr, status)
}

function startReply(xdr: XdrEncoder, xid: number, reply: number): void {
  const at = xdr.claim(12)
  const { view } = xdr
  view.setInt32(at, xid)
  view.setUint32(at + 4, REPLY)
  view.setUint32(at + 8, reply)
}

function writeAuth(xdr: XdrEncoder, auth: OpaqueAuth): void {
  if (auth.body.length === 0) {
    const at = xdr.claim(8)
    xdr.view.setUint32(at, auth.flavor)
    xdr.view.setUint32(at + 4, 0)
    return
  }
  word(xdr, auth.flavor)
  xdr.putOpaque('auth', auth.body, AUTH_MAX_BYTES)
}

function word(xdr: XdrEncoder, value: number): void {
  xdr.view.setUint32(xdr.claim(4), value)
}
