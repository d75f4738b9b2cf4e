import { describe, expect, it } from 'vitest'
import { run } from './modules.ts'
import { NULL_MODULES } from './null-modules.ts'
import { figure, modulesReportText } from './report-text.ts'

describe('bench/modules', () => {
  it('prices every number of modules and every call, and decides nothing with too few rounds', async () => {
    const said: string[] = []
    const report = await run({ rounds: 2, seconds: 0.005, onProgress: text => said.push(text) })
    expect(report.points.map(({ modules }) => modules)).toEqual([0, 1, 2, 4, 8, 16])
    for (const { nanoseconds } of report.points) {
      expect(nanoseconds.samples).toHaveLength(2)
      expect(nanoseconds.min).toBeGreaterThan(0)
    }
    expect(report.operations.map(({ name }) => name)).toContain('copy of 65,536 bytes')
    expect(report.slope.samples).toHaveLength(2)
    expect(report.requirements.map(({ verdict }) => verdict)).toEqual(['unclear', 'unclear'])
    expect(report.warnings).toContain('2 rounds decide nothing: take at least 5')
    expect(said.at(-1)).toMatch(/^\[1\/2\] round 2 of 2 \(about \d+ s left\)$/)
    expect(modulesReportText(report)).toMatch(/each module \(slope\) +-?[0-9.]+ /)
  }, 60_000)

  it('ends when it is aborted', async () => {
    const reason = new Error('enough')
    await expect(run({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  it('the null modules have code of their own, so that calls go through a table', () => {
    expect(new Set(NULL_MODULES.map(({ read }) => read.put)).size).toBe(16)
    expect(new Set(NULL_MODULES.map(({ name }) => name)).size).toBe(16)
  })

  it('refuses rounds and times that measure nothing', async () => {
    await expect(run({ rounds: 0 })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
    await expect(run({ seconds: 0 })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
  })

  it('figures have as many digits as tell something', () => {
    expect([762_341.4, 12.345, 0.6123, 0.00123, -0.0004, 0].map(figure)).toEqual([
      '762,341',
      '12.3',
      '0.61',
      '0.0012',
      '-0.0004',
      '0',
    ])
    expect(figure(Number.NaN)).toBe('-')
  })
})
