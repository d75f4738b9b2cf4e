import type { Random } from '../../src/base/prng.ts'
import { putI32, putU16 } from '../../src/inet/wire/fields.ts'

export interface OptionsWanted {
  readonly syn: boolean
  /** Without timestamps if it is 0. */
  readonly tsValue: number
  readonly tsEcho: number
  /** SACK blocks lie near it. */
  readonly acknowledgment: number
}

const MSS = [0, 1, 47, 48, 88, 536, 536, 1_460, 1_460, 1_460, 1_460, 65_535]

/**
 * Options of a segment: mostly those that it should have, sometimes odd ones, sometimes nonsense.
 * @returns bytes written, a multiple of 4, at most 40
 */
export function writeHostileOptions(
  bytes: Uint8Array,
  at: number,
  random: Random,
  { syn, tsValue, tsEcho, acknowledgment }: OptionsWanted,
): number {
  let to = at
  if (syn && random.below(8) !== 0) {
    bytes[to] = 2
    bytes[to + 1] = 4
    putU16(bytes, to + 2, MSS[random.below(MSS.length)]!)
    to += 4
    if (random.below(2) === 0) {
      bytes.set([1, 1, 4, 2], to)
      to += 4
    }
    if (random.below(2) === 0) {
      bytes.set([1, 3, 3, random.below(8) === 0 ? random.below(256) : random.below(15)], to)
      to += 4
    }
  }
  if (tsValue !== 0) {
    bytes.set([1, 1, 8, 10], to)
    putI32(bytes, to + 4, tsValue)
    putI32(bytes, to + 8, tsEcho)
    to += 12
  }
  if (!syn && random.below(6) === 0) to += writeSack(bytes, to, random, acknowledgment)
  if (random.below(24) === 0) {
    // Nonsense over what was right: odd lengths, unknown kinds, an end in the middle.
    for (let i = at; i < at + 40; i++)
      if (i >= to || random.below(8) === 0)
        bytes[i] = random.below(4) === 0 ? random.below(256) : random.below(9)
    to = at + 4 * random.below(11)
  }
  return to - at
}

function writeSack(bytes: Uint8Array, at: number, random: Random, acknowledgment: number): number {
  const count = 1 + random.below(2)
  bytes.set([1, 1, 5, 2 + 8 * count], at)
  for (let i = 0; i < count; i++) {
    const left =
      (acknowledgment + random.below(random.below(2) === 0 ? 20_000 : 100) - random.below(3_000)) | 0
    const size = random.below(16) === 0 ? random.int32() : random.below(3_000)
    putI32(bytes, at + 4 + 8 * i, left)
    putI32(bytes, at + 8 + 8 * i, (left + size) | 0)
  }
  return 4 + 8 * count
}
