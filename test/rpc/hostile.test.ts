import { describe, expect, it } from 'vitest'
import { heapBytes, MIB } from './heap.ts'
import { HostileClientRun } from './hostile-client.ts'
import { HostileServerRun } from './hostile-server.ts'

/** What compiled code and tables that fill up to their bounds may add in the second half. */
const GROWTH_MAX_BYTES = 4 * MIB

interface Run {
  start(): Promise<void>
  flood(messages: number): Promise<void>
}

/** @returns bytes by which the heap grew in the second half */
async function flood(run: Run, messages: number): Promise<number> {
  await run.start()
  await run.flood(messages / 2)
  const middle = heapBytes()
  await run.flood(messages / 2)
  return heapBytes() - middle
}

describe('checklist 43, 71: hostile messages and records', () => {
  it('600,000 against a server: each in a counter or answered as it has to be, memory flat, honest clients in time', async () => {
    const run = new HostileServerRun(1)
    const growth = await flood(run, 600_000)
    const result = await run.end()
    expect(result.problems).toEqual([])
    expect(result.messages).toBeGreaterThanOrEqual(600_000)
    expect(growth).toBeLessThan(GROWTH_MAX_BYTES)
    // Of the names that peers sent many were `__proto__` and its like.
    expect(Reflect.ownKeys(Object.prototype)).toHaveLength(12)
    // Kept replies and connections that wait are all that stays: bounded, and far from all memory.
    expect(result.mostBlocks).toBeLessThan(8_000)
    expect(result.mostChannels).toBeLessThan(100)
    expect(result.sessions.open).toBeLessThanOrEqual(1_024)
    // Nothing that was to be met was not.
    expect(result.judged).toBeGreaterThan(200_000)
    expect(result.recordAttacks).toBeGreaterThan(500)
    expect(result.counters['record-faults']).toBe(result.recordAttacks)
    expect(result.honestCalls).toBeGreaterThan(20_000)
    for (const name of [
      'call-truncated',
      'call-not-a-call',
      'call-rpc-version',
      'call-credentials',
      'call-verifier',
      'denied-auth',
      'prog-unavail',
      'prog-mismatch',
      'proc-unavail',
      'garbage-args',
      'duplicate-answered',
      'duplicate-stale',
      'duplicate-changed',
      'duplicate-beyond',
    ])
      expect([name, result.counters[name]]).toEqual([name, expect.toSatisfy(count => count > 10)])
  }, 400_000)

  it('400,000 replies and records against clients: each in a counter or the end of a call, calls end by their deadline', async () => {
    const run = new HostileClientRun(2)
    const growth = await flood(run, 400_000)
    const result = await run.end()
    expect(result.problems).toEqual([])
    expect(result.reached).toBeGreaterThanOrEqual(400_000)
    expect(growth).toBeLessThan(GROWTH_MAX_BYTES)
    expect(result.mostBlocks).toBeLessThan(1_000)
    expect(result.recordAttacks).toBeGreaterThan(200)
    expect(result.honestCalls).toBeGreaterThan(1_000)
    expect(Object.values(result.outcomes).reduce((a, b) => a + b, 0)).toBe(result.calls)
    for (const name of [
      'reply-truncated',
      'reply-not-a-reply',
      'reply-verifier',
      'reply-status',
      'late-replies',
      'foreign-replies',
      'results-undecodable',
      'sessions',
      'sessions-denied',
      'connections-lost',
      'record-faults',
      'timed-out',
    ])
      expect([name, result.counters[name]]).toEqual([name, expect.toSatisfy(count => count > 10)])
  }, 400_000)

  it('with freed memory watched', async () => {
    const server = new HostileServerRun(3, true)
    await server.start()
    await server.flood(10_000)
    expect((await server.end()).problems).toEqual([])
    const client = new HostileClientRun(4, true)
    await client.start()
    await client.flood(10_000)
    expect((await client.end()).problems).toEqual([])
  })
})
