/** A client's end of the port: which stream a frame is for, numbers for new ones, what waits for memory or room. */
import { StackError } from '../base/errors.ts'
import { after, milliseconds } from '../base/time.ts'
import type { CloseReason } from '../inet/tcp/host.ts'
import { CONNECTION_SETTINGS, type ConnectionSettings } from '../inet/tcp/settings.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { AnyQueue } from '../streams/module.ts'
import { qenable } from '../streams/queue.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { Timer } from '../streams/timers.ts'
import type { Channel, ChannelEnd, ChannelUser } from './channel.ts'
import { CreditBudget } from './credit.ts'
import type { MappedText } from './mapped-node.ts'
import { type ErrorText, errorFrom, REFUSED, takeText, textMessage, WELCOME } from './protocol.ts'
import { ANY_MEMORY, Cutter, type SendMemory } from './send-data.ts'

/** A stream that has its other part in the node. */
export interface RemoteStream {
  /** @param mp - consumed */
  frame(kind: number, detail: number, mp: Mblk | null): void
  /** The channel has room again. */
  drained(): void
  over(reason: CloseReason, error: StackError | null): void
}

/** What a node says of itself to a client that it takes. */
export interface Welcome {
  readonly version: number
  readonly name: string
  readonly nodeVersion: string
  readonly pid: number
  readonly settings: ConnectionSettings
  /** Of the memory, for a mapped client. */
  readonly mapped: MappedText | null
}

const RETRY = milliseconds(10)

export class ClientPort implements ChannelUser {
  readonly runtime: Runtime
  channel: Channel | null = null
  /** What connections begin with. */
  settings: ConnectionSettings = CONNECTION_SETTINGS
  /** Told of the node's answer, and of the end. */
  onAnswer: ((answer: Welcome | StackError) => void) | null = null
  onDown: ((error: StackError) => void) | null = null
  private readonly streams = new Map<number, RemoteStream>()
  private readonly waiting = new Set<RemoteStream>()
  private readonly starved = new Set<AnyQueue>()
  /** Streams whose data waits for blocks. */
  private readonly blockless = new Set<RemoteStream>()
  private readonly retry: Timer
  private nextId = 1
  private error: StackError | null = null

  readonly memory: SendMemory
  readonly cutter: Cutter
  readonly credits: CreditBudget

  /** @param creditBytes - what all connections may have under way beyond their first credit */
  constructor(runtime: Runtime, q: AnyQueue, creditBytes: number, memory: SendMemory = ANY_MEMORY) {
    this.runtime = runtime
    this.credits = new CreditBudget(creditBytes)
    this.memory = memory
    this.cutter = new Cutter(memory)
    this.retry = runtime.timer(q, () => this.feed())
  }

  // ---- streams

  /** A number for a stream that this side opens. @throws StackError if the port is gone */
  number(): number {
    if (this.error !== null) throw this.error
    const id = this.nextId
    this.nextId += 2
    return id
  }

  add(id: number, stream: RemoteStream): void {
    this.streams.set(id, stream)
  }

  forget(id: number): void {
    const stream = this.streams.get(id)
    if (stream === undefined) return
    this.waiting.delete(stream)
    this.blockless.delete(stream)
    this.streams.delete(id)
  }

  /** Streams that have something left in the node. */
  get isBusy(): boolean {
    return this.streams.size > 0
  }

  // ---- sending

  /** @param mp - consumed */
  send(stream: number, kind: number, detail: number, mp: Mblk | null): void {
    if (this.channel !== null) this.channel.send(stream, kind, detail, mp)
    else if (mp !== null) freemsg(mp)
  }

  /** @throws StackError `ERR_NO_BUFFERS` */
  sendText(stream: number, kind: number, detail: number, value: unknown): void {
    const mp = textMessage(this.runtime.arena, value)
    if (mp === null) throw new StackError('ERR_NO_BUFFERS', 'the port has no block left')
    this.send(stream, kind, detail, mp)
  }

  /** Whether data should wait; the stream hears when it need not. */
  isFull(stream: RemoteStream): boolean {
    if (this.channel?.isFull !== true) return false
    this.waiting.add(stream)
    return true
  }

  // ---- what the channel tells

  frame(id: number, kind: number, detail: number, mp: Mblk | null): boolean {
    if (id !== 0) {
      const stream = this.streams.get(id)
      // It was closed here while the node sent something.
      if (stream === undefined) {
        if (mp !== null) freemsg(mp)
      } else stream.frame(kind, detail, mp)
      return true
    }
    const text = takeText(mp)
    if (kind === WELCOME) {
      this.settings = (text as Welcome).settings
      this.onAnswer?.(text as Welcome)
    } else if (kind === REFUSED) this.onAnswer?.(errorFrom(text as ErrorText))
    return kind === WELCOME || kind === REFUSED
  }

  drained(): void {
    const list = [...this.waiting]
    this.waiting.clear()
    for (const stream of list) stream.drained()
  }

  down(end: ChannelEnd): void {
    const text = end === 'gone' ? 'the node ended, or broke the port off' : `the port broke off: ${end}`
    this.end(new StackError('ERR_CONN_RESET', text))
  }

  /** No frame goes or comes any more: all streams are over. */
  end(error: StackError): void {
    if (this.error !== null) return
    this.error = error
    this.channel = null
    for (const stream of [...this.streams.values()]) stream.over('aborted', error)
    this.streams.clear()
    this.onAnswer?.(error)
    this.onDown?.(error)
  }

  // ---- memory

  /** Enables a queue again when there may be blocks. */
  retryLater(q: AnyQueue): void {
    this.starved.add(q)
    this.retrySoon()
  }

  /** Tells a stream, as of room, when there may be blocks to copy its data to. */
  waitForBlocks(stream: RemoteStream): void {
    this.blockless.add(stream)
    this.retrySoon()
  }

  isStarved(stream: RemoteStream): boolean {
    return this.blockless.has(stream)
  }

  count(what: 'no-views' | 'no-buffers'): void {
    if (this.channel !== null) this.channel.counters[what]++
  }

  private retrySoon(): void {
    const { timers, clock } = this.runtime
    if (!this.retry.armed) timers.arm(this.retry, after(clock.now(), RETRY))
  }

  /** There are blocks. */
  feed(): void {
    if (this.starved.size > 0) {
      const list = [...this.starved]
      this.starved.clear()
      for (const q of list) qenable(q)
    }
    if (this.blockless.size === 0) return
    const list = [...this.blockless]
    this.blockless.clear()
    for (const stream of list) stream.drained()
  }

  stop(): void {
    this.runtime.timers.cancel(this.retry)
    this.starved.clear()
    this.blockless.clear()
  }
}
