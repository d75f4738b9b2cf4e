import { assert } from '../../src/base/assert.ts'
import type { Random } from '../../src/base/prng.ts'
import { makeTcpCounters } from '../../src/inet/tcp/counters.ts'
import { OPTIONS_MAX, readOptions, writeOptions, writeSynOptions } from '../../src/inet/tcp/options.ts'
import { Segment } from '../../src/inet/tcp/segment.ts'
import {
  ACK,
  CONTROL,
  DATA_OFFSET,
  emitTcp,
  SYN,
  TCP_HEADER_BYTES,
  tcpAcknowledgment,
  tcpDestinationPort,
  tcpHeaderBytes,
  tcpSequence,
  tcpSourcePort,
} from '../../src/inet/wire/tcp.ts'
import type { FuzzTarget } from './target.ts'

const counters = makeTcpCounters()
const COUNTED = ['option-malformed', 'mss-clamped', 'window-scale-clamped', 'sack-blocks-in'] as const

/** The header with `garbage` around it, as it lies in a block: what is read from there shows. */
function within(garbage: number, input: Uint8Array, before: number): Uint8Array {
  const bytes = new Uint8Array(before + input.length + 64).fill(garbage)
  bytes.set(input, before)
  return bytes
}

interface Read {
  readonly segment: Segment
  readonly counted: string
}

function readHeader(bytes: Uint8Array, at: number, size: number): Read | string {
  const headerBytes = tcpHeaderBytes(bytes, at, at + size, size)
  if (typeof headerBytes === 'string') return headerBytes
  assert(headerBytes >= TCP_HEADER_BYTES && headerBytes <= size, 'a header beyond the segment')
  const segment = new Segment()
  for (const name of COUNTED) counters[name] = 0
  segment.control = bytes[at + CONTROL]!
  segment.seq = tcpSequence(bytes, at)
  segment.ack = tcpAcknowledgment(bytes, at)
  segment.ports = (tcpDestinationPort(bytes, at) << 16) | tcpSourcePort(bytes, at)
  readOptions(counters, segment, bytes, at + TCP_HEADER_BYTES, at + headerBytes)
  return { segment, counted: COUNTED.map(name => counters[name]).join(' ') }
}

function checkRead({ segment }: Read): void {
  const syn = (segment.control & SYN) !== 0
  assert(segment.mss === 0 || (syn && segment.mss >= 48 && segment.mss <= 65_535), 'an MSS that cannot be')
  assert(segment.windowScale >= -1 && segment.windowScale <= 14, 'a shift that cannot be')
  assert(syn || (segment.windowScale === -1 && !segment.sackPermitted), 'an option of a SYN without one')
  assert(segment.sackCount >= 0 && segment.sackCount <= (syn ? 0 : 4), 'too many SACK blocks')
  assert(segment.hasTimestamps || (segment.tsValue | segment.tsEcho) === 0, 'timestamps that are none')
}

const optionsOf = (segment: Segment): string => {
  const { mss, windowScale, sackPermitted, hasTimestamps, tsValue, tsEcho, sackCount, sack } = segment
  const blocks = [...sack.subarray(0, 2 * sackCount)]
  return JSON.stringify([mss, windowScale, sackPermitted, hasTimestamps, tsValue, tsEcho, blocks])
}

/** What was read, written and read again, is the same. */
function checkRewritten(read: Segment): void {
  const bytes = new Uint8Array(TCP_HEADER_BYTES + OPTIONS_MAX)
  const { mss, windowScale, sackPermitted, hasTimestamps, tsValue, tsEcho, sack } = read
  const syn = (read.control & SYN) !== 0
  if (syn && mss === 0) return
  // Three blocks are all that fit beside timestamps.
  if (hasTimestamps) read.sackCount = Math.min(read.sackCount, 3)
  const size = syn
    ? writeSynOptions(bytes, 20, mss, windowScale, sackPermitted, hasTimestamps, tsValue, tsEcho)
    : writeOptions(bytes, 20, hasTimestamps, tsValue, tsEcho, sack, read.sackCount)
  assert((size & 3) === 0 && size <= OPTIONS_MAX, 'options that no header has')
  emitTcp(bytes, 0, 1, 2, read.seq, read.ack, TCP_HEADER_BYTES + size, read.control, 7)
  const again = readHeader(bytes, 0, TCP_HEADER_BYTES + size)
  assert(typeof again !== 'string', 'our own header is refused')
  assert(optionsOf(again.segment) === optionsOf(read), 'our own options say something else')
  assert(again.counted.startsWith('0 '), 'our own options are malformed')
}

function run(input: Uint8Array, random: Random): string {
  const before = random.below(70)
  const read = readHeader(within(0, input, before), before, input.length)
  const other = readHeader(within(0xff, input, before), before, input.length)
  if (typeof read === 'string' || typeof other === 'string') {
    assert(read === other, 'bytes outside decide what is dropped')
    return read as string
  }
  assert(
    optionsOf(read.segment) === optionsOf(other.segment) && read.counted === other.counted,
    'bytes outside the header were read',
  )
  checkRead(read)
  checkRewritten(read.segment)
  const { segment } = read
  return `${segment.mss !== 0} ${segment.windowScale >= 0} ${segment.hasTimestamps} ${segment.sackCount} ${read.counted}`
}

function seed(control: number, options: readonly number[], dataBytes = 8): Uint8Array {
  const bytes = new Uint8Array(TCP_HEADER_BYTES + options.length + dataBytes)
  emitTcp(bytes, 0, 1_000, 80, 0x7ffffff0, -5, TCP_HEADER_BYTES + options.length, control, 65_535)
  bytes.set(options, TCP_HEADER_BYTES)
  return bytes
}

const TIMESTAMPS = [8, 10, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff]
const SACK = [5, 18, ...new Array<number>(16).fill(9)]
const short = seed(ACK, [1, 1, ...TIMESTAMPS])
short[DATA_OFFSET] = 0x40

export const targets: readonly FuzzTarget[] = [
  {
    name: 'tcp-header',
    seeds: [
      seed(SYN, [2, 4, 5, 180, 4, 2, ...TIMESTAMPS, 1, 3, 3, 7]),
      seed(SYN | ACK, [2, 4, 0, 0, 1, 3, 3, 15]),
      seed(ACK, [1, 1, ...TIMESTAMPS, 1, 1, ...SACK]),
      seed(ACK, [1, 1, 5, 34, ...new Array<number>(32).fill(7)]),
      seed(ACK, [99, 0, 0, 0]),
      seed(ACK, [253, 4, 1, 2, 8, 9, 0, 0]),
      seed(ACK, []),
      short,
    ],
    run,
  },
]
