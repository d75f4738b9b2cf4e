/** What stream sockets take and answer, beyond the types of node:net that they share. */
import type { AddressInfo, BlockList, ConnectOpts, ServerOpts, SocketConstructorOpts } from 'node:net'
import { isUint8Array } from 'node:util/types'
import type { SocketName } from '../inet/udp/endpoint.ts'
import { checkNumber } from './dgram-arguments.ts'
import { argumentValueError, descriptorError } from './net-errors.ts'

/** What {@link Socket} may be told; of node:net, the undocumented ones that programs use too. */
export interface SocketOptions extends Omit<SocketConstructorOpts, 'fd'>, ConnectOpts {
  readonly noDelay?: boolean | undefined
  readonly keepAlive?: boolean | undefined
  /** Milliseconds. */
  readonly keepAliveInitialDelay?: number | undefined
  readonly highWaterMark?: number | undefined
  readonly readableHighWaterMark?: number | undefined
  readonly writableHighWaterMark?: number | undefined
}

const NOT_SUPPORTED = ['objectMode', 'readableObjectMode', 'writableObjectMode'] as const

/** @throws TypeError with Node's codes for options that are wrong, or that name something of the kernel's */
export function checkOptions(options: unknown): void {
  if (typeof options === 'number') throw descriptorError('options.fd', options)
  const given = (options ?? {}) as Record<string, unknown>
  for (const name of NOT_SUPPORTED)
    if (given[name]) throw argumentValueError(`options.${name}`, given[name], 'is not supported')
  const { keepAliveInitialDelay, fd, handle } = given
  if (keepAliveInitialDelay !== undefined) checkNumber('options.keepAliveInitialDelay', keepAliveInitialDelay)
  if (fd !== undefined) throw descriptorError('options.fd', fd)
  if (handle) throw descriptorError('options.handle', handle)
}

export interface ServerOptions extends ServerOpts {
  /** Of node:net in later versions: peers whose connections are dropped. */
  readonly blockList?: BlockList | undefined
}

/** What a server gives the sockets that it accepts. */
export interface AcceptOptions {
  readonly allowHalfOpen: boolean
  readonly highWaterMark: number
  /** The program is to call `resume` first. */
  readonly paused: boolean
  readonly noDelay: boolean
  readonly keepAlive: boolean
  readonly keepIdleSeconds: number
  /** IPv4 addresses are shown v4-mapped, since the server has IPv6. */
  readonly mapped: boolean
}

/** A name as `address()` gives it; empty without a connection. */
export type Named = AddressInfo | Record<string, undefined>

/** @param mapped - show IPv4 v4-mapped */
export function infoOf({ address, family, port }: SocketName, mapped: boolean): AddressInfo {
  if (family === 6) return { address, family: 'IPv6', port }
  return mapped ? { address: `::ffff:${address}`, family: 'IPv6', port } : { address, family: 'IPv4', port }
}

/** The program's own memory for what comes in, and whom to tell. */
export interface OnRead {
  buffer: Uint8Array | null
  /** Gives the next piece of memory. */
  readonly next: (() => unknown) | null
  readonly callback: (size: number, buffer: Uint8Array) => unknown
}

/** @returns null for what Node ignores */
export function readOnread(value: unknown): OnRead | null {
  if (typeof value !== 'object' || value === null) return null
  const { buffer, callback } = value as { buffer?: unknown; callback?: unknown }
  if (typeof callback !== 'function') return null
  const told = callback as OnRead['callback']
  if (typeof buffer === 'function') return { buffer: null, next: buffer as () => unknown, callback: told }
  return isUint8Array(buffer) ? { buffer, next: null, callback: told } : null
}

/** Asks for the next piece, if the program gives a new one each time. */
export function nextBuffer(onread: OnRead): void {
  if (onread.next === null) return
  const next = onread.next()
  if (isUint8Array(next)) onread.buffer = next
}
