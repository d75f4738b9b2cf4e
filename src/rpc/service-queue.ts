/**
 * Which call runs when: calls that may not run yet wait here, in order for each connection, the connections in turn.
 * Counts and bytes are bounded for the server and for each connection; what is beyond is shed by whoever asked.
 *
 * Pure: it knows neither handlers nor time.
 */
import { StackError } from '../base/errors.ts'

/**
 * - `one-at-a-time`: one call of all.
 * - `ordered`: one call of each connection, in the order in which they came; what comes by datagrams has no order.
 * - `concurrent`: as many as {@link ServiceOptions.concurrency}, begun in order for each connection.
 */
export type ServiceMode = 'one-at-a-time' | 'ordered' | 'concurrent'

/** How many calls run and wait; what is beyond is answered SYSTEM_ERR at once. */
export interface ServiceOptions {
  /** `concurrent` by default. */
  readonly mode?: ServiceMode
  /** Calls that run at the same time, 256 by default; it does not count what answers at once. */
  readonly concurrency?: number
  /** The same of one connection, 64 by default. */
  readonly concurrencyPerConnection?: number
  /** Calls that wait, 1,024 by default: a quarter of the places is for connections of which not many wait, so that few cannot take all. */
  readonly maxWaiting?: number
  /** Bytes of memory that their messages hold, 8 MiB by default; a quarter as above. */
  readonly maxWaitingBytes?: number
  /** The same of one connection, 256 and 2 MiB by default. */
  readonly maxWaitingPerConnection?: number
  readonly maxWaitingBytesPerConnection?: number
}

const MODES: readonly ServiceMode[] = ['one-at-a-time', 'ordered', 'concurrent']

const DEFAULTS: Required<ServiceOptions> = {
  mode: 'concurrent',
  concurrency: 256,
  concurrencyPerConnection: 64,
  maxWaiting: 1_024,
  maxWaitingBytes: 8 * 1024 * 1024,
  maxWaitingPerConnection: 256,
  maxWaitingBytesPerConnection: 2 * 1024 * 1024,
}

/** Of all places to wait, those that only connections get which hold less than a few: one part of so many. */
const RESERVED_PART = 4
const FEW_PART = 64

/** @throws StackError `ERR_BAD_CONFIG` */
export function checkServiceOptions(options: ServiceOptions): Required<ServiceOptions> {
  const all = { ...DEFAULTS, ...options }
  if (!MODES.includes(all.mode)) throw bad('mode', all.mode, `one of ${MODES.join(', ')}`)
  for (const [name, value] of Object.entries(all)) {
    const least = name.startsWith('concurrency') ? 1 : 0
    if (name !== 'mode' && !(Number.isSafeInteger(value) && (value as number) >= least))
      throw bad(name, value)
  }
  return all
}

function bad(name: string, value: unknown, hint = 'a whole number'): StackError {
  return new StackError('ERR_BAD_CONFIG', `${JSON.stringify(value)} is no ${name} of a service`, { hint })
}

/** What waits; one object may wait in one queue. */
export interface Waiting {
  next: Waiting | null
  /** What it holds while it waits. */
  waitingBytes: number
}

/** What one connection has in one queue. */
export class Lane<C extends Waiting> {
  running = 0
  waiting = 0
  waitingBytes = 0
  first: C | null = null
  last: C | null = null
  /** Its answers are not taken: nothing of it is begun. */
  isHeld = false
  readonly maxRunning: number
  /** In the ring of those that may go on. */
  inRing = false
  nextInRing: Lane<C> | null = null

  constructor(maxRunning: number) {
    this.maxRunning = maxRunning
  }
}

export class ServiceQueue<C extends Waiting> {
  readonly options: Required<ServiceOptions>
  running = 0
  waiting = 0
  waitingBytes = 0
  private readonly maxRunning: number
  /** Lanes with calls that could be begun, one after the other. */
  private ringFirst: Lane<C> | null = null
  private ringLast: Lane<C> | null = null

  /** @throws StackError `ERR_BAD_CONFIG` */
  constructor(options: ServiceOptions = {}) {
    this.options = checkServiceOptions(options)
    this.maxRunning = this.options.mode === 'one-at-a-time' ? 1 : this.options.concurrency
  }

  /** @param isStream - whether calls of this connection have an order */
  lane(isStream: boolean): Lane<C> {
    const { mode, concurrencyPerConnection, concurrency } = this.options
    if (mode === 'ordered' && isStream) return new Lane(1)
    return new Lane(isStream ? concurrencyPerConnection : concurrency)
  }

  /** Whether a call that came now is to be run at once; it counts as running then, until {@link ended}. */
  enter(lane: Lane<C>): boolean {
    if (this.running >= this.maxRunning || lane.running >= lane.maxRunning) return false
    if (lane.first !== null || lane.isHeld || this.isAnyReady()) return false
    this.running++
    lane.running++
    return true
  }

  /** A call that is answered without waiting for its turn: it counts as running until {@link ended}. */
  force(lane: Lane<C>): void {
    this.running++
    lane.running++
  }

  /** A call that was running is not any more. */
  ended(lane: Lane<C>): void {
    this.running--
    lane.running--
    this.offer(lane)
  }

  /** @returns false if no more may wait */
  wait(lane: Lane<C>, call: C): boolean {
    const { options } = this
    const bytes = call.waitingBytes
    if (this.waiting >= placesFor(lane.waiting, options.maxWaiting)) return false
    if (this.waitingBytes + bytes > placesFor(lane.waitingBytes, options.maxWaitingBytes)) return false
    if (lane.waiting >= options.maxWaitingPerConnection) return false
    if (lane.waitingBytes + bytes > options.maxWaitingBytesPerConnection) return false
    call.next = null
    if (lane.last === null) lane.first = call
    else lane.last.next = call
    lane.last = call
    this.count(lane, 1, bytes)
    this.offer(lane)
    return true
  }

  /** @returns the call that is next to run, counted as running; null if none may */
  take(): C | null {
    while (this.running < this.maxRunning) {
      const lane = this.shift()
      if (lane === null) return null
      if (!isReady(lane)) continue
      const call = this.unlink(lane)
      this.running++
      lane.running++
      this.offer(lane)
      return call
    }
    return null
  }

  /** Whether {@link take} would give one. */
  get isReady(): boolean {
    return this.ringFirst !== null && this.running < this.maxRunning
  }

  /** Takes a waiting call out that is not to run, oldest first. */
  remove(lane: Lane<C>): C | null {
    return this.unlink(lane)
  }

  /**
   * Takes out what is not to run any more.
   * @param over - gets them, oldest first
   */
  sweep(lane: Lane<C>, isOver: (call: C) => boolean, over: C[]): void {
    let rest = lane.first
    lane.first = null
    lane.last = null
    while (rest !== null) {
      const call: C = rest
      rest = call.next as C | null
      call.next = null
      if (isOver(call)) {
        this.count(lane, -1, -call.waitingBytes)
        over.push(call)
      } else {
        if (lane.last === null) lane.first = call
        else lane.last.next = call
        lane.last = call
      }
    }
  }

  /** Nothing of a connection is begun, or is again. */
  hold(lane: Lane<C>, isHeld: boolean): void {
    lane.isHeld = isHeld
    this.offer(lane)
  }

  private count(lane: Lane<C>, calls: number, bytes: number): void {
    this.waiting += calls
    this.waitingBytes += bytes
    lane.waiting += calls
    lane.waitingBytes += bytes
  }

  private unlink(lane: Lane<C>): C | null {
    const call = lane.first
    if (call === null) return null
    lane.first = call.next as C | null
    if (lane.first === null) lane.last = null
    call.next = null
    this.count(lane, -1, -call.waitingBytes)
    return call
  }

  private offer(lane: Lane<C>): void {
    if (lane.inRing || !isReady(lane)) return
    lane.inRing = true
    lane.nextInRing = null
    if (this.ringLast === null) this.ringFirst = lane
    else this.ringLast.nextInRing = lane
    this.ringLast = lane
  }

  /** Lanes whose calls were taken out, or that are held, are passed over: nobody would come to begin one of them. */
  private isAnyReady(): boolean {
    while (this.ringFirst !== null && !isReady(this.ringFirst)) this.shift()
    return this.ringFirst !== null
  }

  private shift(): Lane<C> | null {
    const lane = this.ringFirst
    if (lane === null) return null
    this.ringFirst = lane.nextInRing
    if (this.ringFirst === null) this.ringLast = null
    lane.inRing = false
    lane.nextInRing = null
    return lane
  }
}

/** @param held - what a connection has of them already @returns how many of all may be taken when it takes one more */
function placesFor(held: number, all: number): number {
  return held * FEW_PART < all ? all : all - Math.floor(all / RESERVED_PART)
}

function isReady(lane: Lane<Waiting>): boolean {
  return lane.first !== null && !lane.isHeld && lane.running < lane.maxRunning
}
