/** What may be asked of a control port: the bodies of its requests, checked before anything is done. */
import * as v from 'valibot'
import { StackError } from '../base/errors.ts'

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

export type PlumbingRequest = v.InferOutput<typeof plumbingRequest>
export type PingRequest = v.InferOutput<typeof pingRequest>
export type PingOptions = v.InferInput<typeof pingRequest>
export type CaptureRequest = v.InferOutput<typeof captureRequest>
export type FaultRequest = v.InferOutput<typeof faultRequest>
export type UdpRequest = v.InferOutput<typeof udpRequest>

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
