/** Bodies cut off the front of messages. */
import { afterEach, describe, expect, it } from 'vitest'
import { allocb, esballoc, freeb, freemsg } from '../streams/mblk/alloc.ts'
import { Arena } from '../streams/mblk/arena.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { copyPart } from './copy-part.ts'
import { BODY_BYTES_MAX } from './protocol.ts'
import { ANY_MEMORY, Cutter } from './send-data.ts'

let arena: Arena
afterEach(() => arena.assertWhole())

function foreign(size: number): Mblk {
  const mp = esballoc(arena, new Uint8Array(size), () => {})!
  mp.wptr = mp.rptr + size
  return mp
}

function own(size: number): Mblk {
  const mp = allocb(arena, size)!
  mp.wptr += size
  return mp
}

/** Sizes of the bodies until nothing is left. */
function sizes(cutter: Cutter, mp: Mblk): number[] {
  const list: number[] = []
  for (let rest: Mblk | null = mp; rest !== null; rest = cutter.rest) {
    expect(['sent', 'more']).toContain(cutter.cut(rest))
    list.push(messageBytes(cutter.body!))
    freemsg(cutter.body!)
  }
  return list
}

describe('ipc/send-data', () => {
  it('what is longer than a body goes in bodies', () => {
    arena = new Arena({ sizeBytes: 1024 * 1024 })
    const cutter = new Cutter(ANY_MEMORY)
    expect(sizes(cutter, foreign(BODY_BYTES_MAX))).toEqual([BODY_BYTES_MAX])
    expect(sizes(cutter, foreign(2 * BODY_BYTES_MAX + 7))).toEqual([BODY_BYTES_MAX, BODY_BYTES_MAX, 7])
  })

  it('memory that the other end does not have is copied as far as there are blocks, and none waits in line without one', () => {
    arena = new Arena({ sizeBytes: 1024 * 1024 })
    const cutter = new Cutter({
      takes: bp => bp.bytes === arena.bytes,
      copyFront: bp => (arena.spares(1_000) ? copyPart(arena, bp) : null),
    })
    const mp = own(10)
    mp.cont = foreign(100_000)
    mp.cont.cont = own(20)
    expect(sizes(cutter, mp)).toEqual([10, 66_560, 33_440, 20])
    const held: Mblk[] = []
    for (let bp = allocb(arena, 60_000); bp !== null; bp = allocb(arena, 60_000)) held.push(bp)
    for (let bp = allocb(arena, 2_000); bp !== null; bp = allocb(arena, 2_000)) held.push(bp)
    const waits = foreign(5_000)
    expect(cutter.cut(waits)).toBe('no-block')
    expect(cutter.rest).toBe(waits)
    expect(messageBytes(waits)).toBe(5_000)
    for (const bp of held) freeb(bp)
    expect(sizes(cutter, waits)).toEqual([5_000])
  })

  it('a message that cannot be cut for want of views is told, and whole', () => {
    arena = new Arena({ sizeBytes: 1024 * 1024, viewLimit: 1 })
    const cutter = new Cutter(ANY_MEMORY)
    const mp = foreign(BODY_BYTES_MAX)
    mp.cont = own(1)
    expect(cutter.cut(mp)).toBe('no-view')
    expect(cutter.rest).toBe(mp)
    expect(messageBytes(mp)).toBe(BODY_BYTES_MAX + 1)
    freemsg(mp)
  })
})
