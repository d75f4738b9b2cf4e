/**
 * What the two ends of a session say to each other, in the credentials and verifiers that RFC 5531 has for whatever a flavor needs:
 *
 * - The client asks for a session by a call of the NULL procedure with AUTH_SYS credentials, whose machine name is {@link sessionRequest}'s.
 *   For any other server that is a call like any.
 * - Our server answers with a verifier AUTH_SHORT, its body a {@link SessionHandle}. The client sends that as credentials AUTH_SHORT from then on.
 * - A call of a session has a verifier of the flavor {@link AUTH_SESSION}: a {@link SessionCall}.
 * - A server that does not know the handle (any more) answers MSG_DENIED, AUTH_REJECTEDCRED.
 */
import { type OpaqueAuth, type SysCredentials, sysAuth } from './auth.ts'
import { utf8Bytes } from './xdr/text.ts'

/** Flavor of a session's call verifiers. The registry of flavors has no range for private use, and gives out numbers in sequence from 400000: this one is far from that. */
export const AUTH_SESSION = 0x7075_7478

// ---- asking for one

/** In front of the machine name; behind it 32 hexadecimal digits and a colon, then the name that the client would have given. */
const REQUEST_PREFIX = 'putnext-session:'
const CLIENT_ID_DIGITS = 32
const NAME_AT = REQUEST_PREFIX.length + CLIENT_ID_DIGITS + 1
const MACHINE_NAME_MAX = 255
/** Of a client that would have sent AUTH_NONE: no system has it as a user. */
const NOBODY = 0xffff_ffff

export interface SessionRequest {
  /** 32 hexadecimal digits: which client it is, as long as it lives. */
  readonly clientId: string
  /** A new one for each session that a client asks for: the same means that the request came twice. */
  readonly boot: number
  /** Whom the session is to speak for; null if for nobody (AUTH_NONE). */
  readonly credentials: SysCredentials | null
}

/** The credentials of a call that asks for a session. A machine name that does not fit behind the prefix is cut. */
export function sessionRequest(request: SessionRequest): OpaqueAuth {
  const { clientId, boot, credentials } = request
  const { machineName, uid, gid, gids } = credentials ?? {
    machineName: '',
    uid: NOBODY,
    gid: NOBODY,
    gids: [],
  }
  const name = cutUtf8(machineName, MACHINE_NAME_MAX - NAME_AT)
  return sysAuth({ stamp: boot >>> 0, machineName: `${REQUEST_PREFIX}${clientId}:${name}`, uid, gid, gids })
}

/** @returns null if AUTH_SYS credentials ask for no session */
export function readSessionRequest(sys: SysCredentials): SessionRequest | null {
  const { machineName, stamp, uid, gid, gids } = sys
  if (!machineName.startsWith(REQUEST_PREFIX) || machineName[NAME_AT - 1] !== ':') return null
  const clientId = machineName.slice(REQUEST_PREFIX.length, NAME_AT - 1)
  if (!/^[0-9a-f]{32}$/.test(clientId)) return null
  const isNobody = uid === NOBODY && gid === NOBODY && gids.length === 0
  const credentials = isNobody ? null : { stamp, machineName: machineName.slice(NAME_AT), uid, gid, gids }
  return { clientId, boot: stamp, credentials }
}

function cutUtf8(text: string, max: number): string {
  let kept = text
  // Less than 0: it was cut within a surrogate pair.
  while (utf8Bytes(kept) > max || (utf8Bytes(kept) < 0 && utf8Bytes(text) >= 0)) kept = kept.slice(0, -1)
  return kept
}

// ---- the handle

/** `pns1`: a short hand of another server is no session. */
const HANDLE_MAGIC = 0x706e_7331
const SECRET_WORDS = 4
export const SESSION_HANDLE_BYTES = 20 + 4 * SECRET_WORDS

/** What a server gives: the client sends it back as it is, and looks at nothing but {@link windowCalls}. Numbers of 32 bits. */
export interface SessionHandle {
  /** Of the server's process: after a restart it is another. */
  readonly serverBootHigh: number
  readonly serverBootLow: number
  readonly session: number
  /** The client sends no call whose xid is this much or more beyond its oldest that is not answered: more would be shed. */
  readonly windowCalls: number
  /** 128 bits that nobody else can guess. */
  readonly secret: Int32Array
}

/** @returns the body of AUTH_SHORT */
export function writeSessionHandle(handle: SessionHandle): Uint8Array {
  const view = new DataView(new ArrayBuffer(SESSION_HANDLE_BYTES))
  view.setUint32(0, HANDLE_MAGIC)
  view.setUint32(4, handle.serverBootHigh)
  view.setUint32(8, handle.serverBootLow)
  view.setUint32(12, handle.session)
  view.setUint32(16, handle.windowCalls)
  for (let i = 0; i < SECRET_WORDS; i++) view.setInt32(20 + 4 * i, handle.secret[i]!)
  return new Uint8Array(view.buffer)
}

/** @returns null if the body is no handle of ours */
export function readSessionHandle(body: Uint8Array): SessionHandle | null {
  if (body.length !== SESSION_HANDLE_BYTES) return null
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  if (view.getUint32(0) !== HANDLE_MAGIC || view.getUint32(16) === 0) return null
  return {
    serverBootHigh: view.getUint32(4),
    serverBootLow: view.getUint32(8),
    session: view.getUint32(12),
    windowCalls: view.getUint32(16),
    secret: Int32Array.from({ length: SECRET_WORDS }, (_, i) => view.getInt32(20 + 4 * i)),
  }
}

// ---- each call

export const SESSION_CALL_BYTES = 8
/** {@link SessionCall.millisecondsLeft} of a caller that waits for ever. */
export const NO_DEADLINE = 0xffff_ffff

/** The body of a call's verifier: one object, filled again for each. */
export class SessionCall {
  /** The client's oldest xid that is neither answered nor given up, an int32: replies of older ones may be forgotten, and older calls must not run. */
  oldestXid = 0
  /** Until the caller gives up, when the call was sent; {@link NO_DEADLINE} for never. */
  millisecondsLeft = NO_DEADLINE

  /** @returns false if the body is not that */
  read(body: Uint8Array): boolean {
    if (body.length !== SESSION_CALL_BYTES) return false
    this.oldestXid = word(body, 0)
    this.millisecondsLeft = word(body, 4) >>> 0
    return true
  }
}

/** A verifier for the calls of one client: one object, whose body is written again for each. */
export class SessionVerifier implements OpaqueAuth {
  readonly flavor = AUTH_SESSION
  readonly body = new Uint8Array(SESSION_CALL_BYTES)

  /** @param oldestXid - an int32 */
  set(oldestXid: number, millisecondsLeft: number): void {
    putWord(this.body, 0, oldestXid)
    putWord(this.body, 4, millisecondsLeft)
  }
}

function word(body: Uint8Array, at: number): number {
  return (body[at]! << 24) | (body[at + 1]! << 16) | (body[at + 2]! << 8) | body[at + 3]!
}

function putWord(body: Uint8Array, at: number, value: number): void {
  body[at] = value >>> 24
  body[at + 1] = value >>> 16
  body[at + 2] = value >>> 8
  body[at + 3] = value
}
