import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { allocb } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { makeTestRuntime, type TestRuntime } from '../streams/testing/runtime.ts'
import { type CachedCall, DuplicateCache, XidOrder } from './duplicate-cache.ts'
import { ReplyBudget } from './kept-reply.ts'

let bench: TestRuntime
beforeEach(() => {
  bench = makeTestRuntime()
})
afterEach(() => bench.finish())

function replyOf(word: number, size = 4): Mblk {
  const mp = allocb(bench.arena, size)!
  mp.wptr += 4
  bench.arena.words[mp.rptr >> 2] = word
  return mp
}

const wordOf = (mp: Mblk): number => bench.arena.words[mp.rptr >> 2]!

const RETENTION_US = 1_000

function cacheOf(maxCalls = 4, budget = new ReplyBudget(1_000_000)): DuplicateCache {
  return new DuplicateCache({ maxCalls, retentionUs: RETENTION_US }, budget)
}

/** Swaps the byte order: what libtirpc's counting looks like to us. */
const swapped = (word: number): number =>
  (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)

function ran(cache: DuplicateCache, xid: number, now = 0, peer = 'a:1'): CachedCall {
  expect(cache.begin(peer, xid, 'p', 0, now)).toBe('run')
  const record = cache.record!
  cache.answered(record, replyOf(xid), now)
  return record
}

describe('rpc/duplicate-cache: at most once by datagrams without a session (checklist 39)', () => {
  it('a call that is in the works is dropped, one that ran gets its reply again', () => {
    const cache = cacheOf()
    expect(cache.begin('a:1', 5, 'p', 0, 0)).toBe('run')
    const record = cache.record!
    expect(cache.begin('a:1', 5, 'p', 0, 1)).toBe('in-progress')
    cache.answered(record, replyOf(77), 2)
    expect(cache.begin('a:1', 5, 'p', 0, 3)).toBe('answered')
    expect(wordOf(cache.record!.reply!)).toBe(77)
    cache.close()
  })

  it('another peer, port, procedure or request is another call', () => {
    const cache = cacheOf(8)
    ran(cache, 5)
    expect(cache.begin('a:2', 5, 'p', 0, 0)).toBe('run')
    expect(cache.begin('b:1', 5, 'p', 0, 0)).toBe('run')
    expect(cache.begin('a:1', 5, 'q', 0, 0)).toBe('run')
    expect(cache.begin('a:1', 5, 'p', 1, 0)).toBe('run')
    cache.close()
  })

  it('a reply is kept for the time that is set, from the answer on', () => {
    const cache = cacheOf()
    cache.begin('a:1', 5, 'p', 0, 0)
    const record = cache.record!
    expect(cache.begin('a:1', 5, 'p', 0, 5_000)).toBe('in-progress')
    cache.answered(record, replyOf(5), 5_000)
    expect(cache.begin('a:1', 5, 'p', 0, 5_999)).toBe('answered')
    expect(cache.begin('a:1', 5, 'p', 0, 6_000)).toBe('run')
    cache.answered(cache.record!, null, 6_000)
    cache.expire(7_000)
    expect([cache.size, cache.peerCount]).toEqual([0, 0])
  })

  it('when it is full of what may come again, a new call is dropped: never an eviction that lets a duplicate run', () => {
    const cache = cacheOf(4)
    for (const xid of [900, 7, -5_000_000, 123_456]) ran(cache, xid)
    expect(cache.begin('a:1', 42, 'p', 0, 1)).toBe('beyond')
    expect(cache.begin('b:1', 42, 'p', 0, 1)).toBe('beyond')
    for (const xid of [900, 7, -5_000_000, 123_456]) {
      expect(cache.begin('a:1', xid, 'p', 0, 2)).toBe('answered')
    }
    expect(cache.begin('b:1', 42, 'p', 0, RETENTION_US)).toBe('run')
    cache.close()
  })

  it.each([
    ['counts up', (n: number) => 1_000 + n],
    ['counts up in the other byte order', (n: number) => swapped(1_000 + n)],
    ['counts up past the highest number', (n: number) => (0x7fff_fff8 + n) | 0],
  ])('a peer that %s is a window: its oldest are forgotten, and dropped if they come again', (_name, xid) => {
    const cache = cacheOf(16)
    for (let n = 0; n < 40; n++) ran(cache, xid(n))
    expect(cache.windowed).toBe(24)
    expect(cache.begin('a:1', xid(23), 'p', 0, 0)).toBe('stale')
    expect(cache.begin('a:1', xid(0), 'p', 0, 0)).toBe('stale')
    expect(cache.begin('a:1', xid(24), 'p', 0, 0)).toBe('answered')
    cache.close()
  })

  it('the window of one peer makes room for another', () => {
    const cache = cacheOf(16)
    for (let n = 0; n < 16; n++) ran(cache, 1_000 + n)
    ran(cache, 7, 0, 'b:1')
    expect(cache.begin('a:1', 1_000, 'p', 0, 0)).toBe('stale')
    cache.close()
  })

  it('a peer whose calls are a window makes room for itself, whoever filled the rest', () => {
    const cache = cacheOf(20)
    for (let xid = 100; xid < 110; xid++) ran(cache, xid, 0, 'honest:1')
    for (const xid of [9e8, 3, 7e8, 5e5, 1e9, 44, 6e8, 81, 9e5, 2e7]) ran(cache, xid | 0, 0, 'random:1')
    expect(cache.begin('random:1', 12_345_678, 'p', 0, 1)).toBe('run')
    expect(cache.begin('random:1', 999, 'p', 0, 1)).toBe('run')
    for (let xid = 110; xid < 200; xid++) ran(cache, xid, 1, 'honest:1')
    // What was forgotten does not run again.
    for (let xid = 100; xid < 190; xid++)
      expect(cache.begin('honest:1', xid, 'p', 0, 2)).toBeOneOf(['stale', 'answered'])
    cache.close()
  })

  it('what is in the works is never forgotten', () => {
    const cache = cacheOf(16)
    for (let n = 0; n < 16; n++) expect(cache.begin('a:1', 1_000 + n, 'p', 0, 0)).toBe('run')
    expect(cache.begin('a:1', 1_016, 'p', 0, 10 * RETENTION_US)).toBe('beyond')
    expect(cache.begin('a:1', 1_000, 'p', 0, 10 * RETENTION_US)).toBe('in-progress')
    cache.close()
  })

  it('a call that was refused stays so; one that was dropped unseen may come again', () => {
    const cache = cacheOf()
    cache.begin('a:1', 1, 'p', 0, 0)
    cache.refused(cache.record!, 0)
    expect(cache.begin('a:1', 1, 'p', 0, 1)).toBe('shed')
    cache.begin('a:1', 2, 'p', 0, 0)
    cache.forgotten(cache.record!)
    expect(cache.begin('a:1', 2, 'p', 0, 1)).toBe('run')
    cache.close()
  })

  it('large replies hold no more memory than they may, and a call whose reply is not kept does not run again', () => {
    const budget = new ReplyBudget(2_048)
    const cache = cacheOf(8, budget)
    cache.begin('a:1', 1, 'p', 0, 0)
    const [first] = [cache.record!]
    cache.begin('a:1', 2, 'p', 0, 0)
    cache.answered(cache.record!, replyOf(2, 1_000), 0)
    cache.answered(first, replyOf(1, 1_000), 0)
    expect(budget.bytes).toBe(2_048)
    expect(cache.begin('a:1', 1, 'p', 0, 1)).toBe('unkept')
    // Small ones are kept, as many as there may be calls.
    ran(cache, 3, 1)
    expect(cache.begin('a:1', 3, 'p', 0, 1)).toBe('answered')
    cache.close()
    expect(budget.bytes).toBe(0)
  })
})

describe('rpc/duplicate-cache: how a peer numbers its calls', () => {
  it('is not sure of one that goes back, jumps, or has called a few times only', () => {
    const after = (...xids: number[]): boolean => {
      const order = new XidOrder()
      for (const xid of xids) order.see(xid)
      return order.isSure
    }
    const up = Array.from({ length: 12 }, (_, n) => 50 + n)
    expect(after(...up)).toBe(true)
    expect(after(...up.slice(0, 4))).toBe(false)
    expect(after(...up, 1_000_000)).toBe(false)
    expect(after(...up, -10_000)).toBe(false)
    // Datagrams overtake each other.
    expect(after(...up, 55, 58, 70)).toBe(true)
  })
})

type Step =
  | readonly ['call', peer: number, kind: number]
  | readonly ['deliver', number]
  | readonly ['end', number]
  | readonly ['time', number]

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.tuple(fc.constant('call' as const), fc.nat(2), fc.nat(9)) },
    { weight: 8, arbitrary: fc.tuple(fc.constant('deliver' as const), fc.nat(500)) },
    { weight: 6, arbitrary: fc.tuple(fc.constant('end' as const), fc.nat(50)) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('time' as const), fc.nat(300)) },
  ),
  { minLength: 30, maxLength: 300 },
)

interface Sent {
  readonly peer: string
  readonly xid: number
  readonly call: number
  /** When it may run again: before that never a second time. */
  safeUntil: number
}

/** Peers that count up, count up in the other byte order, and do what they like. */
function nextXid(peer: number, count: number, kind: number): number {
  if (peer === 0 || (peer === 2 && kind > 1)) return 0x7fff_ffe0 + count
  if (peer === 1) return swapped(5_000 + count)
  return Math.imul(count + 1, 0x9e37_79b1)
}

describe('rpc/duplicate-cache: whatever is lost, doubled or overtaken', () => {
  it('no call runs twice before its time to come again is over', () => {
    fc.assert(
      fc.property(steps, list => {
        const cache = cacheOf(12)
        const sent: Sent[] = []
        const works: { readonly record: CachedCall; readonly of: Sent }[] = []
        const counts = [0, 0, 0]
        let now = 0
        const deliver = (of: Sent | undefined): void => {
          if (of === undefined) return
          const verdict = cache.begin(of.peer, of.xid, 'p', of.call, now)
          if (verdict === 'run') {
            expect(now).toBeGreaterThanOrEqual(of.safeUntil)
            of.safeUntil = Number.POSITIVE_INFINITY
            works.push({ record: cache.record!, of })
          } else if (verdict === 'answered') expect(wordOf(cache.record!.reply!)).toBe(of.call)
          expect(cache.size).toBeLessThanOrEqual(12)
        }
        for (const [kind, at, extra] of list) {
          if (kind === 'time') now += at
          else if (kind === 'deliver') deliver(sent[at % (sent.length || 1)])
          else if (kind === 'call') {
            const xid = nextXid(at, counts[at]!++, extra) | 0
            const one: Sent = { peer: `p:${at}`, xid, call: sent.length, safeUntil: 0 }
            sent.push(one)
            if (extra > 0) deliver(one)
          } else {
            const [work] = works.splice(at % (works.length || 1), 1)
            if (work === undefined) continue
            cache.answered(work.record, replyOf(work.of.call), now)
            work.of.safeUntil = now + RETENTION_US
          }
        }
        cache.close()
        expect(bench.arena.state().blocksInUse).toBe(0)
      }),
      { numRuns: 500 },
    )
  })
})
