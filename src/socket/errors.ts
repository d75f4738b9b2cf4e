/**
 * Errors as programs written for Node know them: system errors with `code`, `errno`, `syscall`, `address` and `port`, and
 * the `ERR_*` errors that node:dgram throws for wrong calls. Those of node:net alone are in `net-errors.ts`.
 */
import { constants } from 'node:os'
import { inspect } from 'node:util'
import { StackError } from '../base/errors.ts'

/** A system error as node:dgram gives it. */
export interface SystemCallError extends Error {
  readonly code: string
  /** Negative, as in libuv. */
  readonly errno: number
  readonly syscall: string
  readonly address?: string
  readonly port?: number
}

const ERRNO: Readonly<Record<string, number>> = constants.errno

/** The errno name of whatever was thrown; EIO for what has none. */
export function errnoNameOf(error: unknown): string {
  return error instanceof StackError ? error.errnoName : 'EIO'
}

/**
 * @param code - errno name, `ECONNREFUSED` for instance
 * @param cause - what our stack said, in more words
 */
export function systemError(
  code: string,
  syscall: string,
  address?: string,
  port?: number,
  cause?: unknown,
): SystemCallError {
  const where = port ? ` ${address}:${port}` : address ? ` ${address}` : ''
  const error = new Error(`${syscall} ${code}${where}`, cause === undefined ? {} : { cause })
  const fields: Record<string, unknown> = { errno: -(ERRNO[code] ?? ERRNO['EIO']!), code, syscall }
  if (address !== undefined) fields['address'] = address
  if (port) fields['port'] = port
  return Object.assign(error, fields) as unknown as SystemCallError
}

/** Messages of the errors that node:dgram throws without arguments, and the kind of each. */
const USAGE = {
  ERR_SOCKET_ALREADY_BOUND: [Error, 'Socket is already bound'],
  ERR_SOCKET_BAD_BUFFER_SIZE: [TypeError, 'Buffer size must be a positive integer'],
  ERR_SOCKET_BAD_TYPE: [TypeError, 'Bad socket type specified. Valid types are: udp4, udp6'],
  ERR_SOCKET_DGRAM_IS_CONNECTED: [Error, 'Already connected'],
  ERR_SOCKET_DGRAM_NOT_CONNECTED: [Error, 'Not connected'],
  ERR_SOCKET_DGRAM_NOT_RUNNING: [Error, 'Not running'],
} as const

export interface CodedError extends Error {
  readonly code: string
}

export type ErrorKind = new (message: string) => Error

/** An error with one of Node's codes. */
export function coded(Kind: ErrorKind, code: string, message: string): CodedError {
  const error = new Kind(message)
  // As Node does: the code shows where the stack is printed, and the name stays that of the class.
  error.stack = error.stack?.replace(`${error.name}:`, `${error.name} [${code}]:`) ?? ''
  return Object.assign(error, { code })
}

export function usageError(code: keyof typeof USAGE): CodedError {
  const [Kind, message] = USAGE[code]
  return coded(Kind, code, message)
}

/** What was received, in the words of Node's messages. */
export function received(value: unknown): string {
  if (value === null || value === undefined) return `Received ${value}`
  if (typeof value === 'function') return `Received function ${value.name}`
  if (typeof value === 'object') {
    const name = value.constructor?.name
    return name ? `Received an instance of ${name}` : `Received ${inspect(value, { depth: -1 })}`
  }
  const text = inspect(value)
  return `Received type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`
}

/** @param expected - how the sentence goes on after "must be" */
export function argumentTypeError(name: string, expected: string, value: unknown): CodedError {
  const kind = `"${name}" ${name.includes('.') ? 'property' : 'argument'}`
  return coded(TypeError, 'ERR_INVALID_ARG_TYPE', `The ${kind} must be ${expected}. ${received(value)}`)
}

export function badPortError(value: unknown, allowZero: boolean): CodedError {
  const message = `Port should be ${allowZero ? '>=' : '>'} 0 and < 65536. ${received(value)}.`
  return coded(RangeError, 'ERR_SOCKET_BAD_PORT', message)
}

export function outOfBoundsError(name: string): CodedError {
  return coded(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', `"${name}" is outside of buffer bounds`)
}

export function missingArgumentError(name: string): CodedError {
  return coded(TypeError, 'ERR_MISSING_ARGS', `The "${name}" argument must be specified`)
}

/** What `setRecvBufferSize` and its like throw when the system refuses. */
export function bufferSizeError(code: string, syscall: string): CodedError {
  const message = `Could not get or set buffer size: ${syscall} returned ${code}`
  return Object.assign(coded(Error, 'ERR_SOCKET_BUFFER_SIZE', message), { syscall, errno: -ERRNO[code]! })
}
