import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { chainOf, flat } from '../testing/messages.ts'
import { dupmsg, esballoc, freemsg } from './alloc.ts'
import { Arena } from './arena.ts'
import { bytes, type Mblk } from './mblk.ts'
import { blockCount, linkb } from './message.ts'
import { copymsg, msgpullup, pullupmsg, readMessage, unshare } from './pullup.ts'
import { M_DATA, M_PROTO } from './types.ts'

const DATA = Uint8Array.from({ length: 24 }, (_, i) => i + 1)
let arena: Arena
beforeEach(() => {
  arena = new Arena({ sizeBytes: 1024 * 1024, poison: true })
})
afterEach(() => arena.assertWhole())

function* shapes(): Generator<Mblk> {
  for (let a = 0; a <= DATA.length; a++)
    for (let b = a; b <= DATA.length; b++) yield chainOf(arena, DATA, [a, b], (a + b) % 3)
}

const HEAD = { type: M_DATA, band: 1, flag: 1, offload: 2, csumStart: 3, csumOffset: 4, gsoSize: 5 }

describe('mblk/pullup', () => {
  it('checklist 3.6-59: pullupmsg(9F) of every length of every shape leaves the same bytes, the first contiguous', () => {
    for (let size = 0; size <= DATA.length; size++) {
      for (const mp of shapes()) {
        Object.assign(mp, HEAD)
        mp.at = { holderName: 'test' }
        const whole = pullupmsg(mp, size)!
        expect(whole.wptr - whole.rptr).toBeGreaterThanOrEqual(size)
        expect(whole).toMatchObject(HEAD)
        expect(whole.at?.holderName).toBe('test')
        expect(flat(whole)).toEqual(DATA)
        freemsg(whole)
      }
    }
    arena.assertWhole()
  })

  it('pullupmsg(9F), -1: everything in one block; what is in one already stays as it is', () => {
    for (const mp of shapes()) {
      const whole = pullupmsg(mp, -1)!
      expect(blockCount(whole)).toBe(1)
      expect(flat(whole)).toEqual(DATA)
      const before = arena.copies.stack.bytes
      expect(pullupmsg(whole, -1)).toBe(whole)
      expect(pullupmsg(whole, 24)).toBe(whole)
      expect(arena.copies.stack.bytes).toBe(before)
      freemsg(whole)
    }
  })

  it('pullupmsg(9F) copies only what it joins, and reuses the blocks behind', () => {
    const mp = chainOf(arena, DATA, [4, 20])
    const last = mp.cont!.cont!
    const whole = pullupmsg(mp, 8)!
    expect(arena.copies.stack.bytes).toBe(8)
    expect(whole.cont!.cont).toBe(last)
    freemsg(whole)
  })

  it('pullupmsg(9F) longer than the message: ERR_MSG_SHORT, the message is freed', () => {
    for (const mp of shapes()) expect(() => pullupmsg(mp, DATA.length + 1)).toThrow(/shorter/)
    arena.assertWhole()
  })

  it('pullupmsg(9F) leaves the types of the blocks behind as they were', () => {
    const mp = chainOf(arena, DATA.slice(0, 8), [4])
    mp.type = M_PROTO
    mp.cont!.type = M_PROTO
    linkb(mp, chainOf(arena, DATA.slice(8), [8]))
    const whole = pullupmsg(mp, 8)!
    expect([whole.type, whole.cont!.type, whole.cont!.cont!.type]).toEqual([M_PROTO, M_DATA, M_DATA])
    expect(flat(whole)).toEqual(DATA)
    freemsg(whole)
  })

  it('checklist 3.6-60: pullupmsg(9F) of a shared message leaves the other holder its bytes', () => {
    for (const mp of shapes()) {
      const other = dupmsg(mp)!
      const whole = pullupmsg(mp, 20)!
      if (whole.dblk.ref === 1) bytes(whole as never).fill(0, whole.rptr, whole.wptr)
      expect(flat(other)).toEqual(DATA)
      freemsg(other)
      freemsg(whole)
    }
  })

  it('msgpullup(9F): a new message, the old one untouched', () => {
    for (const mp of shapes()) {
      const whole = msgpullup(mp, 20)!
      expect(whole.wptr - whole.rptr).toBeGreaterThanOrEqual(20)
      expect(flat(whole)).toEqual(DATA)
      freemsg(whole)
      expect(flat(mp)).toEqual(DATA)
      freemsg(mp)
    }
    const mp = chainOf(arena, DATA)
    expect(() => msgpullup(mp, 25)).toThrow(/shorter/)
    expect(flat(mp)).toEqual(DATA)
    freemsg(mp)
  })

  it('checklist 3.6-59: readMessage reads any part of every shape', () => {
    for (const mp of shapes()) {
      for (const [offset, length] of [
        [0, 24],
        [1, 22],
        [5, 0],
        [23, 1],
        [24, 0],
        [11, 7],
      ] as const) {
        const to = new Uint8Array(30).fill(99)
        readMessage(mp, offset, to, 3, length, 'edge')
        const expected = new Uint8Array(30).fill(99)
        expected.set(DATA.slice(offset, offset + length), 3)
        expect(to).toEqual(expected)
      }
      freemsg(mp)
    }
  })

  it('checklist 3.6-60: unshare gives a first block that can be written without anybody noticing', () => {
    for (const mp of shapes()) {
      Object.assign(mp, HEAD)
      expect(unshare(mp)).toBe(mp)
      const other = dupmsg(mp)!
      const own = unshare(mp)!
      expect(own).not.toBe(mp)
      expect(own).toMatchObject(HEAD)
      expect(flat(own)).toEqual(DATA)
      bytes(own).fill(0, own.rptr, own.wptr)
      expect(flat(other)).toEqual(DATA)
      freemsg(own)
      freemsg(other)
    }
  })

  it('pullupmsg, unshare, copymsg without a block left: null, nothing leaked', () => {
    const chain = chainOf(arena, DATA, [4])
    const shared = chainOf(arena, DATA)
    const other = dupmsg(shared)!
    const hoard: Mblk[] = []
    for (let bp = arena.take(1); bp !== null; bp = arena.take(1)) hoard.push(bp)
    expect(copymsg(chain)).toBeNull()
    expect(msgpullup(chain, 8)).toBeNull()
    expect(flat(chain)).toEqual(DATA)
    expect(unshare(shared)).toBeNull()
    expect(flat(other)).toEqual(DATA)
    expect(pullupmsg(chain, 8)).toBeNull()
    for (const mp of [...hoard, other]) freemsg(mp)
  })

  it('foreign memory larger than any block can be copied and unshared', () => {
    const large = new Uint8Array(150_000).map((_, i) => i * 13)
    const mp = esballoc(arena, large, () => {})!
    const copy = copymsg(mp)!
    expect(Buffer.compare(flat(copy), large)).toBe(0)
    freemsg(copy)
    const other = dupmsg(mp)!
    const own = unshare(mp)!
    expect(Buffer.compare(flat(own), large)).toBe(0)
    expect(own.dblk.ref).toBe(1)
    freemsg(own)
    freemsg(other)
  })

  it('property: pull-ups, copies, dups and unshares of any shape keep the bytes', () => {
    const step = fc.record({ what: fc.nat(4), size: fc.nat(60) })
    const shape = fc.array(fc.nat(60), { maxLength: 8 })
    const property = fc.property(
      fc.uint8Array({ maxLength: 60 }),
      shape,
      fc.array(step, { maxLength: 12 }),
      (data, cuts, steps) => {
        const places = cuts.map(place => place % (data.length + 1)).sort((a, b) => a - b)
        let mp: Mblk = chainOf(arena, data, places, 1)
        const others: Mblk[] = []
        for (const { what, size } of steps) {
          if (what === 0) mp = pullupmsg(mp, size % (data.length + 1))!
          if (what === 1) others.push(dupmsg(mp)!)
          if (what === 2) others.push(copymsg(mp)!)
          if (what === 3) mp = unshare(mp)!
          if (what === 4) others.push(msgpullup(mp, size % (data.length + 1))!)
        }
        for (const each of [mp, ...others]) {
          expect(flat(each)).toEqual(data)
          freemsg(each)
        }
        arena.assertWhole()
      },
    )
    fc.assert(property, { numRuns: 300 })
  })
})
