import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { instant } from '../../base/time.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { Arena } from '../../streams/mblk/arena.ts'
import { type Mblk, OFFLOAD_CSUM_NEEDED } from '../../streams/mblk/mblk.ts'
import { chainOf, flat } from '../../streams/testing/messages.ts'
import { type ExtensionHeader, ipv4Packet, ipv6Packet, paddingHeader, pattern } from '../testing/packets.ts'
import { fragment } from './fragment.ts'
import { Reassembly } from './reassembly.ts'

const T0 = instant(0)
const ROUTING: ExtensionHeader = { type: 43, body: [0, 4, 0, 0, 0, 0, 0] }

let arena: Arena
beforeEach(() => {
  arena = new Arena({ sizeBytes: 4 * 1024 * 1024, poison: true })
})
afterEach(() => arena.assertWhole())

/** The fragments of a packet, flat. */
function cut(packet: Uint8Array, mtu: number, id = 77, places: number[] = []): Uint8Array[] {
  const pieces: Uint8Array[] = []
  const family = packet[0]! >> 4 === 4 ? 4 : 6
  const count = fragment(chainOf(arena, packet, places), family, mtu, id, mp => {
    pieces.push(flat(mp))
    freemsg(mp)
  })
  expect(count).toBe(pieces.length)
  return pieces
}

const offset4 = (packet: Uint8Array): number => ((packet[6]! << 8) | packet[7]!) & 0x3fff

describe('ip/fragment', () => {
  it('RFC 791 §3.2: offsets in units of 8 bytes, more-fragments in all but the last, each with a valid header', () => {
    const data = pattern(100)
    const pieces = cut(ipv4Packet(data, { dontFragment: false, typeOfService: 5, hopLimit: 7 }), 68)
    expect(pieces).toEqual(
      [0, 48, 96].map((offset, i) =>
        ipv4Packet(data.slice(offset, offset + 48), {
          offset,
          more: i < 2,
          identification: 77,
          typeOfService: 5,
          hopLimit: 7,
        }),
      ),
    )
  })

  it('a packet that fits goes out as it is: no atomic fragments are made (RFC 8021, checklist 3.2-14)', () => {
    const packet = ipv6Packet(pattern(1_240))
    expect(cut(packet, 1_280)).toEqual([packet])
    const one = ipv4Packet(pattern(48), { dontFragment: true })
    expect(cut(one, 68)).toEqual([one])
  })

  it('RFC 791 §3.1: only options with the copy bit go into later fragments, padded to whole words', () => {
    // Router alert (copied), record route (not copied), no-operation, security (copied, 3 bytes), end of options.
    const options = [0x94, 4, 0, 0, 7, 7, 4, 1, 2, 3, 4, 1, 0x82, 3, 9, 0]
    const pieces = cut(ipv4Packet(pattern(200), { options }), 100)
    expect([...pieces[0]!.slice(20, 36)]).toEqual(options)
    for (const piece of pieces.slice(1)) {
      expect(piece[0]).toBe(0x47)
      expect([...piece.slice(20, 28)]).toEqual([0x94, 4, 0, 0, 0x82, 3, 9, 0])
    }
    expect(pieces.map(offset4)).toEqual([0x2000, 0x2000 | 8, 8 + 9])
  })

  it('checklist 3.1-5: an option of length 0, 1 or beyond the header ends the copying', () => {
    for (const options of [
      [0x94, 0, 0, 0],
      [0x94, 1, 0, 0],
      [0x94, 40, 0, 0],
      [1, 1, 1, 0x94],
    ]) {
      const pieces = cut(ipv4Packet(pattern(100), { options }), 68)
      expect(pieces.slice(1).map(piece => piece[0])).toEqual(pieces.slice(1).map(() => 0x45))
    }
  })

  it('RFC 791 §3.2: a fragment is cut again with its own offset and its more-fragments', () => {
    const data = pattern(96)
    expect(cut(ipv4Packet(data, { offset: 800, more: true, identification: 5 }), 68, 5)).toEqual([
      ipv4Packet(data.slice(0, 48), { offset: 800, more: true, identification: 5 }),
      ipv4Packet(data.slice(48), { offset: 848, more: true, identification: 5 }),
    ])
  })

  it('RFC 8200 §4.5: hop-by-hop options and all up to the routing header stand before the fragment header', () => {
    const fragmentAt = (headers: ExtensionHeader[]): number[] =>
      cut(ipv6Packet(pattern(2_000), { headers }), 1_280).map(piece => {
        let at = 40
        for (let next = piece[6]!; next !== 44; at += 8 * (piece[at + 1]! + 1), next = piece[at - 8]!) {
          if (at > 200) throw new Error('no fragment header')
        }
        expect(piece.length).toBeLessThanOrEqual(1_280)
        return at
      })
    expect(fragmentAt([])).toEqual([40, 40])
    expect(fragmentAt([paddingHeader(0)])).toEqual([48, 48])
    expect(fragmentAt([paddingHeader(60)])).toEqual([40, 40])
    expect(fragmentAt([paddingHeader(0), paddingHeader(60), ROUTING, paddingHeader(60)])).toEqual([64, 64])
  })

  it('the payload is not copied: only headers are', () => {
    cut(ipv4Packet(pattern(40_000)), 1_500)
    expect(arena.copies.stack.bytes).toBe(20 * Math.ceil(40_000 / 1_480))
  })

  it('a link that leaves no room for 8 bytes gets nothing', () => {
    expect(cut(ipv4Packet(pattern(100)), 27)).toEqual([])
    expect(cut(ipv6Packet(pattern(100)), 55)).toEqual([])
  })

  it('an unfinished checksum cannot be cut: that is a fault of ours', () => {
    const mp = chainOf(arena, ipv4Packet(pattern(100)))
    mp.offload = OFFLOAD_CSUM_NEEDED
    expect(() => fragment(mp, 4, 68, 1, freemsg)).toThrow('checksum')
    freemsg(mp)
  })

  it('without blocks or views for all fragments none goes out, and nothing leaks', () => {
    for (const viewLimit of [0, 1, 5]) {
      arena = new Arena({ sizeBytes: 1024 * 1024, poison: true, viewLimit })
      expect(cut(ipv4Packet(pattern(4_000)), 500)).toEqual([])
      arena.assertWhole()
    }
    arena = new Arena({ sizeBytes: 1024 * 1024, poison: true })
    const packet = chainOf(arena, ipv4Packet(pattern(4_000)))
    const hoard: Mblk[] = []
    for (let mp = arena.take(1); mp !== null; mp = arena.take(1)) hoard.push(mp)
    for (let i = 0; i < 5; i++) freemsg(hoard.pop()!)
    expect(fragment(packet, 4, 500, 1, freemsg)).toBe(0)
    for (const mp of hoard) freemsg(mp)
  })
})

const scenario = fc.record({
  family: fc.constantFrom(4 as const, 6 as const),
  size: fc.integer({ min: 1, max: 6_000 }),
  mtu: fc.integer({ min: 120, max: 1_500 }),
  options: fc.constantFrom([], [0x94, 4, 0, 0], [7, 3, 4, 1]),
  headers: fc.constantFrom<ExtensionHeader[]>([], [paddingHeader(0)], [paddingHeader(0), ROUTING]),
  places: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
  /** For each arrival: which fragment, as a share of all that have not come. */
  order: fc.array(fc.nat(), { minLength: 1, maxLength: 60 }),
  duplicates: fc.array(fc.nat(), { maxLength: 8 }),
  pieceCuts: fc.array(fc.nat(2_000), { maxLength: 3 }),
})

describe('ip/fragment and ip/reassembly', () => {
  it('property: cut and put together again in any order with duplicates gives the same bytes', () => {
    const property = fc.property(scenario, s => {
      const data = pattern(s.size)
      const packet =
        s.family === 4
          ? ipv4Packet(data, { options: s.options, identification: 9 })
          : ipv6Packet(data, { headers: s.headers })
      const headerBytes = packet.length - s.size
      const places = s.places.map(share => headerBytes + Math.floor(share * s.size)).sort((a, b) => a - b)
      const pieces = cut(packet, s.mtu, 9, places)
      for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(s.mtu)
      const shuffled = shuffle(pieces, s.order)
      // A duplicate that comes after the last missing piece would begin a new datagram, so it goes before.
      for (const at of s.duplicates)
        if (shuffled.length > 1) shuffled.splice(-1, 0, shuffled[at % (shuffled.length - 1)]!)
      expect(putTogether(shuffled, s.family, s.pieceCuts)).toEqual(pieces.length === 1 ? [] : [packet])
      arena.assertWhole()
    })
    fc.assert(property, { numRuns: 300 })
  })
})

function shuffle(pieces: readonly Uint8Array[], order: readonly number[]): Uint8Array[] {
  const left = [...pieces]
  return pieces.map((_, i) => left.splice(order[i % order.length]! % left.length, 1)[0]!)
}

/** What comes out of reassembly, whose fragments arrive as chains split behind their headers. */
function putTogether(pieces: readonly Uint8Array[], family: 4 | 6, cuts: readonly number[]): Uint8Array[] {
  if (pieces.length === 1) return []
  const limits = { bytesHigh: 2 ** 21, bytesLow: 2 ** 20, sourceBytes: 2 ** 21, fragments: 1_000 }
  const reassembly = new Reassembly({ limits, onExpire: freemsg })
  const whole: Uint8Array[] = []
  for (const piece of pieces) {
    const places = cuts.map(place => Math.min(piece.length, 80 + place)).sort((a, b) => a - b)
    const mp = reassembly.input(chainOf(arena, piece, places), family, T0)
    if (mp === null) continue
    whole.push(flat(mp))
    freemsg(mp)
  }
  expect(reassembly.bytes).toBe(0)
  reassembly.clear()
  return whole
}
