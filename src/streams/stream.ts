/**
 * A stream: a head, modules, a driver. Opening, pushing and popping, linking below a multiplexor, and what happens
 * when a module breaks. @see streamio(7I), open(9E), I_PUSH, I_POP, I_LINK, I_UNLINK
 */
import { StackError } from '../base/errors.ts'
import { makeError } from './condition.ts'
import { makeIoctl } from './ioctl.ts'
import { freemsg } from './mblk/alloc.ts'
import type { Mblk } from './mblk/mblk.ts'
import { messageFrom } from './mblk/pullup.ts'
import type { AnyDriver, AnyModule, AnyQueue, DriverInfo, LowerInfo } from './module.ts'
import { isDriver } from './module.ts'
import { put, putnext } from './putnext.ts'
import {
  canputnext,
  dropDeferred,
  FLUSHALL,
  flushq,
  getq,
  makePair,
  putbq,
  type Queue,
  qenable,
} from './queue.ts'
import type { Runtime } from './runtime.ts'
import { failIoctls, type Head, headInfo, IOCTLS_MAX } from './stream-head.ts'

/** Modules on one stream. */
export const MODULES_MAX = 24
const NAME_SEPARATOR = '#'

export interface OpenOptions {
  /** For people and for plumbing commands; the driver's name by default. */
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

interface Link {
  readonly lower: Stream
  readonly queue: AnyQueue
}

export class Stream {
  readonly runtime: Runtime
  readonly name: string
  /** Read queue of the head (of the multiplexor's lower side, while linked). */
  readonly top: Queue<Head>
  /** Read queue of the driver. */
  readonly bottom: AnyQueue
  /** The multiplexor's lower side that took the head's place, if any. */
  private lowerInfo: LowerInfo<unknown> | null = null
  private readonly head: Head
  private readonly links = new Map<number, Link>()
  private nextLink = 1
  private closed = false

  private constructor(runtime: Runtime, driver: AnyDriver, open: OpenOptions) {
    this.runtime = runtime
    this.name = open.name ?? driver.name
    this.top = makePair<Head>(this, headInfo, headInfo.open(undefined as never))
    this.head = this.top.state
    this.bottom = makePair<unknown>(this, driver, undefined)
    this.join(this.bottom, this.top)
    this.setState(this.bottom, driver.open(this.bottom, open.options))
  }

  /**
   * Opens a driver and pushes what is registered for it.
   * @param driver - its name in the registry, or the declaration itself
   * @throws StackError what the driver, or a module pushed by autopush, throws; nothing stays open then
   */
  static open(runtime: Runtime, driver: string | AnyDriver, options: OpenOptions = {}): Stream {
    const info = typeof driver === 'string' ? runtime.registry.find(driver) : driver
    if (!isDriver(info))
      throw new StackError('ERR_PLUMBING', `${info.name} is a module, not a driver: push it on a stream`)
    const stream = new Stream(runtime, info, options)
    runtime.streams.add(stream)
    try {
      for (const spec of runtime.registry.autopush(info.name)) stream.push(spec.module, spec.options)
    } catch (error) {
      stream.close()
      throw error
    }
    return stream
  }

  // ---- plumbing

  /** Names of the modules, from the top down, without head and driver; equal ones are told apart by `#2`, `#3`. */
  get modules(): string[] {
    return this.instances().map(({ label }) => label)
  }

  /** All instances between head and driver, from the top down, with their read queues. */
  instances(): { readonly label: string; readonly queue: AnyQueue }[] {
    const found: { label: string; queue: AnyQueue }[] = []
    for (let q = this.top.other.next; q !== null && q !== this.bottom.other; q = q.next) {
      const name = q.info.name
      const same = found.filter(({ queue }) => queue.info.name === name).length
      found.push({ label: same === 0 ? name : `${name}${NAME_SEPARATOR}${same + 1}`, queue: q.other })
    }
    return found
  }

  /** The read queue of an instance by its label, `head` and the driver's name included. @throws StackError `ERR_NOT_FOUND` */
  find(label: string): AnyQueue {
    if (label === this.top.info.name) return this.top
    if (label === this.bottom.info.name) return this.bottom
    const found = this.instances().find(instance => instance.label === label)
    if (found !== undefined) return found.queue
    const hint = `on ${this.name}: ${[...this.modules, this.bottom.info.name].join(', ')}`
    throw new StackError('ERR_NOT_FOUND', `no module "${label}" on stream ${this.name}`, { hint })
  }

  /** Puts a module right below the head. @see I_PUSH of streamio(7I) */
  push(module: string | AnyModule, options?: unknown): void {
    this.insert(module, options, this.top)
  }

  /**
   * Puts a module right below `above`; messages go on flowing.
   * @throws StackError what the module's `open` throws; the stream is unchanged then
   */
  insert(module: string | AnyModule, options: unknown, above: AnyQueue): void {
    this.mustBeOpen()
    const info = typeof module === 'string' ? this.runtime.registry.find(module) : module
    if (isDriver(info))
      throw new StackError('ERR_PLUMBING', `${info.name} is a driver, not a module: open it`)
    if (this.instances().length >= MODULES_MAX) {
      throw new StackError(
        'ERR_PLUMBING',
        `stream ${this.name} has ${MODULES_MAX} modules, which is the limit`,
      )
    }
    const read = makePair<unknown>(this, info, undefined)
    // The new pair leads somewhere before it is led to, so that `open` may send (qprocson of the manual).
    read.next = above
    read.other.next = above.other.next
    this.setState(read, info.open(read, options))
    const below = above.other.next!.other
    this.join(below, read)
    this.join(read, above)
    this.plumbingChanged()
  }

  /** Takes the topmost module off. @see I_POP of streamio(7I) @throws StackError `ERR_PLUMBING` if there is none */
  pop(): void {
    const topmost = this.instances()[0]
    if (topmost === undefined)
      throw new StackError('ERR_PLUMBING', `stream ${this.name} has no module to pop`)
    this.remove(topmost.queue)
  }

  /**
   * Takes a module off wherever it is. What its service procedures can still send goes on; what remains on its
   * queues is freed and counted.
   */
  remove(q: AnyQueue): void {
    if (q === this.top || q === this.bottom)
      throw new StackError('ERR_PLUMBING', `${q.info.name} is an end of the stream: it cannot be popped`)
    const read = q.isRead ? q : q.other
    this.drain(read)
    this.drain(read.other)
    this.detach(read, () => read.info.close(read))
    this.plumbingChanged()
  }

  private drain(q: AnyQueue): void {
    if (q.service === null || q.first === null) return
    try {
      q.service(q)
    } catch (error) {
      this.runtime.event('error', 'stream.module-fault', `${q.holderName} while popped: ${String(error)}`)
    }
  }

  private detach(read: AnyQueue, close: () => void): void {
    const below = read.other.next!.other
    this.join(below, read.next!)
    for (const q of [read, read.other]) q.removed = true
    try {
      close()
    } catch (error) {
      this.runtime.event('error', 'stream.close-fault', `${read.holderName}: ${String(error)}`)
    }
    for (const q of [read, read.other]) {
      for (let mp = q.first; mp !== null; mp = mp.next) this.runtime.counters['messages-flushed-by-pop']++
      flushq(q, FLUSHALL)
      // A queue that waited for the one that went has to look again.
      if (q.back !== null) qenable(q.back)
    }
  }

  /** Joins two instances, given by their read queues, and works flow control's short cuts out again. */
  private join(below: AnyQueue, above: AnyQueue): void {
    below.next = above
    above.other.next = below.other
    this.shortCuts()
  }

  private shortCuts(): void {
    for (const start of [this.bottom, this.top.other]) {
      let back: AnyQueue | null = null
      const passed: AnyQueue[] = []
      for (let q: AnyQueue | null = start; q !== null; q = q.next) {
        q.back = back
        passed.push(q)
        if (q.service === null && q.next !== null) continue
        for (const each of passed) each.forward = q
        passed.length = 0
        if (q.service !== null) back = q
      }
    }
  }

  private setState(read: AnyQueue, state: unknown): void {
    read.state = state
    read.other.state = state
  }

  private plumbingChanged(): void {
    this.lowerInfo?.changed?.(this.top as AnyQueue)
  }

  /**
   * A procedure of a module on this stream threw: the module is taken off and the head hears of it. A driver, a
   * head or a multiplexor's lower side cannot be taken off: the head hears of it, that is all.
   */
  moduleFault(q: AnyQueue, error: unknown): void {
    const text = `module ${q.info.name} failed: ${error instanceof Error ? error.message : String(error)}`
    this.runtime.counters['module-faults']++
    this.runtime.event(
      'error',
      'stream.module-fault',
      `${q.holderName}: ${error instanceof Error ? (error.stack ?? text) : text}`,
    )
    if (q.removed || this.closed) return
    const isEnd = q === this.top || q === this.top.other || q === this.bottom || q === this.bottom.other
    const read = q.isRead ? q : q.other
    const above = isEnd ? this.top : read.next!
    if (!isEnd) {
      this.detach(read, () => read.info.close(read))
      this.plumbingChanged()
    }
    const mp = makeError(this.runtime.arena, 'ERR_MODULE_FAULT', text)
    if (mp !== null) put(above, mp)
  }

  // ---- multiplexors

  /**
   * Links a stream below this one's multiplexor. The lower stream's head gives way to the multiplexor's lower side
   * until `unlink`.
   * @returns the number to unlink with
   * @see I_LINK of streamio(7I)
   */
  link(lower: Stream, options?: unknown): number {
    this.mustBeOpen()
    lower.mustBeOpen()
    const info = (this.bottom.info as DriverInfo).lower
    if (info === undefined)
      throw new StackError(
        'ERR_PLUMBING',
        `${this.bottom.info.name} is no multiplexor: nothing can be linked below it`,
      )
    if (lower === this) throw new StackError('ERR_PLUMBING', 'a stream cannot be linked below itself')
    const q = lower.top as AnyQueue
    lower.become(info)
    try {
      lower.setState(q, info.link(this.bottom, q, options))
    } catch (error) {
      lower.become(null)
      throw error
    }
    const id = this.nextLink++
    this.links.set(id, { lower, queue: q })
    info.changed?.(q)
    // Messages that waited at the head belong to the multiplexor now.
    for (let mp = getq(q); mp !== null; mp = getq(q)) put(q, mp)
    return id
  }

  /** @see I_UNLINK of streamio(7I) @throws StackError `ERR_NOT_FOUND` */
  unlink(id: number): void {
    const link = this.links.get(id)
    if (link === undefined) throw new StackError('ERR_NOT_FOUND', `stream ${this.name} has no link ${id}`)
    this.links.delete(id)
    const info = link.lower.lowerInfo
    try {
      info?.unlink(link.queue)
    } finally {
      link.lower.become(null)
    }
  }

  /** The streams linked below, by number. */
  get linked(): ReadonlyMap<number, Stream> {
    return new Map([...this.links].map(([id, link]) => [id, link.lower]))
  }

  /** Gives the head's queue pair the procedures of a multiplexor's lower side, or its own back. */
  private become(info: LowerInfo<unknown> | null): void {
    const q = this.top as AnyQueue
    if (info === null) {
      flushq(q, FLUSHALL)
      flushq(q.other, FLUSHALL)
    }
    this.lowerInfo = info
    const side = info ?? headInfo
    for (const each of [q, q.other]) {
      const { put, service } = each.isRead ? side.read : side.write
      each.put = put as AnyQueue['put']
      each.service = (service as AnyQueue['service']) ?? null
      each.zero.hiwat = side.hiwat
      each.zero.lowat = side.lowat
    }
    if (info === null) this.setState(q, this.head)
    this.shortCuts()
  }

  // ---- the program's calls

  set onReadable(callback: (() => void) | null) {
    this.head.onReadable = callback
    if (callback !== null && this.top.first !== null) qenable(this.top)
  }

  set onWritable(callback: (() => void) | null) {
    this.head.onWritable = callback
  }

  /** Called once, when the stream has failed or hung up. */
  set onDown(callback: (() => void) | null) {
    this.head.onDown = callback
  }

  /** Takes M_CTL messages that reach the head; the callback consumes them. */
  set onControl(callback: ((mp: Mblk) => void) | null) {
    this.head.onControl = callback
  }

  set onUncaught(callback: (error: unknown) => void) {
    this.head.onUncaught = callback
  }

  /** Water marks of the head's read queue, in bytes. */
  setReadLimits(hiwat: number, lowat: number): void {
    this.top.zero.hiwat = hiwat
    this.top.zero.lowat = lowat
  }

  /**
   * Takes the next message as it came, without a copy: control part first if it begins with an M_PROTO or M_PCPROTO.
   * @returns an owned message, or null if none waits
   * @throws StackError the stream's error, once its messages are gone
   * @see getmsg(2)
   */
  getmsg(): Mblk | null {
    const mp = getq(this.top)
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
    if (mp.type < 0x80 && !canputnext(this.top.other)) return false
    putnext(this.top.other, mp)
    return true
  }

  private downError(): StackError {
    if (this.head.error !== null) return this.head.error
    if (this.closed) return new StackError('ERR_STREAM_CLOSED', `stream ${this.name} is closed`)
    if (this.lowerInfo !== null)
      return new StackError('ERR_PLUMBING', `stream ${this.name} is linked below a multiplexor`)
    return new StackError('ERR_HANGUP', `stream ${this.name} hung up`)
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
      if (this.head.pending.size >= IOCTLS_MAX)
        throw new StackError('ERR_BUSY', `${IOCTLS_MAX} requests wait on stream ${this.name}`)
      const id = this.head.nextIoctl
      this.head.nextIoctl = (id + 1) >>> 0
      const mp = makeIoctl(this.runtime.arena, id, command, argument)
      this.head.pending.set(id, { command, resolve, reject })
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
    for (const id of [...this.links.keys()]) this.unlink(id)
    for (const { queue } of this.instances()) this.remove(queue)
    this.closed = true
    try {
      this.bottom.info.close(this.bottom)
    } catch (error) {
      this.runtime.event('error', 'stream.close-fault', `${this.bottom.holderName}: ${String(error)}`)
    }
    for (const q of [this.bottom, this.bottom.other, this.top, this.top.other]) {
      q.removed = true
      flushq(q, FLUSHALL)
      dropDeferred(q)
    }
    failIoctls(this.head, new StackError('ERR_STREAM_CLOSED', `stream ${this.name} was closed`))
    this.runtime.streams.delete(this)
  }

  get isClosed(): boolean {
    return this.closed
  }

  private mustBeOpen(): void {
    if (this.closed) throw this.downError()
  }
}
