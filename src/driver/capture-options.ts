/** What a capture records and how much of it. */
import { StackError } from '../base/errors.ts'
import { type PacketFilter, parseCaptureFilter } from './capture-filter.ts'
import type { CaptureSink } from './capture-recording.ts'

export interface CaptureOptions {
  /** A file to write; opened by whoever made the module. */
  readonly file: string | null
  /** A sink given in code, instead of a file. */
  readonly sink: CaptureSink | null
  /** Most bytes of a packet. */
  readonly snaplen: number
  /** After so many packets, or bytes of packets, the capture ends; 0 for no limit. */
  readonly packets: number
  readonly bytes: number
  /** Keep only the last so many packets and write them at the end; 0 writes all as they come. */
  readonly ring: number
  /** Memory for packets that wait to be written. */
  readonly bufferBytes: number
  readonly direction: 'in' | 'out' | 'both'
  /** Words of pcap-filter(7), see {@link parseCaptureFilter}; empty for everything. */
  readonly filterText: string
  readonly filter: PacketFilter | null
  /** For the reader of the file. */
  readonly comment: string
  /** Whether packets carry a comment that tells of their offload fields. */
  readonly comments: boolean
}

const NUMBERS: Readonly<Record<string, readonly [least: number, most: number, fallback: number]>> = {
  snaplen: [1, 262_144, 262_144],
  packets: [0, 2 ** 40, 0],
  bytes: [0, 2 ** 50, 0],
  ring: [0, 1_000_000, 0],
  bufferBytes: [4_096, 1024 * 1024 * 1024, 4 * 1024 * 1024],
}
const OTHER_KEYS = ['file', 'sink', 'direction', 'filter', 'comment', 'comments'] as const
const COMMENT_MAX = 1_000

const bad = (key: string, value: unknown, expected: string): StackError =>
  new StackError('ERR_BAD_CONFIG', `capture: ${key}: ${JSON.stringify(value)} is not ${expected}`)

function number(record: Readonly<Record<string, unknown>>, key: string): number {
  const [least, most, fallback] = NUMBERS[key]!
  const given = record[key] ?? fallback
  const value = typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : given
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw bad(key, given, `a whole number from ${least} to ${most}`)
}

function text(record: Readonly<Record<string, unknown>>, key: string): string {
  const value = record[key] ?? ''
  if (typeof value === 'string' && value.length <= COMMENT_MAX) return value
  throw bad(key, value, `text of at most ${COMMENT_MAX} characters`)
}

function isSink(value: unknown): value is CaptureSink {
  const { write, startedAtUs } = (value ?? {}) as Partial<CaptureSink>
  return typeof write === 'function' && Number.isFinite(startedAtUs)
}

/** @throws StackError `ERR_BAD_CONFIG`, naming the key */
export function parseCaptureOptions(value: unknown): CaptureOptions {
  if (value !== undefined && value !== null && (typeof value !== 'object' || Array.isArray(value)))
    throw bad('options', value, 'a set of options')
  const record = (value ?? {}) as Readonly<Record<string, unknown>>
  const known = [...OTHER_KEYS, ...Object.keys(NUMBERS)]
  for (const key of Object.keys(record)) {
    if (!known.includes(key))
      throw new StackError('ERR_BAD_CONFIG', `capture: unknown key "${key}"`, {
        hint: `known: ${known.join(', ')}`,
      })
  }
  const direction = record['direction'] ?? 'both'
  if (direction !== 'in' && direction !== 'out' && direction !== 'both')
    throw bad('direction', direction, 'in, out or both')
  const comments = record['comments'] ?? false
  if (typeof comments !== 'boolean') throw bad('comments', comments, 'true or false')
  const sink = record['sink'] ?? null
  if (sink !== null && !isSink(sink)) throw bad('sink', typeof sink, 'an object with write and startedAtUs')
  const filterText = text(record, 'filter')
  return {
    file: text(record, 'file') || null,
    sink,
    snaplen: number(record, 'snaplen'),
    packets: number(record, 'packets'),
    bytes: number(record, 'bytes'),
    ring: number(record, 'ring'),
    bufferBytes: number(record, 'bufferBytes'),
    direction,
    filterText,
    filter: filterText.trim() === '' ? null : parseCaptureFilter(filterText),
    comment: text(record, 'comment'),
    comments,
  }
}
