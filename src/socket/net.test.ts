/** What our stream sockets do that node:net has no like of, or that no scenario can compare. */
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StackError } from '../base/errors.ts'
import { Listening } from '../inet/tcp/listening.ts'
import { dupmsg, freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { messageFrom } from '../streams/mblk/pullup.ts'
import { putnext } from '../streams/putnext.ts'
import { connect, createServer, netOn, Server, Socket, TcpConnection } from './net.ts'
import type { TestHost } from './testing/host.ts'
import { makeNetHost } from './testing/net-host.ts'

let host: TestHost
beforeEach(() => {
  host = makeNetHost()
})
afterEach(async () => {
  expect(host.refs()).toBe(0)
  await host.finish()
  expect(host.runtime.scheduler.programEvents).toBe(0)
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

describe('socket/net: what was reset before it was accepted', () => {
  // As Linux and node:net: it is accepted all the same, what came before is read, and then comes the error.
  it('is a connection whose data comes, and then ECONNRESET', async () => {
    const server = createServer(host).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = TcpConnection.connect(host.runtime, { address: '127.0.0.1', port: server.address()!.port })
    client.onConnect = () => {
      client.write(Buffer.from('in front of it'))
    }
    // The event loop is busy elsewhere until it has all happened.
    const listener = [...host.runtime.streams].find(({ bottom }) => bottom.state instanceof Listening)!
    const { listener: line } = listener.bottom.state as Listening
    while (line.waiting === 0) host.settle()
    client.abort()
    host.settle()
    expect(line.waiting).toBe(1)
    const { tcp } = (listener.bottom.state as Listening).transport
    expect(tcp.counters['ended-unaccepted']).toBe(1)
    const [peer] = (await once(server, 'connection')) as [Socket]
    expect(peer.remoteAddress).toBeUndefined()
    let text = ''
    peer.on('data', data => {
      text += data
    })
    const [error] = await once(peer, 'error')
    expect(error).toMatchObject({ code: 'ECONNRESET', syscall: 'read' })
    expect(text).toBe('in front of it')
    server.close()
    await once(server, 'close')
  })
})

describe('socket/net: a server whose program fails', () => {
  /** What surfaced as an exception that nobody caught, while `action` ran. */
  async function uncaughtDuring(action: () => Promise<void>): Promise<string[]> {
    const messages: string[] = []
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', error => messages.push(error.message))
    try {
      await action()
    } finally {
      process.removeAllListeners('uncaughtException')
      for (const each of others) process.on('uncaughtException', each)
    }
    return messages
  }

  /** Connects one after the other, and waits until each was heard of. */
  async function connectThree(server: Server): Promise<void> {
    const { port } = server.address()!
    for (let i = 0; i < 3; i++) {
      const client = connect(host, port, '127.0.0.1')
      client.on('error', () => {})
      await once(client, 'connect')
      await wait(5)
      client.destroy()
      if (!client.closed) await once(client, 'close')
    }
  }

  const peers = new Set<Socket>()
  afterEach(() => {
    peers.clear()
  })

  it('a listener of "connection" that throws does not keep the next connection waiting', async () => {
    const server = createServer(host, peer => {
      peers.add(peer.on('error', () => {}))
      if (peers.size < 3) throw new Error(`number ${peers.size}`)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    expect(await uncaughtDuring(() => connectThree(server))).toEqual(['number 1', 'number 2'])
    expect(peers.size).toBe(3)
    for (const peer of peers) peer.destroy()
    server.close()
    await once(server, 'close')
  })

  it.each([
    [true, ['accept EPROTO', 'accept EPROTO'], []],
    [false, [], ['accept EPROTO', 'accept EPROTO']],
  ])(
    'a connection that a module refuses is an error of the server; the next is served (a listener of "error": %s)',
    async (listens, told, uncaught) => {
      let opened = 0
      host.runtime.registry.register({
        name: 'picky',
        hiwat: 65_536,
        lowat: 16_384,
        open() {
          // Who connects has the first, who accepts the second.
          if (++opened === 2 || opened === 4) throw new StackError('ERR_MODULE_FAULT', 'not this one')
          return null
        },
        close: () => {},
        read: { put: putnext },
        write: { put: putnext },
      })
      const errors: string[] = []
      const server = createServer(host, peer => peers.add(peer.on('error', () => {})))
      if (listens) server.on('error', error => errors.push(error.message))
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      host.runtime.registry.setAutopush('tcp', [{ module: 'picky' }])
      expect(await uncaughtDuring(() => connectThree(server))).toEqual(uncaught)
      expect(errors).toEqual(told)
      expect(peers.size).toBe(1)
      for (const peer of peers) peer.destroy()
      server.close()
      await once(server, 'close')
    },
  )
})
