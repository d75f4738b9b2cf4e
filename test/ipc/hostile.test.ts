/** What a client may not do: it is ended for it, with a counter, and nobody else notices. */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { tryShim } from '../../src/host/shim.ts'
import { MappedNodeSide } from '../../src/ipc/mapped-node.ts'
import {
  ABORT,
  ACCEPTED,
  CONNECT,
  CREDIT,
  DATA,
  DATAGRAM,
  ENDPOINT,
  HELLO,
  LISTEN,
  PROTOCOL_VERSION,
  REQUEST,
  SET,
} from '../../src/ipc/protocol.ts'
import { until } from '../../src/node/testing.ts'
import { TcpConnection } from '../../src/socket/tcp-endpoint.ts'
import { qenable } from '../../src/streams/queue.ts'
import { echo, exchange, FAR, noise, Pair, sha } from './programs.ts'

const absent = tryShim() === null

function frame(stream: number, kind: number, detail: number, body: unknown = null, length?: number): Buffer {
  const text =
    body === null ? Buffer.alloc(0) : Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
  const head = Buffer.from(new Int32Array([stream, kind, length ?? text.length, detail]).buffer)
  return Buffer.concat([head, text])
}

const endpoint = frame(1, ENDPOINT, 0, {})
const hello = frame(0, HELLO, 0, { version: PROTOCOL_VERSION, mapped: false })

describe.skipIf(absent)(
  `ipc: a mapped client that writes what it likes${absent ? ' (skipped: no native shim)' : ''}`,
  () => {
    it.each([
      [
        'more entries than there are',
        (words: Int32Array, ring: number) => Atomics.store(words, ring, 1 << 30),
      ],
      ['less than none', (words: Int32Array, ring: number) => Atomics.add(words, ring, -1)],
      [
        'an entry of noise',
        (words: Int32Array, ring: number) => {
          words.set(new Int32Array(randomBytes(2_048 * 32).buffer.slice(0)), ring + 64)
          Atomics.add(words, ring, 1)
        },
      ],
    ])('%s: it is ended, and all it held comes home', async (_name, harm) => {
      const open = vi.spyOn(MappedNodeSide, 'open')
      const pair = await Pair.start({ mapped: true })
      const listener = echo(pair.far.runtime)
      const [bad, good] = [await pair.attach({ mapped: true }), await pair.attach({ mapped: true })]
      const ring = open.mock.results[0]!.value.text.toNode >> 2
      const bytes = noise(300_000)
      const make = (client: typeof bad) =>
        TcpConnection.connect(client.runtime, { address: FAR, port: listener.local.port })
      await exchange(make(bad), bytes)
      // When all is quiet: what the client still writes itself would hide it.
      await new Promise(resolve => setTimeout(resolve, 100))
      harm(pair.near.runtime.arena.words, ring)
      // The node looks when it has something to do there, too.
      for (const { bottom } of pair.near.runtime.streams)
        if (bottom.info.name === 'ipc') qenable(bottom.other)
      await until(() => pair.near.ipc!.counters['ended-malformed'] === 1)
      expect((await exchange(make(good), bytes)).hash).toBe(sha(bytes))
      listener.close()
      open.mockRestore()
      await pair.finish()
    })
  },
)

describe.skipIf(absent)(`ipc: hostile clients${absent ? ' (skipped: no native shim)' : ''}`, () => {
  let pair: Pair
  const sockets: Socket[] = []
  beforeEach(async () => {
    pair = await Pair.start()
  })
  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    sockets.length = 0
    // Whatever happened, the port serves the next one.
    const listener = echo(pair.far.runtime)
    const client = await pair.attach()
    const bytes = noise(100_000)
    const connection = TcpConnection.connect(client.runtime, { address: FAR, port: listener.local.port })
    expect(await exchange(connection, bytes)).toEqual({ bytes: bytes.length, hash: sha(bytes) })
    listener.close()
    await pair.finish()
  })

  function raw(...frames: Buffer[]): Socket {
    const socket = connect(pair.path)
    socket.on('error', () => {}).resume()
    socket.write(Buffer.concat(frames))
    sockets.push(socket)
    return socket
  }

  const port = { address: FAR, port: 9 }

  it.each([
    ['no hello', frame(1, CONNECT, 0, port)],
    ['a hello that is no JSON', frame(0, HELLO, 0, Buffer.from('{nonsense'))],
    ['a hello that is none', frame(0, HELLO, 0, 7)],
    ['a second hello', Buffer.concat([hello, hello])],
    ['a negative length', Buffer.concat([hello, frame(1, DATA, 0, null, -1)])],
    ['a length beyond the bound', Buffer.concat([hello, frame(1, DATA, 0, null, 0x7fffffff)])],
    ['text beyond the bound', Buffer.concat([hello, frame(1, CONNECT, 0, null, 100_000)])],
    ['an even number for a stream of its own', Buffer.concat([hello, frame(2, CONNECT, 0, port)])],
    [
      'a number twice',
      Buffer.concat([hello, frame(3, LISTEN, 0, { port: 0 }), frame(3, LISTEN, 0, { port: 0 })]),
    ],
    ['a number that was never opened', Buffer.concat([hello, frame(5, DATA, 0, Buffer.from('x'))])],
    ['a negative number', Buffer.concat([hello, frame(-1, ABORT, 0)])],
    [
      'a kind that there is not',
      Buffer.concat([hello, frame(1, LISTEN, 0, { port: 0 }), frame(1, 4_711, 0)]),
    ],
    [
      'data for a listener',
      Buffer.concat([hello, frame(1, LISTEN, 0, { port: 0 }), frame(1, DATA, 0, Buffer.from('x'))]),
    ],
    [
      'places that it never used',
      Buffer.concat([hello, frame(1, LISTEN, 0, { port: 0 }), frame(1, ACCEPTED, 1)]),
    ],
    ['a datagram that is none', Buffer.concat([hello, endpoint, frame(1, DATAGRAM, 0, Buffer.alloc(95))])],
    ['a datagram of nothing', Buffer.concat([hello, endpoint, frame(1, DATAGRAM, 0)])],
    [
      'a datagram beyond the bound',
      Buffer.concat([hello, endpoint, frame(1, DATAGRAM, 0, Buffer.alloc(200_000))]),
    ],
    ['data for an endpoint', Buffer.concat([hello, endpoint, frame(1, DATA, 0, Buffer.from('x'))])],
    ['credit for datagrams that it never had', Buffer.concat([hello, endpoint, frame(1, CREDIT, 1)])],
    ['options that are no JSON', Buffer.concat([hello, frame(1, CONNECT, 0, Buffer.from('['))])],
  ])('%s ends it', async (_name, bytes) => {
    const socket = raw(bytes)
    let closed = false
    socket.on('close', () => {
      closed = true
    })
    await until(() => closed)
    expect(pair.near.ipc!.counters['ended-malformed']).toBe(1)
  })

  it.each([
    ['credit that it never had', (id: number) => frame(id, CREDIT, 1 << 30)],
    ['negative credit', (id: number) => frame(id, CREDIT, -1)],
  ])('%s ends it', async (_name, make) => {
    const listener = echo(pair.far.runtime)
    raw(hello, frame(1, CONNECT, 0, { address: FAR, port: listener.local.port }), make(1))
    await until(() => pair.near.ipc!.counters['ended-malformed'] === 1)
    listener.close()
  })

  it('data beyond its credit ends it', async () => {
    const listener = (await import('../../src/socket/tcp-endpoint.ts')).TcpListener.open(pair.far.runtime, {
      port: 0,
      address: '0.0.0.0',
    })
    const flood = Array.from({ length: 64 }, () => frame(1, DATA, 0, randomBytes(256 * 1024)))
    raw(hello, frame(1, CONNECT, 0, { address: FAR, port: listener.local.port }), ...flood)
    await until(() => pair.near.ipc!.counters['ended-malformed'] === 1)
    listener.close()
  })

  it('options, settings and requests that are nonsense are refused, and do not end it', async () => {
    const listener = echo(pair.far.runtime)
    const socket = raw(
      hello,
      frame(1, CONNECT, 0, null),
      frame(3, CONNECT, 0, { address: 7 }),
      frame(5, LISTEN, 0, { port: 'x' }),
      frame(7, CONNECT, 0, { address: FAR, port: listener.local.port }),
      frame(9, ENDPOINT, 0, null),
      frame(11, ENDPOINT, 0, { bind: 7 }),
      frame(13, ENDPOINT, 0, { family: 'x', nonsense: true }),
      frame(9, DATAGRAM, 0, randomBytes(500)),
      frame(9, DATAGRAM, 0, Buffer.alloc(96)),
      frame(9, REQUEST, 1, { command: 'udp.bind', argument: { port: -1 } }),
      frame(7, SET, 0, { ttl: 'x' }),
      frame(7, SET, 0, null),
      frame(7, REQUEST, 1, null),
      frame(7, REQUEST, 2, { command: 7 }),
    )
    let got = 0
    socket.on('data', data => {
      got += data.length
    })
    await until(() => got > 400)
    expect(pair.near.ipc!.counters['ended-malformed']).toBe(0)
    expect(socket.destroyed).toBe(false)
    listener.close()
  })

  it('noise behind a hello, a hundred times', async () => {
    const { counters } = pair.near.ipc!
    for (let i = 0; i < 100; i++) {
      raw(hello, randomBytes(1 + i * 37)).end()
      await until(() => counters['ended-malformed'] + counters['ended-gone'] === i + 1)
    }
    expect(counters['ended-malformed']).toBeGreaterThan(50)
  })
})
