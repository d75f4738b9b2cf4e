/** Programs that read nothing for a while on many connections, and peers that do: all else of the program goes on. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { tryShim } from '../../src/host/shim.ts'
import { until } from '../../src/node/testing.ts'
import { TcpConnection, TcpListener } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { messageBytes } from '../../src/streams/mblk/message.ts'
import type { Runtime } from '../../src/streams/runtime.ts'
import { echo, exchange, FAR, noise, Pair, sha } from './programs.ts'

const absent = tryShim() === null
/** More than would fill the port's memory by a megabyte each. What a mapped client has lent counts by whole blocks, each view by itself. */
const HOWS = [
  { port: 'plain', mapped: false, many: 24 },
  { port: 'mapped', mapped: true, many: 8 },
]

/** Writes as much as it may; nothing more once it is closed. */
function fill(connection: TcpConnection): void {
  const block = noise(65_536)
  const send = (): void => {
    try {
      while (connection.write(block) === block.length);
    } catch {
      // It is over.
    }
  }
  connection.onConnect = send
  connection.onWritable = send
  send()
}

function listen(runtime: Runtime, taken: (connection: TcpConnection) => void): TcpListener {
  const listener = TcpListener.open(runtime, { port: 0, address: '0.0.0.0' })
  listener.onConnection = () => {
    for (let c = listener.accept(); c !== null; c = listener.accept()) taken(c)
  }
  return listener
}

describe.skipIf(absent).each(HOWS)(
  `ipc, $port: many that stand still${absent ? ' (skipped: no native shim)' : ''}`,
  how => {
    let pair: Pair
    const all: TcpConnection[] = []
    const listeners: TcpListener[] = []

    beforeEach(async () => {
      pair = await Pair.start({ mapped: how.mapped }, '256MiB')
    })

    afterEach(async () => {
      for (const each of all.splice(0)) each.abort()
      for (const each of all.splice(0)) each.close()
      for (const each of listeners.splice(0)) each.close()
      await pair.finish()
    })

    /** Opens many, and waits until nothing moves any more. */
    async function settle(open: () => TcpConnection): Promise<void> {
      for (let i = 0; i < how.many; i++) all.push(open())
      let before = -1
      await until(async () => {
        const { 'bytes-in': taken, 'bytes-out': given } = client.counters
        const now = taken + given
        const still = now === before && now > 0
        before = now
        await new Promise(resolve => setTimeout(resolve, 150))
        return still
      }, 'everything to stand still')
    }

    let client: Awaited<ReturnType<Pair['attach']>>

    async function echoed(bytes: Uint8Array): Promise<void> {
      const there = echo(pair.far.runtime)
      listeners.push(there)
      const connection = TcpConnection.connect(client.runtime, { address: FAR, port: there.local.port })
      expect(await exchange(connection, bytes)).toEqual({ bytes: bytes.length, hash: sha(bytes) })
    }

    it('connections that the program does not read: a new one opens, carries and ends', async () => {
      client = await pair.attach(how)
      const source = listen(pair.far.runtime, fill)
      listeners.push(source)
      await settle(() => TcpConnection.connect(client.runtime, { address: FAR, port: source.local.port }))
      await echoed(noise(2_000_000))
      // And those go on when they are read.
      let got = 0
      const [first] = all as [TcpConnection]
      const read = (): void => {
        for (let mp = first.getmsg(); mp !== null; mp = first.getmsg()) {
          got += messageBytes(mp)
          freemsg(mp)
        }
      }
      first.onReadable = read
      read()
      await until(() => got > 4_000_000, 'the one that is read')
    })

    it('peers that read nothing: other connections go on, and the program may give those up', async () => {
      client = await pair.attach(how)
      const sink = listen(pair.far.runtime, connection => all.push(connection))
      listeners.push(sink)
      let own!: TcpConnection
      await settle(() => {
        own = TcpConnection.connect(client.runtime, { address: FAR, port: sink.local.port })
        fill(own)
        return own
      })
      // What a mapped program sends lies in 2 MiB for all: they have it.
      if (!how.mapped) await echoed(noise(2_000_000))
      const { ipc } = pair.near
      const streams = (): number =>
        (ipc!.describe() as { clients: { streams: number }[] }).clients[0]!.streams
      expect(streams()).toBe(how.many)
      own.abort()
      await until(() => streams() === how.many - 1, 'the node to hear of it')
    })
  },
)
