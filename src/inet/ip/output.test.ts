import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fold, sumBytes } from '../../base/checksum.ts'
import { LINK_CSUM } from '../../streams/link-info.ts'
import { dupmsg, freemsg } from '../../streams/mblk/alloc.ts'
import { OFFLOAD_CSUM_NEEDED, OFFLOAD_GSO_UDP } from '../../streams/mblk/mblk.ts'
import type { Stream } from '../../streams/stream.ts'
import {
  ERROR_BROADCAST,
  ERROR_HOST_UNREACHABLE,
  ERROR_MALFORMED,
  ERROR_MULTICAST,
  ERROR_NET_UNREACHABLE,
  ERROR_SOURCE_NOT_OURS,
  ERROR_TOO_BIG,
} from '../icmp/errors.ts'
import { IpFixture, type RequestFields } from '../testing/ip-fixture.ts'
import {
  DESTINATION4,
  DESTINATION6,
  ipv4Packet,
  ipv6Packet,
  pattern,
  SOURCE4,
  SOURCE6,
  udpDatagram,
} from '../testing/packets.ts'
import {
  ERROR_CODE,
  ERROR_IND,
  ERROR_MTU,
  FLAGS,
  KIND,
  LOCAL,
  UD_BROADCAST,
  UD_DONT_FRAGMENT,
  UD_REFUSED_HERE,
  unitdataAt,
} from '../unitdata.ts'
import { addRoute } from './control.ts'

const PEER4 = '10.0.0.1'
const PEER6 = 'fd00:0:0:1::1'
let fixture: IpFixture
let udp: Stream

beforeEach(() => {
  fixture = new IpFixture()
  udp = fixture.upper(17)
})
afterEach(() => fixture.finish())

/** A UDP header without its checksum in front of data. */
const datagram = (data: Uint8Array): Uint8Array => {
  const whole = udpDatagram(data, DESTINATION4, SOURCE4, [1000, 2000])
  whole.fill(0, 6, 8)
  return whole
}
const udp4 = (data: Uint8Array): Uint8Array => udpDatagram(data, DESTINATION4, SOURCE4, [1000, 2000])
const udp6 = (data: Uint8Array): Uint8Array => udpDatagram(data, DESTINATION6, SOURCE6, [1000, 2000])
const checksum = { csumOffset: 6 }

/** The one ERROR_IND that a request is answered with. */
function refused(payload: Uint8Array, fields: RequestFields): Int32Array {
  fixture.send(udp, payload, fields)
  expect(fixture.link.take()).toEqual([])
  const received = fixture.receive(udp)
  expect(received).toHaveLength(1)
  const { words } = received[0]!
  expect(words[KIND]).toBe(ERROR_IND)
  expect(words[FLAGS]! & UD_REFUSED_HERE).toBe(UD_REFUSED_HERE)
  return words
}

describe('ip/output', () => {
  it('RFC 791: a datagram gets its header, source and checksum', () => {
    fixture.send(udp, datagram(pattern(50)), { remote: PEER4, ...checksum, hopLimit: 9, trafficClass: 0xb8 })
    const [packet] = fixture.link.take()
    const id = new DataView(packet!.buffer).getUint16(4)
    expect(packet).toEqual(
      ipv4Packet(udp4(pattern(50)), {
        protocol: 17,
        source: DESTINATION4,
        destination: SOURCE4,
        hopLimit: 9,
        typeOfService: 0xb8,
        identification: id,
        dontFragment: true,
      }),
    )
  })

  it('RFC 8200: the same over IPv6', () => {
    fixture.send(udp, datagram(pattern(50)), { remote: PEER6, ...checksum, hopLimit: 9, trafficClass: 0xb8 })
    const addresses = { source: DESTINATION6, destination: SOURCE6 }
    expect(fixture.link.take()).toEqual([
      ipv6Packet(udp6(pattern(50)), { nextHeader: 17, ...addresses, hopLimit: 9, trafficClass: 0xb8 }),
    ])
  })

  it('headers go in front in place: nothing is copied', () => {
    fixture.send(udp, datagram(pattern(50)), { remote: PEER4, ...checksum })
    fixture.send(udp, datagram(pattern(50)), { remote: PEER6, ...checksum })
    expect(fixture.test.arena.copies.stack.bytes).toBe(0)
  })

  it('checklist 3.6-60: a transport header that somebody shares is not written over', () => {
    const mp = fixture.request(datagram(pattern(50)), { remote: PEER4, ...checksum })
    const other = dupmsg(mp.cont!)!
    const before = other.bytes[other.rptr + 6]! | other.bytes[other.rptr + 7]!
    udp.putmsg(mp)
    fixture.test.settle()
    expect(other.bytes[other.rptr + 6]! | other.bytes[other.rptr + 7]!).toBe(before)
    freemsg(other)
    expect(fixture.link.take()[0]!.slice(20)).toEqual(udp4(pattern(50)))
  })

  it('RFC 768: a checksum of 0 is sent as 0xFFFF, over any chain', () => {
    // Data whose sum makes the checksum 0.
    const data = pattern(20)
    const sum = fold(sumBytes(udp4(data), 6, 8))
    const view = new DataView(data.buffer)
    view.setUint16(18, fold(view.getUint16(18) + sum))
    fixture.send(udp, datagram(data), { remote: PEER4, ...checksum })
    const [packet] = fixture.link.take()
    expect(new DataView(packet!.buffer).getUint16(26)).toBe(0xffff)
  })

  it('a link that finishes checksums gets the pseudo-header sum and where to go on', () => {
    fixture.link.change({ capabilities: LINK_CSUM })
    for (const remote of [PEER4, PEER6]) fixture.send(udp, datagram(pattern(51)), { remote, ...checksum })
    for (const [i, whole] of [udp4(pattern(51)), udp6(pattern(51))].entries()) {
      const { bytes, offload, csumStart, csumOffset } = fixture.link.sent[i]!
      expect([offload, csumOffset]).toEqual([OFFLOAD_CSUM_NEEDED, 6])
      const finished = ~fold(sumBytes(bytes, csumStart, bytes.length)) & 0xffff
      expect(finished).toBe(new DataView(whole.buffer).getUint16(6))
    }
    fixture.link.take()
  })

  describe('identification', () => {
    const ids = (count: number, remote: string, size = 10): number[] => {
      for (let i = 0; i < count; i++) fixture.send(udp, pattern(size), { remote })
      return fixture.link.take().map(packet => new DataView(packet.buffer).getUint16(4))
    }

    it('checklist 3.1-9: packets that are not to be cut count up per destination, from anywhere', () => {
      const one = ids(3, PEER4)
      const two = ids(3, '10.0.0.7')
      expect(one.map(id => (id - one[0]!) & 0xffff)).toEqual([0, 1, 2])
      expect(two.map(id => (id - two[0]!) & 0xffff)).toEqual([0, 1, 2])
      expect(one[0]).not.toBe(two[0])
    })

    it('checklist 3.1-9, RFC 7739: those of fragments cannot be foretold', () => {
      const all = ids(20, PEER4, 3_000).filter((_, i) => i % 3 === 0)
      const steps = new Set(all.slice(1).map((id, i) => (id - all[i]!) & 0xffff))
      expect(steps.size).toBe(19)
    })
  })

  describe('sizes', () => {
    const long = pattern(3_000)

    it('RFC 791 §3.2: what does not fit is cut, if it may be', () => {
      fixture.send(udp, datagram(long), { remote: PEER4, ...checksum })
      fixture.send(udp, datagram(long), { remote: PEER6, ...checksum })
      const packets = fixture.link.take()
      expect(packets.map(({ length }) => length <= 1_500)).toEqual([true, true, true, true, true, true])
      const whole4 = packets.slice(0, 3).flatMap(packet => [...packet.slice(20)])
      const whole6 = packets.slice(3).flatMap(packet => [...packet.slice(48)])
      expect(Uint8Array.from(whole4)).toEqual(udp4(long))
      expect(Uint8Array.from(whole6)).toEqual(udp6(long))
    })

    it('what must not be cut is refused, with the MTU of the path', () => {
      for (const remote of [PEER4, PEER6]) {
        const words = refused(datagram(long), { remote, ...checksum, flags: UD_DONT_FRAGMENT })
        expect([words[ERROR_CODE], words[ERROR_MTU]]).toEqual([ERROR_TOO_BIG, 1_500])
      }
    })

    it('what no packet can hold is refused', () => {
      expect(refused(pattern(65_516), { remote: PEER4 })[ERROR_CODE]).toBe(ERROR_TOO_BIG)
      fixture.send(udp, pattern(65_515), { remote: PEER4 })
      expect(fixture.link.take().length).toBe(45)
    })

    it('the whole size goes out in one piece, one byte more in two', () => {
      fixture.send(udp, pattern(1_480), { remote: PEER4 })
      expect(fixture.link.take().length).toBe(1)
      fixture.send(udp, pattern(1_481), { remote: PEER4 })
      expect(fixture.link.take().length).toBe(2)
    })
  })

  describe('refusals', () => {
    it.each<[string, RequestFields, number]>([
      ['no route', { remote: '192.0.2.1' }, ERROR_NET_UNREACHABLE],
      ['no route, IPv6', { remote: '2001:db8::1' }, ERROR_NET_UNREACHABLE],
      ['0.0.0.0', { remote: '0.0.0.0' }, ERROR_NET_UNREACHABLE],
      ['::', { remote: '::' }, ERROR_NET_UNREACHABLE],
      ['class E', { remote: '240.0.0.1' }, ERROR_NET_UNREACHABLE],
      ['multicast', { remote: '224.0.0.1' }, ERROR_MULTICAST],
      ['multicast, IPv6', { remote: 'ff02::1' }, ERROR_MULTICAST],
      ['broadcast without permission', { remote: '10.0.0.255' }, ERROR_BROADCAST],
      ['limited broadcast without permission', { remote: '255.255.255.255' }, ERROR_BROADCAST],
      ['a source that is not ours', { remote: PEER4, local: '10.0.0.3' }, ERROR_SOURCE_NOT_OURS],
      ['a broadcast as source', { remote: PEER4, local: '10.0.0.255' }, ERROR_SOURCE_NOT_OURS],
      ['a loopback source on a link', { remote: PEER4, local: '127.0.0.1' }, ERROR_SOURCE_NOT_OURS],
      ['a source of the other family', { remote: PEER4, local: 'fd00:0:0:2::2' }, ERROR_SOURCE_NOT_OURS],
      ['an IPv4-mapped destination over IPv6', { remote: '::ffff:10.0.0.1' }, ERROR_MALFORMED],
      ['an interface that is not there', { remote: PEER4, interface: 77 }, ERROR_NET_UNREACHABLE],
    ])('%s', (_, fields, error) => {
      expect(refused(pattern(10), fields)[ERROR_CODE]).toBe(error)
    })

    it('a checksum field beyond the message', () => {
      expect(refused(pattern(7), { remote: PEER4, csumOffset: 6 })[ERROR_CODE]).toBe(ERROR_MALFORMED)
    })

    it('what is no request is dropped', () => {
      const mp = fixture.request(pattern(10), { remote: PEER4 })
      fixture.test.arena.words[unitdataAt(mp) + KIND] = 99
      udp.putmsg(mp)
      const bare = fixture.request(pattern(10), { remote: PEER4 })
      freemsg(bare.cont!)
      bare.cont = null
      udp.putmsg(bare)
      udp.write(pattern(5))
      expect(fixture.count('request-malformed')).toBe(3)
    })
  })

  it('broadcast leaves if it was asked for, by the link of the subnet or the only one there is', () => {
    fixture.send(udp, pattern(10), { remote: '10.0.0.255', flags: UD_BROADCAST })
    fixture.send(udp, pattern(10), { remote: '255.255.255.255', flags: UD_BROADCAST })
    expect(fixture.link.take().map(packet => [...packet.slice(12, 20)])).toEqual([
      [...DESTINATION4, 10, 0, 0, 255],
      [...DESTINATION4, 255, 255, 255, 255],
    ])
    const other = fixture.addLink('tun1', ['192.0.2.1/24'])
    expect(refused(pattern(1), { remote: '255.255.255.255', flags: UD_BROADCAST })[ERROR_CODE]).toBe(
      ERROR_HOST_UNREACHABLE,
    )
    fixture.send(udp, pattern(10), { remote: '255.255.255.255', flags: UD_BROADCAST, interface: 3 })
    expect(other.take()).toHaveLength(1)
  })

  it('an interface that is named is the one to leave by, and is not remembered for others', () => {
    const other = fixture.addLink('tun1', ['192.0.2.1/24'])
    addRoute(fixture.ip, { prefix: 'default', interface: 'tun1' })
    for (let i = 0; i < 2; i++) {
      fixture.send(udp, pattern(10), { remote: PEER4 })
      fixture.send(udp, pattern(10), { remote: PEER4, interface: 3 })
    }
    expect(fixture.link.take()).toHaveLength(2)
    expect(other.take()).toHaveLength(2)
  })

  describe('loopback', () => {
    it('goes by way of the run queue, never straight back up', () => {
      udp.putmsg(fixture.request(pattern(20), { remote: '127.0.0.1' }))
      expect(udp.getmsg()).toBeNull()
      expect(fixture.receive(udp)).toHaveLength(1)
    })

    it('takes super-datagrams whole, and copies nothing', () => {
      const gso = [OFFLOAD_GSO_UDP, 1_000] as const
      fixture.send(udp, datagram(pattern(9_000)), { remote: '::1', ...checksum, gso })
      const [received] = fixture.receive(udp)
      expect([received!.data.length, received!.gsoSize]).toEqual([9_008, 1_000])
      expect(fixture.test.arena.copies.stack.bytes).toBe(0)
    })

    it.each([
      ['127.0.0.1', '127.0.0.1'],
      ['127.9.9.9', '127.0.0.1'],
      ['10.0.0.2', '10.0.0.2'],
      ['::1', '::1'],
      ['fd00:0:0:2::2', 'fd00:0:0:2::2'],
    ])('%s comes back to us from %s, and touches no link', (remote, source) => {
      fixture.send(udp, datagram(pattern(20)), { remote, ...checksum })
      const [received] = fixture.receive(udp)
      expect(received!.data.slice(8)).toEqual(pattern(20))
      const words = fixture.request(pattern(1), { remote: source, local: source })
      const at = unitdataAt(words)
      expect([...received!.words.slice(5, 9)]).toEqual([
        ...fixture.test.arena.words.slice(at + LOCAL, at + LOCAL + 4),
      ])
      freemsg(words)
      expect(fixture.link.take()).toEqual([])
    })

    it('loopback as a source of packets between loopback addresses is fine', () => {
      fixture.send(udp, pattern(20), { remote: '127.0.0.2', local: '127.0.0.3' })
      expect(fixture.receive(udp)).toHaveLength(1)
    })
  })

  describe('flow control (checklist 3.6-63)', () => {
    it('requests wait above a full link, in order, and go on by themselves', () => {
      fixture.link.blocked = true
      for (let i = 0; i < 60; i++) fixture.send(udp, pattern(1_000, i), { remote: PEER4 })
      expect(udp.top.other.next!.first).not.toBeNull()
      fixture.link.unblock()
      fixture.test.settle()
      const packets = fixture.link.take()
      expect(packets.map(packet => packet[20])).toEqual(Array.from({ length: 60 }, (_, i) => i))
      expect(fixture.count('link-full')).toBe(0)
    })

    it('a program that does not stop is told to', () => {
      fixture.link.blocked = true
      let taken = 0
      while (fixture.send(udp, pattern(60_000, 0), { remote: PEER4 })) taken++
      expect(taken).toBeGreaterThan(10)
      expect(taken).toBeLessThan(25)
      fixture.link.unblock()
      fixture.test.settle()
      expect(fixture.send(udp, pattern(1), { remote: PEER4 })).toBe(true)
    })

    it('what waits for a link that goes down is refused, not kept', () => {
      fixture.link.blocked = true
      for (let i = 0; i < 30; i++) fixture.send(udp, pattern(1_000), { remote: PEER4 })
      fixture.link.change({ up: false })
      fixture.test.settle()
      fixture.link.unblock()
      fixture.test.settle()
      const refusals = fixture.receive(udp).map(({ words }) => words[ERROR_CODE])
      expect(refusals.length).toBeGreaterThan(10)
      expect(new Set(refusals)).toEqual(new Set([ERROR_NET_UNREACHABLE]))
    })
  })

  it('property: what a chain of any shape sends is what its flat bytes send', () => {
    fc.assert(
      fc.property(
        fc.nat(2_500),
        fc.array(fc.nat(2_500), { maxLength: 4 }),
        fc.boolean(),
        (size, cuts, isV4) => {
          const payload = datagram(pattern(size))
          const fields = { remote: isV4 ? PEER4 : PEER6, ...checksum }
          fixture.send(udp, payload, fields)
          const flatPackets = fixture.link.take()
          const mp = fixture.request(payload, fields)
          let tail = mp.cont!
          for (const cut of [...cuts].sort((a, b) => a - b)) {
            const part = fixture.request(new Uint8Array(), fields)
            const block = part.cont!
            part.cont = null
            freemsg(part)
            const start = Math.min(tail.rptr + 8 + (cut % 300), tail.wptr)
            for (let i = start; i < tail.wptr && block.wptr < block.dblk.lim; i++)
              block.dblk.bytes[block.wptr++] = tail.bytes[i]!
            const moved = block.wptr - block.rptr
            if (moved < tail.wptr - start) {
              freemsg(block)
              break
            }
            tail.wptr = start
            tail.cont = block
            tail = block
          }
          udp.putmsg(mp)
          fixture.test.settle()
          const chained = fixture.link.take()
          const strip = (packets: Uint8Array[]): Uint8Array[] =>
            packets.map(packet => packet.slice(isV4 ? 20 : packets.length > 1 ? 48 : 40))
          expect(strip(chained)).toEqual(strip(flatPackets))
        },
      ),
      { numRuns: 60 },
    )
  })
})
