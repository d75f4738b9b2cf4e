/** What client and server agree on before a test, and its form on the wire. */
import * as v from 'valibot'
import { DATAGRAM_HEADER_BYTES } from './datagram-header.ts'

export type Direction = 'forward' | 'reverse' | 'both'

/** One test. `seconds` or `bytes` or `blocks` ends it; the other two are 0. */
export interface TestParameters {
  readonly protocol: 'tcp' | 'udp'
  /** `forward`: the client sends. */
  readonly direction: Direction
  /** Connections, of each direction. */
  readonly parallel: number
  readonly seconds: number
  /** Of all connections together. */
  readonly bytes: number
  readonly blocks: number
  /** At the beginning, not counted. */
  readonly omitSeconds: number
  /** Of one write. */
  readonly blockBytes: number
  /** Of each connection; 0 for no limit. */
  readonly bitsPerSecond: number
  readonly noDelay: boolean
  /** Upper bound of a segment; 0 for the path's. */
  readonly maxSegment: number
  /** Of the buffers on both sides; 0 to let them grow. */
  readonly windowBytes: number
  /** UDP: packet counters of 64 bits. */
  readonly wideCounters: boolean
}

/** iperf3's own bounds: MAX_STREAMS, MAX_BLOCKSIZE, MAX_TIME, MAX_OMIT_TIME, MAX_TCP_BUFFER. */
export const STREAMS_MAX = 128
export const BLOCK_BYTES_MAX = 1024 * 1024
export const SECONDS_MAX = 86_400
export const OMIT_SECONDS_MAX = 600
const WINDOW_BYTES_MAX = 512 * 1024 * 1024
export const TCP_BLOCK_BYTES = 128 * 1024
export const TEST_SECONDS = 10
/** Of a UDP test, by default: what fits a packet of 1,500 bytes by IPv6 too; and its rate, which is iperf3's. */
export const UDP_BLOCK_BYTES = 1_448
export const UDP_BITS_PER_SECOND = 1024 * 1024
export const DATAGRAM_BYTES_MAX = 65_507

const integer = (min: number, max: number, otherwise = 0) =>
  v.optional(v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max)), otherwise)
const flag = v.optional(
  v.pipe(
    v.union([v.boolean(), v.number()]),
    v.transform(value => value === true || (typeof value === 'number' && value !== 0)),
  ),
  false,
)

/** What other keys say (`client_version`, `pacing_timer`, `congestion`, `TOS`, …) is of no consequence here. */
const wireSchema = v.looseObject({
  tcp: flag,
  udp: flag,
  sctp: flag,
  omit: integer(0, OMIT_SECONDS_MAX),
  time: integer(0, SECONDS_MAX),
  num: integer(0, Number.MAX_SAFE_INTEGER),
  blockcount: integer(0, Number.MAX_SAFE_INTEGER),
  parallel: integer(1, STREAMS_MAX, 1),
  reverse: flag,
  bidirectional: flag,
  len: integer(1, BLOCK_BYTES_MAX, TCP_BLOCK_BYTES),
  bandwidth: integer(0, Number.MAX_SAFE_INTEGER),
  nodelay: flag,
  MSS: integer(0, 65_535),
  window: integer(0, WINDOW_BYTES_MAX),
  udp_counters_64bit: flag,
})

/** Parameters, or in words why not. */
export type ReadParameters =
  | { readonly kind: 'parameters'; readonly parameters: TestParameters }
  | { readonly kind: 'refused'; readonly reason: string; readonly unimplemented: boolean }

/** Reads what a client sent. */
export function readParameters(value: unknown): ReadParameters {
  const result = v.safeParse(wireSchema, value)
  const refused = (reason: string, unimplemented = false): ReadParameters => ({
    kind: 'refused',
    reason,
    unimplemented,
  })
  if (!result.success) {
    const [issue] = result.issues
    return refused(`${v.getDotPath(issue) ?? 'parameters'}: ${issue.message}`)
  }
  const wire = result.output
  if (wire.sctp) return refused('SCTP is not implemented', true)
  if (wire.udp && wire.len > DATAGRAM_BYTES_MAX)
    return refused(`len: a datagram has at most ${DATAGRAM_BYTES_MAX} bytes`)
  if (wire.udp && wire.len < DATAGRAM_HEADER_BYTES)
    return refused(`len: a datagram has at least ${DATAGRAM_HEADER_BYTES} bytes`)
  return {
    kind: 'parameters',
    parameters: {
      protocol: wire.udp ? 'udp' : 'tcp',
      direction: wire.bidirectional ? 'both' : wire.reverse ? 'reverse' : 'forward',
      parallel: wire.parallel,
      seconds: wire.time,
      bytes: wire.num,
      blocks: wire.blockcount,
      omitSeconds: wire.omit,
      blockBytes: wire.len,
      bitsPerSecond: wire.bandwidth,
      noDelay: wire.nodelay,
      maxSegment: wire.MSS,
      windowBytes: wire.window,
      wideCounters: wire.udp_counters_64bit,
    },
  }
}

/** What a client sends: the keys of iperf3 3.12 in their order; what is at its default is left out, as there. */
export function wireParameters(parameters: TestParameters): Record<string, unknown> {
  const { protocol, direction, bitsPerSecond, noDelay, maxSegment, windowBytes, wideCounters } = parameters
  return {
    [protocol]: true,
    omit: parameters.omitSeconds,
    time: parameters.seconds,
    num: parameters.bytes,
    blockcount: parameters.blocks,
    ...(maxSegment === 0 ? {} : { MSS: maxSegment }),
    ...(noDelay ? { nodelay: true } : {}),
    parallel: parameters.parallel,
    ...(direction === 'reverse' ? { reverse: true } : {}),
    ...(direction === 'both' ? { bidirectional: true } : {}),
    ...(windowBytes === 0 ? {} : { window: windowBytes }),
    len: parameters.blockBytes,
    ...(bitsPerSecond === 0 ? {} : { bandwidth: bitsPerSecond }),
    pacing_timer: 1_000,
    ...(wideCounters ? { udp_counters_64bit: 1 } : {}),
    client_version: '3.12',
  }
}

/** One connection of a test, as one side sees it. */
export interface StreamPlan {
  readonly number: number
  /** Whether this side sends. */
  readonly sending: boolean
}
