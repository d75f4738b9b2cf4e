import { describe, expect, it, vi } from 'vitest'
import { type AtMostOnceResult, atMostOnce } from './at-most-once.ts'
import { plainCampaign } from './plain-campaign.ts'

// The longest takes some ten seconds on a machine that has nothing else to do.
vi.setConfig({ testTimeout: 240_000 })

/** All that may go wrong on the way did, and often. */
function expectBadWire(wire: Readonly<Record<string, number>>): void {
  const { 'out-packets': packets, 'out-lost': lost, 'out-duplicated': doubled } = wire
  expect(lost! / packets!).toBeGreaterThan(0.03)
  expect(doubled! / packets!).toBeGreaterThan(0.03)
  expect(wire['out-reordered']! / packets!).toBeGreaterThan(0.02)
}

function expectAllEnded({ problems, outcomes, virtualSeconds }: AtMostOnceResult, calls: number): void {
  expect(problems).toEqual([])
  const { ok, refused, unknown, answered } = outcomes
  expect(ok + refused + unknown + answered).toBe(calls)
  expect(virtualSeconds).toBeGreaterThan(1)
}

describe('checklist 39, 40, 41: every effect at most once, every reported success exactly once, nothing that was refused', () => {
  it('UDP with a session: 60,000 calls, 5 % of all packets lost, 5 % doubled, reordered, 30 restarts', async () => {
    const result = await atMostOnce({
      seed: 1,
      calls: 60_000,
      transport: 'udp',
      session: true,
      restarts: 30,
      resets: 0,
    })
    expectAllEnded(result, 60_000)
    expectBadWire(result.wire)
    expect(result.twice).toBe(0)
    expect(result.restarts).toBe(31)
    expect(result.outcomes.ok).toBeGreaterThan(48_000)
    // Both happen: nobody could have told.
    expect(result.unknownDone).toBeGreaterThan(50)
    expect(result.unknownNotDone).toBeGreaterThan(50)
    expect(result.server['duplicate-in-progress']).toBeGreaterThan(300)
    expect(result.server['duplicate-answered']).toBeGreaterThan(3_000)
    expect(result.server['duplicate-stale']).toBeGreaterThan(0)
    expect(result.server['denied-auth']).toBeGreaterThan(1_000)
    expect(result.client['retransmissions']).toBeGreaterThan(6_000)
    expect(result.client['sessions-rejected']).toBeGreaterThan(1_000)
    expect(result.client['late-replies']).toBeGreaterThan(3_000)
  })

  it('TCP with a session: 40,000 calls, the same wire, 20 restarts, 40 times all connections reset', async () => {
    const result = await atMostOnce({
      seed: 2,
      calls: 40_000,
      transport: 'tcp',
      session: true,
      restarts: 20,
      resets: 40,
    })
    expectAllEnded(result, 40_000)
    expectBadWire(result.wire)
    expect(result.twice).toBe(0)
    expect(result.restarts).toBe(21)
    expect(result.resets).toBeGreaterThan(20)
    expect(result.outcomes.ok).toBeGreaterThan(32_000)
    expect(result.unknownDone).toBeGreaterThan(50)
    expect(result.unknownNotDone).toBeGreaterThan(50)
    // Calls that were sent again over a new connection: answered from what was kept, or dropped since they ran.
    expect(result.server['duplicate-answered']).toBeGreaterThan(200)
    expect(result.server['duplicate-in-progress']).toBeGreaterThan(50)
    expect(result.client['retransmissions']).toBeGreaterThan(2_000)
    expect(result.client['connections-lost']).toBeGreaterThan(50)
    expect(result.client['sessions-rejected']).toBeGreaterThan(1_000)
  })

  it('TCP without a session: 10,000 calls; what was sent when the connection was lost is unknown, and never sent again', async () => {
    const result = await atMostOnce({
      seed: 3,
      calls: 10_000,
      transport: 'tcp',
      session: false,
      restarts: 5,
      resets: 20,
    })
    expectAllEnded(result, 10_000)
    expect(result.twice).toBe(0)
    expect(result.server['sessions']).toBe(0)
    expect(result.outcomes.ok).toBeGreaterThan(5_000)
    expect(result.outcomes.unknown).toBeGreaterThan(1_000)
  })

  it('the same seed gives the same counters', async () => {
    const run = (seed: number) =>
      atMostOnce({ seed, calls: 2_000, transport: 'udp', session: true, restarts: 3, resets: 0 })
    const first = await run(7)
    expect(await run(7)).toEqual(first)
    expect(await run(8)).not.toEqual(first)
  })
})

describe('checklist 39: UDP without a session, as C programs call', () => {
  it('20,000 calls of 32 clients, the server up all the time: a cache of 300 calls is enough', async () => {
    const result = await plainCampaign(1, 20_000, { atMostOnce: { maxCalls: 300 } })
    expect(result.problems).toEqual([])
    expect(result.outcomes.ok).toBe(20_000)
    expect(result.transmissions).toBeGreaterThan(24_000)
    expectBadWire(result.wire)
    expect(result.server['duplicate-answered']).toBeGreaterThan(2_000)
    expect(result.server['duplicate-in-progress']).toBeGreaterThan(2_000)
  })

  it('a cache that is full runs nothing rather than forget: calls end as unknown, none takes effect twice', async () => {
    const result = await plainCampaign(2, 2_000, { atMostOnce: { maxCalls: 64 } })
    expect(result.problems).toEqual([])
    expect(result.outcomes.unknown).toBeGreaterThan(1_000)
    expect(result.server['duplicate-beyond']).toBeGreaterThan(1_000)
  })

  it('not promised: after a restart the server knows nothing of such a client, and calls have their effect twice', async () => {
    const { problems } = await plainCampaign(1, 3_000, {}, 3)
    expect(problems.length).toBeGreaterThan(0)
    for (const problem of problems) expect(problem).toMatch(/had its effect 2 times|with 2 effects/)
  })
})
