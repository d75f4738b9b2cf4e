/**
 * The calls of a client: which wait to be sent, which wait for an answer, and when something is due. It reads no clock and sends nothing;
 * see RFC 5531 §5 and §9 for what an xid is for.
 *
 * An xid is used once: they count up from a random start, and a call is refused before one could come round within 2^31 of the oldest
 * that is outstanding.
 */
import { assert } from '../base/assert.ts'
import type { Random } from '../base/prng.ts'

/** Not in use; to be sent; sent, and to be answered. */
export const FREE = 0
export const WAITING = 1
export const SENT = 2

/** One call; reused. Times are microseconds on the runtime's clock. */
export class CallSlot {
  xid = 0
  state: typeof FREE | typeof WAITING | typeof SENT = FREE
  beganAt = 0
  /** When the caller gives up; Infinity for never. */
  dueAt = 0
  /** When it is sent again if nothing comes; Infinity for never. */
  resendAt = Number.POSITIVE_INFINITY
  /** Until then; doubles. */
  intervalUs = 0
  transmissions = 0
  // Places in the lists of its state and of its bucket.
  before: CallSlot | null = null
  behind: CallSlot | null = null
  chain: CallSlot | null = null
}

/** Calls in one state, by xid. */
class CallList<C extends CallSlot> {
  first: C | null = null
  last: C | null = null
  size = 0

  /** In its place by xid, looked for from the end that it is more likely near. */
  insert(call: C, fromFront: boolean): void {
    let before: C | null = this.last
    if (fromFront) {
      let behind = this.first
      while (behind !== null && isOlder(behind.xid, call.xid)) behind = behind.behind as C | null
      before = behind === null ? this.last : (behind.before as C | null)
    } else {
      while (before !== null && isOlder(call.xid, before.xid)) before = before.before as C | null
    }
    const behind = before === null ? this.first : (before.behind as C | null)
    call.before = before
    call.behind = behind
    if (before === null) this.first = call
    else before.behind = call
    if (behind === null) this.last = call
    else behind.before = call
    this.size++
  }

  remove(call: C): void {
    const { before, behind } = call
    if (before === null) this.first = behind as C | null
    else before.behind = behind
    if (behind === null) this.last = before as C | null
    else behind.before = before
    call.before = null
    call.behind = null
    this.size--
  }
}

/** Whether an xid was given out before another, across the wrap. */
export function isOlder(xid: number, than: number): boolean {
  return ((xid - than) | 0) < 0
}

export interface CoreLimits {
  /** Calls that are sent and not answered. */
  readonly maxInFlight: number
  /** Calls that wait to be sent beyond those. */
  readonly maxWaiting: number
  /** First and longest interval between transmissions; null where the transport does that itself. */
  readonly retransmit: { readonly firstUs: number; readonly maxUs: number } | null
}

/** What is to be done about a call whose time has come. */
export interface DueHandler<C extends CallSlot> {
  /** Its deadline passed: to be taken out. */
  expired(call: C): void
  /** It is to be sent again. */
  resend(call: C): void
}

export class ClientCore<C extends CallSlot> {
  readonly limits: CoreLimits
  /** No call may be sent whose xid is this much or more beyond the oldest outstanding: what a session's server keeps. */
  windowCalls = 0x7fff_ffff
  /** When {@link due} is to be called; Infinity if never. It may turn out that nothing is due then. */
  nextDueAt = Number.POSITIVE_INFINITY
  private readonly random: Random
  private readonly make: () => C
  private readonly waitingList = new CallList<C>()
  private readonly sentList = new CallList<C>()
  private readonly buckets: (C | null)[]
  private readonly mask: number
  private readonly spare: C[] = []
  private nextXid: number
  private readonly firstXid: number

  /** @param make - a new slot, with whatever the client keeps in it */
  constructor(limits: CoreLimits, random: Random, make: () => C) {
    this.limits = limits
    this.random = random
    this.make = make
    this.nextXid = random.int32()
    this.firstXid = this.nextXid
    const size =
      2 ** Math.ceil(Math.log2(Math.min(4_096, Math.max(16, limits.maxInFlight + limits.maxWaiting))))
    this.buckets = new Array<C | null>(size).fill(null)
    this.mask = size - 1
  }

  get waiting(): number {
    return this.waitingList.size
  }

  get inFlight(): number {
    return this.sentList.size
  }

  get outstanding(): number {
    return this.waitingList.size + this.sentList.size
  }

  /** Of the calls that are neither answered nor given up; the next one's if there is none. */
  get oldestXid(): number {
    const sent = this.sentList.first
    const waiting = this.waitingList.first
    if (sent === null) return waiting === null ? this.nextXid : waiting.xid
    return waiting === null || isOlder(sent.xid, waiting.xid) ? sent.xid : waiting.xid
  }

  /** Whether an xid was ever given out by this client: a reply to it is late, not foreign. */
  wasUsed(xid: number): boolean {
    return !isOlder(xid, this.firstXid) && isOlder(xid, this.nextXid)
  }

  /**
   * A new call, to be sent.
   * @param timeoutUs - until the caller gives up; Infinity for never
   * @param isExtra - it is the client's own, and does not count
   * @returns null if too many wait
   */
  begin(now: number, timeoutUs: number, isExtra = false): C | null {
    const xid = this.nextXid
    if (this.outstanding >= this.limits.maxInFlight + this.limits.maxWaiting && !isExtra) return null
    if (isOlder(xid, this.oldestXid)) return null
    this.nextXid = (xid + 1) | 0
    const call = this.spare.pop() ?? this.make()
    call.xid = xid
    call.state = WAITING
    call.beganAt = now
    call.dueAt = now + timeoutUs
    call.resendAt = Number.POSITIVE_INFINITY
    call.transmissions = 0
    if (call.dueAt < this.nextDueAt) this.nextDueAt = call.dueAt
    this.waitingList.insert(call, false)
    const bucket = xid & this.mask
    call.chain = this.buckets[bucket] ?? null
    this.buckets[bucket] = call
    return call
  }

  /** The call to be sent next; null if none waits, or none may be sent now. */
  nextToSend(): C | null {
    const call = this.waitingList.first
    if (call === null || this.sentList.size >= this.limits.maxInFlight) return null
    return ((call.xid - this.oldestXid) | 0) < this.windowCalls ? call : null
  }

  firstWaiting(): C | null {
    return this.waitingList.first
  }

  firstSent(): C | null {
    return this.sentList.first
  }

  /** A call was sent, for the first time or again. */
  sent(call: C, now: number): void {
    assert(call.state !== FREE, 'a call that is over is not sent')
    const { retransmit } = this.limits
    call.transmissions++
    if (retransmit !== null) {
      call.intervalUs =
        call.transmissions === 1 ? retransmit.firstUs : Math.min(retransmit.maxUs, call.intervalUs * 2)
      // A quarter more or less, so that callers who lost at the same moment do not come back at the same moment.
      call.resendAt = now + call.intervalUs * (0.75 + this.random.unit() / 2)
      if (call.resendAt < this.nextDueAt) this.nextDueAt = call.resendAt
    }
    if (call.state === SENT) return
    this.waitingList.remove(call)
    call.state = SENT
    this.sentList.insert(call, false)
  }

  /** What was due to be sent again cannot be now. */
  postpone(call: C, now: number): void {
    call.resendAt = now + call.intervalUs
    if (call.resendAt < this.nextDueAt) this.nextDueAt = call.resendAt
  }

  /** A call is to be sent once more: the connection was lost, or the session. */
  again(call: C): void {
    assert(call.state === SENT, 'only what was sent is sent again')
    this.sentList.remove(call)
    call.state = WAITING
    call.resendAt = Number.POSITIVE_INFINITY
    this.waitingList.insert(call, true)
  }

  /** @returns the outstanding call; null if there is none, or it was not sent */
  find(xid: number): C | null {
    let call = this.buckets[xid & this.mask] ?? null
    while (call !== null && call.xid !== xid) call = call.chain as C | null
    return call !== null && call.state === SENT ? call : null
  }

  /** A call is over: its slot is used again by {@link begin}, so the client empties it first. */
  end(call: C): void {
    assert(call.state !== FREE, 'a call ends once')
    if (call.state === SENT) this.sentList.remove(call)
    else this.waitingList.remove(call)
    call.state = FREE
    this.unchain(call)
    this.spare.push(call)
    // `nextDueAt` stays: that nobody has that deadline any more is found out when it comes, which is cheaper than looking each time.
  }

  private unchain(call: C): void {
    const bucket = call.xid & this.mask
    let at: C | null = this.buckets[bucket] ?? null
    if (at === call) this.buckets[bucket] = call.chain as C | null
    else {
      while (at !== null && at.chain !== call) at = at.chain as C | null
      at!.chain = call.chain
    }
    call.chain = null
  }

  /** Looks at all deadlines, and finds out {@link nextDueAt}. The handler may end the call that it is given, and others. */
  due(now: number, handler: DueHandler<C>): void {
    this.nextDueAt = Number.POSITIVE_INFINITY
    this.dueOf(this.sentList, now, handler)
    this.dueOf(this.waitingList, now, handler)
  }

  private dueOf(list: CallList<C>, now: number, handler: DueHandler<C>): void {
    let next: C | null
    for (let call = list.first; call !== null; call = next) {
      next = call.behind as C | null
      const { state } = call
      if (call.dueAt <= now) handler.expired(call)
      else if (call.resendAt <= now) handler.resend(call)
      if (call.state !== FREE) this.nextDueAt = Math.min(this.nextDueAt, call.dueAt, call.resendAt)
      if (next !== null && next.state !== state) {
        // The handler ended that one, too: the rest has to wait for another look, at once.
        this.nextDueAt = now
        return
      }
    }
  }
}
