import { describe, expect, it } from 'vitest'
import { Prng } from '../../src/base/prng.ts'
import { inputIn, newWindowMemory, openWindow, runCampaign, runsIn } from './campaign.ts'
import { MAX_INPUT_BYTES, mutate } from './mutate.ts'
import { parseOptions } from './options.ts'
import type { FuzzTarget } from './target.ts'

const SEEDS = [Uint8Array.of(0x45, 0, 0, 4), Uint8Array.of(0x60, 1, 2, 3, 4, 5)]

/** Fails on a length field that promises more than is there: what the driver has to find. */
const trusting: FuzzTarget = {
  name: 'trusting',
  seeds: SEEDS,
  run(input) {
    if (input.length < 4) return 'short'
    if (input[0] === 0x45 && input[3]! > input.length) throw new RangeError('read past the end')
    return input[0] === 0x45 ? 'four' : 'other'
  },
}

const campaign = (target: FuzzTarget, corpus: Uint8Array[], limits: { seed: number; runs: number }) =>
  runCampaign(target, corpus, { seconds: 20, ...limits }, openWindow(newWindowMemory()))

describe('fuzz/mutate', () => {
  it('makes the same inputs from the same seed, never changes the pool, and stays within the bound', () => {
    const pool = [...SEEDS, new Uint8Array(MAX_INPUT_BYTES - 1), new Uint8Array(0)]
    const before = pool.map(input => input.slice())
    const first = new Prng(7)
    const second = new Prng(7)
    const lengths = new Set<number>()
    for (let i = 0; i < 500; i++) {
      const input = mutate(pool, first)
      expect(Buffer.compare(mutate(pool, second), input)).toBe(0)
      expect(input.length).toBeLessThanOrEqual(MAX_INPUT_BYTES)
      lengths.add(input.length)
    }
    expect(pool.every((input, at) => Buffer.compare(input, before[at]!) === 0)).toBe(true)
    expect(lengths.size).toBeGreaterThan(50)
  })
})

describe('fuzz/campaign', () => {
  it('finds a planted fault, the same one for the same seed, and keeps the input', async () => {
    const found = await campaign(trusting, [], { seed: 1, runs: 100_000 })
    expect(found.crash?.stack).toContain('read past the end')
    expect(() => trusting.run(found.crash!.input.slice(), new Prng(0))).toThrow('read past the end')
    const again = await campaign(trusting, [], { seed: 1, runs: 100_000 })
    expect([again.runs, again.crash?.input]).toEqual([found.runs, found.crash!.input])
  })

  it('replays the corpus before anything else', async () => {
    const kept = Uint8Array.of(0x45, 9, 9, 200)
    const found = await campaign(trusting, [kept], { seed: 1, runs: 10 })
    expect(found).toMatchObject({ runs: 1, crash: { input: kept } })
  })

  it('stops at its count, and shows the watcher how far it is and with what', async () => {
    const window = openWindow(newWindowMemory())
    const seen: Uint8Array[] = []
    const calm: FuzzTarget = { name: 'calm', seeds: SEEDS, run: input => void seen.push(input) }
    const result = await runCampaign(calm, [], { seconds: 20, runs: 1_000, seed: 3 }, window)
    expect(result).toMatchObject({ runs: 1_000, crash: null })
    expect(runsIn(window)).toBe(1_000)
    expect(inputIn(window)).toEqual(seen.at(-1))
    expect(seen.slice(0, SEEDS.length)).toEqual(SEEDS)
  })

  it('seeds the randomness of a run from its input, so that a replay takes the same turns', async () => {
    const turns: number[] = []
    const turning: FuzzTarget = {
      name: 'turning',
      seeds: [],
      run: (_, random) => void turns.push(random.int32()),
    }
    const same = [Uint8Array.of(1, 2), Uint8Array.of(1, 2), Uint8Array.of(1, 3)]
    await campaign(turning, same, { seed: 1, runs: 3 })
    expect(turns[0]).toBe(turns[1])
    expect(turns[2]).not.toBe(turns[0])
  })

  it('lets what a target leaves for the next tick run, so that it does not pile up', async () => {
    let waiting = 0
    let most = 0
    const leaving: FuzzTarget = {
      name: 'leaving',
      seeds: SEEDS,
      run: () => {
        most = Math.max(most, ++waiting)
        process.nextTick(() => waiting--)
      },
    }
    await campaign(leaving, [], { seed: 1, runs: 1_000 })
    expect(most).toBeLessThanOrEqual(64)
  })

  it('refuses an asynchronous target, whose failure nobody would see', async () => {
    const late: FuzzTarget = { name: 'late', seeds: SEEDS, run: async () => {} }
    const { crash } = await campaign(late, [], { seed: 1, runs: 10 })
    expect(crash?.stack).toContain('synchronous')
  })
})

describe('fuzz/options', () => {
  it.each([
    [['--seconds', '0'], '--seconds has to be a number above 0'],
    [['--seed', '1.5'], '--seed has to be a whole number'],
    [['--replay', 'file'], '--replay needs exactly one --target'],
    [['--nonsense'], 'nonsense'],
  ])('refuses %j', (args, message) => {
    expect(() => parseOptions(args, 0)).toThrow(message)
  })
})
