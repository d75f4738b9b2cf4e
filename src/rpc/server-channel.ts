/**
 * One channel of a server: reads calls as long as their answers are taken, and keeps the answers that are not taken yet
 * (checklist 43: a slow reader of replies cannot pin memory).
 */
import { StackError } from '../base/errors.ts'
import { after, milliseconds } from '../base/time.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { Timer } from '../streams/timers.ts'
import { type RpcChannel, takeEnvelope } from './channel.ts'
import { RECORD_FAULT_CODE } from './rpcmod.ts'
import { LastCredentials } from './server-auth.ts'
import type { ServerCall, ServerQueue } from './server-call.ts'
import type { ServerCounter, ServerSettings } from './server-settings.ts'
import type { Lane } from './service-queue.ts'

/** What a channel needs of its server. */
export interface ChannelOwner {
  readonly settings: ServerSettings
  readonly counters: Record<ServerCounter, number>
  /** A message came. @param mp - consumed */
  take(from: ServerChannel, mp: Mblk): void
  /** Its first message came. */
  spoke(channel: ServerChannel): void
  /** It can be used no more. */
  gone(channel: ServerChannel): void
  /** An answer waits, and memory is short. */
  isShort(): void
  /** Calls of it that waited for its answers to be taken may be begun again. */
  released(channel: ServerChannel): void
}

export class ServerChannel {
  readonly channel: RpcChannel
  readonly isStream: boolean
  readonly credentials = new LastCredentials()
  /** Its answers are not taken: no more is read. */
  isHeld = false
  /** A message came of it. */
  hasSpoken = false
  /** It is gone. */
  isOver = false
  /** No more is read, since the server stops. */
  isStopping = false
  /** Calls that wait or run. */
  calls = 0
  /** Those that a promise is awaited for. */
  firstRunning: ServerCall | null = null
  private readonly owner: ChannelOwner
  private readonly lanes: (readonly [queue: ServerQueue, lane: Lane<ServerCall>])[] = []
  private lastQueue: ServerQueue | null = null
  private lastLane: Lane<ServerCall> | null = null
  /** Replies that were not taken yet, linked by `next`; behind their envelopes on a channel of datagrams. */
  private firstReply: Mblk | null = null
  private lastReply: Mblk | null = null
  private waitingReplies = 0
  /** Bytes of the answers that wait. */
  waitingBytes = 0
  /** Since when, at the longest, its oldest answer waits: microseconds, while one does. When what waited then is gone, it is now. */
  lateSince = 0
  private lateBytes = 0
  private readonly stall: Timer
  private readonly readMore = (): void => this.read()

  constructor(channel: RpcChannel, owner: ChannelOwner) {
    this.channel = channel
    this.isStream = channel.isStream
    this.owner = owner
    this.stall = new Timer(() => this.stalled())
    channel.onWritable = () => this.drain()
    channel.onTrouble = () => {
      owner.counters.trouble++
    }
    // Whether its peer ended in order or not: nobody waits for answers there any more.
    channel.onClosed = error => {
      if (error?.code === RECORD_FAULT_CODE) owner.counters['record-faults']++
      channel.close()
      this.end()
    }
    channel.onReadable = this.readMore
  }

  /** Its lane in a queue. */
  laneOf(queue: ServerQueue): Lane<ServerCall> {
    if (queue === this.lastQueue) return this.lastLane!
    let lane = this.lanes.find(one => one[0] === queue)?.[1]
    if (lane === undefined) {
      lane = queue.lane(this.isStream)
      lane.isHeld = this.isHeld
      this.lanes.push([queue, lane])
    }
    this.lastQueue = queue
    this.lastLane = lane
    return lane
  }

  /** All that it ever had a call in. */
  get queues(): readonly (readonly [queue: ServerQueue, lane: Lane<ServerCall>])[] {
    return this.lanes
  }

  /** Answers that wait to be taken. */
  get unsent(): number {
    return this.waitingReplies
  }

  // ---- reading

  private read(): void {
    const { channel, owner } = this
    for (let left = owner.settings.callsPerTurn; left > 0; left--) {
      if (this.isHeld || this.isOver || this.isStopping) return
      const mp = channel.receive()
      if (mp === null) return
      if (!this.hasSpoken) {
        this.hasSpoken = true
        owner.spoke(this)
      }
      owner.take(this, mp)
    }
    // Others have their turn first: to be set again is to be called again, by the run queue.
    if (!this.isOver) channel.onReadable = this.readMore
  }

  // ---- answering

  /**
   * Sends an answer, or keeps it until the channel takes it.
   * @param envelope - consumed; of the message that is answered, null on a stream
   * @param mp - consumed
   */
  reply(envelope: Mblk | null, mp: Mblk): void {
    const { counters } = this.owner
    if (this.isOver) {
      counters['connection-gone']++
      freemsg(mp)
      if (envelope !== null) freemsg(envelope)
      return
    }
    counters.replies++
    if (this.firstReply === null && this.offer(envelope, mp)) return
    if (!this.isOver) this.keep(envelope, mp)
  }

  /** @returns whether both are gone */
  private offer(envelope: Mblk | null, mp: Mblk): boolean {
    try {
      return this.channel.reply(envelope, mp)
    } catch (error) {
      if (!(error instanceof StackError)) throw error
      if (this.isStream) {
        // It tells of its end behind the calls that nobody will read: it has to be closed here.
        this.owner.counters['connection-gone']++
        this.abort()
      } else this.owner.counters.trouble++
      return true
    }
  }

  private keep(envelope: Mblk | null, mp: Mblk): void {
    const { settings } = this.owner
    const entry = envelope ?? mp
    if (envelope !== null) envelope.cont = mp
    entry.next = null
    if (this.lastReply === null) this.firstReply = entry
    else this.lastReply.next = entry
    this.lastReply = entry
    this.waitingBytes += messageBytes(entry)
    if (++this.waitingReplies === 1) {
      this.watch()
      this.waitsFromNow()
    }
    const { maxWaitingReplies, maxWaitingReplyBytes } = settings
    if (this.waitingReplies >= maxWaitingReplies || this.waitingBytes >= maxWaitingReplyBytes) this.hold()
    if (this.channel.runtime.arena.isLow) this.owner.isShort()
  }

  private waitsFromNow(): void {
    this.lateSince = this.channel.runtime.clock.now()
    this.lateBytes = this.waitingBytes
  }

  private drain(): void {
    let isProgress = false
    while (this.firstReply !== null) {
      const entry = this.firstReply
      const bytes = messageBytes(entry)
      this.firstReply = entry.next
      if (this.firstReply === null) this.lastReply = null
      entry.next = null
      const mp = this.isStream ? entry : takeEnvelope(entry)!
      if (!this.offer(this.isStream ? null : entry, mp)) {
        if (!this.isStream) entry.cont = mp
        entry.next = this.firstReply
        this.firstReply = entry
        this.lastReply ??= entry
        break
      }
      // The channel may have ended on it, and everything with it.
      if (this.isOver) return
      isProgress = true
      this.waitingReplies--
      this.waitingBytes -= bytes
      this.lateBytes -= bytes
      if (this.lateBytes <= 0) this.waitsFromNow()
    }
    if (isProgress) this.watch()
    if (this.isHeld) this.mayRelease()
    this.endIfDone()
  }

  // ---- the bound

  private hold(): void {
    if (this.isHeld) return
    this.isHeld = true
    this.owner.counters['reading-held']++
    for (const [queue, lane] of this.lanes) queue.hold(lane, true)
  }

  private mayRelease(): void {
    const { maxWaitingReplies, maxWaitingReplyBytes } = this.owner.settings
    if (this.waitingReplies > maxWaitingReplies / 2 || this.waitingBytes > maxWaitingReplyBytes / 2) return
    this.isHeld = false
    for (const [queue, lane] of this.lanes) queue.hold(lane, false)
    this.owner.released(this)
    if (!this.isOver && !this.isStopping) this.channel.onReadable = this.readMore
  }

  /** A datagram that nobody takes is the device's matter; a connection that takes nothing is its peer's. */
  private watch(): void {
    if (!this.isStream) return
    const { timers, clock } = this.channel.runtime
    if (this.waitingReplies === 0) timers.cancel(this.stall)
    else timers.arm(this.stall, after(clock.now(), milliseconds(this.owner.settings.stallMs)))
  }

  private stalled(): void {
    this.owner.counters['connections-stalled']++
    this.abort()
  }

  // ---- running

  /** A promise is awaited for a call of it. */
  awaits(call: ServerCall): void {
    call.prevRunning = null
    call.nextRunning = this.firstRunning
    if (this.firstRunning !== null) this.firstRunning.prevRunning = call
    this.firstRunning = call
  }

  settled(call: ServerCall): void {
    const { prevRunning, nextRunning } = call
    if (prevRunning === null) this.firstRunning = nextRunning
    else prevRunning.nextRunning = nextRunning
    if (nextRunning !== null) nextRunning.prevRunning = prevRunning
    call.prevRunning = null
    call.nextRunning = null
  }

  // ---- the end

  /** No more calls are read; it ends when those that are here are answered. */
  stop(): void {
    this.isStopping = true
    this.endIfDone()
  }

  /** Ends if it is to and nothing is left to be answered. */
  endIfDone(): void {
    if (this.isStopping && this.calls === 0 && this.waitingReplies === 0) this.close()
  }

  /** Sends what was taken, then ends. */
  close(): void {
    if (this.isOver) return
    this.channel.close()
    this.end()
  }

  abort(): void {
    if (this.isOver) return
    this.channel.abort()
    this.end()
  }

  private end(): void {
    if (this.isOver) return
    this.isOver = true
    this.channel.runtime.timers.cancel(this.stall)
    for (let entry = this.firstReply; entry !== null; ) {
      const { next } = entry
      entry.next = null
      freemsg(entry)
      this.owner.counters['connection-gone']++
      entry = next
    }
    this.firstReply = null
    this.lastReply = null
    this.waitingReplies = 0
    this.waitingBytes = 0
    this.owner.gone(this)
  }
}
