/** Bytes that tell where in a stream they belong, made and checked at the speed of memory. */
import { allocb } from '../../src/streams/mblk/alloc.ts'
import { type Arena, HEADROOM_BYTES } from '../../src/streams/mblk/arena.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'

/** A prime, so that no block size divides it. */
const PERIOD = 65_521
const PATTERN = Buffer.alloc(3 * PERIOD)
for (let i = 0; i < PERIOD; i++) PATTERN[i] = (Math.imul(i, 0x9e3779b1) >>> 24) ^ (i >> 8)
PATTERN.copyWithin(PERIOD, 0, PERIOD)
PATTERN.copyWithin(2 * PERIOD, 0, PERIOD)

/** The bytes of a stream from `position` on; at most 128 KiB. Not to be changed. */
export function bytesAt(position: number, length: number): Uint8Array {
  const start = position % PERIOD
  return PATTERN.subarray(start, start + length)
}

/** A block with the bytes of a stream, written in place. */
export function blockAt(arena: Arena, position: number, length: number): Mblk | null {
  const mp = allocb(arena, length, HEADROOM_BYTES)
  if (mp === null) return null
  mp.dblk.bytes.set(bytesAt(position, length), mp.wptr)
  mp.wptr += length
  return mp
}

/** Checks that a message holds the bytes of a stream from `position` on. @returns its length @throws Error if it does not */
export function checkMessage(mp: Mblk, position: number): number {
  let at = position
  for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont) {
    const size = bp.wptr - bp.rptr
    for (let done = 0; done < size; ) {
      const part = Math.min(size - done, PERIOD)
      const seen = (bp.bytes as Uint8Array).subarray(bp.rptr + done, bp.rptr + done + part)
      if (Buffer.compare(seen, bytesAt(at, part)) !== 0) throw new Error(`wrong bytes near ${at}`)
      done += part
      at += part
    }
  }
  return at - position
}
