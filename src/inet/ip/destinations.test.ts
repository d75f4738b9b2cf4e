import { afterEach, describe, expect, it } from 'vitest'
import { IpFixture } from '../testing/ip-fixture.ts'
import { MAPPED_WORD } from '../unitdata.ts'
import { KIND_UNICAST } from './addresses.ts'
import { addRoute, doubtPath } from './control.ts'
import { DEST_INTERFACE, DEST_KIND, DEST_MTU } from './destinations.ts'

let fixture: IpFixture
afterEach(() => fixture.finish())

describe('ip/destinations', () => {
  it('addresses and interfaces that fall into one slot are told apart', () => {
    fixture = new IpFixture()
    fixture.addLink('tun1', [], { mtu: 1_400 })
    addRoute(fixture.ip, { prefix: 'default', interface: 'tun0' })
    addRoute(fixture.ip, { prefix: 'default', interface: 'tun1', metric: 1 })
    const { destinations } = fixture.ip
    const { table } = destinations
    const look = (w0: number, w1: number, w2: number, w3: number, scope: number): unknown => {
      const at = destinations.find(w0, w1, w2, w3, scope)
      return [table[at + DEST_KIND], table[at + DEST_INTERFACE], table[at + DEST_MTU]]
    }
    for (let i = 0; i < 20_000; i++) {
      const v4 = 0x14000000 + i * 7
      expect(look(0, 0, MAPPED_WORD, v4, 2)).toEqual([KIND_UNICAST, 2, 1_500])
      expect(look(0, 0, MAPPED_WORD, v4, 3)).toEqual([KIND_UNICAST, 3, 1_400])
      expect(look(0x20010db8, i, 0, 1, 3)).toEqual([KIND_UNICAST, 3, 1_400])
      expect(look(0x20010db8, i, 0, 1, 0)).toEqual([KIND_UNICAST, 2, 1_500])
    }
  })

  it('a destination is looked up once, until something changes', () => {
    fixture = new IpFixture()
    const { destinations } = fixture.ip
    destinations.find4(0x0a000001)
    const before = destinations.misses
    for (let i = 0; i < 10; i++) destinations.find4(0x0a000001)
    expect(destinations.misses).toBe(before)
    addRoute(fixture.ip, { prefix: '192.0.2.0/24', interface: 'tun0' })
    destinations.find4(0x0a000001)
    expect(destinations.misses).toBe(before + 1)
  })

  it('RFC 1122 §3.3.1.4: negative advice has the way to one address found anew; what was learnt of its size stays', () => {
    fixture = new IpFixture()
    const { ip } = fixture
    const { destinations } = ip
    ip.pathMtu.set(0, 0, MAPPED_WORD, 0x0a000001, 1_000, 0)
    const mtu = (word: number): number => destinations.table[destinations.find4(word) + DEST_MTU]!
    expect([mtu(0x0a000001), mtu(0x0a000003)]).toEqual([1_000, 1_500])
    const before = destinations.misses
    doubtPath(ip, 0, 0, MAPPED_WORD, 0x0a000001)
    // Of an address that nobody sent to there is nothing to forget.
    doubtPath(ip, 0, 0, MAPPED_WORD, 0x0a000009)
    expect([mtu(0x0a000001), mtu(0x0a000003)]).toEqual([1_000, 1_500])
    expect([destinations.misses - before, ip.counters['paths-doubted']]).toEqual([1, 2])
  })

  it('a path that was lowered is lowered for every interface to leave by, and for nobody else', () => {
    fixture = new IpFixture()
    const { destinations } = fixture.ip
    const mtu = (word: number, scope: number): number =>
      destinations.table[destinations.find(0, 0, MAPPED_WORD, word, scope) + DEST_MTU]!
    expect([mtu(0x0a000001, 0), mtu(0x0a000001, 2), mtu(0x0a000003, 0)]).toEqual([1_500, 1_500, 1_500])
    const expires = fixture.ip.pathMtu.set(0, 0, MAPPED_WORD, 0x0a000001, 1_000, 0)
    destinations.lowerMtu(0, 0, MAPPED_WORD, 0x0a000001, 1_000, expires)
    expect([mtu(0x0a000001, 0), mtu(0x0a000001, 2), mtu(0x0a000003, 0)]).toEqual([1_000, 1_000, 1_500])
  })
})
