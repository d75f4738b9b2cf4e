/** What a command comes to: a result at once, or a call that may have to wait. */

/** Descriptors that may be open at once. */
export const SOCKETS_MAX = 16_384

/** What a call returned, and what else is worth knowing of it. */
export interface CallResult {
  readonly value: unknown
  readonly [extra: string]: unknown
}

/** @returns null while the call has to wait. @throws Errno */
export type Attempt = () => CallResult | null

/** What a command came to: a result, or an attempt that may have to wait. */
export type Outcome = CallResult | Waiting

/** A call that may have to wait. */
export class Waiting {
  readonly attempt: Attempt
  /** False for a call that must not wait: it fails with `onTimeout` at once. */
  readonly mayWait: boolean
  /** How long, in microseconds; 0 for ever. */
  readonly timeoutUs: number
  /** What it comes to when the time is over: an errno, or a result, or what it throws. */
  readonly onTimeout: string | (() => CallResult)
  /** A descriptor that, when it is closed, ends it with EBADF. */
  readonly fd: number | null

  constructor(
    attempt: Attempt,
    options: {
      mayWait: boolean
      timeoutUs?: number
      onTimeout?: string | (() => CallResult)
      fd?: number
    },
  ) {
    this.attempt = attempt
    this.mayWait = options.mayWait
    this.timeoutUs = options.timeoutUs ?? 0
    this.onTimeout = options.onTimeout ?? 'EAGAIN'
    this.fd = options.fd ?? null
  }
}
