import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { instant } from '../../base/time.ts'
import { RATE_LIMIT_DEFAULTS, RateLimit } from './rate-limit.ts'

const allowed = (
  limit: RateLimit,
  count: number,
  destination: (i: number) => number,
  atUs: number,
): number => {
  let sum = 0
  for (let i = 0; i < count; i++) if (limit.allow(destination(i), instant(atUs))) sum++
  return sum
}

describe('icmp/rate-limit', () => {
  it('checklist 3.1-7: one destination gets its burst, then its rate', () => {
    const limit = new RateLimit(RATE_LIMIT_DEFAULTS, new Prng(1))
    expect(allowed(limit, 1_000, () => 7, 0)).toBe(10)
    expect(allowed(limit, 1_000, () => 7, 50_000)).toBe(5)
    expect(allowed(limit, 1_000, () => 7, 10_000_000)).toBe(10)
  })

  it('checklist 3.1-7: all destinations together stay within the limit of the stack, which cannot be counted exactly', () => {
    const sent = new Set<number>()
    for (let seed = 1; seed <= 20; seed++) {
      const limit = new RateLimit(RATE_LIMIT_DEFAULTS, new Prng(seed))
      sent.add(allowed(limit, 5_000, i => i, 0))
    }
    expect(Math.max(...sent)).toBeLessThanOrEqual(50)
    expect(Math.min(...sent)).toBeGreaterThan(30)
    expect(sent.size).toBeGreaterThan(1)
  })

  it('a flood over a second gets the rate, not more', () => {
    const limit = new RateLimit(RATE_LIMIT_DEFAULTS, new Prng(3))
    let sum = 0
    for (let us = 0; us < 1_000_000; us += 100) if (limit.allow(us, instant(us))) sum++
    expect(sum).toBeLessThan(1_051)
    expect(sum).toBeGreaterThan(600)
  })

  it('can be switched off and changed', () => {
    const limit = new RateLimit(RATE_LIMIT_DEFAULTS, new Prng(1))
    limit.configure({ perSecond: 0, burst: 0, perDestinationPerSecond: 0, perDestinationBurst: 0 })
    expect(allowed(limit, 10, () => 7, 1_000_000)).toBe(0)
    limit.configure({ perSecond: 1e6, burst: 1e6, perDestinationPerSecond: 1e6, perDestinationBurst: 1e6 })
    expect(allowed(limit, 1_000, () => 7, 1_000_000)).toBe(1_000)
  })
})
