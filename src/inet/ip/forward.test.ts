import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fold, sumBytes } from '../../base/checksum.ts'
import { LINK_CSUM, LINK_USO } from '../../streams/link-info.ts'
import {
  type Mblk,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_CSUM_VALID,
  OFFLOAD_GSO_UDP,
} from '../../streams/mblk/mblk.ts'
import { chainOf } from '../../streams/testing/messages.ts'
import { IpFixture } from '../testing/ip-fixture.ts'
import {
  fragmentHeader,
  icmpMessage,
  ipv4Packet,
  ipv6Packet,
  paddingHeader,
  pattern,
  SOURCE4,
  SOURCE6,
  udpDatagram,
} from '../testing/packets.ts'
import type { TestLink } from '../testing/test-link.ts'
import { addRoute, setForwarding } from './control.ts'
import type { IpCounter } from './counters.ts'

const FAR4 = [192, 0, 2, 7]
const FAR6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]
let fixture: IpFixture
let far: TestLink

beforeEach(() => {
  fixture = new IpFixture()
  far = fixture.addLink('tun1', ['192.0.2.1/24', '2001:db8::1/64'])
  setForwarding(fixture.ip, true)
})
afterEach(() => fixture.finish())

const DATAGRAM4 = udpDatagram(pattern(100), SOURCE4, FAR4, [1, 2])
const DATAGRAM6 = udpDatagram(pattern(100), SOURCE6, FAR6, [1, 2])
const packet4 = (fields = {}): Uint8Array =>
  ipv4Packet(DATAGRAM4, { protocol: 17, destination: FAR4, ...fields })
const packet6 = (fields = {}): Uint8Array =>
  ipv6Packet(DATAGRAM6, { nextHeader: 17, destination: FAR6, ...fields })

function silent(bytes: Uint8Array, counter: IpCounter): void {
  fixture.link.bring(bytes)
  expect(fixture.link.take()).toEqual([])
  expect(far.take()).toEqual([])
  expect(fixture.count(counter), counter).toBe(1)
}

describe('ip/forward', () => {
  it('RFC 1812 §5.2.3, §5.3.1: a packet goes on with one hop less and a right header checksum', () => {
    fixture.link.bring(packet4({ hopLimit: 64 }))
    fixture.link.bring(packet6({ hopLimit: 64 }))
    expect(far.take()).toEqual([packet4({ hopLimit: 63 }), packet6({ hopLimit: 63 })])
    expect(fixture.link.take()).toEqual([])
    expect(fixture.count('packets-forwarded')).toBe(2)
  })

  it('RFC 1624: the header checksum is right for every time to live', () => {
    for (let hopLimit = 2; hopLimit < 256; hopLimit++) {
      fixture.link.bring(packet4({ hopLimit, identification: hopLimit * 257 }))
      expect(fold(sumBytes(far.take()[0]!, 0, 20))).toBe(0xffff)
    }
  })

  it('is off until it is switched on', () => {
    setForwarding(fixture.ip, false)
    silent(packet4(), 'not-ours')
  })

  it('RFC 1812 §5.3.1: the last hop is told to the sender', () => {
    for (const hopLimit of [0, 1]) fixture.link.bring(packet4({ hopLimit }))
    for (const hopLimit of [0, 1]) fixture.link.bring(packet6({ hopLimit }))
    const answers = fixture.link.take()
    expect(
      answers.map(answer => (answer[0] === 0x45 ? [answer[20], answer[21]] : [answer[40], answer[41]])),
    ).toEqual([
      [11, 0],
      [11, 0],
      [3, 0],
      [3, 0],
    ])
    expect(far.take()).toEqual([])
    expect(fixture.count('forward-hop-limit')).toBe(4)
  })

  it('checklist 3.1-6: an ICMP error that dies on its way is not answered, an echo request is', () => {
    const body = pattern(40)
    for (const type of [3, 11, 5, 8]) {
      const message = icmpMessage(4, type, 0, body, SOURCE4, FAR4)
      fixture.link.bring(ipv4Packet(message, { protocol: 1, destination: FAR4, hopLimit: 1 }))
    }
    for (const type of [1, 137, 128]) {
      const message = icmpMessage(6, type, 0, body, SOURCE6, FAR6)
      fixture.link.bring(ipv6Packet(message, { nextHeader: 58, destination: FAR6, hopLimit: 1 }))
    }
    // Of a fragment other than the first nobody knows what it is.
    fixture.link.bring(packet4({ hopLimit: 1, offset: 8 }))
    fixture.link.bring(packet6({ hopLimit: 1, headers: [fragmentHeader(8, false)] }))
    const answers = fixture.link.take()
    expect(answers.map(answer => answer[answer[0] === 0x45 ? 48 : 88])).toEqual([8, 128])
    expect(fixture.count('icmp-error-suppressed')).toBe(7)
  })

  it('RFC 1812 §5.2.7.1: no route is told to the sender', () => {
    fixture.link.bring(packet4({ destination: [203, 0, 113, 1] }))
    fixture.link.bring(packet6({ destination: [0x20, 1, 0xd, 0xb9, ...FAR6.slice(4)] }))
    const [four, six] = fixture.link.take()
    expect([four![20], four![21], six![40], six![41]]).toEqual([3, 0, 1, 0])
  })

  it('a default route leads on', () => {
    addRoute(fixture.ip, { prefix: 'default', gateway: '192.0.2.9' })
    fixture.link.bring(packet4({ destination: [203, 0, 113, 1] }))
    expect(far.take()).toHaveLength(1)
  })

  describe('checklist 3.1-5: what is never forwarded', () => {
    it.each<[string, Uint8Array, IpCounter]>([
      ['loose source route', packet4({ options: [131, 7, 4, 10, 0, 0, 9, 0] }), 'ipv4-source-route'],
      ['link-local destination', packet4({ destination: [169, 254, 1, 1] }), 'forward-not-allowed'],
      ['link-local source', packet4({ source: [169, 254, 1, 1] }), 'forward-not-allowed'],
      ['directed broadcast', packet4({ destination: [192, 0, 2, 255] }), 'protocol-unknown'],
      ['multicast', packet4({ destination: [239, 1, 1, 1] }), 'multicast-not-member'],
      ['loopback destination', packet4({ destination: [127, 0, 0, 1] }), 'martian-destination'],
      [
        'link-local destination, IPv6',
        packet6({ destination: [0xfe, 0x80, ...FAR6.slice(2)] }),
        'forward-not-allowed',
      ],
      ['link-local source, IPv6', packet6({ source: [0xfe, 0xbf, ...FAR6.slice(2)] }), 'forward-not-allowed'],
      ['multicast, IPv6', packet6({ destination: [0xff, 0xe, ...FAR6.slice(2)] }), 'multicast-not-member'],
    ])('%s', (_, bytes, counter) => silent(bytes, counter))
  })

  describe('sizes', () => {
    const long4 = (fields = {}): Uint8Array =>
      ipv4Packet(pattern(2_000), { protocol: 17, destination: FAR4, ...fields })
    const long6 = ipv6Packet(pattern(2_000), { nextHeader: 17, destination: FAR6 })

    it('RFC 1191 §4, RFC 8200 §5: what does not fit and must not be cut is told, with the MTU of the link', () => {
      fixture.link.bring(long4({ dontFragment: true }))
      fixture.link.bring(long6)
      const [four, six] = fixture.link.take()
      expect([four![20], four![21], new DataView(four!.buffer).getUint16(26)]).toEqual([3, 4, 1_500])
      expect([six![40], six![41], new DataView(six!.buffer).getUint32(44)]).toEqual([2, 0, 1_500])
      expect(far.take()).toEqual([])
    })

    it('RFC 791 §3.2: what may be cut is cut, keeping its identification', () => {
      fixture.link.bring(long4({ identification: 0x4711 }))
      const packets = far.take()
      expect(packets.map(packet => new DataView(packet.buffer).getUint16(4))).toEqual([0x4711, 0x4711])
      expect(packets.flatMap(packet => [...packet.slice(20)])).toEqual([...pattern(2_000)])
    })

    it('a fragment goes on as it is, or is cut again', () => {
      far.change({ mtu: 600 })
      fixture.link.bring(
        ipv4Packet(pattern(1_000), { protocol: 17, destination: FAR4, offset: 800, more: true }),
      )
      const packets = far.take()
      const offsets = packets.map(packet => new DataView(packet.buffer).getUint16(6))
      expect(offsets).toEqual([0x2000 | 100, 0x2000 | (100 + 72)])
    })
  })

  it('RFC 8200 §4: hop-by-hop options are looked at, the other headers are not', () => {
    const bad = { type: 0, body: [0, 0x9e, 4, 0, 0, 0, 0] }
    fixture.link.bring(packet6({ headers: [paddingHeader(0)] }))
    fixture.link.bring(packet6({ headers: [{ ...bad, type: 60 }] }))
    fixture.link.bring(packet6({ headers: [{ type: 43, body: [0, 0, 9, 0, 0, 0, 0] }] }))
    expect(far.take()).toHaveLength(3)
    fixture.link.bring(packet6({ headers: [bad] }))
    expect(far.take()).toHaveLength(0)
    expect(fixture.link.take()[0]!.slice(40, 42)).toEqual(Uint8Array.of(4, 2))
  })

  describe('checklist 3.7-67: offload does not leak', () => {
    const unfinished = (family: 4 | 6, size = 100, gsoSize = 0): Mblk => {
      const source = family === 4 ? SOURCE4 : SOURCE6
      const destination = family === 4 ? FAR4 : FAR6
      const datagram = udpDatagram(pattern(size), source, destination, [1, 2])
      const addresses = Uint8Array.from([...source, ...destination])
      const pseudo = fold(sumBytes(addresses, 0, addresses.length) + 17 + datagram.length)
      new DataView(datagram.buffer).setUint16(6, pseudo)
      const packet =
        family === 4
          ? ipv4Packet(datagram, { protocol: 17, destination, dontFragment: true })
          : ipv6Packet(datagram, { nextHeader: 17, destination })
      const mp = chainOf(fixture.test.arena, packet, [], 64)
      mp.offload = OFFLOAD_CSUM_NEEDED | (gsoSize > 0 ? OFFLOAD_GSO_UDP : 0)
      mp.csumStart = family === 4 ? 20 : 40
      mp.csumOffset = 6
      mp.gsoSize = gsoSize
      return mp
    }

    it('an unfinished checksum is finished for a link that does not', () => {
      for (const family of [4, 6] as const) fixture.link.bringMessage(unfinished(family))
      expect(far.take()).toEqual([packet4({ hopLimit: 63, dontFragment: true }), packet6({ hopLimit: 63 })])
    })

    it('and left to a link that does', () => {
      far.change({ capabilities: LINK_CSUM })
      fixture.link.bringMessage(unfinished(4))
      const { offload, csumStart, csumOffset } = far.sent[0]!
      expect([offload, csumStart, csumOffset]).toEqual([OFFLOAD_CSUM_NEEDED, 20, 6])
      far.take()
    })

    it('what a device vouches for is not passed on as such', () => {
      const mp = chainOf(fixture.test.arena, packet4(), [], 64)
      mp.offload = OFFLOAD_CSUM_VALID
      fixture.link.bringMessage(mp)
      expect(far.sent.map(({ offload }) => offload)).toEqual([0])
      far.take()
    })

    it.each([0, LINK_CSUM | LINK_USO])(
      'a super-datagram leaves whole or in pieces (capabilities %i)',
      capabilities => {
        far.change({ capabilities })
        fixture.link.bringMessage(unfinished(4, 5_000, 1_000))
        fixture.link.bringMessage(unfinished(6, 5_000, 1_000))
        const sent = far.sent.splice(0)
        expect(sent).toHaveLength(capabilities === 0 ? 10 : 2)
        for (const { bytes, offload, gsoSize } of sent) {
          if (capabilities !== 0) {
            expect([offload, gsoSize]).toEqual([OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_UDP, 1_000])
            continue
          }
          const isV4 = bytes[0] === 0x45
          const [source, destination] = isV4 ? [SOURCE4, FAR4] : [SOURCE6, FAR6]
          const payload = bytes.slice(isV4 ? 28 : 48)
          expect(bytes.slice(isV4 ? 20 : 40)).toEqual(udpDatagram(payload, source, destination, [1, 2]))
        }
      },
    )

    it('a super-datagram whose segments do not fit the next link is told', () => {
      far.change({ mtu: 1_280 })
      fixture.link.bringMessage(unfinished(4, 5_000, 1_400))
      expect(far.take()).toEqual([])
      expect(fixture.link.take()[0]!.slice(20, 22)).toEqual(Uint8Array.of(3, 4))
    })

    it('fields that do not fit the packet cost it', () => {
      for (const change of [
        { csumStart: 400 },
        { csumOffset: 90 },
        { csumStart: 4 },
        { offload: OFFLOAD_GSO_UDP },
      ])
        fixture.link.bringMessage(Object.assign(unfinished(4, 100, 10), change))
      fixture.link.bringMessage(Object.assign(unfinished(6, 100), { csumStart: 2_000 }))
      expect(far.take()).toEqual([])
      expect(fixture.count('offload-mismatch')).toBe(5)
    })
  })

  it('a block that somebody shares is not written over', () => {
    const mp = chainOf(fixture.test.arena, packet4(), [], 64)
    const before = packet4()
    far.onPacket = sent => {
      expect(sent.dblk).not.toBe(mp.dblk)
      far.onPacket = null
      far.stream.bottom.other.put(far.stream.bottom.other, sent)
    }
    mp.dblk.ref++
    fixture.link.bringMessage(mp)
    mp.dblk.ref--
    expect(mp.dblk.bytes.slice(mp.rptr, mp.wptr)).toEqual(before)
    mp.dblk.ref++
    mp.live = true
    mp.dblk.arena.giveBack(mp)
    expect(far.take()).toEqual([packet4({ hopLimit: 63 })])
  })

  it('a full link costs the packet, and nothing else', () => {
    far.blocked = true
    for (let i = 0; i < 200; i++) fixture.link.bring(packet4())
    expect(fixture.count('link-full')).toBeGreaterThan(50)
    far.unblock()
    fixture.test.settle()
    expect(far.take().length + fixture.count('link-full')).toBe(200)
  })
})
