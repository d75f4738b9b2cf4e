/** M_FLUSH as modules, drivers and heads handle it. @see the flush handling chapter of STREAMS, flushq(9F) */
import { allocb, freemsg } from './mblk/alloc.ts'
import type { Arena } from './mblk/arena.ts'
import type { BorrowedMblk, Mblk } from './mblk/mblk.ts'
import { FLUSHBAND, FLUSHR, FLUSHW, M_FLUSH } from './mblk/types.ts'
import type { AnyQueue } from './module.ts'
import { qreply } from './putnext.ts'
import { FLUSHDATA, flushq, RD, WR } from './queue.ts'

/** A flush request. @param band - only this band; -1 for all @returns null when no block is left */
export function makeFlush(arena: Arena, flags: number, band = -1): Mblk | null {
  const mp = allocb(arena, 2)
  if (mp === null) return null
  mp.type = M_FLUSH
  mp.dblk.bytes[mp.wptr++] = band < 0 ? flags : flags | FLUSHBAND
  if (band >= 0) mp.dblk.bytes[mp.wptr++] = band
  return mp
}

/**
 * Flushes the queues of this instance that an M_FLUSH names. A module that queues does this, then passes the message on.
 * @param q - either queue of the pair
 * @param mp - borrowed
 */
export function flushAsAsked(q: AnyQueue, mp: BorrowedMblk): void {
  const flags = mp.bytes[mp.rptr]!
  const band = (flags & FLUSHBAND) !== 0 ? mp.bytes[mp.rptr + 1]! : -1
  if ((flags & FLUSHR) !== 0) flushq(RD(q), FLUSHDATA, band)
  if ((flags & FLUSHW) !== 0) flushq(WR(q), FLUSHDATA, band)
}

/** What a driver's write put does with an M_FLUSH: flush, then turn it round for the read side. @param mp - consumed */
export function driverFlush(q: AnyQueue, mp: Mblk): void {
  flushAsAsked(q, mp)
  const flags = mp.bytes[mp.rptr]!
  if ((flags & FLUSHR) === 0) {
    freemsg(mp)
    return
  }
  mp.dblk.bytes[mp.rptr] = flags & ~FLUSHW
  qreply(q, mp)
}

/** What a stream head's read put does with an M_FLUSH that came up: as {@link driverFlush}, mirrored. */
export function headFlush(q: AnyQueue, mp: Mblk): void {
  flushAsAsked(q, mp)
  const flags = mp.bytes[mp.rptr]!
  if ((flags & FLUSHW) === 0) {
    freemsg(mp)
    return
  }
  mp.dblk.bytes[mp.rptr] = flags & ~FLUSHR
  qreply(q, mp)
}
