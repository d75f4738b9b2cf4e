/**
 * At-most-once, the server's side of a session (checklist 39): which calls of one client ran, and what was answered.
 *
 * The client numbers its calls upwards and says with each which is its oldest that is neither answered nor given up. From
 * there on, for {@link SessionLimits.windowCalls} numbers, each call has a record as soon as it was seen; nothing below is ever run, and
 * nothing above. So there is no record to be evicted: what limits memory limits the window, and the bytes of the replies.
 *
 * Pure: it answers what is to be done with a call, and never runs one.
 */
import { assert } from '../base/assert.ts'
import { seqAdd, seqDiff, seqGeq, seqGt, seqLt } from '../base/seq32.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { freeReply, heldBytes, type KeptCall, type KeptState, type ReplyBudget } from './kept-reply.ts'

/** What is to be done with a call. */
export type CallVerdict =
  /** It was never seen: run it, and tell the session how it ended. */
  | 'run'
  /** It is being worked on: drop this one. */
  | 'in-progress'
  /** It ran: send the kept reply again. */
  | 'answered'
  /** It ran, but its reply was too much to keep: drop this one. */
  | 'unkept'
  /** It is new, but no more replies may be kept: refuse it. It is remembered as refused. */
  | 'full'
  /** It was refused: refuse it again. */
  | 'shed'
  /** The client has its answer or gave it up: drop it. */
  | 'stale'
  /** The number of another call: drop it. */
  | 'changed'
  /** So far beyond the oldest that no client of ours sends it: drop it. */
  | 'beyond'

export interface SessionLimits {
  /** How far a call's xid may be beyond the client's oldest. */
  readonly windowCalls: number
  /** What the replies of one session may hold. */
  readonly maxReplyBytes: number
}

/** One call of a session. */
export class SessionRecord implements KeptCall {
  readonly session: Session
  readonly xid: number
  readonly checksum: number
  state: KeptState
  reply: Mblk | null = null
  replyBytes = 0
  /** Who works on it, while it is `running`: the server's business. */
  holder: unknown = null

  constructor(session: Session, xid: number, checksum: number, state: KeptState) {
    this.session = session
    this.xid = xid
    this.checksum = checksum
    this.state = state
  }
}

export class Session {
  readonly id: number
  /** The client's, and of its request for this session. */
  readonly clientId: string
  readonly boot: number
  /** Calls that wait or run. */
  running = 0
  /** What its replies hold. */
  replyBytes = 0
  /** When it was last spoken of; microseconds. */
  usedAt: number
  /** Whether a call ever came under it. */
  isUsed = false
  /** The record that the last verdict was about. */
  record: SessionRecord | null = null
  /** Told of each call that is in the works when its client gives it up. */
  onGivenUp: ((record: SessionRecord) => void) | null = null
  private readonly limits: SessionLimits
  private readonly budget: ReplyBudget
  private readonly records = new Map<number, SessionRecord>()
  private oldest = 0

  constructor(
    id: number,
    clientId: string,
    boot: number,
    limits: SessionLimits,
    budget: ReplyBudget,
    now: number,
  ) {
    this.id = id
    this.clientId = clientId
    this.boot = boot
    this.limits = limits
    this.budget = budget
    this.usedAt = now
  }

  /** Calls that are remembered. */
  get size(): number {
    return this.records.size
  }

  /**
   * A call came.
   * @param xid - its number, an int32
   * @param oldest - what its client said is the oldest one that it still waits for
   * @param checksum - of what it asks for: the same number with another is no duplicate
   * @returns what is to be done; {@link record} is the call's then, null if it has none
   */
  begin(xid: number, oldest: number, checksum: number): CallVerdict {
    this.record = null
    // A call that its own client does not wait for, or that leaves the window, says nothing that can be relied on.
    if (seqLt(xid, oldest)) return 'stale'
    if (seqDiff(xid, oldest) >= this.limits.windowCalls) return 'beyond'
    this.advance(oldest)
    if (seqLt(xid, this.oldest)) return 'stale'
    const known = this.records.get(xid)
    if (known !== undefined) {
      this.record = known
      if (known.checksum !== checksum) return 'changed'
      return known.state === 'running' ? 'in-progress' : known.state
    }
    const isFull = !this.mayKeep
    const record = new SessionRecord(this, xid, checksum, isFull ? 'shed' : 'running')
    this.records.set(xid, record)
    this.record = record
    if (isFull) return 'full'
    this.running++
    return 'run'
  }

  /**
   * A call ran.
   * @param reply - consumed: what its duplicates get; null if there is none to keep
   */
  answered(record: SessionRecord, reply: Mblk | null): void {
    this.ended(record)
    const bytes = reply === null ? 0 : heldBytes(reply)
    const fits = this.mayKeep && this.budget.fits(this.replyBytes, bytes)
    if (reply === null || !fits || !this.holds(record)) {
      freeReply(reply)
      record.state = 'unkept'
      return
    }
    record.state = 'answered'
    record.reply = reply
    record.replyBytes = bytes
    this.replyBytes += bytes
    this.budget.bytes += bytes
  }

  /** A call that was to run did not, its caller is told so, and it never will. */
  refused(record: SessionRecord): void {
    this.ended(record)
    record.state = 'shed'
  }

  /** A call that was to run did not, and nobody was told: it may come again. */
  forgotten(record: SessionRecord): void {
    this.ended(record)
    if (this.holds(record)) this.records.delete(record.xid)
  }

  /** Frees all that is kept. */
  close(): void {
    for (const record of this.records.values()) this.drop(record)
    this.records.clear()
  }

  /** Whether there is room for one more reply. */
  private get mayKeep(): boolean {
    const { replyBytes, budget } = this
    return replyBytes < this.limits.maxReplyBytes && (!budget.isSpent || replyBytes < budget.partBytes)
  }

  private ended(record: SessionRecord): void {
    assert(record.state === 'running', 'a call ends once')
    record.holder = null
    this.running--
  }

  private holds(record: SessionRecord): boolean {
    return this.records.get(record.xid) === record
  }

  /** Forgets what the client has its answers of, or waits for no more. */
  private advance(oldest: number): void {
    if (!this.isUsed) {
      this.isUsed = true
      this.oldest = oldest
      return
    }
    if (!seqGt(oldest, this.oldest)) return
    const { records } = this
    if (seqDiff(oldest, this.oldest) <= 2 * records.size) {
      for (let xid = this.oldest; seqLt(xid, oldest); xid = seqAdd(xid, 1)) this.dropAt(xid)
    } else {
      for (const xid of records.keys()) if (!seqGeq(xid, oldest)) this.dropAt(xid)
    }
    this.oldest = oldest
  }

  private dropAt(xid: number): void {
    const record = this.records.get(xid)
    if (record === undefined) return
    this.records.delete(xid)
    this.drop(record)
  }

  private drop(record: SessionRecord): void {
    if (record.state === 'running') return this.onGivenUp?.(record)
    freeReply(record.reply)
    record.reply = null
    this.replyBytes -= record.replyBytes
    this.budget.bytes -= record.replyBytes
    record.replyBytes = 0
  }
}
