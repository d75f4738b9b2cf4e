/**
 * The mapped channel: two rings of descriptors in memory that both processes map. What a descriptor means is the side's business
 * (`mapped-node.ts`, `mapped-client.ts`); here are order, room, sleep and waking. The Unix socket is the bell.
 */
import { after, milliseconds } from '../base/time.ts'
import { freeb, freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { AnyQueue } from '../streams/module.ts'
import { qenable } from '../streams/queue.ts'
import type { Timer } from '../streams/timers.ts'
import {
  CHANNEL_HIWAT,
  CHANNEL_LOWAT,
  type Channel,
  type ChannelEnd,
  type ChannelUser,
  makeChannelCounters,
  TEXT_HIWAT,
  TEXT_LOWAT,
  WAITING_FRAMES_MAX,
} from './channel.ts'
import { FrameQueue } from './frame-queue.ts'
import { BODY_BYTES_MAX, CREDIT, RETURN, WAKE } from './protocol.ts'
import { RING_ENTRIES, type RingReader, type RingWriter } from './ring.ts'
import type { SocketChannel } from './socket-channel.ts'

// Words of an entry.
export const STREAM = 0
export const KIND = 1
export const DETAIL = 2
export const SPACE = 3
export const NUMBER = 4
export const OFFSET = 5
export const LENGTH = 6
export const TAG = 7

/** The body goes on in the next entry. */
const MORE = 1 << 16

/** SPACE: no block; a block of the node's that the client has; one that the node granted the client to fill. */
export const NOTHING = 0
export const LENT = 1
export const GRANTED = 2

/** How long to look for the next entry before sleeping, while that pays. */
const LINGER_US = 40
/** A look that finds something earns one unit, up to the maximum; one in vain costs several. Below zero, no looking for so many sleeps. */
const CREDIT_MAX = 16
const CREDIT_LOSS = 4
const REST_SLEEPS = 256
/** Rings full of entries that are read before others have their turn. */
const READ_TURNS = 4
/** For a body that found no block. */
const RETRY = milliseconds(5)

/** One side's account of blocks. */
export interface BlockSide {
  /**
   * Describes the next block of a body at word `entry`.
   * @param bp - a block alone, with bytes; consumed if the answer is all of them, otherwise what was described is cut off
   * @returns bytes described, which the entry does not tell: the other side can write it; 0 if it cannot now: it is tried
   * again when blocks came back
   */
  describe(bp: Mblk, entry: number): number
  /** @returns the block that an entry describes; null if there is none such */
  resolve(space: number, number: number, offset: number, length: number, tag: number): Mblk | null
  /** The other side is done with a block. @returns false if it never had it */
  returned(number: number): boolean
  /** Takes the next number to be given back to the other side; -1 if there is none. */
  nextReturn(): number
  /** So many blocks are out that data should wait. */
  readonly isStrained: boolean
  close(): void
}

export interface MappedPlace {
  readonly words: Int32Array
  readonly now: () => number
  /** Lets the run queue go now. */
  readonly run: () => void
}

export class MappedChannel implements Channel, ChannelUser {
  readonly counters = makeChannelCounters()
  private readonly place: MappedPlace
  private readonly bell: SocketChannel
  private readonly q: AnyQueue
  private readonly user: ChannelUser
  private readonly writer: RingWriter
  private readonly reader: RingReader
  private readonly side: BlockSide
  private readonly queue = new FrameQueue()
  /** Credits: they wait for no body, or two ends could wait for each other. */
  private readonly credits = new FrameQueue()
  /** The frame on its way: what is left of its body, and its words. */
  private rest: Mblk | null = null
  private restBytes = 0
  private restStream = 0
  private restKind = 0
  private restDetail = 0
  /** What came of a body. */
  private body: Mblk | null = null
  private last: Mblk | null = null
  private bodyBytes = 0
  private closed = false
  private paused = false
  private wasFull = false
  private lookAt = 0
  private looking = false
  /** A look was in vain since something last came. */
  private idled = false
  private credit = CREDIT_MAX
  private restSleeps = 0
  /** For a body that found no block. */
  private readonly retry: Timer

  constructor(
    place: MappedPlace,
    bell: SocketChannel,
    q: AnyQueue,
    rings: { readonly writer: RingWriter; readonly reader: RingReader },
    side: BlockSide,
    user: ChannelUser,
  ) {
    this.place = place
    this.bell = bell
    this.q = q
    this.writer = rings.writer
    this.reader = rings.reader
    this.side = side
    this.user = user
    this.retry = q.stream.runtime.timer(q, () => qenable(q))
    bell.user = this
    qenable(q)
  }

  get isFull(): boolean {
    if (this.queue.cost < CHANNEL_HIWAT && !this.side.isStrained) return false
    this.wasFull = true
    return true
  }

  get isTextFull(): boolean {
    if (this.queue.textBytes < TEXT_HIWAT) return false
    this.wasFull = true
    return true
  }

  get waitingBytes(): number {
    return this.queue.bytes + this.restBytes
  }

  send(stream: number, kind: number, detail: number, mp: Mblk | null): void {
    if (this.closed) {
      if (mp !== null) freemsg(mp)
      return
    }
    this.counters['frames-out']++
    if (kind === CREDIT && mp === null) this.credits.push(stream, kind, detail, null)
    else this.queue.push(stream, kind, detail, mp)
    qenable(this.q)
  }

  /** There are blocks to be given back. */
  returns(): void {
    if (!this.closed) qenable(this.q)
  }

  // ---- the bell

  frame(stream: number, kind: number, _detail: number, mp: Mblk | null): boolean {
    if (mp !== null) freemsg(mp)
    if (stream !== 0 || kind !== WAKE) return false
    qenable(this.q)
    this.place.run()
    return true
  }

  drained(): void {}

  down(end: ChannelEnd): void {
    this.end(end)
  }

  private ring(): void {
    this.counters.wakes++
    this.bell.send(0, WAKE, 0, null)
  }

  // ---- service

  /** Whether something came: for whoever looks without sleeping. */
  poll(): boolean {
    if (this.closed || this.paused || this.reader.waiting === 0) return false
    qenable(this.q)
    return true
  }

  serve(): void {
    if (this.closed) return
    this.bell.serve()
    if (this.closed) return
    const came = this.readAll()
    if (this.closed) return
    this.writeAll()
    if (this.closed) return
    this.bell.serve()
    if (this.closed) return
    if (this.wasFull && this.hasRoom) {
      this.wasFull = false
      this.user.drained()
    }
    this.look(came)
  }

  private get hasRoom(): boolean {
    const { cost, textBytes } = this.queue
    return cost < CHANNEL_LOWAT && textBytes < TEXT_LOWAT && !this.side.isStrained
  }

  /** Looks again soon, or sleeps until the bell rings. */
  private look(came: boolean): void {
    const now = this.place.now()
    if (came) {
      if (this.idled && this.credit < CREDIT_MAX) this.credit++
      this.idled = false
      this.lookAt = now
    }
    if (this.looking || this.paused) return
    if (now - this.lookAt >= (this.restSleeps > 0 ? 0 : LINGER_US)) {
      this.account()
      if (this.reader.sleep()) return
    }
    this.idled = !came
    this.looking = true
    setImmediate(() => {
      this.looking = false
      if (this.closed) return
      qenable(this.q)
      this.place.run()
    })
  }

  /** Looking did not help: on one processor with the other side, it keeps that from running. */
  private account(): void {
    if (this.restSleeps > 0) this.restSleeps--
    else if (this.idled) this.credit -= CREDIT_LOSS
    this.idled = false
    if (this.credit >= 0) return
    this.credit = 0
    this.restSleeps = REST_SLEEPS
  }

  // ---- writing

  private writeAll(): void {
    const { writer, queue, credits, side } = this
    const { timers, clock } = this.q.stream.runtime
    for (;;) {
      if (writer.room <= 0) {
        if (writer.publish()) this.ring()
        if (writer.await()) return
      }
      // Neither blocks that came home nor credit wait for a body that cannot go.
      const number = side.nextReturn()
      if (number >= 0) this.putEntry(0, RETURN, number)
      else if (credits.count > 0) this.putCredit()
      else if (this.rest !== null) {
        if (this.putBlock(this.rest)) continue
        // Nobody may say when there is a block: its memory is not this client's alone.
        timers.arm(this.retry, after(clock.now(), RETRY))
        break
      } else if (queue.count > 0) this.begin()
      else break
    }
    if (writer.publish()) this.ring()
    if (queue.count + credits.count > WAITING_FRAMES_MAX) this.end('overrun')
  }

  private putCredit(): void {
    const { credits } = this
    const stream = credits.word(0, 0)
    const detail = credits.word(0, 3)
    credits.shift()
    this.putEntry(stream, CREDIT, detail)
  }

  private begin(): void {
    const { queue } = this
    const stream = queue.word(0, 0)
    const kind = queue.word(0, 1)
    const length = queue.word(0, 2)
    const detail = queue.word(0, 3)
    const mp = dropEmpty(queue.shift())
    this.counters['bytes-out'] += length
    if (mp === null) return this.putEntry(stream, kind, detail)
    this.rest = mp
    this.restBytes = length
    this.restStream = stream
    this.restKind = kind
    this.restDetail = detail
  }

  private putEntry(stream: number, kind: number, detail: number): void {
    const { words } = this.place
    const { entry } = this.writer
    words[entry + STREAM] = stream
    words[entry + KIND] = kind
    words[entry + DETAIL] = detail
    words[entry + SPACE] = NOTHING
    this.writer.next()
  }

  private putBlock(bp: Mblk): boolean {
    const { words } = this.place
    const { entry } = this.writer
    const size = bp.wptr - bp.rptr
    const next = bp.cont
    bp.cont = null
    const described = this.side.describe(bp, entry)
    if (described === 0) {
      bp.cont = next
      return false
    }
    // A block may go in parts: what is left of it is in front again.
    const isWhole = described === size
    const rest = isWhole ? dropEmpty(next) : bp
    if (!isWhole) bp.cont = next
    words[entry + STREAM] = this.restStream
    words[entry + KIND] = this.restKind | (rest === null ? 0 : MORE)
    words[entry + DETAIL] = this.restDetail
    this.restBytes -= described
    this.rest = rest
    this.writer.next()
    return true
  }

  // ---- reading

  private readAll(): boolean {
    const { reader } = this
    let came = false
    for (let turn = 0; ; turn++) {
      const waiting = this.paused ? 0 : reader.waiting
      if (waiting < 0 || waiting > RING_ENTRIES) {
        this.end('malformed')
        return true
      }
      if (waiting === 0) return came
      // Whoever writes as fast as this side reads has its turn, and no more.
      if (turn === READ_TURNS) {
        qenable(this.q)
        return true
      }
      came = true
      for (let i = 0; i < waiting && !this.paused; i++) {
        const { entry } = reader
        // First: what fails while it is taken is not taken twice.
        reader.next()
        if (!this.take(entry)) {
          this.end('malformed')
          return true
        }
        if (this.closed) return true
      }
      if (reader.release()) this.ring()
    }
  }

  /** @returns false if the entry is none that may come */
  private take(entry: number): boolean {
    const { words } = this.place
    // Each word once: the other side may still write them.
    const stream = words[entry + STREAM]!
    const kind = words[entry + KIND]!
    const detail = words[entry + DETAIL]!
    const space = words[entry + SPACE]!
    if (kind === RETURN) return this.side.returned(detail)
    // It may come between the parts of a body.
    if (kind === CREDIT) {
      this.counters['frames-in']++
      return this.user.frame(stream, kind, detail, null)
    }
    if (space !== NOTHING) {
      const length = words[entry + LENGTH]!
      const bp = this.side.resolve(
        space,
        words[entry + NUMBER]!,
        words[entry + OFFSET]!,
        length,
        words[entry + TAG]!,
      )
      if (bp === null) return false
      this.append(bp, length)
      if (this.bodyBytes > BODY_BYTES_MAX) return false
    }
    if ((kind & MORE) !== 0) return space !== NOTHING
    const mp = this.body
    this.body = this.last = null
    this.bodyBytes = 0
    this.counters['frames-in']++
    return this.user.frame(stream, kind, detail, mp)
  }

  private append(bp: Mblk, length: number): void {
    if (this.last === null) this.body = bp
    else this.last.cont = bp
    this.last = bp
    this.bodyBytes += length
    this.counters['bytes-in'] += length
  }

  // ---- the end

  pause(on: boolean): void {
    this.paused = on
    if (!on && !this.closed) qenable(this.q)
  }

  ref(on: boolean): void {
    this.bell.ref(on)
  }

  private end(why: ChannelEnd): void {
    if (this.closed) return
    this.release()
    this.user.down(why)
  }

  close(): void {
    if (this.closed) return
    this.writeAll()
    if (!this.closed) this.release()
  }

  private release(): void {
    this.closed = true
    this.q.stream.runtime.timers.cancel(this.retry)
    this.bell.close()
    this.queue.clear()
    this.credits.clear()
    for (const mp of [this.rest, this.body]) if (mp !== null) freemsg(mp)
    this.rest = this.body = this.last = null
    this.side.close()
  }
}

/** Frees blocks without bytes at the front. */
function dropEmpty(mp: Mblk | null): Mblk | null {
  while (mp !== null && mp.rptr === mp.wptr) {
    const next: Mblk | null = mp.cont
    freeb(mp)
    mp = next
  }
  return mp
}
