import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { seconds } from '../../base/time.ts'
import type { Stream } from '../../streams/stream.ts'
import { lowerPathMtu } from '../ip/lower-path-mtu.ts'
import { IpFixture } from '../testing/ip-fixture.ts'
import {
  DESTINATION4,
  DESTINATION6,
  icmpMessage,
  ipv4Packet,
  ipv6Packet,
  pattern,
  SOURCE4,
  SOURCE6,
} from '../testing/packets.ts'
import {
  ERROR_CODE,
  ERROR_IND,
  ERROR_MTU,
  FAMILY,
  KIND,
  LOCAL,
  LOCAL_PORT,
  PROTOCOL,
  QUOTED_SEQ,
  REMOTE,
  REMOTE_PORT,
} from '../unitdata.ts'
import {
  ERROR_HOST_UNREACHABLE,
  ERROR_NET_UNREACHABLE,
  ERROR_PORT_UNREACHABLE,
  ERROR_PROHIBITED,
  ERROR_TOO_BIG,
  errorMeaning,
  errorOfIcmp4,
  errorOfIcmp6,
  icmpOfError,
} from './errors.ts'

let fixture: IpFixture
let udp: Stream

beforeEach(() => {
  fixture = new IpFixture()
  udp = fixture.upper(17)
})
afterEach(() => fixture.finish())

const ROUTER4 = [10, 0, 0, 9]
const ports = (rest = pattern(40)): Uint8Array => Uint8Array.of(0x12, 0x34, 0x56, 0x78, ...rest)
/** What we sent, as an error quotes it. */
const ours4 = (size = 0): Uint8Array => {
  const packet = ipv4Packet(ports(), { protocol: 17, source: DESTINATION4, destination: SOURCE4 })
  if (size > 0) new DataView(packet.buffer).setUint16(2, size)
  return packet
}
const ours6 = (size = 0): Uint8Array => {
  const length = size > 0 ? { payloadLength: size - 40 } : {}
  return ipv6Packet(ports(), { nextHeader: 17, source: DESTINATION6, destination: SOURCE6, ...length })
}
const error4 = (type: number, code: number, quote: Uint8Array, mtu = 0): Uint8Array => {
  const body = Uint8Array.of(0, 0, mtu >> 8, mtu & 0xff, ...quote)
  return ipv4Packet(icmpMessage(4, type, code, body, ROUTER4, DESTINATION4), { protocol: 1, source: ROUTER4 })
}
const error6 = (type: number, code: number, quote: Uint8Array, mtu = 0): Uint8Array => {
  const body = Uint8Array.of(mtu >>> 24, (mtu >> 16) & 0xff, (mtu >> 8) & 0xff, mtu & 0xff, ...quote)
  return ipv6Packet(icmpMessage(6, type, code, body, SOURCE6, DESTINATION6), { nextHeader: 58 })
}
const send = (remote: string): void => {
  fixture.send(udp, pattern(10), { remote })
  fixture.link.take()
}

describe('icmp/receive-error', () => {
  it('RFC 1122 §3.2.2.1: an error reaches the transport with the quoted addresses and ports', () => {
    fixture.link.bring(error4(3, 3, ours4()))
    fixture.link.bring(error6(1, 4, ours6()))
    const [four, six] = fixture.receive(udp)
    for (const [received, family] of [
      [four!, 4],
      [six!, 6],
    ] as const) {
      const { words } = received
      expect(words[KIND]).toBe(ERROR_IND)
      expect(words[FAMILY]).toBe(family)
      expect(words[ERROR_CODE]).toBe(ERROR_PORT_UNREACHABLE)
      expect(words[LOCAL_PORT]).toBe(0x1234)
      expect(words[REMOTE_PORT]).toBe(0x5678)
      expect(received.data.length).toBe(0)
    }
    expect(four!.words[LOCAL + 3]).toBe(0x0a000002)
    expect(four!.words[REMOTE + 3]).toBe(0x0a000001)
    expect([...six!.words.slice(LOCAL, LOCAL + 4)]).toEqual([0xfd000000 | 0, 2, 0, 2])
    expect([...six!.words.slice(REMOTE, REMOTE + 4)]).toEqual([0xfd000000 | 0, 1, 0, 1])
  })

  it('checklist 3.6-59: cut at every byte, it is the same error', () => {
    for (const bytes of [error4(3, 3, ours4()), error6(1, 4, ours6())]) {
      for (let at = 0; at <= bytes.length; at++) {
        fixture.link.bring(bytes, [at, at])
        expect(fixture.receive(udp)[0]!.words[REMOTE_PORT]).toBe(0x5678)
      }
    }
  })

  describe('RFC 5927 §4.1: an error about a TCP segment brings its sequence number', () => {
    const segment = Uint8Array.of(0x12, 0x34, 0x56, 0x78, 0xfe, 0xdc, 0xba, 0x98, ...pattern(32))
    const tcp4 = (data = segment): Uint8Array =>
      ipv4Packet(data, { protocol: 6, source: DESTINATION4, destination: SOURCE4 })
    const tcp6 = (data = segment): Uint8Array =>
      ipv6Packet(data, { nextHeader: 6, source: DESTINATION6, destination: SOURCE6 })
    const seq = 0xfedcba98 | 0

    it('of both families, however the message is cut', () => {
      const tcp = fixture.upper(6)
      for (const bytes of [error4(3, 1, tcp4()), error6(1, 3, tcp6())]) {
        for (let at = 0; at <= bytes.length; at++) {
          fixture.link.bring(bytes, [at, at])
          const { words } = fixture.receive(tcp)[0]!
          expect([words[PROTOCOL], words[LOCAL_PORT], words[REMOTE_PORT]]).toEqual([6, 0x1234, 0x5678])
          expect(words[QUOTED_SEQ]).toBe(seq)
        }
      }
    })

    it('eight bytes of the segment are enough, seven are not read', () => {
      const tcp = fixture.upper(6)
      fixture.link.bring(error4(3, 1, tcp4().slice(0, 28)))
      fixture.link.bring(error6(1, 3, tcp6().slice(0, 48)))
      expect(fixture.receive(tcp).map(({ words }) => words[QUOTED_SEQ])).toEqual([seq, seq])
      fixture.link.bring(error4(3, 1, tcp4().slice(0, 27)))
      fixture.link.bring(error6(1, 3, tcp6().slice(0, 47)))
      expect(fixture.receive(tcp)).toEqual([])
      expect(fixture.count('icmp-quote-malformed')).toBe(2)
    })

    it('behind IPv4 options and an IPv6 fragment header too', () => {
      const tcp = fixture.upper(6)
      const options = [1, 1, 1, 0]
      const four = ipv4Packet(segment, { protocol: 6, source: DESTINATION4, destination: SOURCE4, options })
      const fragment = Uint8Array.of(6, 0, 0, 1, 0, 0, 0, 9, ...segment)
      const six = ipv6Packet(fragment, { nextHeader: 44, source: DESTINATION6, destination: SOURCE6 })
      fixture.link.bring(error4(3, 1, four))
      fixture.link.bring(error6(1, 3, six))
      expect(fixture.receive(tcp).map(({ words }) => words[QUOTED_SEQ])).toEqual([seq, seq])
    })

    it('for another transport it is zero, whatever was quoted before', () => {
      const tcp = fixture.upper(6)
      fixture.link.bring(error4(3, 1, tcp4()))
      fixture.link.bring(error4(3, 3, ours4()))
      expect(fixture.receive(tcp).length).toBe(1)
      expect(fixture.receive(udp).map(({ words }) => words[QUOTED_SEQ])).toEqual([0])
    })
  })

  it.each<[string, () => Uint8Array, 'icmp-quote-malformed' | 'icmp-quote-not-ours' | 'icmp-unknown']>([
    ['no quote', () => error4(3, 3, new Uint8Array()), 'icmp-quote-malformed'],
    ['a quote of 27 bytes', () => error4(3, 3, ours4().slice(0, 27)), 'icmp-quote-malformed'],
    ['IHL 4', () => error4(3, 3, Uint8Array.of(0x44, ...ours4().slice(1))), 'icmp-quote-malformed'],
    [
      'IHL beyond the quote',
      () => error4(3, 3, Uint8Array.of(0x4f, ...ours4().slice(1))),
      'icmp-quote-malformed',
    ],
    ['IPv6 within IPv4', () => error4(3, 3, ours6()), 'icmp-quote-malformed'],
    [
      'a fragment that is not the first',
      () => error4(3, 3, ipv4Packet(ports(), { protocol: 17, source: DESTINATION4, offset: 8 })),
      'icmp-quote-malformed',
    ],
    ['IPv6: a quote of 47 bytes', () => error6(1, 4, ours6().slice(0, 47)), 'icmp-quote-malformed'],
    ['IPv4 within IPv6', () => error6(1, 4, ours4()), 'icmp-quote-malformed'],
    [
      'a packet that is not ours',
      () => error4(3, 3, ipv4Packet(ports(), { protocol: 17 })),
      'icmp-quote-not-ours',
    ],
    [
      'IPv6: one that is not ours',
      () => error6(1, 4, ipv6Packet(ports(), { nextHeader: 17 })),
      'icmp-quote-not-ours',
    ],
    ['an unknown code', () => error4(3, 16, ours4()), 'icmp-unknown'],
    ['an unknown type', () => error4(44, 0, ours4()), 'icmp-unknown'],
    ['IPv6: an unknown error type', () => error6(99, 0, ours6()), 'icmp-unknown'],
  ])('checklist 3.1-8: %s is dropped in silence', (_, bytes, counter) => {
    fixture.link.bring(bytes())
    expect(fixture.receive(udp)).toEqual([])
    expect(fixture.link.take()).toEqual([])
    expect(fixture.count(counter)).toBe(1)
  })

  it.each<[number, 'icmp-redirect-ignored' | 'icmp-source-quench-ignored' | 'icmp-router-ignored']>([
    [5, 'icmp-redirect-ignored'],
    [4, 'icmp-source-quench-ignored'],
    [9, 'icmp-router-ignored'],
    [10, 'icmp-router-ignored'],
  ])('checklist 3.1-8: type %i is ignored', (type, counter) => {
    fixture.link.bring(error4(type, 0, ours4()))
    expect(fixture.receive(udp)).toEqual([])
    expect(fixture.count(counter)).toBe(1)
  })

  it.each([13, 14, 17, 18])('checklist 3.1-8: timestamp and address mask, type %i, are ignored', type => {
    fixture.link.bring(
      ipv4Packet(icmpMessage(4, type, 0, pattern(16), SOURCE4, DESTINATION4), { protocol: 1 }),
    )
    expect(fixture.link.take()).toEqual([])
    expect(fixture.count(type < 17 ? 'icmp-timestamp-ignored' : 'icmp-address-mask-ignored')).toBe(1)
  })

  it('errors about loopback come by way of the loopback alone', () => {
    for (const own of [[127, 0, 0, 1], DESTINATION4]) {
      const quote = ipv4Packet(ports(), { protocol: 17, source: own, destination: own })
      fixture.link.bring(error4(3, 3, quote))
    }
    expect(fixture.receive(udp)).toEqual([])
    expect(fixture.count('icmp-quote-not-ours')).toBe(2)
    const tcp = fixture.upper(6)
    fixture.send(tcp, pattern(40), { remote: '127.0.0.1', protocol: 99 })
    const [received] = fixture.receive(tcp)
    expect(received).toBeUndefined()
    expect(fixture.count('icmp-quote-no-transport')).toBe(1)
  })

  it('an error for a transport that is not there is counted', () => {
    const quote = ipv4Packet(ports(), { protocol: 99, source: DESTINATION4, destination: SOURCE4 })
    fixture.link.bring(error4(3, 3, quote))
    expect(fixture.count('icmp-quote-no-transport')).toBe(1)
  })

  describe('path MTU', () => {
    const mtuTo = (): unknown => fixture.ip.pathMtu.describe(fixture.ip.nowSeconds())

    it('RFC 1191 §3, RFC 8201 §4: a router that says less is believed, for ten minutes', () => {
      send('10.0.0.1')
      send('fd00:0:0:1::1')
      fixture.link.bring(error4(3, 4, ours4(1_500), 1_400))
      fixture.link.bring(error6(2, 0, ours6(1_500), 1_300))
      const [four, six] = fixture.receive(udp)
      expect([four!.words[ERROR_CODE], four!.words[ERROR_MTU]]).toEqual([ERROR_TOO_BIG, 1_400])
      expect([six!.words[ERROR_CODE], six!.words[ERROR_MTU]]).toEqual([ERROR_TOO_BIG, 1_300])
      fixture.send(udp, pattern(1_472), { remote: '10.0.0.1' })
      fixture.send(udp, pattern(1_452), { remote: 'fd00:0:0:1::1' })
      const longest = fixture.link.take().map(({ length }) => length)
      expect(longest.length).toBe(4)
      expect(Math.max(...longest.slice(0, 2))).toBeLessThanOrEqual(1_400)
      expect(Math.max(...longest.slice(2))).toBeLessThanOrEqual(1_300)
      fixture.test.advance(seconds(601))
      fixture.send(udp, pattern(1_472), { remote: '10.0.0.1' })
      expect(fixture.link.take().map(({ length }) => length)).toEqual([1_492])
      expect(mtuTo()).toEqual([])
    })

    it('RFC 5927 §7.2: what is said of a TCP segment is TCP’s to believe', () => {
      send('10.0.0.1')
      const tcp = fixture.upper(6)
      const quoted = ipv4Packet(ports(), { protocol: 6, source: DESTINATION4, destination: SOURCE4 })
      new DataView(quoted.buffer).setUint16(2, 1_500)
      fixture.link.bring(error4(3, 4, quoted, 1_400))
      const [told] = fixture.receive(tcp)
      expect([told!.words[ERROR_CODE], told!.words[ERROR_MTU]]).toEqual([ERROR_TOO_BIG, 1_400])
      expect(mtuTo()).toEqual([])
      lowerPathMtu(fixture.ip, 4, 0, 0, 0xffff, 0x0a000001, 1_400)
      expect(mtuTo()).toMatchObject([{ destination: '10.0.0.1', mtu: 1_400 }])
    })

    it('checklist 3.3-21: less than 1280 is no answer of an IPv6 router', () => {
      send('fd00:0:0:1::1')
      fixture.link.bring(error6(2, 0, ours6(1_500), 1_279))
      expect(fixture.receive(udp)).toEqual([])
      expect(mtuTo()).toEqual([])
      expect(fixture.count('icmp-mtu-implausible')).toBe(1)
    })

    it('checklist 3.3-21: for whom we did not send to, nothing is learnt', () => {
      fixture.link.bring(error6(2, 0, ours6(1_500), 1_300))
      fixture.link.bring(error4(3, 4, ours4(1_500), 1_300))
      expect(fixture.receive(udp)).toEqual([])
      expect(fixture.count('icmp-mtu-unsolicited')).toBe(2)
    })

    it('a packet that would have fitted is no reason', () => {
      send('10.0.0.1')
      fixture.link.bring(error4(3, 4, ours4(1_400), 1_400))
      expect(fixture.count('icmp-mtu-implausible')).toBe(1)
      expect(mtuTo()).toEqual([])
    })

    it('checklist 3.5-42: IPv4 paths are never taken to be smaller than 552', () => {
      send('10.0.0.1')
      fixture.link.bring(error4(3, 4, ours4(1_500), 67))
      expect(fixture.count('icmp-mtu-implausible')).toBe(1)
      fixture.link.bring(error4(3, 4, ours4(1_500), 68))
      expect(mtuTo()).toMatchObject([{ destination: '10.0.0.1', mtu: 552 }])
      fixture.send(udp, pattern(500), { remote: '10.0.0.1' })
      const [packet] = fixture.link.take()
      // Smaller paths than that still work, since such packets may be cut on the way.
      expect(packet![6]! & 0x40).toBe(0)
    })

    it('RFC 1191 §7: a router of old does not say; the next plateau is tried', () => {
      send('10.0.0.1')
      fixture.link.bring(error4(3, 4, ours4(1_500), 0))
      expect(mtuTo()).toMatchObject([{ mtu: 1_492 }])
    })

    it('RFC 8201 §4: a larger one never raises what is known', () => {
      send('10.0.0.1')
      fixture.link.bring(error4(3, 4, ours4(1_500), 1_000))
      fixture.link.bring(error4(3, 4, ours4(1_500), 1_200))
      expect(mtuTo()).toMatchObject([{ mtu: 1_000 }])
    })

    it('the cache is bounded', () => {
      for (let i = 0; i < 1_000; i++) fixture.ip.pathMtu.set(0, 0, 0xffff, i, 1_400, 0)
      expect((mtuTo() as unknown[]).length).toBeLessThanOrEqual(256)
    })
  })

  it('RFC 792, RFC 1812 §5.2.7, RFC 4443 §3: codes mean what they say', () => {
    expect([0, 1, 3, 4, 13, 15].map(code => errorOfIcmp4(3, code))).toEqual([
      ERROR_NET_UNREACHABLE,
      ERROR_HOST_UNREACHABLE,
      ERROR_PORT_UNREACHABLE,
      ERROR_TOO_BIG,
      ERROR_PROHIBITED,
      ERROR_PROHIBITED,
    ])
    expect([0, 1, 3, 4, 7].map(code => errorOfIcmp6(1, code))).toEqual([
      ERROR_NET_UNREACHABLE,
      ERROR_PROHIBITED,
      ERROR_HOST_UNREACHABLE,
      ERROR_PORT_UNREACHABLE,
      0,
    ])
    for (const family of [4, 6]) {
      for (let error = 1; error < 14; error++) {
        const wire = icmpOfError(family, error)
        if (wire === 0) continue
        const back = (family === 4 ? errorOfIcmp4 : errorOfIcmp6)(wire >> 8, wire & 0xff)
        if (family === 4 || error !== 3) expect([family, error, back]).toEqual([family, error, error])
      }
    }
    expect(errorMeaning(ERROR_PORT_UNREACHABLE).error).toBe('ERR_CONN_REFUSED')
    expect(errorMeaning(999).error).toBe('ERR_PROTOCOL')
  })
})
