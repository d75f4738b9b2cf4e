/** Where randomness comes from. Protocol code takes one; it never asks the host. */
export interface Random {
  /** A uniform signed 32-bit integer. */
  int32(): number
  /** A uniform integer from 0 to `bound - 1`; `bound` from 1 to 2^31 - 1. */
  below(bound: number): number
  /** A uniform number in [0, 1). */
  unit(): number
}

/**
 * Seeded generator (sfc32: 128 bits of state, all in int32 arithmetic, so nothing is allocated). Not for
 * secrets: keys and cookies take theirs from the host's CSPRNG.
 */
export class Prng implements Random {
  private a: number
  private b: number
  private c: number
  private counter = 1

  constructor(seed: number) {
    // The seed is spread over the state by SplitMix32, so that seeds 1, 2, 3 give unrelated sequences.
    let s = seed | 0
    const spread = (): number => {
      s = (s + 0x9e3779b9) | 0
      let z = s
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      return z ^ (z >>> 15)
    }
    this.a = spread()
    this.b = spread()
    this.c = spread()
    for (let i = 0; i < 12; i++) this.int32()
  }

  int32(): number {
    const t = (((this.a + this.b) | 0) + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = ((this.c << 21) | (this.c >>> 11)) + t
    this.c |= 0
    return t
  }

  below(bound: number): number {
    return Math.floor(this.unit() * bound)
  }

  unit(): number {
    return (this.int32() >>> 0) / 4_294_967_296
  }
}
