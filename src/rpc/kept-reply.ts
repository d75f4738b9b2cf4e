/** Replies that a server keeps for calls that may come again: what they hold of the arena, and how much all of them may. */
import { allocb, dupmsg, freemsg } from '../streams/mblk/alloc.ts'
import { FRAME_BLOCK_BYTES } from '../streams/mblk/arena.ts'
import type { BorrowedMblk, Mblk } from '../streams/mblk/mblk.ts'
import { linkb, messageBytes } from '../streams/mblk/message.ts'
import { readMessage } from '../streams/mblk/pullup.ts'

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

  /** @param held - what a holder has already; @param more - what it wants beside */
  fits(held: number, more: number): boolean {
    return this.bytes + more <= this.maxBytes || held + more <= this.partBytes
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

/** A reply that holds so many times its bytes is copied to be kept. */
const LOOSE_RATIO = 4

/**
 * A reply as it is kept: a view of it, or a copy (at the place `stack`) in blocks that it fills if it lies in much larger ones: it stays for
 * minutes, and a few kilobytes lie in a block of 64 KiB.
 * @param reply - borrowed
 * @returns owned; null if there is no view and no block for it
 */
export function keptReply(reply: BorrowedMblk): Mblk | null {
  const size = messageBytes(reply)
  const held = heldBytes(reply)
  if (held <= size * LOOSE_RATIO || held <= FRAME_BLOCK_BYTES) return dupmsg(reply)
  const { arena } = reply.dblk
  let copy: Mblk | null = null
  for (let done = 0; done < size; ) {
    const part = Math.min(size - done, FRAME_BLOCK_BYTES)
    const block = arena.spares(part) ? allocb(arena, part) : null
    if (block === null) {
      freeReply(copy)
      return dupmsg(reply)
    }
    readMessage(reply, done, block.dblk.bytes, block.wptr, part, 'stack')
    block.wptr += part
    done += part
    if (copy === null) copy = block
    else linkb(copy, block)
  }
  return copy
}

/** @param reply - consumed */
export function freeReply(reply: Mblk | null): void {
  if (reply !== null) freemsg(reply)
}
