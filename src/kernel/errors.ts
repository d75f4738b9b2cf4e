/** What the kernel's errors are called here. */
import { ERROR_CODES, type ErrorCode, StackError } from '../base/errors.ts'
import {
  ERROR_HOST_UNREACHABLE,
  ERROR_MALFORMED,
  ERROR_NET_UNREACHABLE,
  ERROR_NO_BUFFERS,
  ERROR_PORT_UNREACHABLE,
  ERROR_PROHIBITED,
  ERROR_SOURCE_NOT_OURS,
  ERROR_TOO_BIG,
} from '../inet/icmp/errors.ts'
import type { CloseReason } from '../inet/tcp/host.ts'

/** Names that stand for several of our codes, or for none. */
const OWN: Readonly<Record<string, ErrorCode>> = {
  EAFNOSUPPORT: 'ERR_NOT_SUPPORTED',
  EDESTADDRREQ: 'ERR_DEST_REQUIRED',
  EINVAL: 'ERR_BAD_ARGUMENT',
  EMFILE: 'ERR_NO_BUFFERS',
  EMSGSIZE: 'ERR_MSG_TOO_LONG',
  ENFILE: 'ERR_NO_BUFFERS',
  ENOMEM: 'ERR_NO_BUFFERS',
  // The peer reset it, and this side hears of it when it writes.
  EPIPE: 'ERR_CONN_RESET',
  EPROTO: 'ERR_PROTOCOL',
}

const BY_NAME = new Map<string, ErrorCode>()
for (const [code, name] of Object.entries(ERROR_CODES)) BY_NAME.set(name, code as ErrorCode)
for (const [name, code] of Object.entries(OWN)) BY_NAME.set(name, code)

/** The errno name of an error of Node's; EIO for what has none. */
export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : 'EIO'
}

/** An error of the kernel's as this stack words it; `ERR_HOST` for what it has no word for. */
export function kernelError(error: unknown): StackError {
  if (error instanceof StackError) return error
  const text = error instanceof Error ? error.message : String(error)
  return new StackError(BY_NAME.get(errnoOf(error)) ?? 'ERR_HOST', text, { cause: error })
}

const REASONS: Readonly<Partial<Record<ErrorCode, CloseReason>>> = {
  ERR_CONN_REFUSED: 'refused',
  ERR_CONN_RESET: 'reset',
  ERR_TIMED_OUT: 'timed-out',
  ERR_HOST_UNREACHABLE: 'unreachable',
  ERR_NETWORK_UNREACHABLE: 'unreachable',
  ERR_NETWORK_DOWN: 'unreachable',
  ERR_NO_BUFFERS: 'no-memory',
}

/** Why a connection ended that ended with an error. */
export function closeReasonOf(error: StackError): CloseReason {
  return REASONS[error.code] ?? 'aborted'
}

const INDICATIONS: Readonly<Record<string, number>> = {
  EACCES: ERROR_PROHIBITED,
  EADDRNOTAVAIL: ERROR_SOURCE_NOT_OURS,
  ECONNREFUSED: ERROR_PORT_UNREACHABLE,
  EHOSTUNREACH: ERROR_HOST_UNREACHABLE,
  EMSGSIZE: ERROR_TOO_BIG,
  ENETDOWN: ERROR_NET_UNREACHABLE,
  ENETUNREACH: ERROR_NET_UNREACHABLE,
  ENOBUFS: ERROR_NO_BUFFERS,
  ENOMEM: ERROR_NO_BUFFERS,
  EPERM: ERROR_PROHIBITED,
}

/** The code of an ERROR_IND (`inet/icmp/errors.ts`). */
export function indicationOf(error: unknown): number {
  return INDICATIONS[errnoOf(error)] ?? ERROR_MALFORMED
}
