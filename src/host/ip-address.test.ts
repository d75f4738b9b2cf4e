import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import { addressBytes, addressText, parsePrefix } from './ip-address.ts'

describe('host/ip-address', () => {
  it.each([
    ['10.77.1.2', '0a4d0102'],
    ['fd77:1::2', 'fd770001000000000000000000000002'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['1::', '00010000000000000000000000000000'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::ffff:192.0.2.33', '00000000000000000000ffffc0000221'],
    ['FE80::ABCD', 'fe80000000000000000000000000abcd'],
  ])('RFC 4291 §2.2: %s', (text, hex) => {
    expect(Buffer.from(addressBytes(text)).toString('hex')).toBe(hex)
  })

  it.each(['', '1.2.3', '1.2.3.256', ':::', '1:2', 'fe80::1%eth0', '::1/64', 'host'])(
    '%s is no address',
    text => {
      expect(() => addressBytes(text)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ADDRESS' }))
    },
  )

  it('text and bytes go into each other, as ipaddr.js has it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), bytes => {
        const text = addressText(bytes)
        expect(ipaddr.parse(text).toByteArray()).toEqual([...bytes])
        expect(addressBytes(text)).toEqual(bytes)
        expect(addressBytes(addressText(bytes.subarray(0, 4)))).toEqual(bytes.subarray(0, 4))
      }),
    )
    expect(addressText(addressBytes('2001:db8:0:0:1:0:0:1'))).toBe('2001:db8::1:0:0:1')
  })

  it('prefixes', () => {
    expect(parsePrefix('10.0.0.1/24')).toEqual({ address: Uint8Array.of(10, 0, 0, 1), length: 24 })
    expect(parsePrefix('10.0.0.1').length).toBe(32)
    expect(parsePrefix('::/0').length).toBe(0)
    expect(parsePrefix('::1').length).toBe(128)
    for (const bad of ['10.0.0.1/33', '::/129', '10.0.0.1/', '10.0.0.1/-1', '10.0.0.1/8/8', '10.0.0.1/0x8'])
      expect(() => parsePrefix(bad)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ADDRESS' }))
  })
})
