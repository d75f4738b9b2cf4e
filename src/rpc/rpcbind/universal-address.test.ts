import { describe, expect, it } from 'vitest'
import { parseAddress } from '../../inet/address.ts'
import { netbufOf, readNetbuf } from './netbuf.ts'
import { formatUniversal, mergedAddress, parseUniversal } from './universal-address.ts'

const address = (text: string) => parseAddress(text)!

describe('rpc/rpcbind/universal-address: RFC 1833 §2, RFC 5665 §5.2.3', () => {
  it.each([
    ['10.77.1.2.0.111', '10.77.1.2', 111],
    ['0.0.0.0.8.1', '0.0.0.0', 2_049],
    ['255.255.255.255.255.255', '255.255.255.255', 65_535],
    ['fd77:1::2.0.111', 'fd77:1::2', 111],
    ['::.200.7', '::', 51_207],
  ])('%s', (text, host, port) => {
    expect(parseUniversal(text)).toEqual({ address: address(host), port })
    expect(formatUniversal({ address: address(host), port })).toBe(text)
  })

  it.each([
    '',
    '10.77.1.2',
    '10.77.1.2.111',
    '10.77.1.2.0.256',
    '10.77.1.2.256.0',
    '10.77.1.2.00.111',
    '10.77.1.2.-1.111',
    '10.77.1.2.0.0',
    '10.77.1.2.0.111.',
    '10.77.1.256.0.111',
    '/run/rpcbind.sock',
    'fd77:1::2',
    `${'f'.repeat(60)}.0.111`,
  ])('"%s" is none', text => {
    expect(parseUniversal(text)).toBeNull()
  })

  it('a service on all addresses is where the caller has come to; one on its own address stays there', () => {
    const any4 = parseUniversal('0.0.0.0.3.232')!
    const any6 = parseUniversal('::.3.232')!
    const text = (service: typeof any4, local: string | null) =>
      formatUniversal(mergedAddress(service, local === null ? null : address(local)))
    expect(text(any4, '10.77.1.2')).toBe('10.77.1.2.3.232')
    expect(text(any6, 'fd77:1::2')).toBe('fd77:1::2.3.232')
    expect(text(parseUniversal('127.0.0.1.3.232')!, '10.77.1.2')).toBe('127.0.0.1.3.232')
    expect(text(any4, 'fd77:1::2')).toBe('0.0.0.0.3.232')
    expect(text(any4, '0.0.0.0')).toBe('0.0.0.0.3.232')
    expect(text(any4, null)).toBe('0.0.0.0.3.232')
  })
})

describe('rpc/rpcbind/netbuf: the socket addresses of Linux', () => {
  it('IPv4 and IPv6, there and back', () => {
    const v4 = { address: address('10.77.1.2'), port: 111 }
    const v6 = { address: address('fd77:1::2'), port: 2_049 }
    expect(netbufOf(v4)).toEqual({
      maxlen: 16,
      bytes: Uint8Array.of(2, 0, 0, 111, 10, 77, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0),
    })
    expect(netbufOf(v6)).toMatchObject({ maxlen: 28 })
    expect([netbufOf(v6).bytes.slice(0, 4), netbufOf(v6).bytes.slice(8, 14)]).toEqual([
      Uint8Array.of(10, 0, 8, 1),
      Uint8Array.of(0xfd, 0x77, 0, 1, 0, 0),
    ])
    for (const one of [v4, v6]) expect(readNetbuf(netbufOf(one))).toEqual(one)
  })

  it('a family in the other byte order is read; what is too short or of another family is not', () => {
    const bytes = netbufOf({ address: address('10.77.1.2'), port: 111 }).bytes
    const turned = bytes.slice()
    turned.set([0, 2])
    expect(readNetbuf({ maxlen: 16, bytes: turned })).toEqual(readNetbuf({ maxlen: 16, bytes }))
    const unix = bytes.slice()
    unix.set([1, 0])
    const six = bytes.slice()
    six.set([10, 0])
    for (const bad of [unix, six, bytes.slice(0, 15), new Uint8Array(0)])
      expect(readNetbuf({ maxlen: 128, bytes: bad })).toBeNull()
  })
})
