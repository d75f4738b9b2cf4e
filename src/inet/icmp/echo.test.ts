import { afterEach, describe, expect, it } from 'vitest'
import { fold, sumBytes } from '../../base/checksum.ts'
import { IpFixture } from '../testing/ip-fixture.ts'
import {
  DESTINATION4,
  DESTINATION6,
  fragmentHeader,
  icmpMessage,
  ipv4Packet,
  ipv6Packet,
  paddingHeader,
  pattern,
  SOURCE4,
  SOURCE6,
} from '../testing/packets.ts'

const echo4 = (type: number, data: Uint8Array): Uint8Array =>
  icmpMessage(4, type, 0, data, SOURCE4, DESTINATION4)
const ping4 = (data = pattern(60)): Uint8Array => ipv4Packet(echo4(8, data), { protocol: 1 })
const ping6 = (data = pattern(60), source: readonly number[] = SOURCE6): Uint8Array =>
  ipv6Packet(icmpMessage(6, 128, 0, data, source, DESTINATION6), { nextHeader: 58, source })

let fixture: IpFixture
afterEach(() => fixture.finish())

describe('icmp/echo', () => {
  it('RFC 792: an echo request comes back as the reply, byte for byte', () => {
    fixture = new IpFixture()
    fixture.link.bring(ping4())
    const [reply] = fixture.link.take()
    const message = echo4(0, pattern(60))
    expect(reply!.slice(20)).toEqual(message)
    expect(fold(sumBytes(reply!, 0, 20))).toBe(0xffff)
    expect([...reply!.slice(12, 16)]).toEqual([...DESTINATION4])
    expect([...reply!.slice(16, 20)]).toEqual([...SOURCE4])
    expect(fixture.count('echo-replies-out')).toBe(1)
  })

  it('RFC 4443 §4.2: the same over IPv6', () => {
    fixture = new IpFixture()
    fixture.link.bring(ping6())
    const [reply] = fixture.link.take()
    const message = icmpMessage(6, 129, 0, pattern(60), DESTINATION6, SOURCE6)
    expect(reply!).toEqual(
      ipv6Packet(message, { nextHeader: 58, source: DESTINATION6, destination: SOURCE6 }),
    )
  })

  it('checklist 3.6-59: cut at every byte, the answer is the same, and nothing but headers is copied', () => {
    fixture = new IpFixture()
    for (const packet of [ping4(), ping6()]) {
      fixture.link.bring(packet)
      const [whole] = fixture.link.take()
      for (let at = 0; at <= packet.length; at++) {
        fixture.link.bring(packet, [at, at])
        const [reply] = fixture.link.take()
        // An IPv4 identification counts up.
        const from = whole![0] === 0x45 ? 12 : 0
        expect(reply!.slice(from)).toEqual(whole!.slice(from))
      }
    }
  })

  it('a whole packet in one block is answered without a copy', () => {
    fixture = new IpFixture()
    for (let i = 0; i < 100; i++) fixture.link.bring(i % 2 === 0 ? ping4() : ping6())
    expect(fixture.link.take()).toHaveLength(100)
    expect(fixture.test.arena.copies.stack.bytes).toBe(0)
  })

  it('RFC 791: options of the request do not come back, and the lengths are right', () => {
    fixture = new IpFixture()
    fixture.link.bring(ipv4Packet(echo4(8, pattern(16)), { protocol: 1, options: [7, 7, 4, 0, 0, 0, 0, 0] }))
    const [reply] = fixture.link.take()
    expect(reply!.length).toBe(20 + 20)
    expect(reply!.slice(20)).toEqual(echo4(0, pattern(16)))
  })

  it('RFC 8200 §4: extension headers of the request do not come back', () => {
    fixture = new IpFixture()
    const message = icmpMessage(6, 128, 0, pattern(16), SOURCE6, DESTINATION6)
    const headers = [paddingHeader(0), paddingHeader(60, 2)]
    fixture.link.bring(ipv6Packet(message, { nextHeader: 58, headers }))
    expect(fixture.link.take()[0]!.length).toBe(40 + 20)
  })

  it('checklist 3.1-6: a TTL of 0 is good enough for us', () => {
    fixture = new IpFixture()
    fixture.link.bring(ipv4Packet(echo4(8, pattern(4)), { protocol: 1, hopLimit: 0 }))
    expect(fixture.link.take()).toHaveLength(1)
  })

  it('checklist 3.1-8: an echo request to a broadcast or multicast address is not answered', () => {
    fixture = new IpFixture()
    for (const destination of [
      [10, 0, 0, 255],
      [10, 0, 0, 0],
      [255, 255, 255, 255],
      [224, 0, 0, 1],
    ])
      fixture.link.bring(ipv4Packet(echo4(8, pattern(4)), { protocol: 1, destination }))
    const group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    const message = icmpMessage(6, 128, 0, pattern(4), SOURCE6, group)
    fixture.link.bring(ipv6Packet(message, { nextHeader: 58, destination: group }))
    expect(fixture.link.take()).toEqual([])
    expect(fixture.count('icmp-echo-not-unicast')).toBe(5)
  })

  it('a request in fragments is answered in fragments', () => {
    fixture = new IpFixture({ link: { mtu: 1_280 } })
    const message = echo4(8, pattern(3_000))
    for (let at = 0; at < message.length; at += 1_000) {
      const part = message.slice(at, at + 1_000)
      fixture.link.bring(ipv4Packet(part, { protocol: 1, offset: at, more: at + 1_000 < message.length }))
    }
    const replies = fixture.link.take()
    expect(replies.length).toBe(3)
    expect(replies.map(({ length }) => length <= 1_280)).toEqual([true, true, true])
    const whole = Buffer.concat(replies.map(reply => reply.slice(20)))
    expect(new Uint8Array(whole)).toEqual(echo4(0, pattern(3_000)))

    const long = icmpMessage(6, 128, 0, pattern(2_000), SOURCE6, DESTINATION6)
    fixture.link.bring(
      ipv6Packet(long.slice(0, 1_200), { nextHeader: 58, headers: [fragmentHeader(0, true)] }),
    )
    fixture.link.bring(
      ipv6Packet(long.slice(1_200), { nextHeader: 58, headers: [fragmentHeader(1_200, false)] }),
    )
    const replies6 = fixture.link.take()
    expect(replies6.length).toBe(2)
    const whole6 = Buffer.concat(replies6.map(reply => reply.slice(48)))
    expect(new Uint8Array(whole6)).toEqual(icmpMessage(6, 129, 0, pattern(2_000), DESTINATION6, SOURCE6))
  })

  it('a wrong checksum or a truncated message is dropped', () => {
    fixture = new IpFixture()
    for (const packet of [ping4(), ping6()]) {
      packet[packet.length - 1]! ^= 1
      fixture.link.bring(packet)
    }
    fixture.link.bring(ipv4Packet(echo4(8, new Uint8Array(3)), { protocol: 1 }))
    expect(fixture.link.take()).toEqual([])
    expect(fixture.count('icmp-checksum')).toBe(2)
    expect(fixture.count('icmp-truncated')).toBe(1)
  })
})
