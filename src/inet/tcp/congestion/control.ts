/** What recovery and output ask of the congestion control, whichever it is. */
import type { Flight } from '../flight.ts'
import { initialWindow } from '../start.ts'
import type { Tcb } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { cubicAcked, cubicSsthresh } from './cubic.ts'
import { renoAcked, renoSsthresh } from './newreno.ts'
import { hystart, slowStartAcked } from './slow-start.ts'

/** Larger windows than any buffer of ours, and small enough to count with. */
export const CWND_MAX = 1 << 30

/**
 * Data was delivered in a state in which the window may grow; it does if it was what limited the sender (RFC 7661, RFC 9438 §5.8).
 * @param bytes - newly delivered; @param rttUs - of the latest transmission among them, -1: unknown
 */
export function congestionAcked(tcp: Tcp, tcb: Tcb, flight: Flight, bytes: number, rttUs: number): void {
  const slow = tcb.cwnd < tcb.ssthresh
  if (slow) hystart(tcb, flight, rttUs)
  if (!isLimiting(tcb, flight)) return
  let left = bytes
  if (tcb.cwnd < tcb.ssthresh) left = slowStartAcked(tcb, flight, bytes)
  if (left > 0 && tcb.cwnd >= tcb.ssthresh) {
    if (tcb.settings.congestion === 'newreno') renoAcked(tcb, flight, left)
    else cubicAcked(tcb, flight, tcp.nowUs, left)
  }
  if (tcb.cwnd > CWND_MAX) tcb.cwnd = CWND_MAX
}

/** In slow start the window may be twice what is used, so that a program which is a little slower than the path does not stop it. */
function isLimiting(tcb: Tcb, flight: Flight): boolean {
  return flight.cwndLimited || (tcb.cwnd < tcb.ssthresh && tcb.cwnd < 2 * flight.maxFlight)
}

/** The window is to be reduced: what it shall come down to. */
export function congestionSsthresh(tcb: Tcb, flight: Flight): number {
  const out = (tcb.sndNxt - tcb.sndUna) | 0
  // RFC 5681 §3.1: not what the window allowed but what was in flight.
  const bytes = flight.cwndLimited ? tcb.cwnd : Math.min(tcb.cwnd, Math.max(out, flight.maxFlight))
  flight.cssRounds = 0
  return tcb.settings.congestion === 'newreno'
    ? renoSsthresh(tcb, flight, bytes)
    : cubicSsthresh(tcb, flight, bytes)
}

/**
 * Nothing was sent for longer than a timeout: what the path took then it need not take now. Half the window for each
 * timeout that passed, not below the initial one (RFC 2861 §2; RFC 5681 §4.1 would go there at once). RFC 7661, which
 * replaces RFC 2861, keeps the window for minutes; what it says of a window that is not used is {@link isLimiting}'s.
 */
export function congestionIdle(tcp: Tcp, tcb: Tcb): void {
  const idleMs = (tcp.nowMs - tcb.lastOutAt) | 0
  if (idleMs <= tcb.rtoMs) return
  const least = Math.min(initialWindow(tcp, tcb), tcb.cwnd)
  // RFC 2861 §2: what was reached may be reached again quickly.
  tcb.ssthresh = Math.max(tcb.ssthresh, (tcb.cwnd >> 1) + (tcb.cwnd >> 2))
  let { cwnd } = tcb
  for (let left = idleMs - tcb.rtoMs; left >= 0 && cwnd > least; left -= tcb.rtoMs) cwnd >>= 1
  tcb.cwnd = Math.max(cwnd, least)
  const { flight } = tcb
  if (flight !== null) flight.inEpoch = false
}
