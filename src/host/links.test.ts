import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressBytes } from './ip-address.ts'
import { LinkControl } from './links.ts'
import { createNamespace, deleteNamespace } from './namespace.ts'
import { LITTLE_ENDIAN } from './netlink.ts'
import { encodeAddressAdd, encodeLinkChange, encodeRouteAdd, encodeRouteDelete } from './rtnetlink.ts'
import type { Shim } from './shim.ts'
import { shim as loaded, missing, titled } from './testing/requirements.ts'
import { openTun } from './tun.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const packed = (text: string): string => text.replace(/\s/g, '')

describe.runIf(LITTLE_ENDIAN)('host/rtnetlink bytes', () => {
  it('ifa: an IPv6 address without duplicate address detection', () => {
    const change = { address: addressBytes('fd77:1::2'), length: 64, link: 5, noDad: true }
    const address = 'fd770001 00000000 00000000 00000002'
    expect(hex(encodeAddressAdd(9, change))).toBe(
      packed(`48000000 1400 0506 09000000 00000000  0a 40 00 00 05000000
        1400 0200 ${address}  1400 0100 ${address}  0800 0800 02000000`),
    )
  })

  it('ifa: an IPv4 address knows no duplicate address detection', () => {
    const change = { address: addressBytes('10.77.1.1'), length: 24, link: 5, noDad: true }
    expect(hex(encodeAddressAdd(1, change))).toBe(
      packed(
        '28000000 1400 0506 01000000 00000000  02 18 00 00 05000000  0800 0200 0a4d0101  0800 0100 0a4d0101',
      ),
    )
  })

  it('ifinfo: only what is named is changed', () => {
    expect(hex(encodeLinkChange(2, 3, { mtu: 1500 }))).toBe(
      packed('28000000 1000 0500 02000000 00000000  00000000 03000000 00000000 00000000  0800 0400 dc050000'),
    )
    expect(hex(encodeLinkChange(2, 3, { up: false }))).toBe(
      packed('20000000 1000 0500 02000000 00000000  00000000 03000000 00000000 01000000'),
    )
  })

  it('rtm: a default route has no destination; a route to be deleted leaves protocol and kind open', () => {
    const route = { to: { address: addressBytes('0.0.0.0'), length: 0 }, via: addressBytes('10.0.0.1') }
    expect(hex(encodeRouteAdd(1, route))).toBe(
      packed('24000000 1800 0506 01000000 00000000  02 00 00 00 fe 04 00 01 00000000  0800 0500 0a000001'),
    )
    expect(hex(encodeRouteDelete(1, route))).toBe(
      packed('24000000 1900 0500 01000000 00000000  02 00 00 00 fe 00 ff 00 00000000  0800 0500 0a000001'),
    )
  })
})

const reason = missing('shim', 'namespaces', 'tun', 'ip')

describe.skipIf(reason !== '')(titled('host/links as ip(8) sees them', reason), () => {
  const shim = loaded as Shim
  const names = [`pnx-links-${process.pid}`, `pnx-other-${process.pid}`] as const
  let links: LinkControl
  let other = ''

  type Seen = Record<string, unknown>
  const ip = (name: string, ...args: string[]): Seen[] =>
    JSON.parse(execFileSync('ip', ['-n', name, '-j', '-d', ...args], { encoding: 'utf8' }) || '[]')
  const seen = (device: string): Seen => ip(names[0], 'address', 'show', 'dev', device)[0]!

  beforeAll(() => {
    links = new LinkControl(shim, createNamespace(shim, names[0]))
    other = createNamespace(shim, names[1])
    links.createBridge('br0')
    links.createVeth('v0', { name: 'w0', namespace: other, mtu: 1400, up: true }, { mtu: 1400, up: true })
  })
  afterAll(() => {
    links.close()
    for (const name of names) deleteNamespace(shim, name)
  })

  it('a veth pair across two namespaces, both ends up', () => {
    expect(seen('v0')).toMatchObject({ mtu: 1400, operstate: 'UP', link_netnsid: 0 })
    const [peer] = ip(names[1], 'link', 'show', 'dev', 'w0')
    expect(peer).toMatchObject({ mtu: 1400, operstate: 'UP', linkinfo: { info_kind: 'veth' } })
    expect(links.get('v0')).toMatchObject({ kind: 'veth', up: true, running: true, peer: peer!['ifindex'] })
  })

  it('settings: MTU, queue length, alias, down', () => {
    links.set('v0', { mtu: 9000, transmitQueueLength: 4000, alias: 'putnext:pair/n1' })
    expect(seen('v0')).toMatchObject({ mtu: 9000, txqlen: 4000, ifalias: 'putnext:pair/n1' })
    expect(links.get('v0')).toMatchObject({ mtu: 9000, transmitQueueLength: 4000, alias: 'putnext:pair/n1' })
    links.setUp('v0', false)
    expect(seen('v0')['flags']).not.toContain('UP')
    links.setUp('v0')
  })

  it('a bridge takes a link and lets it go', () => {
    links.setMaster('v0', 'br0')
    expect(seen('v0')['master']).toBe('br0')
    expect(links.get('v0').master).toBe(links.get('br0').index)
    links.setMaster('v0', null)
    expect(seen('v0')['master']).toBeUndefined()
  })

  it('addresses of both families, usable at once', () => {
    links.addAddress('v0', '10.82.0.1/24')
    links.addAddress('v0', 'fd82::1/64')
    const info = seen('v0')['addr_info'] as Seen[]
    expect(info.find(one => one['local'] === '10.82.0.1')).toMatchObject({ prefixlen: 24, family: 'inet' })
    const six = info.find(one => one['local'] === 'fd82::1')
    expect(six).toMatchObject({ prefixlen: 64, nodad: true })
    expect(six).not.toHaveProperty('tentative')
    expect(links.addresses('v0')).toEqual(expect.arrayContaining(['10.82.0.1/24', 'fd82::1/64']))
    links.addAddress('v0', '10.82.9.1/32')
    links.removeAddress('v0', '10.82.9.1/32')
    expect(links.addresses('v0')).not.toContain('10.82.9.1/32')
  })

  it('routes by gateway, by device, with MTU, metric and source; replaced and removed', () => {
    const routes = () => ip(names[0], 'route')
    links.addRoute({ to: '0.0.0.0/0', via: '10.82.0.2' })
    links.addRoute({ to: '10.90.0.0/16', via: '10.82.0.2', mtu: 1300, metric: 5, source: '10.82.0.1' })
    links.addRoute({ to: '10.91.0.0/16', device: 'v0' })
    expect(routes()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ dst: 'default', gateway: '10.82.0.2', dev: 'v0' }),
        expect.objectContaining({
          dst: '10.90.0.0/16',
          metric: 5,
          prefsrc: '10.82.0.1',
          metrics: [{ mtu: 1300 }],
        }),
        expect.objectContaining({ dst: '10.91.0.0/16', dev: 'v0', scope: 'link' }),
      ]),
    )
    links.addRoute({ to: '0.0.0.0/0', via: '10.82.0.3' }, { replace: true })
    expect(routes().find(route => route['dst'] === 'default')).toMatchObject({ gateway: '10.82.0.3' })
    links.removeRoute({ to: '10.91.0.0/16', device: 'v0' })
    expect(routes().some(route => route['dst'] === '10.91.0.0/16')).toBe(false)
    links.addRoute({ to: '::/0', via: 'fd82::2' })
    expect(ip(names[0], '-6', 'route', 'show', 'default')).toMatchObject([{ gateway: 'fd82::2' }])
    links.removeRoute({ to: '::/0' })
    expect(ip(names[0], '-6', 'route', 'show', 'default')).toEqual([])
  })

  it('renames, moves to another namespace, removes', () => {
    const { fd } = openTun(shim, { name: 'm%d', namespace: links.namespace })
    links.rename('m0', 'moved')
    links.moveToNamespace('moved', other)
    expect(links.find('moved')).toBeNull()
    expect(ip(names[1], 'link', 'show', 'dev', 'moved')).toHaveLength(1)
    expect(shim.fdClose(fd)).toBe(0)
    links.createVeth('gone', { name: 'gone2' })
    links.remove('gone')
    expect(links.list().map(link => link.name)).not.toContain('gone2')
  })

  it('lists hundreds of links, more than one datagram holds', () => {
    for (let i = 0; i < 60; i++) links.createVeth(`many${i}a`, { name: `many${i}b` })
    const found = links.list().filter(link => link.name.startsWith('many'))
    for (let i = 0; i < 60; i++) links.remove(`many${i}a`)
    expect(found).toHaveLength(120)
  })

  it('says what was wanted, and the reason that the kernel gives', () => {
    const refused = (act: () => void): { code?: string; message?: string } => {
      try {
        act()
      } catch (error) {
        return error as Error & { code: string }
      }
      return {}
    }
    expect(refused(() => links.setUp('nope'))).toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(refused(() => links.addAddress('v0', '10.82.0.1/24'))).toMatchObject({ code: 'ERR_ALREADY' })
    const far = refused(() => links.addRoute({ to: '10.99.0.0/16', via: '192.0.2.1' }))
    expect(far.code).toBe('ERR_NETWORK_UNREACHABLE')
    expect(far.message).toMatch(/^cannot add the route to 10\.99\.0\.0\/16: .+ \(ENETUNREACH\)$/)
    expect(refused(() => links.addAddress('v0', '10.82.0.300/24'))).toMatchObject({ code: 'ERR_BAD_ADDRESS' })
    expect(refused(() => links.createBridge('v0'))).toMatchObject({ code: 'ERR_ALREADY' })
    expect(refused(() => links.createBridge('a-name-that-is-too-long'))).toMatchObject({
      code: 'ERR_BAD_ARGUMENT',
    })
    expect(refused(() => new LinkControl(shim, '/run/netns/nope'))).toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(refused(() => links.moveToNamespace('v0', '/run/netns/nope'))).toMatchObject({
      code: 'ERR_NOT_FOUND',
    })
    const closed = new LinkControl(shim)
    closed.close()
    closed.close()
    expect(refused(() => closed.list())).toMatchObject({ code: 'ERR_STREAM_CLOSED' })
  })
})
