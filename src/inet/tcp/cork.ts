/** Short segments that a program holds back while it writes a message in pieces (Linux's TCP_CORK, tcp(7)). */
import type { Flight } from './flight.ts'
import { T_CORK, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { clearTimer, setTimer } from './timers.ts'

/** They leave after so long all the same: a program that forgets them does not stand still (RFC 9293 §3.9.1.2, MUST-60). */
export const CORK_MAX_MS = 200

/** Whether a short last segment has to wait; its time begins with the first refusal, and the timer is set then. */
export function isCorked(tcp: Tcp, tcb: Tcb, flight: Flight): boolean {
  if (!tcb.settings.cork) return false
  if (flight.corkWaits) return ((flight.corkAtMs - tcp.nowMs) | 0) > 0
  flight.corkWaits = true
  setTimer(tcp, tcb, T_CORK, (tcp.nowMs + CORK_MAX_MS) | 0)
  return true
}

/** Something left: what is still held back began to wait later. */
export function corkMoved(tcb: Tcb, flight: Flight): void {
  if (!flight.corkWaits) return
  flight.corkWaits = false
  clearTimer(tcb, T_CORK)
}
