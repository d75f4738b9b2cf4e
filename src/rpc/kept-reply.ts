/** Replies that a server keeps for calls that may come again: what they hold of the arena, and how much all of them may. */
import { freemsg } from '../streams/mblk/alloc.ts'
import type { BorrowedMblk, Mblk } from '../streams/mblk/mblk.ts'

/** What became of a call that is remembered. */
export type KeptState =
  /** It waits or runs: no other may run in its place. */
  | 'running'
  /** It ran, and its reply is kept. */
  | 'answered'
  /** It ran, but its reply was too much to keep: nobody gets an answer any more, and it does not run again. */
  | 'unkept'
  /** It did not run and never will: its caller was told so. */
  | 'shed'

/** One remembered call. */
export interface KeptCall {
  readonly state: KeptState
  /** Of one that is `answered`. Borrowed by whoever looks: `dupmsg` it to send it. */
  readonly reply: Mblk | null
}

/**
 * Memory that kept replies may hold together, in bytes of the blocks that they keep from being used. With holders half of it is for whoever
 * comes first, and each of them has its part of the other half: so nobody's replies keep out those of everybody else.
 */
export class ReplyBudget {
  /** What may be held beyond anybody's own part. */
  readonly maxBytes: number
  /** What each holder may hold in any case. */
  readonly partBytes: number
  bytes = 0

  /** @param holders - how many there may be; 0 if there are none to whom a part is kept */
  constructor(maxBytes: number, holders = 0) {
    this.maxBytes = holders === 0 ? maxBytes : maxBytes / 2
    this.partBytes = holders === 0 ? 0 : maxBytes / 2 / holders
  }

  get isSpent(): boolean {
    return this.bytes >= this.maxBytes
  }
}

/** Bytes that a message keeps from being used: whole blocks of the arena, and the program's memory as far as it is lent. */
export function heldBytes(mp: BorrowedMblk): number {
  let bytes = 0
  for (let bp: BorrowedMblk | null = mp; bp !== null; bp = bp.cont) {
    const { sizeClass } = bp.dblk
    bytes += sizeClass === null ? bp.wptr - bp.rptr : sizeClass.blockBytes
  }
  return bytes
}

/** @param reply - consumed */
export function freeReply(reply: Mblk | null): void {
  if (reply !== null) freemsg(reply)
}
