import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

export interface Allocation {
  /** Bytes that the JavaScript heap grew by, divided by the runs, before any collection afterwards. */
  readonly bytesPerRun: number
  /** Collections while it ran: garbage that was made and went again would show here. */
  readonly collections: number
  /** Bytes of live objects that stayed after a collection. */
  readonly kept: number
}

/**
 * What a loop allocates on the JavaScript heap, whether it keeps it or not.
 * @param loop - called twice to warm up, then once to measure, with the number of runs to do
 */
export async function measureAllocation(runs: number, loop: (runs: number) => void): Promise<Allocation> {
  let collections = 0
  const observer = new PerformanceObserver(list => {
    collections += list.getEntries().length
  })
  // Optimised code is in place when it has run long enough; what compiles it allocates.
  for (let i = 0; i < 8; i++) {
    loop(Math.ceil(runs / 4))
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  collect()
  await new Promise(resolve => setTimeout(resolve, 50))
  observer.observe({ entryTypes: ['gc'] })
  const before = getHeapStatistics().used_heap_size
  loop(runs)
  const after = getHeapStatistics().used_heap_size
  await new Promise(resolve => setTimeout(resolve, 50))
  const seen = collections
  observer.disconnect()
  collect()
  return {
    bytesPerRun: (after - before) / runs,
    collections: seen,
    kept: getHeapStatistics().used_heap_size - before,
  }
}
