/** Server and client with their connections, over the kernel's sockets: what a session does when a peer misbehaves. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../testing.ts'
import { type ClientOptions, runClient } from './client.ts'
import type { EndLine, IntervalLine, IperfLine } from './lines.ts'
import { readParameters, type TestParameters, wireParameters } from './parameters.ts'
import { ACCESS_DENIED, COOKIE_BYTES, jsonBytes, makeCookie, PARAM_EXCHANGE } from './protocol.ts'
import { IperfServer } from './server.ts'
import { kernelNetwork } from './testing/kernel-network.ts'

let server: IperfServer
let told: IperfLine[]
const sockets: Socket[] = []

beforeEach(async () => {
  told = []
  server = await IperfServer.start({
    network: kernelNetwork,
    port: 0,
    address: '127.0.0.1',
    intervalSeconds: 0.1,
    tell: line => told.push(line),
  })
})

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  server.close()
})

const kinds = (): string[] => told.map(({ kind }) => kind)

function parameters(changes: Partial<TestParameters> = {}): TestParameters {
  const read = readParameters({ tcp: true, time: 1 })
  if (read.kind === 'refused') throw new Error(read.reason)
  return { ...read.parameters, ...changes }
}

function run(changes: Partial<TestParameters>, options: Partial<ClientOptions> = {}, signal?: AbortSignal) {
  const lines: IperfLine[] = []
  const done = runClient(
    {
      network: kernelNetwork,
      address: '127.0.0.1',
      port: server.port,
      parameters: parameters(changes),
      intervalSeconds: 0.1,
      timeoutMs: 2_000,
      tell: line => lines.push(line),
      ...options,
    },
    signal ?? new AbortController().signal,
  )
  return { lines, done }
}

/** A connection of the test's own to the server. */
async function dial(first: Uint8Array | string): Promise<{ socket: Socket; got: () => Buffer }> {
  const socket = connect(server.port, '127.0.0.1')
  sockets.push(socket)
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(chunk))
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(first)
  return { socket, got: () => Buffer.concat(chunks) }
}

describe('node/iperf: server and client', () => {
  it.each(['forward', 'reverse', 'both'] as const)('%s: both sides tell the same bytes', async direction => {
    const { lines, done } = run({ direction, parallel: 2, seconds: 1 })
    await done
    await until(() => kinds().includes('end'))
    const [own, theirs] = [lines, told].map(all => all.find(line => line.kind === 'end') as EndLine)
    expect(own!.streams.map(({ number, sending }) => [number, sending])).toEqual(
      theirs!.streams.map(({ number, sending }) => [number, !sending]),
    )
    for (const [i, { sent, received }] of own!.streams.entries()) {
      expect([sent, received]).toEqual([theirs!.streams[i]!.sent, theirs!.streams[i]!.received])
      expect(sent).toBeGreaterThan(1_000_000)
      expect(received).toBeGreaterThan(1_000_000)
    }
    const intervals = lines.filter((line): line is IntervalLine => line.kind === 'interval')
    expect(intervals.length).toBeGreaterThan(2)
    // Intervals have no gaps, and add up.
    for (const [i, { start }] of intervals.entries())
      expect(start).toBeCloseTo(i === 0 ? 0 : intervals[i - 1]!.end, 9)
    const sum = intervals.reduce((bytes, { streams }) => bytes + streams[0]!.bytes, 0)
    const first = own!.streams[0]!
    expect(sum).toBe(first.sending ? first.sent : first.received)
  })

  it('a number of bytes, of blocks, is sent to the byte', async () => {
    const bytes = run({ seconds: 0, bytes: 1_234_567, parallel: 3 })
    await bytes.done
    const sent = (lines: IperfLine[]): number =>
      (lines.at(-1) as EndLine).streams.reduce((sum, stream) => sum + stream.sent, 0)
    expect(sent(bytes.lines)).toBe(1_234_567)
    await until(() => kinds().includes('end'))
    const blocks = run({ seconds: 0, blocks: 7, blockBytes: 10_000 })
    await blocks.done
    expect(sent(blocks.lines)).toBe(70_000)
  })

  it('a limited rate is kept, and what is omitted is not counted', async () => {
    const { lines, done } = run({ bitsPerSecond: 8_000_000, blockBytes: 10_000, omitSeconds: 1, seconds: 1 })
    await done
    const end = lines.at(-1) as EndLine
    expect(end.streams[0]!.sent).toBeGreaterThan(500_000)
    expect(end.streams[0]!.sent).toBeLessThan(1_200_000)
    expect(lines.some(line => line.kind === 'interval' && line.omitted)).toBe(true)
  })

  it('one test at a time: the second is told, and comes to its turn later', async () => {
    const first = run({})
    await until(() => first.lines.length > 0)
    await expect(run({}).done).rejects.toMatchObject({
      code: 'ERR_PROTOCOL',
      message: expect.stringContaining('busy') as string,
    })
    await first.done
    await run({ seconds: 0, bytes: 1_000 }).done
  })

  it('an interruption of the client ends the test of the server', async () => {
    const stop = new AbortController()
    const { lines, done } = run({ seconds: 20 }, {}, stop.signal)
    await until(() => lines.some(({ kind }) => kind === 'interval'))
    stop.abort()
    await done
    await until(() => kinds().includes('failed'))
    expect(told.at(-1)).toEqual({ kind: 'failed', reason: 'the client ended the test' })
  })

  it('the end of the server is told to the client', async () => {
    const { lines, done } = run({ seconds: 20 })
    await until(() => lines.some(({ kind }) => kind === 'interval'))
    server.close()
    await expect(done).rejects.toMatchObject({ message: expect.stringContaining('ended the test') as string })
  })

  it('nobody listens, or somebody who is no iperf: told with what to do', async () => {
    await expect(run({}, { port: 1 }).done).rejects.toMatchObject({ code: 'ERR_HOST' })
    const silent = await IperfServer.start({
      network: kernelNetwork,
      port: 0,
      address: '127.0.0.1',
      intervalSeconds: 1,
      tell: () => {},
    })
    // It has a client already that says nothing, so the next one gets no answer but the refusal.
    silent.close()
    await expect(run({}, { port: silent.port }).done).rejects.toThrow()
  })
})

describe('node/iperf: peers that misbehave', () => {
  it('a connection that says half a cookie and goes is no test', async () => {
    const { socket } = await dial('half a cookie')
    socket.end()
    await once(socket, 'close')
    expect(kinds()).toEqual(['listening'])
  })

  it('a cookie that comes byte by byte is one', async () => {
    const cookie = makeCookie(new Uint8Array(64))
    const { socket, got } = await dial(cookie.subarray(0, 1))
    for (let i = 1; i < COOKIE_BYTES; i++) {
      socket.write(cookie.subarray(i, i + 1))
      await new Promise(resolve => setImmediate(resolve))
    }
    await until(() => got().length > 0)
    expect(got()[0]).toBe(PARAM_EXCHANGE)
  })

  it('a control connection that breaks in each state leaves the server free', async () => {
    const cookie = makeCookie(new Uint8Array(64))
    for (const more of [
      [],
      [jsonBytes(wireParameters(parameters()))],
      [jsonBytes({ tcp: true, parallel: 'x' })],
    ]) {
      const { socket } = await dial(cookie)
      for (const bytes of more) socket.write(bytes)
      const before = kinds().filter(kind => kind === 'failed').length
      setTimeout(() => socket.resetAndDestroy(), 20)
      await until(() => kinds().filter(kind => kind === 'failed').length > before)
    }
    await run({ seconds: 0, bytes: 1_000 }).done
  })

  it('a stream that breaks while the test runs is told by its number', async () => {
    const cookie = makeCookie(new Uint8Array(64))
    const control = await dial(cookie)
    control.socket.write(jsonBytes(wireParameters(parameters({ seconds: 10 }))))
    await until(() => control.got().length >= 2)
    const stream = await dial(cookie)
    await until(() => kinds().includes('start'))
    stream.socket.resetAndDestroy()
    await until(() => kinds().includes('failed'))
    expect(told.at(-1)).toMatchObject({ reason: expect.stringContaining('stream 1') as string })
  })

  it('connections with a cookie of another test are refused', async () => {
    await dial(makeCookie(new Uint8Array(64)))
    await until(() => kinds().includes('accepted'))
    const other = await dial(makeCookie(new Uint8Array(64).fill(7)))
    await until(() => other.got().length > 0)
    expect(other.got()[0]).toBe(ACCESS_DENIED)
  })
})

const hasIperf = spawnSync('iperf3', ['--version']).error === undefined

describe.skipIf(!hasIperf)(`node/iperf: the real iperf3${hasIperf ? '' : ' (skipped: no iperf3)'}`, () => {
  it.each([[], ['-R'], ['--bidir', '-P', '2']])('its client with our server: %j', async (...options) => {
    const child = spawn('iperf3', [
      '-c',
      '127.0.0.1',
      '-p',
      String(server.port),
      '-t',
      '1',
      '--json',
      ...options,
    ])
    let text = ''
    child.stdout.on('data', chunk => {
      text += String(chunk)
    })
    expect(await once(child, 'close')).toEqual([0, null])
    const { end } = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } }
    expect(end.sum_received.bits_per_second).toBeGreaterThan(1e8)
  })
})
