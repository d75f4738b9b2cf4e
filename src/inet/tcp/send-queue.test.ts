import { afterEach, describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { allocb, dupb, esballoc, freemsg } from '../../streams/mblk/alloc.ts'
import { Arena } from '../../streams/mblk/arena.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { blockCount } from '../../streams/mblk/message.ts'
import { messageFrom } from '../../streams/mblk/pullup.ts'
import { chainOf, flat } from '../../streams/testing/messages.ts'
import { SEGMENT_BLOCKS_MAX, SendQueue } from './send-queue.ts'

const MIB = 1024 * 1024
let arena = new Arena({ sizeBytes: 8 * MIB, poison: true })

afterEach(() => {
  arena.assertWhole()
  arena = new Arena({ sizeBytes: 8 * MIB, poison: true })
})

const pattern = (from: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => ((from + i) * 151) >> 3)

describe('tcp/send-queue', () => {
  it.each([...Array(30).keys()])('property: gives back what was put in, from any place, seed %i', seed => {
    const random = new Prng(seed)
    const queue = new SendQueue()
    const base = (0x7fffffff - random.below(5_000)) | 0
    queue.begin(base)
    let put = 0
    let sent = 0
    let acked = 0
    let weight = 0
    for (let step = 0; step < 400; step++) {
      const what = random.below(3)
      if (what === 0) {
        const length = [1, 7, 100, 600, 1_448, 9_000][random.below(6)]!
        const bytes = pattern(put, length)
        const cuts = [random.below(length), random.below(length)].sort((a, b) => a - b)
        const mp = random.below(3) === 0 ? esballoc(arena, bytes, () => {})! : chainOf(arena, bytes, cuts)
        put += length
        weight += queue.append(arena, mp)
        queue.freeSpent()
      } else if (what === 1 && sent < put) {
        const length = queue.reach(queue.cursor, queue.cursorOffset, 1 + random.below(put - sent))
        queue.settleCursor()
        const views = queue.views(queue.cursor, queue.cursorOffset, length)!
        queue.moveCursor()
        if (Buffer.compare(flat(views), pattern(sent, length)) !== 0) throw new Error(`wrong at ${sent}`)
        expect(blockCount(views)).toBeLessThanOrEqual(SEGMENT_BLOCKS_MAX)
        freemsg(views)
        sent += length
      } else if (sent > acked) {
        acked += 1 + random.below(sent - acked)
        const before = queue.weight
        const freed = queue.acknowledge((base + acked) | 0)
        weight -= before - queue.weight
        if (freed !== null) freemsg(freed)
      }
      expect([queue.bytes, queue.endSeq, queue.headSeq, queue.weight]).toEqual([
        put - acked,
        (base + put) | 0,
        (base + acked) | 0,
        weight,
      ])
    }
    expect(queue.clear()).toBe(weight)
  })

  it('nothing is copied: views and the program share every byte, foreign memory too', () => {
    const queue = new SendQueue()
    queue.begin(0)
    let released = 0
    const foreign = new Uint8Array(100_000)
    queue.append(arena, esballoc(arena, foreign, () => released++)!)
    queue.freeSpent()
    const first = queue.views(queue.cursor, queue.cursorOffset, 65_160)!
    expect(first.dblk.bytes).toBe(foreign)
    // Sent again from the same bytes.
    const again = queue.views(queue.head, queue.head!.rptr, 1_448)!
    expect([again.dblk.bytes, again.rptr]).toEqual([foreign, 0])
    expect(arena.copies.stack.calls).toBe(0)
    freemsg(first)
    freemsg(again)
    const freed = queue.acknowledge(100_000)!
    expect(released).toBe(0)
    freemsg(freed)
    expect(released).toBe(1)
    expect([queue.weight, queue.bytes]).toEqual([0, 0])
  })

  it('a storm of one-byte writes is held in a small multiple of its bytes; the first few stay as they are', () => {
    const queue = new SendQueue()
    queue.begin(0)
    const push = (i: number): void => {
      queue.append(arena, messageFrom(arena, pattern(i, 1), 0, 1, 'edge')!)
      queue.freeSpent()
    }
    for (let i = 0; i < 16; i++) push(i)
    expect(arena.copies.stack.bytes).toBe(0)
    for (let i = 16; i < 100_000; i++) push(i)
    expect(arena.copies.stack.bytes).toBe(100_000 - 16)
    expect(queue.weight).toBeLessThan(1.3 * 100_000 + 16 * 256)
    const views = queue.views(queue.head, queue.head!.rptr, 20_000)!
    expect(Buffer.compare(flat(views), pattern(0, 20_000))).toBe(0)
    freemsg(views)
    queue.clear()
  })

  it('small data in large blocks does not hold the arena', () => {
    const queue = new SendQueue()
    queue.begin(0)
    for (let i = 0; i < 200; i++) {
      const mp = allocb(arena, 60_000)!
      mp.wptr += 1_000
      queue.append(arena, mp)
      queue.freeSpent()
    }
    expect(queue.weight).toBeLessThan(16 * 66_560 + 2.1 * 200_000)
    queue.clear()
  })

  it('bytes gathered behind what is in flight do not show in it', () => {
    const queue = new SendQueue()
    queue.begin(0)
    for (let i = 0; i < 20; i++) queue.append(arena, messageFrom(arena, pattern(i, 1), 0, 1, 'edge')!)
    const views = queue.views(queue.cursor, queue.cursorOffset, 20)!
    queue.moveCursor()
    queue.append(arena, messageFrom(arena, pattern(20, 5), 0, 5, 'edge')!)
    queue.freeSpent()
    expect(flat(views)).toEqual(pattern(0, 20))
    const rest = queue.views(queue.cursor, queue.cursorOffset, 5)!
    expect(flat(rest)).toEqual(pattern(20, 5))
    freemsg(views)
    freemsg(rest)
    queue.clear()
  })

  it('no view left: null, and nothing is held', () => {
    const few = new Arena({ sizeBytes: MIB, viewLimit: 3, poison: true })
    const queue = new SendQueue()
    queue.begin(0)
    queue.append(few, chainOf(few, pattern(0, 50), [10, 20, 30]))
    queue.freeSpent()
    const hold: Mblk = dupb(queue.head!)!
    expect(queue.views(queue.head, queue.head!.rptr, 50)).toBeNull()
    freemsg(hold)
    const two = queue.views(queue.head, queue.head!.rptr, 15)!
    expect(flat(two)).toEqual(pattern(0, 15))
    freemsg(two)
    queue.clear()
    few.assertWhole()
  })
})
