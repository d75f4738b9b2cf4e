import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ipv4Packet, udpDatagram } from '../../inet/testing/packets.ts'
import { decodePacket } from './packet-decode.ts'
import { encodePacket } from './packet-encode.ts'
import { fromHex, toHex } from './packet-fields.ts'

const four = { source: '192.0.2.1', destination: '10.0.0.1' }
const six = { source: '2001:db8::1', destination: 'fd00::1' }
const ports = { sourcePort: 1_000, destinationPort: 80 }

const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const hex = (max: number) => fc.uint8Array({ maxLength: max }).map(bytes => toHex(bytes))
const option = fc.oneof(
  fc.constant({ kind: 'nop' as const }),
  fc.constant({ kind: 'sackPermitted' as const }),
  fc.record({ kind: fc.constant('mss' as const), value: u16 }),
  fc.record({ kind: fc.constant('windowScale' as const), value: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant('timestamps' as const), value: u32, echo: u32 }),
  fc.record({
    kind: fc.constant('sack' as const),
    blocks: fc.array(fc.tuple(u32, u32), { minLength: 1, maxLength: 1 }),
  }),
  fc.record({ kind: fc.constant(254), hex: hex(4) }),
)

describe('sim/script packets', () => {
  it('what is read of a packet is written to the same bytes, and the other way round', () => {
    fc.assert(
      fc.property(
        fc.record({
          family: fc.constantFrom(4 as const, 6 as const),
          tos: fc.integer({ min: 0, max: 255 }),
          seq: u32,
          ack: u32,
          window: u16,
          urgent: u16,
          flags: fc.subarray([...'FSRPAUEW']).map(letters => letters.join('')),
          options: fc.array(option, { maxLength: 3 }),
          payload: hex(50),
        }),
        ({ family, ...fields }) => {
          const packet = encodePacket({ ...(family === 4 ? four : six), ...ports, ...fields })
          const decoded = decodePacket(packet)
          expect(decoded).toMatchObject({ ...fields, options: expect.arrayContaining(fields.options) })
          expect(decoded).toMatchObject({ family, checksumOk: true, protocol: 'tcp', ...ports })
          expect(encodePacket({ ...decoded })).toEqual(packet)
        },
      ),
    )
  })

  it('a spoilt checksum is seen, and so is a bit that turned round anywhere behind the addresses', () => {
    for (const addresses of [four, six]) {
      expect(decodePacket(encodePacket({ ...addresses, ...ports, checksumOk: false }))).toMatchObject({
        checksumOk: false,
      })
      const packet = encodePacket({ ...addresses, ...ports, payload: '0102030405' })
      for (let i = packet.length - 5; i < packet.length; i++) {
        const broken = Uint8Array.from(packet)
        broken[i]! ^= 4
        expect(decodePacket(broken)).toMatchObject({ checksumOk: false })
      }
    }
  })

  it('an ICMP error quotes a packet and carries an MTU', () => {
    const quoted = encodePacket({ ...four, ...ports })
    for (const [addresses, type] of [
      [four, 3],
      [six, 2],
    ] as const) {
      const fields = { protocol: 'icmp', type, code: 4, word: 1_400, payload: toHex(quoted) }
      expect(decodePacket(encodePacket({ ...addresses, ...fields }))).toMatchObject({
        ...fields,
        checksumOk: true,
      })
    }
  })

  it('other protocols and fragments are told as they are', () => {
    const [from, to] = [
      [192, 0, 2, 1],
      [10, 0, 0, 1],
    ]
    const udp = udpDatagram(Uint8Array.of(1), from, to, [1, 2])
    const packet = ipv4Packet(udp, { source: from, destination: to, protocol: 17 })
    expect(decodePacket(packet)).toMatchObject({ protocol: 17, source: '192.0.2.1', payload: toHex(udp) })
    const fragment = ipv4Packet(new Uint8Array(24), { protocol: 6, more: true })
    expect(decodePacket(fragment)).toMatchObject({ protocol: 6 })
  })

  it('options that do not fit are told raw, and can be made so', () => {
    const raw = [
      { kind: 'mss', value: 1_460 },
      { kind: 'raw', hex: 'fd050102' },
    ] as const
    const packet = encodePacket({ ...four, ...ports, options: raw })
    expect(decodePacket(packet)).toMatchObject({ options: raw })
  })

  it.each([
    ['', 'neither IPv4'],
    ['45', 'does not fit'],
    ['4500002800000000400600000a0000010a000002', 'does not fit'],
    ['60000000001406', 'does not fit'],
    [`45000020000000004006${'0'.repeat(44)}`, 'TCP header'],
  ])('%j is no packet', (text, problem) => {
    expect(() => decodePacket(fromHex(text))).toThrow(problem)
  })

  it.each([
    [{ ...ports }, 'source must be'],
    [{ ...four }, 'sourcePort must be'],
    [{ source: '::1', destination: '10.0.0.1', ...ports }, 'different families'],
    [{ ...four, ...ports, seq: -1 }, 'seq must be'],
    [{ ...four, ...ports, flags: 'X' }, '"X" is none of'],
    [{ ...four, ...ports, options: [{ kind: 'what' }] }, 'nobody knows'],
    [{ ...four, ...ports, options: [{ kind: 'mss' }] }, 'value must be'],
    [{ ...four, ...ports, options: [{ kind: 'sack', blocks: [[1]] }] }, 'pair'],
    [{ ...four, ...ports, options: [1] }, 'must be an object'],
    [{ ...four, ...ports, payload: 'abc' }, 'even number'],
    [{ ...four, ...ports, payloadBytes: 65_535 }, 'too long'],
  ])('%j is refused', (fields, problem) => {
    expect(() => encodePacket(fields)).toThrow(problem)
  })
})
