/** Urgent data as RFC 6093 has it: a mark in the stream, never data beside it. */
import { putU16 } from '../wire/fields.ts'
import { CONTROL, URG, URGENT } from '../wire/tcp.ts'
import type { Flight } from './flight.ts'
import { takeIntake } from './intake.ts'
import { unreadBytes } from './receive.ts'
import type { Segment } from './segment.ts'
import { mayReceive } from './states.ts'
import { F_FIN_QUEUED, F_ORPHAN, F_UNACCEPTED, F_URGENT_IN, F_URGENT_OUT, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * Sixth of RFC 9293 §3.10.7.4. The pointer shows the byte after the urgent data (MUST-62); it may lie beyond the segment, and beyond the
 * window (MUST-31, MUST-66): it is a number that the stream passes some time, and nothing is ever indexed by it.
 */
export function urgentIn(tcp: Tcp, tcb: Tcb, seg: Segment): void {
  if ((seg.control & URG) === 0 || !mayReceive(tcb.state)) return
  tcp.counters['urgent-in']++
  const pointer = (seg.seq + seg.urgent) | 0
  if (((pointer - tcb.rcvNxt) | 0) <= 0) return
  const intake = takeIntake(tcp, tcb)
  // MUST-32: told when it begins, and whenever it advances.
  if ((tcb.flags & F_URGENT_IN) !== 0 && ((pointer - intake.rcvUp) | 0) <= 0) return
  intake.rcvUp = pointer
  tcb.flags |= F_URGENT_IN
  if ((tcb.flags & (F_ORPHAN | F_UNACCEPTED)) === 0) tcp.host.urgent(tcb)
}

/** MUST-33: bytes that the program has yet to read until the end of the peer's urgent data; 0: it has read them, or there are none. */
export function urgentAhead(tcp: Tcp, tcb: Tcb): number {
  const { intake } = tcb
  if ((tcb.flags & F_URGENT_IN) === 0 || intake === null) return 0
  const read = (tcb.rcvNxt - unreadBytes(tcp, tcb)) | 0
  const ahead = (intake.rcvUp - read) | 0
  if (ahead > 0) return ahead
  tcb.flags &= ~F_URGENT_IN
  return 0
}

/** What the pointer can say (MUST-31: what lies further is announced again as its end comes nearer). */
const URGENT_MAX = 0xffff

/** MUST-30: all that is queued to be sent is urgent, and said to be so from the next segment on. */
export function urgentOut(tcp: Tcp, tcb: Tcb): void {
  const { flight } = tcb
  if (flight === null || (tcb.flags & F_FIN_QUEUED) !== 0 || flight.queue.endSeq === tcb.sndUna) return
  flight.sndUp = flight.queue.endSeq
  tcb.flags |= F_URGENT_OUT
  tcp.schedule(tcb)
}

/**
 * Marks a segment that is in front of the end of our urgent data (MUST-62: the pointer shows the byte behind it).
 * @param at - of the header; @param seq - of the segment
 */
export function markUrgent(flight: Flight, bytes: Uint8Array, at: number, seq: number): void {
  const ahead = (flight.sndUp - seq) | 0
  if (ahead <= 0) return
  bytes[at + CONTROL]! |= URG
  putU16(bytes, at + URGENT, Math.min(ahead, URGENT_MAX))
}

/** The peer has acknowledged so far: urgent mode ends with the urgent data. */
export function urgentAcknowledged(tcb: Tcb, flight: Flight): void {
  if (((tcb.sndUna - flight.sndUp) | 0) >= 0) tcb.flags &= ~F_URGENT_OUT
}
