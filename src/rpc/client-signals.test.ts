import { describe, expect, it } from 'vitest'
import { clientRig, failureOf } from './testing/client-rig.ts'
import { DOUBLE, double } from './testing/scripted-server.ts'

describe('rpc/client: signals', () => {
  it('one signal for many calls is listened to once, as long as one of them is outstanding', async () => {
    const { client, server, pass, finish } = clientRig('tcp')
    const abort = new AbortController()
    const { signal } = abort
    let listeners = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--
      remove(...args)
    }
    server.onCall = call => {
      if (call.argument < 10) double(call)
    }
    const made = Array.from({ length: 20 }, (_, n) => client.call(DOUBLE, n, { signal }))
    const ends = Promise.allSettled(made)
    expect(listeners).toBe(1)
    await pass(4)
    expect(client.outstanding).toBe(10)
    abort.abort('enough')
    await pass(4)
    expect((await ends).map(({ status }) => status)).toEqual([
      ...new Array(10).fill('fulfilled'),
      ...new Array(10).fill('rejected'),
    ])
    expect([listeners, client.outstanding, client.counters.cancelled]).toEqual([0, 0, 10])
    finish()
  })

  it('a signal that aborts while the argument is encoded: the call is refused, and not sent', async () => {
    const { client, server, pass, finish } = clientRig('tcp')
    const abort = new AbortController()
    const argument: (typeof DOUBLE)['argument'] = {
      encode: (xdr, n) => {
        abort.abort()
        xdr.putInt('n', n)
      },
      decode: xdr => xdr.int('n'),
    }
    const failure = failureOf(client.call({ ...DOUBLE, argument }, 1, { signal: abort.signal }))
    await pass(4)
    expect(await failure).toMatchObject({ outcome: 'refused', code: 'ERR_CONN_ABORTED' })
    expect(server.calls).toEqual([])
    finish()
  })
})
