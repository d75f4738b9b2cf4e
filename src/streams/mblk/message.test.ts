import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { chainOf, flat } from '../testing/messages.ts'
import { allocb, dupmsg, freeb, freemsg } from './alloc.ts'
import { Arena, HEADROOM_BYTES } from './arena.ts'
import { bytes, type Mblk } from './mblk.ts'
import {
  adjmsg,
  blockCount,
  dropEmptyHead,
  linkb,
  messageBytes,
  msgdsize,
  prepend,
  rmvb,
  unlinkb,
} from './message.ts'
import { M_PROTO } from './types.ts'

const DATA = Uint8Array.from({ length: 24 }, (_, i) => i + 1)
let arena: Arena
beforeEach(() => {
  arena = new Arena({ sizeBytes: 1024 * 1024, poison: true })
})
afterEach(() => arena.assertWhole())

/** All ways to split the data at two places, empty blocks included. */
function* shapes(): Generator<[Mblk, string]> {
  for (let a = 0; a <= DATA.length; a++)
    for (let b = a; b <= DATA.length; b++) yield [chainOf(arena, DATA, [a, b], a % 3), `${a},${b}`]
}

describe('mblk/message', () => {
  it('checklist 3.6-59: adjmsg(9F) trims both ends of every shape like a flat buffer', () => {
    for (let cut = 0; cut <= DATA.length; cut++) {
      for (const [mp, shape] of shapes()) {
        const tail = dupmsg(mp)!
        expect(adjmsg(mp, cut)).toBe(true)
        expect([shape, ...flat(mp)]).toEqual([shape, ...DATA.slice(cut)])
        expect(adjmsg(tail, -cut)).toBe(true)
        expect([shape, ...flat(tail)]).toEqual([shape, ...DATA.slice(0, DATA.length - cut)])
        expect([messageBytes(mp), msgdsize(tail)]).toEqual([DATA.length - cut, DATA.length - cut])
        freemsg(mp)
        freemsg(tail)
      }
    }
  })

  it('adjmsg(9F): more than there is changes nothing', () => {
    for (const [mp] of shapes()) {
      for (const length of [DATA.length + 1, -DATA.length - 1, 100_000])
        expect(adjmsg(mp, length)).toBe(false)
      expect(flat(mp)).toEqual(DATA)
      freemsg(mp)
    }
  })

  it('checklist 3.6-59: prepend puts a header in front of every shape, in place where it can', () => {
    for (const [mp] of shapes()) {
      const room = mp.rptr - mp.dblk.base
      const blocks = blockCount(mp)
      const whole = prepend(mp, 2)!
      expect(blockCount(whole)).toBe(room >= 2 ? blocks : blocks + 1)
      bytes(whole)[whole.rptr] = 77
      bytes(whole)[whole.rptr + 1] = 78
      expect([...flat(whole)]).toEqual([77, 78, ...DATA])
      freemsg(whole)
    }
  })

  it('prepend: headers of all layers fit in the headroom of one block, and csumStart moves along', () => {
    const mp = allocb(arena, 0, HEADROOM_BYTES)!
    mp.csumStart = 3
    let whole = mp
    for (let left = HEADROOM_BYTES; left > 0; left -= 32) whole = prepend(whole, 32)!
    expect(whole).toBe(mp)
    expect(whole.csumStart).toBe(3 + HEADROOM_BYTES)
    whole = prepend(whole, 1)!
    expect(whole).not.toBe(mp)
    expect(whole.csumStart).toBe(4 + HEADROOM_BYTES)
    freemsg(whole)
  })

  it('checklist 3.6-60: prepend never writes in front of shared bytes', () => {
    const mp = chainOf(arena, DATA, [], 20)
    const other = dupmsg(mp)!
    const whole = prepend(mp, 8)!
    bytes(whole).fill(0, whole.rptr, whole.rptr + 8)
    expect(blockCount(whole)).toBe(2)
    const second = prepend(other, 8)!
    bytes(second).fill(1, second.rptr, second.rptr + 8)
    expect([...flat(whole)]).toEqual([...new Array(8).fill(0), ...DATA])
    expect([...flat(second)]).toEqual([...new Array(8).fill(1), ...DATA])
    freemsg(whole)
    freemsg(second)
  })

  it('prepend without a block left: null, and the message is freed', () => {
    const mp = chainOf(arena, DATA)
    const hoard: Mblk[] = []
    for (let bp = arena.take(1); bp !== null; bp = arena.take(1)) hoard.push(bp)
    expect(prepend(mp, 1)).toBeNull()
    for (const bp of hoard) freemsg(bp)
  })

  it('linkb(9F) and unlinkb(9F)', () => {
    const mp = chainOf(arena, DATA.slice(0, 5), [2])
    linkb(mp, chainOf(arena, DATA.slice(5), [0, 3]))
    expect(flat(mp)).toEqual(DATA)
    const rest = unlinkb(mp)!
    expect([...flat(mp), ...flat(rest)]).toEqual([...DATA])
    expect(unlinkb(mp)).toBeNull()
    freemsg(mp)
    freemsg(rest)
  })

  it('rmvb(9F): first, middle, last, only, and a stranger', () => {
    for (const index of [0, 1, 2]) {
      const mp = chainOf(arena, Uint8Array.of(0, 1, 2), [1, 2])
      const blocks = [mp, mp.cont!, mp.cont!.cont!]
      const rest = rmvb(mp, blocks[index]!)!
      expect([...flat(rest)]).toEqual([0, 1, 2].filter(each => each !== index))
      expect(blocks[index]!.cont).toBeNull()
      freemsg(rest)
      freeb(blocks[index]!)
    }
    const [one, stranger] = [chainOf(arena, DATA), chainOf(arena, DATA)]
    expect(() => rmvb(one, stranger)).toThrow('not part')
    expect(rmvb(one, one)).toBeNull()
    freeb(one)
    freeb(stranger)
  })

  it('msgdsize(9F) counts only M_DATA, messageBytes all', () => {
    const mp = chainOf(arena, DATA, [4, 4])
    mp.type = M_PROTO
    expect([msgdsize(mp), messageBytes(mp), blockCount(mp)]).toEqual([20, 24, 3])
    freemsg(mp)
  })

  it('dropEmptyHead: the first block that holds bytes becomes the head, with what the head said', () => {
    const mp = chainOf(arena, DATA, [0, 0, 10, 10])
    Object.assign(mp, { band: 1, offload: 2, csumStart: 3, csumOffset: 4, gsoSize: 5 })
    mp.at = { holderName: 'test' }
    const head = dropEmptyHead(mp)
    expect(head).toMatchObject({ band: 1, offload: 2, csumStart: 3, csumOffset: 4, gsoSize: 5 })
    expect(head.at?.holderName).toBe('test')
    expect(blockCount(head)).toBe(3)
    expect(flat(head)).toEqual(DATA)
    freemsg(head)
    const empty = dropEmptyHead(chainOf(arena, new Uint8Array(0), [0, 0]))
    expect(blockCount(empty)).toBe(1)
    freemsg(empty)
  })

  it('property: any sequence of trims and prepends of shared messages gives what flat buffers give', () => {
    const step = fc.record({ what: fc.nat(3), amount: fc.nat(40), share: fc.boolean() })
    const property = fc.property(
      fc.array(fc.nat(24), { maxLength: 5 }),
      fc.array(step, { maxLength: 20 }),
      (cuts, steps) => {
        let expected = [...DATA]
        let mp: Mblk = chainOf(
          arena,
          DATA,
          cuts.sort((a, b) => a - b),
          3,
        )
        const shared: [Mblk, number[]][] = []
        for (const { what, amount, share } of steps) {
          if (share) shared.push([dupmsg(mp)!, [...expected]])
          if (what === 0 && adjmsg(mp, amount)) expected = expected.slice(amount)
          if (what === 1 && adjmsg(mp, -amount)) expected = expected.slice(0, expected.length - amount)
          if (what === 2) mp = dropEmptyHead(mp)
          if (what !== 3) continue
          const whole = prepend(mp, amount)!
          bytes(whole).fill(amount, whole.rptr, whole.rptr + amount)
          expected = [...new Array(amount).fill(amount), ...expected]
          mp = whole
        }
        for (const [view, was] of [...shared, [mp, expected] as const]) {
          expect([...flat(view)]).toEqual(was)
          freemsg(view)
        }
        arena.assertWhole()
      },
    )
    fc.assert(property, { numRuns: 300 })
  })
})
