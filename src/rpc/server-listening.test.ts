import { afterEach, describe, expect, it } from 'vitest'
import type { TestHost } from '../socket/testing/host.ts'
import { makeNetHost } from '../socket/testing/net-host.ts'
import type { RpcChannel } from './channel.ts'
import { DatagramChannel } from './datagram-channel.ts'
import { RpcServer } from './server.ts'
import { StreamChannel } from './stream-channel.ts'
import { intHandler, RawPeer, type SeenReply, serviceOf } from './testing/server-harness.ts'

let host: TestHost
afterEach(() => host.finish())

const peers: string[] = []
const service = serviceOf([
  intHandler(1, (argument, context) => {
    peers.push(context.peer)
    return 2 * argument
  }),
  intHandler(2, async argument => {
    await new Promise(resolve => setTimeout(resolve, 20))
    return argument
  }),
])

async function replies(peer: RawPeer<RpcChannel>, count: number): Promise<SeenReply[]> {
  for (let i = 0; i < 500 && peer.replies.length < count; i++)
    await new Promise(resolve => setTimeout(resolve, 2))
  return peer.taken()
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !what(); i++) await new Promise(resolve => setTimeout(resolve, 2))
  expect(what()).toBe(true)
}

describe('rpc/server: reached by TCP and UDP', () => {
  for (const address of ['127.0.0.1', '::1'])
    it(`${address}: both at one port, with peers by their addresses`, async () => {
      host = makeNetHost()
      const server = new RpcServer(host).add(service)
      const [tcp, udp] = await server.listen({ port: 0 })
      expect([tcp!.transport, udp!.transport]).toEqual(['tcp', 'udp'])
      expect(udp!.port).toBe(tcp!.port)
      const { port } = tcp!
      const stream = new RawPeer(StreamChannel.connect(host, { address, port }))
      const datagrams = new RawPeer(new DatagramChannel(host, { connect: { address, port } }))
      for (const peer of [stream, datagrams]) {
        for (const argument of [1, 2, 3]) peer.call(1, argument)
        expect((await replies(peer, 3)).map(reply => reply.value)).toEqual([2, 4, 6])
      }
      const shown = address === '::1' ? '[::1]:' : '127.0.0.1:'
      expect(peers.splice(0).every(name => name.startsWith(shown))).toBe(true)
      stream.channel.close()
      datagrams.channel.close()
      await until(() => server.channelCount === 1)
      expect(host.refs()).toBe(1)
      await server.close()
      expect(host.refs()).toBe(0)
    })

  it('a large batch on one connection is answered in order, more than the connection takes at once', async () => {
    host = makeNetHost()
    const server = new RpcServer(host, { maxWaitingReplies: 16 }).add(service)
    const { port } = (await server.listen({ port: 0, transports: ['tcp'] }))[0]!
    const peer = new RawPeer(StreamChannel.connect(host, { address: '127.0.0.1', port }))
    for (let n = 0; n < 3_000; n++) peer.call(1, n)
    expect((await replies(peer, 3_000)).map(reply => reply.value)).toEqual(
      Array.from({ length: 3_000 }, (_, n) => 2 * n),
    )
    await server.close()
    peers.length = 0
    peer.channel.close()
  })

  it('stops with grace: a call that runs is answered, then the connection ends, and nobody listens any more', async () => {
    host = makeNetHost()
    const server = new RpcServer(host).add(service)
    const { port } = (await server.listen({ port: 0 }))[0]!
    const peer = new RawPeer(StreamChannel.connect(host, { address: '127.0.0.1', port }))
    peer.call(2, 5)
    await until(() => server.counters.calls === 1)
    await server.close({ graceMs: 1_000 })
    expect((await replies(peer, 1)).map(reply => reply.value)).toEqual([5])
    await until(() => peer.isClosed)
    const late = new RawPeer(StreamChannel.connect(host, { address: '127.0.0.1', port }))
    await until(() => late.isClosed)
    peer.channel.close()
  })

  it('a port that is taken is refused, and nothing is left open', async () => {
    host = makeNetHost()
    const [one, two] = [new RpcServer(host), new RpcServer(host)]
    const { port } = (await one.listen({ port: 0 }))[0]!
    await expect(two.listen({ port })).rejects.toMatchObject({ code: 'ERR_ADDR_IN_USE' })
    await expect(two.listen({ port, transports: ['udp'] })).rejects.toMatchObject({ code: 'ERR_ADDR_IN_USE' })
    await expect(two.listen({ port: 0, transports: [] })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
    await one.close()
    await two.listen({ port })
    await two.close()
  })
})
