/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash that cannot be foretold without its key, over messages of
 * whole 32-bit words. In int32 arithmetic, a 64-bit word as two halves, so that nothing is allocated.
 */

/** One key of 128 bits, and room for the result. */
export class SipHash {
  private readonly k0: number
  private readonly k1: number
  private readonly k2: number
  private readonly k3: number
  /** Upper half of the last result; {@link hash} returns the lower. */
  high = 0

  /** @param key - four int32 from `at` on, the least significant first */
  constructor(key: Int32Array, at = 0) {
    this.k0 = key[at]!
    this.k1 = key[at + 1]!
    this.k2 = key[at + 2]!
    this.k3 = key[at + 3]!
  }

  /**
   * @param message - int32 words, taken as little-endian bytes
   * @param count - words, from the first
   * @returns lower 32 bits of the hash; {@link high} has the others
   */
  hash(message: Int32Array, count: number): number {
    const { k0, k1, k2, k3 } = this
    // v0 to v3 as lower and upper halves: a b, c d, e f, g h.
    let a = k0 ^ 0x70736575
    let b = k1 ^ 0x736f6d65
    let c = k2 ^ 0x6e646f6d
    let d = k3 ^ 0x646f7261
    let e = k0 ^ 0x6e657261
    let f = k1 ^ 0x6c796765
    let g = k2 ^ 0x79746573
    let h = k3 ^ 0x74656462
    // Words of 64 bits, then the last with the length in bytes on top, then four more rounds after 0xff.
    const blocks = count >> 1
    for (let block = 0; block <= blocks + 2; block++) {
      let low = 0
      let high = 0
      if (block < blocks) {
        low = message[2 * block]!
        high = message[2 * block + 1]!
      } else if (block === blocks) {
        low = (count & 1) === 1 ? message[count - 1]! : 0
        high = count << 26
      } else if (block === blocks + 1) e ^= 0xff
      g ^= low
      h ^= high
      for (let round = 0; round < 2; round++) {
        let t = (a + c) | 0
        b = (b + d + (((a & c) | ((a | c) & ~t)) >>> 31)) | 0
        a = t
        t = ((c << 13) | (d >>> 19)) ^ a
        d = ((d << 13) | (c >>> 19)) ^ b
        c = t
        t = a
        a = b
        b = t

        t = (e + g) | 0
        f = (f + h + (((e & g) | ((e | g) & ~t)) >>> 31)) | 0
        e = t
        t = ((g << 16) | (h >>> 16)) ^ e
        h = ((h << 16) | (g >>> 16)) ^ f
        g = t

        t = (a + g) | 0
        b = (b + h + (((a & g) | ((a | g) & ~t)) >>> 31)) | 0
        a = t
        t = ((g << 21) | (h >>> 11)) ^ a
        h = ((h << 21) | (g >>> 11)) ^ b
        g = t

        t = (e + c) | 0
        f = (f + d + (((e & c) | ((e | c) & ~t)) >>> 31)) | 0
        e = t
        t = ((c << 17) | (d >>> 15)) ^ e
        d = ((d << 17) | (c >>> 15)) ^ f
        c = t
        t = e
        e = f
        f = t
      }
      a ^= low
      b ^= high
    }
    this.high = b ^ d ^ f ^ h
    return a ^ c ^ e ^ g
  }
}
