/** The account that a node keeps of a mapped client: what the client says is checked against it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { allocb, dupb, freemsg } from '../streams/mblk/alloc.ts'
import { Arena } from '../streams/mblk/arena.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageFrom } from '../streams/mblk/pullup.ts'
import { GRANTED, LENGTH, LENT, NOTHING, NUMBER, OFFSET } from './mapped-channel.ts'
import { MappedNodeSide } from './mapped-node.ts'

let arena: Arena
let side: MappedNodeSide
beforeEach(() => {
  arena = new Arena({ sizeBytes: 8 * 1024 * 1024 })
  side = MappedNodeSide.open(arena)!
})
afterEach(() => {
  side.close()
  arena.assertWhole()
})

/** Lends a block. @returns its number and where its bytes are */
function lend(): { number: number; offset: number; length: number } {
  const mp = messageFrom(arena, new Uint8Array(100), 0, 100, 'edge')!
  const entry = side.text.toClient >> 2
  expect(side.describe(mp, entry)).toBeGreaterThan(0)
  const { words } = arena
  return { number: words[entry + NUMBER]!, offset: words[entry + OFFSET]!, length: words[entry + LENGTH]! }
}

describe('ipc/mapped-node', () => {
  it('a block that the client gives back is free, once', () => {
    const { number } = lend()
    expect(side.returned(number)).toBe(true)
    expect(side.returned(number)).toBe(false)
    for (const wrong of [-1, 1, 4_711, 0x7fffffff]) expect(side.returned(wrong)).toBe(false)
  })

  it('a large block counts whole, once; views of one that others have, too, by a part of it', () => {
    side.close()
    arena = new Arena({ sizeBytes: 64 * 1024 * 1024 })
    side = MappedNodeSide.open(arena)!
    const entry = side.text.toClient >> 2
    const block = allocb(arena, 60_000)!
    block.wptr = block.rptr + 1
    const views = 2_000
    for (let i = 0; i < views; i++) side.describe(dupb(block)!, entry)
    freemsg(block)
    expect(side.isStrained).toBe(false)
    const numbers: number[] = []
    while (!side.isStrained) {
      const alone = allocb(arena, 60_000)!
      alone.wptr = alone.rptr + 1
      side.describe(alone, entry)
      numbers.push(arena.words[entry + NUMBER]!)
    }
    // 16 MiB, of which the views are half.
    expect(numbers.length).toBeGreaterThan(90)
    expect(numbers.length).toBeLessThan(180)
    // Each is given back at what it was lent for.
    for (let slot = 0; slot < views; slot++) expect(side.returned(slot)).toBe(true)
    for (const number of numbers.slice(1)) expect(side.returned(number)).toBe(true)
    const held = numbers.length
    let more = 0
    while (!side.isStrained) {
      const alone = allocb(arena, 60_000)!
      alone.wptr = alone.rptr + 1
      side.describe(alone, entry)
      more++
    }
    expect(more).toBeGreaterThan(held)
  })

  it('what the client has, it may send on, and nothing outside of it', () => {
    const { number, offset, length } = lend()
    const whole = side.resolve(LENT, number, offset, length, 0) as Mblk
    expect([whole.rptr, whole.wptr]).toEqual([offset, offset + length])
    const part = side.resolve(LENT, number, offset + 10, 5, 0) as Mblk
    expect(part.wptr - part.rptr).toBe(5)
    for (const [at, size] of [
      [offset - 1, 10],
      [offset, length + 1],
      [offset + length, 1],
      [0, 0x7fffffff],
      [-1, 4],
      [offset, 0],
      [offset, -1],
    ] as const)
      expect(side.resolve(LENT, number, at, size, 0)).toBeNull()
    expect(side.resolve(LENT, number + 1, offset, length, 0)).toBeNull()
    expect(side.resolve(LENT, -1, offset, length, 0)).toBeNull()
    // Given back while the stack still sends it: it lives until then.
    expect(side.returned(number)).toBe(true)
    freemsg(part)
    freemsg(whole)
  })

  it('what was granted may be sent from, each tag once at a time, and comes back when the stack is done', () => {
    const [offset, bytes] = side.text.grants[0]!
    const mp = side.resolve(GRANTED, 0, offset + 8, 16, 3) as Mblk
    expect(mp.dblk.bytes).toBe(arena.bytes)
    expect(side.resolve(GRANTED, 0, offset, 16, 3)).toBeNull()
    for (const [number, at, size, tag] of [
      [0, offset - 1, 16, 4],
      [0, offset, bytes + 1, 4],
      [0, offset + bytes, 1, 4],
      [1, offset, 16, 4],
      [-1, offset, 16, 4],
      [4_711, offset, 16, 4],
      [0, offset, 16, -1],
      [0, offset, 16, 4_096],
    ] as const)
      expect(side.resolve(GRANTED, number, at, size, tag)).toBeNull()
    expect(side.resolve(NOTHING, 0, offset, 16, 4)).toBeNull()
    expect(side.resolve(7, 0, offset, 16, 4)).toBeNull()
    expect(side.nextReturn()).toBe(-1)
    freemsg(mp)
    expect(side.nextReturn()).toBe(3)
    expect(side.nextReturn()).toBe(-1)
  })

  it('a client that is gone: what it had comes home, what the stack still sends stays until it is sent', () => {
    lend()
    lend()
    const [offset] = side.text.grants[0]!
    const mp = side.resolve(GRANTED, 0, offset, 16, 0) as Mblk
    side.close()
    expect(arena.state().blocksInUse).toBe(1)
    freemsg(mp)
    arena.assertWhole()
  })

  it('memory that the client does not map is copied in parts', () => {
    const foreign = arena.wrap(new Uint8Array(100_000), () => {})!
    foreign.wptr = 100_000
    const entry = side.text.toClient >> 2
    let total = 0
    while (foreign.live) {
      expect(side.describe(foreign, entry)).toBeGreaterThan(0)
      total += arena.words[entry + LENGTH]!
    }
    expect(total).toBe(100_000)
    expect(arena.copies.ipc.bytes).toBe(100_000)
  })

  it('there is no client without memory for it', () => {
    const small = new Arena({ sizeBytes: 1024 * 1024 })
    expect(MappedNodeSide.open(small)).toBeNull()
    small.assertWhole()
    expect(allocb(small, 100)).not.toBeNull()
  })
})
