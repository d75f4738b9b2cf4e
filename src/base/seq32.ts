/**
 * Arithmetic on 32-bit sequence numbers that wrap (RFC 9293 §3.4). A sequence number is a signed 32-bit integer, which
 * stays a small integer in JavaScript; all comparisons are of numbers less than 2^31 apart.
 */

/** `a + n`, wrapped. */
export const seqAdd = (a: number, n: number): number => (a + n) | 0
/** How far `a` lies behind `b`: `a - b`, negative if it lies before. */
export const seqDiff = (a: number, b: number): number => (a - b) | 0
export const seqLt = (a: number, b: number): boolean => ((a - b) | 0) < 0
export const seqLeq = (a: number, b: number): boolean => ((a - b) | 0) <= 0
export const seqGt = (a: number, b: number): boolean => ((a - b) | 0) > 0
export const seqGeq = (a: number, b: number): boolean => ((a - b) | 0) >= 0
export const seqMax = (a: number, b: number): number => (((a - b) | 0) > 0 ? a : b)
export const seqMin = (a: number, b: number): number => (((a - b) | 0) < 0 ? a : b)
/** Whether `low <= a < high`. */
export const seqIn = (a: number, low: number, high: number): boolean =>
  ((a - low) | 0) >= 0 && ((a - high) | 0) < 0
