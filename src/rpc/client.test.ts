import { describe, expect, it } from 'vitest'
import { milliseconds } from '../base/time.ts'
import { makeTestRuntime } from '../streams/testing/runtime.ts'
import { RpcClient } from './client.ts'
import type { RpcClientOptions } from './client-options.ts'
import { RpcError } from './outcome.ts'
import { type NetConditions, TestNet } from './testing/channel-pair.ts'
import { DOUBLE, double, ScriptedServer } from './testing/scripted-server.ts'

/** A client and a scripted server over a net without loss, unless a test says otherwise. */
function rig(
  transport: 'tcp' | 'udp',
  options: RpcClientOptions = {},
  conditions: Partial<NetConditions> = {},
) {
  const test = makeTestRuntime()
  const net = new TestNet(test.runtime, conditions)
  const server = new ScriptedServer()
  const isStream = transport === 'tcp'
  if (isStream) net.onChannel = channel => server.serve(channel)
  else server.serve(net.datagramServer())
  const source = () => (isStream ? net.connect() : net.datagramClient())
  const host = { runtime: test.runtime }
  const client = RpcClient.over(host, source, isStream, options)
  const finish = () => {
    client.close()
    test.settle()
    test.finish()
  }
  /** Lets virtual time pass, with the microtasks between. */
  const pass = async (ms: number) => {
    for (let i = 0; i < 4; i++) {
      await Promise.resolve()
      test.advance(milliseconds(ms / 4))
    }
    await Promise.resolve()
  }
  return { ...test, net, server, client, finish, pass }
}

const failureOf = (promise: Promise<unknown>): Promise<RpcError> =>
  promise.then(
    () => expect.fail('the call succeeded'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(RpcError)
      return error as RpcError
    },
  )

describe.each(['tcp', 'udp'] as const)('rpc/client over %s', transport => {
  it('calls and gets the result', async () => {
    const { client, server, pass, finish } = rig(transport)
    server.onCall = double
    const made = client.call(DOUBLE, 21)
    await pass(4)
    expect(await made).toBe(42)
    expect(client.outstanding).toBe(0)
    finish()
  })

  it('RFC 5531 §9: replies are matched by xid, in whatever order they come', async () => {
    const { client, server, pass, finish } = rig(transport)
    const made = [1, 2, 3].map(n => client.call(DOUBLE, n))
    await pass(4)
    expect(server.calls).toHaveLength(3)
    for (const call of server.calls.toReversed()) double(call)
    await pass(4)
    expect(await Promise.all(made)).toEqual([2, 4, 6])
    finish()
  })

  it('checklist 40: an answer that comes after the deadline is counted and ignored', async () => {
    const { client, server, pass, finish } = rig(transport, { timeoutMs: 100 })
    const failure = failureOf(client.call(DOUBLE, 1))
    await pass(200)
    expect(await failure).toMatchObject({ outcome: 'unknown', code: 'ERR_TIMED_OUT', mayHaveRun: true })
    const next = client.call(DOUBLE, 2)
    await pass(4)
    double(server.calls[0]!)
    await pass(4)
    expect(client.counters['late-replies']).toBe(1)
    double(server.calls.at(-1)!)
    await pass(4)
    expect(await next).toBe(4)
    finish()
  })
})
