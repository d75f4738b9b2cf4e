import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { nonZero } from '../base/counters.ts'
import { TcpConnection } from '../socket/tcp-endpoint.ts'
import { Arena } from '../streams/mblk/arena.ts'
import type { Runtime } from '../streams/runtime.ts'
import { checkNodeConfig } from './config.ts'
import { Node } from './node.ts'
import { StreamServices } from './stream-services.ts'
import { until } from './testing.ts'

const PORTS = { echo: 7, discard: 9, chargen: 19 }

let node: Node
let runtime: Runtime
let services: StreamServices

beforeEach(async () => {
  const arena = new Arena({ sizeBytes: 32 * 1024 * 1024, poison: true })
  node = await Node.start(checkNodeConfig({ version: 1, name: 'n1' }), { arena, shim: null })
  runtime = node.runtime
  services = new StreamServices(runtime, PORTS)
})

afterEach(async () => {
  services.close()
  expect(await node.close()).toMatchObject({ arenaWhole: true })
})

class Client {
  readonly conn: TcpConnection
  text = ''
  ended = false
  closed: string | null = null
  connected = false

  constructor(port: number, address = '127.0.0.1') {
    this.conn = TcpConnection.connect(runtime, { address, port })
    this.conn.onConnect = () => {
      this.connected = true
    }
    this.conn.onEnd = () => {
      this.ended = true
    }
    this.conn.onClosed = reason => {
      this.closed = reason
      this.conn.close()
    }
  }

  /** Reads until it has more than `most`. */
  read(most = Number.POSITIVE_INFINITY): this {
    const into = new Uint8Array(65_536)
    this.conn.onReadable = () => {
      if (this.text.length > most) return
      for (
        let size = this.conn.fill(into, 0, into.length);
        size > 0;
        size = this.conn.fill(into, 0, into.length)
      )
        this.text += Buffer.from(into.subarray(0, size)).toString('latin1')
    }
    return this
  }

  /** Sends all of it, then perhaps the end. */
  send(text: string, andEnd = false): void {
    let left: Uint8Array = Buffer.from(text, 'latin1')
    const go = (): void => {
      left = left.subarray(this.conn.write(left))
      if (left.length > 0) return
      this.conn.onWritable = null
      if (andEnd) this.conn.shutdown()
    }
    this.conn.onWritable = go
    go()
  }
}

describe('node/stream-services', () => {
  it.each(['127.0.0.1', '::1'])('RFC 862: echo on TCP gives back what came, over %s', async address => {
    const client = new Client(7, address).read()
    const text = 'hello '.repeat(50_000)
    client.send(text)
    await until(() => client.text.length === text.length, 'all of it came back')
    expect(client.text === text).toBe(true)
    client.conn.shutdown()
    await until(() => client.ended, 'the end came back')
    expect(nonZero(services.counters)).toEqual({ 'tcp-echo-accepted': 1 })
    expect(runtime.arena.copies.stack.bytes).toBe(0)
    client.conn.close()
  })

  it('echo: the end of the peer comes back behind what it sent', async () => {
    const client = new Client(7).read()
    client.send('x'.repeat(100_000), true)
    await until(() => client.ended)
    expect(client.text).toHaveLength(100_000)
    client.conn.close()
  })

  it('checklist 3.7: echo to a peer that never reads holds what fits the windows, and no more', async () => {
    const client = new Client(7)
    let sent = 0
    const chunk = new Uint8Array(65_536)
    const go = (): void => {
      for (let took = client.conn.write(chunk); took > 0; took = client.conn.write(chunk)) sent += took
    }
    client.conn.onWritable = go
    await until(() => client.connected)
    go()
    let before = -1
    for (; before !== sent; await new Promise(resolve => setTimeout(resolve, 50))) before = sent
    expect(sent).toBeLessThan(40 * 1024 * 1024)
    client.conn.abort()
  })

  it('RFC 863: discard takes everything and says nothing', async () => {
    const client = new Client(9).read()
    client.send('x'.repeat(1_000_000), true)
    await until(() => client.ended)
    expect(client.text).toBe('')
    client.conn.close()
  })

  it('RFC 864: chargen sends lines of 72 characters without end and without a seam', async () => {
    const client = new Client(19).read(500_000)
    await until(() => client.text.length > 500_000)
    const lines = client.text.slice(0, 74 * 6_700).split('\r\n')
    expect(lines[0]).toBe(' !"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg')
    for (let i = 1; i < 6_700; i++) {
      expect(lines[i]).toHaveLength(72)
      expect(lines[i]!.slice(0, 71)).toBe(lines[i - 1]!.slice(1))
    }
    client.conn.abort()
    await until(() => runtime.arena.state().blocksInUse < 5)
  })

  it('chargen: all connections share one block of memory', async () => {
    const clients = Array.from({ length: 20 }, () => new Client(19))
    await until(() => clients.every(({ connected }) => connected))
    await new Promise(resolve => setTimeout(resolve, 50))
    const [, , supers] = runtime.arena.classes
    expect(supers!.inUse).toBeLessThan(5)
    for (const { conn } of clients) conn.abort()
  })

  it('no more connections than allowed; the next is reset, and there is room again when one ends', async () => {
    services.close()
    services = new StreamServices(runtime, { echo: 7, discard: null, chargen: null }, { connectionsMax: 1 })
    const first = new Client(7)
    await until(() => first.connected)
    const second = new Client(7)
    await until(() => second.closed !== null)
    expect(second.closed).toBe('reset')
    expect(services.counters['tcp-refused-full']).toBe(1)
    first.conn.abort()
    await new Promise(resolve => setTimeout(resolve, 20))
    const third = new Client(7).read()
    third.send('x')
    await until(() => third.text === 'x')
    third.conn.close()
  })

  it('a port that is taken starts none of them', () => {
    expect(() => new StreamServices(runtime, { echo: 70, discard: 7, chargen: null })).toThrow(
      expect.objectContaining({ code: 'ERR_ADDR_IN_USE' }),
    )
    const again = new StreamServices(runtime, { echo: 70, discard: null, chargen: null })
    again.close()
  })
})
