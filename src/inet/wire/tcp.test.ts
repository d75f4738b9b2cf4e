import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addSum, sumBytes } from '../../base/checksum.ts'
import { FAMILY, LOCAL, REMOTE } from '../unitdata.ts'
import {
  ACK,
  CHECKSUM,
  CONTROL,
  CWR,
  DATA_OFFSET,
  ECE,
  emitTcp,
  FIN,
  PSH,
  RST,
  SYN,
  TCP_HEADER_BYTES,
  TCP_HEADER_MAX,
  tcpAcknowledgment,
  tcpDestinationPort,
  tcpHeaderBytes,
  tcpPseudoHeaderSum,
  tcpSequence,
  tcpSourcePort,
  URG,
  URGENT,
  WINDOW,
} from './tcp.ts'

const u16 = fc.integer({ min: 0, max: 0xffff })
const byte = fc.integer({ min: 0, max: 0xff })
const words = fc.integer({ min: 5, max: 15 })

describe('inet/wire/tcp', () => {
  it('RFC 9293 §3.1: every header comes back as it was written, and nothing around it is touched', () => {
    fc.assert(
      fc.property(
        u16,
        u16,
        fc.integer(),
        fc.integer(),
        words,
        byte,
        u16,
        fc.nat(9),
        (source, destination, seq, ack, size, control, window, at) => {
          const bytes = new Uint8Array(40).fill(0xa5)
          emitTcp(bytes, at, source, destination, seq, ack, 4 * size, control, window)
          expect(tcpSourcePort(bytes, at)).toBe(source)
          expect(tcpDestinationPort(bytes, at)).toBe(destination)
          expect(tcpSequence(bytes, at)).toBe(seq)
          expect(tcpAcknowledgment(bytes, at)).toBe(ack)
          expect(bytes[at + CONTROL]).toBe(control)
          const view = new DataView(bytes.buffer, at)
          expect(view.getUint16(WINDOW)).toBe(window)
          expect([view.getUint16(CHECKSUM), view.getUint16(URGENT)]).toEqual([0, 0])
          // The four reserved bits are zero.
          expect(bytes[at + DATA_OFFSET]).toBe(size << 4)
          expect(tcpHeaderBytes(bytes, at, at + TCP_HEADER_BYTES, 60)).toBe(4 * size)
          expect(bytes.subarray(0, at).every(each => each === 0xa5)).toBe(true)
          expect(bytes.subarray(at + TCP_HEADER_BYTES).every(each => each === 0xa5)).toBe(true)
        },
      ),
    )
  })

  it('RFC 9293 §3.1, RFC 3168 §6.1: the control bits stand where the standards have them', () => {
    expect([FIN, SYN, RST, PSH, ACK, URG, ECE, CWR]).toEqual([1, 2, 4, 8, 16, 32, 64, 128])
    expect(TCP_HEADER_MAX).toBe(15 * 4)
  })

  it.each([
    [0, 60, 'data-offset-short'],
    [4, 60, 'data-offset-short'],
    [5, 60, 20],
    [5, 20, 20],
    [6, 20, 'data-offset-beyond'],
    [6, 23, 'data-offset-beyond'],
    [6, 24, 24],
    [15, 60, 60],
    [15, 59, 'data-offset-beyond'],
  ])('checklist 3.5-28: data offset %i in %i bytes is %s', (size, total, expected) => {
    const bytes = new Uint8Array(60)
    bytes[DATA_OFFSET] = size << 4
    expect(tcpHeaderBytes(bytes, 0, Math.min(60, total), total)).toBe(expected)
  })

  it('the reserved bits do not make the data offset another', () => {
    const bytes = new Uint8Array(20)
    bytes[DATA_OFFSET] = 0x5f
    expect(tcpHeaderBytes(bytes, 0, 20, 20)).toBe(20)
  })

  it('checklist 3.5-28: less than 20 contiguous bytes are not read', () => {
    const bytes = new Uint8Array(40).fill(0x50)
    for (let size = 0; size < 20; size++) {
      expect(tcpHeaderBytes(bytes, 7, 7 + size, size)).toBe('header-truncated')
      expect(tcpHeaderBytes(bytes, 7, 7 + size, 1_000)).toBe('header-truncated')
    }
  })

  it('MUST-2, MUST-3: the sum has the pseudo-header of either family written out', () => {
    const eight = fc.array(fc.integer(), { minLength: 8, maxLength: 8 })
    fc.assert(
      fc.property(eight, fc.nat(0x1ffff), fc.constantFrom(4, 6), (addresses, length, family) => {
        const block = new Int32Array(24)
        block[FAMILY] = family
        block.set(addresses.slice(0, 4), REMOTE)
        block.set(addresses.slice(4), LOCAL)
        const fields = family === 6 ? [...addresses, length, 6] : [addresses[3]!, addresses[7]!, length, 6]
        const written = fields.flatMap(word =>
          [word >>> 24, word >>> 16, word >>> 8, word].map(b => b & 0xff),
        )
        expect(addSum(0, tcpPseudoHeaderSum(block, 0, length))).toBe(sumBytes(written, 0, written.length))
      }),
    )
  })
})
