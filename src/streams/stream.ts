/**
 * A stream as a program has it: opening, reading and writing, control requests, closing. What it consists of is in
 * {@link Plumbing}. @see streamio(7I), open(9E), getmsg(2), putmsg(2)
 */
import { StackError } from '../base/errors.ts'
import { makeIoctl } from './ioctl.ts'
import { freemsg } from './mblk/alloc.ts'
import type { Mblk } from './mblk/mblk.ts'
import { messageFrom } from './mblk/pullup.ts'
import { isHighPriority } from './mblk/types.ts'
import { type AnyDriver, isDriver } from './module.ts'
import { Plumbing, retire } from './plumbing.ts'
import { putnext } from './putnext.ts'
import { bcanputnext, canputnext, getq, putbq, qenable } from './queue.ts'
import type { Runtime } from './runtime.ts'
import { Callbacks, failIoctls, IOCTLS_MAX, NOBODY, type Program } from './stream-head.ts'

export interface OpenOptions {
  /** For people and for plumbing commands; the driver's, or what the driver says, by default. */
  readonly name?: string
  /** Passed to the driver's `open`. */
  readonly options?: unknown
}

/** What {@link Stream.poll} tells. */
export interface PollState {
  readonly readable: boolean
  readonly writable: boolean
  readonly error: StackError | null
  readonly hangup: boolean
}

export class Stream extends Plumbing {
  /**
   * Opens a driver and pushes what is registered for it.
   * @param driver - its name in the registry, or the declaration itself
   * @throws StackError what the driver, or a module pushed by autopush, throws; nothing stays open then
   */
  static open(runtime: Runtime, driver: string | AnyDriver, options: OpenOptions = {}): Stream {
    const info = typeof driver === 'string' ? runtime.registry.find(driver) : driver
    if (!isDriver(info))
      throw new StackError('ERR_PLUMBING', `${info.name} is a module, not a driver: push it on a stream`)
    const stream = new Stream(runtime, info, options.name ?? null, options.options)
    runtime.streams.add(stream)
    try {
      for (const spec of runtime.registry.autopush(info.name)) stream.push(spec.module, spec.options)
    } catch (error) {
      stream.close()
      throw error
    }
    return stream
  }

  /** Who is told what happens at the head, in place of the callbacks below: one object for all of it. */
  set program(program: Program) {
    this.head.program = program
    if (this.top.first !== null) qenable(this.top)
  }

  private get callbacks(): Callbacks {
    const { head } = this
    if (head.program instanceof Callbacks && head.program !== NOBODY) return head.program
    const callbacks = new Callbacks()
    head.program = callbacks
    return callbacks
  }

  set onReadable(callback: (() => void) | null) {
    this.callbacks.onReadable = callback
    if (callback !== null && this.top.first !== null) qenable(this.top)
  }

  set onWritable(callback: (() => void) | null) {
    this.callbacks.onWritable = callback
  }

  /** Called once, when the stream has failed or hung up. */
  set onDown(callback: (() => void) | null) {
    this.callbacks.onDown = callback
  }

  /** Takes M_CTL messages that reach the head; the callback consumes them. */
  set onControl(callback: ((mp: Mblk) => void) | null) {
    this.callbacks.onControl = callback
  }

  /** What a callback of the program threw goes here: it is no fault of the stream. */
  set onUncaught(callback: (error: unknown) => void) {
    this.callbacks.onUncaught = callback
  }

  /** Water marks of the head's read queue, in bytes. */
  setReadLimits(hiwat: number, lowat: number): void {
    this.top.hiwat = hiwat
    this.top.lowat = lowat
  }

  /**
   * Takes the next message as it came, without a copy: control part first if it begins with an M_PROTO or M_PCPROTO.
   * @returns an owned message, or null if none waits
   * @throws StackError the stream's error, once its messages are gone
   * @see getmsg(2)
   */
  getmsg(): Mblk | null {
    const mp = getq(this.top)
    // Whoever takes a fixed number may stop at the last message without asking for one more: the next must wake it.
    if (this.top.first === null) this.top.wantsReader = true
    if (mp === null && this.head.error !== null) throw this.head.error
    return mp
  }

  /** Puts back a message that `getmsg` returned, in front. @param mp - consumed */
  ungetmsg(mp: Mblk): void {
    putbq(this.top, mp)
  }

  /**
   * Sends a message down, without a copy.
   * @param mp - consumed if the answer is true; still the caller's if false: wait for `onWritable`
   * @throws StackError if the stream failed, hung up or is closed; `mp` is freed
   * @see putmsg(2)
   */
  putmsg(mp: Mblk): boolean {
    if (this.head.error !== null || this.head.hangup || this.closed || this.lowerInfo !== null) {
      freemsg(mp)
      throw this.downError()
    }
    if (!isHighPriority(mp) && !bcanputnext(this.top.other, mp.band)) return false
    putnext(this.top.other, mp)
    return true
  }

  /**
   * Copies bytes in and sends them as one M_DATA message.
   * @returns bytes taken: all, or 0 when the stream is full (wait for `onWritable`)
   * @throws StackError as {@link putmsg}; `ERR_NO_BUFFERS` when the arena is exhausted
   * @see write(2) on a stream
   */
  write(bytes: Uint8Array): number {
    if (!canputnext(this.top.other) && this.head.error === null && !this.closed) return 0
    const mp = messageFrom(this.runtime.arena, bytes, 0, bytes.length, 'edge')
    if (mp === null) throw new StackError('ERR_NO_BUFFERS', 'write: no block left')
    this.putmsg(mp)
    return bytes.length
  }

  /**
   * Sends a control request and waits for the answer of whoever knows it.
   * @param argument - a JSON value
   * @throws StackError what the answering module refused with; `ERR_IOCTL` if nobody knows the command
   * @see streamio(7I), I_STR
   */
  ioctl(command: string, argument?: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.closed || this.head.error !== null || this.lowerInfo !== null) throw this.downError()
      const pending = (this.head.pending ??= new Map())
      if (pending.size >= IOCTLS_MAX)
        throw new StackError('ERR_BUSY', `${IOCTLS_MAX} requests wait on stream ${this.name}`)
      const id = this.head.nextIoctl
      this.head.nextIoctl = (id + 1) >>> 0
      const mp = makeIoctl(this.runtime.arena, id, command, argument)
      pending.set(id, { command, resolve, reject })
      putnext(this.top.other, mp)
    })
  }

  /** @see poll(2) on a stream */
  poll(): PollState {
    return {
      readable: this.top.first !== null,
      writable: this.head.error === null && !this.head.hangup && !this.closed && canputnext(this.top.other),
      error: this.head.error,
      hangup: this.head.hangup,
    }
  }

  /**
   * Pops every module, closes the driver and frees what is queued. A linked stream must be unlinked first; what is
   * linked below this one is unlinked, and stays open. Closing twice is harmless.
   */
  close(): void {
    if (this.closed) return
    if (this.lowerInfo !== null)
      throw new StackError('ERR_BUSY', `stream ${this.name} is linked below a multiplexor: unlink it first`)
    if (this.links !== null) for (const id of [...this.links.keys()]) this.unlink(id)
    if (this.top.other.next !== this.bottom.other)
      for (const { queue } of this.instances()) this.remove(queue)
    this.closed = true
    try {
      this.bottom.info.close(this.bottom)
    } catch (error) {
      this.runtime.event('error', 'stream.close-fault', `${this.bottom.holderName}: ${String(error)}`)
    }
    retire(this.bottom)
    retire(this.top)
    if (this.head.pending !== null)
      failIoctls(this.head, new StackError('ERR_STREAM_CLOSED', `stream ${this.name} was closed`))
    this.runtime.streams.delete(this)
  }

  get isClosed(): boolean {
    return this.closed
  }
}
