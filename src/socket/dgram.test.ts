import { describe, expect, it } from 'vitest'
import type { DriverInfo } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import { putq } from '../streams/queue.ts'
import { Stream } from '../streams/stream.ts'
import { createSocket, type DatagramSocket, dgramOn } from './dgram.ts'
import { makeTestHost, type TestHost } from './testing/host.ts'

const listening = async (host: TestHost, type: 'udp4' | 'udp6' = 'udp4'): Promise<DatagramSocket> => {
  const socket = createSocket(host, type)
  await new Promise<void>(resolve => socket.bind(0, type === 'udp4' ? '127.0.0.1' : '::1', resolve))
  return socket
}

async function turn(): Promise<void> {
  for (let i = 0; i < 6; i++) {
    await new Promise(resolve => setTimeout(resolve, 1))
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** A link that takes nothing until it is told to. */
function attachStuckLink(host: TestHost): void {
  const info: DriverInfo<null> = {
    name: 'stuck',
    driver: true,
    hiwat: 2_048,
    lowat: 1_024,
    open: () => null,
    close: () => {},
    read: { put: putnext },
    write: { put: putq, service: () => {} },
  }
  host.stack.attachLink(Stream.open(host.runtime, info), { name: 'stuck0', addresses: ['10.77.1.2/24'] })
}

describe('socket/dgram', () => {
  it('keeps the program running from bind to close, unless it is unrefed', async () => {
    const host = makeTestHost()
    const socket = createSocket(host, 'udp4')
    expect(host.refs()).toBe(0)
    await new Promise<void>(resolve => socket.bind(0, resolve))
    expect(host.refs()).toBe(1)
    socket.unref().unref()
    expect(host.refs()).toBe(0)
    socket.ref().ref()
    expect(host.refs()).toBe(1)
    socket.close()
    expect(host.refs()).toBe(0)
    const early = createSocket(host, 'udp4').unref()
    await new Promise<void>(resolve => early.bind(0, resolve))
    expect(host.refs()).toBe(0)
    early.close()
    await host.finish()
  })

  it('what a program is given is its own: a copy at the edge, one each way, and none in the stack', async () => {
    const host = makeTestHost()
    const [server, client] = [await listening(host), await listening(host)]
    const got: Buffer[] = []
    server.on('message', data => got.push(data))
    const given = Buffer.from('first')
    const before = { ...host.runtime.arena.copies.edge }
    client.send(given, server.address().port, '127.0.0.1')
    await turn()
    given.fill('x')
    client.send(Buffer.from('after'), server.address().port, '127.0.0.1')
    await turn()
    expect(got.map(String)).toEqual(['first', 'after'])
    expect(host.runtime.arena.copies.edge.bytes - before.bytes).toBe(20)
    expect(host.runtime.arena.copies.stack.bytes).toBe(0)
    server.close()
    client.close()
    await host.finish()
  })

  it('a list of buffers is one datagram in one block', async () => {
    const host = makeTestHost()
    const [server, client] = [await listening(host), await listening(host)]
    const list = Array.from({ length: 5_000 }, (_, i) => Buffer.from([i & 0xff]))
    const got = new Promise<Buffer>(resolve => server.once('message', resolve))
    client.send(list, server.address().port, '127.0.0.1')
    expect(await got).toEqual(Buffer.concat(list))
    expect(host.runtime.arena.classes.map(each => each.peak)[1]).toBeLessThanOrEqual(2)
    server.close()
    client.close()
    await host.finish()
  })

  it('the longest datagram of IPv6', async () => {
    const host = makeTestHost()
    const [server, client] = [await listening(host, 'udp6'), await listening(host, 'udp6')]
    const got = new Promise<Buffer>(resolve => server.once('message', resolve))
    const failed = new Promise<NodeJS.ErrnoException | null>(resolve =>
      client.send(Buffer.alloc(65_528), server.address().port, '::1', resolve),
    )
    client.send(Buffer.alloc(65_527, 7), server.address().port, '::1')
    expect((await got).length).toBe(65_527)
    expect((await failed)?.code).toBe('EMSGSIZE')
    server.close()
    client.close()
    await host.finish()
  })

  it("what a listener throws is the program's own uncaught exception, and the datagrams behind it arrive", async () => {
    const host = makeTestHost()
    const [server, client] = [await listening(host), await listening(host)]
    const uncaught: unknown[] = []
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', error => uncaught.push(error))
    const got: string[] = []
    server.on('message', data => {
      got.push(data.toString())
      if (got.length === 1) throw new Error('the listener failed')
    })
    for (const text of ['one', 'two', 'three']) client.send(text, server.address().port, '127.0.0.1')
    await turn()
    process.removeAllListeners('uncaughtException')
    for (const each of others) process.on('uncaughtException', each as never)
    expect(got).toEqual(['one', 'two', 'three'])
    expect(uncaught).toEqual([new Error('the listener failed')])
    expect(host.runtime.counters['module-faults']).toBe(0)
    server.close()
    client.close()
    await host.finish()
  })

  it('EADDRNOTAVAIL, ENETUNREACH and EACCES come with address and port', async () => {
    const host = makeTestHost()
    attachStuckLink(host)
    const socket = await listening(host)
    const open = createSocket(host, 'udp4')
    const attempt = (address: string): Promise<unknown> =>
      new Promise(resolve => open.send('x', 9, address, error => resolve(error)))
    expect(await attempt('192.0.2.1')).toMatchObject({
      code: 'ENETUNREACH',
      errno: -101,
      syscall: 'send',
      address: '192.0.2.1',
      port: 9,
      message: 'send ENETUNREACH 192.0.2.1:9',
    })
    expect(await attempt('10.77.1.255')).toMatchObject({ code: 'EACCES', address: '10.77.1.255' })
    open.setBroadcast(true)
    expect(await attempt('10.77.1.255')).toBeNull()
    expect(await attempt('224.0.0.251')).toMatchObject({ code: 'ENOTSUP' })
    const refused = new Promise(resolve => open.connect(9, '192.0.2.1', error => resolve(error)))
    expect(await refused).toMatchObject({ code: 'ENETUNREACH', syscall: 'connect', port: 9 })
    socket.close()
    open.close()
    await host.finish()
  })

  it('while the stack is full datagrams wait, in order and up to the send buffer; then it is ENOBUFS', async () => {
    const host = makeTestHost()
    attachStuckLink(host)
    const socket = createSocket(host, 'udp4')
    await new Promise<void>(resolve => socket.bind(0, resolve))
    socket.setSendBufferSize(4_096)
    const codes = new Set<string | undefined>()
    let longest = 0
    for (let i = 0; i < 3_000; i++) {
      socket.send(Buffer.alloc(1_000), 9, '10.77.1.9', error => {
        codes.add((error as NodeJS.ErrnoException | null)?.code)
        longest = Math.max(longest, socket.getSendQueueSize())
      })
      if (i % 500 === 0) await turn()
    }
    await turn()
    expect(codes).toEqual(new Set([undefined, 'ENOBUFS']))
    expect([longest, socket.getSendQueueCount()]).toEqual([4_000, 4])
    socket.close()
    await host.finish()
  })

  it('the stack taken away closes its sockets', async () => {
    const host = makeTestHost()
    const socket = await listening(host)
    const closed = new Promise<void>(resolve => socket.once('close', resolve))
    host.stack.close()
    await closed
    expect(host.refs()).toBe(0)
    expect(() => socket.address()).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' }))
    await host.finish()
  })

  it('closed while a bind is on its way that fails, it closes all the same', async () => {
    const host = makeTestHost()
    const socket = createSocket(host, 'udp4')
    const events: string[] = []
    for (const name of ['error', 'listening', 'close'] as const) socket.on(name, () => events.push(name))
    socket.bind(0, '203.0.113.1')
    socket.send('x', 9, '127.0.0.1')
    socket.close()
    await turn()
    expect(events).toEqual(['error', 'close'])
    await host.finish()
  })

  it('multicast is refused by name', async () => {
    const host = makeTestHost()
    const socket = await listening(host)
    const calls: [string, ...unknown[]][] = [
      ['addMembership', '224.0.0.251'],
      ['dropMembership', '224.0.0.251'],
      ['addSourceSpecificMembership', '10.0.0.1', '232.0.0.1'],
      ['dropSourceSpecificMembership', '10.0.0.1', '232.0.0.1'],
      ['setMulticastTTL', 1],
      ['setMulticastLoopback', true],
      ['setMulticastInterface', '10.0.0.1'],
    ]
    for (const [call, ...args] of calls) {
      const method = socket[call as 'addMembership'] as (...all: unknown[]) => void
      expect(() => method.apply(socket, args), call).toThrow(
        expect.objectContaining({ code: 'ENOTSUP', syscall: call }),
      )
    }
    socket.close()
    await host.finish()
  })

  it('a receive buffer is bounded as asked, and reads on', async () => {
    const host = makeTestHost()
    const server = createSocket(host, { type: 'udp4', recvBufferSize: 8_192 })
    await new Promise<void>(resolve => server.bind(0, '127.0.0.1', resolve))
    expect(server.getRecvBufferSize()).toBe(8_192)
    const client = await listening(host)
    let got = 0
    server.on('message', () => got++)
    for (let i = 0; i < 100; i++) client.send(Buffer.alloc(1_000), server.address().port, '127.0.0.1')
    await turn()
    const lost = host.stack.counters()['udp']!['receive-full']!
    expect(got + lost).toBe(100)
    server.close()
    client.close()
    await host.finish()
  })

  it('without a block left a send is ENOBUFS, and the socket goes on', async () => {
    const host = makeTestHost({ sizeBytes: 1024 * 1024 })
    const [server, client] = [await listening(host), await listening(host)]
    const { arena } = host.runtime
    const held = []
    for (let mp = arena.take(1); mp !== null; mp = arena.take(1)) held.push(mp)
    const failed = new Promise<NodeJS.ErrnoException | null>(resolve =>
      client.send('x', server.address().port, '127.0.0.1', resolve),
    )
    await turn()
    expect((await failed)?.code).toBe('ENOBUFS')
    for (const mp of held) arena.giveBack(mp)
    const got = new Promise<Buffer>(resolve => server.once('message', resolve))
    client.send('y', server.address().port, '127.0.0.1')
    expect(String(await got)).toBe('y')
    server.close()
    client.close()
    await host.finish()
  })

  it('dgramOn stands in for the module', async () => {
    const host = makeTestHost()
    const { createSocket: create } = dgramOn(host)
    const got = new Promise<string>(resolve => {
      const server = create({ type: 'udp4' }, (data, remote) => {
        resolve(`${data} ${remote.family} ${remote.size}`)
        server.close()
      })
      server.bind(5_353, '127.0.0.1', () => {
        const client = create('udp4')
        client.send('question', 5_353, () => client.close())
      })
    })
    expect(await got).toBe('question IPv4 8')
    await host.finish()
  })
})
