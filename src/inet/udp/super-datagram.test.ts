import { describe, expect, it } from 'vitest'
import { nonZero } from '../../base/counters.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import {
  type Mblk,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_CSUM_VALID,
  OFFLOAD_GSO_TCP4,
  OFFLOAD_GSO_UDP,
} from '../../streams/mblk/mblk.ts'
import type { Stream } from '../../streams/stream.ts'
import { chainOf, flat } from '../../streams/testing/messages.ts'
import { pattern } from '../testing/packets.ts'
import { SEGMENT_BYTES, turnRound } from '../unitdata.ts'
import { field, makeUdpTest } from './testing/udp-test.ts'

const asSuper =
  (size: number, offload = OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_UDP) =>
  (data: Mblk): void => {
    data.offload = offload
    data.gsoSize = size
  }

function takeAll(s: Stream): Uint8Array[] {
  const all: Uint8Array[] = []
  for (let mp = s.getmsg(); mp !== null; mp = s.getmsg()) {
    expect(field(mp, SEGMENT_BYTES)).toBe(0)
    all.push(flat(mp.cont!))
    freemsg(mp)
  }
  return all
}

describe('inet/udp/super-datagram', () => {
  it('goes whole to an endpoint that asked for that, with the size of its parts', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 }, superDatagrams: true })
    t.receive({ port: 7, data: pattern(3_500), mark: asSuper(1_000) })
    const mp = s.getmsg()!
    expect(field(mp, SEGMENT_BYTES)).toBe(1_000)
    expect(flat(mp.cont!)).toEqual(pattern(3_500))
    expect(mp.cont!.gsoSize).toBe(0)
    // Turned round it is a super-datagram again.
    turnRound(mp)
    s.putmsg(mp)
    expect([t.ip.sent[0]!.cont!.gsoSize, t.arena.copies.stack.calls]).toEqual([1_000, 0])
    t.finish()
  })

  it.each([
    [3_500, 1_000],
    [3_000, 1_000],
    [1_001, 1_000],
    [128, 1],
  ])('%i bytes of %i each are taken apart for others, without a copy', (total, size) => {
    const data = pattern(total)
    const shapes = [[], [8], [9], [500], [10, 11, 12, 900], [8, 8, 1_008, 2_008]]
    for (const places of shapes.map(list => list.filter(place => place <= total + 8))) {
      const t = makeUdpTest()
      const s = t.open({ bind: { port: 7 } })
      const shape = (bytes: Uint8Array): Mblk => chainOf(t.arena, bytes, places)
      t.receive({ port: 7, data, mark: asSuper(size), shape })
      const parts = takeAll(s)
      expect(parts.map(part => part.length)).toEqual([
        ...new Array<number>(Math.ceil(total / size) - 1).fill(size),
        total - size * (Math.ceil(total / size) - 1),
      ])
      expect(Buffer.concat(parts)).toEqual(Buffer.from(data))
      // At most the header was made contiguous.
      expect(t.arena.copies.stack.bytes).toBeLessThanOrEqual(8)
      expect(t.counters['super-datagrams-split']).toBe(1)
      t.finish()
    }
  })

  it('one of more parts than may be sent at once comes in two, which both can', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 }, superDatagrams: true })
    const data = pattern(127 * 100 + 50)
    t.receive({ port: 7, data, mark: asSuper(100) })
    const sizes: number[][] = []
    for (let mp = s.getmsg(); mp !== null; mp = s.getmsg()) {
      sizes.push([flat(mp.cont!).length, field(mp, SEGMENT_BYTES)])
      turnRound(mp)
      s.putmsg(mp)
    }
    expect(sizes).toEqual([
      [6_400, 100],
      [6_350, 100],
    ])
    expect(t.ip.sent.map(mp => flat(mp.cont!).length)).toEqual([6_408, 6_358])
    t.finish()
  })

  it('one that fits its segment size is an ordinary datagram', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    const whole = t.open({ bind: { port: 8 }, superDatagrams: true })
    for (const port of [7, 8]) t.receive({ port, data: pattern(900), mark: asSuper(1_000) })
    for (const each of [s, whole]) expect(takeAll(each)).toEqual([pattern(900)])
    expect(nonZero(t.counters)).toEqual({ 'datagrams-in': 2 })
    t.finish()
  })

  it.each([
    ['segment size 0', asSuper(0), 100],
    ['one-byte segments making thousands', asSuper(1), 5_000],
    ['129 segments', asSuper(10), 1_281],
    ['no payload', asSuper(10), 0],
    ['the offload of TCP', asSuper(100, OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_TCP4), 1_000],
    ['both offloads', asSuper(100, OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_TCP4 | OFFLOAD_GSO_UDP), 1_000],
    ['a finished checksum, which there cannot be', asSuper(100, OFFLOAD_CSUM_VALID | OFFLOAD_GSO_UDP), 1_000],
  ])('checklist 3.7-65: %s is refused with a counter', (_, mark, size) => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    t.receive({ port: 7, data: pattern(size), mark })
    expect(s.getmsg()).toBeNull()
    expect(nonZero(t.counters)).toEqual({ 'gso-refused': 1 })
    t.finish()
  })

  it('one program slow to read loses the rest of it, and nothing leaks', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 }, receiveBytes: 4_096 })
    t.receive({ port: 7, data: pattern(10_000), mark: asSuper(1_000) })
    expect(t.counters['receive-full']).toBe(10 - takeAll(s).length)
    expect(t.counters['receive-full']).toBeGreaterThan(0)
    t.finish()
  })

  it('without a block left some datagrams are lost and counted, and the arena is whole afterwards', () => {
    const t = makeUdpTest({ arenaOptions: { sizeBytes: 1024 * 1024, poison: true, viewLimit: 5 } })
    const s = t.open({ bind: { port: 7 } })
    t.receive({ port: 7, data: pattern(10_000), mark: asSuper(1_000) })
    expect(takeAll(s).length).toBe(5)
    expect(t.counters['no-buffers']).toBe(1)
    t.finish()
  })
})
