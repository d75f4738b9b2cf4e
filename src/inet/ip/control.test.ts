import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StackError } from '../../base/errors.ts'
import { makeError, makeHangup } from '../../streams/condition.ts'
import { LINK_CSUM } from '../../streams/link-info.ts'
import { Stream } from '../../streams/stream.ts'
import { parseAddress } from '../address.ts'
import { ERROR_NET_UNREACHABLE, ERROR_SOURCE_NOT_OURS } from '../icmp/errors.ts'
import { IpFixture } from '../testing/ip-fixture.ts'
import { ipv4Packet, pattern } from '../testing/packets.ts'
import { TestLink } from '../testing/test-link.ts'
import { ERROR_CODE } from '../unitdata.ts'
import {
  addAddress,
  addRoute,
  clearPathMtu,
  describeIp,
  isOwnAddress,
  type RouteOptions,
  removeAddress,
  removeRoute,
  setErrorLimit,
  setForwarding,
  setHopLimit,
  sourceFor,
} from './control.ts'
import { plumbIp } from './plumb.ts'

let fixture: IpFixture
beforeEach(() => {
  fixture = new IpFixture()
})
afterEach(() => fixture.finish())

const codeOf = (action: () => void): string => {
  try {
    action()
  } catch (error) {
    if (error instanceof StackError) return error.code
    throw error
  }
  return 'nothing'
}
const description = (): { interfaces: Record<string, unknown>[]; routes: Record<string, unknown>[] } =>
  describeIp(fixture.ip) as never
const routeTexts = (): string[] =>
  description().routes.map(({ prefix, interface: out, metric }) => `${prefix} ${out} ${metric}`)

describe('ip/control', () => {
  it('tells everything as JSON', () => {
    fixture.upper(17)
    const told = JSON.parse(JSON.stringify(describeIp(fixture.ip)))
    expect(told.interfaces).toEqual([
      {
        name: 'lo',
        index: 1,
        up: true,
        mtu: 65_535,
        loopback: true,
        capabilities: ['csum', 'tso4', 'tso6', 'uso', 'trusted'],
        addresses: ['127.0.0.1/8', '::1/128'],
        packetsIn: 0,
        packetsOut: 0,
      },
      {
        name: 'tun0',
        index: 2,
        up: true,
        mtu: 1_500,
        loopback: false,
        capabilities: [],
        addresses: ['10.0.0.2/24', 'fd00:0:0:2::2/32'],
        packetsIn: 0,
        packetsOut: 0,
      },
    ])
    expect(told.protocols).toEqual([17])
    expect(routeTexts()).toEqual([
      '::1/128 lo 0',
      'fd00::/32 tun0 0',
      '10.0.0.0/24 tun0 0',
      '127.0.0.0/8 lo 0',
    ])
  })

  it('is reached by a request on any of its streams', async () => {
    const answer = fixture.control.ioctl('describe')
    fixture.test.settle()
    expect(await answer).toMatchObject({ forwarding: false, hopLimit: 64 })
  })

  describe('addresses', () => {
    it.each([
      ['10.0.0.2/24', 'ERR_ADDR_IN_USE'],
      ['10.0.0.0/24', 'ERR_BAD_ADDRESS'],
      ['10.0.0.255/24', 'ERR_BAD_ADDRESS'],
      ['224.0.0.1/24', 'ERR_BAD_ADDRESS'],
      ['127.0.0.2/8', 'ERR_BAD_ADDRESS'],
      ['0.0.0.0/0', 'ERR_BAD_ADDRESS'],
      ['240.0.0.1/8', 'ERR_BAD_ADDRESS'],
      ['255.255.255.255', 'ERR_BAD_ADDRESS'],
      ['::/0', 'ERR_BAD_ADDRESS'],
      ['::1/128', 'ERR_BAD_ADDRESS'],
      ['ff02::1/64', 'ERR_BAD_ADDRESS'],
      ['::ffff:10.0.0.9/128', 'ERR_BAD_ADDRESS'],
      ['nonsense', 'ERR_BAD_ADDRESS'],
    ])('%s is refused: %s', (text, code) => {
      const before = JSON.stringify(description())
      expect(codeOf(() => addAddress(fixture.ip, 'tun0', text))).toBe(code)
      expect(JSON.stringify(description())).toBe(before)
    })

    it('come and go on a live stack, with their routes', () => {
      const packet = ipv4Packet(pattern(8), { protocol: 99, destination: [172, 16, 0, 1] })
      fixture.link.bring(packet)
      expect(fixture.count('not-ours')).toBe(1)
      addAddress(fixture.ip, 'tun0', '172.16.0.1/16')
      addAddress(fixture.ip, 'tun0', '172.16.0.2/16')
      fixture.link.bring(packet)
      expect(fixture.count('protocol-unknown')).toBe(1)
      expect(routeTexts()).toContain('172.16.0.0/16 tun0 0')
      removeAddress(fixture.ip, 'tun0', '172.16.0.1')
      expect(routeTexts()).toContain('172.16.0.0/16 tun0 0')
      fixture.link.bring(packet)
      expect(fixture.count('not-ours')).toBe(2)
      removeAddress(fixture.ip, 'tun0', '172.16.0.2/16')
      expect(routeTexts()).not.toContain('172.16.0.0/16 tun0 0')
      expect(codeOf(() => removeAddress(fixture.ip, 'tun0', '172.16.0.2'))).toBe('ERR_NOT_FOUND')
      expect(codeOf(() => addAddress(fixture.ip, 'tun9', '172.16.0.2'))).toBe('ERR_NOT_FOUND')
    })

    it('RFC 3021: both addresses of a /31, and those of a /32, are hosts', () => {
      addAddress(fixture.ip, 'tun0', '192.0.2.0/31')
      addAddress(fixture.ip, 'tun0', '192.0.2.255/32')
      expect(isOwnAddress(fixture.ip, parseAddress('192.0.2.0')!)).toBe(true)
      expect(sourceFor(fixture.ip, parseAddress('192.0.2.1')!)).toEqual(parseAddress('192.0.2.0'))
    })
  })

  describe('routes', () => {
    const via = (text: string): unknown => {
      fixture.send(udp, pattern(4), { remote: text })
      const [one, two] = [fixture.link.take().length, other.take().length]
      return one > 0 ? 'tun0' : two > 0 ? 'tun1' : (fixture.receive(udp)[0]?.words[ERROR_CODE] ?? null)
    }
    let udp: Stream
    let other: TestLink
    beforeEach(() => {
      udp = fixture.upper(17)
      other = fixture.addLink('tun1', ['192.0.2.1/24', '2001:db8::1/64'])
    })

    it('longest prefix first, then lowest metric', () => {
      addRoute(fixture.ip, { prefix: '0.0.0.0/0', interface: 'tun0' })
      addRoute(fixture.ip, { prefix: '198.51.100.0/24', interface: 'tun1', metric: 10 })
      addRoute(fixture.ip, { prefix: '198.51.100.0/24', interface: 'tun0', metric: 20 })
      addRoute(fixture.ip, { prefix: '198.51.100.9', interface: 'tun0', metric: 99 })
      expect(via('203.0.113.1')).toBe('tun0')
      expect(via('198.51.100.1')).toBe('tun1')
      expect(via('198.51.100.9')).toBe('tun0')
      other.change({ up: false })
      expect(via('198.51.100.1')).toBe('tun0')
      other.change({ up: true })
      expect(via('198.51.100.1')).toBe('tun1')
      removeRoute(fixture.ip, { prefix: '198.51.100.0/24', interface: 'tun1' })
      expect(via('198.51.100.1')).toBe('tun0')
      removeRoute(fixture.ip, { prefix: '0.0.0.0/0' })
      expect(via('203.0.113.1')).toBe(ERROR_NET_UNREACHABLE)
    })

    it('what was found unreachable is looked for again when a route comes', () => {
      expect(via('203.0.113.1')).toBe(ERROR_NET_UNREACHABLE)
      addRoute(fixture.ip, { prefix: 'default', interface: 'tun1' })
      expect(via('203.0.113.1')).toBe('tun1')
    })

    it('IPv6 the same, by any word of the prefix', () => {
      addRoute(fixture.ip, { prefix: 'default', interface: 'tun0' })
      addRoute(fixture.ip, { prefix: '2001:db8:1:2:3::/80', interface: 'tun1' })
      expect(via('2001:db8:1:2:3::9')).toBe('tun1')
      expect(via('2001:db8:1:2:4::9')).toBe('tun0')
    })

    it('a gateway decides the interface', () => {
      addRoute(fixture.ip, { prefix: 'default', gateway: '192.0.2.254' })
      expect(via('203.0.113.1')).toBe('tun1')
      expect(via('2a00::1')).toBe(ERROR_NET_UNREACHABLE)
      expect(description().routes.find(({ gateway }) => gateway)).toMatchObject({
        prefix: '0.0.0.0/0',
        gateway: '192.0.2.254',
        origin: 'static',
      })
    })

    it.each<[RouteOptions, string]>([
      [{ prefix: '10.0.0.0/99', interface: 'tun0' }, 'ERR_BAD_ADDRESS'],
      [{ prefix: '10.0.0.0/8' }, 'ERR_BAD_ARGUMENT'],
      [{ prefix: '10.0.0.0/8', interface: 'eth0' }, 'ERR_NOT_FOUND'],
      [{ prefix: '10.0.0.0/8', interface: 'tun0', metric: -1 }, 'ERR_BAD_ARGUMENT'],
      [{ prefix: '10.0.0.0/8', interface: 'tun0', metric: 1.5 }, 'ERR_BAD_ARGUMENT'],
      [{ prefix: '10.0.0.0/8', gateway: 'x' }, 'ERR_BAD_ADDRESS'],
      [{ prefix: '10.0.0.0/8', gateway: '::1' }, 'ERR_BAD_ADDRESS'],
      [{ prefix: '10.0.0.0/8', gateway: '224.0.0.1' }, 'ERR_BAD_ADDRESS'],
      [{ prefix: '10.0.0.0/8', gateway: '203.0.113.1' }, 'ERR_NETWORK_UNREACHABLE'],
      [{ prefix: '10.0.0.0/24', interface: 'tun0' }, 'ERR_ALREADY'],
    ])('%j is refused: %s', (options, code) => {
      const before = routeTexts()
      expect(codeOf(() => addRoute(fixture.ip, options))).toBe(code)
      expect(routeTexts()).toEqual(before)
    })

    it('connected routes are not removed, and what is not there neither', () => {
      expect(codeOf(() => removeRoute(fixture.ip, { prefix: '10.0.0.0/24' }))).toBe('ERR_NOT_FOUND')
      expect(codeOf(() => removeRoute(fixture.ip, { prefix: 'default' }))).toBe('ERR_NOT_FOUND')
    })

    it('the table is bounded', () => {
      for (let i = 0; i < 1_024 - 6; i++)
        addRoute(fixture.ip, { prefix: `172.${16 + (i >> 8)}.${i & 255}.0/24`, interface: 'tun0' })
      expect(codeOf(() => addRoute(fixture.ip, { prefix: '203.0.113.0/24', interface: 'tun0' }))).toBe(
        'ERR_NO_BUFFERS',
      )
    })

    it('RFC 8200 §5: a link that cannot carry 1280 bytes carries no IPv6', () => {
      other.change({ mtu: 1_279 })
      expect(via('2001:db8::9')).toBe(ERROR_NET_UNREACHABLE)
      expect(via('192.0.2.9')).toBe('tun1')
    })
  })

  describe('source choice (RFC 6724 §5)', () => {
    const source = (remote: string): string => {
      const chosen = sourceFor(fixture.ip, parseAddress(remote)!)
      return chosen === null ? 'none' : chosen.words.map(word => (word >>> 0).toString(16)).join(':')
    }
    const words = (text: string): string =>
      parseAddress(text)!
        .words.map(word => (word >>> 0).toString(16))
        .join(':')

    it('rules 1, 2, 5, 6, 8', () => {
      fixture.addLink('tun1', ['192.0.2.1/24', 'fe80::1/64', '2001:db8::1/64', '2002:c000:201::1/64'])
      addRoute(fixture.ip, { prefix: 'default', interface: 'tun1' })
      expect(source('10.0.0.2')).toBe(words('10.0.0.2'))
      expect(source('203.0.113.9')).toBe(words('192.0.2.1'))
      expect(source('10.0.0.9')).toBe(words('10.0.0.2'))
      expect(source('fe80::9')).toBe(words('fe80::1'))
      expect(source('2001:db8::9')).toBe(words('2001:db8::1'))
      expect(source('2002:c000:299::1')).toBe(words('2002:c000:201::1'))
      expect(source('2a00::1')).toBe(words('2001:db8::1'))
      expect(source('fd00:0:0:1::1')).toBe(words('fd00:0:0:2::2'))
      expect(source('127.0.0.5')).toBe(words('127.0.0.1'))
      expect(source('::1')).toBe(words('::1'))
      expect(source('224.0.0.1')).toBe('none')
    })

    it('an address of another link serves where the link has none (RFC 6724 §4, weak host)', () => {
      fixture.addLink('tun1', [])
      addRoute(fixture.ip, { prefix: '203.0.113.0/24', interface: 'tun1' })
      expect(source('203.0.113.1')).toBe(words('10.0.0.2'))
    })

    it('rule 5 goes before rule 8', () => {
      fixture.addLink('tun1', ['192.0.2.1/24'])
      addRoute(fixture.ip, { prefix: '10.0.1.0/24', interface: 'tun1' })
      expect(source('10.0.1.9')).toBe(words('192.0.2.1'))
    })

    it('rule 6 goes before rule 8', () => {
      fixture.addLink('tun1', ['2003::1/64', '2002:c000:201::1/8'])
      addRoute(fixture.ip, { prefix: '::/0', interface: 'tun1' })
      expect(source('2002:d000::1')).toBe(words('2002:c000:201::1'))
      expect(source('2003:1::1')).toBe(words('2003::1'))
    })

    it('a loopback address is never the source of what leaves, and a link-local one of another link neither', () => {
      fixture.addLink('tun1', ['169.254.0.1/16'])
      removeAddress(fixture.ip, 'tun0', '10.0.0.2')
      addRoute(fixture.ip, { prefix: '0.0.0.0/0', interface: 'tun0' })
      expect(source('203.0.113.1')).toBe('none')
      const udp = fixture.upper(17)
      fixture.send(udp, pattern(4), { remote: '203.0.113.1' })
      expect(fixture.receive(udp)[0]!.words[ERROR_CODE]).toBe(ERROR_SOURCE_NOT_OURS)
    })

    it('no address, no route', () => {
      removeAddress(fixture.ip, 'tun0', '10.0.0.2')
      expect(source('10.0.0.1')).toBe('none')
    })
  })

  it('who may be bound to', () => {
    const own = ['10.0.0.2', '127.0.0.1', '127.5.5.5', '::1', 'fd00:0:0:2::2']
    for (const text of [...own, '10.0.0.3', '10.0.0.255', '224.0.0.1', '0.0.0.0', '::'])
      expect([text, isOwnAddress(fixture.ip, parseAddress(text)!)]).toEqual([text, own.includes(text)])
  })

  describe('links', () => {
    it.each<[string, unknown, string]>([
      ['no options', undefined, 'ERR_BAD_CONFIG'],
      ['no name', {}, 'ERR_BAD_CONFIG'],
      ['a name of 16 characters', { name: 'abcdefghijklmnop' }, 'ERR_BAD_CONFIG'],
      ['a name with a space', { name: 'a b' }, 'ERR_BAD_CONFIG'],
      ['a name that is taken', { name: 'tun0' }, 'ERR_ADDR_IN_USE'],
      ['a bad address', { name: 'tun1', addresses: ['10.0.0.300/24'] }, 'ERR_BAD_CONFIG'],
      [
        'an address that we have',
        { name: 'tun1', addresses: ['10.9.0.1/24', '10.0.0.2/24'] },
        'ERR_ADDR_IN_USE',
      ],
      ['an MTU of 67', { name: 'tun1', mtu: 67 }, 'ERR_BAD_CONFIG'],
      ['a second loopback', { name: 'lo2', loopback: true }, 'ERR_ALREADY'],
    ])('%s is refused, and nothing has changed', (_, options, code) => {
      const before = JSON.stringify(description())
      const link = new TestLink(fixture.test.runtime)
      expect(codeOf(() => void fixture.control.link(link.stream, options))).toBe(code)
      expect(JSON.stringify(description())).toBe(before)
      link.stream.close()
    })

    it('what a link tells is taken at once; a configured MTU is a ceiling', () => {
      const link = new TestLink(fixture.test.runtime, { mtu: 9_000, capabilities: LINK_CSUM })
      fixture.control.link(link.stream, { name: 'tun1', mtu: 4_000 })
      const told = (): unknown => description().interfaces.find(({ name }) => name === 'tun1')
      expect(told()).toMatchObject({ mtu: 4_000, capabilities: ['csum'], up: true })
      link.change({ mtu: 1_300, capabilities: 0 })
      expect(told()).toMatchObject({ mtu: 1_300, capabilities: [] })
      link.change({ mtu: 5 })
      expect(told()).toMatchObject({ mtu: 68 })
    })

    it('checklist 3.7-64: a link that fails or is gone takes its routes out of use, and says so', () => {
      const udp = fixture.upper(17)
      for (const condition of [
        makeHangup(fixture.test.arena),
        makeError(fixture.test.arena, 'ERR_DEVICE_GONE', 'the device is gone'),
      ]) {
        fixture.link.bringMessage(condition!)
        fixture.send(udp, pattern(4), { remote: '10.0.0.1' })
        expect(fixture.receive(udp)[0]!.words[ERROR_CODE]).toBe(ERROR_NET_UNREACHABLE)
        fixture.link.change({ up: true })
        fixture.send(udp, pattern(4), { remote: '10.0.0.1' })
        expect(fixture.link.take()).toHaveLength(1)
      }
      expect(fixture.test.events.map(({ text }) => text)).toEqual([
        'tun0 is gone',
        'tun0 is up, mtu 1500',
        'tun0 failed: the device is gone',
        'tun0 is up, mtu 1500',
      ])
    })

    it('unlinked, its addresses and routes go with it; linked again, it is as before', () => {
      const udp = fixture.upper(17)
      addRoute(fixture.ip, { prefix: 'default', interface: 'tun0' })
      const id = [...fixture.control.linked].find(([, stream]) => stream === fixture.link.stream)![0]
      fixture.control.unlink(id)
      expect(routeTexts()).toEqual(['::1/128 lo 0', '127.0.0.0/8 lo 0'])
      fixture.send(udp, pattern(4), { remote: '10.0.0.1' })
      expect(fixture.receive(udp)[0]!.words[ERROR_CODE]).toBe(ERROR_NET_UNREACHABLE)
      fixture.control.link(fixture.link.stream, { name: 'tun0', addresses: ['10.0.0.2/24'] })
      fixture.send(udp, pattern(4), { remote: '10.0.0.1' })
      expect(fixture.link.take()).toHaveLength(1)
    })
  })

  it('protocols belong to one stream, until it is closed', () => {
    const udp = fixture.upper(17, 6)
    expect(codeOf(() => void fixture.upper(6))).toBe('ERR_ADDR_IN_USE')
    udp.close()
    fixture.upper(6)
    for (const protocols of [[256], [-1], ['udp'], 17])
      expect(codeOf(() => void Stream.open(fixture.test.runtime, 'ip', { options: { protocols } }))).toBe(
        'ERR_BAD_CONFIG',
      )
  })

  it('settings are checked', () => {
    const { ip } = fixture
    setHopLimit(ip, 1)
    setHopLimit(ip, 255)
    for (const bad of [0, 256, 1.5, Number.NaN])
      expect(codeOf(() => setHopLimit(ip, bad))).toBe('ERR_BAD_ARGUMENT')
    expect(codeOf(() => setForwarding(ip, 1 as never))).toBe('ERR_BAD_ARGUMENT')
    for (const bad of [{ perSecond: -1 }, { burst: Number.POSITIVE_INFINITY }, { nobody: 1 }])
      expect(codeOf(() => setErrorLimit(ip, bad as never))).toBe('ERR_BAD_ARGUMENT')
    setErrorLimit(ip, { perSecond: 5 })
    expect(describeIp(ip)).toMatchObject({ hopLimit: 255, icmpLimits: { perSecond: 5, burst: 50 } })
    ip.pathMtu.set(0, 0, 0xffff, 1, 1_000, 0)
    clearPathMtu(ip)
    expect(describeIp(ip)).toMatchObject({ pathMtu: [] })
  })

  it('a runtime has one IP', () => {
    expect(codeOf(() => void plumbIp(fixture.test.runtime))).toBe('ERR_ADDR_IN_USE')
  })
})
