/** What our stream sockets do that node:net has no like of, or that no scenario can compare. */
import { once } from 'node:events'
import { BlockList, type LookupFunction, type NetConnectOpts } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dupmsg, freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { messageFrom } from '../streams/mblk/pullup.ts'
import type { DriverInfo } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import { Stream } from '../streams/stream.ts'
import { connect, createServer, netOn, Server, Socket } from './net.ts'
import type { TestHost } from './testing/host.ts'
import { makeNetHost } from './testing/net-host.ts'

/** A link whose other end takes everything and says nothing. */
const swallow: DriverInfo<object> = {
  name: 'swallow',
  driver: true,
  hiwat: 65_536,
  lowat: 16_384,
  open: () => ({}),
  close: () => {},
  read: { put: putnext },
  write: { put: (_q, mp) => freemsg(mp) },
}

let host: TestHost
beforeEach(() => {
  host = makeNetHost()
})
afterEach(async () => {
  expect(host.refs()).toBe(0)
  await host.finish()
  expect(host.runtime.programEvents).toBe(0)
})

interface Pair {
  readonly client: Socket
  readonly peer: Socket
}

async function pair(options: object = {}, clientOptions: object = {}): Promise<Pair> {
  const server = createServer(host, options)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const client = connect(host, { host: '127.0.0.1', port: server.address()!.port, ...clientOptions })
  await once(client, 'connect')
  const [peer] = (await accepted) as [Socket]
  server.close()
  return { client, peer }
}

async function finish({ client, peer }: Pair): Promise<void> {
  for (const socket of [client, peer]) socket.on('error', () => {}).destroy()
  for (const socket of [client, peer]) if (!socket.closed) await once(socket, 'close')
  await wait(5)
}

describe('socket/net: what is the kernel’s', () => {
  it('a UNIX path is refused clearly, to connect to and to listen on', async () => {
    const client = connect(host, '/run/some.sock')
    const [error] = await once(client, 'error')
    expect(error).toMatchObject({ code: 'ENOTSUP', syscall: 'connect', address: '/run/some.sock' })
    expect(error.message).toBe('connect ENOTSUP /run/some.sock')
    const server = new Server(host)
    server.listen({ path: '/run/some.sock' })
    expect((await once(server, 'error'))[0].message).toBe(
      'listen ENOTSUP: operation not supported on socket /run/some.sock',
    )
  })

  it.each([{ fd: 3 }, { handle: {} }])('%o of a socket is refused', options => {
    expect(() => new Socket(host, options as object)).toThrow(
      /of the kernel's, which this stack does not have/,
    )
  })

  it('a descriptor to listen on is refused', () => {
    expect(() => new Server(host).listen({ fd: 3 } as object)).toThrow(/of the kernel's/)
    expect(() => new Server(host).listen({ _handle: {} } as object)).toThrow(/of the kernel's/)
  })
})

describe('socket/net: addresses', () => {
  it('without a route the error comes at once, with both ends', async () => {
    const client = connect(host, 9, '192.0.2.1')
    const [error] = await once(client, 'error')
    expect(error).toMatchObject({ code: 'ENETUNREACH', syscall: 'connect', address: '192.0.2.1', port: 9 })
    expect(error.message).toBe('connect ENETUNREACH 192.0.2.1:9 - Local (0.0.0.0:0)')
  })

  it('several addresses without a route: all are tried', async () => {
    const found = [
      { address: '192.0.2.1', family: 4 },
      { address: '2001:db8::1', family: 6 },
    ]
    const lookup: LookupFunction = (_name, _options, callback) => setImmediate(() => callback(null, found))
    const client = connect(host, { port: 9, host: 'nowhere', lookup })
    const failed: unknown[] = []
    client.on('connectionAttemptFailed', (...args) => failed.push(args.slice(0, 3)))
    const [error] = await once(client, 'error')
    expect(error).toBeInstanceOf(AggregateError)
    expect(error).toMatchObject({ code: 'ENETUNREACH' })
    expect(failed).toEqual([
      ['192.0.2.1', 9, 4],
      ['2001:db8::1', 9, 6],
    ])
    expect(client.autoSelectFamilyAttemptedAddresses).toEqual(['192.0.2.1:9', '2001:db8::1:9'])
  })

  it('an address that does not answer in time is given up for the next', async () => {
    const hole = Stream.open(host.runtime, swallow)
    host.stack.attachLink(hole, { name: 'hole0', addresses: ['10.9.0.1/24'], mtu: 1_500 })
    const server = createServer(host, socket => socket.end())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address()!
    const found = ['10.9.0.2', '10.9.0.3', '127.0.0.1'].map(address => ({ address, family: 4 }))
    const lookup: LookupFunction = (_name, _options, callback) => setImmediate(() => callback(null, found))
    const client = connect(host, { port, host: 'slow', lookup, autoSelectFamilyAttemptTimeout: 20 })
    const seen: unknown[] = []
    for (const event of [
      'connectionAttempt',
      'connectionAttemptTimeout',
      'connectionAttemptFailed',
      'connect',
    ])
      client.on(event, (address?: string) => seen.push([event, address]))
    await once(client.resume(), 'close')
    expect(seen).toEqual([
      ['connectionAttempt', '10.9.0.2'],
      ['connectionAttemptTimeout', '10.9.0.2'],
      ['connectionAttempt', '10.9.0.3'],
      ['connectionAttemptTimeout', '10.9.0.3'],
      ['connectionAttempt', '127.0.0.1'],
      ['connect', undefined],
    ])
    const late = connect(host, { port: 9, host: '10.9.0.2', timeout: 30 })
    await once(late, 'timeout')
    expect(late.connecting).toBe(true)
    await once(late.destroy(), 'close')
    await new Promise(resolve => server.close(resolve))
    host.stack.detachLink('hole0')
    hole.close()
  })

  it('localhost is both loopbacks, IPv4 first; other names are for a lookup, of the host or of the socket', async () => {
    const server = createServer(host, socket => socket.end(String(socket.remoteAddress)))
    for (const address of ['127.0.0.1', '::1', '::']) {
      server.listen(0, address)
      await once(server, 'listening')
      const client = connect(host, server.address()!.port)
      const [data] = await once(client, 'data')
      expect(String(data)).toBe(address === '::' ? '::ffff:127.0.0.1' : address)
      await once(client, 'close')
      await new Promise(resolve => server.close(resolve))
    }
    const unknown = connect(host, 9, 'some.name')
    expect((await once(unknown, 'error'))[0]).toMatchObject({ code: 'ENOTFOUND', syscall: 'getaddrinfo' })
    const names: string[] = []
    const lookup: LookupFunction = (name, _options, callback) => {
      names.push(name)
      callback(null, [{ address: '127.0.0.1', family: 4 }])
    }
    const refused = connect({ ...host, lookup }, 9, 'some.name')
    expect((await once(refused, 'error'))[0]).toMatchObject({ code: 'ECONNREFUSED', address: '127.0.0.1' })
    expect(names).toEqual(['some.name'])
  })

  it('a block list, as node:net has it in later versions: of a client, and of a server', async () => {
    const blockList = new BlockList()
    blockList.addSubnet('127.0.0.0', 8)
    const client = new Socket(host).connect({
      port: 9,
      host: '127.0.0.1',
      blockList,
    } as object as NetConnectOpts)
    expect((await once(client, 'error'))[0]).toMatchObject({ code: 'ERR_IP_BLOCKED' })
    const server = createServer(host, { blockList }, () => expect.unreachable())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const dropped = once(server, 'drop')
    const unwanted = connect(host, server.address()!.port, '127.0.0.1')
    unwanted.on('error', () => {}).resume()
    expect((await dropped)[0]).toMatchObject({ remoteAddress: '127.0.0.1', remotePort: unwanted.localPort })
    if (!unwanted.closed) await once(unwanted, 'close')
    await new Promise(resolve => server.close(resolve))
  })

  it('more clients than the backlog holds are served in the end', async () => {
    const server = createServer(host, socket => socket.end('served'))
    server.listen({ port: 0, host: '127.0.0.1', backlog: 2 })
    await once(server, 'listening')
    const clients = Array.from({ length: 5 }, () => connect(host, server.address()!.port, '127.0.0.1'))
    const texts = clients.map(async client => String((await once(client, 'data'))[0]))
    expect(await Promise.all(texts)).toEqual(clients.map(() => 'served'))
    for (const client of clients) if (!client.closed) await once(client, 'close')
    await new Promise(resolve => server.close(resolve))
  })
})

describe('socket/net: what keeps a program running', () => {
  it('a connection that waits for something does, as a handle of libuv; one that is paused does not', async () => {
    const both = await pair()
    expect(host.refs()).toBe(2)
    both.client.unref()
    expect(host.refs()).toBe(1)
    both.client.ref()
    expect(host.refs()).toBe(2)
    await finish(both)
    const paused = await pair({ pauseOnConnect: true })
    expect(host.refs()).toBe(1)
    paused.peer.resume()
    await wait(0)
    expect(host.refs()).toBe(2)
    await finish(paused)
  })

  it('a listener does, until it is closed; unref before listen counts', async () => {
    const server = new Server(host).listen(0, '127.0.0.1')
    await once(server, 'listening')
    expect(host.refs()).toBe(1)
    server.unref()
    expect(host.refs()).toBe(0)
    server.ref()
    await new Promise(resolve => server.close(resolve))
    const quiet = new Server(host).unref().listen(0, '127.0.0.1')
    await once(quiet, 'listening')
    expect(host.refs()).toBe(0)
    await new Promise(resolve => quiet.close(resolve))
  })
})

describe('socket/net: copies', () => {
  it('a Duplex copies once each way, and nothing is copied inside the stack', async () => {
    const both = await pair()
    const { stack, edge } = host.runtime.arena.copies
    const before = [stack.bytes, edge.bytes]
    let received = 0
    both.peer.on('data', data => {
      received += data.length
    })
    const data = Buffer.alloc(1_000_000, 'x')
    for (let i = 0; i < 5; i++) both.client.write(data)
    both.client.cork()
    for (let i = 0; i < 1_000; i++) both.client.write('small ')
    both.client.uncork()
    both.client.end()
    await once(both.peer, 'close')
    expect(received).toBe(5_006_000)
    expect([stack.bytes - before[0]!, edge.bytes - before[1]!]).toEqual([0, 2 * received])
    await finish(both)
  })

  it('getmsg, putmsg and sendOwned copy nothing; what was written before comes first', async () => {
    const both = await pair()
    const { client, peer } = both
    const { arena } = host.runtime
    client.write('written ')
    const message = messageFrom(arena, Buffer.from('message '), 0, 8, 'edge')!
    expect(client.putmsg(message)).toBe(true)
    let released: Uint8Array | undefined
    const own = Buffer.alloc(100_000, 'o')
    const before = arena.copies.edge.bytes
    expect(
      client.sendOwned(own, bytes => {
        released = bytes
      }),
    ).toBe(true)
    client.end()
    const pieces: Buffer[] = []
    peer.takeMessages(() => {
      for (let mp = peer.getmsg(); mp !== null; mp = peer.getmsg()) {
        for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont)
          pieces.push(Buffer.from((bp.bytes as Uint8Array).slice(bp.rptr, bp.wptr)))
        freemsg(mp)
      }
    })
    await once(peer, 'end')
    expect(Buffer.concat(pieces).toString()).toBe(`written message ${own}`)
    expect(arena.copies.edge.bytes).toBe(before)
    expect(arena.copies.stack.bytes).toBe(0)
    expect(peer.bytesRead).toBe(100_016)
    await finish(both)
    expect(released).toBe(own)
  })

  it('messages that nobody takes slow the peer down; what is refused goes on after drain', async () => {
    const both = await pair()
    const { client, peer } = both
    const { arena } = host.runtime
    let held = true
    let received = 0
    const take = (): void => {
      if (held) return
      for (let mp = peer.getmsg(); mp !== null; mp = peer.getmsg()) {
        received += messageBytes(mp)
        freemsg(mp)
      }
    }
    peer.takeMessages(take)
    const chunk = messageFrom(arena, Buffer.alloc(60_000), 0, 60_000, 'edge')!
    let sent = 0
    const send = (): void => {
      while (sent < 12_000_000) {
        const mp = dupmsg(chunk)!
        if (!client.putmsg(mp)) return freemsg(mp)
        sent += 60_000
      }
    }
    let drains = 0
    client.on('drain', () => {
      drains++
      send()
    })
    send()
    await wait(30)
    const sentWhileHeld = sent
    expect(sentWhileHeld).toBeGreaterThan(60_000)
    expect(sentWhileHeld).toBeLessThan(12_000_000)
    held = false
    take()
    for (let i = 0; i < 500 && received < 12_000_000; i++) await wait(2)
    expect([received, sent]).toEqual([12_000_000, 12_000_000])
    expect(drains).toBeGreaterThan(0)
    freemsg(chunk)
    await finish(both)
  })

  it('messages before the connection is there wait for drain, and after its end are refused', async () => {
    const server = createServer(host, socket => socket.resume())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect(host, server.address()!.port, '127.0.0.1')
    const mp = messageFrom(host.runtime.arena, Buffer.from('early'), 0, 5, 'edge')!
    expect(client.putmsg(mp)).toBe(false)
    await once(client, 'drain')
    expect(client.putmsg(mp)).toBe(true)
    client.end()
    await once(client.resume(), 'close')
    expect(() => client.sendOwned(new Uint8Array(1), () => {})).toThrow('Socket is closed')
    expect(client.getmsg()).toBe(null)
    await new Promise(resolve => server.close(resolve))
  })
})

describe('socket/net: little memory', () => {
  it('a stack with an arena of 1 MiB still carries what is written, piece by piece', async () => {
    const small = makeNetHost({ sizeBytes: 1024 * 1024 })
    const server = createServer(small, socket => socket.pipe(socket))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect(small, { port: server.address()!.port, host: '127.0.0.1', allowHalfOpen: true })
    let received = 0
    client.on('data', data => {
      received += data.length
    })
    client.end(Buffer.alloc(3_000_000, 'z'))
    await once(client, 'end')
    expect(received).toBe(3_000_000)
    if (!client.closed) await once(client, 'close')
    await new Promise(resolve => server.close(resolve))
    await small.finish()
  })
})

describe('socket/net: the stack is taken away', () => {
  it('its sockets fail and close; its servers can be closed', async () => {
    const other = makeNetHost()
    const server = createServer(other, socket => socket.on('error', () => {}).resume())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect(other, server.address()!.port, '127.0.0.1').resume()
    await once(client, 'connect')
    await wait(5)
    const failed = once(client, 'error')
    const ended = new Promise(resolve => client.once('close', resolve))
    other.stack.close()
    other.settle()
    expect((await failed)[0]).toMatchObject({ syscall: 'read' })
    expect(await ended).toBe(true)
    expect(await new Promise(resolve => server.close(resolve))).toBeUndefined()
    const late = connect(other, 9, '127.0.0.1')
    expect((await once(late, 'error'))[0]).toMatchObject({ syscall: 'connect' })
    expect(other.refs()).toBe(0)
    await other.finish()
  })

  it('what is set on a connection that is over changes nothing, and throws nothing', async () => {
    const both = await pair({ pauseOnConnect: true })
    both.client.resetAndDestroy()
    await once(both.client, 'close')
    await wait(5)
    expect(both.peer.setNoDelay().setKeepAlive(true, 1_000).destroyed).toBe(false)
    await finish(both)
  })
})

describe('socket/net: the module for one stack', () => {
  it('has what node:net has', async () => {
    const { default: theirs } = await import('node:net')
    const ours = netOn(host)
    const missing = Object.keys(theirs).filter(name => !(name in ours))
    expect(missing).toEqual([])
    expect(new ours.Socket()).toBeInstanceOf(Socket)
    expect(new ours.Server()).toBeInstanceOf(Server)
  })

  it('a socket has every member that one of node:net has, save what is of the kernel or of Node’s inside', async () => {
    const { default: theirs } = await import('node:net')
    const membersOf = (start: object, end: object): string[] => {
      const names = new Set<string>()
      for (let at = start; at !== end; at = Object.getPrototypeOf(at))
        for (const name of Object.getOwnPropertyNames(at)) names.add(name)
      return [...names]
    }
    const ours = new Set(membersOf(new Socket(host), Object.prototype))
    const inside = /^_/
    const lacking = membersOf(new theirs.Socket(), Object.prototype).filter(
      name => !ours.has(name) && !inside.test(name),
    )
    expect(lacking).toEqual([])
  })
})
