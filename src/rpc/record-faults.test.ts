/** Bytes that are no records (checklist 71): the connection ends, a counter of the server or the client says so, and nobody else notices. */
import { afterEach, describe, expect, it } from 'vitest'
import { TcpConnection, TcpListener } from '../socket/tcp-endpoint.ts'
import type { TestHost } from '../socket/testing/host.ts'
import { makeNetHost } from '../socket/testing/net-host.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import { RpcClient } from './client.ts'
import { RpcServer } from './server.ts'
import { type RpcProcedure, rpcHandler } from './stub-types.ts'
import { failureOf } from './testing/client-rig.ts'
import { xdrInt } from './xdr/index.ts'

const TWICE: RpcProcedure<number, number> = {
  name: 'TWICE',
  program: 0x2000_0079,
  version: 1,
  procedure: 1,
  isIdempotent: false,
  argument: xdrInt,
  result: xdrInt,
}
const SERVICE = { name: 'T', program: TWICE.program, version: 1, handlers: [rpcHandler(TWICE, n => 2 * n)] }
const ADDRESS = '127.0.0.1'

const FAULTS = [
  ['2^31-1 bytes announced', [0x7f, 0xff, 0xff, 0xff, 1]],
  ['a fragment of nothing', [0, 0, 0, 0]],
  ['a record of nothing', [0x80, 0, 0, 0]],
  ['fragments without end', Array.from({ length: 5_000 }, () => [0, 0, 0, 1, 0]).flat()],
] as const

let host: TestHost
afterEach(() => host.finish())

describe('checklist 71: bytes that are no records', () => {
  it.each(FAULTS)('%s, to a server', async (_, bytes) => {
    host = makeNetHost()
    const server = new RpcServer(host).add(SERVICE)
    const [place] = await server.listen({ port: 0, transports: ['tcp'] })
    const honest = await RpcClient.connect(host, { address: ADDRESS, port: place!.port, transport: 'tcp' })
    const hostile = TcpConnection.connect(host.runtime, { address: ADDRESS, port: place!.port })
    const end = new Promise(resolve => {
      hostile.onReadable = () => {}
      hostile.onClosed = resolve
    })
    hostile.write(Uint8Array.from(bytes))
    expect(await end).toBe('reset')
    expect(server.counters['record-faults']).toBe(1)
    expect(await honest.call(TWICE, 4)).toBe(8)
    expect(server.channelCount).toBe(1)
    hostile.close()
    honest.close()
    await server.close()
  })

  it.each(FAULTS)('%s, to a client: its call is of unknown effect', async (_, bytes) => {
    host = makeNetHost()
    const listener = TcpListener.open(host.runtime, { port: 0 })
    listener.onConnection = () => {
      const connection = listener.accept()!
      connection.onReadable = () => {
        for (let mp = connection.getmsg(); mp !== null; mp = connection.getmsg()) freemsg(mp)
        connection.write(Uint8Array.from(bytes))
      }
      connection.onClosed = () => connection.close()
    }
    const client = await RpcClient.connect(host, {
      address: ADDRESS,
      port: listener.local.port,
      transport: 'tcp',
      persistent: false,
    })
    expect(await failureOf(client.call(TWICE, 1))).toMatchObject({ outcome: 'unknown', code: 'ERR_PROTOCOL' })
    expect(client.counters['record-faults']).toBe(1)
    client.close()
    listener.close()
  })
})
