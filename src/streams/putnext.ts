/**
 * Handing messages on: putnext(9F), qreply(9F), put(9F). A module that throws is caught here, at the hop that
 * called it: its stream is mended and everything else goes on.
 */
import { freemsg } from './mblk/alloc.ts'
import type { Mblk } from './mblk/mblk.ts'
import type { AnyQueue } from './module.ts'

/** Calls deep, of `putnext` inside `putnext`, before the run queue takes over: two streams of 24 modules each. */
export const DEPTH_MAX = 96

let depth = 0

/**
 * Hands a message to the next queue of the stream.
 * @param q - the queue whose procedure calls
 * @param mp - consumed
 * @see putnext(9F)
 */
export function putnext(q: AnyQueue, mp: Mblk): void {
  const next = q.next
  if (next === null) freemsg(mp)
  else put(next, mp)
}

/**
 * Hands a message to a queue's put procedure.
 * @param mp - consumed
 * @see put(9F)
 */
export function put(q: AnyQueue, mp: Mblk): void {
  if (depth >= DEPTH_MAX || q.deferredFirst !== null) {
    mp.at = q
    q.scheduler.defer(q, mp)
    return
  }
  deliver(q, mp)
}

/** Calls a put procedure at once, whatever waits before it. Only {@link put} and the run queue do. @param mp - consumed */
export function deliver(q: AnyQueue, mp: Mblk): void {
  mp.at = q
  depth++
  try {
    q.put(q, mp)
  } catch (error) {
    fault(q, mp, error)
  } finally {
    depth--
  }
}

/**
 * Sends a message back the way it came.
 * @param mp - consumed
 * @see qreply(9F)
 */
export function qreply(q: AnyQueue, mp: Mblk): void {
  putnext(q.other, mp)
}

/**
 * A procedure of the queue's module threw. What it still had in hand is freed, and its stream takes it off.
 * @param mp - the message that it was given, or null when its service procedure threw
 */
export function fault(q: AnyQueue, mp: Mblk | null, error: unknown): void {
  if (mp?.live && mp.at === q && !mp.queued) freemsg(mp)
  q.stream.moduleFault(q, error)
}
