/** What all sockets of one kernel host share: its loop, who waits for memory, and whether they keep the program running. */
import { type Counters, makeCounters } from '../base/counters.ts'
import { after, milliseconds } from '../base/time.ts'
import type { BorrowedMblk } from '../streams/mblk/mblk.ts'
import type { AnyQueue } from '../streams/module.ts'
import { qenable } from '../streams/queue.ts'
import type { Runtime } from '../streams/runtime.ts'
import { Timer } from '../streams/timers.ts'
import type { KernelLoop } from './loop.ts'

const RETRY = milliseconds(5)

/** A socket of Node's, or a server. */
export interface Handle {
  ref(): unknown
  unref(): unknown
  destroy?(): unknown
}

export type KernelCounters = Counters<
  | 'in-connections'
  | 'out-connections'
  | 'backlog-overflows'
  | 'in-datagrams'
  | 'out-datagrams'
  | 'receive-full'
  | 'no-buffers'
  | 'send-refused'
>

export class KernelSockets {
  readonly loop: KernelLoop
  readonly runtime: Runtime
  readonly counters: KernelCounters = makeCounters([
    'in-connections',
    'out-connections',
    'backlog-overflows',
    'in-datagrams',
    'out-datagrams',
    'receive-full',
    'no-buffers',
    'send-refused',
  ])
  private readonly open = new Set<Handle>()
  private refs = true
  private readonly starved = new Set<AnyQueue>()
  private readonly retry: Timer

  constructor(loop: KernelLoop) {
    this.loop = loop
    this.runtime = loop.runtime
    this.retry = new Timer(() => this.feed())
  }

  // ---- keeping the program running

  /** From now on it counts, until {@link remove}. */
  add(handle: Handle): void {
    this.open.add(handle)
    if (!this.refs) handle.unref()
  }

  remove(handle: Handle): void {
    this.open.delete(handle)
  }

  /** Sockets that are not closed: those that their programs gave up, too, until what was written is out. */
  get openCount(): number {
    return this.open.size
  }

  /** Of connections that their programs closed, and whose peers do not take what was written. */
  destroyAll(): void {
    for (const handle of this.open) handle.destroy?.()
  }

  ref(on: boolean): void {
    this.refs = on
    for (const handle of this.open) {
      if (on) handle.ref()
      else handle.unref()
    }
  }

  // ---- memory

  /** Enables a queue again when there may be blocks. */
  retryLater(q: AnyQueue): void {
    this.starved.add(q)
    const { timers, clock } = this.runtime
    if (!this.retry.armed) timers.arm(this.retry, after(clock.now(), RETRY))
  }

  /** There may be blocks. */
  feed(): void {
    if (this.starved.size === 0) return
    const list = [...this.starved]
    this.starved.clear()
    for (const q of list) qenable(q)
  }

  /** Counts a copy that the kernel made. */
  kernelCopied(bytes: number): void {
    const { kernel } = this.runtime.arena.copies
    kernel.bytes += bytes
    kernel.calls++
  }

  stop(): void {
    this.runtime.timers.cancel(this.retry)
    this.starved.clear()
  }
}

/** A block's bytes, where they lie, as Node takes them. @param mp - borrowed; not freed before Node is done with the answer */
export function viewOf(mp: BorrowedMblk, start: number, end: number): Buffer {
  const { bytes } = mp.dblk
  if (start === 0 && end === bytes.length && Buffer.isBuffer(bytes)) return bytes
  return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + start, end - start)
}
