import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { seconds } from '../../base/time.ts'
import {
  type Mblk,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_CSUM_VALID,
  OFFLOAD_GSO_TCP4,
  OFFLOAD_GSO_UDP,
} from '../../streams/mblk/mblk.ts'
import type { Stream } from '../../streams/stream.ts'
import { chainOf } from '../../streams/testing/messages.ts'
import { IpFixture } from '../testing/ip-fixture.ts'
import {
  DESTINATION4,
  type Ipv4Fields,
  ipv4Packet,
  pattern,
  SOURCE4,
  udpDatagram,
} from '../testing/packets.ts'
import {
  FAMILY,
  FLAGS,
  HEADER_BYTES,
  HOP_LIMIT,
  INTERFACE,
  KIND,
  LOCAL,
  MAPPED_WORD,
  PROTOCOL,
  REMOTE,
  SEGMENT_BYTES,
  TRAFFIC_CLASS,
  UD_NOT_UNICAST,
  UNITDATA_IND,
} from '../unitdata.ts'
import type { IpCounter } from './counters.ts'

let fixture: IpFixture
let udp: Stream

beforeEach(() => {
  fixture = new IpFixture()
  udp = fixture.upper(17)
})
afterEach(() => fixture.finish())

const DATAGRAM = udpDatagram(pattern(32), SOURCE4, DESTINATION4, [1000, 2000])
const packet = (fields: Ipv4Fields = {}): Uint8Array => ipv4Packet(DATAGRAM, { protocol: 17, ...fields })

function dropped(bytes: Uint8Array, counter: IpCounter): void {
  const before = fixture.count(counter)
  fixture.link.bring(bytes)
  expect(fixture.receive(udp)).toEqual([])
  expect(fixture.link.take(), 'nothing is answered').toEqual([])
  expect(fixture.count(counter) - before, counter).toBe(1)
}

/** The packet with some bytes changed, header checksum as it was. */
const spoilt = (changes: Readonly<Record<number, number>>): Uint8Array => {
  const bytes = packet()
  for (const [at, value] of Object.entries(changes)) bytes[Number(at)] = value
  return bytes
}

describe('ip/input4', () => {
  it('hands a datagram up with every word of the control block filled', () => {
    fixture.link.bring(packet({ hopLimit: 33, typeOfService: 0xb8 }))
    const [received] = fixture.receive(udp)
    const words = received!.words
    expect(received!.data).toEqual(DATAGRAM)
    expect(words[KIND]).toBe(UNITDATA_IND)
    expect(words[FAMILY]).toBe(4)
    expect(words[PROTOCOL]).toBe(17)
    expect([...words.slice(REMOTE, REMOTE + 4)]).toEqual([0, 0, MAPPED_WORD, 0x0a000001])
    expect([...words.slice(LOCAL, LOCAL + 4)]).toEqual([0, 0, MAPPED_WORD, 0x0a000002])
    expect(words[INTERFACE]).toBe(2)
    expect(words[HOP_LIMIT]).toBe(33)
    expect(words[TRAFFIC_CLASS]).toBe(0xb8)
    expect(words[HEADER_BYTES]).toBe(20)
    for (const index of [3, 4, SEGMENT_BYTES, FLAGS, 18, 19, 21, 22, 23]) expect(words[index]).toBe(0)
  })

  it('checklist 3.6-59: cut at every byte, the datagram is the same, its first 8 bytes contiguous', () => {
    const bytes = packet({ options: [7, 7, 4, 0, 0, 0, 0, 0] })
    for (let at = 0; at <= bytes.length; at++) {
      fixture.link.bring(bytes, [at, at])
      fixture.link.bring(bytes, [Math.min(at, 3), Math.max(at, 3)])
      const received = fixture.receive(udp)
      expect(received.map(({ data }) => data)).toEqual([DATAGRAM, DATAGRAM])
      expect(received[0]!.words[HEADER_BYTES]).toBe(28)
    }
  })

  describe('checklist 3.1-1: headers that cannot be', () => {
    it.each<[string, Uint8Array, IpCounter]>([
      ['nothing', new Uint8Array(), 'empty'],
      ['one byte', Uint8Array.of(0x45), 'ipv4-truncated'],
      ['19 bytes', packet().slice(0, 19), 'ipv4-truncated'],
      ['version 5', spoilt({ 0: 0x55 }), 'ip-version'],
      ['version 0', spoilt({ 0: 0x05 }), 'ip-version'],
      ['IHL 4', spoilt({ 0: 0x44 }), 'ipv4-header-length'],
      ['IHL 15 in a shorter packet', spoilt({ 0: 0x4f }).slice(0, 40), 'ipv4-header-length'],
      ['a total length below the header', spoilt({ 2: 0, 3: 19 }), 'ipv4-total-length'],
      ['a total length of 0', spoilt({ 2: 0, 3: 0 }), 'ipv4-total-length'],
      ['a total length above the packet', spoilt({ 2: 0, 3: 61 }), 'ipv4-total-length'],
    ])('%s', (_, bytes, counter) => dropped(bytes, counter))
  })

  it('checklist 3.1-2: padding behind the datagram is never handed up', () => {
    const padded = new Uint8Array([...packet(), ...new Array<number>(40).fill(0xaa)])
    for (const places of [[], [60], [30], [70], [59, 61]]) {
      fixture.link.bring(padded, places)
      expect(fixture.receive(udp)[0]!.data).toEqual(DATAGRAM)
    }
    expect(fixture.count('padding-trimmed')).toBe(5)
  })

  it('checklist 3.1-3: a wrong header checksum is dropped in silence', () => {
    for (let at = 0; at < 20; at++) {
      const bytes = packet()
      bytes[at]! ^= 0x10
      fixture.link.bring(bytes)
    }
    expect(fixture.receive(udp)).toEqual([])
    expect(fixture.link.take()).toEqual([])
    expect(fixture.count('ipv4-checksum')).toBeGreaterThan(15)
  })

  describe('checklist 3.1-4: martian sources', () => {
    it.each([
      ['limited broadcast', [255, 255, 255, 255]],
      ['broadcast of our subnet', [10, 0, 0, 255]],
      ['address of our subnet', [10, 0, 0, 0]],
      ['multicast', [224, 0, 0, 5]],
      ['all hosts', [224, 0, 0, 1]],
      ['loopback', [127, 0, 0, 1]],
      ['0.0.0.0', [0, 0, 0, 0]],
      ['this network', [0, 1, 2, 3]],
      ['class E', [240, 0, 0, 1]],
      ['our own (3.5-37: LAND)', DESTINATION4],
    ])('%s', (_, source) => dropped(packet({ source }), 'martian-source'))
  })

  it.each([
    ['loopback', [127, 0, 0, 1]],
    ['0.0.0.0', [0, 0, 0, 0]],
    ['class E', [250, 0, 0, 1]],
  ])('RFC 1122 §3.2.1.3: a destination that is never on a wire: %s', (_, destination) =>
    dropped(packet({ destination }), 'martian-destination'),
  )

  describe('checklist 3.1-5: options', () => {
    it.each<[string, number[], IpCounter]>([
      ['length 0', [7, 0, 0, 0], 'ipv4-option-length'],
      ['length 1', [7, 1, 0, 0], 'ipv4-option-length'],
      ['past the header', [7, 5, 0, 0], 'ipv4-option-length'],
      ['a kind without a length', [1, 1, 1, 7], 'ipv4-option-length'],
      ['loose source route', [131, 7, 4, 10, 0, 0, 9, 0], 'ipv4-source-route'],
      ['strict source route', [1, 137, 7, 4, 10, 0, 0, 9], 'ipv4-source-route'],
      ['source route, used up', [131, 7, 8, 10, 0, 0, 9, 0], 'ipv4-source-route'],
    ])('%s is dropped', (_, options, counter) => dropped(packet({ options }), counter))

    it.each([
      ['record route', [7, 7, 4, 0, 0, 0, 0, 0]],
      ['timestamp', [68, 8, 5, 0, 0, 0, 0, 0]],
      ['router alert', [148, 4, 0, 0]],
      ['unknown', [99, 3, 1, 0]],
      ['nonsense behind the end', [0, 7, 0, 131]],
      ['nothing but padding', [1, 1, 1, 1]],
    ])('%s is ignored', (_, options) => {
      fixture.link.bring(packet({ options }))
      expect(fixture.receive(udp)[0]!.data).toEqual(DATAGRAM)
    })
  })

  it('broadcast and the group of all hosts are for us, and say so; other groups are not', () => {
    for (const destination of [
      [10, 0, 0, 255],
      [10, 0, 0, 0],
      [255, 255, 255, 255],
      [224, 0, 0, 1],
    ]) {
      fixture.link.bring(packet({ destination }))
      expect(fixture.receive(udp)[0]!.words[FLAGS]).toBe(UD_NOT_UNICAST)
    }
    dropped(packet({ destination: [224, 0, 0, 2] }), 'multicast-not-member')
  })

  it('what is for somebody else is dropped while forwarding is off', () => {
    dropped(packet({ destination: [10, 0, 0, 3] }), 'not-ours')
    dropped(packet({ destination: [192, 0, 2, 1] }), 'not-ours')
  })

  it('checklist 3.1-6: a TTL of 0 does not matter at the destination', () => {
    fixture.link.bring(packet({ hopLimit: 0 }))
    expect(fixture.receive(udp)).toHaveLength(1)
  })

  it('fragments are put together, and the datagram is handed up whole', () => {
    for (const [at, end] of [
      [16, 40],
      [0, 16],
    ] as const)
      fixture.link.bring(
        ipv4Packet(DATAGRAM.slice(at, end), { protocol: 17, offset: at, more: end < DATAGRAM.length }),
      )
    expect(fixture.receive(udp).map(({ data }) => data)).toEqual([DATAGRAM])
    expect(fixture.count('datagrams-reassembled')).toBe(1)
  })

  it('RFC 1122 §3.3.2: a datagram that is never complete is given up, and its sender is told', () => {
    fixture.link.bring(ipv4Packet(DATAGRAM.slice(0, 16), { protocol: 17, more: true }))
    fixture.test.advance(seconds(31))
    const [error] = fixture.link.take()
    expect([error![20], error![21]]).toEqual([11, 1])
    expect(fixture.test.runtime.timers.pollAt()).toBeNull()
  })

  it('a stream that is full costs the datagram, and nothing else', () => {
    const big = ipv4Packet(pattern(60_000), { protocol: 17 })
    for (let i = 0; i < 8; i++) fixture.link.bring(big)
    expect(fixture.count('upper-full')).toBeGreaterThan(0)
    const received = fixture.receive(udp)
    expect(received.length + fixture.count('upper-full')).toBe(8)
    fixture.link.bring(packet())
    expect(fixture.receive(udp)).toHaveLength(1)
  })

  describe('checklist 3.7-65, 67: offload fields', () => {
    const bring = (change: (mp: Mblk) => void, fields: Ipv4Fields = {}): void => {
      const mp = chainOf(fixture.test.arena, packet(fields), [], 64)
      change(mp)
      fixture.link.bringMessage(mp)
    }
    const needed = (mp: Mblk): void => {
      mp.offload = OFFLOAD_CSUM_NEEDED
      mp.csumStart = 20
      mp.csumOffset = 6
    }

    it('an unfinished sum is handed on as such, relative to the transport', () => {
      bring(needed)
      bring(mp => {
        mp.offload = OFFLOAD_CSUM_VALID
      })
      const [first, second] = fixture.receive(udp)
      expect([first!.offload, first!.csumStart]).toEqual([OFFLOAD_CSUM_NEEDED, 0])
      expect([second!.offload, second!.csumStart]).toEqual([OFFLOAD_CSUM_VALID, 0])
    })

    it('a super-datagram keeps the size of its segments', () => {
      bring(mp => {
        needed(mp)
        mp.offload |= OFFLOAD_GSO_UDP
        mp.gsoSize = 10
      })
      const [received] = fixture.receive(udp)
      expect(received!.gsoSize).toBe(10)
      expect(received!.words[SEGMENT_BYTES]).toBe(10)
    })

    it.each<[string, (mp: Mblk) => void]>([
      ['csumStart in the IP header', mp => Object.assign(mp, { csumStart: 8 })],
      ['csumStart beyond the packet', mp => Object.assign(mp, { csumStart: 400 })],
      ['csumOffset of another protocol', mp => Object.assign(mp, { csumOffset: 16 })],
      ['a TCP super-segment that is UDP', mp => Object.assign(mp, { offload: 0x11, gsoSize: 10 })],
      ['segments of 0 bytes', mp => Object.assign(mp, { offload: 0x41, gsoSize: 0 })],
    ])('%s is dropped', (_, change) => {
      bring(mp => {
        needed(mp)
        change(mp)
      })
      expect(fixture.receive(udp)).toEqual([])
      expect(fixture.count('offload-mismatch')).toBe(1)
    })

    it('segments of 1 byte that make thousands of datagrams are dropped', () => {
      const mp = chainOf(fixture.test.arena, ipv4Packet(pattern(4_000), { protocol: 17 }), [], 64)
      needed(mp)
      mp.offload |= OFFLOAD_GSO_UDP
      mp.gsoSize = 1
      fixture.link.bringMessage(mp)
      expect(fixture.count('offload-mismatch')).toBe(1)
    })

    it('a fragment has no offload', () => {
      bring(needed, { more: true })
      bring(
        mp => {
          mp.offload = OFFLOAD_GSO_TCP4
          mp.gsoSize = 100
        },
        { offset: 64 },
      )
      expect(fixture.count('offload-fragment')).toBe(2)
    })
  })
})
