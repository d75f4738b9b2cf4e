import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Tun } from '../../src/driver/tun.ts'
import { parseTunOptions } from '../../src/driver/tun-options.ts'
import { LinkControl } from '../../src/host/links.ts'
import { createNamespace, deleteNamespace, insideNamespace, netnsPath } from '../../src/host/namespace.ts'
import type { Shim } from '../../src/host/shim.ts'
import { shim as loaded, missing, titled } from '../../src/host/testing/requirements.ts'
import { NodeLoop } from '../../src/node/loop.ts'
import { freemsg, type Mblk, messageBytes, Stream } from '../../src/streams/index.ts'

const reason = missing('shim', 'namespaces', 'tun', 'ip')

describe('driver/tun options', () => {
  it.each([
    [undefined, 'needs options'],
    [{}, '"name"'],
    [{ name: 'a/b' }, '"name"'],
    [{ name: 'sixteen-bytes-xx' }, '"name"'],
    [{ name: 't0', mtu: 67 }, '"mtu"'],
    [{ name: 't0', mtu: 1.5 }, '"mtu"'],
    [{ name: 't0', offload: 1 }, '"offload"'],
    [{ name: 't0', speed: 3 }, 'no option "speed"'],
  ])('%j is refused by naming what is wrong', (options, text) => {
    expect(() => parseTunOptions(options)).toThrow(text)
  })
})

describe.skipIf(reason !== '')(titled('tun on a device', reason), () => {
  const shim = loaded as Shim
  const name = `pxt-${process.pid}`
  const namespace = netnsPath(name)
  let loop: NodeLoop
  let stream: Stream
  let tun: Tun
  let events: string[]

  beforeEach(() => {
    createNamespace(shim, name)
    events = []
    loop = new NodeLoop({ shim, onEvent: event => events.push(event.name) })
    stream = Stream.open(loop.runtime, 'tun', { options: { name: 'tun0', namespace } })
    tun = stream.bottom.state as Tun
    const links = new LinkControl(shim, namespace)
    links.addAddress('tun0', '10.99.0.1/24')
    links.setUp('tun0', true)
    links.close()
  })

  afterEach(() => {
    stream.close()
    loop.runtime.arena.assertWhole()
    loop.close()
    deleteNamespace(shim, name)
  })

  /** The kernel's end: a UDP socket made inside the namespace. */
  function kernelSocket() {
    return insideNamespaceSocket(shim, namespace)
  }

  const until = async (condition: () => boolean): Promise<void> => {
    for (let i = 0; i < 400 && !condition(); i++) await new Promise(resolve => setTimeout(resolve, 5))
    expect(condition()).toBe(true)
  }

  it('a datagram from the kernel comes up as an IPv4 packet with its checksum left open', async () => {
    const socket = await kernelSocket()
    const seen: Mblk[] = []
    stream.onReadable = () => {
      for (let mp = stream.getmsg(); mp !== null; mp = stream.getmsg()) seen.push(mp)
    }
    socket.send('hello', 7, '10.99.0.2')
    await until(() => seen.some(mp => mp.bytes[mp.rptr + 9] === 17))
    const mp = seen.find(each => each.bytes[each.rptr + 9] === 17)!
    expect(mp.bytes[mp.rptr]).toBe(0x45)
    expect(messageBytes(mp)).toBe(33)
    expect(mp).toMatchObject({ csumStart: 20, csumOffset: 6 })
    for (const each of seen) freemsg(each)
    socket.close()
  })

  it('checklist 3.7-64: the device deleted while open gives M_ERROR and M_HANGUP, and nothing else breaks', async () => {
    let down = 0
    stream.onDown = () => down++
    execFileSync('ip', ['-n', name, 'link', 'del', 'tun0'])
    await until(() => down === 1)
    expect(events).toContain('tun.gone')
    expect(stream.poll().hangup).toBe(true)
    expect(() => stream.write(new Uint8Array(40))).toThrow('tun0')
  })

  it('checklist 3.7-64: a device that is down counts errors, and works again when it is up', async () => {
    const links = new LinkControl(shim, namespace)
    links.setUp('tun0', false)
    stream.write(new Uint8Array(40).fill(0x45, 0, 1))
    await until(() => tun.counters['tx-errors'] + tun.counters['rx-errors'] > 0)
    links.setUp('tun0', true)
    links.close()
    const socket = await kernelSocket()
    const before = tun.counters['rx-packets']
    for (let i = 0; i < 40 && tun.counters['rx-packets'] === before; i++) {
      socket.send('again', 7, '10.99.0.2')
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    expect(tun.counters['rx-packets']).toBeGreaterThan(before)
    expect(tun.gone).toBe(false)
    socket.close()
  })

  it('answers tun.info and refuses other requests', async () => {
    await expect(stream.ioctl('tun.info')).resolves.toMatchObject({ name: 'tun0', mtu: 1500 })
    await expect(stream.ioctl('tun.fly')).rejects.toThrow('no request "tun.fly"')
  })
})

/** The descriptor is made when the address is known, so the look-up must not leave the namespace's call. */
async function insideNamespaceSocket(shim: Shim, namespace: string) {
  const socket = createSocket({ type: 'udp4', lookup: (address, _options, done) => done(null, address, 4) })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    insideNamespace(shim, namespace, () =>
      socket.bind({ port: 0, address: '10.99.0.1', exclusive: true }, resolve),
    )
  })
  return socket
}
