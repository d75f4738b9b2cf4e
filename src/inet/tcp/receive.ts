/**
 * What the program's side asks of received data, and the window that follows from it (RFC 9293 §3.8.6): `rcvBuf` less all that
 * the program has not read, wherever it waits.
 */
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { ackNow } from './ack-policy.ts'
import { tuneBuffer } from './auto-tune.ts'
import { dequeue, lend, releaseIntake, settleLent } from './intake.ts'
import { littleBytes, PRESSURE_HARD, PRESSURE_NONE, pressure } from './memory.ts'
import { CLOSED, ESTABLISHED } from './states.ts'
import { F_FIN_RECEIVED, F_ORPHAN, F_UNACCEPTED, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** What the window field can say. */
export const WINDOW_FIELD_MAX = 0xffff
/** RFC 7323 §2.3. */
export const WINDOW_SCALE_MAX = 14
/** Segments that the window may be ahead while memory is short. */
const PRESSED_SEGMENTS = 16

/**
 * The next in-order message (one segment's payload, a super-segment whole), the caller's from now on; null when there is
 * none: look at {@link atEof} then.
 */
export function takeData(tcp: Tcp, tcb: Tcb): Mblk | null {
  const { intake } = tcb
  if (intake === null) return null
  const mp = dequeue(tcp, intake)
  if (intake.first === null && tcb.state === CLOSED) releaseIntake(tcp, tcb, false)
  return mp
}

/** {@link takeData} for whoever answers `host.unreadHeld`: the message counts against the budget until it is read. */
export function takeUp(tcp: Tcp, tcb: Tcb): Mblk | null {
  return tcb.intake === null ? null : lend(tcp, tcb.intake)
}

/** The program read something of what was taken with {@link takeUp}. */
export function programRead(tcp: Tcp, tcb: Tcb): void {
  settleLent(tcp, tcb)
  const { intake } = tcb
  if (tcb.state === CLOSED && intake !== null && intake.first === null && intake.lent === 0)
    releaseIntake(tcp, tcb, false)
}

/** Whether the peer's FIN is in order and everything before it was taken. */
export function atEof(tcb: Tcb): boolean {
  return (tcb.flags & F_FIN_RECEIVED) !== 0 && (tcb.intake === null || tcb.intake.first === null)
}

/** Bytes received in order that the program has not had yet, here and on its way to it. */
export function unreadBytes(tcp: Tcp, tcb: Tcb): number {
  const queued = tcb.intake === null ? 0 : tcb.intake.bytes
  if (tcb.user === null || (tcb.flags & (F_ORPHAN | F_UNACCEPTED)) !== 0) return queued
  return queued + tcp.host.unread(tcb)
}

/** The shift that lets the window field say `bytes` (RFC 7323 §2.2). */
export function windowScaleFor(bytes: number): number {
  let scale = 0
  while (scale < WINDOW_SCALE_MAX && WINDOW_FIELD_MAX * (1 << scale) < bytes) scale++
  return scale
}

/**
 * Bytes to announce now, already a multiple of `1 << rcvScale` and never more than the field holds; before the handshake's
 * end at most 65,535, unscaled. It changes nothing but a note that memory held it back: {@link ackSent} does, when the segment left.
 */
export function receiveWindow(tcp: Tcp, tcb: Tcb): number {
  if (tcb.state < ESTABLISHED) return Math.min(tcb.rcvBuf, WINDOW_FIELD_MAX)
  const scale = tcb.scales >> 8
  // A FIN stands beyond the edge of a window that was full.
  const announced = Math.max(0, (tcb.rcvAdv - tcb.rcvNxt) | 0)
  const unread = unreadBytes(tcp, tcb)
  let free = (tcb.rcvBuf - unread) | 0
  const pressed = pressure(tcp)
  if (pressed !== PRESSURE_NONE && tcb.intake !== null) tcp.intakes.holdBack(tcp, tcb.intake)
  // As much as is taken then.
  if (pressed === PRESSURE_HARD) free = unread > 0 ? 0 : Math.min(free, littleBytes(tcb))
  else if (pressed !== PRESSURE_NONE) free = Math.min(free, PRESSED_SEGMENTS * tcb.rcvMss)
  // RFC 9293 §3.8.6.2.2 (MUST-39): the edge stands still until it can move by a segment, or half of the buffer.
  if (free - announced < Math.min(tcb.rcvBuf >> 1, tcb.rcvMss)) free = announced
  const unit = 1 << scale
  let window = free & -unit
  // It never shrinks (MUST-34 seen from here), and neither does rounding make it shrink (RFC 7323 §2.4).
  if (window < announced) window = (announced + unit - 1) & -unit
  return Math.min(window, WINDOW_FIELD_MAX << scale)
}

/** The program took something: announces the larger window if that is worth a segment (RFC 9293 §3.8.6.2.2), and tunes the buffer. */
export function windowOpened(tcp: Tcp, tcb: Tcb): void {
  if (tcb.state < ESTABLISHED || (tcb.flags & F_FIN_RECEIVED) !== 0) return
  tuneBuffer(tcp, tcb)
  const announced = (tcb.rcvAdv - tcb.rcvNxt) | 0
  const window = receiveWindow(tcp, tcb)
  // Every segment that comes is answered with the window of the moment, so that only a sender that may be waiting for it needs more.
  const least = pressure(tcp) === PRESSURE_HARD ? tcb.rcvMss : 2 * tcb.rcvMss
  if (window < 2 * announced || window - announced < Math.min(tcb.rcvBuf >> 1, least)) return
  ackNow(tcp, tcb)
}
