/** Congestion avoidance of RFC 5681, counted in bytes (RFC 3465). */

import type { Flight } from '../flight.ts'
import type { Tcb } from '../tcb.ts'

/** `Flight.cc`: bytes acknowledged since the window last grew. */
const ACKED = 0

/** RFC 5681 §3.1 equation 3, by RFC 3465 §2.1: one segment for each window acknowledged. */
export function renoAcked(tcb: Tcb, flight: Flight, bytes: number): void {
  const { cc } = flight
  let acked = cc[ACKED]! + bytes
  if (acked >= tcb.cwnd) {
    acked -= tcb.cwnd
    tcb.cwnd += tcb.sndMss
  }
  cc[ACKED] = Math.min(acked, tcb.cwnd)
}

/** RFC 5681 §3.1 equation 4. @param flightBytes - what the network was asked to carry */
export function renoSsthresh(tcb: Tcb, flight: Flight, flightBytes: number): number {
  flight.cc[ACKED] = 0
  return Math.max(flightBytes >> 1, 2 * tcb.sndMss)
}
