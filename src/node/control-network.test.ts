/** What a control port does through the node's stack: ping, datagrams, captures. Two nodes, joined by a wire. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readPcapng } from '../driver/pcapng-reader.ts'
import { Arena } from '../streams/index.ts'
import { checkNodeConfig } from './config.ts'
import { ControlPort } from './control.ts'
import { ControlClient } from './control-client.ts'
import { FrameReader, frame } from './datagram-frames.ts'
import type { EchoResult } from './network.ts'
import { Node } from './node.ts'
import type { PingSummary } from './ping-statistics.ts'
import { until } from './testing.ts'
import { Wires } from './wires.ts'

let directory: string
let nodes: Node[]
let port: ControlPort
let client: ControlClient

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'putnext-net-'))
  const [arena, wires] = [new Arena({ sizeBytes: 8 * 1024 * 1024 }), new Wires()]
  nodes = []
  for (const n of [1, 2])
    nodes.push(
      await Node.start(
        checkNodeConfig({
          version: 1,
          name: `n${n}`,
          links: [
            { name: 'w0', driver: 'wire', wire: 'lan', addresses: [`10.0.0.${n}/24`, `fd00::${n}/64`] },
          ],
          services: { echo: true },
        }),
        { arena, wires, shim: null },
      ),
    )
  // The far end has heard of this one, too.
  expect(nodes.map(wireIsUp)).toEqual([true, true])
  port = await ControlPort.open(nodes[0]!, { path: join(directory, 'n1.sock') })
  client = new ControlClient(port.path)
})

afterEach(async () => {
  await port.close()
  await nodes[0]!.close()
  const { arenaWhole } = await nodes[1]!.close()
  rmSync(directory, { recursive: true })
  expect(arenaWhole).toBe(true)
})

function wireIsUp(node: Node): boolean {
  const { interfaces } = node.network.describe() as { interfaces: { name: string; up: boolean }[] }
  return interfaces.some(({ name, up }) => name === 'w0' && up)
}

async function ping(options: Parameters<ControlClient['ping']>[0]): Promise<(EchoResult | PingSummary)[]> {
  const lines: (EchoResult | PingSummary)[] = []
  for await (const line of client.ping(options)) lines.push(line)
  return lines
}

/** The next datagrams that come over an upgraded socket. */
async function receive(socket: Duplex, count: number): Promise<string[]> {
  const reader = new FrameReader()
  const found: string[] = []
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    for (const data of reader.take(chunk)) found.push(Buffer.from(data).toString())
    if (found.length >= count) break
  }
  return found
}

describe('node/control ping', () => {
  it.each(['10.0.0.2', 'fd00::2'])('%s: a line for each reply, then the statistics', async address => {
    const lines = await ping({ address, count: 3, intervalMs: 1, bytes: 100 })
    expect(lines.slice(0, 3)).toMatchObject(
      [1, 2, 3].map(sequence => ({ kind: 'reply', sequence, from: address, bytes: 100, ttl: 64 })),
    )
    expect(lines[3]).toMatchObject({ kind: 'summary', sent: 3, received: 3, lossPercent: 0 })
  })

  it('tells what did not come back, and why', async () => {
    const lines = await ping({ address: '10.9.9.9', count: 1 })
    expect(lines).toMatchObject([
      { kind: 'error', reason: 'no route to the network' },
      { received: 0, lossPercent: 100, rtt: null },
    ])
    await client.impair('w0', { loss: '100%' })
    expect(await ping({ address: '10.0.0.2', count: 1, timeoutMs: 30 })).toMatchObject([
      { kind: 'timeout' },
      { received: 0 },
    ])
    await client.impair('w0', null)
  })

  it('refuses what is no address, or out of bounds', async () => {
    await expect(ping({ address: 'n2' })).rejects.toMatchObject({ code: 'ERR_BAD_ADDRESS' })
    await expect(ping({ address: '10.0.0.2', count: 0 })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
    await expect(ping({ address: '10.0.0.2', bytes: 70_000 })).rejects.toMatchObject({
      code: 'ERR_BAD_ARGUMENT',
    })
  })

  it('ends when the asker goes', async () => {
    const stop = new AbortController()
    const series = client.ping({ address: '10.0.0.2', count: 1_000, intervalMs: 20 }, stop.signal)
    expect((await series.next()).value).toMatchObject({ kind: 'reply' })
    stop.abort()
    await expect(series.next()).rejects.toThrow()
    const sent = (): number => nodes[0]!.counters()['icmp']!['requests-out']!
    await until(async () => {
      const before = sent()
      await new Promise(resolve => setTimeout(resolve, 100))
      return sent() === before
    }, 'no more requests')
    expect(sent()).toBeLessThan(1_000)
  })
})

describe('node/control udp', () => {
  it('RFC 862: talks to the echo service of the other node, each datagram whole', async () => {
    const { socket, port: own } = await client.datagrams({ to: '10.0.0.2', toPort: 7 })
    expect(own).toBeGreaterThan(1_023)
    for (const text of ['one', '', 'three']) socket.write(frame(Buffer.from(text)))
    expect(await receive(socket, 3)).toEqual(['one', '', 'three'])
    socket.destroy()
  })

  it('a listener answers whoever sent last', async () => {
    const { socket } = await client.datagrams({ port: 9_000 })
    const far = nodes[1]!.network.openDatagrams({ family: 4 })
    const answer = new Promise<string>(resolve => {
      far.onDatagram = ({ data }) => resolve(Buffer.from(data).toString())
    })
    await far.send(Buffer.from('question'), { address: '10.0.0.1', port: 9_000 })
    expect(await receive(socket, 1)).toEqual(['question'])
    socket.write(frame(Buffer.from('answer')))
    expect(await answer).toBe('answer')
    await expect(client.datagrams({ port: 9_000 })).rejects.toMatchObject({ code: 'ERR_ADDR_IN_USE' })
    socket.destroy()
    far.close()
  })

  it('a port where nobody listens is an event of the node', async () => {
    const { socket } = await client.datagrams({ to: '10.0.0.2', toPort: 4_000 })
    socket.write(frame(Buffer.from('anybody?')))
    await new Promise(resolve => setTimeout(resolve, 30))
    expect(nodes[0]!.events.since().find(({ name }) => name === 'udp.error')?.text).toContain(
      'nobody listens',
    )
    socket.destroy()
  })

  it.each([
    [{ to: '10.0.0.2' }, 'go together'],
    [{ port: 70_000 }, 'port'],
    [{ to: 'nowhere', toPort: 7 }, 'no IP address'],
    [{ size: 1 }, 'size'],
  ])('%j is refused', async (query, text) => {
    await expect(client.datagrams(query as never)).rejects.toThrow(text)
  })
})

describe('node/control tcp', () => {
  const streams = (): string[] => nodes[0]!.plumbing().map(({ name }) => name)

  it.each(['an abort', 'a broken socket'])('%s of the asker ends its attempt to connect', async how => {
    const stop = new AbortController()
    if (how === 'an abort') {
      const asked = client.openStream({ to: '10.0.0.9', toPort: 7 }, stop.signal)
      asked.catch(() => {})
      await until(() => streams().some(name => name.includes('10.0.0.9')), 'it tries')
      stop.abort()
      await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
    } else {
      const socket = connect(port.path)
      socket.write(
        'GET /tcp?to=10.0.0.9&toPort=7 HTTP/1.1\r\nhost: n\r\nconnection: upgrade\r\nupgrade: putnext-stream\r\n\r\n',
      )
      await until(() => streams().some(name => name.includes('10.0.0.9')), 'it tries')
      socket.destroy()
    }
    await until(() => !streams().some(name => name.includes('10.0.0.9')), 'it was given up')
  })
})

describe('node/control capture', () => {
  async function bytesOf(response: AsyncIterable<Buffer>): Promise<Buffer> {
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  const modules = (): string[] => nodes[0]!.links.get('w0')!.stream.modules

  it('the answer is a capture, which ends by itself and leaves nothing on the stream', async () => {
    const response = await client.capture({ count: 4 })
    expect(modules()).toEqual(['capture'])
    await ping({ address: '10.0.0.2', count: 2, intervalMs: 1 })
    const { packets } = readPcapng(await bytesOf(response))
    expect(packets).toHaveLength(4)
    expect(JSON.parse(response.trailers['putnext-capture-totals']!)).toMatchObject({
      recorded: 4,
      notRecorded: 0,
    })
    await until(() => modules().length === 0, 'the capture is off')
  })

  it('at any joint: below an impairment there is only what it lets through', async () => {
    await client.impair('w0', { loss: '100%' })
    const [above, below] = [await client.capture({}), await client.capture({ module: 'impair' })]
    await ping({ address: '10.0.0.2', count: 2, intervalMs: 1, timeoutMs: 20 })
    for (const { headers } of [above, below]) await client.stopCapture(String(headers['putnext-capture']))
    expect(readPcapng(await bytesOf(above)).packets).toHaveLength(2)
    expect(readPcapng(await bytesOf(below)).packets).toHaveLength(0)
  })

  it('ends after a time', async () => {
    const response = await client.capture({ seconds: 0.01 })
    expect(readPcapng(await bytesOf(response)).packets).toHaveLength(0)
  })

  it('a reader that goes ends its capture', async () => {
    const stop = new AbortController()
    const response = await client.capture({}, stop.signal)
    response.on('error', () => {})
    stop.abort()
    await until(() => modules().length === 0, 'the capture is off')
  })

  it('to a file of the node, until it is told to stop', async () => {
    const file = join(directory, 'n1.pcapng')
    const { id, at } = await client.startCapture({ file, filter: 'icmp' })
    expect(at).toBe('w0')
    await ping({ address: '10.0.0.2', count: 1 })
    await ping({ address: 'fd00::2', count: 1 })
    expect(await client.stopCapture(id)).toMatchObject({ recorded: 2 })
    expect(readPcapng(readFileSync(file)).packets).toHaveLength(2)
    await expect(client.stopCapture(id)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })

  it.each([
    [{ filter: 'colour blue' }, 'ERR_BAD_CONFIG'],
    [{ stream: 'w9' }, 'ERR_NOT_FOUND'],
    [{ module: 'impair' }, 'ERR_NOT_FOUND'],
    [{ module: 'wire' }, 'ERR_PLUMBING'],
    [{ snaplen: 1 }, 'ERR_BAD_ARGUMENT'],
  ])('%j is refused', async (options, code) => {
    await expect(client.capture(options)).rejects.toMatchObject({ code })
    expect(modules()).toEqual([])
  })
})
