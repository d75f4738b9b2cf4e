/** What the host refused, as a {@link StackError} that says what to do about it. */

import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { type ErrorCode, StackError } from '../base/errors.ts'

const { errno } = constants

/** The host's errno values by name, as `ERRNO.EAGAIN`. */
export const ERRNO: typeof constants.errno = errno

const CODES: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [errno.EACCES, 'ERR_ACCESS'],
  [errno.EADDRNOTAVAIL, 'ERR_ADDR_NOT_AVAILABLE'],
  [errno.EBUSY, 'ERR_BUSY'],
  [errno.EEXIST, 'ERR_ALREADY'],
  [errno.EHOSTUNREACH, 'ERR_HOST_UNREACHABLE'],
  [errno.EINVAL, 'ERR_BAD_ARGUMENT'],
  [errno.ENAMETOOLONG, 'ERR_BAD_ARGUMENT'],
  [errno.ENETUNREACH, 'ERR_NETWORK_UNREACHABLE'],
  [errno.ENODEV, 'ERR_NOT_FOUND'],
  [errno.ENOENT, 'ERR_NOT_FOUND'],
  [errno.EOPNOTSUPP, 'ERR_NOT_SUPPORTED'],
  [errno.EPERM, 'ERR_PERMISSION'],
  [errno.ERANGE, 'ERR_BAD_ARGUMENT'],
  [errno.ESRCH, 'ERR_NOT_FOUND'],
])

/**
 * @param positive - an errno as `5`, not `-5`
 * @returns its name as `EIO`, or `errno 4711` for one that Node does not know
 */
export function errnoName(positive: number): string {
  try {
    const name = getSystemErrorName(-positive)
    return name.startsWith('Unknown') ? `errno ${positive}` : name
  } catch {
    return `errno ${positive}`
  }
}

/** What to say for an errno of one particular call. */
export interface ErrnoAdvice {
  /** What it means here; the errno's name is added. */
  readonly meaning: string
  readonly hint?: string
  /** Used instead of the errno's usual code. */
  readonly code?: ErrorCode
}

export type Advice = Readonly<Record<string, ErrnoAdvice>>

/**
 * @param doing - what was tried, as `open the TUN device t0`
 * @param positive - the errno
 * @param advice - by errno name
 */
export function hostError(doing: string, positive: number, advice: Advice = {}): StackError {
  const name = errnoName(positive)
  const known = advice[name]
  const code = known?.code ?? CODES.get(positive) ?? 'ERR_HOST'
  const message = `cannot ${doing}: ${known === undefined ? name : `${known.meaning} (${name})`}`
  return new StackError(code, message, known?.hint === undefined ? {} : { hint: known.hint })
}

/**
 * Passes a shim call's result on, or throws.
 * @param result - a value >= 0, or `-errno`
 */
export function orThrow(result: number, doing: string, advice?: Advice): number {
  if (result < 0) throw hostError(doing, -result, advice)
  return result
}
