/** The kernel's UDP below our endpoints, against programs of plain node:dgram. */
import type { Socket } from 'node:dgram'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ERROR_IND, KIND, SEGMENT_BYTES } from '../inet/unitdata.ts'
import { createSocket } from '../socket/dgram.ts'
import { destination, readUdpError, UdpEndpoint, type UdpError } from '../socket/endpoint.ts'
import { allocb, freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { messageFrom, readMessage } from '../streams/mblk/pullup.ts'
import { type KernelHost, kernelHost } from './host.ts'
import { Plain } from './testing/plain.ts'
import { until } from './testing/until.ts'

let host: KernelHost
let plain: Plain

beforeEach(() => {
  host = kernelHost({ arenaBytes: 8 * 1024 * 1024, poison: true })
  plain = new Plain()
})

afterEach(async () => {
  await host.close()
  plain.close()
  host.runtime.arena.assertWhole()
})

function data(text: string): Mblk {
  const bytes = Buffer.from(text)
  return messageFrom(host.runtime.arena, bytes, 0, bytes.length, 'edge')!
}

/** The data of an indication, as text. @param mp - consumed */
function textOf(mp: Mblk): string {
  const bytes = Buffer.alloc(messageBytes(mp.cont!))
  readMessage(mp.cont!, 0, bytes, 0, bytes.length, 'edge')
  freemsg(mp)
  return bytes.toString()
}

function collect(socket: Socket): string[] {
  const got: string[] = []
  socket.on('message', message => got.push(message.toString()))
  return got
}

function collectOurs(endpoint: UdpEndpoint): { texts: string[]; errors: UdpError[] } {
  const got = { texts: [] as string[], errors: [] as UdpError[] }
  endpoint.onMessage = mp => void got.texts.push(textOf(mp))
  endpoint.onError = error => void got.errors.push(error)
  return got
}

describe.each([
  ['127.0.0.1', 'udp4', 4],
  ['::1', 'udp6', 6],
] as const)('at %s', (address, type, family) => {
  it('an endpoint of ours answers a socket of node:dgram, with the same block turned round', async () => {
    const endpoint = UdpEndpoint.open(host.runtime, { family, bind: { address, port: 0 } })
    const { local } = endpoint.names
    expect(local).toEqual({ address, family, port: expect.any(Number) })
    endpoint.onMessage = mp => expect(endpoint.reply(mp)).toBe(true)
    const socket = await plain.datagram(type, address)
    const got = collect(socket)
    for (const text of ['one', 'two', '']) socket.send(text, local!.port, address)
    await until('the echoes', () => got.length === 3)
    expect(got.sort()).toEqual(['', 'one', 'two'])
    endpoint.close()
  })

  it('an endpoint of ours sends to a socket of node:dgram, and gets its answer', async () => {
    const socket = await plain.datagram(type, address)
    socket.on('message', (message, from) => socket.send(`re: ${message}`, from.port, from.address))
    const endpoint = UdpEndpoint.open(host.runtime, { family })
    expect(endpoint.names.local).toBeNull()
    const got = collectOurs(endpoint)
    expect(endpoint.sendTo(data('hello'), destination(address, socket.address().port))).toBe(true)
    await until('the answer', () => got.texts.length === 1)
    expect(got.texts).toEqual(['re: hello'])
    expect(endpoint.names.local?.port).toBeGreaterThan(0)
    endpoint.close()
  })

  it('a connected endpoint sends to its peer what names nobody, and is told that nobody listens there', async () => {
    const socket = await plain.datagram(type, address)
    const got = collect(socket)
    const { port } = socket.address()
    const endpoint = UdpEndpoint.open(host.runtime, { family, connect: { address, port } })
    expect(endpoint.names.remote).toEqual({ address, family, port })
    const ours = collectOurs(endpoint)
    endpoint.sendTo(data('to my peer'), null)
    await until('it', () => got.length === 1)
    expect(got).toEqual(['to my peer'])
    plain.close()
    await new Promise(resolve => setTimeout(resolve, 10))
    endpoint.sendTo(data('anybody?'), null)
    await until('the error', () => ours.errors.length > 0)
    expect(ours.errors[0]).toMatchObject({ address, port, refusedHere: false, hard: true })
    expect(ours.errors[0]!.error.code).toBe('ERR_CONN_REFUSED')
    endpoint.close()
  })
})

it('an endpoint of both families shows IPv4 peers v4-mapped, and reaches them', async () => {
  const socket = await plain.datagram('udp4', '127.0.0.1')
  const { port } = socket.address()
  const got = collect(socket)
  const endpoint = UdpEndpoint.open(host.runtime, { bind: {}, connect: { address: '127.0.0.1', port } })
  expect(endpoint.names.remote).toEqual({ address: '::ffff:127.0.0.1', family: 6, port })
  endpoint.sendTo(data('x'), null)
  await until('it', () => got.length === 1)
  await expect(endpoint.disconnect()).resolves.toMatchObject({ remote: null })
  endpoint.sendTo(data('y'), destination('127.0.0.1', port))
  await until('it', () => got.length === 2)
  endpoint.close()
})

it('binding to what is taken, or is not ours, is refused at once, by options and by request', async () => {
  const socket = await plain.datagram('udp4', '127.0.0.1')
  const bind = { address: '127.0.0.1', port: socket.address().port }
  const refused = (code: string): unknown => expect.objectContaining({ code })
  expect(() => UdpEndpoint.open(host.runtime, { family: 4, bind })).toThrow(refused('ERR_ADDR_IN_USE'))
  const endpoint = UdpEndpoint.open(host.runtime, { family: 4 })
  await expect(endpoint.bind(bind.address, bind.port)).rejects.toMatchObject({ code: 'ERR_ADDR_IN_USE' })
  await expect(endpoint.bind('192.0.2.1', 0)).rejects.toMatchObject({ code: 'ERR_ADDR_NOT_AVAILABLE' })
  await expect(endpoint.bind('::1', 0)).rejects.toMatchObject({ code: 'ERR_BAD_ADDRESS' })
  await expect(endpoint.bind('127.0.0.1', 0)).resolves.toMatchObject({ remote: null })
  await expect(endpoint.bind('127.0.0.1', 0)).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
  await expect(endpoint.disconnect()).rejects.toMatchObject({ code: 'ERR_NOT_CONNECTED' })
  endpoint.close()
  expect(host.runtime.streams.size).toBe(0)
})

describe('what cannot be sent comes back with its tag', () => {
  it.each([
    ['a datagram that is too long', 65_508, 'ERR_FRAGMENT_NEEDED'],
    ['no destination', 1, 'ERR_BAD_ARGUMENT'],
  ] as const)('%s', async (what, size, code) => {
    const endpoint = UdpEndpoint.open(host.runtime, { family: 4 })
    const got = collectOurs(endpoint)
    const mp = allocb(host.runtime.arena, size)!
    mp.wptr += size
    endpoint.sendTo(mp, what === 'no destination' ? null : destination('127.0.0.1', 9), { tag: 42 })
    await until('the error', () => got.errors.length === 1)
    expect(got.errors[0]).toMatchObject({ refusedHere: true, tag: 42 })
    expect(got.errors[0]!.error.code).toBe(code)
    expect(host.counters['send-refused']).toBe(1)
    endpoint.close()
  })

  it('what the kernel refuses: broadcast that was not allowed', async () => {
    const endpoint = UdpEndpoint.open(host.runtime, { family: 4, bind: { address: '127.0.0.1' } })
    const got = collectOurs(endpoint)
    endpoint.sendTo(data('x'), destination('255.255.255.255', 9), { tag: 7 })
    await until('the error', () => got.errors.length === 1)
    expect(got.errors[0]).toMatchObject({ address: '255.255.255.255', port: 9, refusedHere: true, tag: 7 })
    expect(got.errors[0]!.error.code).toBe('ERR_ACCESS')
    endpoint.close()
  })

  it('a connected endpoint sends to nobody else: node:dgram has no call for it', async () => {
    const socket = await plain.datagram('udp4', '127.0.0.1')
    const connect = { address: '127.0.0.1', port: socket.address().port }
    const endpoint = UdpEndpoint.open(host.runtime, { family: 4, connect })
    endpoint.sendTo(data('x'), destination('127.0.0.1', 9))
    const mp = endpoint.getmsg()!
    expect(mp.dblk.arena.words[(mp.rptr >> 2) + KIND]).toBe(ERROR_IND)
    expect(readUdpError(mp).error.code).toBe('ERR_BAD_ARGUMENT')
    freemsg(mp)
    endpoint.close()
  })
})

it('each of several peers in turn gets its own answer', async () => {
  const endpoint = UdpEndpoint.open(host.runtime, { bind: { address: '::' } })
  const { port } = endpoint.names.local!
  endpoint.onMessage = mp => expect(endpoint.reply(mp)).toBe(true)
  const [four, six] = [await plain.datagram('udp4', '127.0.0.1'), await plain.datagram('udp6', '::1')]
  const [got4, got6] = [collect(four), collect(six)]
  for (let i = 0; i < 4; i++) {
    four.send(`4-${i}`, port, '127.0.0.1')
    six.send(`6-${i}`, port, '::1')
  }
  await until('the echoes', () => got4.length + got6.length === 8)
  expect([got4, got6]).toEqual([
    ['4-0', '4-1', '4-2', '4-3'],
    ['6-0', '6-1', '6-2', '6-3'],
  ])
  endpoint.close()
})

it('a super-datagram leaves as its parts', async () => {
  const socket = await plain.datagram('udp4', '127.0.0.1')
  const got = collect(socket)
  const endpoint = UdpEndpoint.open(host.runtime, { family: 4 })
  const chain = data('abcd')
  chain.cont = data('efgh')
  endpoint.sendTo(chain, destination('127.0.0.1', socket.address().port), { segmentBytes: 3 })
  await until('three', () => got.length === 3)
  expect(got).toEqual(['abc', 'def', 'gh'])
  expect(SEGMENT_BYTES).toBeGreaterThan(0)
  endpoint.close()
})

it('a program that does not read loses its own datagrams, counted, within its bound', async () => {
  const endpoint = UdpEndpoint.open(host.runtime, {
    family: 4,
    bind: { address: '127.0.0.1' },
    receiveBytes: 8_192,
  })
  const { port } = endpoint.names.local!
  const socket = await plain.datagram('udp4', '127.0.0.1')
  for (let i = 0; i < 100; i++) {
    await new Promise(resolve => socket.send(Buffer.alloc(1_000), port, '127.0.0.1', resolve))
  }
  await until('all were taken or dropped', () => {
    const { 'in-datagrams': taken, 'receive-full': dropped } = host.counters
    return taken + dropped >= 90
  })
  expect(host.counters['receive-full']).toBeGreaterThan(50)
  expect(endpoint.stream.top.count).toBeLessThan(8_192 + 1_100)
  endpoint.close()
})

it('settings that Node has are taken over, the others refused', async () => {
  const endpoint = UdpEndpoint.open(host.runtime, { family: 4, bind: { address: '127.0.0.1' } })
  await expect(endpoint.set({ ttl: 5, broadcast: true })).resolves.toMatchObject({ ttl: 5, broadcast: true })
  await expect(endpoint.set({ dontFragment: true })).rejects.toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
  await expect(endpoint.set({ ttl: 256 })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
  endpoint.close()
})

it('dgram-shaped sockets work above it', async () => {
  const socket = createSocket(host, 'udp4')
  const got: string[] = []
  socket.on('message', (message, from) => {
    got.push(`${message} from ${from.address}`)
  })
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  const peer = await plain.datagram('udp4', '127.0.0.1')
  peer.send('hi', socket.address().port, '127.0.0.1')
  await until('it', () => got.length === 1)
  expect(got).toEqual(['hi from 127.0.0.1'])
  await new Promise<void>(resolve => socket.close(resolve))
})

it('no byte of a datagram is copied in user space', async () => {
  const socket = await plain.datagram('udp4', '127.0.0.1')
  socket.on('message', (message, from) => socket.send(message, from.port, from.address))
  const endpoint = UdpEndpoint.open(host.runtime, { family: 4 })
  let size = 0
  endpoint.onMessage = mp => {
    size = messageBytes(mp.cont!)
    freemsg(mp)
  }
  let released = 0
  const bytes = Buffer.alloc(60_000, 7)
  endpoint.sendOwned(bytes, destination('127.0.0.1', socket.address().port), () => released++)
  await until('the echo', () => size > 0)
  expect([size, released]).toEqual([60_000, 1])
  const { stack, edge, kernel } = host.runtime.arena.copies
  expect([stack.bytes, edge.bytes, kernel.bytes]).toEqual([0, 0, 120_000])
  endpoint.close()
})
