/** Errors of node:net: those of the system as Node words them, and the `ERR_*` errors of wrong calls. */
import { constants } from 'node:os'
import { getSystemErrorMap, inspect } from 'node:util'
import { StackError } from '../base/errors.ts'
import { type CodedError, coded, received, type SystemCallError, systemError } from './errors.ts'

const USAGE = {
  ERR_SOCKET_CLOSED: 'Socket is closed',
  ERR_SOCKET_CLOSED_BEFORE_CONNECTION: 'Socket closed before the connection was established',
  ERR_SOCKET_CONNECTION_TIMEOUT: 'Socket connection timeout',
  ERR_SERVER_ALREADY_LISTEN: 'Listen method has been called more than once without closing.',
  ERR_SERVER_NOT_RUNNING: 'Server is not running.',
} as const

export function netUsageError(code: keyof typeof USAGE): CodedError {
  return coded(Error, code, USAGE[code])
}

/** Characters of a value that a message shows. */
const SHOWN = 128

/** @param reason - how the sentence goes on after the name */
export function argumentValueError(name: string, value: unknown, reason = 'is invalid'): CodedError {
  const text = inspect(value)
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text
  const kind = name.includes('.') ? 'property' : 'argument'
  return coded(TypeError, 'ERR_INVALID_ARG_VALUE', `The ${kind} '${name}' ${reason}. Received ${shown}`)
}

/** @param range - in words: `>= 1 && <= 10` */
export function rangeError(name: string, range: string, value: unknown): CodedError {
  const shown =
    typeof value === 'number' && Number.isInteger(value) && Math.abs(value) > 2 ** 32
      ? String(value).replace(/\B(?=(\d{3})+$)/g, '_')
      : inspect(value)
  const message = `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`
  return coded(RangeError, 'ERR_OUT_OF_RANGE', message)
}

export function portRangeError(name: string, value: unknown): CodedError {
  return coded(RangeError, 'ERR_SOCKET_BAD_PORT', `${name} should be >= 0 and < 65536. ${received(value)}.`)
}

export function missingOptionsError(): CodedError {
  return coded(TypeError, 'ERR_MISSING_ARGS', 'The "options" or "port" or "path" argument must be specified')
}

export function ipAddressError(value: unknown): CodedError {
  return coded(TypeError, 'ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${value}`)
}

/** A lookup answered with a family that is none. */
export function familyError(family: unknown, host: unknown, port: unknown): CodedError {
  const error = coded(
    RangeError,
    'ERR_INVALID_ADDRESS_FAMILY',
    `Invalid address family: ${family} ${host}:${port}`,
  )
  return Object.assign(error, { host, port })
}

/**
 * `connect` or `bind` failed.
 * @param local - this side's address and port, where Node tells them
 */
export function connectError(
  code: string,
  syscall: 'connect' | 'bind',
  address: string,
  port: number,
  local?: string,
  cause?: unknown,
): SystemCallError {
  const error = systemError(code, syscall, address, port, cause)
  if (local !== undefined) error.message += ` - Local (${local})`
  error.message += moreOf(cause)
  return error
}

/** What Node's own words do not tell. */
const moreOf = (cause: unknown): string =>
  cause instanceof StackError && cause.code === 'ERR_NETWORK_DOWN' ? ` (${cause.message})` : ''

/** `listen` failed: Node says in words what the code means. */
export function listenError(
  code: string,
  address: string | undefined,
  port: number,
  cause?: unknown,
): SystemCallError {
  const errno = -((constants.errno as Readonly<Record<string, number>>)[code] ?? constants.errno.EIO)
  const words = getSystemErrorMap().get(errno)?.[1] ?? 'unknown error'
  const where = port > 0 ? ` ${address}:${port}` : address ? ` ${address}` : ''
  const options = cause === undefined ? {} : { cause }
  const error = new Error(`listen ${code}: ${words}${where}${moreOf(cause)}`, options)
  const fields: Record<string, unknown> = { code, errno, syscall: 'listen', address }
  if (port) fields['port'] = port
  return Object.assign(error, fields) as unknown as SystemCallError
}

/** What each attempt to connect met. */
export function attemptsError(errors: readonly Error[]): AggregateError & { code: unknown } {
  const { code } = errors[0] as NodeJS.ErrnoException
  return Object.assign(new AggregateError(errors), { code })
}

/** Descriptors and UNIX paths are the kernel's. */
export function descriptorError(name: string, value: unknown): CodedError {
  return argumentValueError(name, value, "names something of the kernel's, which this stack does not have")
}
