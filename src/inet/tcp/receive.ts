/** What the program's side asks of received data, and the window that follows from it. */
import type { Mblk } from '../../streams/mblk/mblk.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * The next in-order message (one segment's payload, a super-segment whole), the caller's from now on; null when there is
 * none: look at {@link atEof} then.
 */
export function takeData(_tcp: Tcp, _tcb: Tcb): Mblk | null {
  return null
}

/** Whether the peer's FIN is in order and everything before it was taken. */
export function atEof(_tcb: Tcb): boolean {
  return false
}

/**
 * Bytes to announce now, already a multiple of `1 << rcvScale` and never more than the field holds; before the handshake's
 * end at most 65,535, unscaled. It does not change anything: {@link ackSent} does, when the segment left.
 */
export function receiveWindow(_tcp: Tcp, _tcb: Tcb): number {
  return 0
}

/** The program took something: announces the larger window if that is worth a segment (RFC 9293 §3.8.6.2.2), and tunes the buffer. */
export function windowOpened(_tcp: Tcp, _tcb: Tcb): void {}
