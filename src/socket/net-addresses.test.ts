/** How our stream sockets find whom to connect to, where no scenario can compare it with node:net. */
import { once } from 'node:events'
import { BlockList, type LookupFunction, type NetConnectOpts } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { DriverInfo } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import { Stream } from '../streams/stream.ts'
import { connect, createServer, Socket } from './net.ts'
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
  expect(host.runtime.scheduler.programEvents).toBe(0)
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
