import { describe, expect, it } from 'vitest'
import { milliseconds } from '../base/time.ts'
import { Gate } from './testing/gate.ts'
import { handlerOf, intHandler, RawPeer, serverBench, serviceOf } from './testing/server-harness.ts'
import { XdrOpaque, xdrInt, xdrOpaque, xdrOpaqueView } from './xdr/index.ts'

describe('rpc/server: a slow reader of replies cannot pin memory (checklist 43)', () => {
  const echo = serviceOf([intHandler(1, n => n)])

  it('beyond the bound its calls are not read; when it takes them it goes on, and nothing is lost', async () => {
    const bench = serverBench([echo], { maxWaitingReplies: 10 })
    const { client, server: end } = bench.net.pair()
    bench.server.accept(end)
    const a = new RawPeer(client)
    end.blocked = true
    for (let n = 0; n < 100; n++) a.call(1, n)
    bench.settle()
    expect(bench.server.counters.calls).toBe(10)
    expect(bench.server.counters['reading-held']).toBe(1)
    end.unblock()
    bench.advance(milliseconds(1))
    expect(a.taken().map(reply => reply.value)).toEqual(Array.from({ length: 100 }, (_, n) => n))
    await bench.end()
  })

  it('what it takes nothing of for the time that is set is ended', async () => {
    const bench = serverBench([echo], { stallMs: 500 })
    const { client, server: end } = bench.net.pair()
    bench.server.accept(end)
    const a = new RawPeer(client)
    end.blocked = true
    a.call(1, 1)
    bench.settle()
    bench.advance(milliseconds(499))
    expect(a.isClosed).toBe(false)
    bench.advance(milliseconds(1))
    expect(a.isClosed).toBe(true)
    expect(bench.server.counters['connections-stalled']).toBe(1)
    await bench.end()
  })

  it('where memory is short those who take nothing go, the one that holds the most first; others are answered', async () => {
    const SIZE = 60_000
    const bulk = serviceOf([handlerOf(1, xdrInt, xdrOpaque(), size => new Uint8Array(size))])
    const bench = serverBench([bulk])
    const { server } = bench
    const slow = Array.from({ length: 6 }, (_, n) => {
      const { client, server: end } = bench.net.pair()
      server.accept(end)
      end.blocked = true
      const peer = new RawPeer(client)
      for (let i = 0; i < 60 - n; i++) peer.call(1, SIZE)
      return peer
    })
    bench.settle()
    expect(bench.arena.isLow).toBe(true)
    const honest = bench.connect()
    const seen: string[] = []
    for (let i = 0; i < 150; i++) {
      honest.call(1, SIZE)
      bench.advance(milliseconds(20))
      seen.push(honest.one().status)
    }
    expect(seen.slice(100)).toEqual(new Array(50).fill('SUCCESS'))
    expect(slow[0]!.isClosed).toBe(true)
    // No more than had to.
    expect(slow.map(peer => peer.isClosed)).toContain(false)
    expect(server.counters['connections-late']).toBeGreaterThan(0)
    await bench.end()
  })

  it('answers by datagrams wait for a device that takes none, and go each to its peer', async () => {
    const bench = serverBench([echo], { maxWaitingReplies: 4, stallMs: 10 })
    const end = bench.net.datagramServer()
    bench.server.accept(end)
    const peers = [0, 1].map(() => new RawPeer(bench.net.datagramClient()))
    end.blocked = true
    for (let n = 0; n < 6; n++) peers[n % 2]!.call(1, n)
    bench.settle()
    bench.advance(milliseconds(100))
    expect(bench.server.counters.calls).toBe(4)
    end.unblock()
    bench.advance(milliseconds(1))
    expect(peers.map(peer => peer.taken().map(reply => reply.value))).toEqual([
      [0, 2, 4],
      [1, 3, 5],
    ])
    await bench.end()
  })

  it('a reply that no datagram holds is SYSTEM_ERR, and the program is told', async () => {
    const bytes = new Uint8Array(70_000)
    const bench = serverBench([serviceOf([handlerOf(1, xdrInt, xdrOpaqueView(), () => XdrOpaque.of(bytes))])])
    const [a, b] = [bench.datagrams(), bench.connect()]
    for (const peer of [a, b]) peer.call(1, 1)
    bench.settle()
    expect([a.one().status, b.one().status]).toEqual(['SYSTEM_ERR', 'SUCCESS'])
    expect(bench.errors).toMatchObject([{ code: 'ERR_MSG_TOO_LONG' }])
    await bench.end()
  })

  it('calls that wait are not begun while its answers are not taken', async () => {
    const gate = new Gate()
    const bench = serverBench([serviceOf([gate.handler])], {
      maxWaitingReplies: 1,
      service: { mode: 'one-at-a-time' },
    })
    const { client, server: end } = bench.net.pair()
    bench.server.accept(end)
    const [a, b] = [new RawPeer(client), bench.connect()]
    end.blocked = true
    for (const n of [1, 2]) a.call(1, n)
    await bench.rest()
    b.call(1, 3)
    await gate.open(bench, 1)
    expect(gate.begun).toEqual([1, 3])
    await gate.open(bench, 3)
    expect(gate.begun).toEqual([1, 3])
    end.unblock()
    bench.advance(milliseconds(1))
    await gate.openAll(bench)
    expect(gate.begun).toEqual([1, 3, 2])
    await bench.end()
  })
})

describe('rpc/server: memory of arguments and results', () => {
  const SIZE = 4_096

  it('views in the argument are freed when the answer is sent, unless the handler took them', async () => {
    let kept: XdrOpaque | null = null
    const seen: XdrOpaque[] = []
    const bench = serverBench([
      serviceOf([
        handlerOf(1, xdrOpaqueView(), xdrInt, view => {
          seen.push(view)
          return view.length
        }),
        handlerOf(2, xdrOpaqueView(), xdrInt, async view => {
          seen.push(view)
          await Promise.resolve()
          kept = view.dup()
          return view.length
        }),
      ]),
    ])
    const a = bench.connect()
    for (const procedure of [1, 2]) a.call(procedure, null, { tail: new Uint8Array(SIZE).fill(7) })
    await bench.rest()
    expect(a.taken().map(reply => reply.value)).toEqual([SIZE, SIZE])
    expect(seen.map(view => view.isFreed)).toEqual([true, true])
    expect(kept!.toBytes().every(byte => byte === 7)).toBe(true)
    kept!.free()
    await bench.end()
  })

  it('a result of views, or of memory that is lent, goes out without a copy', async () => {
    const lent = new Uint8Array(SIZE).fill(9)
    let released = 0
    const bench = serverBench([
      serviceOf([
        handlerOf(1, xdrOpaqueView(), xdrOpaqueView(), view => view),
        handlerOf(2, xdrOpaqueView(), xdrOpaqueView(), async (view, context) => {
          const own = view.dup()
          context.freeWithAnswer(own)
          return own
        }),
        handlerOf(3, xdrInt, xdrOpaqueView(), async () => {
          return XdrOpaque.of(lent, () => released++)
        }),
      ]),
    ])
    const a = bench.connect()
    for (const procedure of [1, 2]) a.call(procedure, null, { tail: new Uint8Array(SIZE).fill(procedure) })
    a.call(3, 1)
    const before = { ...bench.arena.copies }
    await bench.rest()
    expect(a.taken().map(reply => reply.value)).toEqual([SIZE, SIZE, SIZE])
    expect(bench.arena.copies).toEqual(before)
    expect(released).toBe(1)
    await bench.end()
  })

  it('a call that waits holds no more memory than it has bytes', async () => {
    const gate = new Gate()
    const bench = serverBench([serviceOf([gate.handler])], { service: { mode: 'one-at-a-time' } })
    const a = bench.connect()
    a.call(1, 1)
    a.call(1, 2, { headroom: 60_000 })
    await bench.rest()
    expect(bench.arena.classes.at(-1)!.inUse).toBe(0)
    await gate.openAll(bench)
    expect(a.taken().map(reply => reply.value)).toEqual([1, 2])
    await bench.end()
  })
})

describe('rpc/server: what handlers answer with', () => {
  it('a thing with a `then` is a promise, and its throwing is SYSTEM_ERR', async () => {
    const thrower = {
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      then() {
        throw new Error('no promise')
      },
    }
    const bench = serverBench([serviceOf([intHandler(1, () => thrower as never)])])
    const a = bench.connect()
    a.call(1, 1)
    await bench.rest()
    expect(a.one().status).toBe('SYSTEM_ERR')
    expect(bench.errors).toMatchObject([{ message: 'no promise' }])
    await bench.end()
  })
})

describe('rpc/server: a handler that answers with what throws when it is looked at', () => {
  const evil = (): never => {
    throw new Error('do not look')
  }
  it.each<[string, () => unknown]>([
    ['a `then` that is a getter', () => Object.defineProperty({}, 'then', { get: evil })],
    ['a proxy', () => new Proxy({}, { get: evil })],
    ['a proxy around a promise', () => new Proxy(Promise.resolve(1), {})],
  ])('%s: SYSTEM_ERR, also for a call that waited, and the next is served', async (_, make) => {
    const gate = new Gate()
    const bench = serverBench(
      [serviceOf([gate.handler, intHandler(2, () => make() as never), intHandler(3, n => n)])],
      {
        service: { mode: 'one-at-a-time' },
      },
    )
    const a = bench.connect()
    a.call(2, 1)
    await bench.rest()
    a.call(1, 1)
    a.call(2, 1)
    a.call(3, 7)
    await bench.rest()
    await gate.openAll(bench)
    expect(a.taken().map(({ status }) => status)).toEqual(['SYSTEM_ERR', 'SUCCESS', 'SYSTEM_ERR', 'SUCCESS'])
    await bench.end()
  })
})

describe('rpc/server: metrics and traces', () => {
  it('counts for each procedure how calls ended, and tells each to a trace', async () => {
    const events: unknown[] = []
    const bench = serverBench([serviceOf([intHandler(1, n => n)])], {
      measureEvery: 1,
      trace: ({ procedure, result, side }) => events.push([side, procedure, result]),
    })
    const a = bench.connect()
    a.call(1, 1)
    a.call(1)
    a.call(0)
    bench.settle()
    const [first, second] = bench.server.describe()
    expect(first).toMatchObject({
      name: 'TEST_1',
      counters: { calls: 2, answered: 1, 'garbage-args': 1 },
      latency: { count: 2 },
    })
    expect(second).toMatchObject({ name: 'TEST_NULL', counters: { calls: 1, answered: 1 } })
    expect(events).toEqual([
      ['server', 'TEST_1', 'ok'],
      ['server', 'TEST_1', 'GARBAGE_ARGS'],
      ['server', 'TEST_NULL', 'ok'],
    ])
    await bench.end()
  })
})
