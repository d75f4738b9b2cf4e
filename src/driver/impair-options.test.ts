import { describe, expect, it } from 'vitest'
import {
  describeImpairOptions,
  IMPAIR_DEFAULTS,
  NO_IMPAIRMENT,
  parseImpairOptions,
} from './impair-options.ts'

describe('driver/impair options', () => {
  it('reads units, in text and as bare numbers', () => {
    const read = (options: unknown) => parseImpairOptions(options).out
    expect(read({ delay: '10ms', jitter: '250us', rate: '20mbit', loss: '0.5%' })).toMatchObject({
      delay: 10_000,
      jitter: 250,
      rate: 20_000_000,
      loss: 0.005,
    })
    expect(read({ delay: 1.5, loss: 0.25, rate: 9_600, limit: '7', limitBytes: '64kib' })).toMatchObject({
      delay: 1_500,
      loss: 0.25,
      rate: 9_600,
      limit: 7,
      limitBytes: 65_536,
    })
    expect(read({ delay: '2s', partition: 'true', burst: 100, loss: '0' })).toMatchObject({
      delay: 2_000_000,
      partition: true,
      burst: 100,
      loss: 0,
    })
    expect(parseImpairOptions(undefined)).toEqual(IMPAIR_DEFAULTS)
  })

  it('sets both directions, one, or each its own', () => {
    const options = parseImpairOptions({ direction: 'out', loss: '1%', in: { delay: '1ms' } })
    expect(options.out).toEqual({ ...NO_IMPAIRMENT, loss: 0.01 })
    expect(options.in).toEqual({ ...NO_IMPAIRMENT, delay: 1_000 })
    const merged = parseImpairOptions({ delay: '3ms' }, options)
    expect([merged.out.delay, merged.out.loss, merged.in.delay]).toEqual([3_000, 0.01, 1_000])
    expect(parseImpairOptions({ reset: true, delay: '3ms' }, options).out.loss).toBe(0)
  })

  it.each([
    [{ dely: '1ms' }, '"dely"'],
    [{ out: { dely: '1ms' } }, '"out.dely"'],
    [{ in: { in: {} } }, '"in.in"'],
    [{ delay: '10' }, 'delay'],
    [{ delay: '10min' }, 'delay'],
    [{ delay: -1 }, 'delay'],
    [{ delay: Number.NaN }, 'delay'],
    [{ loss: '0.5' }, 'loss'],
    [{ loss: '101%' }, 'loss'],
    [{ loss: 1.1 }, 'loss'],
    [{ rate: '20mbyte' }, 'rate'],
    [{ limit: 0 }, 'limit'],
    [{ limit: 1.5 }, 'limit'],
    [{ partition: 'yes' }, 'partition'],
    [{ gap: 0 }, 'gap'],
    [{ match: ['10.0.0.0/33'] }, 'match'],
    [{ match: [7] }, 'match'],
    [{ match: { a: 1 } }, 'match'],
    [{ seed: -1 }, 'seed'],
    [{ direction: 'up' }, 'direction'],
    [{ out: 'bad' }, 'out'],
    [[], 'options'],
    ['loss', 'options'],
  ])('refuses %j with ERR_BAD_CONFIG, naming the key', (options, key) => {
    expect(() => parseImpairOptions(options)).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_CONFIG', message: expect.stringContaining(key) }),
    )
  })

  it('describes itself in words that it reads back to the same', () => {
    const options = parseImpairOptions({
      delay: '10.5ms',
      jitter: '1us',
      loss: '12.5%',
      rate: '3kbit',
      match: '10.0.0.0/8, fd77::/64',
      seed: 9,
      in: { partition: true, corrupt: 0.0001, burst: '2kb', gap: 9 },
    })
    expect(parseImpairOptions(describeImpairOptions(options))).toEqual(options)
  })
})
