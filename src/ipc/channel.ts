/** Frames from one process to another, in order, and who is told of those that come. */
import { type Counters, makeCounters } from '../base/counters.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'

const COUNTERS = [
  'writes',
  'reads',
  'frames-out',
  'frames-in',
  'bytes-out',
  'bytes-in',
  'wakes',
  'no-views',
  'no-buffers',
] as const
export type ChannelCounters = Counters<(typeof COUNTERS)[number]>
export const makeChannelCounters = (): ChannelCounters => makeCounters(COUNTERS)

/** Cost of what waits to be sent from which {@link Channel.isFull} holds, and below which it does not any more. */
export const CHANNEL_HIWAT = 1024 * 1024
export const CHANNEL_LOWAT = 256 * 1024
/** The same of blocks of text, for {@link Channel.isTextFull}. */
export const TEXT_HIWAT = 1024 * 1024
export const TEXT_LOWAT = 256 * 1024
/** Frames that may wait: whoever lets more gather reads nothing at all. */
export const WAITING_FRAMES_MAX = 65_536

/** What ended a channel: the other process went, sent what is no frame, or read nothing for too long. */
export type ChannelEnd = 'gone' | 'malformed' | 'overrun'

export interface ChannelUser {
  /**
   * @param mp - the body, consumed; null if it is empty
   * @returns false if the frame is none that may come: the channel ends
   */
  frame(stream: number, kind: number, detail: number, mp: Mblk | null): boolean
  /** After {@link Channel.isFull} or {@link Channel.isTextFull}: there is room. */
  drained(): void
  /** Called once: nothing comes or goes any more. Not after `close`. */
  down(end: ChannelEnd): void
}

export interface Channel {
  readonly counters: ChannelCounters
  /** Data should wait; what ends or opens something never does. */
  readonly isFull: boolean
  /** Nothing that is answered by a text should be taken. */
  readonly isTextFull: boolean
  /** Bytes that wait. */
  readonly waitingBytes: number
  /** Puts a frame in line; it leaves with the next service. @param mp - consumed: the body */
  send(stream: number, kind: number, detail: number, mp: Mblk | null): void
  /** Sends what waits and takes what came: the service procedure of the channel's stream. */
  serve(): void
  /** Takes nothing that comes while it is on: who sends has to wait. The end of the other process is noticed all the same. */
  pause(on: boolean): void
  /** Whether the process waits for it. */
  ref(on: boolean): void
  /** Frees what waits. Frames that are in line are tried once. */
  close(): void
}
