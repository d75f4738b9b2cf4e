/** What tests of modules stand on: a runtime with a hand-moved clock, seeded randomness and a poisoned arena. */

import { Prng } from '../../base/prng.ts'
import { type Duration, ManualClock } from '../../base/time.ts'
import { Arena, type ArenaOptions } from '../mblk/arena.ts'
import { Runtime, type StackEvent } from '../runtime.ts'

export interface TestRuntime {
  readonly runtime: Runtime
  readonly arena: Arena
  readonly clock: ManualClock
  readonly events: StackEvent[]
  /** Runs until nothing is left to do at this moment. Throws after 10,000 turns: something enables itself for ever. */
  settle(): void
  /** Moves the clock, stopping at every deadline on the way, and settles. */
  advance(delay: Duration): void
  /** Closes every stream that is open and checks that every block came home. Call it at the end of each test. */
  finish(): void
}

export interface TestRuntimeOptions {
  readonly seed?: number
  readonly arena?: Arena
  readonly arenaOptions?: ArenaOptions
}

const TURNS_MAX = 10_000

export function makeTestRuntime(options: TestRuntimeOptions = {}): TestRuntime {
  const arena =
    options.arena ?? new Arena({ sizeBytes: 8 * 1024 * 1024, poison: true, ...options.arenaOptions })
  const clock = new ManualClock()
  const events: StackEvent[] = []
  const runtime = new Runtime({
    arena,
    clock,
    random: new Prng(options.seed ?? 1),
    onEvent: event => events.push(event),
  })
  const settle = (): void => {
    for (let i = 0; i < TURNS_MAX; i++) if (!runtime.turn()) return
    throw new Error(`the run queue was not empty after ${TURNS_MAX} turns`)
  }
  const advance = (delay: Duration): void => {
    const end = clock.now() + delay
    for (let at = runtime.timers.pollAt(); at !== null && at <= end; at = runtime.timers.pollAt()) {
      clock.advance(Math.max(0, at - clock.now()) as Duration)
      settle()
    }
    clock.advance((end - clock.now()) as Duration)
    settle()
  }
  const finish = (): void => {
    for (const stream of runtime.streams) for (const id of stream.linked.keys()) stream.unlink(id)
    for (const stream of [...runtime.streams]) stream.close()
    runtime.turn()
    arena.assertWhole()
  }
  return { runtime, arena, clock, events, settle, advance, finish }
}
