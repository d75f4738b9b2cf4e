import { describe, expect, it } from 'vitest'
import { allocb, freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { flat } from '../streams/testing/messages.ts'
import { destination, remoteOf, UdpEndpoint, type UdpError } from './endpoint.ts'
import { makeTestHost } from './testing/host.ts'

const PORT = 4_000
const LOCALHOST = destination('127.0.0.1', PORT)

describe('socket/endpoint', () => {
  it('echoes without a copy: the message that came is the message that goes', async () => {
    const host = makeTestHost()
    const server = UdpEndpoint.open(host.runtime, { bind: { port: PORT } })
    server.onMessage = mp => {
      expect(server.reply(mp)).toBe(true)
    }
    const client = UdpEndpoint.open(host.runtime)
    const memory = new Uint8Array([1, 2, 3, 4])
    const got: number[][] = []
    client.onMessage = mp => {
      got.push([...flat(mp.cont!)])
      freemsg(mp)
    }
    let released = 0
    expect(client.sendOwned(memory, LOCALHOST, () => released++)).toBe(true)
    host.settle()
    expect([got, released]).toEqual([[[1, 2, 3, 4]], 1])
    expect(host.runtime.arena.copies).toMatchObject({ stack: { bytes: 0 }, edge: { bytes: 0 } })
    await host.finish()
  })

  it("the message is the program's until it releases it", async () => {
    const host = makeTestHost()
    const server = UdpEndpoint.open(host.runtime, { bind: { port: PORT } })
    const kept: Mblk[] = []
    server.onMessage = mp => kept.push(mp)
    const client = UdpEndpoint.open(host.runtime)
    let released = 0
    for (let i = 0; i < 3; i++) client.sendOwned(new Uint8Array([i]), LOCALHOST, () => released++)
    host.settle()
    expect([kept.map(mp => flat(mp.cont!)[0]), released]).toEqual([[0, 1, 2], 0])
    for (const mp of kept) freemsg(mp)
    expect(released).toBe(3)
    await host.finish()
  })

  it.each([255, 256, 257, 512])('goes on after %i messages that waited for one turn', async count => {
    const host = makeTestHost()
    const server = UdpEndpoint.open(host.runtime, { bind: { port: PORT } })
    let seen = 0
    server.onMessage = mp => {
      seen++
      freemsg(mp)
    }
    const client = UdpEndpoint.open(host.runtime)
    const send = () => expect(client.sendTo(null, LOCALHOST)).toBe(true)
    for (let i = 0; i < count; i++) send()
    host.settle()
    expect(seen).toBe(count)
    send()
    host.settle()
    expect(seen).toBe(count + 1)
    await host.finish()
  })

  it('super-datagrams both ways', async () => {
    const host = makeTestHost()
    const server = UdpEndpoint.open(host.runtime, { bind: { port: PORT } })
    const sizes: number[] = []
    server.onMessage = mp => {
      sizes.push(flat(mp.cont!).length)
      freemsg(mp)
    }
    const client = UdpEndpoint.open(host.runtime)
    client.sendOwned(new Uint8Array(2_500), LOCALHOST, () => {}, { segmentBytes: 1_000 })
    host.settle()
    expect(sizes).toEqual([1_000, 1_000, 500])
    await host.finish()
  })

  it('errors: from the peer for whoever is connected, from the stack with the tag', async () => {
    const host = makeTestHost()
    const connected = UdpEndpoint.open(host.runtime, { connect: { address: '::1', port: PORT } })
    const errors: UdpError[] = []
    connected.onError = error => errors.push(error)
    connected.onMessage = freemsg
    expect(connected.sendTo(null, null)).toBe(true)
    expect(connected.sendTo(null, destination('192.0.2.1', 9), { tag: 77 })).toBe(true)
    host.settle()
    expect(errors).toMatchObject([
      {
        address: '192.0.2.1',
        port: 9,
        refusedHere: true,
        tag: 77,
        error: { code: 'ERR_NETWORK_UNREACHABLE' },
      },
      { address: '::1', port: PORT, refusedHere: false, hard: true, error: { code: 'ERR_CONN_REFUSED' } },
    ])
    await host.finish()
  })

  it('bind, connect, set and names', async () => {
    const host = makeTestHost()
    const endpoint = UdpEndpoint.open(host.runtime, { family: 4 })
    expect(endpoint.names).toEqual({ local: null, remote: null })
    await endpoint.bind('127.0.0.1', PORT)
    expect(endpoint.names.local).toEqual({ address: '127.0.0.1', family: 4, port: PORT })
    await endpoint.connect('127.0.0.1', 9)
    expect(endpoint.names.remote).toEqual({ address: '127.0.0.1', family: 4, port: 9 })
    await endpoint.disconnect()
    expect(await endpoint.set({ ttl: 3 })).toMatchObject({ ttl: 3 })
    await expect(endpoint.bind()).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
    expect(() => UdpEndpoint.open(host.runtime, { bind: { port: PORT } })).toThrow(
      expect.objectContaining({ code: 'ERR_ADDR_IN_USE' }),
    )
    expect(() => destination('nowhere', 1)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ADDRESS' }))
    await host.finish()
  })

  it('a program that answers itself for ever does not stop the others', async () => {
    const host = makeTestHost()
    const loop = UdpEndpoint.open(host.runtime, { bind: { port: PORT } })
    loop.onMessage = mp => {
      if (!loop.reply(mp)) freemsg(mp)
    }
    const other = UdpEndpoint.open(host.runtime, { bind: { port: PORT + 1 } })
    let got = 0
    other.onMessage = mp => {
      got++
      freemsg(mp)
    }
    const data = allocb(host.runtime.arena, 4, 128)!
    // From its own port to itself.
    expect(loop.sendTo(data, LOCALHOST)).toBe(true)
    expect(other.sendTo(null, destination('127.0.0.1', PORT + 1))).toBe(true)
    for (let i = 0; i < 50; i++) host.runtime.turn(10)
    expect(got).toBe(1)
    loop.close()
    await host.finish()
  })

  it("what the program throws goes to the stream's onUncaught, and the messages behind it arrive", async () => {
    const host = makeTestHost()
    const server = UdpEndpoint.open(host.runtime, { bind: { port: PORT } })
    const uncaught: unknown[] = []
    server.stream.onUncaught = error => uncaught.push(error)
    const got: string[] = []
    server.onMessage = mp => {
      got.push(String(remoteOf(mp).words[3]))
      freemsg(mp)
      if (got.length === 1) throw new Error('mine')
    }
    const client = UdpEndpoint.open(host.runtime)
    for (let i = 0; i < 3; i++) client.sendTo(null, LOCALHOST)
    host.settle()
    expect([got.length, uncaught.length]).toEqual([3, 1])
    await host.finish()
  })

  it('without a block left it throws, and gives memory back', async () => {
    const host = makeTestHost({ sizeBytes: 1024 * 1024 })
    const { arena } = host.runtime
    const endpoint = UdpEndpoint.open(host.runtime)
    const held: Mblk[] = []
    for (let mp = arena.take(1); mp !== null; mp = arena.take(1)) held.push(mp)
    let released = 0
    const noBuffers = expect.objectContaining({ code: 'ERR_NO_BUFFERS' })
    expect(() => endpoint.sendOwned(new Uint8Array(1), LOCALHOST, () => released++)).toThrow(noBuffers)
    expect(() => endpoint.sendTo(held.pop()!, LOCALHOST)).toThrow(noBuffers)
    for (const mp of held) freemsg(mp)
    expect(released).toBe(1)
    await host.finish()
  })

  it('closed, it takes nothing: memory comes back at once', async () => {
    const host = makeTestHost()
    const endpoint = UdpEndpoint.open(host.runtime, { bind: { port: PORT } })
    endpoint.close()
    endpoint.close()
    let released = 0
    expect(() => endpoint.sendOwned(new Uint8Array(1), LOCALHOST, () => released++)).toThrow(
      expect.objectContaining({ code: 'ERR_STREAM_CLOSED' }),
    )
    expect(released).toBe(1)
    await host.finish()
  })
})
