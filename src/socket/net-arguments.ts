/** The arguments of node:net's calls in all their overloads, read as Node reads them. */
import { argumentTypeError } from './errors.ts'
import { argumentValueError, portRangeError, rangeError } from './net-errors.ts'

export type Callback = (...args: never[]) => void

/** Options and callback of a call of `connect` or `listen`. */
export interface NetCall<Options> {
  readonly options: Options
  readonly callback: Callback | null
}

/** A number, or a text that is one, and not negative. */
export function countOf(value: unknown): number | false {
  const count = Number(value)
  return count >= 0 ? count : false
}

export const isPath = (value: unknown): value is string =>
  typeof value === 'string' && countOf(value) === false

/** `(options[, cb])`, `(path[, cb])`, `([port][, host][, cb])`. The options are the caller's own object where it gave one. */
export function readCall<Options extends object>(args: readonly unknown[]): NetCall<Options> {
  const [first, second] = args
  const last = args[args.length - 1]
  const callback = typeof last === 'function' ? (last as Callback) : null
  if (args.length === 0) return { options: {} as Options, callback: null }
  if (typeof first === 'object' && first !== null) return { options: first as Options, callback }
  const options: Record<string, unknown> = {}
  if (isPath(first)) options['path'] = first
  else {
    options['port'] = first
    if (typeof second === 'string') options['host'] = second
  }
  return { options: options as Options, callback }
}

/** @throws RangeError `ERR_SOCKET_BAD_PORT` */
export function checkPortRange(value: unknown, name = 'Port'): number {
  const isNumber = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '')
  const port = Number(value)
  if (!isNumber || port !== port >>> 0 || port > 65_535) throw portRangeError(name, value)
  return port
}

/** @throws TypeError `ERR_INVALID_ARG_TYPE` */
export function checkBoolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw argumentTypeError(name, 'of type boolean', value)
  return value
}

/** @throws TypeError `ERR_INVALID_ARG_TYPE` */
export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw argumentTypeError(name, 'of type function', value)
}

const INT32_MAX = 2 ** 31 - 1

/** @throws TypeError, RangeError */
export function checkInt32(value: unknown, name: string, min: number): number {
  if (typeof value !== 'number') throw argumentTypeError(name, 'of type number', value)
  if (!Number.isInteger(value)) throw rangeError(name, 'an integer', value)
  if (value < min || value > INT32_MAX) throw rangeError(name, `>= ${min} && <= ${INT32_MAX}`, value)
  return value
}

/** @throws TypeError `ERR_INVALID_ARG_TYPE` */
export function checkSignal(signal: unknown): AbortSignal {
  if (typeof signal === 'object' && signal !== null && 'aborted' in signal) return signal as AbortSignal
  throw argumentTypeError('options.signal', 'an instance of AbortSignal', signal)
}

/** What {@link readListen} found. */
export type ListenCall =
  | {
      readonly kind: 'port'
      readonly port: number
      /** Undefined: all addresses. */
      readonly host: string | undefined
      readonly backlog: number
      readonly ipv6Only: boolean
    }
  | { readonly kind: 'path'; readonly path: string }

interface ListenRequest {
  port?: unknown
  host?: unknown
  path?: unknown
  backlog?: unknown
  ipv6Only?: unknown
  fd?: unknown
}

/**
 * `listen` in all its forms, save those that name a descriptor.
 * @param options - as {@link readCall} found them
 * @throws RangeError `ERR_SOCKET_BAD_PORT`, TypeError `ERR_INVALID_ARG_VALUE`
 */
export function readListen(args: readonly unknown[], options: object): ListenCall {
  const { host, path, ipv6Only, backlog } = options as ListenRequest
  let { port } = options as ListenRequest
  const fromArgs = countOf(args.length > 1 && args[1]) || countOf(args.length > 2 && args[2]) || 0
  const isOmitted =
    args.length === 0 || typeof args[0] === 'function' || (port === undefined && 'port' in options)
  if (isOmitted || port === null) port = 0
  if (typeof port === 'number' || typeof port === 'string')
    return {
      kind: 'port',
      port: checkPortRange(port, 'options.port'),
      host: (host as string) || undefined,
      backlog: Number(backlog) || fromArgs,
      ipv6Only: ipv6Only === true,
    }
  if (path && isPath(path)) return { kind: 'path', path }
  if ('port' in options || 'path' in options) throw argumentValueError('options', options)
  throw argumentValueError('options', options, 'must have the property "port" or "path"')
}
