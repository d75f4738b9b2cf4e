import { isIP } from 'node:net'
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import {
  addressBits,
  type Family,
  formatAddress,
  formatPrefix,
  fromV4Word,
  fromWords,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  network,
  parseAddress,
  parsePrefix,
  prefixContains,
  sameAddress,
} from './address.ts'

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const sparseWord = fc.oneof(word, fc.constant(0), fc.constant(1), fc.constant(0x10000))
const v6 = fc.tuple(sparseWord, sparseWord, sparseWord, sparseWord).map(words => fromWords(6, ...words))
const v4 = word.map(fromV4Word)

const bytesOf = (text: string): number[] => ipaddr.parse(text).toByteArray()
const ourBytes = (text: string): number[] => {
  const { family, words } = parseAddress(text)!
  const all = words.flatMap(value => [24, 16, 8, 0].map(shift => (value >>> shift) & 0xff))
  return family === 4 ? all.slice(12) : all
}

describe('inet/address', () => {
  it('RFC 4291 §2.2: any address comes back from its text', () => {
    fc.assert(
      fc.property(fc.oneof(v4, v6), address => {
        const text = formatAddress(address)
        expect(isIP(text)).toBe(address.family)
        expect(parseAddress(text)).toEqual(address)
      }),
    )
  })

  it('RFC 5952 §4: text as ipaddr.js writes it', () => {
    fc.assert(
      fc.property(v6, address => {
        const text = formatAddress(address)
        const parsed = ipaddr.parse(text) as ipaddr.IPv6
        if (!parsed.isIPv4MappedAddress()) expect(text).toBe(parsed.toRFC5952String())
        expect(bytesOf(text)).toEqual(ourBytes(text))
      }),
    )
  })

  it.each([
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::FFFF:10.0.0.1', '::ffff:10.0.0.1'],
    ['1::', '1::'],
    ['::', '::'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('RFC 5952: %s is written %s', (given, text) => {
    expect(formatAddress(parseAddress(given)!)).toBe(text)
  })

  it('says of any text what node:net says, scopes aside', () => {
    const piece = fc.constantFrom(
      '0',
      '1',
      '12',
      '255',
      '256',
      '01',
      'ffff',
      'g',
      ':',
      '::',
      '.',
      '.',
      ':',
      '/',
      ' ',
    )
    const text = fc.array(piece, { maxLength: 16 }).map(parts => parts.join(''))
    fc.assert(
      fc.property(fc.oneof(text, fc.ipV4(), fc.ipV6()), given => {
        expect(parseAddress(given)?.family ?? 0).toBe(isIP(given))
      }),
      { numRuns: 3_000 },
    )
    expect(parseAddress('fe80::1%eth0')).toBeNull()
  })

  it('reads prefixes and clears host bits', () => {
    expect(formatPrefix(network(parsePrefix('10.77.1.2/24')!))).toBe('10.77.1.0/24')
    expect(formatPrefix(network(parsePrefix('fd77:1:ffff::2/33')!))).toBe('fd77:1:8000::/33')
    expect(parsePrefix('10.0.0.1')!.length).toBe(32)
    expect(parsePrefix('::1')!.length).toBe(128)
    for (const bad of [
      '10.0.0.0/33',
      '::/129',
      '10.0.0.0/',
      '10.0.0.0/-1',
      '10.0.0.0/08',
      'x/8',
      '1/2/3',
      '/8',
    ])
      expect(parsePrefix(bad), bad).toBeNull()
  })

  it('a prefix contains what ipaddr.js says it contains', () => {
    const pair = fc.constantFrom<Family>(4, 6).chain(family => {
      const one = family === 4 ? v4 : v6
      return fc.record({ family: fc.constant(family), a: one, b: one, length: fc.nat(addressBits(family)) })
    })
    fc.assert(
      fc.property(pair, ({ a, b, length }) => {
        const theirs = (x: typeof a): ipaddr.IPv4 => ipaddr.parse(formatAddress(x)) as ipaddr.IPv4
        expect(prefixContains({ address: a, length }, b)).toBe(theirs(b).match(theirs(a), length))
        expect(prefixContains({ address: a, length }, a)).toBe(true)
      }),
    )
    expect(prefixContains(parsePrefix('0.0.0.0/0')!, parseAddress('::1')!)).toBe(false)
  })

  it('tells kinds apart as ipaddr.js does', () => {
    const samples = [
      '0.0.0.0',
      '127.1.2.3',
      '224.0.0.1',
      '239.255.255.255',
      '169.254.3.4',
      '10.0.0.1',
      '::',
      '::1',
    ]
    for (const text of [...samples, 'ff02::1', 'fe80::1', 'febf::1', 'fec0::1', '2001:db8::1']) {
      const address = parseAddress(text)!
      const range = ipaddr.parse(text).range()
      expect([text, isUnspecified(address)]).toEqual([text, range === 'unspecified'])
      expect([text, isLoopback(address)]).toEqual([text, range === 'loopback'])
      expect([text, isMulticast(address)]).toEqual([text, range === 'multicast'])
      expect([text, isLinkLocal(address)]).toEqual([text, range === 'linkLocal'])
    }
    expect(sameAddress(parseAddress('::ffff:1.2.3.4')!, parseAddress('1.2.3.4')!)).toBe(false)
  })
})
