import { describe, expect, it } from 'vitest'
import { nonZero } from '../base/counters.ts'
import { ipv4Packet, udpDatagram } from '../inet/testing/packets.ts'
import { destination, UdpEndpoint } from '../socket/endpoint.ts'
import { makeTestHost, type TestHost } from '../socket/testing/host.ts'
import { allocb, freemsg } from '../streams/mblk/alloc.ts'
import type { DriverInfo } from '../streams/module.ts'
import { put, putnext } from '../streams/putnext.ts'
import { Stream } from '../streams/stream.ts'
import { chainOf, flat } from '../streams/testing/messages.ts'
import { type SmallServiceOptions, SmallServices } from './small-services.ts'

const PORTS = { echo: 7, discard: 9, chargen: 19 }

interface Client {
  readonly host: TestHost
  readonly services: SmallServices
  readonly got: string[]
  ask(port: number, text: string, from?: UdpEndpoint): void
  open(port: number): UdpEndpoint
}

function start(options: SmallServiceOptions = {}, address = '127.0.0.1'): Client {
  const host = makeTestHost()
  const services = new SmallServices(host.runtime, PORTS, options)
  const got: string[] = []
  const open = (port: number): UdpEndpoint => {
    const endpoint = UdpEndpoint.open(host.runtime, { bind: { port } })
    endpoint.onMessage = mp => {
      got.push(new TextDecoder().decode(flat(mp.cont!)))
      freemsg(mp)
    }
    return endpoint
  }
  const client = open(0)
  return {
    host,
    services,
    got,
    open,
    ask(port, text, from = client) {
      const bytes = new TextEncoder().encode(text)
      const data = allocb(host.runtime.arena, bytes.length, 128)!
      data.dblk.bytes.set(bytes, data.wptr)
      data.wptr += bytes.length
      from.sendTo(data, destination(address, port))
      host.settle()
    },
  }
}

describe('node/small-services', () => {
  it.each(['127.0.0.1', '::1'])(
    'RFC 862: echo sends back what came, from %s too, without a copy',
    async address => {
      const t = start({}, address)
      for (const text of ['hello', '', 'x'.repeat(60_000)]) t.ask(7, text)
      expect(t.got).toEqual(['hello', '', 'x'.repeat(60_000)])
      expect(nonZero(t.services.counters)).toEqual({ 'echo-answered': 3 })
      expect(t.host.runtime.arena.copies.stack.bytes).toBe(0)
      await t.host.finish()
    },
  )

  it('RFC 863: discard throws away and says nothing', async () => {
    const t = start()
    t.ask(9, 'whatever')
    expect([t.got, nonZero(t.services.counters)]).toEqual([[], { discarded: 1 }])
    await t.host.finish()
  })

  it('RFC 864, checklist 3.4-27: chargen answers with 0 to 512 characters and never with more than it was sent', async () => {
    const t = start()
    for (let i = 0; i < 50; i++) t.ask(19, 'x'.repeat(20 * i))
    expect(t.got.length).toBe(50)
    for (const [i, answer] of t.got.entries())
      expect(answer.length).toBeLessThanOrEqual(Math.min(512, 20 * i))
    expect(new Set(t.got.map(answer => answer.length)).size).toBeGreaterThan(20)
    await t.host.finish()
  })

  it('RFC 864: told to, it answers a small question at length; the lines are those of the pattern', async () => {
    const t = start({ chargenAmplifies: true })
    for (let i = 0; i < 40; i++) t.ask(19, '')
    expect(Math.max(...t.got.map(answer => answer.length))).toBeGreaterThan(300)
    const ring = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('')
    for (const answer of t.got) {
      const lines = answer.split('\r\n')
      for (const line of lines.slice(0, -1)) expect(line.length).toBe(72)
      for (const line of lines) expect((ring + ring).includes(line.replace(/\r$/, ''))).toBe(true)
      if (lines.length > 2) expect(lines[1]![0]).toBe(lines[0]![1])
    }
    await t.host.finish()
  })

  it.each([7, 9, 13, 17, 19, 37])(
    'checklist 3.4-27: nothing from port %i is answered: two such services would talk for ever',
    async port => {
      const t = start()
      t.services.close()
      const services = new SmallServices(t.host.runtime, { echo: 1_007, discard: 1_009, chargen: 1_019 })
      const from = t.open(port)
      for (const to of [1_007, 1_019]) t.ask(to, 'loop', from)
      expect([t.got, nonZero(services.counters)]).toEqual([[], { 'refused-port': 2 }])
      services.close()
      await t.host.finish()
    },
  )

  it('checklist 3.4-25: nothing that came for many is answered', async () => {
    const t = start()
    const info: DriverInfo<null> = {
      name: 'far',
      driver: true,
      hiwat: 65_536,
      lowat: 16_384,
      open: () => null,
      close: () => {},
      read: { put: putnext },
      write: { put: (_q, mp) => freemsg(mp) },
    }
    const link = Stream.open(t.host.runtime, info)
    t.host.stack.attachLink(link, { name: 'far0', addresses: ['10.77.1.2/24'] })
    const [source, destination] = [
      [10, 77, 1, 1],
      [10, 77, 1, 255],
    ]
    for (const port of [7, 9, 19]) {
      const datagram = udpDatagram(new Uint8Array(4), source, destination, [5_000, port])
      const packet = ipv4Packet(datagram, { source, destination, protocol: 17 })
      put(link.bottom.next!, chainOf(t.host.runtime.arena, packet))
    }
    t.host.settle()
    expect(nonZero(t.services.counters)).toEqual({ 'refused-not-unicast': 2, discarded: 1 })
    await t.host.finish()
  })

  it('a port that is taken starts nothing', async () => {
    const t = start()
    const before = t.host.runtime.streams.size
    expect(() => new SmallServices(t.host.runtime, { echo: 1_007, discard: 9, chargen: 19 })).toThrow(
      expect.objectContaining({ code: 'ERR_ADDR_IN_USE' }),
    )
    expect(t.host.runtime.streams.size).toBe(before)
    await t.host.finish()
  })

  it('a super-datagram is echoed as one', async () => {
    const t = start()
    const client = t.open(0)
    client.sendOwned(new Uint8Array(5_000).fill(65), destination('127.0.0.1', 7), () => {}, {
      segmentBytes: 1_000,
    })
    t.host.settle()
    expect(t.got.map(answer => answer.length)).toEqual([1_000, 1_000, 1_000, 1_000, 1_000])
    expect(t.services.counters['echo-answered']).toBe(1)
    await t.host.finish()
  })
})
