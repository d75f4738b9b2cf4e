/**
 * A connection as node:net has one below its Socket. Each event is told in a turn of the event loop of its own, in the
 * async context of whoever opened it, so that what a listener put off (`process.nextTick`, promises) is done before
 * the next event: programs rely on both. What nobody reads is not looked at, not even its end.
 */
import { AsyncResource } from 'node:async_hooks'
import { StackError } from '../base/errors.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { SocketHost } from './host.ts'
import { takeChunk } from './net-inbox.ts'
import { Outbox } from './net-outbox.ts'
import type { TcpConnection } from './tcp-endpoint.ts'

/** Whom a handle tells what happens to it. */
export interface HandleOwner {
  /** Bytes after which a chunk is large enough. */
  readonly chunkBytes: number
  /** @param error - why not, null if it is connected */
  connected(error: StackError | null): void
  /** @returns false to stop reading */
  data(data: Buffer): boolean
  /** Takes data from the connection in a way of its own. @returns false to stop reading, null for {@link data} */
  take(connection: TcpConnection): boolean | null
  ended(): void
  /** @param code - an errno name */
  readFailed(code: string): void
  /** After a message was refused: there is room. */
  room(): void
}

/** Told when all of a write was taken, or could not be: with an errno name. */
export type WriteDone = (code: string | null) => void

/** See {@link TcpHandle.write}. */
export const LATER = 'later'

/** How long to wait when no block of memory is left and nobody will say when there is. */
const NO_MEMORY_MS = 2

const stepOf = (handle: TcpHandle): void => handle.step()
const finishShutdown = (handle: TcpHandle): void => handle.finishShutdown()

export class TcpHandle extends AsyncResource {
  readonly connection: TcpConnection
  private readonly host: SocketHost
  private readonly runtime: Runtime
  private readonly outbox: Outbox
  private owner: HandleOwner | null
  private reading = false
  private connecting: boolean
  /** A turn was asked for. */
  private due = false
  // What the stack said and the owner has not heard.
  private connected = false
  private readable = false
  private writable = false
  private ended = false
  private over = false
  private error: StackError | null = null

  private writeDone: WriteDone | null = null
  private shutdownDone: (() => void) | null = null
  /** A message was refused, and its sender waits. */
  private wantsRoom = false
  private toldReset = false
  private wantsRef = true
  private holdsRef = false
  /** The last step served the writer: the reader is next. */
  private readFirst = true

  constructor(host: SocketHost, connection: TcpConnection, owner: HandleOwner, connecting: boolean) {
    super('TCPWRAP')
    this.host = host
    this.connection = connection
    this.runtime = connection.stream.runtime
    this.owner = owner
    this.connecting = connecting
    this.outbox = new Outbox(connection)
    connection.onReadable = () => {
      this.readable = true
      if (this.reading) this.wake()
    }
    connection.onWritable = () => {
      this.writable = true
      if (this.writeDone !== null || this.wantsRoom) this.wake()
    }
    connection.onEnd = () => {
      this.ended = true
      if (this.reading) this.wake()
    }
    connection.onClosed = (_reason, error) => {
      this.over = true
      this.error = error
      this.wake()
    }
    if (connecting)
      connection.onConnect = () => {
        this.connected = true
        this.wake()
      }
    this.hold()
  }

  get isReading(): boolean {
    return this.reading
  }

  /** Bytes of the write in hand that were not taken yet. */
  get waitingBytes(): number {
    return this.outbox.waitingBytes
  }

  get bytesRead(): number {
    return this.connection.bytesRead
  }

  /** With those of the write in hand. */
  get bytesWritten(): number {
    return this.connection.bytesWritten + this.outbox.waitingBytes
  }

  private wake(): void {
    if (this.due) return
    this.due = true
    this.runtime.scheduler.programEvents++
    setImmediate(stepOf, this)
  }

  /** One event. For the event loop only. */
  step(): void {
    this.due = false
    this.runtime.scheduler.programEvents--
    if (this.owner === null) return
    try {
      this.runInAsyncScope(this.next, this)
    } finally {
      if (this.owner !== null) {
        this.hold()
        if (this.isDue()) this.wake()
      }
    }
  }

  private isDue(): boolean {
    if (this.connecting) return this.connected || this.over
    if (this.reading && (this.readable || this.ended || this.over)) return true
    if (this.wantsRoom && this.writable) return true
    return this.writeDone !== null && (this.writable || this.over)
  }

  private next(): void {
    if (this.connecting) return this.nextOfOpening()
    const { writeDone, reading } = this
    const mayRead = reading && this.readable
    if (writeDone !== null && this.writable && !this.over && !(mayRead && this.readFirst)) {
      this.readFirst = true
      return this.writeOn(writeDone)
    }
    this.readFirst = false
    if (mayRead) return this.read()
    if (this.wantsRoom && this.writable && writeDone === null) return this.tellRoom()
    if (reading && this.ended) return this.end()
    if (this.over) this.fail()
  }

  private nextOfOpening(): void {
    if (!this.connected && !this.over) return
    this.connecting = false
    if (this.connected) this.owner!.connected(null)
    else this.owner!.connected(this.error)
  }

  private read(): void {
    const owner = this.owner!
    const { connection } = this
    const before = connection.bytesRead
    const filled = owner.take(connection)
    if (filled !== null) {
      if (connection.bytesRead === before) this.readable = false
      this.reading &&= filled
      return
    }
    const most = owner.chunkBytes
    const chunk = takeChunk(connection, most)
    if (chunk === null || chunk.length < most) this.readable = false
    if (chunk === null || chunk.length === 0) return
    if (!owner.data(chunk)) this.reading = false
  }

  private end(): void {
    this.reading = false
    this.owner!.ended()
  }

  /** It is over, and somebody waits for something of it. */
  private fail(): void {
    const { writeDone } = this
    if (this.reading) {
      this.reading = false
      if (this.error !== null) this.owner!.readFailed(this.errorCode())
      else this.owner!.ended()
    } else if (writeDone !== null) {
      this.writeDone = null
      this.outbox.clear()
      writeDone(this.errorCode())
    }
  }

  /** What a system call would answer: the error of the connection once, from then on EPIPE. */
  private errorCode(): string {
    const { error, toldReset } = this
    this.toldReset = true
    if (toldReset || error === null) return 'EPIPE'
    // Linux: a reset after the peer's data ended is a broken pipe.
    return this.ended && error.errnoName === 'ECONNRESET' ? 'EPIPE' : error.errnoName
  }

  // ---- reading

  readStart(): void {
    if (this.reading) return
    this.reading = true
    this.hold()
    if (this.isDue()) this.wake()
  }

  readStop(): void {
    this.reading = false
    this.hold()
  }

  /** There may be data that was not asked for before. */
  readAgain(): void {
    this.readable = true
    if (this.reading) this.wake()
  }

  // ---- writing

  /**
   * Takes a write; one at a time.
   * @param chunks - not to be changed before it is done
   * @returns null if it was all taken at once; {@link LATER} if `done` will be called; an errno name if it cannot be done
   */
  write(chunks: readonly Uint8Array[], bytes: number, done: WriteDone): string | null {
    if (this.over) return this.errorCode()
    this.outbox.put(chunks, bytes)
    const state = this.send()
    if (state === 'done') return null
    if (state === 'failed') return this.errorCode()
    this.writeDone = done
    this.hold()
    return LATER
  }

  private send(): 'done' | 'later' | 'failed' {
    this.writable = false
    try {
      const state = this.outbox.send()
      if (state === 'done') return 'done'
      if (state === 'no-memory') setTimeout(() => this.writeAgain(), NO_MEMORY_MS)
      return 'later'
    } catch (error) {
      // Known here before onClosed tells it, which waits for what is still to be read.
      if (error instanceof StackError) this.error ??= error
      this.outbox.clear()
      return 'failed'
    }
  }

  private writeAgain(): void {
    this.writable = true
    if (this.owner !== null && this.writeDone !== null) this.wake()
  }

  /** Whether a message may go past the writes: none of them waits. Otherwise {@link HandleOwner.room} is told when it may. */
  maySend(): boolean {
    if (this.writeDone === null) return true
    this.wantsRoom = true
    return false
  }

  /** The connection refused a message. */
  awaitRoom(): void {
    this.wantsRoom = true
    this.writable = false
  }

  private tellRoom(): void {
    this.wantsRoom = false
    this.owner!.room()
  }

  private writeOn(done: WriteDone): void {
    const state = this.send()
    if (state === 'later') return
    this.writeDone = null
    this.writable = true
    done(state === 'done' ? null : this.errorCode())
  }

  /** Ends this side's data. @returns false if there is nothing to end any more, and `done` is not called */
  shutdown(done: () => void): boolean {
    if (this.over) return false
    this.shutdownDone = done
    this.hold()
    this.shutdownNow()
    return true
  }

  private shutdownNow(): void {
    if (this.owner === null) return
    try {
      this.connection.shutdown()
    } catch {
      // No block is left to tell it.
      setTimeout(() => this.shutdownNow(), NO_MEMORY_MS)
      return
    }
    // libuv tells it before the event loop comes to immediates, but after ticks and promises.
    queueMicrotask(() => process.nextTick(finishShutdown, this))
  }

  /** For the event loop only. */
  finishShutdown(): void {
    const done = this.shutdownDone
    if (done === null) return
    this.shutdownDone = null
    this.hold()
    this.runInAsyncScope(done)
  }

  // ---- the end

  /**
   * @param reset - aborts instead of closing in order
   * @param closed - called in a turn of its own, after a write that was under way was given up
   */
  close(reset: boolean, closed: () => void): void {
    if (this.owner === null) return
    this.owner = null
    const { connection, writeDone, shutdownDone } = this
    this.shutdownDone = null
    this.outbox.clear()
    if (reset) connection.abort()
    else connection.close()
    this.letGo()
    if (writeDone !== null) setImmediate(() => this.runInAsyncScope(writeDone, undefined, 'ECANCELED'))
    if (shutdownDone !== null) setImmediate(() => this.runInAsyncScope(shutdownDone))
    // Behind the immediates that wait now, as what libuv closes.
    setImmediate(() => setImmediate(() => this.runInAsyncScope(closed)))
  }

  // ---- keeping the program running

  ref(): void {
    this.wantsRef = true
    this.hold()
  }

  unref(): void {
    this.wantsRef = false
    this.hold()
  }

  /** As a handle of libuv, it keeps the program running while it waits for something. */
  private hold(): void {
    const { keepalive } = this.host
    if (keepalive === undefined) return
    const waits = this.connecting || this.reading || this.writeDone !== null || this.shutdownDone !== null
    if (!this.wantsRef || !waits || this.owner === null) return this.letGo()
    if (this.holdsRef) return
    this.holdsRef = true
    keepalive.ref()
  }

  private letGo(): void {
    if (!this.holdsRef) return
    this.holdsRef = false
    this.host.keepalive?.unref()
  }
}
