/**
 * What a stream consists of and how that changes while messages flow: push, pop, insert, remove, link, unlink, and
 * the removal of a module that broke. {@link Stream} adds the program's calls. @see I_PUSH, I_POP, I_LINK of streamio(7I)
 */
import { StackError } from '../base/errors.ts'
import { makeError } from './condition.ts'
import type { AnyDriver, AnyModule, AnyQueue, DriverInfo, LowerInfo } from './module.ts'
import { isDriver } from './module.ts'
import { put } from './putnext.ts'
import { dropDeferred, FLUSHALL, flushq, getq, makePair, type Queue, qenable } from './queue.ts'
import type { Runtime } from './runtime.ts'
import type { Stream } from './stream.ts'
import { type Head, headInfo } from './stream-head.ts'

/** Modules on one stream. */
export const MODULES_MAX = 24
const NAME_SEPARATOR = '#'
const TAKEN_OFF =
  'threw and was taken off; what it had in hand is lost, and a TCP connection that it stood on is reset'

const NO_LINKS: ReadonlyMap<number, Stream> = new Map()

interface Link {
  readonly lower: Plumbing
  readonly queue: AnyQueue
}

/** Head, modules and driver of one stream. */
export abstract class Plumbing {
  readonly runtime: Runtime
  private readonly givenName: string | null
  /** Read queue of the head (of the multiplexor's lower side, while linked). */
  readonly top: Queue<Head>
  /** Read queue of the driver. */
  readonly bottom: AnyQueue
  /** The multiplexor's lower side that took the head's place, if any. */
  protected lowerInfo: LowerInfo<unknown> | null = null
  protected readonly head: Head
  /** What is linked below, by number; null until something is. */
  protected links: Map<number, Link> | null = null
  private nextLink = 1
  protected closed = false

  protected constructor(runtime: Runtime, driver: AnyDriver, name: string | null, options: unknown) {
    this.runtime = runtime
    this.givenName = name
    this.top = makePair<Head>(this.self, headInfo, headInfo.open(undefined as never))
    this.head = this.top.state
    this.bottom = makePair<unknown>(this.self, driver, undefined)
    this.join(this.bottom, this.top)
    try {
      setState(this.bottom, driver.open(this.bottom, options))
    } catch (error) {
      this.closed = true
      retire(this.bottom)
      retire(this.top)
      throw error
    }
  }

  /** The queues know a whole {@link Stream}, the only class that extends this one. */
  private get self(): Stream {
    return this as unknown as Stream
  }

  /** For people and for plumbing commands. */
  get name(): string {
    if (this.givenName !== null) return this.givenName
    const { info, state } = this.bottom
    const { streamName } = info as AnyDriver
    return streamName === undefined || state === undefined ? info.name : streamName.call(info, state)
  }

  /** Whether it was opened with a name of its own, as links and services are, and not one of many that come and go. */
  get isNamed(): boolean {
    return this.givenName !== null
  }

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
   * Puts a module right below `above`, a read queue of this stream; messages go on flowing.
   * @throws StackError what the module's `open` throws; the stream is unchanged then
   */
  insert(module: string | AnyModule, options: unknown, above: AnyQueue): void {
    this.mustBeOpen()
    const info = typeof module === 'string' ? this.runtime.registry.find(module) : module
    if (isDriver(info))
      throw new StackError('ERR_PLUMBING', `${info.name} is a driver, not a module: open it`)
    if (above.stream !== this.self || above.removed || !above.isRead || above === this.bottom)
      throw new StackError('ERR_PLUMBING', `there is no room below ${above.holderName} on ${this.name}`)
    if (this.instances().length >= MODULES_MAX) {
      throw new StackError(
        'ERR_PLUMBING',
        `stream ${this.name} has ${MODULES_MAX} modules, which is the limit`,
      )
    }
    const read = makePair<unknown>(this.self, info, undefined)
    // The new pair leads somewhere before it is led to, so that `open` may send (qprocson of the manual).
    read.next = above
    read.other.next = above.other.next
    try {
      setState(read, info.open(read, options))
    } catch (error) {
      retire(read)
      throw error
    }
    const below = above.other.next!.other
    this.join(below, read)
    this.join(read, above)
    // Who was told that a queue beyond the new module is full is now back-enabled by the new module, which knows
    // nothing of it: it has to look again.
    for (const q of [read, read.other]) if (q.back !== null) qenable(q.back)
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
   * queues is freed and counted. A module that is off already is left alone.
   */
  remove(q: AnyQueue): void {
    const read = q.isRead ? q : q.other
    if (read === this.top || read === this.bottom)
      throw new StackError('ERR_PLUMBING', `${q.info.name} is an end of the stream: it cannot be popped`)
    this.drain(read)
    this.drain(read.other)
    if (read.removed) return
    this.detach(read)
    this.plumbingChanged()
  }

  private drain(q: AnyQueue): void {
    if (q.service === null || q.first === null || q.removed) return
    try {
      q.service(q)
    } catch (error) {
      this.runtime.event('error', 'stream.module-fault', `${q.holderName} while popped: ${String(error)}`)
    }
  }

  private detach(read: AnyQueue): void {
    const below = read.other.next!.other
    this.join(below, read.next!)
    for (const q of [read, read.other]) q.removed = true
    try {
      read.info.close(read)
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
    shortCutsFrom(this.bottom)
    shortCutsFrom(this.top.other)
  }

  private plumbingChanged(): void {
    this.lowerInfo?.changed?.(this.top as AnyQueue)
  }

  /**
   * A procedure of a module on this stream threw: the module is taken off and the head hears of it. A driver cannot
   * be taken off: the head hears of it, that is all. Of a head or a multiplexor's lower side the runtime's listener hears.
   * What the module had in hand is lost, so a byte stream has a hole from then on: TCP resets the connection that it was on.
   */
  moduleFault(q: AnyQueue, error: unknown): void {
    const read = q.isRead ? q : q.other
    const isTakenOff = read !== this.top && read !== this.bottom
    const text = `module ${q.info.name} failed: ${error instanceof Error ? error.message : String(error)}`
    this.runtime.counters['module-faults']++
    this.runtime.event(
      'error',
      'stream.module-fault',
      `${q.holderName}${isTakenOff ? ` ${TAKEN_OFF}` : ''}: ${error instanceof Error ? (error.stack ?? text) : text}`,
    )
    // Telling the queue that just failed would make it fail again.
    if (q.removed || this.closed || read === this.top) return
    const above = read.next!
    if (isTakenOff) {
      this.detach(read)
      this.runtime.reclaimLater(read)
      this.plumbingChanged()
    }
    const mp = makeError(this.runtime.arena, 'ERR_MODULE_FAULT', text)
    if (mp !== null) put(above, mp)
  }

  /**
   * Links a stream below this one's multiplexor. The lower stream's head gives way to the multiplexor's lower side
   * until `unlink`.
   * @returns the number to unlink with
   * @see I_LINK of streamio(7I)
   */
  link(lower: Stream, options?: unknown): number {
    this.mustBeOpen()
    const below: Plumbing = lower
    below.mustBeOpen()
    const info = (this.bottom.info as DriverInfo).lower
    if (info === undefined)
      throw new StackError(
        'ERR_PLUMBING',
        `${this.bottom.info.name} is no multiplexor: nothing can be linked below it`,
      )
    if (below === this) throw new StackError('ERR_PLUMBING', 'a stream cannot be linked below itself')
    if (below.lowerInfo !== null)
      throw new StackError('ERR_BUSY', `stream ${lower.name} is linked below a multiplexor already`)
    const q = below.top as AnyQueue
    below.become(info)
    try {
      setState(q, info.link(this.bottom, q, options))
    } catch (error) {
      below.become(null)
      throw error
    }
    const id = this.nextLink++
    this.links ??= new Map()
    this.links.set(id, { lower, queue: q })
    info.changed?.(q)
    // Messages that waited at the head belong to the multiplexor now.
    // The multiplexor may queue them again, so only as many as there are now.
    for (let left = q.zero.messages; left > 0 && q.first !== null; left--) put(q, getq(q)!)
    return id
  }

  /** @see I_UNLINK of streamio(7I) @throws StackError `ERR_NOT_FOUND` */
  unlink(id: number): void {
    const link = this.links?.get(id)
    if (link === undefined) throw new StackError('ERR_NOT_FOUND', `stream ${this.name} has no link ${id}`)
    this.links!.delete(id)
    const info = link.lower.lowerInfo
    try {
      info?.unlink(link.queue)
    } finally {
      link.lower.become(null)
    }
  }

  /** The streams linked below, by number. */
  get linked(): ReadonlyMap<number, Stream> {
    if (this.links === null) return NO_LINKS
    return new Map([...this.links].map(([id, link]) => [id, link.lower.self]))
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
      each.hiwat = side.hiwat
      each.lowat = side.lowat
    }
    if (info === null) setState(q, this.head)
    this.shortCuts()
  }

  /** Why nothing can be asked of this stream. */
  protected downError(): StackError {
    if (this.head.error !== null) return this.head.error
    if (this.closed) return new StackError('ERR_STREAM_CLOSED', `stream ${this.name} is closed`)
    if (this.lowerInfo !== null)
      return new StackError('ERR_PLUMBING', `stream ${this.name} is linked below a multiplexor`)
    return new StackError('ERR_HANGUP', `stream ${this.name} hung up`)
  }

  protected mustBeOpen(): void {
    if (this.closed) throw this.downError()
  }
}

function setState(read: AnyQueue, state: unknown): void {
  read.state = state
  read.other.state = state
}

/** Works out `forward` and `back` of every queue from one end of a stream on. */
function shortCutsFrom(start: AnyQueue): void {
  let back: AnyQueue | null = null
  let first = start
  for (let q: AnyQueue | null = start; q !== null; q = q.next) {
    q.back = back
    if (q.service === null && q.next !== null) continue
    for (let each = first; each !== q; each = each.next!) each.forward = q
    q.forward = q
    if (q.next !== null) first = q.next
    if (q.service !== null) back = q
  }
}

/** Takes a pair out of service for good and frees what waits on it. */
export function retire(read: AnyQueue): void {
  retireQueue(read)
  retireQueue(read.other)
}

function retireQueue(q: AnyQueue): void {
  q.removed = true
  if (q.first !== null) flushq(q, FLUSHALL)
  if (q.deferredFirst !== null) dropDeferred(q)
}
