/** A client and a server that a test scripts, over a net that a test spoils, in virtual time. */
import { expect } from 'vitest'
import { milliseconds } from '../../base/time.ts'
import { makeTestRuntime } from '../../streams/testing/runtime.ts'
import { RpcClient } from '../client.ts'
import type { RpcClientOptions } from '../client-options.ts'
import { RpcError } from '../outcome.ts'
import { type NetConditions, type TestChannel, TestNet } from './channel-pair.ts'
import { ScriptedServer } from './scripted-server.ts'

/** A client and a scripted server over a net without loss, unless a test says otherwise. */
export function clientRig(
  transport: 'tcp' | 'udp',
  options: RpcClientOptions = {},
  conditions: Partial<NetConditions> = {},
  onMade: (channel: TestChannel) => void = () => {},
) {
  const test = makeTestRuntime()
  const net = new TestNet(test.runtime, conditions)
  const server = new ScriptedServer()
  const isStream = transport === 'tcp'
  if (isStream) net.onChannel = channel => server.serve(channel)
  else server.serve(net.datagramServer())
  const source = () => {
    const channel = isStream ? net.connect() : net.datagramClient()
    onMade(channel)
    return channel
  }
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

/** What a call failed with. */
export const failureOf = (promise: Promise<unknown>): Promise<RpcError> =>
  promise.then(
    () => expect.fail('the call succeeded'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(RpcError)
      return error as RpcError
    },
  )
