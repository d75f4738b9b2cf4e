/** What may be asked of a control port: the bodies of its requests, checked before anything is done. */
import * as v from 'valibot'
import { StackError } from '../base/errors.ts'
import { IPERF_PORT } from './config-services.ts'
import { BLOCK_BYTES_MAX, OMIT_SECONDS_MAX, SECONDS_MAX, STREAMS_MAX } from './iperf/parameters.ts'

const NAME_MAX = 200

const text = v.pipe(v.string(), v.nonEmpty(), v.maxLength(NAME_MAX))
const options = v.optional(v.unknown())

const push = v.strictObject({ op: v.literal('push'), stream: text, module: text, options })
const insert = v.strictObject({ op: v.literal('insert'), stream: text, module: text, below: text, options })
const remove = v.strictObject({ op: v.literal('remove'), stream: text, module: text })
const pop = v.strictObject({ op: v.literal('pop'), stream: text })
const configure = v.strictObject({
  op: v.literal('configure'),
  stream: text,
  module: text,
  options: v.unknown(),
})
const ioctl = v.strictObject({
  op: v.literal('ioctl'),
  stream: text,
  module: v.optional(text),
  command: text,
  argument: v.optional(v.unknown()),
})
const load = v.strictObject({ op: v.literal('load'), file: v.pipe(v.string(), v.nonEmpty()) })

/** POST /plumbing */
export const plumbingRequest = v.variant('op', [push, insert, remove, pop, configure, ioctl, load])

/** POST /ping */
export const pingRequest = v.strictObject({
  address: text,
  count: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000)), 4),
  intervalMs: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(3_600_000)), 1_000),
  bytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_507)), 56),
  timeoutMs: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(3_600_000)), 1_000),
  ttl: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(255))),
})

/** POST /faults: what a link does to packets from now on; null or nothing undoes it. */
export const faultRequest = v.strictObject({
  link: text,
  impair: v.optional(v.nullable(v.record(v.string(), v.unknown())), null),
})

/** POST /capture/start: to a file. POST /capture: the answer is the capture. */
export const captureRequest = v.strictObject({
  stream: v.optional(text),
  /** Below which instance to listen; the top of the stream by default. */
  module: v.optional(text),
  snaplen: v.optional(v.pipe(v.number(), v.integer(), v.minValue(64), v.maxValue(262_144))),
  filter: v.optional(v.pipe(v.string(), v.maxLength(1_000))),
  count: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  /** At most three weeks: Node's timers count 31 bits of milliseconds, and end at once beyond that. */
  seconds: v.optional(v.pipe(v.number(), v.minValue(0.001), v.maxValue(21 * 24 * 3_600))),
  file: v.optional(v.pipe(v.string(), v.nonEmpty())),
})

/** POST /capture/stop */
export const captureStopRequest = v.strictObject({ id: text })

/** The head of an upgrade to datagrams, from the query of GET /udp. */
export const udpRequest = v.strictObject({
  /** Where to send; nobody yet for one that listens. */
  to: v.optional(text),
  toPort: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
  port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535)), 0),
  address: v.optional(text),
})

const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))
const anyPort = v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535)), 0)

/** The head of an upgrade to a byte stream, from the query of GET /tcp: connects, or takes what a listener announced. */
export const tcpRequest = v.union(
  [
    v.strictObject({ accept: v.pipe(v.number(), v.integer(), v.minValue(1)) }),
    v.strictObject({
      to: text,
      toPort: port,
      port: anyPort,
      address: v.optional(text),
      timeoutMs: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(3_600_000))),
    }),
  ],
  'must be {to, toPort, port, address, timeoutMs} or {accept}',
)

/** POST /tcp/listen */
export const tcpListenRequest = v.strictObject({
  port: anyPort,
  address: v.optional(text),
  /** Connections to take; then it stops listening. */
  count: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
})

/** POST /serve: an HTTP server for a directory. */
export const serveRequest = v.strictObject({
  directory: v.pipe(v.string(), v.nonEmpty(), v.maxLength(4_096)),
  port: v.optional(port, 80),
  address: v.optional(text),
  listings: v.optional(v.boolean(), true),
  hidden: v.optional(v.boolean(), false),
  symlinks: v.optional(v.picklist(['none', 'inside', 'all']), 'inside'),
})

const whole = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max))
const intervalSeconds = v.optional(v.pipe(v.number(), v.minValue(0.1), v.maxValue(60)), 1)

/** POST /rpc */
export const rpcRequest = v.strictObject({
  address: text,
  /** Without it the rpcbind of that machine is asked. */
  port: v.optional(port),
  transport: v.optional(v.picklist(['tcp', 'udp']), 'tcp'),
  program: whole(0, 0xffff_ffff),
  version: whole(0, 0xffff_ffff),
  procedure: v.optional(whole(0, 0xffff_ffff), 0),
  /** XDR. */
  args: v.optional(v.pipe(v.string(), v.base64('must be base64')), ''),
  count: v.optional(whole(1, 1_000_000), 1),
  intervalMs: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(3_600_000)), 1_000),
  timeoutMs: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(3_600_000)), 10_000),
  /** Of AUTH_SYS credentials; none without it. */
  uid: v.optional(whole(0, 0xffff_ffff)),
})

/** POST /iperf */
export const iperfRequest = v.variant('role', [
  v.strictObject({
    role: v.literal('server'),
    port: v.optional(port, IPERF_PORT),
    address: v.optional(text),
    intervalSeconds,
    /** One test, and it ends. */
    once: v.optional(v.boolean(), false),
  }),
  v.strictObject({
    role: v.literal('client'),
    address: text,
    port: v.optional(port, IPERF_PORT),
    protocol: v.optional(v.picklist(['tcp', 'udp']), 'tcp'),
    direction: v.optional(v.picklist(['forward', 'reverse', 'both']), 'forward'),
    parallel: v.optional(whole(1, STREAMS_MAX), 1),
    seconds: v.optional(whole(1, SECONDS_MAX)),
    bytes: v.optional(whole(1, Number.MAX_SAFE_INTEGER)),
    blocks: v.optional(whole(1, Number.MAX_SAFE_INTEGER)),
    omitSeconds: v.optional(whole(0, OMIT_SECONDS_MAX), 0),
    /** 128 KiB; of UDP 1,448. */
    blockBytes: v.optional(whole(1, BLOCK_BYTES_MAX)),
    /** Of each connection, 0 for no limit; of UDP 1 Mbit/s. */
    bitsPerSecond: v.optional(whole(0, Number.MAX_SAFE_INTEGER)),
    noDelay: v.optional(v.boolean(), false),
    maxSegment: v.optional(whole(0, 65_535), 0),
    windowBytes: v.optional(whole(0, 512 * 1024 * 1024), 0),
    intervalSeconds,
    /** For the server to answer in each step. */
    timeoutMs: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(3_600_000)), 10_000),
  }),
])

export type PlumbingRequest = v.InferOutput<typeof plumbingRequest>
export type PingRequest = v.InferOutput<typeof pingRequest>
export type PingOptions = v.InferInput<typeof pingRequest>
export type CaptureRequest = v.InferOutput<typeof captureRequest>
export type FaultRequest = v.InferOutput<typeof faultRequest>
export type UdpRequest = v.InferOutput<typeof udpRequest>
export type TcpRequest = v.InferOutput<typeof tcpRequest>
export type TcpListenRequest = v.InferOutput<typeof tcpListenRequest>
export type TcpListenOptions = v.InferInput<typeof tcpListenRequest>
export type ServeRequest = v.InferOutput<typeof serveRequest>
export type RpcOptions = v.InferInput<typeof rpcRequest>
export type IperfRequest = v.InferOutput<typeof iperfRequest>
export type IperfOptions = v.InferInput<typeof iperfRequest>
export type ServeOptions = v.InferInput<typeof serveRequest>

/** @throws StackError `ERR_BAD_ARGUMENT`, naming every field that is wrong */
export function checkRequest(schema: v.GenericSchema, value: unknown): unknown {
  const result = v.safeParse(schema, value)
  if (result.success) return result.output
  const problems = result.issues.map(issue => {
    const path = v.getDotPath(issue)
    return path === null ? issue.message : `${path}: ${issue.message}`
  })
  throw new StackError('ERR_BAD_ARGUMENT', problems.join('; '))
}
