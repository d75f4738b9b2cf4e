import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fold, sumBytes } from '../../base/checksum.ts'
import { seconds } from '../../base/time.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import type { Stream } from '../../streams/stream.ts'
import { setErrorLimit } from '../ip/control.ts'
import { IpFixture } from '../testing/ip-fixture.ts'
import {
  DESTINATION4,
  DESTINATION6,
  icmpMessage,
  ipv4Packet,
  ipv6Packet,
  paddingHeader,
  pattern,
  SOURCE4,
  SOURCE6,
  udpDatagram,
} from '../testing/packets.ts'
import { ERROR_CODE, HEADER_BYTES, KIND, REJECT_REQ, REMOTE, unitdataAt } from '../unitdata.ts'
import { ERROR_PORT_UNREACHABLE } from './errors.ts'

let fixture: IpFixture
beforeEach(() => {
  fixture = new IpFixture()
})
afterEach(() => fixture.finish())

const GROUP6 = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]

describe('icmp/send-error', () => {
  it('RFC 1122 §3.2.2.1: an unknown protocol is told, from the address that was asked', () => {
    const packet = ipv4Packet(pattern(40), { protocol: 99 })
    fixture.link.bring(packet)
    const [error] = fixture.link.take()
    expect([...error!.slice(12, 20)]).toEqual([...DESTINATION4, ...SOURCE4])
    expect([error![9], error![20], error![21]]).toEqual([1, 3, 2])
    expect(error!.slice(28)).toEqual(packet)
    expect(fold(sumBytes(error!, 0, 20))).toBe(0xffff)
    expect(fold(sumBytes(error!, 20, error!.length))).toBe(0xffff)
  })

  it('RFC 4443 §3.4: the same over IPv6, with the pseudo-header in the sum', () => {
    const packet = ipv6Packet(pattern(40))
    fixture.link.bring(packet)
    const [error] = fixture.link.take()
    const body = Uint8Array.of(0, 0, 0, 6, ...packet)
    const message = icmpMessage(6, 4, 1, body, DESTINATION6, SOURCE6)
    expect(error).toEqual(ipv6Packet(message, { nextHeader: 58, source: DESTINATION6, destination: SOURCE6 }))
  })

  it('checklist 3.1-7, RFC 1812 §4.3.2.3: as much is quoted as makes 576 bytes (1280 in IPv6), without a copy', () => {
    fixture.link.bring(ipv4Packet(pattern(1_400), { protocol: 99 }))
    fixture.link.bring(ipv6Packet(pattern(1_400)))
    expect(fixture.link.take().map(({ length }) => length)).toEqual([576, 1_280])
    expect(fixture.test.arena.copies.stack.bytes).toBe(0)
  })

  describe('checklist 3.1-6, 3.3-23: what is never answered', () => {
    const icmp4 = (type: number): Uint8Array => icmpMessage(4, type, 0, pattern(40), SOURCE4, DESTINATION4)
    it.each<[string, () => Uint8Array]>([
      ['to a broadcast', () => ipv4Packet(pattern(40), { protocol: 99, destination: [10, 0, 0, 255] })],
      ['to a group', () => ipv4Packet(pattern(40), { protocol: 99, destination: [224, 0, 0, 1] })],
      ['to a group, IPv6', () => ipv6Packet(pattern(40), { destination: GROUP6 })],
    ])('%s', (_, packet) => {
      fixture.link.bring(packet())
      expect(fixture.link.take()).toEqual([])
      expect(fixture.count('icmp-error-suppressed')).toBe(1)
    })

    it.each([3, 4, 5, 11, 12, 0, 77])('ICMP type %i', type => {
      fixture.link.bring(ipv4Packet(icmp4(type), { protocol: 1 }))
      expect(fixture.link.take()).toEqual([])
    })

    it.each([1, 2, 3, 4, 100, 127, 129, 137, 200])('ICMPv6 type %i', type => {
      const message = icmpMessage(6, type, 0, pattern(60), SOURCE6, DESTINATION6)
      fixture.link.bring(ipv6Packet(message, { nextHeader: 58 }))
      // An ICMPv6 error behind a header that is complained of.
      const bad = { type: 60, body: [0, 0x9e, 4, 0, 0, 0, 0] }
      const answered = type >= 128 && type !== 137
      fixture.link.bring(ipv6Packet(message, { nextHeader: 58, headers: [paddingHeader(0), bad] }))
      expect(fixture.link.take().length).toBe(answered ? 1 : 0)
    })

    it('a sender that no route leads to', () => {
      fixture.link.bring(ipv4Packet(pattern(40), { protocol: 99, source: [203, 0, 113, 7] }))
      expect(fixture.link.take()).toEqual([])
      expect(fixture.count('icmp-error-suppressed')).toBe(1)
    })
  })

  it('checklist 3.1-7, 3.3-23: a flood is answered at the rate that is set', () => {
    for (let i = 0; i < 500; i++) fixture.link.bring(ipv4Packet(pattern(10), { protocol: 99 }))
    expect(fixture.link.take()).toHaveLength(10)
    expect(fixture.count('icmp-error-rate-limited')).toBe(490)
    fixture.test.advance(seconds(1))
    for (let i = 0; i < 500; i++) fixture.link.bring(ipv6Packet(pattern(10)))
    expect(fixture.link.take().length).toBeLessThanOrEqual(10)
    setErrorLimit(fixture.ip, { perSecond: 0, burst: 0 })
    fixture.link.bring(ipv4Packet(pattern(10), { protocol: 99 }))
    expect(fixture.link.take()).toEqual([])
  })

  describe('REJECT_REQ', () => {
    let udp: Stream
    beforeEach(() => {
      udp = fixture.upper(17)
    })
    const reject = (change: (mp: Mblk, words: Int32Array, at: number) => void = () => {}): void => {
      fixture.test.settle()
      const mp = udp.getmsg()!
      const { words } = fixture.test.arena
      const at = unitdataAt(mp)
      words[at + KIND] = REJECT_REQ
      words[at + ERROR_CODE] = ERROR_PORT_UNREACHABLE
      change(mp, words, at)
      udp.putmsg(mp)
    }
    const packet4 = ipv4Packet(udpDatagram(pattern(9), SOURCE4, DESTINATION4, [1, 2]), {
      protocol: 17,
      options: [148, 4, 0, 0],
    })
    const packet6 = ipv6Packet(udpDatagram(pattern(9), SOURCE6, DESTINATION6, [1, 2]), {
      nextHeader: 17,
      headers: [paddingHeader(60)],
    })

    it('RFC 1122 §4.1.3.1: the sender hears of it, its packet quoted whole', () => {
      for (const packet of [packet4, packet6]) {
        fixture.link.bring(packet)
        reject()
      }
      const [four, six] = fixture.link.take()
      expect([four![20], four![21]]).toEqual([3, 3])
      expect(four!.slice(28)).toEqual(packet4)
      expect([six![40], six![41]]).toEqual([1, 4])
      expect(six!.slice(48)).toEqual(packet6)
    })

    it('checklist 3.4-25: not for a broadcast', () => {
      fixture.link.bring(ipv4Packet(pattern(20), { protocol: 17, destination: [10, 0, 0, 255] }))
      reject()
      expect(fixture.link.take()).toEqual([])
      expect(fixture.count('icmp-error-suppressed')).toBe(1)
    })

    it.each<[string, (mp: Mblk, words: Int32Array, at: number) => void]>([
      ['the data were moved', mp => void (mp.cont!.rptr += 4)],
      [
        'the header is said to be too long',
        (_mp, words, at) => void (words[at + HEADER_BYTES] = 2_000_000_000),
      ],
      ['the header is said to be absent', (_mp, words, at) => void (words[at + HEADER_BYTES] = 0)],
      ['the header is said to be negative', (_mp, words, at) => void (words[at + HEADER_BYTES] = -24)],
      ['somebody else is named', (_mp, words, at) => void words[at + REMOTE + 3]!++],
    ])('nothing is quoted when the header is not there: %s', (_, change) => {
      fixture.link.bring(packet4)
      reject(change)
      expect(fixture.link.take()).toEqual([])
      expect(fixture.count('reject-header-lost')).toBe(1)
    })

    it('without data there is nothing to reject', () => {
      fixture.link.bring(packet4)
      reject(mp => {
        freemsg(mp.cont!)
        mp.cont = null
      })
      expect(fixture.count('request-malformed')).toBe(1)
    })
  })
})
