/** See `testing/compare-net.ts`: what a program sees of a socket that connects is the same on node:net and on ours. */
import { once } from 'node:events'
import type { LookupFunction } from 'node:net'
import { describe, expect, it } from 'vitest'
import {
  close,
  closed,
  listen,
  runOnBoth,
  type Scenarios,
  state,
  thrown,
  turn,
  watch,
} from './testing/compare-net.ts'

const answer =
  (...all: { address: string; family: number }[]): LookupFunction =>
  (_name, options, callback) => {
    if (options.all) setImmediate(callback, null, all)
    else setImmediate(callback, null, all[0]!.address, all[0]!.family)
  }
const V4 = { address: '127.0.0.1', family: 4 }

const scenarios: Scenarios = {
  'order of events, and what can be asked at each': async (module, log) => {
    const server = module.createServer(peer => {
      log.add('server', state(peer))
      peer.end('x')
    })
    const port = await listen(log, server)
    const client = new module.Socket()
    log.add('client', state(client))
    watch(log, 'client', client)
    for (const name of ['connect', 'ready', 'end', 'close'])
      client.on(name, () => log.add('client', `at ${name}`, state(client)))
    log.add('client', client.connect(port, '127.0.0.1', () => log.add('client', 'callback')) === client)
    log.add('client', 'after the call', state(client))
    client.on('data', data => log.add('client', 'data', String(data), client.bytesRead))
    await closed(client)
    log.add('client', state(client))
    await close(server)
  },

  'refused: the error, and the events': async (module, log) => {
    const server = module.createServer()
    const port = await listen(log, server)
    await close(server)
    const client = watch(log, 'client', module.connect(port, '127.0.0.1'))
    client.on('error', () => log.add('client', 'at error', state(client)))
    await closed(client)
    log.add('client', state(client))
  },

  'refused on IPv6': async (module, log) => {
    const server = module.createServer()
    const port = await listen(log, server, '::1')
    await close(server)
    const client = watch(log, 'client', module.connect(port, '::1'))
    await closed(client)
  },

  'all overloads': async (module, log) => {
    const server = module.createServer(peer => peer.end())
    const port = await listen(log, server)
    for (const args of [
      [port, '127.0.0.1'],
      [`${port}`, '127.0.0.1'],
      [{ port, host: '127.0.0.1' }],
      [{ port: `${port}`, host: '127.0.0.1', family: 6 }],
      [{ port, host: 'somewhere', lookup: answer(V4) }],
    ]) {
      let called = 0
      const client = (module.connect as (...all: unknown[]) => ReturnType<typeof module.connect>)(
        ...args,
        () => called++,
      )
      await closed(client.resume())
      log.add('client', called)
    }
    await close(server)
  },

  'arguments that are wrong': async (module, log) => {
    for (const args of [
      [],
      [null],
      [undefined],
      [{}],
      [{ host: 'a' }],
      [-1],
      [65_536],
      [1.5],
      [Number.NaN],
      [{ port: true }],
      [{ port: null }],
      [{ port: '' }],
      [{ port: ' ' }],
      [{ port: '0x50x' }],
      [{ port: {} }],
      [{ port: 1, localAddress: 'nowhere' }],
      [{ port: 1, localPort: '5' }],
      [{ port: 1, host: 'a', lookup: 'no' }],
      [{ port: 1, host: 'a', lookup: 1 }],
      [{ port: 1, autoSelectFamily: 1 }],
      [{ port: 1, autoSelectFamilyAttemptTimeout: 'a' }],
      [{ port: 1, autoSelectFamilyAttemptTimeout: 0 }],
      [{ port: 1, autoSelectFamilyAttemptTimeout: 1.5 }],
      [{ path: 7 }],
    ]) {
      const socket = new module.Socket()
      socket.on('error', error => log.add('later', args, error))
      log.add(
        'thrown',
        args,
        thrown(() => (socket.connect as (...all: unknown[]) => void)(...args)),
      )
      log.add('thrown', socket.connecting)
      socket.destroy()
    }
    for (const options of [
      { objectMode: true },
      { readableObjectMode: true },
      { writableObjectMode: true },
      { keepAliveInitialDelay: 'a' },
      { keepAliveInitialDelay: -5 },
      { highWaterMark: -5 },
      { readableHighWaterMark: 'a' },
      { onread: 5 },
      { signal: 5 },
      { signal: {} },
      null,
    ])
      log.add(
        'constructor',
        thrown(() => new module.Socket(options as object)),
      )
  },

  'destroyed on the way': async (module, log) => {
    const server = module.createServer(peer => peer.on('error', () => {}).resume())
    const port = await listen(log, server)
    const at = { port, host: '127.0.0.1' }
    const named = { port, host: 'a.name', lookup: answer(V4) }
    for (const [who, options, error] of [
      ['at once', at],
      ['at once, error', at, new Error('mine')],
      ['during lookup', named],
      ['during lookup, error', named, new Error('mine')],
    ] as const) {
      const client = watch(log, who, module.connect(options))
      log.add(who, client.destroy(error) === client, state(client))
      await closed(client)
      await turn()
    }
    for (const name of ['lookup', 'connect', 'ready']) {
      const client = watch(log, name, module.connect(named))
      client.on(name, () => client.destroy())
      await closed(client)
      log.add(name, state(client))
    }
    await close(server)
  },

  'written and ended before it is connected': async (module, log) => {
    const server = module.createServer(peer => {
      peer.setEncoding('utf8').on('data', data => log.add('server', data))
    })
    const port = await listen(log, server)
    const client = new module.Socket()
    watch(log, 'client', client)
    client.connect(port, '127.0.0.1')
    log.add(
      'client',
      client.write('one', () => log.add('client', 'one written')),
      state(client),
    )
    log.add(
      'client',
      client.write('zwei ü', 'utf8', () => log.add('client', 'two written')),
      state(client),
    )
    client.end('three', () => log.add('client', 'ended'))
    log.add('client', state(client))
    await closed(client.resume())
    await close(server)
  },

  'written before a connection that is refused': async (module, log) => {
    const server = module.createServer()
    const port = await listen(log, server)
    await close(server)
    const client = module.connect(port, '127.0.0.1')
    client.write('one', error => log.add('client', 'one', error))
    client.write('two', error => log.add('client', 'two', error))
    client.end((error?: Error) => log.add('client', 'end', error))
    watch(log, 'client', client)
    await closed(client)
    await turn()
  },

  'a socket that was never connected': async (module, log) => {
    const use = async (
      who: string,
      action: (socket: InstanceType<typeof module.Socket>) => unknown,
    ): Promise<void> => {
      const socket = watch(log, who, new module.Socket())
      log.add(
        who,
        thrown(() => action(socket)),
      )
      await turn(0)
      log.add(who, state(socket))
      if (!socket.destroyed) socket.destroy()
      await turn(0)
    }
    await use('write', socket => socket.write('x', error => log.add('write', 'callback', error)))
    await use('end', socket => socket.end('x', () => log.add('end', 'callback')))
    await use('end, no data', socket => socket.end())
    await use('destroy', socket => socket.destroy())
    await use('destroy, error', socket => socket.destroy(new Error('mine')))
    await use('destroySoon', socket => socket.destroySoon())
    await use('resetAndDestroy', socket => socket.resetAndDestroy())
    await use('pause', socket => socket.pause().resume())
    await use('options', socket => socket.setNoDelay().setKeepAlive(true, 5).setTimeout(0).ref().unref())
    await use('names', socket => log.add('names', socket.address(), socket.remoteAddress, socket.localPort))
  },

  'connected again after the end': async (module, log) => {
    const server = module.createServer(peer => peer.end('hello'))
    const port = await listen(log, server)
    const client = watch(log, 'client', new module.Socket())
    client.on('data', data => log.add('client', 'data', String(data)))
    for (let i = 0; i < 3; i++) {
      client.connect(port, '127.0.0.1')
      log.add('client', state(client))
      await closed(client)
      log.add('client', state(client), Object.hasOwn(client, 'write'))
    }
    await close(server)
  },

  'connected again after it was refused': async (module, log) => {
    const server = module.createServer(peer => peer.end('hello'))
    const port = await listen(log, server)
    await close(server)
    const client = watch(log, 'client', new module.Socket())
    client.on('data', data => log.add('client', 'data', String(data)))
    client.connect(port, '127.0.0.1')
    await closed(client)
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    client.connect(port, '127.0.0.1')
    await closed(client)
    log.add('client', state(client))
    await close(server)
  },

  'a local address and port': async (module, log) => {
    const server = module.createServer(peer => {
      log.add('server', peer.remoteAddress)
      peer.end()
    })
    const port = await listen(log, server)
    const client = module.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.1' })
    await closed(client.resume())
    for (const localAddress of ['203.0.113.77', '::1', '2001:db8::77']) {
      const failing = watch(log, 'failing', module.connect({ port, host: '127.0.0.1', localAddress }))
      await closed(failing)
    }
    const inUse = watch(log, 'in use', module.connect({ port, host: '127.0.0.1', localPort: port }))
    await closed(inUse)
    await close(server)
  },

  'a local port in the error of a connection that is refused': async (module, log) => {
    const [first, second] = [module.createServer(), module.createServer()]
    const port = await listen(log, first)
    const localPort = await listen(log, second)
    await close(first, second)
    const options = { port, host: '127.0.0.1', localAddress: '127.0.0.1', localPort }
    await closed(watch(log, 'client', module.connect(options)))
  },

  'a signal that is aborted': async (module, log) => {
    const server = module.createServer(peer => peer.on('error', () => {}).resume())
    const port = await listen(log, server)
    const at = { port, host: '127.0.0.1' }
    const during = new AbortController()
    const client = watch(log, 'during', module.connect({ ...at, signal: during.signal }))
    during.abort()
    await closed(client)
    const later = new AbortController()
    const connected = watch(log, 'later', module.connect({ ...at, signal: later.signal }))
    await once(connected, 'connect')
    later.abort(new Error('why'))
    await closed(connected)
    log.add('later', state(connected))
    await close(server)
  },

  'a signal that was aborted before': async (module, log) => {
    const socket = watch(log, 'socket', new module.Socket({ signal: AbortSignal.abort() }))
    log.add('socket', state(socket))
    await turn(0)
    log.add('socket', state(socket))
    socket.destroy()
    await turn(0)
  },

  'what a socket is': async (module, log) => {
    const socket = new module.Socket()
    const { Duplex, Readable, Writable } = await import('node:stream')
    log.add('socket', socket instanceof Duplex, socket instanceof Readable, socket instanceof Writable)
    log.add(
      'socket',
      socket instanceof module.Socket,
      socket instanceof (module as unknown as { Stream: typeof module.Socket }).Stream,
    )
    const called = (module.Socket as unknown as (options?: object) => typeof socket)({ allowHalfOpen: true })
    log.add('socket', called instanceof module.Socket, called.allowHalfOpen)
    class Mine extends module.Socket {
      mine = 1
    }
    log.add('socket', new Mine() instanceof Mine, new Mine() instanceof module.Socket, new Mine().mine)
    log.add('socket', socket.readableHighWaterMark, socket.writableHighWaterMark, socket.readableObjectMode)
    log.add('module', module.isIP('::1'), module.isIPv4('1.2.3.4'), module.isIPv6('::'))
    log.add('module', typeof module.BlockList, typeof module.SocketAddress)
    log.add('module', module.getDefaultAutoSelectFamily(), module.getDefaultAutoSelectFamilyAttemptTimeout())
  },
}

describe('socket/net: connecting is as node:net has it', () => {
  it.each(Object.entries(scenarios))('%s', async (_name, scenario) => {
    const { theirs, ours, refs } = await runOnBoth(scenario)
    expect(ours).toEqual(theirs)
    expect(Object.keys(theirs as object).length).toBeGreaterThan(0)
    expect(refs).toBe(0)
  })
})
