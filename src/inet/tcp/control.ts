/**
 * What programs and people ask of TCP beside data: how a stream is opened, settings of a connection (`tcp.set`), its
 * snapshot (`tcp.info`), settings of the stack. Arguments come from outside and are checked here.
 */
import { StackError } from '../../base/errors.ts'
import { qenable } from '../../streams/queue.ts'
import { fromV4Word, type IpAddress, isMapped, parseAddress } from '../address.ts'
import { fields, integer } from '../udp/control.ts'
import type { Connection } from './connection.ts'
import { tcpInfo } from './info.ts'
import type { ListenRequest } from './listener.ts'
import type { Listening } from './listening.ts'
import type { ConnectRequest } from './open.ts'
import { readConnectionSettings, readTcpSettings } from './setting-ranges.ts'
import type { ConnectionSettings, TcpSettings } from './settings.ts'
import { armKeepAlive, updateSendMss } from './start.ts'
import { isSynchronized } from './states.ts'
import { T_KEEP } from './tcb.ts'
import { clearTimer } from './timers.ts'
import type { Transport } from './transport.ts'

export interface ConnectOptions {
  /** An IP address; names are somebody else's business. A v4-mapped address is the IPv4 address that it maps. */
  readonly address: string
  readonly port: number
  /** One of the stack's addresses; IP chooses by default. */
  readonly localAddress?: string
  /** 0, the default: chosen by RFC 6056. */
  readonly localPort?: number
  readonly settings?: Partial<ConnectionSettings>
}

export interface ListenOptions {
  /** `::` by default, which takes IPv4 too unless `ipv6Only`; `0.0.0.0` takes IPv4 alone. */
  readonly address?: string
  /** 0: chosen. */
  readonly port: number
  /** Connections that may wait to be accepted; 511 by default. */
  readonly backlog?: number
  readonly ipv6Only?: boolean
  readonly reuseAddress?: boolean
  /** What connections that are accepted begin with. */
  readonly settings?: Partial<ConnectionSettings>
}

/** Options of `Stream.open(runtime, 'tcp', { options })`: exactly one of them. */
export type TcpOpenOptions =
  | { readonly connect: ConnectOptions }
  | { readonly listen: ListenOptions }
  /** Takes the next connection of a listener that has one. */
  | { readonly accept: Listening }

const CONNECT_FIELDS = ['address', 'port', 'localAddress', 'localPort', 'settings']
const LISTEN_FIELDS = ['address', 'port', 'backlog', 'ipv6Only', 'reuseAddress', 'settings']

export function connectRequest(transport: Transport, options: unknown, user: Connection): ConnectRequest {
  const given = fields('connect', options, CONNECT_FIELDS)
  return {
    remote: addressOf('connect', given['address']),
    remotePort: integer('connect', 'port', given['port'], 1, 65_535),
    local: given['localAddress'] === undefined ? undefined : addressOf('connect', given['localAddress']),
    localPort: portOf('connect', 'localPort', given['localPort']),
    settings: settingsOf(transport, given['settings'], transport.tcp.connectionDefaults),
    user,
  }
}

export function listenRequest(transport: Transport, options: unknown): ListenRequest {
  const given = fields('listen', options, LISTEN_FIELDS)
  const { address, backlog } = given
  return {
    address: address === undefined || address === '' ? null : addressOf('listen', address),
    port: portOf('listen', 'port', given['port']),
    ...(backlog === undefined ? {} : { backlog: integer('listen', 'backlog', backlog, 0, 2 ** 31 - 1) }),
    ipv6Only: given['ipv6Only'] === true,
    reuseAddress: given['reuseAddress'] === true,
    settings: settingsOf(transport, given['settings'], transport.tcp.connectionDefaults),
  }
}

function portOf(command: string, name: string, value: unknown): number {
  return value === undefined ? 0 : integer(command, name, value, 0, 65_535)
}

/** An address from text; a v4-mapped one is the IPv4 address that it maps. */
function addressOf(command: string, text: unknown): IpAddress {
  const address = typeof text === 'string' ? parseAddress(text) : null
  if (address === null)
    throw new StackError('ERR_BAD_ADDRESS', `${command}: ${JSON.stringify(text)} is no IP address`)
  const [w0, w1, w2, w3] = address.words
  return address.family === 6 && isMapped(w0, w1, w2) ? fromV4Word(w3) : address
}

function settingsOf(transport: Transport, given: unknown, before: ConnectionSettings): ConnectionSettings {
  return given === undefined ? before : transport.share(readConnectionSettings(given, before))
}

/** Changes settings of a live connection. @throws StackError `ERR_BAD_ARGUMENT`; nothing has changed then */
export function setConnection(c: Connection, given: unknown): void {
  const { tcb, transport } = c
  if (tcb === null) return
  const before = tcb.settings
  const settings = transport.share(readConnectionSettings(given, before))
  tcb.settings = settings
  if (c.isOver || settings === before) return
  const { tcp } = transport
  transport.touch()
  if (settings.receiveBytes !== 0) tcb.rcvBuf = settings.receiveBytes
  if (settings.sendBytes !== 0) tcb.sndBuf = settings.sendBytes
  // There may be room now for what was refused.
  if (settings.sendBytes !== before.sendBytes) qenable(c.q.other)
  if (isSynchronized(tcb.state)) {
    if (settings.maxSegment !== before.maxSegment) updateSendMss(tcp, tcb)
    if (settings.keepAlive) armKeepAlive(tcp, tcb)
    else clearTimer(tcb, T_KEEP)
  }
  // What the old ones held back may leave.
  tcp.schedule(tcb)
}

/** Answers a request on a connection's stream. */
export function connectionRequest(c: Connection, command: string, argument: unknown): unknown {
  switch (command) {
    case 'tcp.info':
      return c.isOver ? null : tcpInfo(c.transport.tcp, c.tcb!)
    case 'tcp.set':
      setConnection(c, argument ?? {})
      return c.tcb?.settings
    default:
      throw new StackError('ERR_IOCTL', `a connection of tcp does not know "${command}"`, {
        hint: 'try tcp.info or tcp.set',
      })
  }
}

/** Changes settings of the stack, all or none. @throws StackError `ERR_BAD_CONFIG` */
export function setTcp(transport: Transport, given: unknown): Readonly<TcpSettings> {
  const { tcp } = transport
  Object.assign(tcp.settings, readTcpSettings(given, tcp.settings))
  tcp.halfOpen.limit = tcp.settings.synBacklog
  tcp.timeWait.limit = tcp.settings.timeWaitMax
  return tcp.settings
}
