/** The client over real TCP and UDP of our stack, in one process. */
import { afterEach, describe, expect, it } from 'vitest'
import type { TestHost } from '../socket/testing/host.ts'
import { makeNetHost } from '../socket/testing/net-host.ts'
import { RpcClient } from './client.ts'
import { RpcServer } from './server.ts'
import { type RpcProcedure, type RpcService, rpcHandler } from './stub-types.ts'
import { XdrOpaque, xdrInt, xdrOpaqueView } from './xdr/index.ts'

const PROGRAM = 0x2000_0078
const TWICE: RpcProcedure<number, number> = {
  name: 'TWICE',
  program: PROGRAM,
  version: 1,
  procedure: 1,
  isIdempotent: false,
  argument: xdrInt,
  result: xdrInt,
}
const FETCH: RpcProcedure<number, XdrOpaque> = {
  ...TWICE,
  name: 'FETCH',
  procedure: 2,
  result: xdrOpaqueView(),
}
const STORE: RpcProcedure<XdrOpaque, number> = {
  ...TWICE,
  name: 'STORE',
  procedure: 3,
  argument: xdrOpaqueView(),
}

const AGAIN: RpcProcedure<number, number> = { ...TWICE, name: 'AGAIN', procedure: 4, isIdempotent: true }
const SERVICE: RpcService = {
  name: 'TEST',
  program: PROGRAM,
  version: 1,
  handlers: [
    rpcHandler(TWICE, n => 2 * n),
    rpcHandler(FETCH, size => XdrOpaque.of(new Uint8Array(size).fill(7))),
    rpcHandler(STORE, bytes => bytes.length),
    rpcHandler(AGAIN, n => 2 * n),
  ],
}

let host: TestHost
afterEach(() => host.finish())

async function serve(transports: readonly ('tcp' | 'udp')[] = ['tcp', 'udp']) {
  host = makeNetHost()
  const server = new RpcServer(host)
  server.add(SERVICE)
  const [first] = await server.listen({ port: 0, transports })
  return { server, port: first!.port }
}

describe.each(['tcp', 'udp'] as const)('rpc/client over %s of our stack', transport => {
  it('connects, calls, many at once, and closes', async () => {
    const { server, port } = await serve()
    const client = await RpcClient.connect(host, { address: '127.0.0.1', port, transport })
    expect(client.peer).toBe(`127.0.0.1:${port}`)
    expect(await client.call(TWICE, 21)).toBe(42)
    const many = await Promise.all(Array.from({ length: 300 }, (_, i) => client.call(TWICE, i)))
    expect(many).toEqual(Array.from({ length: 300 }, (_, i) => 2 * i))
    client.close()
    await server.close()
  })

  it('finds the port by lookup, and has a session', async () => {
    const { server, port } = await serve()
    const asked: unknown[] = []
    const client = await RpcClient.connect(host, {
      address: '127.0.0.1',
      transport,
      program: PROGRAM,
      version: 1,
      atMostOnce: true,
      lookup: async (...what) => {
        asked.push(what)
        return port
      },
    })
    expect(asked).toEqual([[PROGRAM, 1, transport]])
    expect(client.isAtMostOnce).toBe(true)
    expect(await client.call(TWICE, 4)).toBe(8)
    client.close()
    await server.close()
  })

  it('a server that was started again at another port is found there', async () => {
    const first = await serve()
    let { port } = first
    const client = await RpcClient.connect(host, {
      address: '127.0.0.1',
      transport,
      program: PROGRAM,
      version: 1,
      reconnectMs: 20,
      retransmitMs: 50,
      lookup: async () => port,
    })
    expect(await client.call(AGAIN, 1)).toBe(2)
    await first.server.close()
    const second = new RpcServer(host).add(SERVICE)
    port = (await second.listen({ port: 0 }))[0]!.port
    expect(port).not.toBe(first.port)
    expect(await client.call(AGAIN, 2)).toBe(4)
    expect(client.peer).toBe(`127.0.0.1:${port}`)
    client.close()
    await second.close()
  })

  it('nobody listens: says so', async () => {
    const { server, port } = await serve()
    await server.close()
    const options = { address: '127.0.0.1', port, transport, persistent: false, timeoutMs: 2_000 } as const
    const made = RpcClient.connect(host, options)
    if (transport === 'tcp') {
      await expect(made).rejects.toMatchObject({
        code: 'ERR_CONN_REFUSED',
        message: expect.stringContaining(`cannot be reached at 127.0.0.1 port ${port}: `),
      })
    } else {
      const client = await made
      await expect(client.call(TWICE, 1)).rejects.toMatchObject({
        outcome: 'refused',
        code: 'ERR_CONN_REFUSED',
      })
      client.close()
    }
  })
})

describe('rpc/client over tcp of our stack', () => {
  it('1 MiB both ways, without a copy above the connection', async () => {
    const { server, port } = await serve()
    const client = await RpcClient.connect(host, { address: '127.0.0.1', port, transport: 'tcp' })
    const before = host.runtime.arena.copies.edge.bytes
    using data = await client.call(FETCH, 1024 * 1024)
    expect(data.length).toBe(1024 * 1024)
    expect(host.runtime.arena.copies.edge.bytes - before).toBeLessThan(4_096)
    expect(data.toBytes().every(byte => byte === 7)).toBe(true)
    expect(await client.call(STORE, data)).toBe(1024 * 1024)
    client.close()
    await server.close()
  })
})
