/** Remote calls for the commands: how they are given up. */
import { afterEach, describe, expect, it } from 'vitest'
import { RPCBIND_PORT } from '../rpc/rpcbind/well-known.ts'
import { TcpListener } from '../socket/tcp-endpoint.ts'
import type { TestHost } from '../socket/testing/host.ts'
import { makeNetHost } from '../socket/testing/net-host.ts'
import { type RpcCallsRequest, rpcCalls } from './rpc-calls.ts'

const REQUEST: RpcCallsRequest = {
  address: '127.0.0.1',
  transport: 'tcp',
  program: 0x2000_0077,
  version: 1,
  procedure: 0,
  args: '',
  count: 1,
  intervalMs: 0,
  timeoutMs: 60_000,
}

let host: TestHost
afterEach(() => host.finish())

describe('node/rpc-calls: given up', () => {
  it('while rpcbind, or the server, does not answer: at once, without an error, and nothing is told', async () => {
    host = makeNetHost()
    const silent = TcpListener.open(host.runtime, { port: RPCBIND_PORT })
    const abort = new AbortController()
    const told: unknown[] = []
    const began = performance.now()
    setTimeout(() => abort.abort(), 50)
    await rpcCalls(host, REQUEST, abort.signal, line => told.push(line))
    expect(performance.now() - began).toBeLessThan(10_000)
    expect(told).toEqual([])
    silent.close()
  })
})
