/** When received data is acknowledged (RFC 9293 §3.8.6.3; RFC 5681 §4.2). */
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** An acknowledgment has to leave at the next flush. */
export function ackNow(_tcp: Tcp, _tcb: Tcb): void {}

/**
 * A segment with an ACK has left: called by `emit.ts` for every one of the connection's.
 * @param window - bytes that it announced, unscaled
 * @param data - it carried data: the program answers, so acknowledgments may wait for its answers
 */
export function ackSent(_tcp: Tcp, _tcb: Tcb, _window: number, _data: boolean): void {}
