/**
 * Queues and their discipline: putq(9F), getq(9F), putbq(9F), flushq(9F), canputnext(9F), bcanputnext(9F),
 * qenable(9F), noenable(9F), and back-enabling. A queue keeps high-priority messages first, then bands from the
 * highest down, then band 0; each band has its own count and water marks.
 */
import { assert } from '../base/assert.ts'
import { freemsg } from './mblk/alloc.ts'
import type { Holder, Mblk } from './mblk/mblk.ts'
import { messageBytes } from './mblk/message.ts'
import { isHighPriority, M_DATA, M_PCPROTO, M_PROTO, QPCTL } from './mblk/types.ts'
import type { AnyModule, AnyQueue, PutProcedure, ServiceProcedure } from './module.ts'
import type { Scheduler } from './scheduler.ts'
import type { Stream } from './stream.ts'

/** Highest band number; the manual allows 255, and a band costs a record only when it is used. */
export const BAND_MAX = 255
/** Messages on a queue, of whatever size, from which it counts as full. */
export const QUEUE_MESSAGES_MAX = 4_096

/** Flow control of one priority band. @see qband(9S) */
export interface Band {
  count: number
  messages: number
  hiwat: number
  lowat: number
  full: boolean
  /** Somebody was told that this band is full and waits to be back-enabled. */
  wantsWriter: boolean
}

/**
 * One direction of a module instance; it is its own record of band 0, since every stream has four of them and a connection
 * is a stream. @see queue(9S)
 */
export class Queue<S = unknown> implements Holder, Band {
  readonly stream: Stream
  readonly scheduler: Scheduler
  readonly isRead: boolean
  info: AnyModule
  put: PutProcedure<S>
  service: ServiceProcedure<S> | null
  /** The instance's own; both queues of a pair have the same. */
  state: S
  /** Where `putnext` leads; null at the end of the stream. */
  next: AnyQueue | null = null
  /** The queue of the other direction of the same instance. */
  other: Queue<S>
  first: Mblk | null = null
  last: Mblk | null = null
  /** Bands 1 and up, by number; null until one is used. */
  bands: (Band | undefined)[] | null = null
  /** Bytes of band 0. */
  count = 0
  messages = 0
  hiwat: number
  lowat: number
  full = false
  wantsWriter = false
  /** On the run queue. */
  enabled = false
  runNext: AnyQueue | null = null
  /** `getq` found nothing: the next `putq` enables the service procedure. */
  wantsReader = true
  /** `noenable(9F)`: only high-priority messages enable. */
  quiet = false
  /** Messages that arrived too deep in the call chain; the run queue hands them over in order. */
  deferredFirst: Mblk | null = null
  deferredLast: Mblk | null = null
  /** No longer part of a stream. */
  removed = false
  /** The nearest queue, from here on downstream, that has a service procedure or ends the stream. */
  forward: AnyQueue
  /** The nearest queue before this one that has a service procedure, to be back-enabled; null if none. */
  back: AnyQueue | null = null

  constructor(stream: Stream, info: AnyModule, isRead: boolean, state: S) {
    this.stream = stream
    this.scheduler = stream.runtime.scheduler
    this.info = info
    this.isRead = isRead
    const side = isRead ? info.read : info.write
    this.put = side.put
    this.service = side.service ?? null
    this.state = state
    this.hiwat = info.hiwat
    this.lowat = info.lowat
    this.other = this
    this.forward = this
  }

  get holderName(): string {
    return `${this.stream.name}/${this.info.name}.${this.isRead ? 'read' : 'write'}`
  }

  /** The record of band 0. */
  get zero(): Band {
    return this
  }

  /** Bytes queued, all bands. */
  get bytes(): number {
    let bytes = this.count
    if (this.bands !== null) for (const band of this.bands) bytes += band?.count ?? 0
    return bytes
  }
}

function makeBand(hiwat: number, lowat: number): Band {
  return { count: 0, messages: 0, hiwat, lowat, full: false, wantsWriter: false }
}

/** The two queues of one instance, joined; returns the read queue. */
export function makePair<S>(stream: Stream, info: AnyModule, state: S): Queue<S> {
  const read = new Queue<S>(stream, info, true, state)
  const write = new Queue<S>(stream, info, false, state)
  read.other = write
  write.other = read
  return read
}

/** The write queue of a pair, from either. @see WR(9F) */
export const WR = <S>(q: Queue<S>): Queue<S> => (q.isRead ? q.other : q)
/** The read queue of a pair, from either. @see RD(9F) */
export const RD = <S>(q: Queue<S>): Queue<S> => (q.isRead ? q : q.other)

/** The flow-control record of a band; band 0 is the queue's own. */
export function bandOf(q: AnyQueue, band: number): Band {
  if (band === 0) return q
  assert(band > 0 && band <= BAND_MAX, 'band out of range')
  q.bands ??= []
  q.bands[band] ??= makeBand(q.hiwat, q.lowat)
  return q.bands[band]!
}

/** High-priority messages count with band 0, as in the manual, but are never refused. */
const bandFor = (q: AnyQueue, mp: Mblk): Band =>
  mp.band === 0 || isHighPriority(mp) ? q : bandOf(q, mp.band)

/** Sort key of a message: high priority above all bands. */
const rank = (mp: Mblk): number => (mp.type >= QPCTL ? BAND_MAX + 1 : mp.band)

/**
 * Queues a message behind those of its rank, and enables the service procedure if it waits for one.
 * @param mp - consumed
 * @see putq(9F)
 */
export function putq(q: AnyQueue, mp: Mblk): void {
  const last = q.last
  const key = rank(mp)
  if (last === null || rank(last) >= key) {
    insertAfter(q, last, mp)
  } else {
    let before: Mblk | null = last
    while (before !== null && rank(before) < key) before = before.prev
    insertAfter(q, before, mp)
  }
  if (key > BAND_MAX) qenable(q)
  else if (q.wantsReader && !q.quiet) qenable(q)
}

/**
 * Puts a message back in front of those of its rank. The service procedure is not enabled, save by a high-priority
 * message: back-enabling does that, when there is room.
 * @param mp - consumed
 * @see putbq(9F)
 */
export function putbq(q: AnyQueue, mp: Mblk): void {
  const key = rank(mp)
  let before: Mblk | null = null
  let after = q.first
  while (after !== null && rank(after) > key) {
    before = after
    after = after.next
  }
  insertAfter(q, before, mp)
  if (key > BAND_MAX) qenable(q)
}

function insertAfter(q: AnyQueue, before: Mblk | null, mp: Mblk): void {
  assert(!mp.queued, 'putq: the message is already on a queue')
  const after = before === null ? q.first : before.next
  mp.prev = before
  mp.next = after
  if (before === null) q.first = mp
  else before.next = mp
  if (after === null) q.last = mp
  else after.prev = mp
  mp.queued = true
  mp.at = q
  const size = messageBytes(mp)
  mp.queuedBytes = size
  const band = bandFor(q, mp)
  band.count += size
  band.messages++
  if (band.count >= band.hiwat || band.messages >= QUEUE_MESSAGES_MAX) band.full = true
}

function unlink(q: AnyQueue, mp: Mblk): void {
  if (mp.prev === null) q.first = mp.next
  else mp.prev.next = mp.next
  if (mp.next === null) q.last = mp.prev
  else mp.next.prev = mp.prev
  mp.next = null
  mp.prev = null
  mp.queued = false
  const band = bandFor(q, mp)
  band.count -= mp.queuedBytes
  band.messages--
  if (band.full && band.count < band.hiwat && band.messages < QUEUE_MESSAGES_MAX) band.full = false
  if (band.wantsWriter && (band.count < band.lowat || band.messages === 0)) {
    band.wantsWriter = false
    backenable(q)
  }
}

/**
 * Takes the first message off. When there is none, the next `putq` enables the service procedure.
 * @returns an owned message, or null
 * @see getq(9F)
 */
export function getq(q: AnyQueue): Mblk | null {
  const mp = q.first
  if (mp === null) {
    q.wantsReader = true
    return null
  }
  q.wantsReader = false
  unlink(q, mp)
  return mp
}

/** Takes a given message off the queue. @see rmvq(9F) */
export function rmvq(q: AnyQueue, mp: Mblk): void {
  assert(mp.queued && mp.at === q, 'rmvq: the message is not on this queue')
  unlink(q, mp)
}

/** Whether `flushq` frees ordinary messages only, or all. */
export const FLUSHDATA = 0
export const FLUSHALL = 1

/**
 * Frees messages on a queue: those of data (`FLUSHDATA`: M_DATA, M_PROTO, M_PCPROTO as the manual has it), or all.
 * @param band - only this band, -1 for all bands
 * @see flushq(9F), flushband(9F)
 */
export function flushq(q: AnyQueue, flag: number, band = -1): void {
  let mp = q.first
  while (mp !== null) {
    const next: Mblk | null = mp.next
    const data = mp.type === M_DATA || mp.type === M_PROTO || mp.type === M_PCPROTO
    if ((flag === FLUSHALL || data) && (band < 0 || mp.band === band)) {
      unlink(q, mp)
      freemsg(mp)
    }
    mp = next
  }
}

/** Frees the messages that were deferred for a queue that is gone for good. */
export function dropDeferred(q: AnyQueue): void {
  let mp = q.deferredFirst
  q.deferredFirst = null
  q.deferredLast = null
  while (mp !== null) {
    const next: Mblk | null = mp.next
    mp.next = null
    mp.queued = false
    freemsg(mp)
    mp = next
  }
}

/** Puts the queue on the run queue, if it has a service procedure. @see qenable(9F) */
export function qenable(q: AnyQueue): void {
  if (q.service !== null && !q.removed) q.scheduler.enable(q)
}

/** From now on only high-priority messages enable the service procedure. @see noenable(9F) */
export function noenable(q: AnyQueue): void {
  q.quiet = true
}

/** @see enableok(9F) */
export function enableok(q: AnyQueue): void {
  q.quiet = false
}

/** The queue counts as full, whatever waits on it, until {@link releaseq}: for a module that keeps elsewhere what it took. */
export function holdq(q: AnyQueue): void {
  q.full = true
}

/** Ends {@link holdq}: the queue is as full as what waits on it makes it, and whoever was refused is back-enabled if that has room. */
export function releaseq(q: AnyQueue): void {
  q.full = q.count >= q.hiwat || q.messages >= QUEUE_MESSAGES_MAX
  if (q.full || !q.wantsWriter) return
  q.wantsWriter = false
  backenable(q)
}

/** Enables the queue that was told to wait for this one. */
function backenable(q: AnyQueue): void {
  if (q.back !== null) qenable(q.back)
}

/**
 * Whether the queue that will hold the message, at or after `q`, has room in band 0.
 * If not, the asker is back-enabled when there is. @see canput(9F)
 */
export function canput(q: AnyQueue): boolean {
  const band = q.forward
  if (!band.full) return true
  band.wantsWriter = true
  return false
}

/** As {@link canput}, for the stream beyond `q`. @see canputnext(9F) */
export function canputnext(q: AnyQueue): boolean {
  const next = q.next
  return next === null || canput(next)
}

/** As {@link canput}, for one band. @see bcanput(9F) */
export function bcanput(q: AnyQueue, number: number): boolean {
  if (number === 0) return canput(q)
  const bands = q.forward.bands
  const band = bands?.[number]
  if (band === undefined || !band.full) return true
  band.wantsWriter = true
  return false
}

/** As {@link canputnext}, for one band. @see bcanputnext(9F) */
export function bcanputnext(q: AnyQueue, number: number): boolean {
  const next = q.next
  return next === null || bcanput(next, number)
}
