/** A host of the kernel's sockets that is closed under clients and servers: everybody hears of it, nobody waits for ever. */
import { describe, expect, it } from 'vitest'
import { kernelHost } from '../../src/kernel/index.ts'
import { RpcClient } from '../../src/rpc/client.ts'
import { RpcServer } from '../../src/rpc/server.ts'
import { type RpcProcedure, rpcHandler } from '../../src/rpc/stub-types.ts'
import { xdrInt } from '../../src/rpc/xdr/index.ts'

const STUCK: RpcProcedure<number, number> = {
  name: 'STUCK',
  program: 0x2000_0099,
  version: 1,
  procedure: 1,
  isIdempotent: false,
  argument: xdrInt,
  result: xdrInt,
}

describe.each(['tcp', 'udp'] as const)('rpc over %s of the kernel: the host is closed', transport => {
  it.each([true, false])('calls end, the server stops; persistent: %s', async persistent => {
    const host = kernelHost({ poison: true })
    const server = new RpcServer(host)
    const handlers = [rpcHandler(STUCK, () => new Promise<number>(() => {}))]
    server.add({ name: 'TEST', program: STUCK.program, version: 1, handlers })
    const [at] = await server.listen({ port: 0, address: '127.0.0.1', transports: [transport] })
    const client = await RpcClient.connect(host, {
      address: '127.0.0.1',
      port: at!.port,
      transport,
      timeoutMs: Number.POSITIVE_INFINITY,
      persistent,
    })
    const calls = [client.call(STUCK, 1), client.call({ ...STUCK, isIdempotent: true }, 2)]
    const ended = Promise.allSettled(calls)
    await new Promise(resolve => setTimeout(resolve, 20))
    await host.close()
    expect(await ended).toMatchObject([
      { status: 'rejected', reason: { outcome: 'unknown' } },
      { status: 'rejected', reason: { outcome: 'unknown' } },
    ])
    await server.close()
    client.close()
    expect(host.runtime.arena.state()).toMatchObject({ blocksInUse: 0, viewsInUse: 0, foreignInUse: 0 })
  })
})

describe('rpc over the kernel: the host is closed', () => {
  it('a server that was about to listen is told', async () => {
    const host = kernelHost({})
    const listening = new RpcServer(host).listen({ port: 0, address: '127.0.0.1' })
    const failed = expect(listening).rejects.toMatchObject({ code: 'ERR_HANGUP' })
    await host.close()
    await failed
  })
})
