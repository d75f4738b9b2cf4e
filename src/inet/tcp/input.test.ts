/** What a segment must be before any connection looks at it; and what happens to those that are nobody's (RFC 9293 §3.10.7.1). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nonZero } from '../../base/counters.ts'
import { allocb, freemsg } from '../../streams/mblk/alloc.ts'
import { OFFLOAD_CSUM_NEEDED, OFFLOAD_GSO_TCP4 } from '../../streams/mblk/mblk.ts'
import { M_DATA } from '../../streams/mblk/types.ts'
import { chainOf } from '../../streams/testing/messages.ts'
import { indication } from '../testing/fake-ip.ts'
import { pattern } from '../testing/packets.ts'
import { segmentIn } from './input.ts'
import { takeData } from './receive.ts'
import { established } from './testing/peer.ts'
import { segmentBytes, segmentIndication } from './testing/segments.ts'
import { HERE, makeTcpTest, PEER, PEER_PORT, PEER6, PORT } from './testing/tcp-test.ts'

const PORTS = [PEER_PORT, PORT] as const

describe('inet/tcp/input: the segment itself', () => {
  it('MUST-3: the checksum is verified, over data and pseudo-header, of both families', () => {
    for (const from of [PEER, PEER6]) {
      const t = makeTcpTest()
      t.listen()
      const fields = { flags: 'S', seq: 1, data: 'xyz' }
      t.inject(fields, PORTS, { from, checksum: true })
      expect(t.takeOne().flags).toBe('SA')
      for (let bit = 0; bit < 23 * 8; bit += 5) {
        const mp = segmentIndication(t.arena, segmentBytes(fields, ...PORTS), {
          from,
          to: from === PEER ? HERE : t.local[1]!,
          checksum: true,
        })
        mp.cont!.dblk.bytes[mp.cont!.rptr + (bit >> 3)]! ^= 1 << (bit & 7)
        segmentIn(t.tcp, mp)
      }
      const { counters } = t
      const header = counters['data-offset-short'] + counters['data-offset-beyond']
      expect(counters['checksum-wrong'] + header).toBe(37)
      expect(counters['checksum-wrong']).toBeGreaterThan(34)
      expect(t.take()).toEqual([])
      t.finish()
    }
  })

  it('checklist 3.7-67: what the device vouches for, or left unfinished, is not summed', () => {
    const t = makeTcpTest()
    t.listen()
    const mp = segmentIndication(t.arena, segmentBytes({ flags: 'S', seq: 1 }, ...PORTS), {
      from: PEER,
      to: HERE,
    })
    mp.cont!.offload = OFFLOAD_CSUM_NEEDED
    segmentIn(t.tcp, mp)
    expect(t.takeOne().flags).toBe('SA')
    t.finish()
  })

  it('checklist 3.7-67: what a program or a module above takes has no offload fields: they spoke of a header that is gone', () => {
    const t = makeTcpTest()
    const peer = established(t)
    const marks = { offload: OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_TCP4, csumStart: 20, csumOffset: 16 }
    peer.data(pattern(3_000), { gsoSize: 1_000, shape: b => Object.assign(chainOf(t.arena, b), marks) })
    const data = takeData(t.tcp, peer.tcb)!
    expect([data.offload, data.csumStart, data.csumOffset, data.gsoSize]).toEqual([0, 0, 0, 0])
    freemsg(data)
    t.finish()
  })

  it.each([
    ['cut within the header', 'header-truncated', (b: Uint8Array) => b.slice(0, 19)],
    ['no byte at all', 'header-truncated', (b: Uint8Array) => b.slice(0, 0)],
    ['data offset 4', 'data-offset-short', (b: Uint8Array) => b.fill(0x40, 12, 13)],
    ['data offset 0', 'data-offset-short', (b: Uint8Array) => b.fill(0, 12, 13)],
    ['data offset beyond the segment', 'data-offset-beyond', (b: Uint8Array) => b.fill(0xf0, 12, 13)],
  ] as const)('checklist 3.5-28: %s: dropped as %s', (_, reason, spoil) => {
    const t = makeTcpTest()
    t.listen()
    t.injectBytes(spoil(segmentBytes({ flags: 'S', seq: 1 }, ...PORTS)))
    expect(nonZero(t.counters)).toEqual({ 'segments-in': 1, [reason]: 1 })
    expect(t.take()).toEqual([])
    t.finish()
  })

  it('an indication that is none is dropped', () => {
    const t = makeTcpTest()
    const bare = allocb(t.arena, 10)!
    bare.type = M_DATA
    segmentIn(t.tcp, bare)
    segmentIn(t.tcp, indication(t.arena, { remote: PEER, local: HERE, protocol: 6 }, null))
    expect(nonZero(t.counters)).toEqual({
      'segments-in': 2,
      'indication-malformed': 1,
      'header-truncated': 1,
    })
    t.finish()
  })

  it('checklist 3.6-59: header and data split anywhere, empty blocks too, are the same segment', () => {
    const bytes = segmentBytes(
      { flags: 'PA', seq: 1_001, data: pattern(40), timestamps: [9, 9], window: 1_000 },
      ...PORTS,
    )
    const run = (places: readonly number[]): unknown => {
      const t = makeTcpTest()
      const peer = established(t, { timestamps: true, iss: 1_000 })
      const view = new DataView(bytes.buffer)
      view.setInt32(8, peer.ack)
      view.setInt32(24, peer.tsNow)
      t.injectBytes(bytes, { checksum: true, shape: b => chainOf(t.arena, b, places, 8) })
      const result = [[...t.read(peer.tcb)], t.take().map(s => [s.flags, s.ack]), nonZero(t.counters)]
      t.finish()
      return result
    }
    const flat = run([])
    for (let place = 0; place <= bytes.length; place++) expect(run([place])).toEqual(flat)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 6 }), places => {
        expect(run(places.sort((a, b) => a - b))).toEqual(flat)
      }),
      { numRuns: 60 },
    )
  })

  it('MUST-5, 6, 7, 64, 68: options of any kind, at any place, with any length do no harm', () => {
    const t = makeTcpTest()
    const peer = established(t)
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 40 }), options => {
        const whole = [...options, ...new Array<number>((4 - (options.length & 3)) & 3).fill(0)]
        peer.send('PA', { options: whole, data: 'x' })
        expect(t.readText(peer.tcb)).toBe('x')
        peer.hear()
      }),
      { numRuns: 300 },
    )
    t.finish()
  })

  it('checklist 3.7-65: what a device says of segments within a super-segment may be wrong', () => {
    for (const gsoSize of [0, 1, 536, 1_448, 65_535]) {
      const t = makeTcpTest()
      const peer = established(t)
      peer.data(pattern(20_000), { gsoSize })
      expect(t.read(peer.tcb)).toEqual(pattern(20_000))
      expect(t.counters['super-segments-in']).toBe(gsoSize > 0 && gsoSize < 20_000 ? 1 : 0)
      t.finish()
    }
    const t = makeTcpTest()
    const peer = established(t)
    peer.data('x', {
      shape: b => Object.assign(chainOf(t.arena, b), { offload: OFFLOAD_GSO_TCP4 | 2, gsoSize: -3 }),
    })
    expect(t.readText(peer.tcb)).toBe('x')
    t.finish()
  })

  it('a super-segment stays one message, without a copy', () => {
    const t = makeTcpTest()
    const peer = established(t)
    peer.data(pattern(60_000), { gsoSize: 1_448 })
    expect([peer.tcb.intake!.first!.next, peer.tcb.intake!.bytes]).toEqual([null, 60_000])
    expect(t.arena.copies.stack.calls).toBe(0)
    t.finish()
  })
})

describe('inet/tcp/input: nobody there', () => {
  it('RFC 9293 §3.10.7.1: without ACK, the reset is at 0 and acknowledges all', () => {
    const t = makeTcpTest()
    for (const [flags, data, length] of [
      ['S', '', 1],
      ['', '', 0],
      ['F', 'abc', 4],
      ['SF', 'abc', 5],
    ] as const) {
      t.inject({ flags, seq: 100, data }, PORTS)
      const reset = t.takeOne()
      expect([reset.flags, reset.seq, reset.ack, reset.window]).toEqual(['RA', 0, 100 + length, 0])
      expect([reset.fromPort, reset.toPort]).toEqual([PORT, PEER_PORT])
    }
    expect([t.counters['no-listener'], t.counters['no-connection']]).toEqual([4, 0])
    t.finish()
  })

  it('RFC 9293 §3.10.7.1: with ACK, the reset is at the number acknowledged', () => {
    const t = makeTcpTest()
    for (const flags of ['A', 'SA', 'FA', 'PA']) {
      t.inject({ flags, seq: 100, ack: -5 }, PORTS)
      const reset = t.takeOne()
      expect([reset.flags, reset.seq]).toEqual(['R', -5])
    }
    expect([t.counters['no-listener'], t.counters['no-connection']]).toEqual([0, 4])
    t.finish()
  })

  it('RFC 9293 §3.10.7.1: a reset is not answered', () => {
    const t = makeTcpTest()
    for (const flags of ['R', 'RA', 'SR', 'FSRPAUEC']) t.inject({ flags, seq: 100 }, PORTS)
    expect(t.take()).toEqual([])
    t.finish()
  })

  it('checklist 3.5-57: resets are limited, memory does not grow', () => {
    const t = makeTcpTest({ settings: { resetsPerSecond: 100 } })
    for (let port = 1; port < 5_000; port++) t.inject({ flags: 'S', seq: 100 }, [PEER_PORT, port], {}, false)
    expect(t.take().length).toBe(100)
    expect(t.counters['resets-limited']).toBe(4_899)
    t.finish()
  })
})
