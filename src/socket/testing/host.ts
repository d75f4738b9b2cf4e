/** A stack of its own for tests of sockets: driven by the event loop, with its loopback, poisoned and checked at the end. */
import { Prng } from '../../base/prng.ts'
import { ManualClock } from '../../base/time.ts'
import { InetStack } from '../../inet/stack.ts'
import { Arena, type ArenaOptions } from '../../streams/mblk/arena.ts'
import { Runtime } from '../../streams/runtime.ts'
import type { Keepalive, SocketHost } from '../host.ts'

export interface TestHost extends SocketHost {
  readonly stack: InetStack
  /** How many reasons there are to keep the program running. */
  refs(): number
  /** Runs what is left to do, here and now. */
  settle(): void
  /** Closes the stack and checks that every block came home. */
  finish(): Promise<void>
}

export function makeTestHost(arenaOptions: ArenaOptions = {}): TestHost {
  const arena = new Arena({ sizeBytes: 16 * 1024 * 1024, poison: true, ...arenaOptions })
  let scheduled = false
  let refs = 0
  const runtime = new Runtime({
    arena,
    clock: new ManualClock(),
    random: new Prng(1),
    wake: () => {
      if (scheduled) return
      scheduled = true
      setImmediate(() => {
        scheduled = false
        settle()
      })
    },
  })
  const settle = (): void => {
    while (runtime.turn());
  }
  const stack = new InetStack(runtime)
  const keepalive: Keepalive = {
    ref: () => {
      refs++
    },
    unref: () => {
      refs--
    },
  }
  return {
    runtime,
    stack,
    keepalive,
    refs: () => refs,
    settle,
    async finish() {
      settle()
      stack.close()
      settle()
      await new Promise(resolve => setImmediate(resolve))
      settle()
      for (const stream of [...runtime.streams]) stream.close()
      arena.assertWhole()
    },
  }
}
