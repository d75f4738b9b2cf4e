/** Credentials and verifiers of calls (RFC 5531 §8, §9, appendix A), at most 400 bytes each. */
import { StackError } from '../base/errors.ts'
import { readLatin1, readUtf8, utf8Bytes, writeUtf8 } from './xdr/text.ts'

export const AUTH_NONE = 0
export const AUTH_SYS = 1
export const AUTH_SHORT = 2

/** RFC 5531 §8.2: `opaque body<400>`. */
export const AUTH_MAX_BYTES = 400
const MACHINE_NAME_MAX = 255
const GROUPS_MAX = 16

/** `struct opaque_auth`: a flavor, and what only that flavor understands. */
export interface OpaqueAuth {
  readonly flavor: number
  /** At most {@link AUTH_MAX_BYTES}. */
  readonly body: Uint8Array
}

/** Of a call that names nobody, and of most verifiers. */
export const NO_AUTH: OpaqueAuth = { flavor: AUTH_NONE, body: new Uint8Array(0) }

/** What a caller says of itself (AUTH_SYS). Nothing vouches for it: anybody on the network may say anything. */
export interface SysCredentials {
  /** Any number; C programs put the time there. */
  readonly stamp: number
  /** At most 255 bytes. */
  readonly machineName: string
  readonly uid: number
  readonly gid: number
  /** At most 16. */
  readonly gids: readonly number[]
}

/**
 * Credentials of the flavor AUTH_SYS: made once, used for every call.
 * @throws StackError `ERR_BAD_ARGUMENT` if the name or the groups are too long, or a number has not 32 bits
 */
export function sysAuth(credentials: SysCredentials): OpaqueAuth {
  const { stamp, machineName, uid, gid, gids } = credentials
  const length = utf8Bytes(machineName)
  const numbers = [uid, gid, gids.length, ...gids]
  if (length < 0 || length > MACHINE_NAME_MAX)
    throw bad(`a machine name of at most ${MACHINE_NAME_MAX} bytes`)
  if (gids.length > GROUPS_MAX) throw bad(`at most ${GROUPS_MAX} groups`)
  if ([stamp, ...numbers].some(number => number >>> 0 !== number)) throw bad('numbers from 0 to 2^32-1')
  const padded = (length + 3) & ~3
  const body = new Uint8Array(8 + padded + 4 * numbers.length)
  const view = new DataView(body.buffer)
  view.setUint32(0, stamp)
  view.setUint32(4, length)
  writeUtf8(body, 8, machineName, length)
  for (const [at, number] of numbers.entries()) view.setUint32(8 + padded + 4 * at, number)
  return { flavor: AUTH_SYS, body }
}

function bad(wanted: string): StackError {
  return new StackError('ERR_BAD_ARGUMENT', `AUTH_SYS takes ${wanted}`)
}

/**
 * Reads the body of AUTH_SYS credentials. A name that is not UTF-8 is taken as Latin-1, since it only shows where a call came from.
 * @returns null if the body is not exactly that (the answer is AUTH_BADCRED)
 */
export function readSysAuth(body: Uint8Array): SysCredentials | null {
  if (body.length < 20 || body.length > AUTH_MAX_BYTES) return null
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const length = view.getUint32(4)
  if (length > MACHINE_NAME_MAX) return null
  const behind = 8 + ((length + 3) & ~3)
  if (behind + 12 > body.length) return null
  const count = view.getUint32(behind + 8)
  if (count > GROUPS_MAX || behind + 12 + 4 * count !== body.length) return null
  return {
    stamp: view.getUint32(0),
    machineName: readUtf8(body, 8, 8 + length) ?? readLatin1(body, 8, 8 + length),
    uid: view.getUint32(behind),
    gid: view.getUint32(behind + 4),
    gids: Array.from({ length: count }, (_, at) => view.getUint32(behind + 12 + 4 * at)),
  }
}

/**
 * The short hand for credentials (AUTH_SHORT): a server gives one in the verifier of a reply, a client may send it
 * instead of its credentials, and sends those again when the answer is AUTH_REJECTEDCRED.
 */
export function shortAuth(handle: Uint8Array): OpaqueAuth {
  if (handle.length > AUTH_MAX_BYTES) {
    throw new StackError('ERR_BAD_ARGUMENT', `a short hand has at most ${AUTH_MAX_BYTES} bytes`)
  }
  return { flavor: AUTH_SHORT, body: handle.slice() }
}
