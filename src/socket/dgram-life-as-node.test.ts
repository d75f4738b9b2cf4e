/** See `testing/compare.ts`: what a program sees of a socket is the same on node:dgram and on ours. */
import dgram from 'node:dgram'
import { describe, expect, it } from 'vitest'
import { dgramOn } from './dgram.ts'
import {
  bound,
  close,
  event,
  runOnBoth,
  type Scenarios,
  type Socket,
  seen,
  thrown,
  turn,
} from './testing/compare.ts'
import { makeTestHost } from './testing/host.ts'

const scenarios: Scenarios = {
  'bind: order of events and what address() says': async (module, log) => {
    const socket = module.createSocket('udp4')
    log(thrown(() => socket.address()))
    socket.on('listening', () => log('listening', { ...socket.address(), port: 0 }))
    log(socket.bind(0, '127.0.0.1', () => log('callback')) === socket)
    log(thrown(() => socket.bind(0)))
    log('after bind')
    await event(socket, 'listening')
    log(thrown(() => socket.bind(0)))
    await close(socket)
    log(
      thrown(() => socket.address()),
      thrown(() => socket.bind(0)),
      thrown(() => socket.close()),
    )
  },

  'bind: all its overloads': async (module, log) => {
    for (const args of [
      [],
      [0],
      [0, '127.0.0.1'],
      [{ port: 0 }],
      [{ address: '127.0.0.1' }],
      [undefined],
      [null],
    ]) {
      const socket = module.createSocket('udp4')
      let called = 0
      ;(socket.bind as (...all: unknown[]) => void)(...args, () => called++)
      await event(socket, 'listening')
      log(called, { ...socket.address(), port: 0 }, socket.address().port > 0)
      await close(socket)
    }
    const six = module.createSocket('udp6')
    six.bind()
    await event(six, 'listening')
    log({ ...six.address(), port: 0 })
    await close(six)
  },

  'bind: errors': async (module, log) => {
    const first = await bound(module, log, 'first')
    const { port } = first.address()
    for (const [type, at] of [
      ['udp4', { port, address: '127.0.0.1' }],
      ['udp4', { port }],
      ['udp6', { port }],
      ['udp4', { port: 0, address: '203.0.113.77' }],
      ['udp4', { port: 0, address: '::1' }],
      ['udp6', { port: 0, address: '127.0.0.1' }],
    ] as const) {
      const socket = module.createSocket(type)
      let called = false
      socket.bind(at, () => {
        called = true
      })
      const error = (await Promise.race([event(socket, 'error'), event(socket, 'listening')])) as Error
      const plain = `${JSON.stringify(seen(error))}`.replaceAll(String(port), 'PORT')
      log(called, plain)
      // A socket whose bind failed may be bound again.
      socket.bind(0)
      await event(socket, 'listening')
      log(called)
      await close(socket)
    }
    await close(first)
  },

  'bind: what waited for a bind that failed is forgotten': async (module, log) => {
    const first = await bound(module, log, 'first')
    const socket = module.createSocket('udp4')
    socket.on('error', error => log((error as NodeJS.ErrnoException).code))
    socket.bind(first.address().port, '127.0.0.1')
    socket.send('never', first.address().port, '127.0.0.1', () => log('sent'))
    await event(socket, 'error')
    socket.bind(0)
    await event(socket, 'listening')
    await turn()
    socket.send('now', first.address().port, '127.0.0.1')
    await turn()
    await close(first, socket)
  },

  'bind: reuseAddr on both shares, on one does not': async (module, log) => {
    for (const [a, b] of [
      [true, true],
      [true, false],
      [false, true],
    ] as const) {
      const first = module.createSocket({ type: 'udp4', reuseAddr: a })
      first.bind(0, '127.0.0.1')
      await event(first, 'listening')
      const second = module.createSocket({ type: 'udp4', reuseAddr: b })
      second.bind(first.address().port, '127.0.0.1')
      const error = (await Promise.race([
        event(second, 'error'),
        event(second, 'listening'),
      ])) as NodeJS.ErrnoException
      log(a, b, error?.code)
      await close(first, second)
    }
  },

  'bind: ipv6Only leaves IPv4 to others': async (module, log) => {
    for (const ipv6Only of [true, false]) {
      const six = module.createSocket({ type: 'udp6', ipv6Only })
      six.bind(0)
      await event(six, 'listening')
      const four = module.createSocket('udp4')
      four.bind(six.address().port)
      const error = (await Promise.race([
        event(four, 'error'),
        event(four, 'listening'),
      ])) as NodeJS.ErrnoException
      log(ipv6Only, error?.code)
      await close(six, four)
    }
  },

  'close: order of events, callback, no second time': async (module, log) => {
    const socket = await bound(module, log, 'socket')
    log(socket.close(() => log('callback')) === socket)
    log('after close')
    await turn()
    log(
      thrown(() => socket.close()),
      thrown(() => socket.address()),
      thrown(() => socket.send('x', 9)),
    )
    log(socket.ref() === socket, socket.unref() === socket)
  },

  'close: while bind is on its way': async (module, log) => {
    const socket = module.createSocket('udp4')
    for (const name of ['listening', 'close', 'error']) socket.on(name, () => log(name))
    socket.bind(0)
    socket.close()
    await turn()
  },

  'close: what was sent before the socket was bound still goes': async (module, log) => {
    const server = await bound(module, log, 'server')
    const client = module.createSocket('udp4')
    client.on('close', () => log('client close'))
    client.send('first and last', server.address().port, '127.0.0.1', (...args) => {
      log('sent', ...args)
      client.close()
    })
    await turn()
    await close(server)
  },

  'close: from within a message': async (module, log) => {
    const server = await bound(module, log, 'server')
    server.once('message', () => server.close())
    const client = await bound(module, log, 'client')
    for (const text of ['one', 'two', 'three']) client.send(text, server.address().port, '127.0.0.1')
    await turn()
    await close(client)
  },

  'signal: aborted later, before, and by something else': async (module, log) => {
    const controller = new AbortController()
    const socket = module.createSocket({ type: 'udp4', signal: controller.signal })
    socket.on('close', () => log('close'))
    controller.abort()
    await turn()
    log(thrown(() => socket.bind(0)))
    const late = module.createSocket({ type: 'udp4', signal: AbortSignal.abort() })
    late.on('close', () => log('close'))
    await turn()
    log(thrown(() => module.createSocket({ type: 'udp4', signal: {} as never })))
    const twice = new AbortController()
    const closed = module.createSocket({ type: 'udp4', signal: twice.signal })
    await close(closed)
    twice.abort()
    await turn()
  },

  'asyncDispose closes, once': async (module, log) => {
    const socket = await bound(module, log, 'socket')
    await socket[Symbol.asyncDispose]()
    log('disposed')
    await socket[Symbol.asyncDispose]()
  },

  'createSocket: types and listeners': async (module, log) => {
    const create = module.createSocket as (...args: unknown[]) => Socket
    for (const type of ['udp', 'tcp4', undefined, null, 5, {}, { type: 'udp5' }])
      log(thrown(() => create(type)))
    log(thrown(() => create({ type: 'udp4', lookup: 5 })))
    const listener = (): void => {}
    const socket = create('udp4', listener)
    log(
      (socket as unknown as { type: string }).type,
      socket.listeners('message').length,
      socket.listeners('message')[0] === listener,
    )
    await close(socket)
  },

  'settings: before bind, after bind, out of range': async (module, log) => {
    const unbound = module.createSocket('udp4')
    const calls = (socket: Socket): unknown[] => [
      thrown(() => socket.setTTL(64)),
      thrown(() => socket.setBroadcast(true)),
      thrown(() => socket.setTTL('64' as never)),
      thrown(() => socket.setTTL(0)),
      thrown(() => socket.setTTL(256)),
      thrown(() => socket.setRecvBufferSize(-1)),
      thrown(() => socket.setSendBufferSize('x' as never)),
    ]
    log(calls(unbound))
    log((thrown(() => unbound.getRecvBufferSize()) as { code: string }).code)
    const socket = await bound(module, log, 'socket')
    log(calls(socket))
    log(socket.setTTL(5))
    log(socket.setRecvBufferSize(65_536), socket.getRecvBufferSize() >= 65_536)
    log(socket.setSendBufferSize(65_536), socket.getSendBufferSize() >= 65_536)
    for (const call of ['addMembership', 'dropMembership'] as const) log(thrown(() => socket[call]('')))
    log(thrown(() => socket.addSourceSpecificMembership(5 as never, '232.0.0.1')))
    log(
      thrown(() => socket.setMulticastTTL('1' as never)),
      thrown(() => socket.setMulticastInterface(1 as never)),
    )
    await close(unbound, socket)
  },
}

describe('socket/dgram as node:dgram: from createSocket to close', () => {
  it.each(Object.entries(scenarios))('%s', async (_, scenario) => {
    const { theirs, ours, refs } = await runOnBoth(scenario)
    expect(ours).toEqual(theirs)
    expect(theirs.length).toBeGreaterThan(0)
    expect(refs).toBe(0)
  })

  it('has every call of node:dgram that is not deprecated', () => {
    const host = makeTestHost()
    const socket = dgramOn(host).createSocket('udp4') as unknown as Record<string | symbol, unknown>
    for (const name of Object.getOwnPropertyNames(dgram.Socket.prototype)) {
      if (name.startsWith('_')) continue
      expect(typeof socket[name], name).toBe('function')
    }
    expect(typeof socket[Symbol.asyncDispose]).toBe('function')
    return host.finish()
  })
})
