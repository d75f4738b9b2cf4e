/** Commands `setsockopt` and `getsockopt`: options by their Linux names. */
import { TCP_SETTINGS, type TcpSettings } from '../../inet/tcp/settings.ts'
import type { Command } from './commands.ts'
import { readFd } from './commands-socket.ts'
import { Errno, Misuse } from './errno.ts'
import { linuxInfo } from './linux-info.ts'
import type { ScriptSocket } from './script-socket.ts'
import type { Session } from './session.ts'
import { readOption, SETTING_OPTIONS, showOption } from './socket-options.ts'

/** Options that are the socket's own, not the connection's. */
interface OwnOption {
  read?(socket: ScriptSocket, value: unknown): void
  show(socket: ScriptSocket, session: Session): unknown
}

const isOn = (name: string, value: unknown): boolean => {
  if (typeof value === 'boolean') return value
  if (typeof value === 'number') return value !== 0
  throw new Misuse('bad-argument', `${name}: value must be a number or a boolean`)
}

const MS_MAX = 0x7fff_ffff

function milliseconds(name: string, value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= MS_MAX))
    throw new Errno('EDOM', `${name}: value must be a time in milliseconds`)
  return value
}

/** `{onoff, linger}` with seconds, as struct linger. */
function lingerOf(value: unknown): number | null {
  const { onoff, linger } = (value ?? {}) as { onoff?: unknown; linger?: unknown }
  if (typeof linger !== 'number' || !(linger >= 0))
    throw new Misuse('bad-argument', 'SO_LINGER: {onoff, linger}')
  return isOn('SO_LINGER', onoff) ? linger * 1_000 : null
}

const OWN: Readonly<Record<string, OwnOption>> = {
  SO_REUSEADDR: {
    read: (socket, value) => {
      socket.reuseAddress = isOn('SO_REUSEADDR', value)
    },
    show: socket => Number(socket.reuseAddress),
  },
  SO_REUSEPORT: {
    read: (socket, value) => {
      socket.reusePort = isOn('SO_REUSEPORT', value)
    },
    show: socket => Number(socket.reusePort),
  },
  IPV6_V6ONLY: {
    read: (socket, value) => {
      if (socket.bound !== null) throw new Errno('EINVAL', 'IPV6_V6ONLY: the socket is bound')
      socket.ipv6Only = isOn('IPV6_V6ONLY', value)
    },
    show: socket => Number(socket.ipv6Only),
  },
  SO_LINGER: {
    read: (socket, value) => {
      socket.lingerMs = lingerOf(value)
    },
    show: ({ lingerMs }) => ({ onoff: Number(lingerMs !== null), linger: (lingerMs ?? 0) / 1_000 }),
  },
  SO_RCVTIMEO: {
    read: (socket, value) => {
      socket.receiveTimeoutUs = milliseconds('SO_RCVTIMEO', value) * 1_000
    },
    show: socket => socket.receiveTimeoutUs / 1_000,
  },
  SO_SNDTIMEO: {
    read: (socket, value) => {
      socket.sendTimeoutUs = milliseconds('SO_SNDTIMEO', value) * 1_000
    },
    show: socket => socket.sendTimeoutUs / 1_000,
  },
  SO_ERROR: { show: socket => socket.takeError()?.errno ?? 0 },
  SO_TYPE: { show: () => 'stream' },
  SO_DOMAIN: { show: socket => (socket.family === 4 ? 'inet' : 'inet6') },
  SO_PROTOCOL: { show: () => 6 },
  SO_ACCEPTCONN: { show: socket => Number(socket.isListening) },
  TCP_INFO: { show: socket => linuxInfo(socket.info()) },
}

const TTL = 64
const MSS_UNKNOWN = 536

/** What holds where nobody set anything: a setting of 0 stands for the stack's. */
const STACKS_OWN: Readonly<Record<string, (socket: ScriptSocket, tcp: Readonly<TcpSettings>) => number>> = {
  TCP_MAXSEG: socket => socket.info().sndMss ?? MSS_UNKNOWN,
  SO_RCVBUF: (socket, tcp) => socket.info().rcvBuf ?? tcp.receiveBytes,
  SO_SNDBUF: (socket, tcp) => socket.info().sndBuf ?? tcp.sendBytes,
  TCP_KEEPIDLE: (_, tcp) => tcp.keepIdleMs / 1_000,
  TCP_KEEPINTVL: (_, tcp) => tcp.keepIntervalMs / 1_000,
  TCP_KEEPCNT: (_, tcp) => tcp.keepProbes,
  IP_TTL: () => TTL,
  IPV6_UNICAST_HOPS: () => TTL,
}

/** For messages. */
const KNOWN = [...Object.keys(OWN), ...SETTING_OPTIONS]

function refuse(name: string): Errno {
  return new Errno('ENOPROTOOPT', `nobody knows the option ${name}; there are ${KNOWN.join(', ')}`)
}

const setsockopt: Command = args => {
  const fd = readFd(args)
  const name = args.string('name')
  const value = args.raw('value')
  return session => {
    const socket = session.find(fd)
    const own = Object.hasOwn(OWN, name) ? OWN[name]! : null
    if (own !== null) {
      if (own.read === undefined) throw new Errno('ENOPROTOOPT', `${name} can be read only`)
      own.read(socket, value)
      return { value: 0 }
    }
    const settings = readOption(name, value)
    if (settings === null) throw refuse(name)
    socket.set(settings)
    session.rest()
    return { value: 0 }
  }
}

const getsockopt: Command = args => {
  const fd = readFd(args)
  const name = args.string('name')
  return session => {
    const socket = session.find(fd)
    if (Object.hasOwn(OWN, name)) return { value: 0, result: OWN[name]!.show(socket, session) }
    const shown = showOption(name, socket.effective)
    if (shown === undefined) throw refuse(name)
    const own = shown === 0 ? STACKS_OWN[name] : undefined
    const result = own === undefined ? shown : own(socket, { ...TCP_SETTINGS, ...session.options.tcp })
    return { value: 0, result }
  }
}

export const OPTION_COMMANDS: Readonly<Record<string, Command>> = { setsockopt, getsockopt }
