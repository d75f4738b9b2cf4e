import { afterEach, describe, expect, it } from 'vitest'
import type { StackError } from '../base/errors.ts'
import { TcpConnection } from '../socket/tcp-endpoint.ts'
import type { TestHost } from '../socket/testing/host.ts'
import { makeNetHost } from '../socket/testing/net-host.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { messageFrom, readMessage } from '../streams/mblk/pullup.ts'
import { type RpcChannel, takeEnvelope } from './channel.ts'
import { DatagramChannel } from './datagram-channel.ts'
import { StreamChannel, StreamListener } from './stream-channel.ts'

const pattern = (size: number, seed = 0) => Uint8Array.from({ length: size }, (_, i) => i * 7 + seed)

function take(mp: Mblk): Uint8Array {
  const bytes = new Uint8Array(messageBytes(mp))
  readMessage(mp, 0, bytes, 0, bytes.length, 'edge')
  freemsg(mp)
  return bytes
}

let host: TestHost
afterEach(() => host.finish())

const make = (bytes: Uint8Array): Mblk => messageFrom(host.runtime.arena, bytes, 0, bytes.length, 'edge')!

/** Answers each message with itself. */
function echo(channel: RpcChannel): void {
  channel.onReadable = () => {
    for (let mp = channel.receive(); mp !== null; mp = channel.receive()) {
      const envelope = channel.isStream ? null : mp
      const body = channel.isStream ? mp : takeEnvelope(mp)!
      expect(channel.reply(envelope, body)).toBe(true)
    }
  }
}

/** Collects what comes until there are `count`. */
function collect(channel: RpcChannel, count: number): Promise<Uint8Array[]> {
  const got: Uint8Array[] = []
  return new Promise((resolve, reject) => {
    channel.onClosed = error => reject(error ?? new Error('ended'))
    channel.onReadable = () => {
      for (let mp = channel.receive(); mp !== null; mp = channel.receive()) {
        let body = mp
        if (!channel.isStream) {
          body = takeEnvelope(mp)!
          freemsg(mp)
        }
        got.push(take(body))
      }
      if (got.length >= count) resolve(got)
    }
  })
}

describe('a channel over TCP', () => {
  for (const address of ['127.0.0.1', '::1'])
    it(`${address}: what is sent before it is open waits; messages of all sizes come back whole and in order`, async () => {
      host = makeNetHost()
      const listener = new StreamListener(host, { port: 0 })
      const names: string[] = []
      listener.onChannel = channel => {
        names.push(channel.peerOf())
        echo(channel)
      }
      const { port } = listener.listener.local
      const client = StreamChannel.connect(host, { address, port })
      expect(client.isOpen).toBe(false)
      const sizes = [1, 40, 44, 511, 512, 513, 60_000, 3, 300_000]
      const sent = sizes.map((size, i) => pattern(size, i))
      for (const bytes of sent) expect(client.send(make(bytes))).toBe(true)
      expect(await collect(client, sizes.length)).toEqual(sent)
      expect(client.isOpen).toBe(true)
      expect(client.name).toBe(address === '::1' ? `[::1]:${port}` : `127.0.0.1:${port}`)
      expect(names).toHaveLength(1)
      client.close()
      listener.close()
    })

  it('the end of the peer is told once, without an error', async () => {
    host = makeNetHost()
    const listener = new StreamListener(host, { port: 0 })
    listener.onChannel = channel => channel.close()
    const client = StreamChannel.connect(host, { address: '127.0.0.1', port: listener.listener.local.port })
    const ends: (StackError | null)[] = []
    await new Promise<void>(resolve => {
      client.onReadable = () => {}
      client.onClosed = error => {
        ends.push(error)
        resolve()
      }
    })
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(ends).toEqual([null])
    client.close()
    listener.close()
  })

  it('nobody listens: ERR_CONN_REFUSED, and it never was open', async () => {
    host = makeNetHost()
    const client = StreamChannel.connect(host, { address: '127.0.0.1', port: 9 })
    client.onReadable = () => {}
    const error = await new Promise<StackError | null>(resolve => {
      client.onClosed = resolve
    })
    expect(error?.code).toBe('ERR_CONN_REFUSED')
    expect(client.isOpen).toBe(false)
    client.close()
  })

  it('checklist 71: a peer that announces 2^31-1 bytes is closed, and told why; the others go on', async () => {
    host = makeNetHost()
    const listener = new StreamListener(host, { port: 0 })
    const ends: (StackError | null)[] = []
    listener.onChannel = channel => {
      channel.onClosed = error => {
        ends.push(error)
        channel.close()
      }
      echo(channel)
    }
    const { port } = listener.listener.local
    const hostile = TcpConnection.connect(host.runtime, { address: '127.0.0.1', port })
    const isGone = new Promise(resolve => {
      hostile.onReadable = () => {}
      hostile.onClosed = resolve
    })
    hostile.write(Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 1, 2, 3))
    expect(await isGone).toBe('reset')
    expect(ends).toMatchObject([{ code: 'ERR_PROTOCOL', message: 'rpcmod: record-long' }])
    const honest = StreamChannel.connect(host, { address: '127.0.0.1', port })
    honest.send(make(pattern(40)))
    expect(await collect(honest, 1)).toEqual([pattern(40)])
    honest.close()
    hostile.close()
    listener.close()
  })
})

describe('a channel over UDP', () => {
  for (const address of ['127.0.0.1', '::1'])
    it(`${address}: a request comes with its envelope, and its answer finds the way back`, async () => {
      host = makeNetHost()
      const server = new DatagramChannel(host, { bind: { port: 0 } })
      const peers: string[] = []
      server.onReadable = () => {
        for (let mp = server.receive(); mp !== null; mp = server.receive()) {
          peers.push(server.peerOf(mp))
          expect(server.reply(mp, takeEnvelope(mp)!)).toBe(true)
        }
      }
      const client = new DatagramChannel(host, { connect: { address, port: server.port } })
      for (let i = 0; i < 3; i++) client.send(make(pattern(100, i)))
      expect(await collect(client, 3)).toEqual([pattern(100, 0), pattern(100, 1), pattern(100, 2)])
      const local = address === '::1' ? `[::1]:${client.port}` : `127.0.0.1:${client.port}`
      expect(peers).toEqual([local, local, local])
      client.close()
      server.close()
    })

  it('nobody listens there: told as trouble, the channel goes on', async () => {
    host = makeNetHost()
    const client = new DatagramChannel(host, { connect: { address: '127.0.0.1', port: 9 } })
    client.onReadable = () => {
      expect(client.receive()).toBe(null)
    }
    const trouble = await new Promise<StackError>(resolve => {
      client.onTrouble = resolve
      client.send(make(pattern(10)))
    })
    expect(trouble.code).toBe('ERR_CONN_REFUSED')
    client.close()
  })
})
