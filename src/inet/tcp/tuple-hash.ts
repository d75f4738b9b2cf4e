/**
 * The hash of a connection's addresses and ports for tables: multilinear over 16-bit halves with secret random factors. The
 * upper 17 bits of such a sum are strongly universal: whatever tuples a peer chooses, without the factors two of them
 * meet with probability 2^-17. Not for what a peer gets to see (that is `isn.ts`).
 */
import { Prng } from '../../base/prng.ts'
import { MAPPED_WORD } from '../unitdata.ts'

/** Bits of {@link TupleHash.of} that are worth something. */
export const TUPLE_HASH_BITS = 17
const FACTORS = 18

export class TupleHash {
  private readonly random: Prng
  private readonly factors = new Int32Array(FACTORS)

  /** @param seed - random and secret */
  constructor(seed: number) {
    this.random = new Prng(seed)
    this.rekey()
  }

  /** Takes other factors: every hash is another from then on. */
  rekey(): void {
    for (let i = 0; i < FACTORS; i++) this.factors[i] = this.random.int32()
  }

  /**
   * Remote words, local words, `localPort << 16 | remotePort`.
   * @returns 0 to 2^17 - 1
   */
  of(
    r0: number,
    r1: number,
    r2: number,
    r3: number,
    l0: number,
    l1: number,
    l2: number,
    l3: number,
    ports: number,
  ): number {
    const k = this.factors
    const sum =
      Math.imul(k[0]!, ports >>> 16) +
      Math.imul(k[1]!, ports & 0xffff) +
      Math.imul(k[2]!, r3 >>> 16) +
      Math.imul(k[3]!, r3 & 0xffff) +
      Math.imul(k[4]!, l3 >>> 16) +
      Math.imul(k[5]!, l3 & 0xffff)
    // The words that all IPv4 addresses have in common are left out.
    if (r2 === MAPPED_WORD && (r0 | r1) === 0) return (sum | 0) >>> (32 - TUPLE_HASH_BITS)
    return ((sum | 0) + this.others(r0, r1, r2, l0, l1, l2)) >>> (32 - TUPLE_HASH_BITS)
  }

  private others(r0: number, r1: number, r2: number, l0: number, l1: number, l2: number): number {
    const k = this.factors
    const sum =
      Math.imul(k[6]!, r0 >>> 16) +
      Math.imul(k[7]!, r0 & 0xffff) +
      Math.imul(k[8]!, r1 >>> 16) +
      Math.imul(k[9]!, r1 & 0xffff) +
      Math.imul(k[10]!, r2 >>> 16) +
      Math.imul(k[11]!, r2 & 0xffff) +
      Math.imul(k[12]!, l0 >>> 16) +
      Math.imul(k[13]!, l0 & 0xffff) +
      Math.imul(k[14]!, l1 >>> 16) +
      Math.imul(k[15]!, l1 & 0xffff) +
      Math.imul(k[16]!, l2 >>> 16) +
      Math.imul(k[17]!, l2 & 0xffff)
    return sum | 0
  }
}
