import type { Random } from '../../src/base/prng.ts'

/** No IP packet is longer, and nothing that a device hands over is either. */
export const MAX_INPUT_BYTES = 65_536

const MAX_MUTATIONS = 6
const INTERESTING = [
  0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 19, 20, 21, 28, 40, 64, 127, 128, 255, 256, 576, 1_280, 1_500, 0x7fff,
  0x8000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
]

/** Changes a copy of the input and returns it, perhaps with another length. */
type Mutation = (input: Uint8Array, random: Random, pool: readonly Uint8Array[]) => Uint8Array

const flipBit: Mutation = (input, random) => {
  if (input.length > 0) input[random.below(input.length)]! ^= 1 << random.below(8)
  return input
}

const setByte: Mutation = (input, random) => {
  if (input.length > 0) input[random.below(input.length)] = random.below(256)
  return input
}

const addToByte: Mutation = (input, random) => {
  if (input.length > 0) input[random.below(input.length)]! += random.below(33) - 16
  return input
}

const setInteresting: Mutation = (input, random) => {
  return setInteger(input, random, INTERESTING[random.below(INTERESTING.length)]!)
}

/** A length field that is off by little, or that promises what follows exactly, is what parsers trip over. */
const setLength: Mutation = (input, random) => {
  const at = random.below(Math.max(1, input.length))
  const following = random.below(2) === 0 ? input.length : input.length - at
  return setInteger(input, random, Math.max(0, following + random.below(9) - 4), at)
}

const truncate: Mutation = (input, random) => input.slice(0, random.below(input.length + 1))

const extend: Mutation = (input, random) => {
  const longer = new Uint8Array(input.length + 1 + random.below(random.below(8) === 0 ? 2_048 : 32))
  longer.set(input)
  for (let i = input.length; i < longer.length; i++) longer[i] = random.below(256)
  return longer
}

const removeRange: Mutation = (input, random) => {
  const from = random.below(input.length + 1)
  const to = Math.min(input.length, from + 1 + random.below(16))
  return concat(input.subarray(0, from), input.subarray(to))
}

const repeatRange: Mutation = (input, random) => {
  const from = random.below(input.length + 1)
  const to = Math.min(input.length, from + 1 + random.below(64))
  return concat(input.subarray(0, to), input.subarray(from))
}

const splice: Mutation = (input, random, pool) => {
  const other = pool[random.below(pool.length)]!
  return concat(
    input.subarray(0, random.below(input.length + 1)),
    other.subarray(random.below(other.length + 1)),
  )
}

const overwriteRange: Mutation = (input, random, pool) => {
  const other = pool[random.below(pool.length)]!
  const from = random.below(other.length + 1)
  const piece = other.subarray(from, from + 1 + random.below(32))
  const at = random.below(input.length + 1)
  input.set(piece.subarray(0, input.length - at), at)
  return input
}

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  flipBit,
  setByte,
  addToByte,
  setInteresting,
  setInteresting,
  setLength,
  setLength,
  truncate,
  extend,
  removeRange,
  repeatRange,
  splice,
  overwriteRange,
]

/**
 * A new input from one of the pool.
 * @param pool - at least one input; none is changed
 * @returns a new array of at most {@link MAX_INPUT_BYTES}
 */
export function mutate(pool: readonly Uint8Array[], random: Random): Uint8Array {
  let input: Uint8Array = pool[random.below(pool.length)]!.slice()
  for (let left = 1 + random.below(MAX_MUTATIONS); left > 0; left--) {
    input = MUTATIONS[random.below(MUTATIONS.length)]!(input, random, pool)
  }
  return input.length > MAX_INPUT_BYTES ? input.slice(0, MAX_INPUT_BYTES) : input
}

/** Writes 1, 2 or 4 bytes, in network order three times out of four, as far as they fit. */
function setInteger(input: Uint8Array, random: Random, value: number, from?: number): Uint8Array {
  const size = [1, 2, 2, 4][random.below(4)]!
  const at = from ?? random.below(Math.max(1, input.length))
  const littleEndian = random.below(4) === 0
  for (let i = 0; i < size && at + i < input.length; i++) {
    input[at + i] = value >>> (8 * (littleEndian ? i : size - 1 - i))
  }
  return input
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}
