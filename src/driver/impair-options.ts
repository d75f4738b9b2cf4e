/** What a link can be made to do to packets, as people write it: `delay: 10ms`, `loss: 0.5%`, `rate: 20mbit`. */
import { StackError } from '../base/errors.ts'
import { addressText, type IpPrefix, parsePrefix } from '../host/ip-address.ts'

/** Impairments of one direction. Probabilities are from 0 to 1, times in microseconds. */
export interface ImpairSettings {
  readonly delay: number
  /** Each packet's delay varies by so much, more or less, evenly distributed. */
  readonly jitter: number
  /** Whether a packet with a short delay may overtake one with a long delay. */
  readonly jitterReorder: boolean
  readonly loss: number
  readonly duplicate: number
  /** The packet is held back until {@link gap} others have passed it, for 50 ms at the most. */
  readonly reorder: number
  readonly gap: number
  /** One bit of the packet is turned round. */
  readonly corrupt: number
  /** Bits a second, 0 for no limit. */
  readonly rate: number
  /** Bytes that may go at once before the rate counts; a packet always may. */
  readonly burst: number
  /** Packets, and bytes, that may wait for their time; what comes on top is dropped and counted. */
  readonly limit: number
  readonly limitBytes: number
  readonly partition: boolean
}

export interface ImpairOptions {
  readonly out: ImpairSettings
  readonly in: ImpairSettings
  /** What the settings that name no direction are for. */
  readonly direction: 'in' | 'out' | 'both'
  /** Only packets to (out) or from (in) these are impaired; all if there are none. */
  readonly match: readonly IpPrefix[]
  /** Of this instance's own random numbers; null takes them from the runtime's. */
  readonly seed: number | null
}

export const NO_IMPAIRMENT: ImpairSettings = {
  delay: 0,
  jitter: 0,
  jitterReorder: false,
  loss: 0,
  duplicate: 0,
  reorder: 0,
  gap: 3,
  corrupt: 0,
  rate: 0,
  burst: 0,
  limit: 1_000,
  limitBytes: 64 * 1024 * 1024,
  partition: false,
}

export const IMPAIR_DEFAULTS: ImpairOptions = {
  out: NO_IMPAIRMENT,
  in: NO_IMPAIRMENT,
  direction: 'both',
  match: [],
  seed: null,
}

const TIME_MAX_US = 3_600_000_000
const LIMIT_MAX = 100_000
const MATCH_MAX = 256
const TIMES: Units = { us: 1, ms: 1_000, s: 1_000_000 }
const RATES: Units = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 }
const SIZES: Units = { b: 1, kb: 1e3, kib: 1024, mb: 1e6, mib: 1024 * 1024 }

type Units = Readonly<Record<string, number>>
/** Turns what is written into a setting; undefined if it cannot be. */
type Reader = (value: unknown) => number | boolean | undefined

const inRange = (value: number, least: number, most: number): number | undefined =>
  value >= least && value <= most ? value : undefined

/** A number with a unit; a bare number is in `bare` units, text needs one. */
const quantity =
  (units: Units, bare: number, most: number): Reader =>
  value => {
    if (typeof value === 'number') return inRange(value * bare, 0, most)
    if (typeof value !== 'string') return undefined
    const found = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(value.trim())
    if (found === null) return undefined
    const [, amount, name] = found
    const unit = amount === '0' && name === '' ? 1 : units[name!.toLowerCase()]
    return unit === undefined ? undefined : inRange(Number(amount) * unit, 0, most)
  }

const probability: Reader = value => {
  if (typeof value === 'number') return inRange(value, 0, 1)
  if (typeof value !== 'string') return undefined
  const found = /^(\d+(?:\.\d+)?)\s*%$/.exec(value.trim())
  if (found === null) return value.trim() === '0' ? 0 : undefined
  return inRange(Number(found[1]) / 100, 0, 1)
}

const whole =
  (least: number, most: number): Reader =>
  value => {
    const number = typeof value === 'string' && /^\d+$/.test(value.trim()) ? Number(value) : value
    return Number.isInteger(number) ? inRange(number as number, least, most) : undefined
  }

const flag: Reader = value =>
  typeof value === 'boolean' ? value : value === 'true' ? true : value === 'false' ? false : undefined

const time = quantity(TIMES, 1_000, TIME_MAX_US)
const size = quantity({ '': 1, ...SIZES }, 1, 2 ** 31)

/** Each key of {@link ImpairSettings}: how it is read, and what to write when that fails. */
const READERS: Readonly<Record<keyof ImpairSettings, readonly [Reader, string]>> = {
  delay: [time, 'a time such as 10ms, up to an hour'],
  jitter: [time, 'a time such as 2ms, up to an hour'],
  jitterReorder: [flag, 'true or false'],
  loss: [probability, 'a share from 0% to 100%, such as 0.5%'],
  duplicate: [probability, 'a share from 0% to 100%, such as 0.5%'],
  reorder: [probability, 'a share from 0% to 100%, such as 0.5%'],
  gap: [whole(1, 1_000), 'a number of packets from 1 to 1000'],
  corrupt: [probability, 'a share from 0% to 100%, such as 0.5%'],
  rate: [quantity(RATES, 1, 1e12), 'bits a second such as 20mbit'],
  burst: [size, 'bytes such as 32kb'],
  limit: [whole(1, LIMIT_MAX), `a number of packets from 1 to ${LIMIT_MAX}`],
  limitBytes: [size, 'bytes such as 512kb'],
  partition: [flag, 'true or false'],
}

const TOP_KEYS = ['direction', 'match', 'seed', 'out', 'in', 'reset'] as const

function bad(key: string, value: unknown, expected: string): StackError {
  return new StackError('ERR_BAD_CONFIG', `impair: ${key}: ${JSON.stringify(value)} is not ${expected}`)
}

function asRecord(key: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw bad(key, value, 'a set of settings')
}

/** The settings among the keys of `record`; `others` are not looked at. */
function readSettings(
  path: string,
  record: Readonly<Record<string, unknown>>,
  others: readonly string[],
): Partial<ImpairSettings> {
  const found: Record<string, number | boolean> = {}
  for (const [key, value] of Object.entries(record)) {
    if (value === undefined || others.includes(key)) continue
    if (!Object.hasOwn(READERS, key)) {
      throw new StackError('ERR_BAD_CONFIG', `impair: unknown key "${path}${key}"`, {
        hint: `known: ${[...Object.keys(READERS), ...others].join(', ')}`,
      })
    }
    const [read, expected] = READERS[key as keyof ImpairSettings]
    const setting = read(value)
    if (setting === undefined) throw bad(`${path}${key}`, value, expected)
    found[key] = setting
  }
  return found as Partial<ImpairSettings>
}

function readMatch(value: unknown): IpPrefix[] {
  const list = typeof value === 'string' ? value.split(/[\s,]+/).filter(text => text !== '') : value
  if (!Array.isArray(list) || list.length > MATCH_MAX)
    throw bad('match', value, `a list of at most ${MATCH_MAX} prefixes`)
  return list.map(each => {
    try {
      if (typeof each === 'string') return parsePrefix(each)
    } catch (cause) {
      throw new StackError('ERR_BAD_CONFIG', `impair: match: ${(cause as Error).message}`, { cause })
    }
    throw bad('match', each, 'a prefix such as 10.0.0.0/8')
  })
}

/**
 * Reads options as a configuration or a command line has them.
 * @param value - keys of {@link ImpairSettings} for the directions that `direction` names (both by default), the
 * same keys under `out` and `in` for one direction, `match`, `seed`, and `reset: true` to forget `base`
 * @param base - what keys that are not given stay at
 * @throws StackError `ERR_BAD_CONFIG`, naming the key
 */
export function parseImpairOptions(value: unknown, base: ImpairOptions = IMPAIR_DEFAULTS): ImpairOptions {
  const record = value === undefined || value === null ? {} : asRecord('options', value)
  const reset = record['reset'] === undefined ? false : flag(record['reset'])
  if (reset === undefined) throw bad('reset', record['reset'], 'true or false')
  const from = reset === true ? IMPAIR_DEFAULTS : base
  const direction = record['direction'] ?? from.direction
  if (direction !== 'in' && direction !== 'out' && direction !== 'both')
    throw bad('direction', direction, 'in, out or both')
  const common = readSettings('', record, TOP_KEYS)
  const side = (name: 'out' | 'in'): ImpairSettings => ({
    ...from[name],
    ...(direction === name || direction === 'both' ? common : {}),
    ...(record[name] === undefined ? {} : readSettings(`${name}.`, asRecord(name, record[name]), [])),
  })
  const seed = record['seed'] === undefined ? from.seed : whole(0, 2 ** 32 - 1)(record['seed'])
  if (seed === undefined) throw bad('seed', record['seed'], 'a whole number below 2^32')
  return {
    out: side('out'),
    in: side('in'),
    direction,
    match: record['match'] === undefined ? from.match : readMatch(record['match']),
    seed: seed as number | null,
  }
}

/** Whether packets come and go as they are. */
export function isHarmless(settings: ImpairSettings): boolean {
  const { delay, jitter, loss, duplicate, reorder, corrupt, rate, partition } = settings
  return delay + jitter + loss + duplicate + reorder + corrupt + rate === 0 && !partition
}

/** Whether what happens depends on which packet it is, so that a super-packet is not to be one. */
export function actsPerPacket(settings: ImpairSettings): boolean {
  const { jitter, loss, duplicate, reorder, corrupt, rate } = settings
  return jitter + loss + duplicate + reorder + corrupt + rate > 0
}

const percent = (share: number): string => `${Number((100 * share).toPrecision(12))}%`
const TEXTS: Partial<Record<keyof ImpairSettings, (value: number) => string>> = {
  delay: us => `${us / 1_000}ms`,
  jitter: us => `${us / 1_000}ms`,
  loss: percent,
  duplicate: percent,
  reorder: percent,
  corrupt: percent,
  rate: bits => `${bits}bit`,
}

/** What differs from a perfect link, in the words of {@link parseImpairOptions}. */
function describeSettings(settings: ImpairSettings): Record<string, unknown> {
  const changed = Object.entries(settings).filter(
    ([key, value]) => value !== NO_IMPAIRMENT[key as keyof ImpairSettings],
  )
  return Object.fromEntries(
    changed.map(([key, value]) => [key, TEXTS[key as keyof ImpairSettings]?.(value as number) ?? value]),
  )
}

/** Options that {@link parseImpairOptions} reads back to the same, as a JSON value. */
export function describeImpairOptions(options: ImpairOptions): Record<string, unknown> {
  return {
    direction: options.direction,
    out: describeSettings(options.out),
    in: describeSettings(options.in),
    match: options.match.map(({ address, length }) => `${addressText(address)}/${length}`),
    ...(options.seed === null ? {} : { seed: options.seed }),
  }
}
