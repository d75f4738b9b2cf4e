import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bytesOf,
  LITTLE_ENDIAN,
  NetlinkWriter,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseAcknowledgement,
  parseAttributes,
  parseMessages,
  stringOf,
  u32Of,
} from './netlink.ts'

/** An answer as the kernel writes it: header, errno, the request's header or all of it, attributes. */
function answer(type: number, flags: number, errno: number, request: Uint8Array, reason: string): Uint8Array {
  const attribute = reason === '' ? new Uint8Array(0) : new Uint8Array((4 + reason.length + 1 + 3) & ~3)
  const bytes = new Uint8Array(16 + 4 + request.length + attribute.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length, LITTLE_ENDIAN)
  view.setUint16(4, type, LITTLE_ENDIAN)
  view.setUint16(6, flags, LITTLE_ENDIAN)
  view.setInt32(16, -errno, LITTLE_ENDIAN)
  bytes.set(request, 20)
  if (reason !== '') {
    const at = 20 + request.length
    view.setUint16(at, 4 + reason.length + 1, LITTLE_ENDIAN)
    view.setUint16(at + 2, 1, LITTLE_ENDIAN)
    bytes.set(new TextEncoder().encode(reason), at + 4)
  }
  return bytes
}

const request = new NetlinkWriter(16, NLM_F_ACK, 7).string(3, 'eth0').finish()
const first = (bytes: Uint8Array) => parseMessages(bytes)[0]!

describe('host/netlink messages', () => {
  it.runIf(LITTLE_ENDIAN)(
    'netlink(7): header, attributes padded to four bytes, length without the padding',
    () => {
      const bytes = new NetlinkWriter(0x1234, NLM_F_ACK, 0x01020304)
        .string(3, 'lo')
        .u32(4, 1500)
        .u8(9, 0xab)
        .finish()
      const header = '28000000 3412 0500 04030201 00000000'
      const name = '0700 0300 6c6f00 00'
      const mtu = '0800 0400 dc050000'
      const byte = '0500 0900 ab 000000'
      const hex = Buffer.from(bytes).toString('hex')
      expect(hex).toBe(`${header}${name}${mtu}${byte}`.replace(/ /g, ''))
    },
  )

  it.runIf(LITTLE_ENDIAN)('a nested attribute covers what is in it', () => {
    const bytes = new NetlinkWriter(1, 0, 0).nested(18, info => info.string(1, 'veth')).finish()
    expect(Buffer.from(bytes.subarray(16)).toString('hex')).toBe(
      '1000 1280 0900 0100 7665746800 000000'.replace(/ /g, ''),
    )
  })

  it('attributes of any size come back, also those larger than the first buffer', () => {
    const list = fc.array(fc.uint8Array({ maxLength: 900 }), { maxLength: 8 })
    fc.assert(
      fc.property(list, values => {
        const writer = new NetlinkWriter(1, 0, 0)
        for (const [i, value] of values.entries()) writer.bytes(i + 1, value)
        const bytes = writer.finish()
        const message = first(bytes)
        expect(bytes.length % 4).toBe(0)
        expect(message.body.byteLength).toBe(bytes.length - 16)
        const found = parseAttributes(message.body, 0)
        expect([...found.values()].map(bytesOf)).toEqual(values)
      }),
    )
  })

  it('splits a datagram into its messages, wherever it stands in memory', () => {
    const second = new NetlinkWriter(20, 0, 8).u32(1, 99).finish()
    const memory = Buffer.concat([Buffer.alloc(5), request, second])
    const messages = parseMessages(memory.subarray(5))
    expect(messages.map(({ type, sequence }) => [type, sequence])).toEqual([
      [16, 7],
      [20, 8],
    ])
    expect(u32Of(parseAttributes(messages[1]!.body, 0).get(1), -1)).toBe(99)
    expect(stringOf(parseAttributes(messages[0]!.body, 0).get(3))).toBe('eth0')
  })

  it('any bytes at all are split and read without an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        for (const message of parseMessages(bytes)) {
          parseAttributes(message.body, 0)
          parseAcknowledgement(message)
        }
      }),
    )
  })
})

describe('host/netlink acknowledgements', () => {
  it('success', () => {
    const message = first(answer(NLMSG_ERROR, NLM_F_CAPPED, 0, request.subarray(0, 16), ''))
    expect(parseAcknowledgement(message)).toEqual({ errno: 0, reason: '' })
  })

  it('an error whose request is capped has its text after the header', () => {
    const flags = NLM_F_CAPPED | NLM_F_ACK_TLVS
    const message = first(answer(NLMSG_ERROR, flags, 17, request.subarray(0, 16), 'Address already assigned'))
    expect(parseAcknowledgement(message)).toEqual({ errno: 17, reason: 'Address already assigned' })
  })

  it('an error with the whole request has its text after that', () => {
    const message = first(answer(NLMSG_ERROR, NLM_F_ACK_TLVS, 22, request, 'no'))
    expect(parseAcknowledgement(message)).toEqual({ errno: 22, reason: 'no' })
  })

  it('the end of a dump may carry an error', () => {
    const message = first(answer(NLMSG_DONE, NLM_F_ACK_TLVS, 95, new Uint8Array(0), 'not here'))
    expect(parseAcknowledgement(message)).toEqual({ errno: 95, reason: 'not here' })
  })
})
