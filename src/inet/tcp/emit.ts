/** Segments of a connection on their way out: control block, header, options, payload (RFC 9293 §3.1, §3.10). */
import type { Mblk } from '../../streams/mblk/mblk.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * Sends one segment, or a super-segment if `length` is more than `sndMss`. Carries the acknowledgment, the window and, where
 * they fit, SACK blocks; `ackSent` is told.
 * @param payload - consumed; exactly `length` bytes
 * @returns false if no block was left: nothing went out
 */
export function emitSegment(
  _tcp: Tcp,
  _tcb: Tcb,
  _seq: number,
  _control: number,
  _payload: Mblk | null,
  _length: number,
): boolean {
  return false
}

/** SYN in SYN-SENT, SYN and ACK in SYN-RECEIVED (simultaneous open), with its options, at `sndUna`. */
export function emitSyn(_tcp: Tcp, _tcb: Tcb): void {}

/** A pure acknowledgment, now. Ordinarily set `F_ACK_NOW` and schedule instead. */
export function emitAck(_tcp: Tcp, _tcb: Tcb): void {}

/** RST of a connection that is aborted: at `sndNxt`, with ACK (RFC 9293 §3.10.5). */
export function emitTcbReset(_tcp: Tcp, _tcb: Tcb): void {}
