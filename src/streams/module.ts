/**
 * What a module, a driver or a multiplexor declares: module_info(9S), qinit(9S) and streamtab(9S) in one value.
 */
import type { Counters } from '../base/counters.ts'
import type { Mblk } from './mblk/mblk.ts'
import type { Queue } from './queue.ts'

/** Takes one message: passes it on, queues it, or frees it. Never waits. @see put(9E) */
export type PutProcedure<S> = (q: Queue<S>, mp: Mblk) => void

/** Works off what was queued, until the queue is empty or the next one is full. @see srv(9E) */
export type ServiceProcedure<S> = (q: Queue<S>) => void

/** The procedures of one direction. */
export interface Side<S> {
  readonly put: PutProcedure<S>
  readonly service?: ServiceProcedure<S>
}

/** A protocol module: pushed between a stream head and a driver, it sees what passes both ways. */
export interface ModuleInfo<S = unknown> {
  /** Lower-case name, at most 32 characters; unique in a registry. */
  readonly name: string
  /** Bytes on a queue from which the one before it must wait. */
  readonly hiwat: number
  /** Bytes on a queue below which the one before it may go on. */
  readonly lowat: number
  /**
   * Called before the first message, with the read queue.
   * @param options - from the configuration or the command line, unchecked
   * @returns the state of this instance, `q.state` of both queues
   * @throws StackError `ERR_BAD_CONFIG` to refuse the options; the stream is left as it was
   */
  open(q: Queue<S>, options?: unknown): S
  /** Called after the last message, with the read queue: frees what the state holds. */
  close(q: Queue<S>): void
  readonly read: Side<S>
  readonly write: Side<S>
  /** Counters for people and metrics, by name. */
  counters?(state: S): Readonly<Counters>
  /** Changes settings of a live instance. Throws `ERR_BAD_CONFIG` and changes nothing if they are wrong. */
  configure?(q: Queue<S>, options: unknown): void
  /** Settings and state for people, as a JSON value. */
  describe?(state: S): unknown
}

/** The bottom end of a stream: its write side takes what comes down, its read side is where messages begin. */
export interface DriverInfo<S = unknown> extends ModuleInfo<S> {
  readonly driver: true
  /** The name of a stream that was opened without one; asked when somebody wants to know. */
  streamName?(state: S): string
  /** Present in a multiplexor: the procedures of the streams that are linked below it. */
  // biome-ignore lint/suspicious/noExplicitAny: each multiplexor knows the state of its own lower side
  readonly lower?: LowerInfo<any>
}

/** The lower half of a multiplexor: it takes the place of the stream head of each stream linked below. */
export interface LowerInfo<L> {
  readonly hiwat: number
  readonly lowat: number
  readonly read: Side<L>
  readonly write: Side<L>
  /**
   * A stream was linked below.
   * @param upper - the read queue of the multiplexor's upper stream on which the link was asked for
   * @param q - the lower read queue; `putnext(q.other, mp)` sends down the linked stream
   * @returns the state of the lower queue pair
   */
  link(upper: AnyQueue, q: Queue<L>, options?: unknown): L
  /** The stream is about to be unlinked; frees what the state holds. */
  unlink(q: Queue<L>): void
  /** The link is complete, or a module was pushed on or popped off the linked stream: time to ask for its link info. */
  changed?(q: Queue<L>): void
}

// The plumbing handles modules of every kind of state; only a module itself knows its own.
// biome-ignore lint/suspicious/noExplicitAny: see above
export type AnyModule = ModuleInfo<any>
// biome-ignore lint/suspicious/noExplicitAny: see above
export type AnyDriver = DriverInfo<any>
// biome-ignore lint/suspicious/noExplicitAny: see above
export type AnyQueue = Queue<any>

export function isDriver(info: AnyModule): info is DriverInfo {
  return (info as DriverInfo).driver === true
}
