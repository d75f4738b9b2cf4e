import { describe, expect, it } from 'vitest'
import { MIB } from './heap.ts'
import { type OverloadOptions, type OverloadResult, overload, type PhaseResult } from './overload.ts'

const TIMEOUT_MS = 400
/** Eight calls of 10 to 30 ms at a time: 400 calls a second. */
const CAPACITY = { workMs: 20, concurrency: 8, clients: 8, maxWaiting: 512 }
const PHASES = [
  { load: 0.5, seconds: 1 },
  { load: 10, seconds: 1.5 },
  { load: 10, seconds: 1.5 },
  // What waited when it was over.
  { load: 0.5, seconds: 0.5 },
  { load: 0.5, seconds: 2 },
]
/** There and back, and how late a call is told that it waited too long. */
const WAY_MS = 10
const SWEEP_MS = 20
/** Histograms say up to an eighth more than was. */
const READ = 9 / 8
/** For each call that may wait: one at the client, one at the server, one for its sender's address; replies that are kept are not more. */
const BLOCKS_PER_PLACE = 3
const PLACES_BY_DEFAULT = 1_024

function expectAllTold(phase: PhaseResult): void {
  const { offered, ok, shed, unknown } = phase
  expect(ok + shed + unknown).toBe(offered)
  // A reply that is late for its caller's own time is the only one that is nobody's.
  expect(unknown / offered).toBeLessThan(0.001)
}

/** Half of what it can do: everything is answered, and soon. */
function expectAtEase({ offered, ok, p50Ms, p99Ms }: PhaseResult): void {
  expect(offered).toBeGreaterThan(100)
  expect(ok).toBe(offered)
  expect(p50Ms).toBeLessThan(30)
  expect(p99Ms).toBeLessThan(80)
}

function expectShedding(phase: PhaseResult, patienceMs: number): void {
  expectAllTold(phase)
  expect(phase.offered).toBeGreaterThan(5_500)
  expect(phase.shed / phase.offered).toBeGreaterThan(0.85)
  expect(phase.shedP99Ms).toBeLessThan((patienceMs + SWEEP_MS + WAY_MS) * READ)
  // What it can do it does, in spite of what it refuses, and in time.
  expect(phase.goodput).toBeGreaterThan(0.9)
  expect(phase.p99Ms).toBeLessThan((patienceMs + 1.5 * CAPACITY.workMs + WAY_MS) * READ)
  expect(phase.p99Ms).toBeLessThan(TIMEOUT_MS)
  expect(phase.mostBlocks).toBeLessThan(BLOCKS_PER_PLACE * CAPACITY.maxWaiting)
}

/** All of the campaign: at ease, ten times capacity twice, at ease again. */
function expectBounded({ phases, problems }: OverloadResult, patienceMs: number): void {
  expect(problems).toEqual([])
  const [before, first, second, , after] = phases
  expectAtEase(before!)
  expectShedding(first!, patienceMs)
  expectShedding(second!, patienceMs)
  expectAtEase(after!)
  // Twice the time, and no more memory.
  expect(second!.mostBlocks).toBeLessThan(first!.mostBlocks * 1.2)
  expect(second!.heapBytes - first!.heapBytes).toBeLessThan(2 * MIB)
}

function run(options: Pick<OverloadOptions, 'seed' | 'transport' | 'session'> & Partial<OverloadOptions>) {
  return overload({ ...CAPACITY, timeoutMs: TIMEOUT_MS, phases: PHASES, ...options })
}

const SEEDS = [1, 2]

describe('checklist 43: ten times capacity: bounded memory, SYSTEM_ERR for what is too much, the rest in its time', () => {
  it.each(SEEDS)('TCP with sessions: the server knows each deadline (seed %i)', async seed => {
    const result = await run({ seed, transport: 'tcp', session: true, modestLoad: 0.05 })
    expectBounded(result, TIMEOUT_MS / 2)
    expect(result.server['shed-deadline']).toBeGreaterThan(1_000)
    expect(result.server['shed-queue-full']).toBeGreaterThan(100)
    // Who asks for little, by a connection of its own, notices nothing: connections take turns, and find places to wait.
    for (const phase of result.modest) {
      expect(phase.offered).toBeGreaterThan(0)
      expect([phase.ok, phase.shed]).toEqual([phase.offered, 0])
      expect(phase.p99Ms).toBeLessThan(TIMEOUT_MS / 2)
    }
  })

  it.each(SEEDS)('TCP without sessions: the server is told how long callers wait (seed %i)', async seed => {
    const result = await run({ seed, transport: 'tcp', session: false, maxWaitMs: 200, modestLoad: 0.05 })
    expectBounded(result, 200)
    for (const { ok, offered } of result.modest) expect(ok).toBe(offered)
  })

  it.each(SEEDS)('UDP with sessions, calls that wait are sent again meanwhile (seed %i)', async seed => {
    const result = await run({ seed, transport: 'udp', session: true, retransmitMs: 80 })
    expectBounded(result, TIMEOUT_MS / 2)
    expect(result.transmissions).toBeGreaterThan(result.server['calls']! * 0.99)
    expect(result.server['duplicate-in-progress']).toBeGreaterThan(1_000)
    expect(result.server['shed-queue-full']).toBeGreaterThan(1_000)
  })

  it.each(SEEDS)('UDP without sessions, calls that wait are sent again meanwhile (seed %i)', async seed => {
    const result = await run({ seed, transport: 'udp', session: false, maxWaitMs: 200, retransmitMs: 80 })
    expectBounded(result, 200)
    expect(result.server['duplicate-in-progress']).toBeGreaterThan(1_000)
    expect(result.server['shed-queue-full']).toBeGreaterThan(1_000)
  })

  it.each(['tcp', 'udp'] as const)(
    '%s as everything is by default: callers wait for 10 s, calls for 5 s',
    async transport => {
      const { phases, problems, server } = await overload({
        seed: 4,
        transport,
        session: false,
        workMs: 40,
        concurrency: 1,
        clients: 8,
        timeoutMs: 10_000,
        phases: [
          { load: 10, seconds: 20 },
          { load: 0.5, seconds: 6 },
          { load: 0.5, seconds: 10 },
        ],
      })
      expect(problems).toEqual([])
      const [during, , after] = phases
      expectAllTold(during!)
      expect(during!.goodput).toBeGreaterThan(0.9)
      expect(during!.p99Ms).toBeLessThan(6_000)
      expect(during!.shedP99Ms).toBeLessThan(6_000)
      expect(during!.mostBlocks).toBeLessThan(BLOCKS_PER_PLACE * PLACES_BY_DEFAULT)
      expect(server['shed-deadline']! + server['shed-queue-full']!).toBeGreaterThan(3_500)
      expect(after!.ok).toBe(after!.offered)
    },
  )

  it('not promised: who gives up before the server does, and does not tell it so, has it work for nobody', async () => {
    const { phases } = await run({ seed: 5, transport: 'tcp', session: false })
    expect(phases[2]!.goodput).toBeLessThan(0.1)
    expect(phases[2]!.unknown / phases[2]!.offered).toBeGreaterThan(0.05)
  })
})
