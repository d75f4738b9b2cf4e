/** Every scenario runs on node:dgram over the kernel's loopback and on our sockets over ours; what the program sees is the same. */
import dgram from 'node:dgram'
import { describe, expect, it } from 'vitest'
import { dgramOn } from './dgram.ts'
import { makeTestHost } from './testing/host.ts'

type Module = typeof dgram
type Socket = dgram.Socket
type Log = (...what: unknown[]) => void

/** Some rounds of the event loop: on both loopbacks delivery takes rounds, not time. */
async function turn(): Promise<void> {
  for (let i = 0; i < 6; i++) {
    await new Promise(resolve => setTimeout(resolve, 2))
    await new Promise(resolve => setImmediate(resolve))
  }
}
const event = (socket: Socket, name: string): Promise<unknown> =>
  new Promise(resolve => socket.once(name, (...args: unknown[]) => resolve(args[0])))

/** What matters of an error to a program. */
function seen(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message } = error
  const { code, errno, syscall, address, port } = error as NodeJS.ErrnoException & {
    address?: string
    port?: number
  }
  return { name, message, code, errno, syscall, address, port }
}

function thrown(action: () => unknown): unknown {
  try {
    return ['returned', typeof action()]
  } catch (error) {
    return seen(error)
  }
}

/** A bound socket that logs its events. */
async function bound(
  module: Module,
  log: Log,
  name: string,
  type: dgram.SocketType = 'udp4',
): Promise<Socket> {
  const socket = module.createSocket(type)
  for (const each of ['listening', 'connect', 'close'])
    socket.on(each, (...args: unknown[]) => log(name, each, args.length))
  socket.on('message', (data, { address, family, size }) =>
    log(name, 'message', data.toString(), address, family, size),
  )
  socket.on('error', error => log(name, 'error', seen(error)))
  socket.bind(0, type === 'udp4' ? '127.0.0.1' : '::1')
  await event(socket, 'listening')
  return socket
}

const close = async (...sockets: Socket[]): Promise<void> => {
  for (const socket of sockets) await new Promise<void>(resolve => socket.close(() => resolve()))
}

const scenarios: Record<string, (module: Module, log: Log) => Promise<void>> = {
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

  'send and message: order, arguments, every overload': async (module, log) => {
    const server = await bound(module, log, 'server')
    const { port } = server.address()
    const client = module.createSocket('udp4')
    client.on('listening', () => log('client listening'))
    const done =
      (what: string) =>
      (...args: unknown[]): void =>
        log('sent', what, ...args)
    client.send('text', port, '127.0.0.1', done('text'))
    await turn()
    client.send(Buffer.from('buffer'), port, '127.0.0.1', done('buffer'))
    await turn()
    client.send(new Uint16Array([0x6161, 0x6262]), port, done('typed array, no address'))
    await turn()
    client.send(new DataView(Uint8Array.from([67, 68, 69]).buffer, 1, 2), port, done('view'))
    await turn()
    client.send(Buffer.from('0123456789'), 2, 3, port, '127.0.0.1', done('part'))
    await turn()
    client.send('0123456789', 2, 3, port, '127.0.0.1', done('part of text'))
    await turn()
    client.send(['one', Buffer.from(' two '), new Uint8Array([51])], port, '127.0.0.1', done('list'))
    await turn()
    client.send([], port, '127.0.0.1', done('empty list'))
    await turn()
    client.send('', port, done('empty'))
    await turn()
    client.send('no callback', port)
    await turn()
    // Names are looked up by a thread of Node's, in its own time.
    await new Promise<void>(resolve =>
      client.send('localhost', port, 'localhost', (...args) => {
        log('sent', 'name', ...args)
        resolve()
      }),
    )
    await turn()
    ;(client as unknown as { sendto: (...all: unknown[]) => void }).sendto(
      Buffer.from('old'),
      0,
      3,
      port,
      '127.0.0.1',
      done('sendto'),
    )
    await turn()
    log(server.getSendQueueSize(), server.getSendQueueCount())
    await close(client, server)
  },

  'send: many at once keep their order': async (module, log) => {
    const server = await bound(module, log, 'server')
    const client = module.createSocket('udp4')
    for (let i = 0; i < 20; i++) client.send(`number ${i}`, server.address().port, '127.0.0.1')
    await turn()
    await close(client, server)
  },

  'send: what is refused at once': async (module, log) => {
    const socket = await bound(module, log, 'socket')
    const send = socket.send as (...args: unknown[]) => void
    for (const args of [
      [],
      ['x'],
      ['x', 0],
      ['x', 65_536],
      ['x', -1],
      ['x', 1.5],
      ['x', 'nine'],
      [null, 9],
      [5, 9],
      [{}, 9],
      [['x', 5], 9],
      ['x', 0, 2, 9, '127.0.0.1'],
      ['x', 2, 0, 9, '127.0.0.1'],
      ['x', 0, 1, 0, '127.0.0.1'],
      ['x', 9, 5],
      ['x', 9, true],
      ['x', 9, {}],
    ])
      log(
        JSON.stringify(args),
        thrown(() => send.call(socket, ...args)),
      )
    await turn()
    await close(socket)
    log(thrown(() => socket.send('x', 9)))
  },

  'send: errors of the network': async (module, log) => {
    const socket = await bound(module, log, 'socket')
    const attempt = (size: number, port: number, address: string): Promise<void> =>
      new Promise(resolve =>
        socket.send(Buffer.alloc(size), port, address, (error, bytes) => {
          log(size, address, seen(error), bytes)
          resolve()
        }),
      )
    await attempt(65_507, 9, '127.0.0.1')
    await attempt(65_508, 9, '127.0.0.1')
    await attempt(1, 9, '::1')
    await attempt(1, 9, '255.255.255.255')
    // Without a callback such an error is nobody's.
    socket.send(Buffer.alloc(65_508), 9, '127.0.0.1')
    await turn()
    await close(socket)
  },

  'send: a name that nobody knows': async (module, log) => {
    const lookup = (
      name: string,
      family: unknown,
      callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
    ): void => {
      log('lookup', name, family)
      if (name === 'known.test') return process.nextTick(callback, null, '127.0.0.1', 4)
      const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' })
      return process.nextTick(callback, error, '', 0)
    }
    const socket = module.createSocket({ type: 'udp4', lookup: lookup as never })
    socket.on('error', error => log('error', seen(error)))
    socket.on('message', data => log('message', data.toString()))
    socket.bind(0, 'known.test')
    await event(socket, 'listening')
    socket.send('x', 9, 'unknown.test', (...args) => log('callback', args.length, seen(args[0])))
    await turn()
    socket.send('x', 9, 'unknown.test')
    await turn()
    socket.send('to myself', socket.address().port, 'known.test')
    await turn()
    await close(socket)
    const other = module.createSocket({ type: 'udp4', lookup: lookup as never })
    other.on('error', error => log('error', seen(error)))
    other.bind(0, 'unknown.test')
    await turn()
    await close(other)
  },

  'connect: events, send without address, remoteAddress, disconnect': async (module, log) => {
    const server = await bound(module, log, 'server')
    const { port } = server.address()
    const stranger = await bound(module, log, 'stranger')
    const client = await bound(module, log, 'client')
    log(
      thrown(() => client.remoteAddress()),
      thrown(() => client.disconnect()),
    )
    log(client.connect(port, '127.0.0.1', (...args: unknown[]) => log('connected', args.length)))
    log(thrown(() => client.connect(port)))
    log('after connect')
    await turn()
    log({ ...client.remoteAddress(), port: client.remoteAddress().port === port })
    client.send('to the peer', (...args) => log('sent', ...args))
    await turn()
    client.send(['a', 'b'])
    client.send('0123', 1, 2)
    await turn()
    log(
      thrown(() => client.send('x', port)),
      thrown(() => client.send('x', port, '127.0.0.1')),
    )
    stranger.send('who are you?', client.address().port, '127.0.0.1')
    server.send('from the peer', client.address().port, '127.0.0.1')
    await turn()
    log(
      client.disconnect(),
      thrown(() => client.remoteAddress()),
      thrown(() => client.disconnect()),
    )
    // The kernel takes a port that it chose away again; ours stays bound (docs/divergence.md).
    log(thrown(() => client.send('x')))
    client.connect(port)
    await turn()
    log(client.remoteAddress().address)
    await close(client, stranger, server)
    log(thrown(() => client.remoteAddress()))
  },

  'connect: on a socket that is not bound; address() tells the source': async (module, log) => {
    const server = await bound(module, log, 'server')
    for (const args of [[], ['127.0.0.1']]) {
      const client = module.createSocket('udp4')
      client.on('listening', () => log('listening'))
      client.on('connect', () => log('connect'))
      ;(client.connect as (...all: unknown[]) => void)(server.address().port, ...args)
      await event(client, 'connect')
      log({ ...client.address(), port: 0 })
      client.send('hello')
      await turn()
      await close(client)
    }
    await close(server)
  },

  'connect: what is refused': async (module, log) => {
    const socket = module.createSocket('udp4')
    const connect = socket.connect as (...args: unknown[]) => void
    for (const args of [[], [0], [65_536], ['x'], [9, 5]]) log(thrown(() => connect.call(socket, ...args)))
    await close(socket)
    const six = module.createSocket('udp4')
    six.connect(9, '::1', (...args: unknown[]) => log('callback', args.length, seen(args[0])))
    await turn()
    six.on('error', error => log('error', seen(error)))
    six.connect(9, '::1')
    await turn()
    await close(six)
  },

  'connect: nobody listens: the error comes by itself, and the socket lives on': async (module, log) => {
    const server = await bound(module, log, 'server')
    const { port } = server.address()
    await close(server)
    for (const [type, address] of [
      ['udp4', '127.0.0.1'],
      ['udp6', '::1'],
    ] as const) {
      const client = await bound(module, log, 'client', type)
      client.connect(port, address)
      await event(client, 'connect')
      client.send('anybody?', (...args) => log('sent', ...args))
      await turn()
      client.send('really nobody?', (...args) => log('sent', ...args))
      await turn()
      await close(client)
    }
    const open = await bound(module, log, 'open')
    open.send('anybody?', port, '127.0.0.1', (...args) => log('sent', ...args))
    await turn()
    await close(open)
  },

  'udp6 takes IPv4, shown as v4-mapped': async (module, log) => {
    const six = module.createSocket('udp6')
    six.on('message', (data, { address, family, size }) => log(data.toString(), address, family, size))
    six.bind(0)
    await event(six, 'listening')
    const four = await bound(module, log, 'four')
    four.send('from four', six.address().port, '127.0.0.1')
    await turn()
    six.send('from six', four.address().port, '::ffff:127.0.0.1', (...args) => log('sent', ...args))
    await turn()
    const own = await bound(module, log, 'own', 'udp6')
    own.send('from six', six.address().port)
    await turn()
    await close(six, four, own)
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

async function run(
  module: Module,
  scenario: (module: Module, log: Log) => Promise<void>,
): Promise<unknown[]> {
  const logged: unknown[] = []
  await scenario(module, (...what) => logged.push(what))
  return logged
}

describe('socket/dgram as node:dgram', () => {
  it.each(Object.entries(scenarios))('%s', async (_, scenario) => {
    const theirs = await run(dgram, scenario)
    const host = makeTestHost()
    const ours = await run(dgramOn(host) as unknown as Module, scenario)
    expect(ours).toEqual(theirs)
    expect(theirs.length).toBeGreaterThan(0)
    await host.finish()
    expect(host.refs()).toBe(0)
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
