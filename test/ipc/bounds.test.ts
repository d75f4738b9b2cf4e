/** What one client can make a node hold: whatever it sends, reads or leaves behind, the others have their share. */
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { tryShim } from '../../src/host/shim.ts'
import * as P from '../../src/ipc/protocol.ts'
import type { IpcAgent } from '../../src/node/ipc-agent.ts'
import { until } from '../../src/node/testing.ts'
import { TcpConnection, TcpListener } from '../../src/socket/tcp-endpoint.ts'
import { echo, exchange, FAR, noise, Pair, sha } from './programs.ts'

const absent = tryShim() === null
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

function frame(stream: number, kind: number, detail: number, body: unknown = null, length?: number): Buffer {
  const text =
    body === null ? Buffer.alloc(0) : Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
  const head = Buffer.from(new Int32Array([stream, kind, length ?? text.length, detail]).buffer)
  return Buffer.concat([head, text])
}

const hello = frame(0, P.HELLO, 0, { version: P.PROTOCOL_VERSION, mapped: false })

/** Counts the frames of a kind. */
class Frames {
  private rest: Buffer = Buffer.alloc(0)
  private isFirst = true
  readonly kinds = new Map<number, number>()
  bytes = 0

  take(data: Buffer): void {
    // The first byte carries a descriptor, and is no frame's.
    this.rest = Buffer.concat([this.rest, this.isFirst ? data.subarray(1) : data])
    this.isFirst = false
    let at = 0
    while (this.rest.length - at >= P.HEADER_BYTES) {
      const kind = this.rest.readInt32LE(at + 4)
      const length = this.rest.readInt32LE(at + 8)
      if (this.rest.length - at < P.HEADER_BYTES + length) break
      at += P.HEADER_BYTES + length
      this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1)
      if (kind === P.DATA) this.bytes += length
    }
    this.rest = this.rest.subarray(at)
  }
}

describe.skipIf(absent)(`ipc: what one client can hold${absent ? ' (skipped: no native shim)' : ''}`, () => {
  let pair: Pair
  const sockets: Socket[] = []
  const held: TcpConnection[] = []
  const listeners: TcpListener[] = []

  beforeEach(async () => {
    pair = await Pair.start()
  })

  afterEach(async () => {
    vi.restoreAllMocks()
    for (const socket of sockets.splice(0)) socket.destroy()
    for (const each of [...held.splice(0), ...listeners.splice(0)]) each.close()
    // Whatever happened, the port serves the next one, and every block comes home.
    const listener = echo(pair.far.runtime)
    const client = await pair.attach()
    const bytes = noise(100_000)
    const connection = TcpConnection.connect(client.runtime, { address: FAR, port: listener.local.port })
    expect((await exchange(connection, bytes)).hash).toBe(sha(bytes))
    listener.close()
    await pair.finish()
  })

  function raw(...frames: Buffer[]): Socket {
    const socket = connect(pair.path)
    socket.on('error', () => {})
    socket.write(Buffer.concat(frames))
    sockets.push(socket)
    return socket
  }

  /** A program at the far end that takes connections and reads nothing. */
  function unread(): number {
    const listener = TcpListener.open(pair.far.runtime, { port: 0, address: '0.0.0.0' })
    listener.onConnection = () => {
      for (let c = listener.accept(); c !== null; c = listener.accept()) held.push(c)
    }
    listeners.push(listener)
    return listener.local.port
  }

  const agents = (): IpcAgent[] => [
    ...(pair.near.ipc as unknown as { clients: Map<IpcAgent, unknown> }).clients.keys(),
  ]

  it('marks of urgent data behind data that waits are one mark', async () => {
    const socket = raw(hello, frame(1, P.CONNECT, 0, { address: FAR, port: unread() }))
    socket.resume()
    for (let i = 0; i < 5; i++) socket.write(frame(1, P.DATA, 0, Buffer.alloc(250_000)))
    const mark = frame(1, P.URGENT_DATA, 0)
    socket.write(Buffer.concat(Array.from({ length: 50_000 }, () => mark)))
    socket.write(frame(3, P.LISTEN, 0, { port: 0 }))
    await until(() => agents()[0]?.streamCount === 2)
    const [stream] = (
      agents()[0] as unknown as { streams: Map<number, { waiting: unknown[] }> }
    ).streams.values()
    expect(stream!.waiting.length).toBeLessThan(10)
  })

  it('a body that comes byte by byte takes one view of the block that it lies in', async () => {
    const socket = raw(hello, frame(1, P.CONNECT, 0, { address: FAR, port: unread() }))
    socket.resume()
    await until(() => held.length === 1)
    socket.write(frame(1, P.DATA, 0, null, 500_000))
    for (let i = 0; i < 500; i++) {
      socket.write('x')
      await new Promise(resolve => setImmediate(resolve))
    }
    await pause(50)
    expect(pair.near.runtime.arena.viewsInUse).toBeLessThan(50)
  })

  it('answers that are not read stop the requests, and are all there when it reads', async () => {
    const socket = raw(hello, frame(1, P.ENDPOINT, 0, {}))
    const { arena } = pair.near.runtime
    const nonsense = { command: 'x'.repeat(60), argument: 1 }
    const requests = Array.from({ length: 30_000 }, (_, i) => frame(1, P.REQUEST, i, nonsense))
    socket.write(Buffer.concat(requests))
    let most = 0
    for (let i = 0; i < 50; i++) {
      await pause(10)
      most = Math.max(most, arena.state().blocksInUse)
    }
    expect(most).toBeGreaterThan(400)
    expect(most).toBeLessThan(5_000)
    const frames = new Frames()
    socket.on('data', data => frames.take(data))
    await until(() => frames.kinds.get(P.REFUSAL) === requests.length)
    expect(pair.near.ipc!.counters['ended-overrun']).toBe(0)
  })

  it('messages of a byte for a client that does not read wait in their connections, and end nobody', async () => {
    const listener = TcpListener.open(pair.far.runtime, {
      port: 0,
      address: '0.0.0.0',
      settings: { noDelay: true },
    })
    listener.onConnection = () => {
      for (let c = listener.accept(); c !== null; c = listener.accept()) held.push(c)
    }
    listeners.push(listener)
    const port = listener.local.port
    const socket = raw(
      hello,
      ...Array.from({ length: 160 }, (_, i) => frame(2 * i + 1, P.CONNECT, 0, { address: FAR, port })),
    )
    await until(() => held.length === 160)
    const one = new Uint8Array(1)
    let sent = 0
    for (let k = 0; k < 240; k++) {
      for (const each of held) sent += each.write(one)
      if (k % 4 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    await pause(200)
    const waiting = (agents()[0]!.channel as unknown as { queue: { count: number } }).queue.count
    expect(waiting).toBeGreaterThan(1_000)
    expect(waiting).toBeLessThan(6_000)
    const frames = new Frames()
    socket.on('data', data => frames.take(data))
    // It gives no credit back, and needs none for so few: their first.
    await until(() => frames.bytes === sent)
    expect(pair.near.ipc!.counters['ended-overrun']).toBe(0)
  })

  it('what dead clients closed in order goes on while there is memory for others, then it is reset', async () => {
    const port = unread()
    const { counters } = pair.near.ipc!
    for (let i = 1; i <= 20; i++) {
      const socket = raw(hello, frame(1, P.CONNECT, 0, { address: FAR, port }))
      socket.resume()
      for (let k = 0; k < 5; k++) socket.write(frame(1, P.DATA, 0, Buffer.alloc(250_000)))
      socket.end(frame(1, P.CLOSE, 0))
      await until(() => counters['ended-gone'] === i, `client ${i} is gone`)
    }
    expect(counters['lingers-refused']).toBeGreaterThan(0)
    const listener = echo(pair.far.runtime)
    listeners.push(listener)
    const bytes = noise(300_000)
    const { runtime } = await pair.attach()
    const connection = TcpConnection.connect(runtime, { address: FAR, port: listener.local.port })
    expect((await exchange(connection, bytes)).hash).toBe(sha(bytes))
  })

  it('a request whose command is no text is refused, and what is behind it is heard', async () => {
    const frames = new Frames()
    const hostile = { command: { toString: 1 } }
    const port = echo(pair.far.runtime)
    listeners.push(port)
    raw(
      hello,
      frame(1, P.ENDPOINT, 0, {}),
      frame(1, P.REQUEST, 1, hostile),
      frame(3, P.CONNECT, 0, { address: FAR, port: port.local.port }),
      frame(3, P.REQUEST, 1, hostile),
      frame(
        1,
        P.REQUEST,
        2,
        Buffer.from(`{"command":"x","argument":${'['.repeat(30_000)}${']'.repeat(30_000)}}`),
      ),
    ).on('data', data => frames.take(data))
    await until(() => frames.kinds.get(P.REFUSAL) === 3)
  })

  it('a client that ends while it is told of a stream leaves no stream behind', async () => {
    const socket = raw(hello)
    socket.resume()
    await until(() => agents().length === 1 && agents()[0]!.isGreeted)
    const agent = agents()[0]!
    // As for want of memory.
    vi.spyOn(agent, 'sendText').mockImplementation(() => agent.end('overrun'))
    const before = pair.near.runtime.streams.size
    socket.write(frame(1, P.CONNECT, 0, { address: FAR, port: unread() }))
    await until(() => pair.near.ipc!.counters['ended-overrun'] === 1)
    await pause(20)
    expect(pair.near.runtime.streams.size).toBeLessThan(before)
  })

  it('the death of a client whose data waits is noticed', async () => {
    const socket = raw(hello, frame(1, P.LISTEN, 0, { port: 0 }))
    socket.resume()
    await until(() => agents()[0]?.streamCount === 1)
    agents()[0]!.channel!.pause(true)
    socket.end(frame(3, P.LISTEN, 0, { port: 0 }))
    await until(() => pair.near.ipc!.counters['ended-gone'] === 1)
  })
})
