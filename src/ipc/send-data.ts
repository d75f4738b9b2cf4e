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
 * @param mp - consumed
 * @returns what it costs of the credit
 */
export function sendData(sink: FrameSink, stream: number, mp: Mblk): number {
  let cost = 0
  let size = messageBytes(mp)
  while (size > BODY_BYTES_MAX) {
    const part = dupmsg(mp)
    // Too many views are alive: longer than the other end takes, so that it would end us. It cannot be, with the bounds of an arena.
    if (part === null) break
    adjmsg(part, BODY_BYTES_MAX - size)
    adjmsg(mp, BODY_BYTES_MAX)
    mp = dropEmptyHead(mp)
    sink.send(stream, DATA, 0, part)
    cost += costOf(BODY_BYTES_MAX)
    size -= BODY_BYTES_MAX
  }
  if (size > BODY_BYTES_MAX) {
    freemsg(mp)
    return cost
  }
  sink.send(stream, DATA, 0, mp)
  return cost + costOf(size)
}
