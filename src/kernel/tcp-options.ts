/** Options and settings of connections and listeners, as far as the kernel's sockets have them in Node. */
import type { Socket } from 'node:net'
import { StackError } from '../base/errors.ts'
import { formatAddress, fromV4Word, type IpAddress, isMapped, parseAddress } from '../inet/address.ts'
import { readConnectionSettings } from '../inet/tcp/setting-ranges.ts'
import { CONNECTION_SETTINGS, type ConnectionSettings } from '../inet/tcp/settings.ts'
import { fields, integer } from '../inet/udp/control.ts'
import type { SocketName } from '../inet/udp/endpoint.ts'

const CONNECT_FIELDS = ['address', 'port', 'localAddress', 'localPort', 'settings']
const LISTEN_FIELDS = ['address', 'port', 'backlog', 'ipv6Only', 'reuseAddress', 'settings']
/** Connections that may wait to be accepted, by default. */
const BACKLOG = 511

/** Settings that can be other than by default. `receiveBytes` and `sendBytes` bound what waits on this side of the kernel. */
const SUPPORTED: ReadonlySet<string> = new Set([
  'noDelay',
  'keepAlive',
  'keepIdleMs',
  'receiveBytes',
  'sendBytes',
  // Nothing is reported.
  'troubleReports',
])

export interface KernelConnect {
  readonly remote: IpAddress
  readonly remotePort: number
  readonly local: IpAddress | null
  readonly localPort: number
  readonly settings: ConnectionSettings
}

export interface KernelListen {
  readonly address: IpAddress
  readonly port: number
  readonly backlog: number
  readonly ipv6Only: boolean
  readonly settings: ConnectionSettings
}

/** @throws StackError `ERR_BAD_ADDRESS`, `ERR_BAD_ARGUMENT`, `ERR_NOT_SUPPORTED` */
export function readConnect(options: unknown): KernelConnect {
  const given = fields('connect', options, CONNECT_FIELDS)
  const { localAddress, localPort, settings } = given
  return {
    remote: addressOf('connect', given['address']),
    remotePort: integer('connect', 'port', given['port'], 1, 65_535),
    local: localAddress === undefined ? null : addressOf('connect', localAddress),
    localPort: localPort === undefined ? 0 : integer('connect', 'localPort', localPort, 0, 65_535),
    settings: readSettings(settings, CONNECTION_SETTINGS),
  }
}

/** @throws StackError as {@link readConnect} */
export function readListen(options: unknown): KernelListen {
  const given = fields('listen', options, LISTEN_FIELDS)
  const { address, backlog, port, settings } = given
  return {
    address: addressOf('listen', address === undefined || address === '' ? '::' : address),
    port: port === undefined ? 0 : integer('listen', 'port', port, 0, 65_535),
    backlog: backlog === undefined ? BACKLOG : integer('listen', 'backlog', backlog, 0, 2 ** 31 - 1),
    ipv6Only: given['ipv6Only'] === true,
    settings: readSettings(settings, CONNECTION_SETTINGS),
  }
}

/** An address from text; a v4-mapped one is the IPv4 address that it maps. @throws StackError `ERR_BAD_ADDRESS` */
export function addressOf(command: string, text: unknown): IpAddress {
  const address = typeof text === 'string' ? parseAddress(text) : null
  if (address === null)
    throw new StackError('ERR_BAD_ADDRESS', `${command}: ${JSON.stringify(text)} is no IP address`)
  const [w0, w1, w2, w3] = address.words
  return address.family === 6 && isMapped(w0, w1, w2) ? fromV4Word(w3) : address
}

export function socketName(address: IpAddress, port: number): SocketName {
  return { address: formatAddress(address), family: address.family, port }
}

/** A name as Node gives it; the unspecified address if it gives none. */
export function nodeName(address: string | undefined, port: number | undefined): SocketName {
  // Node shows the interface of a link-local address.
  const text = address?.replace(/%.*$/, '') ?? '::'
  return socketName(addressOf('name', text), port ?? 0)
}

/** @throws StackError `ERR_BAD_ARGUMENT`; `ERR_NOT_SUPPORTED` for what the kernel's sockets do not have in Node */
export function readSettings(given: unknown, before: ConnectionSettings): ConnectionSettings {
  if (given === undefined) return before
  const settings = readConnectionSettings(given, before)
  for (const [name, value] of Object.entries(settings)) {
    if (SUPPORTED.has(name) || value === CONNECTION_SETTINGS[name as keyof ConnectionSettings]) continue
    throw new StackError('ERR_NOT_SUPPORTED', `connection: ${name} cannot be set on the kernel's sockets`, {
      hint: `supported: ${[...SUPPORTED].join(', ')}`,
    })
  }
  return settings
}

/** Tells the socket what has changed. @param before - null: all is as the kernel has it */
export function applySettings(
  socket: Socket,
  before: ConnectionSettings | null,
  { noDelay, keepAlive, keepIdleMs }: ConnectionSettings,
): void {
  const was = before ?? CONNECTION_SETTINGS
  if (noDelay !== was.noDelay) socket.setNoDelay(noDelay)
  if (keepAlive !== was.keepAlive || (keepAlive && keepIdleMs !== was.keepIdleMs))
    socket.setKeepAlive(keepAlive, keepIdleMs)
}
