/**
 * The plain channel: a Unix stream socket. One writev(2) takes the frames of a turn from where they lie, one readv(2) fills large
 * blocks; see `frame-reader.ts` for what becomes of them. What the socket copies is counted at the place `ipc-kernel`.
 */
import { after, milliseconds } from '../base/time.ts'
import { ERRNO, errnoName } from '../host/host-error.ts'
import {
  DESC_WORDS,
  POLL_DISCONNECT,
  POLL_READABLE,
  POLL_WRITABLE,
  REGION_COUNT,
  type Shim,
  STREAM_FRAGMENT_MAX,
} from '../host/shim.ts'
import { allocb, freeb, freemsg } from '../streams/mblk/alloc.ts'
import { FRAME_BLOCK_BYTES, SUPER_BLOCK_BYTES } from '../streams/mblk/arena.ts'
import type { Mblk, UniqueMblk } from '../streams/mblk/mblk.ts'
import type { AnyQueue } from '../streams/module.ts'
import { qenable } from '../streams/queue.ts'
import type { Runtime } from '../streams/runtime.ts'
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
import { FrameReader } from './frame-reader.ts'
import { HEADER_BYTES } from './protocol.ts'

/** Blocks that one read may fill: what a socket holds by default. */
const READ_BLOCKS = 3
/** Bytes read before others have their turn. */
const READ_TURN_BYTES = 1024 * 1024
/** Frames of one write: their headers fit a block. */
const WRITE_FRAMES = FRAME_BLOCK_BYTES / HEADER_BYTES
/** Where the fragments stand in the descriptor array. */
const AT = DESC_WORDS
const RETRY = milliseconds(5)

/** What a channel needs of its process. */
export interface ChannelPlace {
  readonly shim: Shim
  /** The shim's number of the runtime's arena. */
  readonly arenaId: number
  readonly runtime: Runtime
  /** Lets the run queue go now. */
  readonly run: () => void
}

export class SocketChannel implements Channel {
  readonly counters = makeChannelCounters()
  private readonly shim: Shim
  private readonly runtime: Runtime
  private readonly run: () => void
  private readonly q: AnyQueue
  /** Who is told: a mapped channel takes the port's place when its rings are there. */
  user: ChannelUser
  private readonly port: number
  private readonly desc = new Int32Array(DESC_WORDS + 3 * STREAM_FRAGMENT_MAX)
  private readonly queue = new FrameQueue()
  private readonly reader: FrameReader
  private readonly retry: Timer
  private readonly blocks: UniqueMblk[] = []
  /** Where the next byte goes in the first block. */
  private fill = 0
  /** The headers of one write. */
  private readonly headers: UniqueMblk
  /** Bytes of the first frame that were written. */
  private sent = 0
  private closed = false
  private readable = false
  /** The socket takes no more. */
  private blocked = false
  /** No memory to read into. */
  private starved = false
  private paused = false
  /** The other process sends nothing more: what it sent is taken, paused or not, up to its end. */
  private isLast = false
  private wasFull = false

  /**
   * @param fd - of a connected socket, the channel's from now on
   * @param q - the queue whose service procedure calls {@link serve}
   */
  constructor(place: ChannelPlace, fd: number, q: AnyQueue, user: ChannelUser) {
    const { shim, arenaId, runtime } = place
    this.shim = shim
    this.runtime = runtime
    this.run = place.run
    this.q = q
    this.user = user
    this.reader = new FrameReader(runtime.arena, (stream, kind, detail, mp) => {
      this.counters['frames-in']++
      return this.user.frame(stream, kind, detail, mp) && !this.closed
    })
    this.retry = runtime.timer(q, () => this.wake())
    const headers = allocb(runtime.arena, FRAME_BLOCK_BYTES)
    const port =
      headers === null
        ? -1
        : shim.attach(fd, arenaId, this.desc, new Float64Array(1), (status, events) =>
            this.ready(status, events),
          )
    if (headers === null || port < 0) {
      if (headers !== null) freeb(headers)
      shim.fdClose(fd)
      throw new Error(
        `the socket cannot be attached (${headers === null ? 'no block left' : errnoName(-port)})`,
      )
    }
    this.headers = headers
    this.port = port
    shim.pollStart(port, POLL_READABLE)
  }

  get isFull(): boolean {
    if (this.queue.cost < CHANNEL_HIWAT) return false
    this.wasFull = true
    return true
  }

  get isTextFull(): boolean {
    if (this.queue.textBytes < TEXT_HIWAT) return false
    this.wasFull = true
    return true
  }

  get waitingBytes(): number {
    return this.queue.bytes
  }

  send(stream: number, kind: number, detail: number, mp: Mblk | null): void {
    if (this.closed) {
      if (mp !== null) freemsg(mp)
      return
    }
    this.counters['frames-out']++
    this.queue.push(stream, kind, detail, mp)
    if (!this.blocked) qenable(this.q)
  }

  private ready(status: number, events: number): void {
    if (this.closed) return
    if (status < 0) return this.end('gone')
    if ((events & POLL_DISCONNECT) !== 0 && !this.isLast) {
      this.isLast = true
      this.poll()
    }
    this.wake()
    this.run()
  }

  private wake(): void {
    this.readable = true
    if (this.blocked || this.starved) {
      this.blocked = this.starved = false
      this.poll()
    }
    qenable(this.q)
  }

  /** Asks for what it waits for. */
  private poll(): void {
    const reading = this.starved ? 0 : this.isPaused ? POLL_DISCONNECT : POLL_READABLE
    const events = reading | (this.blocked ? POLL_WRITABLE : 0)
    if (events === 0) this.shim.pollStop(this.port)
    else this.shim.pollStart(this.port, events)
  }

  private get isPaused(): boolean {
    return this.paused && !this.isLast
  }

  serve(): void {
    if (this.closed) return
    if (this.readable) {
      this.readable = false
      this.readAll()
      // What it brought about leaves behind whoever was called for.
      if (!this.closed && this.queue.count > 0 && !this.blocked) qenable(this.q)
      return
    }
    if (!this.blocked) this.writeAll()
  }

  // ---- writing

  private writeAll(): void {
    const { queue, counters, runtime } = this
    const copies = runtime.arena.copies['ipc-kernel']
    while (queue.count > 0) {
      const count = this.describe()
      const written = this.shim.streamWrite(this.port, AT, count)
      if (written < 0) {
        if (written !== -ERRNO.EAGAIN) return this.end('gone')
        this.blocked = true
        this.poll()
        break
      }
      counters.writes++
      counters['bytes-out'] += written
      copies.bytes += written
      copies.calls++
      this.advance(written)
    }
    if (queue.count > WAITING_FRAMES_MAX) return this.end('overrun')
    if (this.wasFull && queue.cost < CHANNEL_LOWAT && queue.textBytes < TEXT_LOWAT) {
      this.wasFull = false
      this.user.drained()
    }
  }

  /** Describes as many frames as one write takes; the last may be a part. @returns fragments */
  private describe(): number {
    const { queue, headers } = this
    const { words } = this.runtime.arena
    let count = 0
    let pins = 0
    let skip = this.sent
    for (let i = 0; i < queue.count && i < WRITE_FRAMES && count < STREAM_FRAGMENT_MAX; i++) {
      const head = headers.rptr + i * HEADER_BYTES
      for (let w = 0; w < 4; w++) words[(head >> 2) + w] = queue.word(i, w)
      if (skip < HEADER_BYTES) {
        this.put(count++, 0, head + skip, HEADER_BYTES - skip)
        skip = 0
      } else skip -= HEADER_BYTES
      for (let bp = queue.bodyAt(i); bp !== null; bp = bp.cont) {
        const size = bp.wptr - bp.rptr
        if (size <= skip) {
          skip -= size
          continue
        }
        if (count === STREAM_FRAGMENT_MAX) return count
        let region = 0
        if (bp.dblk.bytes !== this.runtime.arena.bytes) {
          if (pins === REGION_COUNT - 1) return count
          region = ++pins
          this.shim.pin(this.port, region, bp.dblk.bytes)
        }
        this.put(count++, region, bp.rptr + skip, size - skip)
        skip = 0
      }
    }
    return count
  }

  private put(index: number, region: number, offset: number, length: number): void {
    const at = AT + 3 * index
    this.desc[at] = region
    this.desc[at + 1] = offset
    this.desc[at + 2] = length
  }

  private advance(written: number): void {
    const { queue } = this
    this.sent += written
    while (queue.count > 0) {
      const size = HEADER_BYTES + queue.lengthAt(0)
      if (this.sent < size) return
      this.sent -= size
      const mp = queue.shift()
      if (mp !== null) freemsg(mp)
    }
  }

  // ---- reading

  private readAll(): void {
    const { counters, runtime } = this
    const copies = runtime.arena.copies['ipc-kernel']
    for (let left = READ_TURN_BYTES; left > 0 && !this.closed && !this.isPaused; ) {
      const offered = this.offer()
      if (offered === 0) return this.wait()
      const got = this.shim.streamRead(this.port, AT, this.blocks.length)
      if (got <= 0) {
        if (got === -ERRNO.EAGAIN) return
        return this.end('gone')
      }
      counters.reads++
      counters['bytes-in'] += got
      copies.bytes += got
      copies.calls++
      this.take(got)
      if (got < offered) return
      left -= got
    }
    // The poll tells again that more is there.
  }

  /** Describes where the next bytes go. @returns how many have room */
  private offer(): number {
    const { blocks, runtime } = this
    while (blocks.length < READ_BLOCKS && runtime.arena.spares(SUPER_BLOCK_BYTES)) {
      const block = allocb(runtime.arena, SUPER_BLOCK_BYTES)
      if (block === null) break
      if (blocks.length === 0) this.fill = block.dblk.base
      blocks.push(block)
    }
    let room = 0
    for (let i = 0; i < blocks.length; i++) {
      const { base, lim } = blocks[i]!.dblk
      const from = i === 0 ? this.fill : base
      this.put(i, 0, from, lim - from)
      room += lim - from
    }
    return room
  }

  /** No block is left: what came stays in the socket, and stops its sender. */
  private wait(): void {
    this.starved = true
    this.poll()
    this.runtime.timers.arm(this.retry, after(this.runtime.clock.now(), RETRY))
  }

  private take(got: number): void {
    const { blocks } = this
    while (got > 0) {
      const block = blocks[0]!
      const { lim } = block.dblk
      const part = Math.min(got, lim - this.fill)
      const from = this.fill
      this.fill += part
      if (!this.reader.read(block, from, from + part)) {
        if (!this.closed) this.end('malformed')
        return
      }
      got -= part
      if (this.fill < lim) continue
      blocks.shift()
      freeb(block)
      if (blocks.length > 0) this.fill = blocks[0]!.dblk.base
    }
    // Nobody refers to it: from its beginning again, where its bytes are warm.
    if (blocks.length > 0 && blocks[0]!.dblk.ref === 1) this.fill = blocks[0]!.dblk.base
  }

  // ---- the end

  private end(why: ChannelEnd): void {
    if (this.closed) return
    this.release()
    this.user.down(why)
  }

  pause(on: boolean): void {
    if (this.closed || this.paused === on) return
    this.paused = on
    this.poll()
    if (!on) this.wake()
  }

  ref(on: boolean): void {
    if (!this.closed) this.shim.portRef(this.port, on ? 1 : 0)
  }

  close(): void {
    if (this.closed) return
    if (!this.blocked && this.queue.count > 0) this.writeAll()
    if (!this.closed) this.release()
  }

  private release(): void {
    this.closed = true
    this.runtime.timers.cancel(this.retry)
    this.shim.detach(this.port)
    this.queue.clear()
    this.reader.clear()
    for (const block of this.blocks) freeb(block)
    this.blocks.length = 0
    freeb(this.headers)
  }
}
