/** The numbers of RFC 5531 §9, and their names there. */

export const RPC_VERSION = 2

/** `msg_type` */
export const CALL = 0
export const REPLY = 1

/** `reply_stat` */
export const MSG_ACCEPTED = 0
export const MSG_DENIED = 1

/** `accept_stat` */
export const SUCCESS = 0
export const PROG_UNAVAIL = 1
export const PROG_MISMATCH = 2
export const PROC_UNAVAIL = 3
export const GARBAGE_ARGS = 4
export const SYSTEM_ERR = 5

/** `reject_stat` */
export const RPC_MISMATCH = 0
export const AUTH_ERROR = 1

/** `auth_stat` */
export const AUTH_OK = 0
export const AUTH_BADCRED = 1
export const AUTH_REJECTEDCRED = 2
export const AUTH_BADVERF = 3
export const AUTH_REJECTEDVERF = 4
export const AUTH_TOOWEAK = 5
export const AUTH_INVALIDRESP = 6
export const AUTH_FAILED = 7

const ACCEPT_NAMES = [
  'SUCCESS',
  'PROG_UNAVAIL',
  'PROG_MISMATCH',
  'PROC_UNAVAIL',
  'GARBAGE_ARGS',
  'SYSTEM_ERR',
] as const

const AUTH_NAMES = [
  'AUTH_OK',
  'AUTH_BADCRED',
  'AUTH_REJECTEDCRED',
  'AUTH_BADVERF',
  'AUTH_REJECTEDVERF',
  'AUTH_TOOWEAK',
  'AUTH_INVALIDRESP',
  'AUTH_FAILED',
  'AUTH_KERB_GENERIC',
  'AUTH_TIMEEXPIRE',
  'AUTH_TKT_FILE',
  'AUTH_DECODE',
  'AUTH_NET_ADDR',
  'RPCSEC_GSS_CREDPROBLEM',
  'RPCSEC_GSS_CTXPROBLEM',
] as const

/** The name of an `accept_stat`, for people. */
export function acceptName(status: number): string {
  return ACCEPT_NAMES[status] ?? `accept_stat ${status}`
}

/** The name of an `auth_stat`, for people. */
export function authName(status: number): string {
  return AUTH_NAMES[status] ?? `auth_stat ${status}`
}

/** Whether RFC 5531 §9 names an `accept_stat` or a `reject_stat`. */
export const isAcceptStatus = (status: number): boolean => status >>> 0 < ACCEPT_NAMES.length
export const isAuthStatus = (status: number): boolean => status >>> 0 < AUTH_NAMES.length
