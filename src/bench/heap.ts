/** What a piece of a program leaves on the JavaScript heap, read from inside the process. */
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A heap that grows by less for a packet stays as it is: what is left is compiled code, and the asking itself. */
export const HEAP_BYTES_MAX = 0.05

/** One look at the heap of a process. */
export interface HeapState {
  /** Bytes in use: live objects and garbage that was not collected yet. */
  readonly usedBytes: number
  /** Collections since the watch began. */
  readonly collections: number
}

/** Bytes of the heap by datagram or message. */
export interface HeapGrowth {
  /** Live objects that stayed, after a collection: what grows without end. */
  readonly keptPerPacket: number
  /** All that was allocated, if there was no collection; at least that much otherwise. */
  readonly allocatedPerPacket: number
  readonly collections: number
  readonly packets: number
}

/** Watches the heap of this process from the moment it is made. */
export class HeapWatch {
  private collections = 0
  private readonly observer: PerformanceObserver
  private readonly gc: () => void

  constructor() {
    setFlagsFromString('--expose-gc')
    this.gc = runInNewContext('gc') as () => void
    this.observer = new PerformanceObserver(list => {
      this.collections += list.getEntries().length
    })
    this.observer.observe({ entryTypes: ['gc'] })
  }

  /** Collects first, so that only live objects are seen. */
  async collected(): Promise<HeapState> {
    // The second time takes what the first one made free: handles are closed a turn of the event loop later.
    for (let i = 0; i < 2; i++) {
      this.gc()
      await this.observed()
    }
    return this.state()
  }

  /** As it is. */
  async now(): Promise<HeapState> {
    // Read before waiting: what the wait allocates is not the measured program's.
    const { usedBytes } = this.state()
    await this.observed()
    return { usedBytes, collections: this.collections }
  }

  close(): void {
    this.observer.disconnect()
  }

  private state(): HeapState {
    return { usedBytes: getHeapStatistics().used_heap_size, collections: this.collections }
  }

  /** The observer hears of a collection a turn of the event loop later. */
  private observed(): Promise<void> {
    return new Promise(resolve => setTimeout(resolve, 20))
  }
}

/**
 * @param before - collected, before the packets
 * @param after - as it is, right after the packets
 * @param rest - collected, after that
 */
export function heapGrowth(
  before: HeapState,
  after: HeapState,
  rest: HeapState,
  packets: number,
): HeapGrowth {
  const perPacket = (bytes: number): number => bytes / Math.max(1, packets)
  return {
    keptPerPacket: perPacket(rest.usedBytes - before.usedBytes),
    allocatedPerPacket: perPacket(after.usedBytes - before.usedBytes),
    collections: after.collections - before.collections,
    packets,
  }
}
