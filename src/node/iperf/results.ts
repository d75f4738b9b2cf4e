/** What both sides measured, as they tell each other at the end of a test. */
import * as v from 'valibot'

export interface StreamResult {
  /** The stream's number, see `streamNumber`. */
  readonly number: number
  readonly bytes: number
  /** -1: this side cannot tell. */
  readonly retransmits: number
  readonly seconds: number
  /** UDP: seconds, lost packets, all packets. */
  readonly jitter: number
  readonly errors: number
  readonly packets: number
}

export interface SideResults {
  /** Percent of one processor. */
  readonly cpu: { readonly total: number; readonly user: number; readonly system: number }
  /** Whether this side sends and knows of retransmissions. */
  readonly tellsRetransmits: boolean
  readonly congestion: string
  readonly streams: readonly StreamResult[]
}

const number = v.optional(v.number(), 0)

const wireSchema = v.looseObject({
  cpu_util_total: number,
  cpu_util_user: number,
  cpu_util_system: number,
  sender_has_retransmits: v.optional(v.number(), -1),
  congestion_used: v.optional(v.string(), ''),
  streams: v.pipe(
    v.array(
      v.looseObject({
        id: v.number(),
        bytes: v.number(),
        retransmits: v.optional(v.number(), -1),
        jitter: number,
        errors: number,
        packets: number,
        start_time: number,
        end_time: number,
      }),
    ),
    v.maxLength(1_024),
  ),
})

/** iperf3 writes -1 as an unsigned number of 64 bits. */
const signed = (value: number): number => (value > Number.MAX_SAFE_INTEGER || value < 0 ? -1 : value)

/** @returns null for a document that is none */
export function readResults(value: unknown): SideResults | null {
  const result = v.safeParse(wireSchema, value)
  if (!result.success) return null
  const wire = result.output
  return {
    cpu: { total: wire.cpu_util_total, user: wire.cpu_util_user, system: wire.cpu_util_system },
    tellsRetransmits: wire.sender_has_retransmits === 1,
    congestion: wire.congestion_used,
    streams: wire.streams.map(stream => ({
      number: stream.id,
      bytes: stream.bytes,
      retransmits: signed(stream.retransmits),
      seconds: stream.end_time - stream.start_time,
      jitter: stream.jitter,
      errors: stream.errors,
      packets: stream.packets,
    })),
  }
}

export function wireResults(results: SideResults): Record<string, unknown> {
  const { cpu, tellsRetransmits, congestion, streams } = results
  return {
    cpu_util_total: cpu.total,
    cpu_util_user: cpu.user,
    cpu_util_system: cpu.system,
    sender_has_retransmits: tellsRetransmits ? 1 : -1,
    congestion_used: congestion,
    streams: streams.map(stream => ({
      id: stream.number,
      bytes: stream.bytes,
      retransmits: stream.retransmits,
      jitter: stream.jitter,
      errors: stream.errors,
      packets: stream.packets,
      start_time: 0,
      end_time: stream.seconds,
    })),
  }
}
