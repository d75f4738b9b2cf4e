import { describe, expect, it } from 'vitest'
import type { Figures } from './copies-arms.ts'
import { figuresOf } from './copies-arms.ts'
import type { EndUsed } from './copies-end.ts'
import { type ArmMeasured, type CopiesMeasured, copiesResult, crossoverOf, orderOf } from './copies-report.ts'
import { COPIES_FIGURES, type CopiesArmId, type CopiesResult } from './copies-result.ts'
import { copiesText } from './copies-text.ts'
import { describeMachine } from './machine.ts'

const BYTES = 65_536

/** Rounds of an arm with throughput, and time per byte that fits it. */
const rounds = (...gbit: number[]): Figures[] =>
  gbit.map(gbitPerSecond => ({
    gbitPerSecond,
    cpuNsPerByte: 8 / gbitPerSecond,
    userNsPerByte: 4 / gbitPerSecond,
    copiedStack: 0,
    copiedEdge: 0,
    copiedIpc: 0,
  }))

const arm = (id: CopiesArmId, figures: readonly Figures[]): ArmMeasured => ({
  id,
  check: null,
  bySize: new Map([[BYTES, figures]]),
  turns: figures.map(() => ({ p50Us: 1, p99Us: 2, p999Us: 3 })),
})

function resultOf(arms: readonly ArmMeasured[], given: Partial<CopiesMeasured> = {}): CopiesResult {
  return copiesResult({
    machine: { ...describeMachine(), busy: false },
    commit: null,
    commands: ['putnext bench copies'],
    mode: 'tun',
    quick: true,
    method: [],
    rounds: 5,
    seconds: 1,
    elapsedSeconds: 10,
    messageBytes: BYTES,
    arms,
    missing: [],
    edge: [],
    modules: null,
    warnings: [],
    ...given,
  })
}

describe('bench/copies-report', () => {
  it('an arm is faster or slower only if every round says so, and rounds are enough', () => {
    expect(orderOf([1.1, 1.2, 1.3, 1.1, 1.01])).toBe('faster')
    expect(orderOf([0.9, 0.8, 0.99, 0.7, 0.9])).toBe('slower')
    expect(orderOf([1.1, 1.2, 0.99, 1.1, 1.1])).toBe('unclear')
    expect(orderOf([1.1, 1.2, 1.3])).toBe('unclear')
  })

  it('(e) must beat (c) by 25 % in every round; what it does not reach is explained', () => {
    const held = resultOf([arm('c', rounds(4, 4, 4, 4, 4)), arm('e', rounds(6, 5.1, 6, 6, 6))])
    expect(held.requirements[0]).toMatchObject({ limit: { atLeast: 1.25 }, verdict: 'held', why: null })
    expect(held.requirements[0]!.measured).toBeCloseTo(1.5)
    const missed = resultOf([arm('c', rounds(5, 5, 5, 5, 5)), arm('e', rounds(6, 6, 6, 6, 6))])
    expect(missed.requirements[0]!.verdict).toBe('missed')
    expect(missed.requirements[0]!.why).toContain('ns a byte outside the kernel')
    const unclear = resultOf([arm('c', rounds(4, 4, 4, 4, 4)), arm('e', rounds(6, 4, 6, 6, 6))])
    expect(unclear.requirements[0]!.verdict).toBe('unclear')
  })

  it('(g) may copy nothing in any round, at any place of user space', () => {
    const clean = rounds(9, 9, 9, 9, 9)
    expect(resultOf([arm('g', clean)]).requirements).toMatchObject([{ measured: 0, verdict: 'held' }])
    const dirty = [...clean.slice(1), { ...clean[0]!, copiedEdge: 0.01 }]
    expect(resultOf([arm('g', dirty)]).requirements).toMatchObject([{ measured: 0.01, verdict: 'missed' }])
  })

  it('the control (h) must be slower than (g), or the result says why not, and names the pair', () => {
    const g = arm('g', rounds(9, 9, 9, 9, 9))
    const of = (...gbit: number[]): CopiesResult => resultOf([g, arm('h', rounds(...gbit))])
    expect(of(8, 8, 8, 8, 8).requirements[1]).toMatchObject({ verdict: 'held', why: null })
    const unclear = of(8, 10, 8, 8, 8)
    expect(unclear.requirements[1]).toMatchObject({ verdict: 'unclear' })
    expect(unclear.requirements[1]!.why).toContain("rounds' ratios differ by 25 %")
    expect(unclear.warnings.join()).toContain('(h) control: one copy more and (g)')
  })

  it('tells arms in their order, every figure a summary over the rounds, and what a round lacks not at all', () => {
    const partial = rounds(4, 4, 4, 4, 4).map((figures, i) =>
      i === 2 ? { ...figures, copiedStack: Number.NaN } : figures,
    )
    const { arms, comparisons, series } = resultOf([arm('h', rounds(8, 8, 8, 8, 8)), arm('c', partial)])
    expect(arms.map(({ id }) => id)).toEqual(['c', 'h'])
    expect(arms[0]!.figures.copiedStack).toBeUndefined()
    for (const [name, summary] of Object.entries(arms[0]!.figures)) {
      expect(Object.keys(COPIES_FIGURES)).toContain(name)
      expect(summary.samples).toHaveLength(5)
    }
    expect(comparisons).toEqual([])
    expect(series.every(({ lines }) => lines.length === 0)).toBe(true)
  })

  it('the crossover is the size from which on every round is for going without the copy', () => {
    const bySize = (...times: number[]): Map<number, Figures[]> =>
      new Map(times.map((cpuNsPerByte, i) => [64 << (4 * i), Array(5).fill({ cpuNsPerByte })]))
    expect(crossoverOf(bySize(2, 2, 2, 2), bySize(3, 2.1, 1, 0.5))).toMatchObject({
      bytes: 16_384,
      copyWinsUpTo: 1_024,
    })
    expect(crossoverOf(bySize(2, 2), bySize(1, 1))).toMatchObject({ bytes: 64, copyWinsUpTo: null })
    expect(crossoverOf(bySize(1, 1), bySize(2, 2))).toMatchObject({ bytes: null, copyWinsUpTo: 1_024 })
  })

  it('without devices, with too few rounds, or on a machine that was busy, it says so', () => {
    const machine = { ...describeMachine(), busy: true, load: 3 }
    const { warnings } = resultOf([arm('g', rounds(9, 1))], { mode: 'wire', rounds: 2, machine })
    expect(warnings.join('\n')).toMatch(/was busy.*2 rounds decide nothing.*without root.*differs by/s)
  })

  it('what several processes used is added up at the rate of each, by byte that the program gave away', () => {
    const used = (given: Partial<EndUsed>): EndUsed => ({
      seconds: 1,
      bytes: 0,
      cpuUs: 0,
      userUs: 0,
      copied: {},
      calls: 0,
      heapBytes: 0,
      pauses: 0,
      pauseMaxMs: 0,
      packets: null,
      ...given,
    })
    const program = used({
      bytes: 1e9,
      cpuUs: 500_000,
      copied: { stack: 0, ipc: 5e8, 'ipc-kernel': 1e9 },
      calls: 1_000,
      pauseMaxMs: 1,
    })
    const daemon = used({
      seconds: 2,
      cpuUs: 1_000_000,
      copied: { kernel: 2e9, 'ipc-kernel': 2e9 },
      calls: null,
      packets: 4_000,
      pauseMaxMs: 3,
    })
    expect(figuresOf([program, daemon])).toMatchObject({
      gbitPerSecond: 8,
      cpuNsPerByte: 1,
      copiedStack: 0,
      copiedIpc: 0.5,
      copiedIpcKernel: 2,
      copiedKernel: 1,
      syscallsPerMb: 3,
      gcPauseMaxMs: 3,
    })
  })

  it('the text has every arm, every step and every requirement', () => {
    const result = resultOf([arm('g', rounds(9, 9, 9, 9, 9)), arm('h', rounds(8, 8, 8, 8, 8))], {
      missing: [{ id: 'rawtun', title: 'C', reason: 'there is no device' }],
    })
    const text = copiesText(result)
    for (const part of [
      'chains, segmentation offload',
      'h over g: one copy more',
      'slower',
      'there is no device',
      'held',
    ])
      expect(text).toContain(part)
  })
})
