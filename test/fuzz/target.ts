import type { Random } from '../../src/base/prng.ts'

/** One parser, or one path through several, that has to survive any bytes. A `*.fuzz.ts` file exports `targets`. */
export interface FuzzTarget {
  /** Kebab-case and unique: the corpus of the target lies in a folder of this name. */
  readonly name: string
  /** Valid inputs of each shape the parser knows; mutation starts from them. */
  readonly seeds: readonly Uint8Array[]
  /**
   * Runs the code once, synchronously; to throw is to fail.
   * @param input - exactly as long as the bytes given; the target may keep or change it
   * @param random - seeded from `input`, so that a replay of the input takes the same turns
   * @returns optionally a string that names the outcome, such as a drop reason: an input with an outcome that was
   * not seen before becomes a new start for mutation
   */
  run(input: Uint8Array, random: Random): unknown
}

/** A short hash of some bytes, to seed a generator with (FNV-1a, 32 bits). */
export function hashBytes(bytes: Uint8Array): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return hash >>> 0
}
