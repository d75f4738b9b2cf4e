import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../base/assert.ts'
import { allocb, dupb, esballoc, freeb, freemsg } from './alloc.ts'
import { Arena, FRAME_BLOCK_BYTES, HEADER_BLOCK_BYTES, HEADROOM_BYTES, SUPER_BLOCK_BYTES } from './arena.ts'
import { bytes, type Mblk } from './mblk.ts'

const MIB = 1024 * 1024
const small = (): Arena => new Arena({ sizeBytes: MIB, poison: true })

/** Every block of a size class, taken. */
function takeAll(arena: Arena, size: number, sizeClass: number): Mblk[] {
  const taken: Mblk[] = []
  for (;;) {
    const mp = arena.take(size)
    if (mp === null) return taken
    if (mp.dblk.sizeClass !== arena.classes[sizeClass]) {
      freemsg(mp)
      return taken
    }
    taken.push(mp)
  }
}

describe('mblk/arena', () => {
  it.each([
    [0, HEADER_BLOCK_BYTES],
    [HEADER_BLOCK_BYTES, HEADER_BLOCK_BYTES],
    [HEADER_BLOCK_BYTES + 1, FRAME_BLOCK_BYTES],
    [FRAME_BLOCK_BYTES, FRAME_BLOCK_BYTES],
    [FRAME_BLOCK_BYTES + 1, SUPER_BLOCK_BYTES],
    [SUPER_BLOCK_BYTES, SUPER_BLOCK_BYTES],
  ])('%i bytes come in a block of %i', (size, block) => {
    const arena = small()
    const mp = arena.take(size)!
    expect(mp.dblk.lim - mp.dblk.base).toBe(block)
    expect([mp.rptr, mp.wptr]).toEqual([mp.dblk.base, mp.dblk.base])
    freemsg(mp)
    expect(arena.take(SUPER_BLOCK_BYTES + 1)).toBeNull()
    arena.assertWhole()
  })

  it.each([MIB, MIB + 1, MIB + 63, MIB + 100, 3 * MIB + 17])(
    'in %i bytes, blocks lie apart, aligned, and inside the slab',
    sizeBytes => {
      const arena = new Arena({ sizeBytes })
      const taken = [0, 1, 2].flatMap(i => takeAll(arena, [1, 300, 3_000][i]!, i))
      const places = taken.map(({ dblk }) => [dblk.base, dblk.lim]).sort((a, b) => a[0]! - b[0]!)
      let end = 0
      for (const [base, lim] of places) {
        expect(base).toBeGreaterThanOrEqual(end)
        expect(base! % 64).toBe(0)
        end = lim!
      }
      expect(end).toBeLessThanOrEqual(arena.bytes.length)
      for (const sizeClass of arena.classes) expect(sizeClass.limit).toBeLessThanOrEqual(arena.bytes.length)
      for (const mp of taken) freemsg(mp)
      arena.assertWhole()
    },
  )

  it('a program is told that nothing is left while the last eighth still is', () => {
    const arena = small()
    expect([arena.spares(1), arena.spares(300), arena.spares(SUPER_BLOCK_BYTES + 1)]).toEqual([
      true,
      true,
      false,
    ])
    const frames = takeAll(arena, 300, 1)
    expect([arena.spares(1), arena.spares(300), arena.spares(3_000)]).toEqual([true, false, true])
    let freed = 0
    while (!arena.spares(300)) {
      freemsg(frames.pop()!)
      freed++
    }
    expect(freed / (frames.length + freed)).toBeCloseTo(1 / 8, 1)
    for (const mp of frames) freemsg(mp)
    arena.assertWhole()
  })

  it('takes the block that was freed last, whose bytes are still in the cache', () => {
    const arena = small()
    const [a, b] = [arena.take(1)!, arena.take(1)!]
    freemsg(a)
    freemsg(b)
    const again = arena.take(1)!
    expect(again).toBe(b)
    freemsg(again)
    arena.assertWhole()
  })

  it('a fresh block remembers nothing of its last use', () => {
    const arena = small()
    const mp = arena.take(1)!
    const fresh = { ...mp }
    Object.assign(mp, { type: 9, band: 3, flag: 1, offload: 7, csumStart: 5, csumOffset: 6, gsoSize: 9 })
    mp.at = { holderName: 'test' }
    mp.rptr += 9
    mp.wptr += 19
    freemsg(mp)
    expect({ ...arena.take(1)! }).toEqual(fresh)
  })

  it('exhaustion: a larger size serves, then null, counted; after a free there is a block again', () => {
    const arena = small()
    const headers = takeAll(arena, 1, 0)
    expect(arena.classes[0]!.exhausted).toBe(1)
    const frames = takeAll(arena, 1, 1)
    const supers = takeAll(arena, 1, 2)
    expect(arena.take(1)).toBeNull()
    expect(arena.classes.map(sizeClass => sizeClass.inUse)).toEqual(
      [headers, frames, supers].map(taken => taken.length),
    )
    freemsg(headers.pop()!)
    const mp = arena.take(1)!
    expect(mp.dblk.sizeClass!.name).toBe('header')
    for (const each of [mp, ...headers, ...frames, ...supers]) freemsg(each)
    expect(arena.classes.map(sizeClass => sizeClass.peak > 0 && sizeClass.inUse === 0)).toEqual([
      true,
      true,
      true,
    ])
    arena.assertWhole()
  })

  it('checklist 3.6-60: a double free is caught, and does not corrupt the free list', () => {
    const arena = small()
    const mp = arena.take(1)!
    freemsg(mp)
    expect(() => freemsg(mp)).toThrow(AssertionError)
    expect(() => freeb(mp)).toThrow('already free')
    const [a, b] = [arena.take(1)!, arena.take(1)!]
    expect(a).not.toBe(b)
    freemsg(a)
    freemsg(b)
    arena.assertWhole()
  })

  it('checklist 3.6-60: freeing one view twice does not take the block from the other', () => {
    const arena = small()
    const mp = arena.take(1)!
    const copy = dupb(mp)!
    freemsg(mp)
    expect(() => freemsg(mp)).toThrow('already free')
    expect(copy.dblk.ref).toBe(1)
    freemsg(copy)
    arena.assertWhole()
  })

  it('checklist 3.6-60: a message on a queue cannot be freed', () => {
    const arena = small()
    const mp = arena.take(1)!
    mp.queued = true
    expect(() => freemsg(mp)).toThrow('on a queue')
    mp.queued = false
    freemsg(mp)
  })

  it('checklist 3.6-60: use after free is caught by the poison, when the block is taken and at the end', () => {
    const arena = small()
    const mp = arena.take(1)!
    freemsg(mp)
    mp.dblk.bytes[mp.dblk.base + 17] = 1
    expect(() => arena.assertWhole()).toThrow('written at byte 17')
    expect(() => arena.take(1)).toThrow('a freed header block was written at byte 17')
  })

  it('checklist 3.6-60: a leak is told with its size and who held it', () => {
    const arena = small()
    const mp = arena.take(1)!
    mp.at = { holderName: 'tun0/hop.read' }
    expect(() => arena.assertWhole()).toThrow(/header block at 0, held by tun0\/hop.read/)
    const view = dupb(mp)!
    freemsg(mp)
    expect(arena.state()).toMatchObject({ blocksInUse: 1, viewsInUse: 1, foreignInUse: 0 })
    freemsg(view)
    arena.assertWhole()
  })

  it('a leak of foreign memory is seen too', () => {
    const arena = small()
    const mp = esballoc(arena, new Uint8Array(4), () => {})!
    expect(() => arena.assertWhole()).toThrow('"foreignInUse":1')
    freemsg(mp)
    arena.assertWhole()
  })

  it('checklist 3.6-60: a shared block cannot be had for writing', () => {
    const arena = small()
    const mp = arena.take(1)!
    expect(bytes(mp)).toBe(arena.bytes)
    const copy = dupb(mp)!
    expect(() => bytes(mp)).toThrow(AssertionError)
    freemsg(copy)
    expect(bytes(mp)).toBe(arena.bytes)
    freemsg(mp)
  })

  it('refuses a slab that is too small or too large', () => {
    expect(() => new Arena({ sizeBytes: MIB - 1 })).toThrow('1 MiB')
    expect(() => new Arena({ sizeBytes: 2 ** 31 })).toThrow('2 GiB')
  })

  it('every block of the header size holds an IPv6 header with all that is prepended to it', () => {
    const arena = small()
    const mp = allocb(arena, HEADROOM_BYTES, HEADROOM_BYTES)!
    expect(mp.dblk.sizeClass!.name).toBe('header')
    expect(mp.rptr - mp.dblk.base).toBe(HEADROOM_BYTES)
    freemsg(mp)
  })
})
