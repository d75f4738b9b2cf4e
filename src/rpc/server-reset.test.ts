/** Connections that break while calls of theirs are not read yet. */
import { afterEach, describe, expect, it } from 'vitest'
import { TcpConnection } from '../socket/tcp-endpoint.ts'
import type { TestHost } from '../socket/testing/host.ts'
import { makeNetHost } from '../socket/testing/net-host.ts'
import { writeCall } from './message.ts'
import { rpcmod } from './rpcmod.ts'
import { RpcServer } from './server.ts'
import { rpcHandler } from './stub-types.ts'
import { XdrEncoder, xdrInt } from './xdr/index.ts'

const PROGRAM = 0x2000_0079
const NEXT = {
  name: 'NEXT',
  program: PROGRAM,
  version: 1,
  procedure: 1,
  isIdempotent: false,
  argument: xdrInt,
  result: xdrInt,
}

let host: TestHost
afterEach(() => host.finish())

describe('rpc/server: a connection that was reset', () => {
  it('is closed although calls of it are not read: its stream is given back', async () => {
    host = makeNetHost()
    const server = new RpcServer(host, { callsPerTurn: 4 })
    const ends = (n: number): number => {
      if (n === 1) connection.abort()
      return n + 1
    }
    server.add({ name: 'TEST', program: PROGRAM, version: 1, handlers: [rpcHandler(NEXT, ends)] })
    const [at] = await server.listen({ port: 0, transports: ['tcp'] })
    const before = host.runtime.streams.size
    const connection: TcpConnection = TcpConnection.connect(host.runtime, {
      address: '127.0.0.1',
      port: at!.port,
    })
    await new Promise<void>(resolve => {
      connection.onConnect = resolve
    })
    connection.stream.push(rpcmod, {})
    const xdr = new XdrEncoder(host.runtime.arena)
    for (let xid = 0; xid < 64; xid++) {
      xdr.start()
      writeCall(xdr, xid, PROGRAM, 1, 1)
      xdr.putInt('n', xid)
      connection.putmsg(xdr.finish())
    }
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(server.counters.calls).toBeLessThan(64)
    expect([server.channelCount, host.runtime.streams.size]).toEqual([0, before])
    await server.close()
  })
})
