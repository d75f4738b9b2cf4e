/** The arguments of node:dgram's calls in all their overloads, read as Node reads them. */
import { argumentTypeError, badPortError, outOfBoundsError, usageError } from './errors.ts'

/** Data of one datagram, as `send` takes it. */
export type DatagramData = string | NodeJS.ArrayBufferView

/** Called when a datagram was handed to the network, or could not be. */
export type SendCallback = (error: Error | null, bytes: number) => void

/** What a call of `send` means. */
export interface SendCall {
  readonly list: readonly Uint8Array[]
  /** Null on a connected socket. */
  readonly port: number | null
  /** Undefined or empty: this host. */
  readonly address: string | undefined
  readonly callback: SendCallback | undefined
}

const DATA_KINDS = 'of type string or an instance of Buffer, TypedArray, or DataView'

function bytesOf(data: unknown): Uint8Array | null {
  if (typeof data === 'string') return Buffer.from(data)
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : null
}

function part(data: unknown, offset: unknown, length: unknown): Uint8Array {
  const whole = bytesOf(data)
  if (whole === null) throw argumentTypeError('buffer', DATA_KINDS, data)
  const start = Number(offset) >>> 0
  const size = Number(length) >>> 0
  if (start > whole.byteLength) throw outOfBoundsError('offset')
  if (start + size > whole.byteLength) throw outOfBoundsError('length')
  return whole.subarray(start, start + size)
}

function listOf(data: unknown): Uint8Array[] {
  if (!Array.isArray(data)) {
    const one = bytesOf(data)
    if (one === null) throw argumentTypeError('buffer', DATA_KINDS, data)
    return [one]
  }
  return data.map(each => {
    const one = bytesOf(each)
    if (one === null) throw argumentTypeError('buffer list arguments', DATA_KINDS, data)
    return one
  })
}

/** @throws RangeError `ERR_SOCKET_BAD_PORT` */
export function checkPort(port: unknown): number {
  const isText = typeof port === 'string' && port.trim().length > 0
  const value = typeof port === 'number' ? port : isText ? +port : Number.NaN
  if (!Number.isInteger(value) || value <= 0 || value > 65_535) throw badPortError(port, false)
  return value
}

const callbackOf = (value: unknown): SendCallback | undefined =>
  typeof value === 'function' ? (value as SendCallback) : undefined

/**
 * `send(msg[, offset, length][, port][, address][, callback])`.
 * @param args - as they were given
 * @throws TypeError, RangeError or Error with Node's codes
 */
export function readSend(connected: boolean, args: readonly unknown[]): SendCall {
  return connected ? readSendToPeer(args) : readSendTo(args)
}

function readSendTo(args: readonly unknown[]): SendCall {
  let [data, offset, length, port, address, callback] = args
  if (address || (port && typeof port !== 'function')) {
    data = part(data, offset, length)
  } else {
    callback = port
    port = offset
    address = length
  }
  const list = listOf(data)
  const checked = checkPort(port)
  if (typeof address === 'function') {
    callback = address
    address = undefined
  } else if (address !== undefined && address !== null && typeof address !== 'string') {
    throw argumentTypeError('address', 'of type string', address)
  }
  return { list, port: checked, address: (address as string) ?? undefined, callback: callbackOf(callback) }
}

function readSendToPeer(args: readonly unknown[]): SendCall {
  let [data, offset, length, port, address, callback] = args
  if (typeof length === 'number') {
    data = part(data, offset, length)
    if (typeof port === 'function') {
      callback = port
      port = null
    }
  } else {
    callback = offset
  }
  if (port || address) throw usageError('ERR_SOCKET_DGRAM_IS_CONNECTED')
  return { list: listOf(data), port: null, address: undefined, callback: callbackOf(callback) }
}

export interface BindOptions {
  readonly port?: number | undefined
  readonly address?: string | undefined
  readonly exclusive?: boolean | undefined
}

/** What a call of `bind` means. */
export interface BindCall {
  readonly port: number
  /** Empty: all. */
  readonly address: string
  readonly callback: (() => void) | undefined
}

/** `bind([port][, address][, callback])` and `bind(options[, callback])`. */
export function readBind(args: readonly unknown[]): BindCall {
  const last = args[args.length - 1]
  const callback = typeof last === 'function' ? (last as () => void) : undefined
  const [first, second] = args
  if (first !== null && typeof first === 'object') {
    const { port, address } = first as BindOptions
    return { port: Number(port ?? 0), address: address || '', callback }
  }
  const address = typeof second === 'string' ? second : ''
  return { port: typeof first === 'function' ? 0 : Number(first ?? 0), address, callback }
}

/** @throws TypeError `ERR_INVALID_ARG_TYPE` */
export function checkNumber(name: string, value: unknown): number {
  if (typeof value !== 'number') throw argumentTypeError(name, 'of type number', value)
  return value
}

/** @throws TypeError `ERR_INVALID_ARG_TYPE` */
export function checkString(name: string, value: unknown): string {
  if (typeof value !== 'string') throw argumentTypeError(name, 'of type string', value)
  return value
}
