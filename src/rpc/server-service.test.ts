import { describe, expect, it } from 'vitest'
import { milliseconds } from '../base/time.ts'
import type { ServiceOptions } from './service-queue.ts'
import { Gate } from './testing/gate.ts'
import { intHandler, type ServerBench, serverBench, serviceOf } from './testing/server-harness.ts'

function gated(service: ServiceOptions, more = {}): { readonly gate: Gate; readonly bench: ServerBench } {
  const gate = new Gate()
  return { gate, bench: serverBench([serviceOf([gate.handler])], { service, ...more }) }
}

describe('rpc/server: how calls are served', () => {
  it('one at a time: the next begins when the one before is answered', async () => {
    const { gate, bench } = gated({ mode: 'one-at-a-time' })
    const [a, b] = [bench.connect(), bench.connect()]
    a.call(1, 11)
    b.call(1, 21)
    await bench.rest()
    expect(gate.begun).toEqual([11])
    await gate.open(bench, 11)
    expect(a.one().value).toBe(11)
    expect(gate.begun).toEqual([11, 21])
    await gate.openAll(bench)
    expect(b.one().value).toBe(21)
    await bench.end()
  })

  it('ordered: calls of one connection one after the other, of several at the same time', async () => {
    const { gate, bench } = gated({ mode: 'ordered' })
    const [a, b] = [bench.connect(), bench.connect()]
    for (const n of [11, 12]) a.call(1, n)
    b.call(1, 21)
    await bench.rest()
    expect(gate.begun).toEqual([11, 21])
    await gate.open(bench, 11)
    expect(gate.begun).toEqual([11, 21, 12])
    await gate.openAll(bench)
    expect(a.taken().map(reply => reply.value)).toEqual([11, 12])
    await bench.end()
  })

  it('concurrent: answers go when they are there, in any order', async () => {
    const { gate, bench } = gated({ concurrency: 2 })
    const a = bench.connect()
    for (const n of [11, 12, 13]) a.call(1, n)
    await bench.rest()
    expect(gate.begun).toEqual([11, 12])
    await gate.open(bench, 12)
    expect(a.one().value).toBe(12)
    expect(gate.begun).toEqual([11, 12, 13])
    await gate.openAll(bench)
    await bench.end()
  })

  it('checklist 43: what finds the queue full is refused at once with SYSTEM_ERR, and the rest is served', async () => {
    const { gate, bench } = gated({ mode: 'one-at-a-time', maxWaiting: 2 })
    const a = bench.connect()
    for (const n of [1, 2, 3, 4, 5]) a.call(1, n)
    await bench.rest()
    expect(a.taken().map(reply => [reply.xid, reply.status])).toEqual([
      [104, 'SYSTEM_ERR'],
      [105, 'SYSTEM_ERR'],
    ])
    expect(bench.server.counters['shed-queue-full']).toBe(2)
    await gate.openAll(bench)
    expect(a.taken().map(reply => reply.value)).toEqual([1, 2, 3])
    expect(gate.begun).toEqual([1, 2, 3])
    await bench.end()
  })

  it('a connection with 10,000 calls ready does not starve another', async () => {
    const order: number[] = []
    const bench = serverBench([serviceOf([intHandler(1, n => order.push(n))])])
    const [a, b] = [bench.connect(), bench.connect()]
    for (let n = 0; n < 10_000; n++) a.call(1, n)
    b.call(1, -1)
    bench.settle()
    expect(order).toHaveLength(10_001)
    expect(order.indexOf(-1)).toBeLessThanOrEqual(2 * bench.server.settings.callsPerTurn)
    expect(a.replies).toHaveLength(10_000)
    await bench.end()
  })

  it('a call that waits is decoded when it is run: GARBAGE_ARGS then', async () => {
    const { gate, bench } = gated({ mode: 'one-at-a-time' })
    const a = bench.connect()
    a.call(1, 1)
    a.call(1)
    a.call(1, 3)
    await gate.open(bench, 1).catch(() => {})
    await bench.rest()
    await gate.openAll(bench)
    expect(a.taken().map(reply => reply.status)).toEqual(['SUCCESS', 'GARBAGE_ARGS', 'SUCCESS'])
    await bench.end()
  })

  it('services may have queues of their own', async () => {
    const gate = new Gate()
    const bench = serverBench([])
    bench.server.add(serviceOf([gate.handler]), { mode: 'one-at-a-time' })
    bench.server.add(serviceOf([intHandler(1, n => n, { version: 9 })], 9))
    const a = bench.connect()
    a.call(1, 1)
    a.call(1, 2)
    a.call(1, 3, { version: 9 })
    await bench.rest()
    expect(a.one().value).toBe(3)
    await gate.openAll(bench)
    await bench.end()
  })
})

describe('rpc/server: cancelled work stops (checklist 43)', () => {
  it('the signal is aborted when the connection is gone; what waited is not begun, what ran is answered to nobody', async () => {
    const { gate, bench } = gated({ mode: 'one-at-a-time' })
    const [a, b] = [bench.connect(), bench.connect()]
    a.call(1, 1)
    a.call(1, 2)
    b.call(1, 3)
    await bench.rest()
    a.channel.abort()
    await bench.rest()
    expect(gate.signals[0]!.aborted).toBe(true)
    await gate.openAll(bench)
    expect(gate.begun).toEqual([1, 3])
    expect(bench.server.counters['connection-gone']).toBe(2)
    expect(b.one().value).toBe(3)
    expect(bench.errors).toEqual([])
    await bench.end()
  })

  it('a call that waited longer than a server lets it is refused, not run', async () => {
    const { gate, bench } = gated({ mode: 'one-at-a-time' }, { maxWaitMs: 50 })
    const a = bench.connect()
    a.call(1, 1)
    a.call(1, 2)
    await bench.rest()
    bench.advance(milliseconds(51))
    await gate.openAll(bench)
    expect(gate.begun).toEqual([1])
    expect(a.taken().map(reply => reply.status)).toEqual(['SUCCESS', 'SYSTEM_ERR'])
    expect(bench.server.counters['shed-deadline']).toBe(1)
    await bench.end()
  })
})

describe('rpc/server: stopping', () => {
  it('with grace: no new call is read, what was read is answered, then the channels end', async () => {
    const { gate, bench } = gated({ mode: 'one-at-a-time' })
    const [a, idle] = [bench.connect(), bench.connect()]
    a.call(1, 1)
    a.call(1, 2)
    await bench.rest()
    let isStopped = false
    const stopped = bench.server.close({ graceMs: 1_000 }).then(() => {
      isStopped = true
    })
    a.call(1, 3)
    await bench.rest()
    expect([idle.isClosed, a.isClosed, isStopped]).toEqual([true, false, false])
    await gate.openAll(bench)
    await stopped
    expect(a.taken().map(reply => reply.value)).toEqual([1, 2])
    expect([gate.begun, a.isClosed]).toEqual([[1, 2], true])
    expect(bench.server.channelCount).toBe(0)
    bench.finish()
  })

  it('when the grace is over: signals are aborted, what waits is refused with SYSTEM_ERR, the channels end', async () => {
    const { gate, bench } = gated({ mode: 'one-at-a-time' })
    const a = bench.connect()
    a.call(1, 1)
    a.call(1, 2)
    await bench.rest()
    const stopped = bench.server.close({ graceMs: 100 })
    bench.advance(milliseconds(99))
    expect(gate.signals[0]!.aborted).toBe(false)
    bench.advance(milliseconds(1))
    await stopped
    expect(gate.signals[0]!.aborted).toBe(true)
    await bench.rest()
    expect(a.taken().map(reply => reply.status)).toEqual(['SYSTEM_ERR'])
    expect(a.isClosed).toBe(true)
    await gate.openAll(bench)
    expect(gate.begun).toEqual([1])
    bench.finish()
  })

  it('one that was stopped takes nothing any more', async () => {
    const { bench } = gated({})
    await bench.server.close()
    const a = bench.connect()
    bench.settle()
    expect(a.isClosed).toBe(true)
    await expect(bench.server.listen({ port: 0 })).rejects.toMatchObject({ code: 'ERR_STREAM_CLOSED' })
    await bench.server.close()
    bench.finish()
  })

  it('one connection more than may be is reset', async () => {
    const { bench } = gated({}, { maxConnections: 1 })
    const a = bench.connect()
    a.call(0)
    bench.settle()
    const b = bench.connect()
    bench.settle()
    expect([a.isClosed, b.isClosed]).toEqual([false, true])
    expect(bench.server.counters['connections-refused']).toBe(1)
    await bench.end()
  })

  it('those who connect and send no call do not keep out those who do: the oldest of them goes', async () => {
    const { bench } = gated({}, { maxConnections: 3 })
    const caller = bench.connect()
    caller.call(0)
    const [a, b] = [bench.connect(), bench.connect()]
    bench.settle()
    const c = bench.connect()
    c.call(0)
    bench.settle()
    expect([caller, a, b, c].map(one => one.isClosed)).toEqual([false, true, false, false])
    expect(c.one().status).toBe('SUCCESS')
    expect(bench.server.counters).toMatchObject({ 'connections-displaced': 1, 'connections-refused': 0 })
    expect(bench.server.channelCount).toBe(3)
    await bench.end()
  })
})
