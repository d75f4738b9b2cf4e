/** Urgent data as RFC 6093 has it: a mark in the stream, never data beside it. */
import { URG } from '../wire/tcp.ts'
import { takeIntake } from './intake.ts'
import { unreadBytes } from './receive.ts'
import type { Segment } from './segment.ts'
import { mayReceive } from './states.ts'
import { F_ORPHAN, F_UNACCEPTED, F_URGENT_IN, type Tcb } from './tcb.ts'
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
