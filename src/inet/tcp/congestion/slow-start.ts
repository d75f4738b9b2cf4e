/** Slow start (RFC 5681 §3.1), counted in bytes (RFC 3465), left by what the round trip shows: HyStart++ (RFC 9406). */
import type { Flight } from '../flight.ts'
import type { Tcb } from '../tcb.ts'

/**
 * "L" of RFC 3465: bytes by which one ACK lets the window grow; two segments there. An ACK of a whole super-segment is
 * what a peer with receive offload sends; one of more says less about what the path takes.
 */
export const ABC_LIMIT_BYTES = 65_536

/** RFC 9406 §4.2 and §4.3. */
const RTT_THRESHOLD_MIN_US = 4_000
const RTT_THRESHOLD_MAX_US = 16_000
const RTT_DIVISOR = 8
const RTT_SAMPLES = 8
const CSS_GROWTH_DIVISOR = 4
export const CSS_ROUNDS = 5

/**
 * Grows the window by what was delivered, up to the threshold.
 * @returns bytes that are left for congestion avoidance
 */
export function slowStartAcked(tcb: Tcb, flight: Flight, bytes: number): number {
  const limited = Math.min(bytes, ABC_LIMIT_BYTES)
  const grown = flight.cssRounds > 0 ? Math.ceil(limited / CSS_GROWTH_DIVISOR) : limited
  const room = tcb.ssthresh - tcb.cwnd
  if (grown <= room) {
    tcb.cwnd += grown
    return 0
  }
  tcb.cwnd = tcb.ssthresh
  return grown - room
}

/**
 * Looks at a sample of the round trip while in slow start, after `sndUna` moved. @param us - -1: none with this ACK
 */
export function hystart(tcb: Tcb, flight: Flight, us: number): void {
  if (((tcb.sndUna - flight.roundEnd) | 0) > 0) beginRound(tcb, flight)
  if (us < 0) return
  if (flight.roundMinUs === 0 || us < flight.roundMinUs) flight.roundMinUs = Math.max(us, 1)
  flight.roundSamples++
  if (flight.roundSamples < RTT_SAMPLES) return
  if (flight.cssRounds > 0) {
    // §4.2: the round trip fell again, so it was no queue.
    if (flight.roundMinUs < flight.cssBaselineUs) flight.cssRounds = 0
    return
  }
  const last = flight.lastRoundMinUs
  if (last === 0) return
  const threshold = Math.min(
    RTT_THRESHOLD_MAX_US,
    Math.max(RTT_THRESHOLD_MIN_US, Math.floor(last / RTT_DIVISOR)),
  )
  if (flight.roundMinUs < last + threshold) return
  flight.cssBaselineUs = flight.roundMinUs
  flight.cssRounds = 1
}

/** §4.2: each round ends when what had been sent at its start is acknowledged. */
function beginRound(tcb: Tcb, flight: Flight): void {
  flight.roundEnd = tcb.sndNxt
  flight.lastRoundMinUs = flight.roundMinUs
  flight.roundMinUs = 0
  flight.roundSamples = 0
  if (flight.cssRounds === 0) return
  if (flight.cssRounds++ < CSS_ROUNDS) return
  // After so many rounds the queue is real: congestion avoidance from here.
  flight.cssRounds = 0
  tcb.ssthresh = tcb.cwnd
}
