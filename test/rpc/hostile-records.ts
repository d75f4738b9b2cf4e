/** Marks of records on a stream: proper ones in any division, and those that must end the connection. */
import type { Random } from '../../src/base/prng.ts'

const LAST = 0x8000_0000

/** @returns a message as a record, in one fragment or several */
export function framed(message: Uint8Array, random: Random): Uint8Array {
  const cuts = random.below(8) === 0 ? 1 + random.below(4) : 0
  const places = Array.from({ length: cuts }, () => 1 + random.below(Math.max(1, message.length - 1)))
  const ends = [...new Set(places.filter(at => at < message.length))].sort((a, b) => a - b)
  ends.push(message.length)
  const bytes = new Uint8Array(message.length + 4 * ends.length)
  let from = 0
  let at = 0
  for (const end of ends) {
    putMark(bytes, at, end - from, end === message.length)
    bytes.set(message.subarray(from, end), at + 4)
    at += 4 + end - from
    from = end
  }
  return bytes
}

function putMark(bytes: Uint8Array, at: number, length: number, isLast: boolean): void {
  new DataView(bytes.buffer).setUint32(at, isLast ? LAST + length : length)
}

function marks(...words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * words.length)
  words.forEach((word, i) => {
    new DataView(bytes.buffer).setUint32(4 * i, word)
  })
  return bytes
}

/** What ends a connection; the counter of `rpcmod` that says why. */
export const RECORD_ATTACKS: readonly (readonly [counter: string, bytes: () => Uint8Array])[] = [
  ['record-long', () => marks(0xffff_ffff)],
  ['record-long', () => marks(0x7fff_ffff, 0, 0)],
  ['record-long', () => marks(0x0000_0004, 0, 0x7fff_ffff)],
  ['record-empty', () => marks(0)],
  ['record-empty', () => marks(LAST)],
  ['record-fragments', () => endless(1)],
]

/** Fragments of one byte that never end. */
function endless(length: number): Uint8Array {
  const bytes = new Uint8Array(200 * (4 + length))
  for (let at = 0; at < bytes.length; at += 4 + length) putMark(bytes, at, length, false)
  return bytes
}

/** Says that more is to come, and then sends nothing: a connection that waits. */
export const UNFINISHED = marks(LAST + 4_000, 1, 2, 3)
