/** `bench copies` as a whole, without root: processes, both ports, the checked transfer, the document. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { run } from '../../src/bench/copies.ts'
import { CHECK_BYTES } from '../../src/bench/copies-pattern.ts'
import { missing, titled } from '../../src/host/testing/requirements.ts'

const END = fileURLToPath(new URL('../../dist/bench/copies-end.js', import.meta.url))
const reason = missing('shim') || (existsSync(END) ? '' : 'dist/ is not compiled')

const PLAN = {
  sizes: [65_536],
  edgeSizes: [4_096],
  mainSeconds: 0.05,
  seconds: 0.02,
  turnSeconds: 0.2,
  moduleSeconds: 0.002,
  heapMessages: 1_000,
  warmupSeconds: 0.02,
  firstWarmupSeconds: 0.05,
}

describe.skipIf(reason !== '')(titled('bench copies, between two stacks of a process', reason), () => {
  it('measures the arms, checks their bytes, and copies nothing where there are chains', async () => {
    const said: string[] = []
    const result = await run({
      inproc: true,
      quick: true,
      rounds: 1,
      only: ['a', 'c', 'g', 'rawtun'],
      plan: PLAN,
      onProgress: text => said.push(text),
    })
    expect(result).toMatchObject({
      kind: 'copies',
      version: 1,
      mode: 'wire',
      rounds: 1,
      messageBytes: 65_536,
    })
    expect(result.arms.map(({ id }) => id)).toEqual(['a', 'c', 'g'])
    for (const { check, figures } of result.arms) {
      expect(check!.bytes).toBe(CHECK_BYTES)
      expect(check!.arrived).toBe(check!.sent)
      expect(figures.gbitPerSecond!.min).toBeGreaterThan(0)
      expect(figures.p50Us!.min).toBeGreaterThan(0)
    }
    const copied = (id: string): number => result.arms.find(one => one.id === id)!.figures.copiedStack!.median
    expect(copied('g')).toBe(0)
    expect(Math.round(copied('c'))).toBe(3)
    expect(result.missing).toMatchObject([{ id: 'rawtun', reason: 'there is no device' }])
    expect(result.crossover!.ratios).toHaveLength(1)
    expect(result.operations.map(({ name }) => name)).toContain('split of a message in two')
    expect(result.warnings.join()).toContain('1 round decides nothing')
    expect(said[0]).toMatch(/^\[0\/3\] round 1 of 1: daemon behind the IPC port \(about/)
  }, 60_000)

  it('ends when it is aborted, and leaves no process behind', async () => {
    const controller = new AbortController()
    const running = run({
      inproc: true,
      rounds: 1,
      only: ['g'],
      plan: { ...PLAN, mainSeconds: 30 },
      signal: controller.signal,
      onProgress: () => setTimeout(() => controller.abort(new Error('enough')), 1_500),
    })
    await expect(running).rejects.toThrow('enough')
  }, 60_000)
})
