/**
 * Every bulk move of bytes in the stack goes through {@link copyBytes}, which counts it by place. "Zero copy" is
 * what these counters say, never a word.
 */
import { type ReadonlyBytes, sumBytes } from '../../base/checksum.ts'

/**
 * Where a copy happened: inside the stack, at the application's edge, or in the kernel's half of a device call
 * (which the device driver reports, since it does not happen here).
 */
export type CopyPlace = 'stack' | 'edge' | 'kernel'

/** At the port between processes: by us, or in the kernel's half of its socket (which the port reports). */
export type PortCopyPlace = 'ipc' | 'ipc-kernel'

export interface CopyCount {
  bytes: number
  calls: number
}

export type CopyCounts = Readonly<Record<CopyPlace | PortCopyPlace, CopyCount>>

export function makeCopyCounts(): CopyCounts {
  return {
    stack: { bytes: 0, calls: 0 },
    edge: { bytes: 0, calls: 0 },
    kernel: { bytes: 0, calls: 0 },
    ipc: { bytes: 0, calls: 0 },
    'ipc-kernel': { bytes: 0, calls: 0 },
  }
}

/** How bytes are moved and summed. The shim brings a faster one for long runs. */
export interface Memory {
  /** Moves `length` bytes; source and destination may overlap. */
  move(to: Uint8Array, toOffset: number, from: ReadonlyBytes, fromOffset: number, length: number): void
  /** Folded ones-complement sum of bytes `start` to `end` on top of a folded `sum`. */
  sum(bytes: ReadonlyBytes, start: number, end: number, sum: number): number
}

/** Below this a loop is cheaper than making a view or calling out. */
const SHORT_BYTES = 48

/** Moves by a loop when short, by `copyWithin` inside one memory, through a view otherwise. */
export const portableMemory: Memory = {
  move(to, toOffset, from, fromOffset, length) {
    if (to === (from as Uint8Array)) {
      to.copyWithin(toOffset, fromOffset, fromOffset + length)
    } else if (length <= SHORT_BYTES) {
      for (let i = 0; i < length; i++) to[toOffset + i] = from[fromOffset + i]!
    } else {
      to.set((from as Uint8Array).subarray(fromOffset, fromOffset + length), toOffset)
    }
  },
  sum: sumBytes,
}

/** What {@link copyBytes} needs of the stack: its counters and its way to move bytes. */
export interface CopyContext {
  readonly copies: CopyCounts
  readonly memory: Memory
}

/** Moves bytes and counts them at `place`. */
export function copyBytes(
  context: CopyContext,
  place: CopyPlace | PortCopyPlace,
  to: Uint8Array,
  toOffset: number,
  from: ReadonlyBytes,
  fromOffset: number,
  length: number,
): void {
  const count = context.copies[place]
  count.bytes += length
  count.calls++
  context.memory.move(to, toOffset, from, fromOffset, length)
}
