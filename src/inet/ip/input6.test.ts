import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Stream } from '../../streams/stream.ts'
import { IpFixture } from '../testing/ip-fixture.ts'
import {
  DESTINATION6,
  type ExtensionHeader,
  fragmentHeader,
  type Ipv6Fields,
  icmpMessage,
  ipv6Packet,
  paddingHeader,
  pattern,
  SOURCE6,
  udpDatagram,
} from '../testing/packets.ts'
import {
  FAMILY,
  FLAGS,
  HEADER_BYTES,
  HOP_LIMIT,
  LOCAL,
  PROTOCOL,
  REMOTE,
  TRAFFIC_CLASS,
  UD_NOT_UNICAST,
} from '../unitdata.ts'
import type { IpCounter } from './counters.ts'

let fixture: IpFixture
let udp: Stream

beforeEach(() => {
  fixture = new IpFixture()
  udp = fixture.upper(17)
})
afterEach(() => fixture.finish())

const DATAGRAM = udpDatagram(pattern(32), SOURCE6, DESTINATION6, [1000, 2000])
const packet = (fields: Ipv6Fields = {}): Uint8Array => ipv6Packet(DATAGRAM, { nextHeader: 17, ...fields })
const group = (...tail: number[]): number[] => [
  0xff,
  2,
  ...new Array<number>(14 - tail.length).fill(0),
  ...tail,
]

function dropped(bytes: Uint8Array, counter: IpCounter): void {
  const before = fixture.count(counter)
  fixture.link.bring(bytes)
  expect(fixture.receive(udp)).toEqual([])
  expect(fixture.link.take(), 'nothing is answered').toEqual([])
  expect(fixture.count(counter) - before, counter).toBe(1)
}

/** Brings a packet that is answered by a Parameter Problem. @returns its code and pointer */
function problem(bytes: Uint8Array, counter: IpCounter): [code: number, pointer: number] {
  fixture.link.bring(bytes)
  expect(fixture.receive(udp)).toEqual([])
  expect(fixture.count(counter), counter).toBe(1)
  const answers = fixture.link.take()
  expect(answers).toHaveLength(1)
  const answer = answers[0]!
  expect(answer[40]).toBe(4)
  expect(answer.slice(48)).toEqual(bytes.slice(0, 1_232))
  return [answer[41]!, new DataView(answer.buffer).getUint32(44)]
}

const option = (type: 0 | 60, kind: number, data: readonly number[] = [0, 0, 0, 0]): ExtensionHeader => ({
  type,
  body: [0, kind, data.length, ...data],
})
const routing = (routingType: number, segmentsLeft: number): ExtensionHeader => ({
  type: 43,
  body: [0, routingType, segmentsLeft, 0, 0, 0, 0],
})

describe('ip/input6', () => {
  it('hands a datagram up with every word of the control block filled', () => {
    fixture.link.bring(packet({ hopLimit: 33, trafficClass: 0xb8 }))
    const [received] = fixture.receive(udp)
    const { words } = received!
    expect(received!.data).toEqual(DATAGRAM)
    expect(words[FAMILY]).toBe(6)
    expect(words[PROTOCOL]).toBe(17)
    expect([...words.slice(REMOTE, REMOTE + 4)]).toEqual([0xfd000000 | 0, 0x00000001, 0, 1])
    expect([...words.slice(LOCAL, LOCAL + 4)]).toEqual([0xfd000000 | 0, 0x00000002, 0, 2])
    expect(words[HOP_LIMIT]).toBe(33)
    expect(words[TRAFFIC_CLASS]).toBe(0xb8)
    expect(words[HEADER_BYTES]).toBe(40)
    expect(words[FLAGS]).toBe(0)
  })

  it('checklist 3.6-59: cut at every byte, with extension headers, the datagram is the same', () => {
    const bytes = packet({ headers: [paddingHeader(0), routing(0, 0), paddingHeader(60, 3)] })
    for (let at = 0; at <= bytes.length; at++) {
      fixture.link.bring(bytes, [at, at])
      const [received] = fixture.receive(udp)
      expect(received!.data).toEqual(DATAGRAM)
      expect(received!.words[HEADER_BYTES]).toBe(40 + 8 + 8 + 24)
    }
  })

  it.each<[string, Uint8Array, IpCounter]>([
    ['39 bytes', packet().slice(0, 39), 'ipv6-truncated'],
    ['a payload length beyond the packet', packet({ payloadLength: 41 }), 'ipv6-payload-length'],
    ['an IPv4 version in an IPv6 packet', Uint8Array.of(0x45, ...packet().slice(1)), 'ipv4-total-length'],
  ])('a header that cannot be: %s', (_, bytes, counter) => dropped(bytes, counter))

  it('checklist 3.1-2: padding behind the datagram is never handed up', () => {
    fixture.link.bring(new Uint8Array([...packet(), 1, 2, 3]), [80, 81])
    expect(fixture.receive(udp)[0]!.data).toEqual(DATAGRAM)
  })

  describe('checklist 3.3-20: sources that cannot be', () => {
    it.each([
      ['unspecified', new Array<number>(16).fill(0)],
      ['loopback', [...new Array<number>(15).fill(0), 1]],
      ['multicast', group(5)],
      ['all nodes', group(1)],
      ['our own', DESTINATION6],
      ['IPv4-mapped, of our peer', [...new Array<number>(10).fill(0), 255, 255, 10, 0, 0, 1]],
    ])('%s', (_, source) => dropped(packet({ source }), 'martian-source'))
  })

  it.each([
    ['loopback', [...new Array<number>(15).fill(0), 1]],
    ['unspecified', new Array<number>(16).fill(0)],
    ['IPv4-mapped, of ours', [...new Array<number>(10).fill(0), 255, 255, 10, 0, 0, 2]],
  ])('a destination that cannot be on a wire: %s', (_, destination) =>
    dropped(packet({ destination }), 'martian-destination'),
  )

  it('RFC 4291 §2.8: all nodes and our solicited-node groups are for us; other groups are not', () => {
    for (const destination of [group(1), group(1, 0xff, 0, 0, 2), [0xff, 1, ...group(1).slice(2)]]) {
      fixture.link.bring(packet({ destination }))
      expect(fixture.receive(udp)[0]!.words[FLAGS]).toBe(UD_NOT_UNICAST)
    }
    for (const destination of [
      group(2),
      group(1, 0xff, 0, 0, 3),
      group(0x16),
      [0xff, 5, ...group(1).slice(2)],
    ])
      dropped(packet({ destination }), 'multicast-not-member')
  })

  it('what is for somebody else is dropped while forwarding is off', () => {
    dropped(packet({ destination: [...DESTINATION6.slice(0, 15), 3] }), 'not-ours')
  })

  describe('checklist 3.3-17: the header chain', () => {
    it('hop-by-hop options are only first', () => {
      const bytes = packet({ headers: [paddingHeader(60), paddingHeader(0)] })
      expect(problem(bytes, 'ipv6-header-order')).toEqual([1, 40])
    })

    it('an unknown header is told with code 1 and its place', () => {
      expect(problem(packet({ nextHeader: 253 }), 'protocol-unknown')).toEqual([1, 6])
    })

    it('an unknown header behind others too', () => {
      const bytes = packet({ nextHeader: 50, headers: [paddingHeader(60, 2)] })
      expect(problem(bytes, 'protocol-unknown')).toEqual([1, 40])
    })

    it('too many headers, and too many bytes of them, are dropped', () => {
      const headers = new Array<ExtensionHeader>(9).fill(paddingHeader(60))
      dropped(packet({ headers }), 'ipv6-headers-too-many')
      dropped(packet({ headers: [paddingHeader(60, 32), paddingHeader(60, 33)] }), 'ipv6-headers-too-many')
    })

    it('headers that run past the packet are dropped', () => {
      const header = { type: 60, body: [200, 1, 4, 0, 0, 0, 0] }
      dropped(packet({ headers: [header] }), 'ipv6-headers-too-many')
      dropped(packet({ headers: [{ ...header, body: [20, 1, 4, 0, 0, 0, 0] }] }), 'ipv6-headers-truncated')
      dropped(ipv6Packet(new Uint8Array(7), { nextHeader: 60 }), 'ipv6-headers-truncated')
    })

    it('RFC 8200 §4.7: no next header means nothing', () => {
      dropped(packet({ nextHeader: 59 }), 'ipv6-no-next-header')
    })

    it.each([
      [0, 0x1e],
      [60, 0x3e],
    ] as const)('an option (header %i) whose type begins with 00 is skipped', (type, kind) => {
      fixture.link.bring(packet({ headers: [option(type, kind)] }))
      expect(fixture.receive(udp)).toHaveLength(1)
    })

    it('01 drops in silence', () => dropped(packet({ headers: [option(60, 0x5e)] }), 'ipv6-option-unknown'))

    it('10 is told with code 2, also to a group', () => {
      expect(problem(packet({ headers: [option(60, 0x9e)] }), 'ipv6-option-unknown')).toEqual([2, 42])
      const toGroup = packet({ headers: [option(60, 0x9e)], destination: group(1) })
      fixture.link.bring(toGroup)
      expect(fixture.link.take()[0]!.slice(40, 42)).toEqual(Uint8Array.of(4, 2))
    })

    it('11 is told with code 2, not to a group', () => {
      expect(problem(packet({ headers: [option(0, 0xc9)] }), 'ipv6-option-unknown')).toEqual([2, 42])
      const toGroup = packet({ headers: [option(0, 0xc9)], destination: group(1) })
      dropped(toGroup, 'ipv6-option-unknown')
    })

    it('an option that runs past its header is dropped', () => {
      dropped(packet({ headers: [{ type: 60, body: [0, 0x1e, 5, 0, 0, 0, 0] }] }), 'ipv6-option-length')
      dropped(packet({ headers: [{ type: 60, body: [0, 0, 0, 0, 0, 0, 1] }] }), 'ipv6-option-length')
    })
  })

  it('checklist 3.3-18: a routing header with segments left is told, one that is used up is skipped', () => {
    fixture.link.bring(packet({ headers: [routing(0, 0), routing(77, 0)] }))
    expect(fixture.receive(udp)).toHaveLength(1)
    expect(problem(packet({ headers: [routing(0, 1)] }), 'ipv6-routing-header')).toEqual([0, 42])
  })

  describe('checklist 3.3-19', () => {
    it('a jumbogram is dropped', () => {
      const headers = [option(0, 0xc2, [0, 1, 0, 0])]
      dropped(packet({ headers, payloadLength: 0 }), 'ipv6-jumbogram')
      expect(problem(packet({ headers }), 'ipv6-option-unknown')).toEqual([2, 42])
    })

    it('router alert is ignored, and PadN may be as long as it likes', () => {
      fixture.link.bring(
        packet({ headers: [{ type: 0, body: [0, 5, 2, 0, 0, 1, 0] }, paddingHeader(60, 20)] }),
      )
      expect(fixture.receive(udp)).toHaveLength(1)
    })
  })

  it('fragments are put together; within a datagram no fragment header may be left', () => {
    fixture.link.bring(
      ipv6Packet(DATAGRAM.slice(0, 16), { nextHeader: 17, headers: [fragmentHeader(0, true)] }),
    )
    fixture.link.bring(
      ipv6Packet(DATAGRAM.slice(16), { nextHeader: 17, headers: [fragmentHeader(16, false)] }),
    )
    expect(fixture.receive(udp).map(({ data }) => data)).toEqual([DATAGRAM])
    const nested = [fragmentHeader(0, false, 1), fragmentHeader(0, false, 2)]
    dropped(packet({ headers: nested }), 'ipv6-nested-fragment')
  })

  it('checklist 3.2-12: a fragment whose length is no multiple of 8 is told', () => {
    fixture.link.bring(ipv6Packet(pattern(15), { nextHeader: 17, headers: [fragmentHeader(0, true)] }))
    const [answer] = fixture.link.take()
    expect([answer![40], answer![41], answer![47]]).toEqual([4, 0, 4])
  })

  it('checklist 3.2-11, RFC 7112: a first fragment without all its headers is told with code 3', () => {
    const first = ipv6Packet(new Uint8Array(8), { nextHeader: 17, headers: [fragmentHeader(0, true)] })
    first[46] = 60
    first[48] = 17
    first[49] = 3
    fixture.link.bring(ipv6Packet(first.slice(48), { nextHeader: 60, headers: [fragmentHeader(0, true)] }))
    const [answer] = fixture.link.take()
    expect([answer![40], answer![41]]).toEqual([4, 3])
  })

  describe('checklist 3.3-22: neighbour discovery on a link without neighbours', () => {
    const message = (type: number): Uint8Array =>
      ipv6Packet(icmpMessage(6, type, 0, new Uint8Array(20), SOURCE6, DESTINATION6), {
        nextHeader: 58,
        hopLimit: 255,
      })

    it.each([133, 134, 135, 136, 137])('type %i is never answered', type =>
      dropped(message(type), 'ndp-ignored'),
    )
    it.each([130, 131, 132, 143])('group membership, type %i, neither', type =>
      dropped(message(type), 'mld-ignored'),
    )
  })
})
