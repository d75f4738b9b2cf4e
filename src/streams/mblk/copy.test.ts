import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chainOf, flat } from '../testing/messages.ts'
import { freemsg } from './alloc.ts'
import { Arena } from './arena.ts'
import { copyBytes, portableMemory } from './copy.ts'
import { copyb, copymsg, messageFrom, readMessage } from './pullup.ts'

describe('mblk/copy', () => {
  it('property: moves like Uint8Array.set, also inside one memory where the two overlap', () => {
    const property = fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.nat(),
      fc.nat(),
      fc.nat(),
      fc.boolean(),
      (memory, a, b, c, same) => {
        const from = a % memory.length
        const length = b % (memory.length - from + 1)
        const to = c % (memory.length - length + 1)
        const target = same ? memory : new Uint8Array(memory.length)
        const expected = Uint8Array.from(target)
        expected.set(memory.slice(from, from + length), to)
        portableMemory.move(target, to, memory, from, length)
        expect(target).toEqual(expected)
      },
    )
    fc.assert(property, { numRuns: 500 })
  })

  it('counts bytes and calls by place, and nothing that is not a copy', () => {
    const arena = new Arena({ sizeBytes: 1024 * 1024 })
    const to = new Uint8Array(10)
    copyBytes(arena, 'edge', to, 0, new Uint8Array(7), 0, 7)
    copyBytes(arena, 'kernel', to, 0, new Uint8Array(7), 0, 2)
    expect(arena.copies).toMatchObject({
      stack: { bytes: 0, calls: 0 },
      edge: { bytes: 7, calls: 1 },
      kernel: { bytes: 2, calls: 1 },
    })
  })

  it.each([
    ['copyb', 4],
    ['copymsg', 10],
  ] as const)('%s counts %i bytes', (name, size) => {
    const arena = new Arena({ sizeBytes: 1024 * 1024, poison: true })
    const mp = chainOf(arena, new Uint8Array(10).fill(3), [4, 4, 9])
    const copy = (name === 'copyb' ? copyb : copymsg)(mp, 'edge')!
    expect(arena.copies.edge.bytes).toBe(size)
    expect(flat(copy)).toEqual(new Uint8Array(size).fill(3))
    copy.dblk.bytes[copy.rptr] = 9
    expect(mp.bytes[mp.rptr]).toBe(3)
    freemsg(mp)
    freemsg(copy)
    arena.assertWhole()
  })

  it('messageFrom and readMessage bring any length in and out, once', () => {
    const arena = new Arena({ sizeBytes: 4 * 1024 * 1024, poison: true })
    for (const length of [0, 1, 128, 129, 1_920, 1_921, 66_432, 66_433, 200_001]) {
      const source = new Uint8Array(length + 2).map((_, i) => i * 31)
      const before = arena.copies.edge.bytes
      const mp = messageFrom(arena, source, 1, 1 + length, 'edge')!
      const back = new Uint8Array(length)
      readMessage(mp, 0, back, 0, length, 'edge')
      expect(Buffer.compare(back, source.slice(1, 1 + length))).toBe(0)
      expect(arena.copies.edge.bytes - before).toBe(2 * length)
      freemsg(mp)
    }
    arena.assertWhole()
  })

  it('copymsg and messageFrom without enough blocks: null, nothing leaked', () => {
    const arena = new Arena({ sizeBytes: 1024 * 1024, poison: true })
    expect(messageFrom(arena, new Uint8Array(1_200_000), 0, 1_200_000, 'edge')).toBeNull()
    arena.assertWhole()
    const mp = messageFrom(arena, new Uint8Array(500_000), 0, 500_000, 'edge')!
    const inUse = arena.state().blocksInUse
    expect(copymsg(mp)).toBeNull()
    expect(arena.state().blocksInUse).toBe(inUse)
    freemsg(mp)
    arena.assertWhole()
  })
})
