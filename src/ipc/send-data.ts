/** Data on its way into the channel: in bodies that the other end takes, and of memory that can go at once. */
import { dupmsg, freeb } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { adjmsg, dropEmptyHead, messageBytes } from '../streams/mblk/message.ts'
import { BODY_BYTES_MAX, costOf } from './protocol.ts'

/** What a process may send. */
export interface SendMemory {
  /** Whether the channel takes the block as it is. */
  takes(bp: Mblk): boolean
  /**
   * Copies the front of a block that it does not take.
   * @param bp - borrowed: what was copied is cut off
   * @returns null when no block is left for it
   */
  copyFront(bp: Mblk): Mblk | null
}

/** A socket takes any memory. */
export const ANY_MEMORY: SendMemory = { takes: () => true, copyFront: () => null }

/** `sent` nothing is left, `more` there is, `no-block` wait until one came home, `no-view` the message can be neither cut nor sent. */
export type CutResult = 'sent' | 'more' | 'no-block' | 'no-view'

/** Cuts bodies off the front of messages; one serves a whole port. */
export class Cutter {
  private readonly memory: SendMemory
  /** What was cut off, the caller's; null unless the answer was `sent` or `more`. */
  body: Mblk | null = null
  /** What is left, the caller's. */
  rest: Mblk | null = null

  constructor(memory: SendMemory) {
    this.memory = memory
  }

  /** Cuts one body. @param mp - consumed, with bytes @param most - bytes of it */
  cut(mp: Mblk, most = BODY_BYTES_MAX): CutResult {
    this.body = null
    this.rest = mp
    let end: Mblk | null = mp
    let last: Mblk | null = null
    for (; end !== null && this.memory.takes(end); end = end.cont) last = end
    if (last === null) return this.copy(mp, most)
    if (end === null) return this.split(mp, most)
    // What is behind is copied when its turn comes.
    last.cont = null
    end.type = mp.type
    const result = this.split(mp, most)
    if (this.rest === null) this.rest = end
    else joined(this.rest, end)
    return result === 'sent' ? 'more' : result
  }

  private copy(mp: Mblk, most: number): CutResult {
    if (mp.rptr === mp.wptr && mp.cont !== null) {
      return this.cut(dropEmptyHead(mp), most)
    }
    const body = this.memory.copyFront(mp)
    if (body === null) return 'no-block'
    this.body = body
    if (mp.rptr < mp.wptr) return 'more'
    this.rest = mp.cont
    if (this.rest !== null) this.rest.type = mp.type
    freeb(mp)
    return this.rest === null ? 'sent' : 'more'
  }

  private split(mp: Mblk, most: number): CutResult {
    const size = messageBytes(mp)
    if (size <= most) {
      this.body = mp
      this.rest = null
      return 'sent'
    }
    const part = dupmsg(mp)
    if (part === null) return 'no-view'
    adjmsg(part, most - size)
    adjmsg(mp, most)
    this.body = part
    this.rest = dropEmptyHead(mp)
    return 'more'
  }
}

function joined(mp: Mblk, tail: Mblk): void {
  let last = mp
  while (last.cont !== null) last = last.cont
  last.cont = tail
}

/** What a body costs of the credit. */
export const bodyCost = (mp: Mblk): number => costOf(messageBytes(mp))
