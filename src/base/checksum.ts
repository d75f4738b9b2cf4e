/**
 * The Internet checksum (RFC 1071): the ones-complement sum of big-endian 16-bit words. Partial sums are plain
 * numbers below 2^32; {@link fold} brings one to 16 bits. The checksum field holds the complement of the fold.
 */

/** Bytes that may be read and not written. */
export interface ReadonlyBytes {
  readonly length: number
  readonly [index: number]: number
}

/** Adds the carries of a partial sum back in until it fits 16 bits. */
export function fold(sum: number): number {
  sum = (sum & 0xffff) + (sum >>> 16)
  return (sum & 0xffff) + (sum >>> 16)
}

/**
 * Adds the bytes from `start` to `end` to a partial sum; an odd last byte counts as the high half of a word.
 * @param sum - a folded partial sum, 0 to begin with
 * @returns a folded partial sum
 */
export function sumBytes(bytes: ReadonlyBytes, start: number, end: number, sum = 0): number {
  let i = start
  const even = end - 1
  while (i < even) {
    // 16,384 words cannot overflow 31 bits on top of a folded sum, so the carries wait until then.
    const stop = Math.min(even, i + 32_768)
    for (; i < stop; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!
    sum = fold(sum)
  }
  return i < end ? fold(sum + (bytes[i]! << 8)) : sum
}

/** A partial sum whose bytes began at an odd position of the whole (RFC 1071 §2.B: byte order independence). */
export function swapSum(sum: number): number {
  sum = fold(sum)
  return ((sum & 0xff) << 8) | (sum >>> 8)
}

/** Ones-complement addition of two partial sums. */
export function addSum(a: number, b: number): number {
  return fold(fold(a) + fold(b))
}

/**
 * The checksum after one 16-bit word changed, without reading the rest (RFC 1624 eqn. 3).
 * @param checksum - the field as it stands in the packet
 */
export function updateChecksum(checksum: number, oldWord: number, newWord: number): number {
  return ~fold((~checksum & 0xffff) + (~oldWord & 0xffff) + newWord) & 0xffff
}
