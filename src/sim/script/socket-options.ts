/** Socket options by their Linux names: which setting of a connection each one is, and what values it takes. */
import type { ConnectionSettings } from '../../inet/tcp/settings.ts'
import { Errno, Misuse } from './errno.ts'

type Settings = Partial<{ -readonly [K in keyof ConnectionSettings]: ConnectionSettings[K] }>
type NumberSetting = {
  [K in keyof ConnectionSettings]: ConnectionSettings[K] extends number ? K : never
}[keyof ConnectionSettings]
type FlagSetting = {
  [K in keyof ConnectionSettings]: ConnectionSettings[K] extends boolean ? K : never
}[keyof ConnectionSettings]

/** An option that is a setting of the connection. */
interface Option {
  /** @throws Errno EINVAL */
  read(value: unknown): Settings
  show(settings: ConnectionSettings): unknown
}

const invalid = (name: string, value: unknown): Errno =>
  new Errno('EINVAL', `${name}: ${JSON.stringify(value)} is out of range`)

const integerOf = (name: string, value: unknown): number => {
  const number = typeof value === 'boolean' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number))
    throw new Misuse('bad-argument', `${name}: value must be a whole number or a boolean`)
  return number
}

const flag = (name: string, setting: FlagSetting): Option => ({
  read: value => ({ [setting]: integerOf(name, value) !== 0 }),
  show: settings => Number(settings[setting]),
})

/** @param unit - how many of the setting's units one of the option's is */
const number = (name: string, setting: NumberSetting, least: number, most: number, unit = 1): Option => ({
  read: value => {
    const count = integerOf(name, value)
    if (count < least || count > most) throw invalid(name, value)
    return { [setting]: count * unit }
  },
  show: settings => settings[setting] / unit,
})

const congestion: Option = {
  read: value => {
    if (value === 'cubic' || value === 'newreno') return { congestion: value }
    if (value === 'reno') return { congestion: 'newreno' }
    throw new Errno('ENOENT', `TCP_CONGESTION: there is no ${JSON.stringify(value)}`)
  },
  // Under Linux's name.
  show: settings => (settings.congestion === 'newreno' ? 'reno' : settings.congestion),
}

const BUFFER_LEAST = 2_048
const BUFFER_MOST = 1 << 30

/** Bounds are Linux's, so that a value that is refused there is refused here. */
const OPTIONS: Readonly<Record<string, Option>> = {
  TCP_NODELAY: flag('TCP_NODELAY', 'noDelay'),
  TCP_CORK: flag('TCP_CORK', 'cork'),
  TCP_QUICKACK: flag('TCP_QUICKACK', 'quickAck'),
  SO_KEEPALIVE: flag('SO_KEEPALIVE', 'keepAlive'),
  SO_OOBINLINE: flag('SO_OOBINLINE', 'urgentInline'),
  TCP_KEEPIDLE: number('TCP_KEEPIDLE', 'keepIdleMs', 1, 32_767, 1_000),
  TCP_KEEPINTVL: number('TCP_KEEPINTVL', 'keepIntervalMs', 1, 32_767, 1_000),
  TCP_KEEPCNT: number('TCP_KEEPCNT', 'keepProbes', 1, 127),
  TCP_USER_TIMEOUT: number('TCP_USER_TIMEOUT', 'userTimeoutMs', 0, 0x7fff_ffff),
  TCP_MAXSEG: number('TCP_MAXSEG', 'maxSegment', 88, 32_767),
  SO_RCVBUF: number('SO_RCVBUF', 'receiveBytes', BUFFER_LEAST, BUFFER_MOST),
  SO_SNDBUF: number('SO_SNDBUF', 'sendBytes', BUFFER_LEAST, BUFFER_MOST),
  IP_TTL: number('IP_TTL', 'ttl', 1, 255),
  IPV6_UNICAST_HOPS: number('IPV6_UNICAST_HOPS', 'ttl', 0, 255),
  IP_TOS: number('IP_TOS', 'trafficClass', 0, 255),
  IPV6_TCLASS: number('IPV6_TCLASS', 'trafficClass', 0, 255),
  TCP_CONGESTION: congestion,
}

export const SETTING_OPTIONS: readonly string[] = Object.keys(OPTIONS)

/** @returns the settings that the option changes, null if it is none of these. @throws Errno EINVAL */
export function readOption(name: string, value: unknown): Settings | null {
  return Object.hasOwn(OPTIONS, name) ? OPTIONS[name]!.read(value) : null
}

/** @returns undefined if the option is none of these */
export function showOption(name: string, settings: ConnectionSettings): unknown {
  return Object.hasOwn(OPTIONS, name) ? OPTIONS[name]!.show(settings) : undefined
}
