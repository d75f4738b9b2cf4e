/** Puts data in line, in bodies that the other end takes. */
import { dupmsg, freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { adjmsg, dropEmptyHead, messageBytes } from '../streams/mblk/message.ts'
import { BODY_BYTES_MAX, costOf, DATA } from './protocol.ts'

/** Where frames go. */
export interface FrameSink {
  send(stream: number, kind: number, detail: number, mp: Mblk | null): void
}

/**
 * Sends one body, of the front of a message.
 * @param mp - consumed
 * @returns the rest, the caller's; null if all of it went
 */
export function sendFront(sink: FrameSink, stream: number, mp: Mblk): Mblk | null {
  const size = messageBytes(mp)
  if (size <= BODY_BYTES_MAX) {
    sink.send(stream, DATA, 0, mp)
    return null
  }
  const part = dupmsg(mp)
  // Too many views are alive: longer than the other end takes, so that it would end us. It cannot be, with the bounds of an arena.
  if (part === null) {
    freemsg(mp)
    return null
  }
  adjmsg(part, BODY_BYTES_MAX - size)
  adjmsg(mp, BODY_BYTES_MAX)
  sink.send(stream, DATA, 0, part)
  return dropEmptyHead(mp)
}

/** What the next body of a message costs of the credit. */
export const frontCost = (mp: Mblk): number => costOf(Math.min(messageBytes(mp), BODY_BYTES_MAX))

/**
 * Sends all of a message.
 * @param mp - consumed
 * @returns what it costs of the credit
 */
export function sendData(sink: FrameSink, stream: number, mp: Mblk): number {
  let cost = 0
  for (let rest: Mblk | null = mp; rest !== null; ) {
    cost += frontCost(rest)
    rest = sendFront(sink, stream, rest)
  }
  return cost
}
