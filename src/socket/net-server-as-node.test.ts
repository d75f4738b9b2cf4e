/** See `testing/compare-net.ts`: what a program sees of a server is the same on node:net and on ours. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import {
  close,
  closed,
  listen,
  type Module,
  runOnBoth,
  type Scenarios,
  type Server,
  state,
  thrown,
  turn,
  watch,
} from './testing/compare-net.ts'

const events = (log: { add(who: string, ...what: unknown[]): void }, who: string, server: Server): Server => {
  for (const name of ['listening', 'close'])
    server.on(name, (...args: unknown[]) => log.add(who, name, ...args, server.listening))
  server.on('error', error => log.add(who, 'error', error))
  return server
}

/** A client that is connected, and its other end. */
async function joined(
  module: Module,
  server: Server,
): Promise<{ client: InstanceType<Module['Socket']>; peer: InstanceType<Module['Socket']> }> {
  const { port } = server.address() as AddressInfo
  const accepted = once(server, 'connection')
  const client = module.connect(port, '127.0.0.1')
  await once(client, 'connect')
  const [peer] = await accepted
  return { client, peer }
}

const scenarios: Scenarios = {
  'listening: order of events, and what can be asked': async (module, log) => {
    const server = events(log, 'server', module.createServer())
    log.add('server', server.listening, server.address(), server.maxConnections)
    log.add('server', server.listen(0, '127.0.0.1', () => log.add('server', 'callback')) === server)
    log.add('server', 'after the call', server.listening, server.address() !== null)
    await once(server, 'listening')
    log.add('server', server.address())
    log.add('server', server.close(error => log.add('server', 'closed', error)) === server, server.listening)
    log.add('server', server.address())
    await once(server, 'close')
  },

  'listen: all its forms': async (module, log) => {
    for (const args of [
      [],
      [null],
      [undefined],
      [0],
      ['0'],
      [0, '127.0.0.1'],
      [0, '127.0.0.1', 5],
      [0, 5],
      [0, '::1'],
      [{ port: 0 }],
      [{ port: undefined }],
      [{ port: null }],
      [{ port: 0, host: '127.0.0.1', backlog: 5, exclusive: true }],
      [{ port: 0, host: '::' }],
      [{ port: 0, host: '::', ipv6Only: true }],
      [{ port: 0, host: '0.0.0.0' }],
      [{ port: '0', host: '' }],
    ]) {
      const server = module.createServer()
      let called = 0
      ;(server.listen as (...all: unknown[]) => void)(...args, () => called++)
      await once(server, 'listening')
      const { address, family } = server.address() as AddressInfo
      log.add('server', called, address, family)
      await close(server)
    }
  },

  'listen: what is wrong': async (module, log) => {
    for (const args of [
      [-1],
      [65_536],
      [1.5],
      [Number.NaN],
      [{}],
      [{ port: -1 }],
      [{ port: 'x' }],
      [{ port: {} }],
      [{ port: true }],
      [{ path: 5 }],
      [{ path: '' }],
      [{ host: 'a' }],
      [{ port: 0, signal: 5 }],
      [true],
      [false],
    ]) {
      const server = module.createServer()
      server.on('error', error => log.add('later', error))
      log.add(
        'thrown',
        thrown(() => (server.listen as (...all: unknown[]) => void)(...args)),
      )
      log.add('thrown', server.listening)
      server.close()
    }
  },

  'what is wrong with its options': async (module, log) => {
    for (const options of [
      'x',
      5,
      true,
      { keepAliveInitialDelay: 'a' },
      { highWaterMark: 'a' },
      { keepAliveInitialDelay: -1 },
      { highWaterMark: -1 },
      null,
      {},
    ])
      log.add(
        'server',
        thrown(() => module.createServer(options as object)),
      )
    const server = module.createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 5_500,
      highWaterMark: 7,
    }) as unknown as Record<string, unknown>
    const { allowHalfOpen, pauseOnConnect, noDelay, keepAlive, keepAliveInitialDelay, highWaterMark } = server
    log.add('server', {
      allowHalfOpen,
      pauseOnConnect,
      noDelay,
      keepAlive,
      keepAliveInitialDelay,
      highWaterMark,
    })
    const called = (module.Server as unknown as (listener?: unknown) => Server)(() => {})
    log.add('server', called instanceof module.Server, called.listenerCount('connection'))
  },

  'listen: twice, and again': async (module, log) => {
    const server = events(log, 'server', module.createServer())
    server.listen(0, '127.0.0.1')
    log.add(
      'server',
      thrown(() => server.listen(0, '127.0.0.1')),
    )
    await once(server, 'listening')
    log.add(
      'server',
      thrown(() => server.listen(0, '127.0.0.1')),
    )
    await close(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    await close(server)
  },

  'an address that is taken, or is not ours': async (module, log) => {
    const first = module.createServer()
    const port = await listen(log, first)
    for (const args of [
      [port, '127.0.0.1'],
      [port],
      [port, '0.0.0.0'],
      [0, '203.0.113.77'],
      [0, '2001:db8::77'],
      [{ port, host: '127.0.0.1' }],
    ]) {
      const server = events(log, 'server', module.createServer())
      ;(server.listen as (...all: unknown[]) => void)(...args)
      await once(server, 'error').catch(() => {})
      log.add('server', server.listening, server.address())
      // And it may try again.
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      await close(server)
    }
    await close(first)
  },

  'the port is free again at once': async (module, log) => {
    const first = module.createServer(peer => peer.end())
    const port = await listen(log, first)
    const client = module.connect(port, '127.0.0.1')
    await closed(client.resume())
    await close(first)
    const second = events(log, 'second', module.createServer())
    second.listen(port, '127.0.0.1')
    await once(second, 'listening')
    await close(second)
  },

  'close: without listening, twice': async (module, log) => {
    const server = events(log, 'server', module.createServer())
    server.close(error => log.add('server', 'not running', error))
    await turn(0)
    await listen(log, server)
    server.close(error => log.add('server', 'first', error))
    server.close(error => log.add('server', 'second', error))
    await turn(0)
  },

  'close: waits for the connections': async (module, log) => {
    const server = events(log, 'server', module.createServer())
    await listen(log, server)
    const { client, peer } = await joined(module, server)
    server.close(error => log.add('server', 'closed', error))
    await turn()
    log.add('server', 'still', server.listening)
    server.getConnections((error, count) => log.add('server', error, count))
    client.end()
    await Promise.all([closed(client.resume()), closed(peer.resume())])
    await turn()
    server.getConnections((error, count) => log.add('server', error, count))
    await turn(0)
  },

  'close: at once after listen, and in its callback': async (module, log) => {
    const server = events(log, 'server', module.createServer())
    server.listen(0, '127.0.0.1')
    server.close()
    await turn()
    log.add('server', server.listening)
    server.listen(0, '127.0.0.1', () => server.close())
    await turn()
    log.add('server', server.listening)
    server.listen(0)
    server.close()
    await turn()
    log.add('server', server.listening)
  },

  'close: whoever comes then is refused': async (module, log) => {
    const server = module.createServer()
    const port = await listen(log, server)
    const { client, peer } = await joined(module, server)
    server.close()
    const late = watch(log, 'late', module.connect(port, '127.0.0.1'))
    await closed(late)
    client.end()
    await Promise.all([closed(client.resume()), closed(peer.resume())])
  },

  'connection: what its socket is': async (module, log) => {
    const server = module.createServer(function (this: unknown, peer) {
      log.add('server', this === server, (peer as unknown as { server: unknown }).server === server)
      log.add('server', state(peer), peer instanceof module.Socket)
      watch(log, 'server', peer)
      peer.end()
    })
    const port = await listen(log, server)
    const client = module.connect(port, '127.0.0.1')
    await closed(client.resume())
    await close(server)
  },

  'connections: each is told, in order': async (module, log) => {
    let count = 0
    const server = module.createServer(peer => {
      log.add('server', 'connection', ++count)
      process.nextTick(() => log.add('server', 'tick', count))
      peer.end(String(count))
    })
    const port = await listen(log, server)
    const clients = Array.from({ length: 20 }, () => module.connect(port, '127.0.0.1').resume())
    await Promise.all(clients.map(closed))
    log.add('server', count)
    await close(server)
  },

  'maxConnections and drop': async (module, log) => {
    const server = module.createServer(peer => peer.resume())
    server.on('drop', data => log.add('server', 'drop', data))
    server.maxConnections = 1
    await listen(log, server)
    const { client, peer } = await joined(module, server)
    const { port } = server.address() as AddressInfo
    const dropped = module.connect(port, '127.0.0.1')
    dropped.on('error', () => {})
    await closed(dropped.resume())
    server.getConnections((error, count) => log.add('server', error, count))
    client.end()
    await Promise.all([closed(client.resume()), closed(peer)])
    const next = await joined(module, server)
    next.client.end()
    await Promise.all([closed(next.client.resume()), closed(next.peer)])
    await close(server)
  },

  'IPv4 clients of a server of both families': async (module, log) => {
    const server = module.createServer(peer => {
      log.add('server', state(peer))
      peer.end()
    })
    const port = await listen(log, server, '::')
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
      const client = module.connect(port, address)
      client.on('connect', () => log.add('client', state(client)))
      await closed(client.resume())
    }
    await close(server)
  },

  ipv6Only: async (module, log) => {
    const server = module.createServer(peer => peer.end())
    server.listen({ port: 0, host: '::', ipv6Only: true })
    await once(server, 'listening')
    const port = log.port((server.address() as AddressInfo).port)
    for (const address of ['127.0.0.1', '::1']) {
      const client = watch(log, 'client', module.connect(port, address).resume())
      await closed(client)
    }
    await close(server)
  },

  'a signal ends it': async (module, log) => {
    const before = events(log, 'before', module.createServer())
    before.listen({ port: 0, host: '127.0.0.1', signal: AbortSignal.abort() })
    await turn()
    log.add('before', before.listening)
    const controller = new AbortController()
    const server = events(log, 'server', module.createServer())
    server.listen({ port: 0, host: '127.0.0.1', signal: controller.signal })
    await once(server, 'listening')
    controller.abort()
    log.add('server', server.listening)
    await once(server, 'close')
  },

  dispose: async (module, log) => {
    const server = events(log, 'server', module.createServer())
    await server[Symbol.asyncDispose]()
    await listen(log, server)
    await server[Symbol.asyncDispose]()
    log.add('server', server.listening)
  },

  'ref and unref': async (module, log) => {
    const server = module.createServer()
    log.add('server', server.unref() === server, server.ref() === server)
    await listen(log, server)
    log.add('server', server.unref() === server, server.ref() === server)
    await close(server)
  },

  'an error of a socket is not the server’s': async (module, log) => {
    const server = events(
      log,
      'server',
      module.createServer(peer => watch(log, 'peer', peer).resume()),
    )
    await listen(log, server)
    const { client, peer } = await joined(module, server)
    client.resetAndDestroy()
    await closed(peer)
    const again = await joined(module, server)
    again.client.end()
    await closed(again.peer)
    await close(server)
  },

  'a name to listen on': async (module, log) => {
    const server = events(log, 'server', module.createServer())
    server.listen(0, 'localhost')
    log.add('server', server.listening)
    await once(server, 'listening')
    log.add('server', (server.address() as AddressInfo).port > 0)
    await close(server)
    server.listen(0, 'localhost')
    server.close()
    await turn(10)
    log.add('server', server.listening)
    server.listen(0, 'no-such-name.invalid')
    const [error] = await once(server, 'error').catch(reason => [reason])
    log.add('server', (error as NodeJS.ErrnoException).syscall)
  },
}

describe('socket/net: a server is as node:net has it', () => {
  it.each(Object.entries(scenarios))('%s', async (_name, scenario) => {
    const { theirs, ours, refs } = await runOnBoth(scenario)
    expect(ours).toEqual(theirs)
    expect(Object.keys(theirs as object).length).toBeGreaterThan(0)
    expect(refs).toBe(0)
  })
})
