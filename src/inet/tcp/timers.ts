/** Deadlines of connections: one entry of the wheel for each, looked at again when it fires (RFC 6298, RFC 9293 §3.8). */
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Runs everything that is due at `tcp.nowMs`: connections, half-open connections, TIME-WAIT. */
export function expire(_tcp: Tcp): void {}

/** When {@link expire} is to be called next, int32 ms on the clock of `Tcp.nowMs`; null: nothing waits. May be early, never late. */
export function pollAt(_tcp: Tcp): number | null {
  return null
}

/**
 * Sets a deadline. `T_RETRANSMIT`, `T_LOSS`, `T_PERSIST` and `T_IDLE` exclude each other (they share `retransmitAt`).
 * @param bit - one `T_*`; @param atMs - int32 ms
 */
export function setTimer(_tcp: Tcp, _tcb: Tcb, _bit: number, _atMs: number): void {}

/** Clears deadlines. The wheel's entry stays and looks in vain. @param bits - `T_*` */
export function clearTimer(tcb: Tcb, bits: number): void {
  tcb.timers &= ~bits
}
