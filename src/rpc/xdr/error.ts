/** What goes wrong between values and XDR, with the place in the value where it did. */
import { type ErrorCode, StackError } from '../../base/errors.ts'

/** What a decoder refuses; names of counters. See RFC 4506 for each. */
export const XDR_FAULTS = [
  /** The message ends within a value. */
  'xdr-truncated',
  /** Bytes are left when the last value was read. */
  'xdr-trailing',
  /** A length is beyond what the interface declares. */
  'xdr-length',
  /** A length is beyond the bytes that are left: refused before anything is allocated for it. */
  'xdr-length-beyond',
  /** Padding that is not zero (§3: "residual zero bytes"). */
  'xdr-padding',
  /** A boolean that is neither 0 nor 1 (§4.4). */
  'xdr-bool',
  /** A number that the enumeration does not name (§4.3). */
  'xdr-enum',
  /** A discriminant without an arm (§4.15). */
  'xdr-discriminant',
  /** A string that is not UTF-8. */
  'xdr-utf8',
  /** A hyper that a `number` cannot hold exactly, where the interface asks for a number. */
  'xdr-unsafe-integer',
  /** Nested deeper than the decoder's limit. */
  'xdr-depth',
  /** More elements of arrays and lists than the decoder's limit. */
  'xdr-elements',
] as const

export type XdrFault = (typeof XDR_FAULTS)[number]

/** Why a value could not be encoded: it does not have the declared type, or there is no memory. */
export type XdrRefusal = 'xdr-value' | 'xdr-length' | 'xdr-depth' | 'xdr-no-buffers' | 'xdr-not-supported'

/**
 * A value that cannot be encoded (`ERR_BAD_ARGUMENT`, `ERR_NO_BUFFERS`, `ERR_NOT_SUPPORTED`), or bytes that cannot be
 * decoded (`ERR_PROTOCOL`).
 */
export class XdrError extends StackError {
  override readonly name = 'XdrError'
  /** A stable name of what is wrong, for counters. */
  readonly fault: XdrFault | XdrRefusal
  /** Where in the value, as `args.list[3].name`; empty for the value as a whole. */
  readonly path: string

  constructor(code: ErrorCode, fault: XdrFault | XdrRefusal, path: string, detail: string) {
    super(code, path === '' ? detail : `${path}: ${detail}`)
    this.fault = fault
    this.path = path
  }
}

/** Node with frozen intrinsics lets nobody change it. */
const mayLimitStack = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true

/**
 * An error about what a peer sent, without a stack: it would say nothing of the peer, and is most of what an error costs,
 * which is what a flood of bad messages would make us pay.
 */
export function peerError(fault: XdrFault, path: string, detail: string): XdrError {
  if (!mayLimitStack) return new XdrError('ERR_PROTOCOL', fault, path, detail)
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return new XdrError('ERR_PROTOCOL', fault, path, detail)
  } finally {
    Error.stackTraceLimit = limit
  }
}
