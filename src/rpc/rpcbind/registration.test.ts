import { describe, expect, it } from 'vitest'
import { StackError } from '../../base/errors.ts'
import { seconds } from '../../base/time.ts'
import { makeTestRuntime } from '../../streams/testing/runtime.ts'
import { RpcRegistration } from './registration.ts'

describe('rpc/rpcbind/registration: an onTrouble that throws', () => {
  it('keeps no entry from being renewed, and nothing is rejected that nobody waits for', async () => {
    const test = makeTestRuntime()
    let sets = 0
    let isDown = false
    const target = {
      set: async () => {
        if (isDown) throw new StackError('ERR_CONN_REFUSED', 'nobody there')
        return ++sets > 0
      },
      unset: async () => {
        throw new StackError('ERR_CONN_REFUSED', 'nobody there')
      },
    }
    const server = { services: [{ program: 1, version: 1 }] }
    const places = [{ transport: 'tcp', address: '127.0.0.1', port: 5 }] as const
    const onTrouble = (): never => {
      throw new Error('of the program')
    }
    const registration = await RpcRegistration.start(test.runtime, target, server, places, { onTrouble })
    const pass = async (): Promise<void> => {
      test.advance(seconds(21))
      for (let i = 0; i < 20; i++) await Promise.resolve()
    }
    isDown = true
    await pass()
    isDown = false
    await pass()
    expect(sets).toBe(2)
    await registration.close()
    test.finish()
  })
})
