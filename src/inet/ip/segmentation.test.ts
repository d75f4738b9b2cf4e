import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fold, sumBytes } from '../../base/checksum.ts'
import { LINK_CSUM, LINK_TSO4, LINK_TSO6, LINK_USO } from '../../streams/link-info.ts'
import { OFFLOAD_GSO_TCP4, OFFLOAD_GSO_TCP6, OFFLOAD_GSO_UDP } from '../../streams/mblk/mblk.ts'
import type { Stream } from '../../streams/stream.ts'
import { ERROR_MALFORMED, ERROR_TOO_BIG } from '../icmp/errors.ts'
import { IpFixture, type RequestFields } from '../testing/ip-fixture.ts'
import { DESTINATION4, DESTINATION6, pattern, SOURCE4, SOURCE6, udpDatagram } from '../testing/packets.ts'
import { ERROR_CODE } from '../unitdata.ts'

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
  const whole = udp4(data)
  whole.fill(0, 6, 8)
  return whole
}
const udp4 = (data: Uint8Array): Uint8Array => udpDatagram(data, DESTINATION4, SOURCE4, [1000, 2000])
const udp6 = (data: Uint8Array): Uint8Array => udpDatagram(data, DESTINATION6, SOURCE6, [1000, 2000])
const checksum = { csumOffset: 6 }

describe('ip/segmentation', () => {
  const data = pattern(9_000)
  const gso = { gso: [OFFLOAD_GSO_UDP, 1_400] as const }

  it('go down whole where the link can', () => {
    fixture.link.change({ capabilities: LINK_CSUM | LINK_USO })
    for (const remote of [PEER4, PEER6]) fixture.send(udp, datagram(data), { remote, ...checksum, ...gso })
    expect(fixture.link.sent.map(({ bytes, gsoSize }) => [bytes.length, gsoSize])).toEqual([
      [9_028, 1_400],
      [9_048, 1_400],
    ])
    expect(fixture.link.sent.map(({ offload }) => offload)).toEqual([0x41, 0x41])
    fixture.link.take()
  })

  it('take as many identifications as they have segments', () => {
    fixture.link.change({ capabilities: LINK_CSUM | LINK_USO })
    for (let i = 0; i < 2; i++) fixture.send(udp, datagram(data), { remote: PEER4, ...checksum, ...gso })
    const [first, second] = fixture.link.take().map(packet => new DataView(packet.buffer).getUint16(4))
    expect((second! - first!) & 0xffff).toBe(7)
  })

  it.each([0, LINK_CSUM])('are cut here where it cannot (capabilities %i)', capabilities => {
    fixture.link.change({ capabilities })
    for (const remote of [PEER4, PEER6]) fixture.send(udp, datagram(data), { remote, ...checksum, ...gso })
    const sent = fixture.link.sent.splice(0)
    expect(sent).toHaveLength(14)
    for (const [i, { bytes, offload, csumStart, csumOffset }] of sent.entries()) {
      const part = data.slice((i % 7) * 1_400, (i % 7) * 1_400 + 1_400)
      const isV4 = i < 7
      const whole = isV4 ? udp4(part) : udp6(part)
      if (offload !== 0) {
        const sum = ~fold(sumBytes(bytes, csumStart, bytes.length)) & 0xffff
        new DataView(bytes.buffer).setUint16(csumStart + csumOffset, sum)
      }
      expect(bytes.slice(isV4 ? 20 : 40)).toEqual(whole)
      if (isV4) expect(fold(sumBytes(bytes, 0, 20))).toBe(0xffff)
      expect(new DataView(bytes.buffer).getUint16(isV4 ? 2 : 4)).toBe(isV4 ? bytes.length : bytes.length - 40)
    }
    const ids = sent.slice(0, 7).map(({ bytes }) => new DataView(bytes.buffer).getUint16(4))
    expect(ids.map(id => (id - ids[0]!) & 0xffff)).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  it('one that is a single datagram leaves as one', () => {
    fixture.send(udp, datagram(pattern(100)), { remote: PEER4, ...checksum, ...gso })
    expect(fixture.link.take()[0]!.slice(20)).toEqual(udp4(pattern(100)))
  })

  it.each<[string, RequestFields, Uint8Array, number]>([
    [
      'segments that do not fit',
      { remote: PEER4, ...checksum, gso: [OFFLOAD_GSO_UDP, 1_473] },
      data,
      ERROR_TOO_BIG,
    ],
    ['segments of 0 bytes', { remote: PEER4, ...checksum, gso: [OFFLOAD_GSO_UDP, 0] }, data, ERROR_MALFORMED],
    ['too many segments', { remote: PEER4, ...checksum, gso: [OFFLOAD_GSO_UDP, 70] }, data, ERROR_MALFORMED],
    [
      'no data',
      { remote: PEER4, ...checksum, gso: [OFFLOAD_GSO_UDP, 70] },
      new Uint8Array(),
      ERROR_MALFORMED,
    ],
    ['a finished checksum', { remote: PEER4, gso: [OFFLOAD_GSO_UDP, 700] }, data, ERROR_MALFORMED],
  ])('%s: refused', (_, fields, payload, error) => {
    fixture.send(udp, datagram(payload), fields)
    expect(fixture.link.take()).toEqual([])
    expect(fixture.receive(udp).map(({ words }) => words[ERROR_CODE])).toEqual([error])
  })

  it('TCP super-segments are cut with sequence numbers and flags in their places', () => {
    const tcp = fixture.upper(6)
    const header = new Uint8Array(24)
    new DataView(header.buffer).setUint32(4, 0xffffff00)
    header[12] = 0x60
    header[13] = 0x80 | 0x08 | 0x01 | 0x10
    const whole = Uint8Array.of(...header, ...pattern(3_000))
    for (const [remote, kind] of [
      [PEER4, OFFLOAD_GSO_TCP4],
      [PEER6, OFFLOAD_GSO_TCP6],
    ] as const) {
      fixture.send(tcp, whole, { remote, protocol: 6, csumOffset: 16, gso: [kind, 1_000] })
      const packets = fixture.link.take()
      const offset = kind === OFFLOAD_GSO_TCP4 ? 20 : 40
      const segments = packets.map(packet => packet.slice(offset))
      expect(segments.map(segment => new DataView(segment.buffer).getUint32(4))).toEqual([
        0xffffff00, 744, 1_744,
      ])
      expect(segments.map(segment => segment[13])).toEqual([0x90, 0x10, 0x19])
      expect(segments.flatMap(segment => [...segment.slice(24)])).toEqual([...pattern(3_000)])
      for (const packet of packets) {
        const [source, destination] =
          offset === 20
            ? [packet.slice(12, 16), packet.slice(16, 20)]
            : [packet.slice(8, 24), packet.slice(24, 40)]
        const pseudo = sumBytes(source, 0, source.length) + sumBytes(destination, 0, destination.length)
        const sum = fold(pseudo + 6 + packet.length - offset)
        expect(fold(sumBytes(packet, offset, packet.length, sum))).toBe(0xffff)
      }
    }
  })

  it.each([0, LINK_CSUM | LINK_TSO4 | LINK_TSO6])(
    'segments that would fit one packet stay segments, since the peer takes no larger ones (capabilities %i)',
    capabilities => {
      fixture.link.change({ capabilities })
      const tcp = fixture.upper(6)
      const header = new Uint8Array(20)
      header[12] = 0x50
      const send = (bytes: number): (readonly [number, number])[] => {
        const fields = { remote: PEER4, protocol: 6, csumOffset: 16, gso: [OFFLOAD_GSO_TCP4, 536] as const }
        fixture.send(tcp, Uint8Array.of(...header, ...pattern(bytes)), fields)
        return fixture.link.sent.splice(0).map(({ bytes: packet, gsoSize }) => [packet.length, gsoSize])
      }
      expect(send(536)).toEqual([[576, 0]])
      const cut = [576, 576, 41].map(length => [length, 0])
      expect(send(1_073)).toEqual(capabilities === 0 ? cut : [[1_113, 536]])
    },
  )

  it('TCP super-segments go down whole where the link can', () => {
    fixture.link.change({ capabilities: LINK_CSUM | LINK_TSO4 | LINK_TSO6 })
    const tcp = fixture.upper(6)
    const header = new Uint8Array(20)
    header[12] = 0x50
    const whole = Uint8Array.of(...header, ...pattern(3_000))
    fixture.send(tcp, whole, { remote: PEER4, protocol: 6, csumOffset: 16, gso: [OFFLOAD_GSO_TCP4, 1_000] })
    fixture.send(tcp, whole, { remote: PEER6, protocol: 6, csumOffset: 16, gso: [OFFLOAD_GSO_TCP6, 1_000] })
    expect(fixture.link.take().map(({ length }) => length)).toEqual([3_040, 3_060])
  })
})
