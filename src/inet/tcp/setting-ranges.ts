/** What settings may be: the ranges, told apart by unit, and the checks. Configurations, commands and programs all come by here. */
import { type ErrorCode, StackError } from '../../base/errors.ts'
import { CONNECTION_SETTINGS, type ConnectionSettings, TCP_SETTINGS, type TcpSettings } from './settings.ts'

export type SettingUnit = 'bytes' | 'ms' | 'count'

export interface SettingRange {
  readonly min: number
  readonly max: number
  readonly unit: SettingUnit
  /** For people: what it is, as one sentence. */
  readonly text: string
  /** What each number stands for, where it is a choice and no amount. */
  readonly choices?: string
}

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB
const HOUR = 3_600_000

const bytes = (min: number, max: number, text: string): SettingRange => ({ min, max, unit: 'bytes', text })
const ms = (min: number, max: number, text: string): SettingRange => ({ min, max, unit: 'ms', text })
const count = (min: number, max: number, text: string): SettingRange => ({ min, max, unit: 'count', text })
const choice = (max: number, text: string, choices: string): SettingRange => ({
  ...count(0, max, `${text}: ${choices}`),
  choices,
})
const onOff = (text: string): SettingRange => choice(1, text, '0 off, 1 on')

export const TCP_SETTING_RANGES: Readonly<Record<keyof TcpSettings, SettingRange>> = {
  memoryBytes: bytes(MIB, 2 * GIB - 1, 'Memory that all connections together may hold'),
  receiveBytes: bytes(2 * KIB, GIB, 'Receive buffer of a connection at first'),
  receiveBytesMax: bytes(2 * KIB, GIB, 'Receive buffer that auto-tuning may reach'),
  sendBytes: bytes(2 * KIB, GIB, 'Send buffer of a connection at first'),
  sendBytesMax: bytes(2 * KIB, GIB, 'Send buffer that auto-tuning may reach'),
  autoTuning: onOff('Grow buffers by what the path takes'),
  timestamps: onOff('Timestamps (RFC 7323)'),
  sack: onOff('Selective acknowledgments (RFC 2018)'),
  windowScaling: onOff('Windows above 64 KiB (RFC 7323)'),
  ecn: choice(2, 'ECN (RFC 3168)', '0 never, 1 if the peer asks for it, 2 asks for it'),
  synCookies: choice(2, 'SYN cookies', '0 never, 1 when too many connections are half open, 2 always'),
  synBacklog: count(1, 1_048_576, 'Half-open connections of all listeners together'),
  synRetries: count(0, 127, 'How often a SYN is sent again'),
  synAckRetries: count(0, 127, 'How often the answer to a SYN is sent again'),
  r1Retries: count(0, 127, 'Retransmissions until the path is doubted'),
  r2Ms: ms(1_000, 24 * HOUR, 'How long retransmissions go on'),
  rtoInitialMs: ms(10, 60_000, 'Retransmission timeout before anything was measured'),
  rtoMinMs: ms(1, 60_000, 'Least retransmission timeout'),
  rtoMaxMs: ms(1_000, 600_000, 'Greatest retransmission timeout'),
  delayedAckMs: ms(0, 500, 'How long an acknowledgment may wait (at most 500 ms, RFC 9293)'),
  keepIdleMs: ms(
    1_000,
    24 * HOUR,
    'Silence before the first keep-alive probe, where a connection asks for them',
  ),
  keepIntervalMs: ms(1_000, HOUR, 'Time between keep-alive probes'),
  keepProbes: count(1, 127, 'Unanswered keep-alive probes that end a connection'),
  timeWaitMs: ms(0, HOUR, 'How long TIME-WAIT lasts: twice the maximum segment lifetime'),
  timeWaitMax: count(0, 1_048_576, 'Connections in TIME-WAIT, 72 bytes each'),
  finWait2Ms: ms(1_000, HOUR, 'How long FIN-WAIT-2 of a closed socket lasts'),
  connectionsMax: count(1, 4_194_304, 'Connections'),
  zeroWindowPerSource: count(1, 1_048_576, 'Connections of one peer that may stand with a window of zero'),
  challengeAcksPerSecond: count(0, 1_000_000, 'Challenge ACKs of a connection in a second (RFC 5961)'),
  resetsPerSecond: count(0, 10_000_000, 'Resets to strays in a second'),
  reassemblySegments: count(1, 65_536, 'Segments out of order that a connection may hold'),
  initialWindowSegments: count(1, 64, 'Initial congestion window in segments (RFC 6928)'),
  mssMin: bytes(28, 1_460, 'Least maximum segment size that a peer may announce'),
  mtuProbing: choice(2, 'Path MTU probing', '0 never, 1 when a black hole is suspected, 2 always'),
  pacing: onOff('Spread segments over the round trip'),
  portFirst: count(1, 65_535, 'First port that is chosen for programs that name none'),
  portLast: count(1, 65_535, 'Last port that is chosen'),
}

/** Pairs of which the first must not be more than the second. */
const ORDERED: readonly (readonly [keyof TcpSettings, keyof TcpSettings])[] = [
  ['receiveBytes', 'receiveBytesMax'],
  ['sendBytes', 'sendBytesMax'],
  ['rtoMinMs', 'rtoInitialMs'],
  ['rtoInitialMs', 'rtoMaxMs'],
  ['portFirst', 'portLast'],
]

/** 0 always stands for the stack's own. */
const CONNECTION_RANGES: Readonly<Record<string, SettingRange>> = {
  keepIdleMs: ms(1, 24 * HOUR, ''),
  keepIntervalMs: ms(1, 24 * HOUR, ''),
  keepProbes: count(1, 127, ''),
  userTimeoutMs: ms(1, 24 * HOUR, ''),
  ttl: count(1, 255, ''),
  trafficClass: count(0, 255, ''),
  maxSegment: bytes(48, 65_495, ''),
  receiveBytes: bytes(2 * KIB, GIB, ''),
  sendBytes: bytes(2 * KIB, GIB, ''),
}

const UNIT_BYTES: Readonly<Record<string, number>> = { '': 1, KiB: KIB, MiB: MIB, GiB: GIB }
const UNIT_MS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1_000, m: 60_000, h: HOUR }

/** A number from what was written: `65536`, `"64KiB"`, `"1.5s"`, `true`. NaN if it is none. */
function toNumber(value: unknown, unit: SettingUnit): number {
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return unit === 'count' ? Number(value) : Number.NaN
  const match = typeof value === 'string' ? /^([0-9]+(?:\.[0-9]+)?) ?([a-zA-Z]*)$/.exec(value) : null
  if (match === null) return Number.NaN
  const units = unit === 'bytes' ? UNIT_BYTES : unit === 'ms' ? UNIT_MS : { '': 1 }
  return Number(match[1]) * (units[match[2]!] ?? Number.NaN)
}

const EXAMPLE = { bytes: ' bytes (or as 64KiB)', ms: ' milliseconds (or as 30s)', count: '' } as const

/** What is wrong with a value; null if nothing is. */
export function problemWith(value: unknown, { min, max, unit, choices }: SettingRange): string | null {
  const number = toNumber(value, unit)
  return Number.isInteger(number) && number >= min && number <= max
    ? null
    : `has to be ${min} to ${max}${choices === undefined ? EXAMPLE[unit] : ` (${choices})`}`
}

type Fields = Readonly<Record<string, unknown>>

function asFields(what: string, value: unknown, known: readonly string[], code: ErrorCode): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new StackError(code, `${what}: settings are given by name`)
  const unknown = Object.keys(value).find(name => !known.includes(name))
  if (unknown === undefined) return value as Fields
  throw new StackError(code, `${what}: there is no setting "${unknown}"`, {
    hint: `known: ${known.join(', ')}`,
  })
}

/**
 * Settings of the stack from outside; those not named are left out.
 * @param before - what holds now: some only make sense together
 * @throws StackError `ERR_BAD_CONFIG`, naming the setting and its range
 */
export function readTcpSettings(
  value: unknown,
  before: Readonly<TcpSettings> = TCP_SETTINGS,
): Partial<TcpSettings> {
  const names = Object.keys(TCP_SETTING_RANGES) as (keyof TcpSettings)[]
  const given = asFields('tcp', value, names, 'ERR_BAD_CONFIG')
  const read: Record<string, number> = {}
  for (const name of names) {
    if (given[name] === undefined) continue
    const range = TCP_SETTING_RANGES[name]
    const problem = problemWith(given[name], range)
    if (problem !== null) throw new StackError('ERR_BAD_CONFIG', `tcp: ${name} ${problem}`)
    read[name] = toNumber(given[name], range.unit)
  }
  const whole: Readonly<Record<string, number>> = { ...before, ...read }
  for (const [low, high] of ORDERED) {
    if (whole[low]! > whole[high]!)
      throw new StackError(
        'ERR_BAD_CONFIG',
        `tcp: ${low} (${whole[low]}) must not be more than ${high} (${whole[high]})`,
      )
  }
  return read as Partial<TcpSettings>
}

/**
 * Settings of a connection from outside, on top of others.
 * @throws StackError `ERR_BAD_ARGUMENT`, naming the setting and its range
 */
export function readConnectionSettings(value: unknown, before: ConnectionSettings): ConnectionSettings {
  const names = Object.keys(CONNECTION_SETTINGS)
  const given = asFields('connection', value, names, 'ERR_BAD_ARGUMENT')
  const read: Record<string, unknown> = { ...before }
  for (const [name, asked] of Object.entries(given))
    if (asked !== undefined) read[name] = checked(name, asked)
  return read as unknown as ConnectionSettings
}

function checked(name: string, value: unknown): unknown {
  const refuse = (what: string): never => {
    throw new StackError('ERR_BAD_ARGUMENT', `connection: ${name} ${what}`)
  }
  const range = CONNECTION_RANGES[name]
  if (range !== undefined) {
    const number = toNumber(value, range.unit)
    const problem = number === 0 ? null : problemWith(value, range)
    return problem === null ? number : refuse(`${problem}, or 0 for the stack's own`)
  }
  if (name === 'congestion') {
    // Linux calls it reno.
    if (value === 'reno') return 'newreno'
    return value === 'cubic' || value === 'newreno' ? value : refuse('has to be cubic or newreno (reno)')
  }
  return typeof value === 'boolean' ? value : refuse('has to be true or false')
}
