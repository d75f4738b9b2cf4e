/**
 * SYN cookies (RFC 4987 §3.6): the initial sequence number of a SYN-ACK that says everything, so that nothing is kept. Behind a
 * mask that depends on the tuple lie two bits of the time, three of the MSS, and 27 that only we can make. What else was agreed
 * on fits the low bits of our timestamp, which come back in the echo.
 */
import type { SequenceKeys } from './isn.ts'

const FOR_MASK = 16
const FOR_PROOF = 17

/** A cookie's clock ticks every 2^16 ms; it is taken during its tick and the next: up to 131 s. */
const TICK_SHIFT = 16
const TICK_BITS = 2
const AGE_MAX = 1
const MSS_BITS = 3
const PROOF_MASK = (1 << (32 - TICK_BITS - MSS_BITS)) - 1

/** What a cookie can say of the MSS; the largest that is no larger than the peer's. */
export const COOKIE_MSS = [48, 536, 1_220, 1_360, 1_420, 1_440, 1_460, 8_940] as const

/**
 * @param mss - that the peer announced
 * @param irs - the peer's initial sequence number
 * @returns the initial sequence number to answer with
 */
export function makeCookie(
  keys: SequenceKeys,
  nowMs: number,
  r0: number,
  r1: number,
  r2: number,
  r3: number,
  l0: number,
  l1: number,
  l2: number,
  l3: number,
  ports: number,
  irs: number,
  mss: number,
): number {
  const tick = nowMs >> TICK_SHIFT
  let which = 0
  while (which < COOKIE_MSS.length - 1 && COOKIE_MSS[which + 1]! <= mss) which++
  const mask = keys.hash3(FOR_MASK, r0, r1, r2, r3, l0, l1, l2, l3, ports, irs, 0)
  const proof = keys.hash3(FOR_PROOF, r0, r1, r2, r3, l0, l1, l2, l3, ports, irs, (tick << MSS_BITS) | which)
  return mask ^ ((tick << 30) | (which << 27) | (proof & PROOF_MASK))
}

/**
 * @param cookie - what an ACK acknowledges, less one; @param irs - its sequence number, less one
 * @returns the MSS, 0 if it is not a cookie of ours for this tuple, or too old
 */
export function checkCookie(
  keys: SequenceKeys,
  nowMs: number,
  r0: number,
  r1: number,
  r2: number,
  r3: number,
  l0: number,
  l1: number,
  l2: number,
  l3: number,
  ports: number,
  irs: number,
  cookie: number,
): number {
  const said = cookie ^ keys.hash3(FOR_MASK, r0, r1, r2, r3, l0, l1, l2, l3, ports, irs, 0)
  const age = ((nowMs >> TICK_SHIFT) - (said >>> 30)) & 3
  if (age > AGE_MAX) return 0
  const which = (said >>> 27) & 7
  const tick = ((nowMs - (age << TICK_SHIFT)) | 0) >> TICK_SHIFT
  const proof = keys.hash3(FOR_PROOF, r0, r1, r2, r3, l0, l1, l2, l3, ports, irs, (tick << MSS_BITS) | which)
  return ((proof ^ said) & PROOF_MASK) === 0 ? COOKIE_MSS[which]! : 0
}

/** In the low bits of a SYN-ACK's timestamp. */
const TS_BITS = 6
const TS_MASK = (1 << TS_BITS) - 1
const TS_SCALE_NONE = 15
const TS_SACK = 16
const TS_ECN = 32

/**
 * The timestamp of a SYN-ACK that is a cookie: our clock, up to 128 ms back, with what was agreed on in its low bits.
 * @param tsValue - what our clock says, offset added; @param windowScale - the peer's shift, -1 without scaling
 */
export function cookieTimestamp(tsValue: number, windowScale: number, sack: boolean, ecn: boolean): number {
  const bits = (windowScale < 0 ? TS_SCALE_NONE : windowScale) | (sack ? TS_SACK : 0) | (ecn ? TS_ECN : 0)
  const value = (tsValue & ~TS_MASK) | bits
  // Never ahead of the clock: later timestamps must not be smaller.
  return ((value - tsValue) | 0) > 0 ? (value - TS_MASK - 1) | 0 : value
}

/** The peer's window shift from an echoed timestamp; -1: no scaling was agreed on. */
export function cookieScale(tsEcho: number): number {
  const scale = tsEcho & 15
  return scale === TS_SCALE_NONE ? -1 : scale
}

export const cookieSack = (tsEcho: number): boolean => (tsEcho & TS_SACK) !== 0
export const cookieEcn = (tsEcho: number): boolean => (tsEcho & TS_ECN) !== 0
