import { describe, expect, it, vi } from 'vitest'
import { sysAuth } from './auth.ts'
import { RpcClient } from './client.ts'
import type { RpcProcedure } from './stub-types.ts'
import type { TestChannel } from './testing/channel-pair.ts'
import { failureOf, clientRig as rig } from './testing/client-rig.ts'
import { DOUBLE, double, SAME, succeed } from './testing/scripted-server.ts'
import type { RpcTraceEvent } from './trace.ts'
import { XdrError, xdrInt } from './xdr/index.ts'

const TRANSPORTS = ['tcp', 'udp'] as const

describe.each(TRANSPORTS)('rpc/client over %s: calls', transport => {
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

  it('the argument is encoded when the call is made, so that it may be changed then', async () => {
    const { client, server, pass, finish } = rig(transport)
    const list = { value: 1 }
    const procedure: RpcProcedure<typeof list, number> = {
      ...DOUBLE,
      argument: { encode: (xdr, { value }) => xdr.putInt('value', value), decode: () => list },
    }
    server.onCall = double
    const made = client.call(procedure, list)
    list.value = 100
    await pass(4)
    expect(await made).toBe(2)
    finish()
  })

  it('sends the credentials', async () => {
    const credentials = sysAuth({ stamp: 1, machineName: 'here', uid: 1, gid: 2, gids: [] })
    const { client, server, pass, finish } = rig(transport, { credentials })
    server.onCall = double
    const made = client.call(DOUBLE, 1)
    await pass(4)
    await made
    expect(server.calls[0]!.credentials).toEqual(credentials)
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

  it('checklist 40: a reply with an xid of nobody is counted and ignored', async () => {
    const { client, server, pass, finish } = rig(transport)
    const made = client.call(DOUBLE, 1)
    await pass(4)
    const call = server.calls[0]!
    succeed({ ...call, xid: (call.xid + 1_000) | 0 }, 1)
    await pass(4)
    expect(client.counters['foreign-replies']).toBe(1)
    double(call)
    await pass(4)
    expect(await made).toBe(2)
    finish()
  })

  it('a call has a deadline of its own', async () => {
    const { client, pass, finish } = rig(transport)
    const ends: string[] = []
    for (const timeoutMs of [400, 100, 200]) {
      client.call(DOUBLE, 1, { timeoutMs }).catch(() => ends.push(`${timeoutMs}`))
    }
    await pass(120)
    expect(ends).toEqual(['100'])
    await pass(120)
    expect(ends).toEqual(['100', '200'])
    await pass(400)
    expect(ends).toEqual(['100', '200', '400'])
    expect(client.counters['timed-out']).toBe(3)
    finish()
  })

  it('one timer serves all deadlines', async () => {
    const { client, runtime, pass, finish } = rig(transport)
    const arm = vi.spyOn(runtime.timers, 'arm')
    await pass(4)
    for (let i = 0; i < 50; i++) client.call(DOUBLE, i).catch(() => {})
    const timers = new Set(arm.mock.calls.map(([timer]) => timer))
    // The deadlines', the connection's, and the net's for opening it.
    expect(timers.size).toBeLessThanOrEqual(3)
    finish()
  })

  it('cancelling ends a call at once: what was sent is of unknown effect', async () => {
    const { client, server, pass, finish } = rig(transport)
    const reason = new Error('not needed any more')
    const stop = new AbortController()
    const failure = failureOf(client.call(DOUBLE, 1, { signal: stop.signal }))
    await pass(4)
    stop.abort(reason)
    expect(await failure).toMatchObject({ outcome: 'unknown', code: 'ERR_CONN_ABORTED', cause: reason })
    double(server.calls[0]!)
    await pass(4)
    expect(client.counters).toMatchObject({ cancelled: 1, 'late-replies': 1 })
    finish()
  })

  it('a signal that aborted before keeps the call from being sent', async () => {
    const { client, server, pass, finish } = rig(transport)
    const failure = failureOf(client.call(DOUBLE, 1, { signal: AbortSignal.abort() }))
    await pass(4)
    expect(await failure).toMatchObject({ outcome: 'refused', mayHaveRun: false })
    expect(server.calls).toHaveLength(0)
    finish()
  })

  it('a signal keeps nothing of a call that is over', async () => {
    const { client, server, pass, finish } = rig(transport)
    server.onCall = double
    const stop = new AbortController()
    const made = client.call(DOUBLE, 1, { signal: stop.signal })
    await pass(4)
    await made
    const next = client.call(DOUBLE, 2)
    stop.abort()
    await pass(4)
    expect(await next).toBe(4)
    finish()
  })
})

describe.each(TRANSPORTS)('rpc/client over %s: bounds', transport => {
  it('so many calls are in flight, so many wait, and one more fails at once', async () => {
    const { client, server, pass, finish } = rig(transport, { maxInFlight: 2, maxWaiting: 3 })
    const made = Array.from({ length: 5 }, (_, i) => client.call(DOUBLE, i))
    const failure = await failureOf(client.call(DOUBLE, 9))
    expect(failure).toMatchObject({ outcome: 'refused', code: 'ERR_BUSY' })
    await pass(4)
    expect(server.calls.map(({ argument }) => argument)).toEqual([0, 1])
    double(server.calls[1]!)
    await pass(4)
    expect(server.calls.map(({ argument }) => argument)).toEqual([0, 1, 2])
    server.onCall = double
    for (const call of server.calls.slice(0)) double(call)
    await pass(8)
    expect(await Promise.all(made)).toEqual([0, 2, 4, 6, 8])
    expect(client.counters.busy).toBe(1)
    finish()
  })

  it('a call that waited until its deadline was not sent: it is refused', async () => {
    const { client, server, pass, finish } = rig(transport, { maxInFlight: 1, timeoutMs: 100 })
    const [first, second] = [
      failureOf(client.call(DOUBLE, 1)),
      failureOf(client.call(DOUBLE, 2, { timeoutMs: 50 })),
    ]
    await pass(200)
    expect((await first).outcome).toBe('unknown')
    expect(await second).toMatchObject({ outcome: 'refused', code: 'ERR_TIMED_OUT', mayHaveRun: false })
    expect(server.calls.every(({ argument }) => argument === 1)).toBe(true)
    finish()
  })

  it('a full channel is waited for', async () => {
    const channels: TestChannel[] = []
    const { client, server, pass, finish } = rig(transport, {}, {}, channel => channels.push(channel))
    server.onCall = double
    const before = client.call(DOUBLE, 1)
    await pass(4)
    await before
    channels[0]!.blocked = true
    const made = [2, 3].map(n => client.call(DOUBLE, n))
    await pass(4)
    expect(server.calls).toHaveLength(1)
    channels[0]!.unblock()
    await pass(4)
    expect(await Promise.all(made)).toEqual([4, 6])
    finish()
  })

  it('no block of memory left: what waits is tried again a little later', async () => {
    const { client, server, arena, pass, finish } = rig(transport)
    server.onCall = double
    const before = client.call(SAME, 1)
    await pass(4)
    await before
    vi.spyOn(arena, 'takeView').mockReturnValueOnce(null)
    const made = client.call(SAME, 2)
    expect(client.counters['no-buffers']).toBe(1)
    await pass(20)
    expect(await made).toBe(4)
    finish()
  })

  it('no block of memory left to encode: the call is refused', async () => {
    const { client, arena, finish } = rig(transport)
    vi.spyOn(arena, 'take').mockReturnValueOnce(null)
    expect(await failureOf(client.call(DOUBLE, 1))).toMatchObject({
      outcome: 'refused',
      code: 'ERR_NO_BUFFERS',
    })
    finish()
  })

  it('a call that is too long is refused', async () => {
    const { client, server, pass, finish } = rig(transport, { maxMessageBytes: 2_000 })
    const put: RpcProcedure<Uint8Array, number> = {
      ...DOUBLE,
      argument: { encode: (xdr, bytes) => xdr.putOpaque('', bytes), decode: xdr => xdr.opaque('') },
    }
    const failure = await failureOf(client.call(put, new Uint8Array(3_000)))
    expect(failure).toMatchObject({ outcome: 'refused', code: 'ERR_MSG_TOO_LONG' })
    await pass(4)
    expect(server.calls).toHaveLength(0)
    finish()
  })

  it('an argument that is not of its type is refused, with the place', async () => {
    const { client, server, pass, finish } = rig(transport)
    const failure = await failureOf(client.call(DOUBLE, 1.5))
    expect(failure).toMatchObject({ outcome: 'refused', code: 'ERR_BAD_ARGUMENT' })
    expect(failure.cause).toBeInstanceOf(XdrError)
    expect(failure.message).toMatch(/^DOUBLE: argument: 1.5 is not an int/)
    await pass(4)
    expect(server.calls).toHaveLength(0)
    finish()
  })

  it('a codec that calls again while it encodes does no harm', async () => {
    const { client, server, pass, finish } = rig(transport)
    server.onCall = double
    const inner: Promise<number>[] = []
    const odd: RpcProcedure<number, number> = {
      ...DOUBLE,
      argument: {
        encode: (xdr, value) => {
          inner.push(client.call(DOUBLE, 7))
          xdr.putInt('', value)
        },
        decode: xdrInt.decode,
      },
    }
    const made = client.call(odd, 1)
    await pass(4)
    expect(await Promise.all([made, ...inner])).toEqual([2, 14])
    const failure = await failureOf(client.call(odd, 1.5))
    expect(failure.outcome).toBe('refused')
    await pass(4)
    expect(await inner[1]).toBe(14)
    finish()
  })

  it('a codec that closes the client while it encodes leaves nothing behind', async () => {
    const { client, pass, finish } = rig(transport)
    const odd: RpcProcedure<number, number> = {
      ...DOUBLE,
      argument: {
        encode: (xdr, value) => {
          client.close()
          xdr.putInt('', value)
        },
        decode: xdrInt.decode,
      },
    }
    expect(await failureOf(client.call(odd, 1))).toMatchObject({
      outcome: 'refused',
      code: 'ERR_STREAM_CLOSED',
    })
    await pass(4)
    finish()
  })
})

describe.each(TRANSPORTS)('rpc/client over %s: the end', transport => {
  it('close(): what was sent is of unknown effect, what waited was refused, and so is what comes after', async () => {
    const { client, pass, finish } = rig(transport, { maxInFlight: 1 })
    const [sent, waiting] = [failureOf(client.call(DOUBLE, 1)), failureOf(client.call(DOUBLE, 2))]
    await pass(4)
    client.close()
    client.close()
    expect(await sent).toMatchObject({ outcome: 'unknown', code: 'ERR_STREAM_CLOSED' })
    expect(await waiting).toMatchObject({ outcome: 'refused', code: 'ERR_STREAM_CLOSED' })
    expect(await failureOf(client.call(DOUBLE, 3))).toMatchObject({ outcome: 'refused' })
    await expect(client.ready()).rejects.toMatchObject({ code: 'ERR_STREAM_CLOSED' })
    finish()
  })

  it('keeps the program running from when it is made until it is closed, unless it is told not to', () => {
    let refs = 0
    const keepalive = { ref: () => refs++, unref: () => refs-- }
    const { runtime, net, finish } = rig(transport)
    const source = () => net.connect()
    const one = RpcClient.over({ runtime, keepalive }, source, true)
    expect(refs).toBe(1)
    one.unref()
    one.unref()
    expect(refs).toBe(0)
    one.ref()
    one.close()
    expect(refs).toBe(0)
    one.ref()
    expect(refs).toBe(0)
    finish()
  })

  it('the event loop is asked for its turn once for all results of a turn', async () => {
    const { client, server, runtime, pass, finish } = rig(transport)
    server.onCall = double
    const first = client.call(DOUBLE, 0)
    await pass(4)
    await first
    const made = [1, 2, 3].map(n => client.call(DOUBLE, n))
    let most = 0
    const { scheduler } = runtime
    while (runtime.turn()) most = Math.max(most, scheduler.programEvents)
    most = Math.max(most, scheduler.programEvents)
    expect(most).toBe(1)
    await Promise.all(made)
    expect(scheduler.programEvents).toBe(0)
    finish()
  })
})

describe('rpc/client: what it tells', () => {
  it('counters and latencies of each procedure', async () => {
    const { client, server, pass, finish } = rig(
      'udp',
      { timeoutMs: 400, retransmitMs: 100 },
      { delayMs: 10 },
    )
    server.onCall = call => {
      if (call.procedure === DOUBLE.procedure) double(call)
    }
    const made = [client.call(DOUBLE, 1), client.call(DOUBLE, 2)]
    const failure = failureOf(client.call(SAME, 1))
    failureOf(client.call(SAME, 0.5))
    await pass(800)
    await Promise.all([...made, failure])
    const [double_, same] = [...client.procedures]
    expect(double_).toMatchObject({
      name: 'DOUBLE',
      counters: { calls: 2, transmissions: 2, ok: 2, unknown: 0 },
    })
    expect(double_!.latency.describe()).toMatchObject({ count: 2, p50Us: 20_000 })
    expect(same).toMatchObject({ name: 'SAME', counters: { calls: 2, ok: 0, unknown: 1, refused: 1 } })
    expect(same!.counters.transmissions).toBeGreaterThanOrEqual(2)
    finish()
  })

  it('a trace of each call, told outside of it, whatever the hook does', async () => {
    const events: RpcTraceEvent[] = []
    const trace = (event: RpcTraceEvent): void => {
      events.push(event)
      throw new Error('a hook that fails')
    }
    const { client, server, pass, finish } = rig('udp', { trace, timeoutMs: 1_000 }, { delayMs: 10 })
    server.onCall = double
    const made = client.call(DOUBLE, 1)
    await pass(40)
    await made
    server.onCall = null
    const failure = failureOf(client.call(DOUBLE, 1))
    await pass(2_000)
    await failure
    expect(events).toMatchObject([
      { side: 'client', procedure: 'DOUBLE', peer: 'server:1', transmissions: 1, result: 'ok' },
      { procedure: 'DOUBLE', result: 'unknown ERR_TIMED_OUT' },
    ])
    expect(events[0]!.endedAt - events[0]!.beganAt).toBe(20_000)
    expect(events[0]!.xid).toBe(server.calls[0]!.xid >>> 0)
    finish()
  })

  it.each([
    { timeoutMs: 0 },
    { timeoutMs: Number.NaN },
    { maxInFlight: 0 },
    { maxMessageBytes: 1.5 },
    { atMostOnce: true },
    { atMostOnce: true, program: 1, version: 1, credentials: { flavor: 7, body: new Uint8Array(0) } },
  ])('refuses the options %j', options => {
    const { runtime, finish } = rig('udp')
    const make = () => RpcClient.over({ runtime }, () => expect.fail('no channel is made'), false, options)
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }))
    finish()
  })
})
