/** See `testing/compare.ts`: what a program sees of a socket is the same on node:dgram and on ours. */
import { describe, expect, it } from 'vitest'
import { bound, close, event, runOnBoth, type Scenarios, seen, thrown, turn } from './testing/compare.ts'

const scenarios: Scenarios = {
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
}

describe('socket/dgram as node:dgram: send, connect, message', () => {
  it.each(Object.entries(scenarios))('%s', async (_, scenario) => {
    const { theirs, ours, refs } = await runOnBoth(scenario)
    expect(ours).toEqual(theirs)
    expect(theirs.length).toBeGreaterThan(0)
    expect(refs).toBe(0)
  })
})
