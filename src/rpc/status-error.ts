/** How a handler answers with a status instead of a result. */
import { StackError } from '../base/errors.ts'
import {
  AUTH_ERROR,
  AUTH_OK,
  acceptName,
  authName,
  isAcceptStatus,
  isAuthStatus,
  PROG_MISMATCH,
  SUCCESS,
} from './status.ts'

/**
 * Thrown by a handler: the call is answered with that status. Anything else that a handler throws is SYSTEM_ERR, and
 * none of it is told to the peer.
 */
export class RpcStatusError extends StackError {
  override readonly name = 'RpcStatusError'
  /** The `accept_stat`; null if the call is denied. */
  readonly acceptStatus: number | null
  /** The `auth_stat` that it is denied with; AUTH_OK if it is accepted. */
  readonly authStatus: number

  private constructor(acceptStatus: number | null, authStatus: number, message: string) {
    super('ERR_PROTOCOL', message)
    this.acceptStatus = acceptStatus
    this.authStatus = authStatus
  }

  /**
   * @param status - `SYSTEM_ERR`, `PROC_UNAVAIL`, ...: any `accept_stat` but SUCCESS and PROG_MISMATCH, which the server finds out by itself
   * @throws StackError `ERR_BAD_ARGUMENT`
   */
  static accepted(status: number, message = acceptName(status)): RpcStatusError {
    if (!isAcceptStatus(status) || status === SUCCESS || status === PROG_MISMATCH) {
      throw new StackError('ERR_BAD_ARGUMENT', `a handler cannot answer with ${acceptName(status)}`)
    }
    return new RpcStatusError(status, AUTH_OK, message)
  }

  /**
   * The caller may not do that: MSG_DENIED, AUTH_ERROR.
   * @param status - `AUTH_TOOWEAK`, `AUTH_BADCRED`, ...: any `auth_stat` but AUTH_OK
   * @throws StackError `ERR_BAD_ARGUMENT`
   */
  static denied(status: number, message = authName(status)): RpcStatusError {
    if (!isAuthStatus(status) || status === AUTH_OK) {
      throw new StackError('ERR_BAD_ARGUMENT', `a handler cannot deny with ${authName(status)}`)
    }
    return new RpcStatusError(null, status, message)
  }

  /** The `reject_stat`, for people who look for it: denied is always AUTH_ERROR. */
  get rejectStatus(): number | null {
    return this.acceptStatus === null ? AUTH_ERROR : null
  }
}
