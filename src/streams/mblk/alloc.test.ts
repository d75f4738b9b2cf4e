import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { chainOf, flat } from '../testing/messages.ts'
import { allocb, allocHeader, copyHead, dupb, dupmsg, esballoc, freeb, freemsg } from './alloc.ts'
import { Arena, HEADROOM_BYTES } from './arena.ts'
import { bytes, isUnique, type Mblk } from './mblk.ts'
import { adjmsg, prepend } from './message.ts'
import { unshare } from './pullup.ts'
import { M_PROTO } from './types.ts'

const MIB = 1024 * 1024
let arena: Arena
beforeEach(() => {
  arena = new Arena({ sizeBytes: MIB, poison: true })
})
afterEach(() => arena.assertWhole())

describe('mblk/alloc', () => {
  it('allocb(9F): an empty block with room behind and headroom in front', () => {
    const mp = allocb(arena, 100, 30)!
    expect([mp.rptr - mp.dblk.base, mp.wptr - mp.rptr]).toEqual([30, 0])
    expect(mp.dblk.lim - mp.wptr).toBeGreaterThanOrEqual(100)
    freemsg(mp)
    const header = allocHeader(arena)!
    expect(header.rptr - header.dblk.base).toBe(HEADROOM_BYTES)
    freemsg(header)
  })

  it('allocb(9F): the bytes asked for fit whatever the headroom', () => {
    for (const headroom of [0, 1, 128, 2_000])
      for (const size of [0, 1, 128, 256, 1_920, 2_048, 60_000]) {
        const mp = allocb(arena, size, headroom)!
        expect(mp.dblk.lim - mp.wptr).toBeGreaterThanOrEqual(size)
        freemsg(mp)
      }
  })

  it('dupb(9F): shares the bytes, has its own edges, and carries what the head says', () => {
    const mp = chainOf(arena, Uint8Array.of(1, 2, 3, 4), [], 8)
    Object.assign(mp, {
      type: M_PROTO,
      band: 2,
      flag: 1,
      offload: 3,
      csumStart: 4,
      csumOffset: 5,
      gsoSize: 6,
    })
    const copy = dupb(mp)!
    expect(copy).toMatchObject({
      type: M_PROTO,
      band: 2,
      flag: 1,
      offload: 3,
      csumStart: 4,
      csumOffset: 5,
      gsoSize: 6,
    })
    expect([isUnique(mp), isUnique(copy), mp.dblk.ref]).toEqual([false, false, 2])
    adjmsg(copy, 2)
    expect([...flat(mp)]).toEqual([1, 2, 3, 4])
    expect([...flat(copy)]).toEqual([3, 4])
    freeb(mp)
    expect(isUnique(copy)).toBe(true)
    expect([...flat(copy)]).toEqual([3, 4])
    freeb(copy)
  })

  it('dupmsg(9F): every block is shared; the last one to go frees them, in either order', () => {
    for (const first of [0, 1]) {
      const mp = chainOf(arena, Uint8Array.of(1, 2, 3, 4, 5), [0, 2, 2, 4])
      const pair = [mp, dupmsg(mp)!]
      expect([...flat(pair[1]!)]).toEqual([1, 2, 3, 4, 5])
      freemsg(pair[first]!)
      expect([...flat(pair[1 - first]!)]).toEqual([1, 2, 3, 4, 5])
      freemsg(pair[1 - first]!)
      arena.assertWhole()
    }
  })

  it('dupb(9F) of a dup of a dup: the count is right at each step', () => {
    const mp = chainOf(arena, Uint8Array.of(9))
    const views: Mblk[] = [mp]
    for (let i = 0; i < 50; i++) views.push(dupb(views[(i * 7) % views.length]!)!)
    for (let i = 0; i < 51; i++) {
      expect(views[0]!.dblk.ref).toBe(51 - i)
      freeb(views[(i * 13) % 51]!)
    }
  })

  it('dupb of a freed block is caught', () => {
    const mp = chainOf(arena, Uint8Array.of(9))
    freemsg(mp)
    expect(() => dupb(mp)).toThrow('free')
  })

  it('views run out: null, nothing leaked, the original untouched', () => {
    arena = new Arena({ sizeBytes: MIB, poison: true, viewLimit: 3 })
    const mp = chainOf(arena, Uint8Array.of(1, 2, 3, 4), [1, 2, 3])
    expect(dupmsg(mp)).toBeNull()
    expect(arena.viewsInUse).toBe(0)
    for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont) expect(bp.dblk.ref).toBe(1)
    const three = [dupb(mp)!, dupb(mp)!, dupb(mp)!]
    expect(dupb(mp)).toBeNull()
    for (const copy of three) freemsg(copy)
    freemsg(dupb(mp)!)
    expect([...flat(mp)]).toEqual([1, 2, 3, 4])
    freemsg(mp)
  })

  it('esballoc(9F): the free routine runs once, with the memory, when the last reference goes', () => {
    const memory = Uint8Array.of(1, 2, 3)
    const freed: Uint8Array[] = []
    const mp = esballoc(arena, memory, given => freed.push(given))!
    expect(mp.bytes).toBe(memory)
    const copy = dupmsg(mp)!
    freemsg(mp)
    expect(freed).toEqual([])
    expect([...flat(copy)]).toEqual([1, 2, 3])
    freemsg(copy)
    expect(freed).toHaveLength(1)
    expect(freed[0]).toBe(memory)
    expect(() => freemsg(copy)).toThrow('already free')
    expect(freed).toHaveLength(1)
  })

  it('esballoc(9F): the record is used again for other memory, without a mix-up', () => {
    const freed: number[] = []
    for (let i = 0; i < 20; i++) {
      const mp = esballoc(arena, Uint8Array.of(i, i), memory => freed.push(memory[0]!))!
      expect([...flat(mp)]).toEqual([i, i])
      const own = unshare(dupmsg(mp)!)!
      expect([...flat(own)]).toEqual([i, i])
      freemsg(own)
      expect(freed).toHaveLength(i)
      freemsg(mp)
    }
    expect(freed).toEqual(Array.from({ length: 20 }, (_, i) => i))
  })

  it('esballoc(9F): a free routine may take and free messages itself', () => {
    let inner: number[] = []
    const mp = esballoc(arena, new Uint8Array(4), () => {
      const other = esballoc(arena, Uint8Array.of(7), () => {})!
      inner = [...flat(other)]
      freemsg(other)
    })!
    freemsg(mp)
    expect(inner).toEqual([7])
  })

  it('esballoc(9F): the limit holds, and no routine runs for what was refused', () => {
    arena = new Arena({ sizeBytes: MIB, poison: true, viewLimit: 2 })
    let runs = 0
    const wrap = (): Mblk | null => esballoc(arena, new Uint8Array(1), () => runs++)
    const two = [wrap()!, wrap()!]
    expect(wrap()).toBeNull()
    for (const mp of two) freemsg(mp)
    expect(runs).toBe(2)
    freemsg(wrap()!)
  })

  it('esballoc(9F): a header in front of foreign memory goes into a block of its own, never into the memory', () => {
    const memory = new Uint8Array(100).fill(7)
    const mp = esballoc(arena, memory, () => {})!
    mp.rptr = 50
    const whole = prepend(mp, 20)!
    bytes(whole).fill(1, whole.rptr, whole.rptr + 20)
    expect([...flat(whole)]).toEqual([...new Array(20).fill(1), ...new Array(50).fill(7)])
    expect(memory.every(byte => byte === 7)).toBe(true)
    freemsg(whole)
  })

  it('freeb(9F) frees one block, freemsg(9F) all', () => {
    const mp = chainOf(arena, Uint8Array.of(1, 2, 3), [1, 2])
    const rest = mp.cont!
    freeb(mp)
    expect([...flat(rest)]).toEqual([2, 3])
    freemsg(rest)
  })

  it('copyHead carries every field of the head that concerns the packet', () => {
    const [a, b] = [allocHeader(arena)!, allocHeader(arena)!]
    const head = { type: 1, band: 2, flag: 3, offload: 4, csumStart: 5, csumOffset: 6, gsoSize: 7 }
    Object.assign(a, head)
    copyHead(b, a)
    expect(b).toMatchObject(head)
    freemsg(a)
    freemsg(b)
  })
})
