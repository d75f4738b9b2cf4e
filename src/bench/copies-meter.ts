/** What a process used while bytes were moved: read from inside, at two moments that several processes agree on. */
import { readFileSync } from 'node:fs'
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { CopyCounts } from '../streams/mblk/copy.ts'

/** Copied bytes by place. */
export type CopiedBytes = Readonly<Record<string, number>>

/** Between the two moments. */
export interface Used {
  /** By the clock that all processes share, so that a late timer is seen. */
  readonly seconds: number
  readonly bytes: number
  readonly cpuUs: number
  /** Of these, outside the kernel. */
  readonly userUs: number
  readonly copied: CopiedBytes
  /** Reads and writes that the process asked of the kernel; null if the kernel does not count them. */
  readonly calls: number | null
  readonly heapBytes: number
  readonly pauses: number
  readonly pauseMaxMs: number
}

/** When to look, in milliseconds of the system's clock. */
export interface Window {
  readonly startAt: number
  readonly seconds: number
}

/** How often the heap is looked at: what a collection takes away between two looks is not seen. */
const LOOK_MS = 20
/** The observer hears of collections a turn of the event loop later. */
const OBSERVER_MS = 25

interface Moment {
  readonly at: number
  readonly bytes: number
  readonly cpu: NodeJS.CpuUsage
  readonly copied: CopiedBytes
  readonly calls: number | null
}

export class Meter {
  private readonly copies: CopyCounts | null
  private readonly pauses: { readonly at: number; readonly ms: number }[] = []
  private readonly observer: PerformanceObserver

  /** @param copies - what the process counts, if it does */
  constructor(copies: CopyCounts | null) {
    this.copies = copies
    this.observer = new PerformanceObserver(list => {
      for (const { startTime, duration } of list.getEntries())
        this.pauses.push({ at: performance.timeOrigin + startTime, ms: duration })
    })
    this.observer.observe({ entryTypes: ['gc'] })
  }

  /** Waits for the window and measures. @param bytes - delivered so far, asked at both ends of it */
  async window({ startAt, seconds }: Window, bytes: () => number): Promise<Used> {
    await until(startAt)
    this.pauses.length = 0
    const heap = new HeapLooks()
    const from = this.look(bytes())
    // A start that came late, since the program had the processor, is the start: the window is as long as it was to be.
    await until(from.at + seconds * 1_000)
    const to = this.look(bytes())
    const heapBytes = heap.end()
    await new Promise(resolve => setTimeout(resolve, OBSERVER_MS))
    const pauses = this.pauses.filter(({ at }) => at >= from.at && at <= to.at)
    const places = Object.keys(to.copied)
    return {
      seconds: (to.at - from.at) / 1_000,
      bytes: to.bytes - from.bytes,
      cpuUs: to.cpu.user - from.cpu.user + to.cpu.system - from.cpu.system,
      userUs: to.cpu.user - from.cpu.user,
      copied: Object.fromEntries(places.map(place => [place, to.copied[place]! - from.copied[place]!])),
      calls: to.calls === null || from.calls === null ? null : to.calls - from.calls,
      heapBytes,
      pauses: pauses.length,
      pauseMaxMs: Math.max(0, ...pauses.map(({ ms }) => ms)),
    }
  }

  close(): void {
    this.observer.disconnect()
  }

  private look(bytes: number): Moment {
    const copied = Object.entries(this.copies ?? {}).map(([place, count]) => [place, count.bytes])
    return {
      at: clockMs(),
      bytes,
      cpu: process.cpuUsage(),
      copied: Object.fromEntries(copied),
      calls: readCalls('self'),
    }
  }
}

/** Milliseconds since the epoch, with fractions. */
const clockMs = (): number => performance.timeOrigin + performance.now()

async function until(at: number): Promise<void> {
  for (let left = at - clockMs(); left > 0; left = at - clockMs())
    await new Promise(resolve => setTimeout(resolve, Math.ceil(left)))
}

/** Adds up what the heap grew by between looks. */
class HeapLooks {
  private last = getHeapStatistics().used_heap_size
  private sum = 0
  private readonly timer = setInterval(() => this.look(), LOOK_MS)

  private look(): void {
    const used = getHeapStatistics().used_heap_size
    if (used > this.last) this.sum += used - this.last
    this.last = used
  }

  end(): number {
    clearInterval(this.timer)
    this.look()
    return this.sum
  }
}

/**
 * Calls of read(2), write(2) and their kin that a process made since it began, as the kernel counts them (proc_pid_io(5)).
 * Not among them: waiting (epoll), and what goes by sendmsg(2) or recvmsg(2).
 * @returns null if it does not tell
 */
export function readCalls(pid: number | 'self'): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/io`, 'utf8')
    return [...text.matchAll(/^sysc[rw]: (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0)
  } catch {
    return null
  }
}
