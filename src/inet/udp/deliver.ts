/**
 * The last step up: into the program's queue, if it has room. A program that falls behind loses its own datagrams and
 * nobody else's: what it lets wait is bounded in bytes and messages, kept in blocks no larger than needed, and
 * shortened first when the arena runs low.
 */
import { allocb, dupmsg, freemsg } from '../../streams/mblk/alloc.ts'
import { HEADROOM_BYTES } from '../../streams/mblk/arena.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { messageBytes } from '../../streams/mblk/message.ts'
import { readMessage } from '../../streams/mblk/pullup.ts'
import { putnext } from '../../streams/putnext.ts'
import { canputnext } from '../../streams/queue.ts'
import { allocUnitdata, UNITDATA_IND, UNITDATA_WORDS } from '../unitdata.ts'
import type { Endpoint } from './endpoint.ts'
import type { Udp } from './state.ts'

/** Waiting messages up to which a program counts as keeping up: it gets its datagrams however low the arena is. */
export const KEEPING_UP_MESSAGES = 32
/** Waiting messages from which they are kept in blocks no larger than needed. */
export const CONDENSE_MESSAGES = 256
/** A waiting message is moved to a smaller block where that is at most one part in this many. */
const CONDENSE_RATIO = 4

/** @param mp - consumed: the control block, completed, with the data */
export function deliver(udp: Udp, e: Endpoint, mp: Mblk): void {
  const { q } = e
  if (!canputnext(q)) {
    e.counters['receive-full']++
    udp.counters['receive-full']++
    freemsg(mp)
    return
  }
  const waiting = q.next!.forward.zero.messages
  if (waiting >= KEEPING_UP_MESSAGES && !mayWait(udp, e, mp, waiting)) return
  udp.counters['datagrams-in']++
  e.counters['in-datagrams']++
  putnext(q, mp)
}

/** Delivers a message of its own that shares the data. @param mp - borrowed */
export function deliverCopy(udp: Udp, e: Endpoint, mp: Mblk): void {
  const copy = copyUnitdata(mp)
  if (copy === null) {
    udp.counters['no-buffers']++
    return
  }
  copy.cont = dupmsg(mp.cont!)
  if (copy.cont === null) {
    udp.counters['no-buffers']++
    freemsg(copy)
    return
  }
  deliver(udp, e, copy)
}

/** The same words in a block of its own; null when no block is left. @param mp - borrowed */
export function copyUnitdata(mp: Mblk): Mblk | null {
  const { arena } = mp.dblk
  const copy = allocUnitdata(arena, UNITDATA_IND)
  if (copy === null) return null
  const { words } = arena
  const from = mp.rptr >> 2
  const to = copy.rptr >> 2
  for (let i = 0; i < UNITDATA_WORDS; i++) words[to + i] = words[from + i]!
  return copy
}

/** For a program that is behind. @param mp - freed if the answer is false */
function mayWait(udp: Udp, e: Endpoint, mp: Mblk, waiting: number): boolean {
  const { arena } = mp.dblk
  if (arena.isLow) {
    e.counters['arena-pressure']++
    udp.counters['arena-pressure']++
    freemsg(mp)
    return false
  }
  if (waiting < CONDENSE_MESSAGES) return true
  const data = mp.cont!
  const { sizeClass } = data.dblk
  if (sizeClass === null) return true
  const size = messageBytes(data)
  if ((size + HEADROOM_BYTES) * CONDENSE_RATIO > sizeClass.blockBytes) return true
  const small = allocb(arena, size, HEADROOM_BYTES)
  if (small === null) return true
  readMessage(data, 0, small.dblk.bytes, small.wptr, size, 'stack')
  small.wptr += size
  mp.cont = small
  freemsg(data)
  udp.counters['condensed']++
  return true
}
