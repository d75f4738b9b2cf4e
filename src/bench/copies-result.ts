/** The result of `putnext bench copies`: one JSON document that the report is drawn from, and that two runs are compared by. */
import type { Machine } from './machine.ts'
import type { Limit, Ratio, Summary, Verdict } from './statistics.ts'

/** Of this document; a reader refuses others. */
export const COPIES_VERSION = 1

/**
 * One way to move the same bytes. `a` a daemon behind the IPC port, `b` the mapped port; in process: `c` a copy at every layer boundary, `d` each
 * packet made contiguous once, `e` chains, `f` and checksum offload, `p` in packets of 1,500 bytes, `q` as `p` with a copy at every boundary, `g` as `p` with segmentation
 * offload, `h` as `g` with one copy more; beside them C on the kernel's sockets, `node:net`, and C on a raw TUN device. See `copies-steps.ts`.
 */
export type CopiesArmId =
  | 'a'
  | 'b'
  | 'c'
  | 'd'
  | 'e'
  | 'f'
  | 'p'
  | 'q'
  | 'g'
  | 'h'
  | 'kernel'
  | 'nodenet'
  | 'rawtun'

/** In the order in which they are told. */
export const COPIES_ARMS: readonly CopiesArmId[] = [
  'a',
  'b',
  'c',
  'd',
  'e',
  'f',
  'p',
  'q',
  'g',
  'h',
  'kernel',
  'nodenet',
  'rawtun',
]

export type CopiesFigure =
  | 'gbitPerSecond'
  | 'cpuNsPerByte'
  | 'userNsPerByte'
  | 'p50Us'
  | 'p99Us'
  | 'p999Us'
  | 'copiedStack'
  | 'copiedEdge'
  | 'copiedIpc'
  | 'copiedIpcKernel'
  | 'copiedKernel'
  | 'heapBytesPerGb'
  | 'gcPausesPerGb'
  | 'gcPauseMaxMs'
  | 'syscallsPerMb'
  | 'nanoseconds'

/** How a figure is named and read. */
export interface FigureInfo {
  readonly title: string
  readonly unit: string
  readonly better: 'more' | 'less'
}

/** A gigabyte is 10^9 bytes, a megabyte 10^6. Every "delivered byte" is one that the program's peer was sent, headers apart. */
export const COPIES_FIGURES: Readonly<Record<CopiesFigure, FigureInfo>> = {
  gbitPerSecond: { title: 'throughput', unit: 'Gbit/s', better: 'more' },
  cpuNsPerByte: { title: 'processor time per byte', unit: 'ns', better: 'less' },
  userNsPerByte: { title: 'processor time per byte, outside the kernel', unit: 'ns', better: 'less' },
  p50Us: { title: 'round trip of one byte, p50', unit: 'µs', better: 'less' },
  p99Us: { title: 'round trip of one byte, p99', unit: 'µs', better: 'less' },
  p999Us: { title: 'round trip of one byte, p99.9', unit: 'µs', better: 'less' },
  copiedStack: { title: 'copied in the stack', unit: 'bytes per byte', better: 'less' },
  copiedEdge: { title: "copied at the program's edge", unit: 'bytes per byte', better: 'less' },
  copiedIpc: { title: 'copied by us at the IPC port', unit: 'bytes per byte', better: 'less' },
  copiedIpcKernel: { title: "copied by the IPC port's socket", unit: 'bytes per byte', better: 'less' },
  copiedKernel: { title: 'copied between the stack and the kernel', unit: 'bytes per byte', better: 'less' },
  heapBytesPerGb: { title: 'heap allocated', unit: 'bytes per GB', better: 'less' },
  gcPausesPerGb: { title: 'pauses of the garbage collector', unit: 'per GB', better: 'less' },
  gcPauseMaxMs: { title: 'longest pause of the garbage collector', unit: 'ms', better: 'less' },
  syscallsPerMb: { title: 'reads and writes asked of the kernel', unit: 'per MB', better: 'less' },
  nanoseconds: { title: 'time', unit: 'ns', better: 'less' },
}

/** What was moved once and compared, before anything was timed. */
export interface CopiesCheck {
  readonly bytes: number
  /** Of what was sent, hexadecimal. */
  readonly sent: string
  /** Of what the other end had; equal to `sent`, or the arm would not be here. */
  readonly arrived: string
}

export interface CopiesArm {
  readonly id: CopiesArmId
  readonly title: string
  /** In a sentence: what is different here. */
  readonly what: string
  /** Null for those beside the experiment, which nobody checked. */
  readonly check: CopiesCheck | null
  /** With messages of {@link CopiesResult.messageBytes}. What cannot be counted for an arm is absent. */
  readonly figures: Readonly<Partial<Record<CopiesFigure, Summary>>>
}

/** An arm that could not be measured here. */
export interface MissingArm {
  readonly id: CopiesArmId
  readonly title: string
  readonly reason: string
}

export interface CopiesPoint {
  readonly x: number
  readonly y: Summary
}

export interface CopiesLine {
  /** An arm's id, or a way to write: `write`, `sendOwned`. */
  readonly id: string
  readonly title: string
  readonly points: readonly CopiesPoint[]
}

export type CopiesSeriesId =
  | 'throughput-by-size'
  | 'cpu-by-size'
  | 'copied-by-size'
  | 'edge-throughput-by-size'
  | 'edge-cpu-by-size'
  | 'modules'

/** An axis: lines over a common x. */
export interface CopiesSeries {
  readonly id: CopiesSeriesId
  readonly title: string
  readonly x: { readonly title: string; readonly unit: string; readonly scale: 'log' | 'linear' }
  readonly figure: CopiesFigure
  readonly lines: readonly CopiesLine[]
}

/** Where going without a copy begins to be faster than making one. */
export interface CopiesCrossover {
  /** The smallest size from which on no round says otherwise; null if there is none among those measured. */
  readonly bytes: number | null
  /** The largest size at which every round says that copying is faster; null if there is none. */
  readonly copyWinsUpTo: number | null
  /** By size: time per byte with a copy over time per byte without, above 1 where not copying wins. */
  readonly ratios: readonly { readonly bytes: number; readonly ratio: Ratio; readonly verdict: Order }[]
}

/** What the rounds say of one arm against another: `unclear` if they contradict each other, or are too few. */
export type Order = 'faster' | 'slower' | 'unclear'

/** One step of the experiment: what is different between two arms, and what that is worth. */
export interface CopiesComparison {
  readonly arm: CopiesArmId
  readonly against: CopiesArmId
  /** In a few words: what `arm` has that `against` has not, or the other way round. */
  readonly step: string
  readonly figure: 'gbitPerSecond'
  /** `arm` over `against`, by round. */
  readonly ratio: Ratio
  readonly verdict: Order
  /** Processor time per byte outside the kernel, `arm` over `against`: for who wants to know why. */
  readonly user: Ratio | null
}

export interface CopiesRequirement {
  readonly name: string
  readonly limit: Limit
  readonly unit: string
  readonly measured: number
  readonly range: readonly [number, number] | null
  readonly verdict: Verdict
  /** Why it is not held, where the measurement can tell; null else. */
  readonly why: string | null
}

export interface CopiesOperation {
  readonly name: string
  readonly nanoseconds: Summary
}

/** What a run says of itself. */
export interface CopiesRun {
  readonly machine: Machine
  /** Of the working copy, if it is one and git is there. */
  readonly commit: string | null
  /** What to type to do it again; the first is this run's. */
  readonly commands: readonly string[]
  /** Over a TUN device with the kernel as the other end, or two stacks of one process over a wire. */
  readonly mode: 'tun' | 'wire'
  readonly quick: boolean
  /** How each figure was taken, in sentences: what is counted, and what is not. */
  readonly method: readonly string[]
  readonly rounds: number
  /** Of each measurement in a round. */
  readonly seconds: number
  /** The whole run. */
  readonly elapsedSeconds: number
  /** Of the messages in `arms` and `comparisons`. */
  readonly messageBytes: number
  readonly missing: readonly MissingArm[]
  readonly warnings: readonly string[]
}

export interface CopiesResult extends CopiesRun {
  readonly kind: 'copies'
  readonly version: typeof COPIES_VERSION
  readonly arms: readonly CopiesArm[]
  readonly series: readonly CopiesSeries[]
  readonly comparisons: readonly CopiesComparison[]
  /** Of writing at the program's edge: `write` copies, `sendOwned` does not. */
  readonly crossover: CopiesCrossover | null
  /** Of packets: `d` makes them contiguous, `e` leaves them chains, which cost by the piece. */
  readonly chainCrossover: CopiesCrossover | null
  /** Nanoseconds for each module in the way: the slope of the series `modules`, by round. */
  readonly moduleSlope: Summary | null
  readonly operations: readonly CopiesOperation[]
  readonly requirements: readonly CopiesRequirement[]
}
