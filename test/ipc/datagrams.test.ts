/** Datagrams through the port, plain and mapped: what a program has with UDP of its own, it has through the port. */
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { StackError } from '../../src/base/errors.ts'
import { tryShim } from '../../src/host/shim.ts'
import type { IpcClient } from '../../src/ipc/index.ts'
import { until } from '../../src/node/testing.ts'
import { createSocket, type DatagramSocket } from '../../src/socket/dgram.ts'
import { destination, UdpEndpoint, type UdpError } from '../../src/socket/endpoint.ts'
import { TcpConnection } from '../../src/socket/tcp-endpoint.ts'
import { esballoc, freemsg } from '../../src/streams/mblk/alloc.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'
import { messageBytes } from '../../src/streams/mblk/message.ts'
import { messageFrom, readMessage } from '../../src/streams/mblk/pullup.ts'
import type { Runtime } from '../../src/streams/runtime.ts'
import { echo, exchange, FAR, NEAR, noise, Pair, sha } from './programs.ts'

const absent = tryShim() === null
const HOWS = [
  { port: 'plain', mapped: false },
  { port: 'mapped', mapped: true },
]

/** An endpoint that returns what comes. */
function reflect(runtime: Runtime, port: number): UdpEndpoint {
  const endpoint = UdpEndpoint.open(runtime, { bind: { port } })
  endpoint.onMessage = mp => {
    if (!endpoint.reply(mp)) freemsg(mp)
  }
  return endpoint
}

function textOf(mp: Mblk): Uint8Array {
  const size = mp.cont === null ? 0 : messageBytes(mp.cont)
  const bytes = new Uint8Array(size)
  if (size > 0) readMessage(mp.cont!, 0, bytes, 0, size, 'edge')
  return bytes
}

const data = (runtime: Runtime, bytes: Uint8Array): Mblk =>
  messageFrom(runtime.arena, bytes, 0, bytes.length, 'edge')!

describe.skipIf(absent).each(HOWS)(
  `ipc: datagrams, $port${absent ? ' (skipped: no native shim)' : ''}`,
  how => {
    let pair: Pair
    let client: IpcClient
    beforeEach(async () => {
      pair = await Pair.start({ mapped: how.mapped })
      client = await pair.attach(how)
    })
    afterEach(async () => {
      await pair.finish()
    })

    const bound = async (port?: number, on = client): Promise<DatagramSocket> => {
      const socket = createSocket(on, 'udp4')
      socket.bind(port)
      await once(socket, 'listening')
      return socket
    }

    it('putnext/dgram: binds, sends and receives datagrams of all sizes, each whole and by itself', async () => {
      const far = reflect(pair.far.runtime, 7_000)
      const socket = await bound()
      expect(socket.address()).toMatchObject({ address: '0.0.0.0', family: 'IPv4' })
      expect(socket.address().port).toBeGreaterThan(0)
      for (const size of [0, 1, 95, 96, 1_472, 1_900, 2_048, 9_000, 65_507]) {
        const bytes = noise(size)
        socket.send(bytes, 7_000, FAR)
        const [came, from] = (await once(socket, 'message')) as [Buffer, object]
        expect(sha(came)).toBe(sha(bytes))
        expect(from).toEqual({ address: FAR, family: 'IPv4', port: 7_000, size })
      }
      socket.close()
      far.close()
    })

    it('UdpEndpoint: what comes may be sent back as it is, and names and requests are the node’s', async () => {
      const endpoint = reflect(client.runtime, 7_001)
      await until(() => endpoint.names.local !== null)
      expect(endpoint.names).toMatchObject({ local: { port: 7_001 }, remote: null })
      expect(await endpoint.set({ ttl: 7 })).toMatchObject({ ttl: 7, receiveBytes: 262_144 })
      await expect(endpoint.set({ ttl: 700 })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
      await expect(endpoint.stream.ioctl('no.such')).rejects.toMatchObject({ code: 'ERR_IOCTL' })
      const far = createSocket(pair.far, 'udp4')
      far.send('hello', 7_001, NEAR)
      expect(String((await once(far, 'message'))[0])).toBe('hello')
      far.send('', 7_001, NEAR)
      expect((await once(far, 'message'))[0]).toHaveLength(0)
      expect(await endpoint.connect(FAR, far.address().port)).toMatchObject({
        local: { address: `::ffff:${NEAR}`, port: 7_001 },
        remote: { address: `::ffff:${FAR}` },
      })
      expect(endpoint.names.remote).not.toBeNull()
      // Data alone goes to the peer.
      expect(endpoint.stream.write(Buffer.from('alone'))).toBe(5)
      expect(String((await once(far, 'message'))[0])).toBe('alone')
      await endpoint.disconnect()
      expect(endpoint.names.remote).toBeNull()
      endpoint.close()
      far.close()
    })

    it('a first send binds, and the client hears where', async () => {
      const far = reflect(pair.far.runtime, 7_002)
      const endpoint = UdpEndpoint.open(client.runtime)
      let got: Uint8Array | null = null
      endpoint.onMessage = mp => {
        got = textOf(mp)
        freemsg(mp)
      }
      expect(endpoint.names.local).toBeNull()
      const bytes = noise(20_000)
      let released = 0
      expect(endpoint.sendOwned(bytes, destination(FAR, 7_002), () => released++)).toBe(true)
      await until(() => got !== null)
      expect(sha(got!)).toBe(sha(bytes))
      await until(() => released === 1)
      expect(endpoint.names.local!.port).toBeGreaterThan(0)
      endpoint.close()
      far.close()
    })

    it('nobody listens: ICMP says so, to a connected socket as an error, to an endpoint with its peer', async () => {
      const socket = createSocket(client, 'udp4')
      await new Promise<void>(resolve => socket.connect(9, FAR, () => resolve()))
      expect(socket.remoteAddress()).toMatchObject({ address: FAR, port: 9 })
      socket.send('x')
      expect((await once(socket, 'error'))[0]).toMatchObject({ code: 'ECONNREFUSED', syscall: 'recvmsg' })
      socket.close()
      const endpoint = UdpEndpoint.open(client.runtime)
      await endpoint.connect(FAR, 9)
      const told: UdpError[] = []
      endpoint.onMessage = freemsg
      endpoint.onError = error => told.push(error)
      endpoint.sendTo(data(client.runtime, noise(1)), null)
      await until(() => told.length === 1)
      expect(told[0]).toMatchObject({
        port: 9,
        refusedHere: false,
        hard: true,
        error: { code: 'ERR_CONN_REFUSED' },
      })
      // What the stack over there refuses comes back with its tag.
      await endpoint.disconnect()
      endpoint.sendTo(data(client.runtime, noise(1)), destination('192.0.2.1', 9), { tag: 77 })
      await until(() => told.length === 2)
      expect(told[1]).toMatchObject({
        tag: 77,
        refusedHere: true,
        error: { code: 'ERR_NETWORK_UNREACHABLE' },
      })
      endpoint.close()
    })

    it('what cannot be bound says why; a port is one client’s until that closes or goes', async () => {
      const other = await pair.attach(how)
      const first = await bound(7_003)
      const second = createSocket(other, 'udp4')
      second.bind(7_003)
      expect((await once(second, 'error'))[0]).toMatchObject({
        code: 'EADDRINUSE',
        syscall: 'bind',
        port: 7_003,
      })
      second.bind(7_003, '192.0.2.7')
      expect((await once(second, 'error'))[0]).toMatchObject({ code: 'EADDRNOTAVAIL' })
      const failed = UdpEndpoint.open(other.runtime, { bind: { port: 7_003 } })
      let down: StackError | null = null
      failed.stream.onDown = () => {
        down = failed.stream.poll().error
      }
      await until(() => down !== null)
      expect(down).toMatchObject({ code: 'ERR_ADDR_IN_USE' })
      expect(() => failed.sendTo(null, destination(FAR, 1))).toThrow(
        expect.objectContaining({ code: 'ERR_ADDR_IN_USE' }),
      )
      failed.close()
      // What two clients say is in no order between them.
      const clients = (): { streams: number }[] =>
        (pair.near.ipc!.describe() as { clients: { streams: number }[] }).clients
      const streams = (): number => clients().reduce((sum, one) => sum + one.streams, 0)
      await until(() => streams() === 2)
      first.close()
      await until(() => streams() === 1)
      second.bind(7_003)
      await once(second, 'listening')
      await other.close()
      await until(() => clients().length === 1)
      await bound(7_003).then(socket => socket.close())
    })

    it('a program that does not read: its buffer fills, what is beyond is dropped and counted there; others go on, and so does it', async () => {
      const slow = await UdpEndpoint.open(client.runtime)
      await slow.bind(undefined, 7_004)
      const far = UdpEndpoint.open(pair.far.runtime)
      const { arena } = pair.far.runtime
      const to = destination(NEAR, 7_004)
      let sent = 0
      const burst = async (count: number): Promise<void> => {
        for (let i = 0; i < count; i++) {
          if (i % 50 === 0) await wait(0)
          const mp = data(pair.far.runtime, noise(1_000))
          if (far.sendTo(mp, to)) sent++
          else freemsg(mp)
        }
      }
      await burst(2_000)
      await until(() => {
        const [stream] = [...pair.near.runtime.streams].filter(({ name }) => name.startsWith('udp:pid-'))
        const { counters } = stream!.bottom.state as { counters: Record<string, number> }
        return (
          counters['receive-full']! > 500 && counters['receive-full']! + counters['in-datagrams']! === sent
        )
      }, 'the port to count')
      expect(arena.isLow).toBe(false)
      // Its neighbours have their own.
      const listener = echo(pair.far.runtime)
      const bytes = noise(1024 * 1024)
      const connection = TcpConnection.connect(client.runtime, { address: FAR, port: listener.local.port })
      expect((await exchange(connection, bytes)).hash).toBe(sha(bytes))
      listener.close()
      let got = 0
      slow.onMessage = mp => {
        expect(textOf(mp).length).toBe(1_000)
        got++
        freemsg(mp)
      }
      await until(() => got > 200)
      const before = got
      await burst(50)
      await until(() => got >= before + 50)
      slow.close()
      far.close()
    })

    it('a burst of sends: what the stack has no room for waits, in order, and none of it is lost at the port', async () => {
      const far = UdpEndpoint.open(pair.far.runtime, {
        bind: { port: 7_005 },
        receiveBytes: 32 * 1024 * 1024,
      })
      const seen: number[] = []
      far.onMessage = mp => {
        seen.push(new DataView(textOf(mp).buffer).getInt32(0))
        freemsg(mp)
      }
      const endpoint = UdpEndpoint.open(client.runtime)
      const to = destination(FAR, 7_005)
      const total = 5_000
      let sent = 0
      let refused = 0
      const bytes = new Uint8Array(200)
      const send = (): void => {
        while (sent < total) {
          new DataView(bytes.buffer).setInt32(0, sent)
          const mp = data(client.runtime, bytes)
          if (!endpoint.sendTo(mp, to)) {
            refused++
            return freemsg(mp)
          }
          sent++
        }
      }
      endpoint.onWritable = send
      send()
      await until(() => seen.length === total, `all to come (${seen.length} of ${sent})`)
      expect(refused).toBeGreaterThan(0)
      expect(seen).toEqual(Array.from({ length: total }, (_, i) => i))
      // In batches: far fewer system calls than datagrams.
      expect(client.counters.writes).toBeLessThan(total / 10)
      endpoint.close()
      far.close()
    })

    it('a node that ends is an error for its endpoints, once; one that was closed hears nothing', async () => {
      const socket = await bound()
      const endpoint = UdpEndpoint.open(client.runtime, { bind: { port: 7_006 } })
      await until(() => endpoint.names.local !== null)
      endpoint.close()
      const errors: Error[] = []
      socket.on('error', error => errors.push(error))
      const closed = new Promise<void>(resolve => socket.on('close', () => resolve()))
      await pair.near.close()
      await closed
      await until(() => errors.length === 1)
      expect(errors[0]).toMatchObject({ code: 'ECONNRESET' })
      expect(() => createSocket(client, 'udp4')).toThrow(expect.objectContaining({ code: 'ERR_CONN_RESET' }))
    })

    it('requests that are none are dropped, with a counter', async () => {
      const endpoint = UdpEndpoint.open(client.runtime)
      await endpoint.bind()
      const { counters } = endpoint.stream.bottom.state as unknown as { counters: Record<string, number> }
      const short = data(client.runtime, noise(8))
      short.type = 1
      endpoint.send(short)
      const foreign = esballoc(client.runtime.arena, new Uint8Array(200), () => {})!
      foreign.wptr = foreign.rptr + 200
      foreign.type = 1
      endpoint.send(foreign)
      expect(counters['request-malformed']).toBe(2)
      endpoint.close()
    })
  },
)
