import { describe, expect, it } from 'vitest'
import { milliseconds } from '../base/time.ts'
import { COUNT, counting, SLOW } from './testing/counting.ts'

describe('rpc/server: at most once by datagrams without a session', () => {
  it('a request that comes again gets the reply of the first, for the time that is set', async () => {
    const { bench, runs, end } = counting({ atMostOnce: { retentionMs: 1_000 } })
    const a = bench.datagrams()
    a.call(COUNT, 5, { xid: 9 })
    a.call(COUNT, 5, { xid: 9 })
    bench.settle()
    expect(a.taken().map(reply => reply.value)).toEqual([1, 1])
    bench.advance(milliseconds(1_001))
    a.call(COUNT, 5, { xid: 9 })
    bench.settle()
    expect(a.one().value).toBe(2)
    expect(runs.count).toBe(2)
    await end()
  })

  it('one that is in the works is dropped; another request with its number is another call', async () => {
    const { bench, runs, finish, end } = counting()
    const a = bench.datagrams()
    a.call(SLOW, 5, { xid: 9 })
    a.call(SLOW, 5, { xid: 9 })
    a.call(SLOW, 6, { xid: 9 })
    await bench.rest()
    expect([runs.slow, bench.server.counters['duplicate-in-progress']]).toEqual([2, 1])
    for (const done of finish.splice(0)) done(1)
    await bench.rest()
    expect(a.taken()).toHaveLength(2)
    await end()
  })

  it('on a connection a call arrives once: the same number is another call', async () => {
    const { bench, runs, end } = counting()
    const a = bench.connect()
    a.call(COUNT, 5, { xid: 9 })
    a.call(COUNT, 5, { xid: 9 })
    bench.settle()
    expect(a.taken()).toHaveLength(2)
    expect(runs.count).toBe(2)
    await end()
  })

  it('when nothing more can be remembered new calls are dropped, and nothing runs twice', async () => {
    const { bench, runs, end } = counting({ atMostOnce: { maxCalls: 4 } })
    const a = bench.datagrams()
    for (let n = 0; n < 10; n++) a.call(COUNT, n, { xid: Math.imul(n, 0x9e37_79b1) })
    bench.settle()
    expect(a.taken()).toHaveLength(4)
    expect([runs.count, bench.server.counters['duplicate-beyond']]).toEqual([4, 6])
    await end()
  })

  it('2,000 calls over a network that loses and doubles: every effect at most once, every success exactly once', async () => {
    const { bench, runs, end } = counting()
    Object.assign(bench.net.conditions, { loss: 0.05, duplication: 0.05, delayMs: 1, jitterMs: 3 })
    const a = bench.datagrams()
    const values = new Map<number, number>()
    const waiting = new Set<number>()
    let next = 1
    while (next <= 2_000 || waiting.size > 0) {
      while (waiting.size < 64 && next <= 2_000) waiting.add(next++)
      for (const xid of waiting) a.call(COUNT, 0, { xid })
      bench.advance(milliseconds(10))
      for (const { xid, value } of a.taken()) {
        if (values.has(xid)) expect(values.get(xid)).toBe(value)
        values.set(xid, value!)
        waiting.delete(xid)
      }
    }
    expect(runs.count).toBe(2_000)
    expect(new Set(values.values()).size).toBe(2_000)
    await end()
  })
})
