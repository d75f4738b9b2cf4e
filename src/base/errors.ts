/**
 * What a caller asked and cannot have, or what the host refused. What a peer sent is never an error but a
 * drop reason with a counter; what cannot be is an assertion.
 */

/** Every code a caller can meet, with the errno name that Node and POSIX programs know for it. */
export const ERROR_CODES = {
  ERR_ACCESS: 'EACCES',
  ERR_ADDR_IN_USE: 'EADDRINUSE',
  ERR_ADDR_NOT_AVAILABLE: 'EADDRNOTAVAIL',
  ERR_ALREADY: 'EALREADY',
  ERR_BAD_ADDRESS: 'EINVAL',
  ERR_BAD_ARGUMENT: 'EINVAL',
  ERR_BAD_CONFIG: 'EINVAL',
  ERR_BUSY: 'EBUSY',
  ERR_CONN_ABORTED: 'ECONNABORTED',
  ERR_CONN_REFUSED: 'ECONNREFUSED',
  ERR_CONN_RESET: 'ECONNRESET',
  ERR_DEST_REQUIRED: 'EDESTADDRREQ',
  ERR_DEVICE_GONE: 'ENODEV',
  ERR_FRAGMENT_NEEDED: 'EMSGSIZE',
  ERR_HANGUP: 'ENXIO',
  ERR_HOST: 'EIO',
  ERR_HOST_UNREACHABLE: 'EHOSTUNREACH',
  ERR_IOCTL: 'EINVAL',
  ERR_IS_CONNECTED: 'EISCONN',
  ERR_MODULE_FAULT: 'EPROTO',
  ERR_MSG_SHORT: 'EINVAL',
  ERR_MSG_TOO_LONG: 'EMSGSIZE',
  ERR_NETWORK_DOWN: 'ENETDOWN',
  ERR_NETWORK_UNREACHABLE: 'ENETUNREACH',
  ERR_NOT_CONNECTED: 'ENOTCONN',
  ERR_NOT_FOUND: 'ENOENT',
  ERR_NOT_SUPPORTED: 'ENOTSUP',
  ERR_NO_BUFFERS: 'ENOBUFS',
  ERR_PERMISSION: 'EPERM',
  ERR_PLUMBING: 'EINVAL',
  ERR_PROTOCOL: 'EPROTO',
  ERR_SHIM_MISSING: 'ENOENT',
  ERR_STREAM_CLOSED: 'EPIPE',
  ERR_TIMED_OUT: 'ETIMEDOUT',
  ERR_WOULD_BLOCK: 'EAGAIN',
} as const

export type ErrorCode = keyof typeof ERROR_CODES

export interface StackErrorOptions extends ErrorOptions {
  /** What the reader can do about it, as one sentence. */
  readonly hint?: string
}

/** An error with a code from {@link ERROR_CODES}; `errnoName` is what a POSIX program would have seen. */
export class StackError extends Error {
  override readonly name: string = 'StackError'
  /** For programs: it stays when the message is put in other words. */
  readonly code: ErrorCode
  /** What the reader can do about it. */
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, options?: StackErrorOptions) {
    super(message, options)
    this.code = code
    this.hint = options?.hint
  }

  /** `ECONNREFUSED` and the like. */
  get errnoName(): string {
    return ERROR_CODES[this.code]
  }
}
