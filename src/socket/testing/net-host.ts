/** A stack of its own for tests of stream sockets: with its loopback, in real time, driven by the event loop, checked at the end. */
import { Prng } from '../../base/prng.ts'
import { instant } from '../../base/time.ts'
import { InetStack } from '../../inet/stack.ts'
import { Arena, type ArenaOptions } from '../../streams/mblk/arena.ts'
import { Runtime } from '../../streams/runtime.ts'
import type { TestHost } from './host.ts'

export function makeNetHost(arenaOptions: ArenaOptions = {}): TestHost {
  const arena = new Arena({ sizeBytes: 32 * 1024 * 1024, poison: true, ...arenaOptions })
  let scheduled = false
  let closed = false
  let refs = 0
  let alarm: NodeJS.Timeout | undefined
  const runtime = new Runtime({
    arena,
    clock: { now: () => instant(performance.now() * 1_000) },
    random: new Prng(1),
    wake: () => {
      if (scheduled || closed) return
      scheduled = true
      setImmediate(() => {
        scheduled = false
        settle()
      })
    },
  })
  const settle = (): void => {
    while (runtime.turn());
    clearTimeout(alarm)
    const due = runtime.timers.pollAt()
    if (due === null || closed) return
    alarm = setTimeout(settle, Math.max(0, Math.ceil((due - runtime.clock.now()) / 1_000)))
  }
  const stack = new InetStack(runtime)
  return {
    runtime,
    stack,
    keepalive: {
      ref: () => {
        refs++
      },
      unref: () => {
        refs--
      },
    },
    refs: () => refs,
    settle,
    async finish() {
      settle()
      stack.close()
      settle()
      for (let i = 0; i < 3; i++) await new Promise(resolve => setImmediate(resolve))
      settle()
      closed = true
      clearTimeout(alarm)
      for (const stream of [...runtime.streams]) stream.close()
      arena.assertWhole()
    },
  }
}
