/**
 * At-most-once without a session (checklist 39): the classic cache of a server on UDP (Juszczak 1989), for callers that say nothing of
 * themselves but where they send from. A call is known by its peer, xid, program, version, procedure and checksum.
 *
 * Replies are kept for a time. When more come than can be kept, nothing is forgotten that could then run again: of a peer whose xids
 * count up, everything up to an xid can be forgotten at once, since what is that old is dropped from then on; any other peer's new calls
 * are dropped instead, and it tries again.
 *
 * Pure: time comes in, what is to be done goes out.
 */
import { assert } from '../base/assert.ts'
import { seqDiff } from '../base/seq32.ts'
import { HEADER_BLOCK_BYTES } from '../streams/mblk/arena.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { freeReply, heldBytes, type KeptCall, type KeptState, type ReplyBudget } from './kept-reply.ts'
import type { CallVerdict } from './session.ts'

export interface DuplicateCacheLimits {
  /** Calls that are remembered. */
  readonly maxCalls: number
  /** Microseconds from an answer on during which its call may come again. */
  readonly retentionUs: number
}

/** One call. */
export class CachedCall implements KeptCall {
  readonly peer: CachedPeer
  readonly xid: number
  readonly key: string
  state: KeptState = 'running'
  reply: Mblk | null = null
  replyBytes = 0
  /** When it may be forgotten; microseconds, of one that is not running any more. */
  dueAt = 0
  /** Who works on it, while it is `running`: the server's business. */
  holder: unknown = null

  constructor(peer: CachedPeer, xid: number, key: string) {
    this.peer = peer
    this.xid = xid
    this.key = key
  }
}

/** Who calls, by address and port, and how it numbers its calls. */
class CachedPeer {
  readonly name: string
  calls = 0
  /** Those that ended, in the order in which they did. */
  readonly ended = new Set<CachedCall>()
  readonly order = new XidOrder()
  /** Of a window: what is not above this is dropped, until {@link floorUntil}. */
  floor = 0
  hasFloor = false
  floorUntil = 0

  constructor(name: string) {
    this.name = name
  }
}

/** Calls may overtake each other by so much and still count as counting up. */
const REORDER_CALLS = 64
/** How far the next call may be ahead. */
const STEP_CALLS = 4_096
/** Calls in order before a peer counts as one that counts up. */
const SURE_CALLS = 8

/** How a peer counts: upwards, or upwards in the other byte order (libtirpc adds one to the word as it lies in memory). */
export class XidOrder {
  private kind: 'unknown' | 'known' | 'none' = 'unknown'
  private isSwapped = false
  private first = 0
  private highest = 0
  private ups = 0

  get isSure(): boolean {
    return this.kind === 'known' && this.ups >= SURE_CALLS
  }

  /** Where an xid is in the peer's order. */
  place(xid: number): number {
    return this.isSwapped ? swap32(xid) : xid
  }

  /** A new call. */
  see(xid: number): void {
    if (this.kind === 'none') return
    if (this.kind === 'unknown') return this.learn(xid)
    const step = seqDiff(this.place(xid), this.highest)
    if (step < -REORDER_CALLS || step > STEP_CALLS) {
      this.kind = 'none'
      return
    }
    if (step <= 0) return
    this.highest = this.place(xid)
    if (this.ups < SURE_CALLS) this.ups++
  }

  private learn(xid: number): void {
    if (this.ups++ === 0) {
      this.first = xid
      return
    }
    this.isSwapped = !isNear(xid, this.first) && isNear(swap32(xid), swap32(this.first))
    this.kind = this.isSwapped || isNear(xid, this.first) ? 'known' : 'none'
    const [a, b] = [this.place(this.first), this.place(xid)]
    this.highest = seqDiff(a, b) > 0 ? a : b
  }
}

function isNear(xid: number, before: number): boolean {
  const step = seqDiff(xid, before)
  return step >= -REORDER_CALLS && step <= STEP_CALLS
}

function swap32(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
}

/** How many of the oldest are looked at for one that may go. */
const SCAN_CALLS = 32

export class DuplicateCache {
  /** The call that the last verdict was about. */
  record: CachedCall | null = null
  /** Calls forgotten early, since their peer's are a window. */
  windowed = 0
  private readonly limits: DuplicateCacheLimits
  private readonly budget: ReplyBudget
  private isClosed = false
  private readonly calls = new Map<string, CachedCall>()
  /** Those that ended, in the order in which they did. */
  private readonly ended = new Set<CachedCall>()
  private readonly peers = new Map<string, CachedPeer>()

  /** @param budget - of the replies, with those of the sessions */
  constructor(limits: DuplicateCacheLimits, budget: ReplyBudget) {
    this.limits = limits
    this.budget = budget
  }

  get size(): number {
    return this.calls.size
  }

  /** What all kept replies hold, those of sessions too. */
  get heldBytes(): number {
    return this.budget.bytes
  }

  /** Peers that something is known of. */
  get peerCount(): number {
    return this.peers.size
  }

  /**
   * A call came.
   * @param peer - address and port, as text
   * @param checksum - of the whole request; with what identifies the procedure part of what the call is known by
   * @param now - microseconds
   * @returns `run`, `in-progress`, `answered`, `unkept`, `shed` (this very call was refused before: refuse it again), `stale`, or
   * `beyond`: there is no room to remember it, so drop it
   */
  begin(peer: string, xid: number, call: string, checksum: number, now: number): CallVerdict {
    const key = `${peer} ${xid} ${call} ${checksum}`
    const known = this.calls.get(key)
    if (known !== undefined && !this.isDue(known, now)) {
      this.record = known
      return known.state === 'running' ? 'in-progress' : known.state
    }
    this.record = null
    this.expireCalls(now)
    const from = this.peers.get(peer)
    if (from !== undefined && this.isBelowFloor(from, xid, now)) return 'stale'
    if (!this.hasRoom() && !this.makeRoom(from)) return 'beyond'
    if (from === undefined && this.peers.size >= 2 * this.limits.maxCalls) return 'beyond'
    // Making room may have raised this peer's floor above the call.
    const caller = this.peers.get(peer) ?? this.addPeer(peer)
    if (this.isBelowFloor(caller, xid, now)) return this.release(caller, now)
    caller.order.see(xid)
    caller.calls++
    const record = new CachedCall(caller, xid, key)
    this.calls.set(key, record)
    this.record = record
    return 'run'
  }

  /**
   * A call ran.
   * @param reply - consumed: what its duplicates get; null if there is none to keep
   */
  answered(record: CachedCall, reply: Mblk | null, now: number): void {
    this.end(record, now)
    const bytes = reply === null ? 0 : heldBytes(reply)
    // As many as there may be calls are no danger; only large ones are, and those of one peer must not cost another its small ones.
    const fits = bytes <= HEADER_BLOCK_BYTES || !this.budget.isSpent
    if (reply === null || !fits || this.isClosed) {
      freeReply(reply)
      record.state = 'unkept'
      return
    }
    record.state = 'answered'
    record.reply = reply
    record.replyBytes = bytes
    this.budget.bytes += record.replyBytes
  }

  /** A call that was to run did not, its caller is told so, and it never will. */
  refused(record: CachedCall, now: number): void {
    this.end(record, now)
    record.state = 'shed'
  }

  /** A call that was to run did not, and nobody was told: it may come again. */
  forgotten(record: CachedCall): void {
    assert(record.state === 'running', 'a call ends once')
    this.remove(record)
  }

  /** Forgets what is due. @returns when to look again, microseconds; null if never */
  expire(now: number): number | null {
    this.expireCalls(now)
    return this.expirePeers(now) ?? (this.calls.size === 0 ? null : now + this.limits.retentionUs)
  }

  /** Frees all that is kept; of what ends later nothing is. */
  close(): void {
    this.isClosed = true
    for (const record of this.ended) this.remove(record)
    this.calls.clear()
    this.peers.clear()
  }

  private expireCalls(now: number): void {
    for (const record of this.ended) {
      if (record.dueAt > now) return
      this.remove(record)
      this.release(record.peer, now)
    }
  }

  private isDue(record: CachedCall, now: number): boolean {
    return record.state !== 'running' && record.dueAt <= now
  }

  private end(record: CachedCall, now: number): void {
    assert(record.state === 'running', 'a call ends once')
    record.holder = null
    record.dueAt = now + this.limits.retentionUs
    this.ended.add(record)
    record.peer.ended.add(record)
  }

  private remove(record: CachedCall): void {
    this.ended.delete(record)
    record.peer.ended.delete(record)
    this.calls.delete(record.key)
    record.peer.calls--
    freeReply(record.reply)
    record.reply = null
    this.budget.bytes -= record.replyBytes
    record.replyBytes = 0
  }

  // ---- peers

  private addPeer(name: string): CachedPeer {
    const peer = new CachedPeer(name)
    this.peers.set(name, peer)
    return peer
  }

  /** Forgets a peer of which nothing is to be remembered. @returns `stale`, for who drops its call */
  private release(peer: CachedPeer, now: number): 'stale' {
    if (peer.calls === 0 && !(peer.hasFloor && peer.floorUntil > now)) this.peers.delete(peer.name)
    return 'stale'
  }

  /** Those that only a floor keeps: as many as calls could be remembered at the most. */
  private expirePeers(now: number): number | null {
    let next: number | null = null
    for (const peer of this.peers.values()) {
      if (peer.calls > 0) continue
      this.release(peer, now)
      if (peer.floorUntil > now) next = Math.min(next ?? peer.floorUntil, peer.floorUntil)
    }
    return next
  }

  private isBelowFloor(peer: CachedPeer, xid: number, now: number): boolean {
    if (!peer.hasFloor) return false
    if (peer.floorUntil <= now) {
      peer.hasFloor = false
      return false
    }
    return seqDiff(peer.order.place(xid), peer.floor) <= 0
  }

  // ---- room

  private hasRoom(): boolean {
    return this.calls.size < this.limits.maxCalls
  }

  /** Forgets calls of the caller's own window, so that nobody else's calls keep it out; or one of the oldest whose peer's calls are a window. */
  private makeRoom(from: CachedPeer | undefined): boolean {
    if (from?.order.isSure && this.makeRoomIn(from.ended)) return true
    return this.makeRoomIn(this.ended)
  }

  /** @param ended - oldest first */
  private makeRoomIn(ended: ReadonlySet<CachedCall>): boolean {
    let looked = 0
    for (const record of ended) {
      if (++looked > SCAN_CALLS) return false
      const { peer } = record
      if (!peer.order.isSure) continue
      this.raiseFloor(peer, record)
      this.remove(record)
      this.windowed++
      if (this.hasRoom()) return true
    }
    return false
  }

  private raiseFloor(peer: CachedPeer, record: CachedCall): void {
    const place = peer.order.place(record.xid)
    if (!peer.hasFloor || seqDiff(place, peer.floor) > 0) peer.floor = place
    peer.hasFloor = true
    peer.floorUntil = Math.max(peer.floorUntil, record.dueAt)
  }
}
