/** CUBIC (RFC 9438): the window grows with the time since the last loss, not with the round trip. Windows are in bytes. */
import type { Flight } from '../flight.ts'
import type { Tcb } from '../tcb.ts'

/** RFC 9438 §4.1, §4.6: segments per second cubed; what remains of the window after a loss. */
export const CUBIC_C = 0.4
export const CUBIC_BETA = 0.7
/** §4.3: growth of the Reno-like window that is as aggressive with {@link CUBIC_BETA} as Reno is with one half. */
const ALPHA = (3 * (1 - CUBIC_BETA)) / (1 + CUBIC_BETA)

/** `Flight.cc`: seconds from the epoch's start to the plateau. */
const K = 0
/** Bytes of the plateau. */
const ORIGIN = 1
/** W_est: what Reno would have. */
const ESTIMATE = 2
/** cwnd when it was last reduced. */
const PRIOR = 3
/** Part of a byte that is still to be added. */
const REST = 4

/** An epoch older than this stands where it stands: int32 microseconds wrap. */
const EPOCH_MAX_US = 1_500_000_000

/** W_cubic(t) of §4.2 in bytes. @param t - seconds since the epoch began */
export function cubicWindow(t: number, k: number, originBytes: number, mss: number): number {
  const d = t - k
  return CUBIC_C * d * d * d * mss + originBytes
}

/** §4.2 equation 2, in seconds. */
export function cubicK(originBytes: number, cwnd: number, mss: number): number {
  return originBytes > cwnd ? Math.cbrt((originBytes - cwnd) / mss / CUBIC_C) : 0
}

/**
 * Congestion avoidance.
 * @param bytes - newly delivered
 */
export function cubicAcked(tcb: Tcb, flight: Flight, nowUs: number, bytes: number): void {
  const { cc } = flight
  const mss = tcb.sndMss
  const { cwnd } = tcb
  if (!flight.inEpoch) beginEpoch(tcb, flight, nowUs)
  let age = (nowUs - flight.epochUs) | 0
  if (age > EPOCH_MAX_US || age < 0) {
    flight.epochUs = (nowUs - EPOCH_MAX_US) | 0
    age = EPOCH_MAX_US
  }
  // §4.3 equation 4; α is 1 once the estimate is back where the window was reduced.
  const estimate = cc[ESTIMATE]! + ((cc[ESTIMATE]! >= cc[PRIOR]! ? 1 : ALPHA) * mss * bytes) / cwnd
  cc[ESTIMATE] = estimate
  const t = age / 1e6
  if (cubicWindow(t, cc[K]!, cc[ORIGIN]!, mss) < estimate) {
    // §4.3: the Reno-friendly region.
    if (estimate > cwnd) tcb.cwnd = Math.floor(estimate)
    return
  }
  // §4.4, §4.5: where the curve will be one round trip from now, at most half as much again.
  const goal = cubicWindow(t + tcb.srtt / 1e6, cc[K]!, cc[ORIGIN]!, mss)
  const target = goal < cwnd ? cwnd : Math.min(goal, 1.5 * cwnd)
  const grown = cc[REST]! + ((target - cwnd) * Math.min(bytes, cwnd)) / cwnd
  const whole = Math.floor(grown)
  cc[REST] = grown - whole
  tcb.cwnd = cwnd + whole
}

function beginEpoch(tcb: Tcb, flight: Flight, nowUs: number): void {
  const { cc } = flight
  flight.inEpoch = true
  flight.epochUs = nowUs
  const { cwnd } = tcb
  // §4.2: after slow start without a loss, or above it, the plateau is here.
  cc[ORIGIN] = Math.max(tcb.wMax, cwnd)
  cc[K] = cubicK(cc[ORIGIN]!, cwnd, tcb.sndMss)
  cc[ESTIMATE] = cwnd
  cc[REST] = 0
}

/**
 * The window is reduced (§4.6), W_max remembered, a little less of it where it shrinks anyway (§4.7 fast convergence).
 * @param flightBytes - what the network was asked to carry, at most cwnd
 * @returns the new slow start threshold
 */
export function cubicSsthresh(tcb: Tcb, flight: Flight, flightBytes: number): number {
  const { cc } = flight
  tcb.wMax = tcb.cwnd < tcb.wMax ? Math.floor((tcb.cwnd * (1 + CUBIC_BETA)) / 2) : tcb.cwnd
  cc[PRIOR] = tcb.cwnd
  flight.inEpoch = false
  return Math.max(Math.floor(flightBytes * CUBIC_BETA), 2 * tcb.sndMss)
}
