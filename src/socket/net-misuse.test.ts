/** Calls that can only be meant otherwise: they are told at once, with what was meant. */
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import * as exported from './net.ts'
import { connect, createServer, netOn, Server, Socket } from './net.ts'
import type { TestHost } from './testing/host.ts'
import { makeNetHost } from './testing/net-host.ts'

type Call = (...args: unknown[]) => unknown
const wrongType = (message: string | RegExp): object =>
  expect.objectContaining({
    name: 'TypeError',
    code: 'ERR_INVALID_ARG_TYPE',
    message: expect.stringMatching(message),
  })

describe('putnext/net without its first argument', () => {
  it.each<[string, Call]>([
    ['connect(port, host)', () => (connect as Call)(7_000, '10.0.0.1')],
    ['connect(options)', () => (connect as Call)({ port: 7_000, host: '10.0.0.1' })],
    ['connect of a name', () => (connect as Call)('n1', 7_000)],
    ['connect of null', () => (connect as Call)(null, 7_000)],
    ['connect of nothing', () => (connect as Call)()],
    ['createServer(listener)', () => (createServer as Call)(() => {})],
    ['createServer(options)', () => (createServer as Call)({ allowHalfOpen: true })],
    ['new Socket(options)', () => new Socket({ allowHalfOpen: true } as never)],
    ['new Server(listener)', () => new Server((() => {}) as never)],
    ['netOn of an object', () => (netOn as Call)({})],
    ['netOn of a name', () => (netOn as Call)('n1')],
    ['netOn of a runtime that is none', () => (netOn as Call)({ runtime: {} })],
    ['createAgent(options)', () => (exported.createAgent as Call)({ keepAlive: true })],
    ['createSecureAgent()', () => (exported.createSecureAgent as Call)()],
    ['connectTls(options)', () => (exported.connectTls as Call)({ port: 443 })],
    ['createUndiciConnector()', () => (exported.createUndiciConnector as Call)()],
  ])('%s says that the stack comes first', (_name, call) => {
    expect(call).toThrow(wrongType(/^the first argument is the stack: .*\(node.*Received/))
  })

  it('connect names both ways out', () => {
    expect(() => (connect as Call)(7_000, '10.0.0.1')).toThrow(
      'the first argument is the stack: connect(node, port, host), or use netOn(node). Received type number (7000)',
    )
  })
})

describe('putnext/net on a stack that was closed', () => {
  it('connect and listen say so', async () => {
    const node = makeNetHost()
    node.stack.close()
    const [refused] = await once(connect(node, 7_000, '10.0.0.1'), 'error')
    expect(refused).toMatchObject({
      code: 'ENETDOWN',
      syscall: 'connect',
      cause: { code: 'ERR_NETWORK_DOWN' },
    })
    expect(refused.message).toMatch(/^connect ENETDOWN 10\.0\.0\.1:7000 .*\(the stack is closed\)$/)
    const [deaf] = await once(createServer(node).listen(7_000), 'error')
    expect(deaf).toMatchObject({ code: 'ENETDOWN', syscall: 'listen' })
    expect(deaf.message).toMatch(/\(the stack is closed\)$/)
    await node.finish()
  })
})

describe('putnext/net: the calls without copies', () => {
  let host: TestHost
  let sockets: Socket[] = []
  beforeEach(async () => {
    host = makeNetHost()
    const server = createServer(host).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const accepted = once(server, 'connection')
    const client = connect(host, server.address()!.port, '127.0.0.1')
    await once(client, 'connect')
    sockets = [client, ...((await accepted) as [Socket])]
    server.close()
  })
  afterEach(async () => {
    for (const socket of sockets) {
      socket.destroy()
      if (!socket.closed) await once(socket, 'close')
    }
    await new Promise(resolve => setTimeout(resolve, 5))
    await host.finish()
  })

  const wrong: [string, (socket: Socket) => unknown, RegExp][] = [
    [
      'takeMessages()',
      socket => (socket.takeMessages as Call)(),
      /^The "callback" argument must be of type function/,
    ],
    ['takeMessages(null)', socket => (socket.takeMessages as Call)(null), /Received null$/],
    ['putmsg(null)', socket => (socket.putmsg as Call)(null), /^The "mp" argument must be a message/],
    ['putmsg(Buffer)', socket => (socket.putmsg as Call)(Buffer.from('x')), /an instance of Buffer$/],
    [
      'sendOwned of a string',
      socket => (socket.sendOwned as Call)('x', () => {}),
      /^The "bytes" argument must be/,
    ],
    [
      'sendOwned of wide numbers',
      socket => (socket.sendOwned as Call)(new Uint16Array(1), () => {}),
      /Uint16Array$/,
    ],
    [
      'sendOwned without onReleased',
      socket => (socket.sendOwned as Call)(Buffer.alloc(1)),
      /^The "onReleased" argument/,
    ],
  ]

  it.each(wrong)('%s throws', (_name, call, message) => {
    expect(() => call(sockets[0]!)).toThrow(wrongType(message))
  })

  it.each(wrong)(
    '%s throws on a socket that is full, too, and on one that still connects',
    (_name, call, message) => {
      const [full] = sockets as [Socket]
      while (full.sendOwned(Buffer.alloc(65_536), () => {}));
      expect(() => call(full)).toThrow(wrongType(message))
      const early = connect(host, 9, '127.0.0.1').on('error', () => {})
      sockets.push(early)
      expect(() => call(early)).toThrow(wrongType(message))
    },
  )

  it.each(wrong.slice(3))('%s throws at the connection below, too', (_name, call, message) => {
    const { runtime } = host
    const connection = exported.TcpConnection.connect(runtime, { address: '127.0.0.1', port: 9 })
    expect(() => call(connection as unknown as Socket)).toThrow(wrongType(message))
    connection.close()
  })

  it('takeMessages wins over `data`, which gets nothing from then on', async () => {
    const [client, peer] = sockets as [Socket, Socket]
    const data: string[] = []
    peer.on('data', chunk => data.push(String(chunk)))
    client.write('first')
    while (data.length === 0) await new Promise(setImmediate)
    const taken = new Promise<number>(resolve => {
      peer.takeMessages(() => {
        const mp = peer.getmsg()
        if (mp !== null) {
          resolve(mp.wptr - mp.rptr)
          freemsg(mp)
        }
      })
    })
    client.write('second one')
    expect(await taken).toBe('second one'.length)
    expect(data).toEqual(['first'])
  })
})

it('what a program took and did not free is named as its own', async () => {
  const host = makeNetHost()
  const server = createServer(host).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const client = connect(host, server.address()!.port, '127.0.0.1')
  const [peer] = (await accepted) as [Socket]
  const taken = new Promise<Mblk>(resolve => {
    peer.takeMessages(() => {
      const mp = peer.getmsg()
      if (mp !== null) resolve(mp)
    })
  })
  client.write('kept')
  const mp = await taken
  expect(host.runtime.arena.state().holders.join()).toContain('a program that took it with getmsg')
  freemsg(mp)
  server.close()
  for (const socket of [client, peer]) socket.destroy()
  for (const socket of [client, peer]) if (!socket.closed) await once(socket, 'close')
  await host.finish()
})

it('putnext/net exports what the guide names, and no part of its own works', () => {
  expect(Object.keys(exported).sort()).toEqual([
    ...[
      'Server',
      'Socket',
      'TcpConnection',
      'TcpListener',
      'connect',
      'connectTls',
      'createAgent',
      'createConnection',
    ],
    ...['createSecureAgent', 'createServer', 'createUndiciConnector', 'netOn', 'serve'],
  ])
})
