import type { RpcServerOptions } from '../server-settings.ts'
import { intHandler, serverBench, serviceOf } from './server-harness.ts'

export const COUNT = 1
export const SLOW = 2
export const IDEMPOTENT = 3

/** A service that says how often each of its procedures ran. */
export function counting(options: RpcServerOptions = {}) {
  const runs = { count: 0, slow: 0, idempotent: 0 }
  const signals: AbortSignal[] = []
  const finish: ((value: number) => void)[] = []
  const bench = serverBench(
    [
      serviceOf([
        intHandler(COUNT, () => ++runs.count),
        intHandler(SLOW, (_argument, context) => {
          runs.slow++
          signals.push(context.signal)
          return new Promise<number>(resolve => finish.push(resolve))
        }),
        intHandler(IDEMPOTENT, () => ++runs.idempotent, { isIdempotent: true }),
      ]),
    ],
    options,
  )
  const end = async (): Promise<void> => {
    for (const done of finish.splice(0)) done(1)
    await bench.rest()
    await bench.end()
  }
  return { bench, runs, signals, finish, end }
}
