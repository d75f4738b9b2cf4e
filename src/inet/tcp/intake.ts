/**
 * What a connection holds only while it receives: in order for the program, out of order for a gap to close, and what it
 * measures meanwhile. Pooled; an idle connection has none.
 */
import { allocb, copyHead, freemsg } from '../../streams/mblk/alloc.ts'
import { FRAME_BLOCK_BYTES, HEADROOM_BYTES } from '../../streams/mblk/arena.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { messageBytes } from '../../streams/mblk/message.ts'
import { readMessage } from '../../streams/mblk/pullup.ts'
import { heldBytes, Reassembly } from './reassembly.ts'
import { F_URGENT_IN, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** A record of a connection that received nothing for so long, and holds nothing, goes back to the pool. */
const IDLE_MS = 1_000
/** Records in the pool; more are left to the garbage collector. */
const POOL_MAX = 1_024
/** Records that {@link IntakePool.expire} looks at in one go: many take their turns within {@link IDLE_MS}. */
const LOOKS = 256
/** Segments at the beginning that are acknowledged at once, so that the peer's slow start is not held up (as Linux). */
export const QUICK_ACKS = 16
/** Segments up to this are put behind what waits already, where that holds {@link COALESCE_HELD_BYTES}: the program is behind then. */
const COALESCE_BYTES = 512
const COALESCE_HELD_BYTES = 65_536
/** A message is moved to a smaller block where that is at most one part in this many. */
const CONDENSE_RATIO = 4

export class Intake {
  tcb: Tcb | null = null
  /** Messages in order, linked by `next`. */
  first: Mblk | null = null
  last: Mblk | null = null
  /** Payload bytes of these. */
  bytes = 0
  /** What they hold in memory. */
  held = 0
  reassembly: Reassembly | null = null
  /** A FIN that came before what is in front of it: the sequence number that it takes. */
  hasFin = false
  finSeq = 0
  /** Acknowledgments that are not delayed yet. */
  quickAcks = 0
  /** The program answers what comes: acknowledgments may wait for its answers, until one was waited for in vain. */
  answers = false
  /** When the last data came, in `nowMs`. */
  lastDataAt = 0
  /** Bytes of the segment that came last, or of each of a super-segment's. */
  lastBytes = 0
  /** A duplicate to report (RFC 2883). */
  hasDuplicate = false
  duplicateLeft = 0
  duplicateRight = 0
  /** RFC 6093: one past the last byte of urgent data. */
  rcvUp = 0
  /** The last data segment said Congestion Experienced. */
  sawCe = false
  /** Window auto-tuning, see `auto-tune.ts`: when its interval began, and what the program had taken then. */
  tuneAtUs = 0
  tuneSeq = 0
  tuning = false
  /** Neighbours on the list of those in use; `next` also links the pool. */
  next: Intake | null = null
  previous: Intake | null = null
}

/** Records in use, the one that was looked at longest ago first, and records to be used again. */
export class IntakePool {
  private free: Intake | null = null
  private freeReassembly: Reassembly | null = null
  private freeCount = 0
  private freeReassemblyCount = 0
  private oldest: Intake | null = null
  private newest: Intake | null = null
  inUse = 0
  private lookAt = 0

  take(tcb: Tcb): Intake {
    let intake = this.free
    if (intake === null) intake = new Intake()
    else {
      this.free = intake.next
      this.freeCount--
    }
    intake.tcb = tcb
    intake.quickAcks = QUICK_ACKS
    intake.answers = false
    intake.lastBytes = 0
    this.link(intake)
    this.inUse++
    return intake
  }

  give(intake: Intake): void {
    this.unlink(intake)
    this.inUse--
    intake.tcb = null
    intake.hasFin = false
    intake.hasDuplicate = false
    intake.sawCe = false
    intake.tuning = false
    if (this.freeCount >= POOL_MAX) return
    this.freeCount++
    intake.next = this.free
    this.free = intake
  }

  takeReassembly(): Reassembly {
    const reassembly = this.freeReassembly
    if (reassembly === null) return new Reassembly()
    this.freeReassembly = reassembly.next
    this.freeReassemblyCount--
    reassembly.next = null
    return reassembly
  }

  /** @param reassembly - empty */
  giveReassembly(reassembly: Reassembly): void {
    if (this.freeReassemblyCount >= POOL_MAX / 16) return
    this.freeReassemblyCount++
    reassembly.next = this.freeReassembly
    this.freeReassembly = reassembly
  }

  /** Looks at two records, so that those of idle connections come back as fast as new ones are needed. */
  sweep(tcp: Tcp, looks: number): void {
    for (let i = 0; i < looks && this.oldest !== null; i++) {
      const intake = this.oldest
      const tcb = intake.tcb!
      if (isIdle(tcp, tcb, intake)) {
        tcb.intake = null
        this.give(intake)
      } else {
        this.unlink(intake)
        this.link(intake)
      }
    }
  }

  /** When to call {@link expire} next; null while no record is in use. */
  pollAt(): number | null {
    return this.inUse === 0 ? null : this.lookAt
  }

  /** Has idle connections give their records back, also when nothing comes any more. */
  expire(tcp: Tcp): void {
    if (this.inUse === 0 || ((tcp.nowMs - this.lookAt) | 0) < 0) return
    this.sweep(tcp, Math.min(LOOKS, this.inUse))
    this.wait(tcp)
  }

  /** Sets the next look, so that every record is looked at once in {@link IDLE_MS}. */
  wait(tcp: Tcp): void {
    const turns = Math.ceil(this.inUse / LOOKS)
    this.lookAt = (tcp.nowMs + Math.max(1, Math.floor(IDLE_MS / Math.max(1, turns)))) | 0
  }

  private link(intake: Intake): void {
    intake.previous = this.newest
    intake.next = null
    if (this.newest === null) this.oldest = intake
    else this.newest.next = intake
    this.newest = intake
  }

  private unlink(intake: Intake): void {
    if (intake.previous === null) this.oldest = intake.next
    else intake.previous.next = intake.next
    if (intake.next === null) this.newest = intake.previous
    else intake.next.previous = intake.previous
    intake.next = null
    intake.previous = null
  }
}

function isIdle(tcp: Tcp, tcb: Tcb, intake: Intake): boolean {
  return (
    intake.first === null &&
    intake.reassembly === null &&
    !intake.hasFin &&
    !intake.hasDuplicate &&
    (tcb.flags & F_URGENT_IN) === 0 &&
    ((tcp.nowMs - tcb.lastInAt) | 0) > IDLE_MS
  )
}

/** The connection's record, taken from the pool if it has none. */
export function takeIntake(tcp: Tcp, tcb: Tcb): Intake {
  if (tcb.intake !== null) return tcb.intake
  tcp.intakes.sweep(tcp, 2)
  tcb.intake = tcp.intakes.take(tcb)
  if (tcp.intakes.inUse === 1) {
    tcp.intakes.wait(tcp)
    tcp.host.timerMoved()
  }
  return tcb.intake
}

/** Gives the record back. @param keepData - what is in order and not taken stays, and so does the record if there is any */
export function releaseIntake(tcp: Tcp, tcb: Tcb, keepData: boolean): void {
  const { intake } = tcb
  if (intake === null) return
  dropReassembly(tcp, intake)
  if (keepData && intake.first !== null) return
  while (intake.first !== null) freemsg(dequeue(tcp, intake)!)
  tcb.intake = null
  tcp.intakes.give(intake)
}

/** Throws away what waits for a gap to close. */
export function dropReassembly(tcp: Tcp, intake: Intake): void {
  intake.hasFin = false
  const { reassembly } = intake
  if (reassembly === null) return
  tcp.memoryUsed -= reassembly.held
  reassembly.clear()
  intake.reassembly = null
  tcp.intakes.giveReassembly(reassembly)
}

/**
 * Puts a message at the end of what is in order. Behind a program that does not read, small segments share blocks, so that a
 * window full of single bytes holds no more than one of full segments.
 * @param mp - consumed; @param length - its bytes
 */
export function enqueue(tcp: Tcp, intake: Intake, mp: Mblk, length: number): void {
  const behind = intake.held >= COALESCE_HELD_BYTES
  if (behind && length <= COALESCE_BYTES && coalesce(tcp, intake.last!, mp, length)) {
    intake.bytes += length
    return
  }
  mp.next = null
  if (intake.last === null) intake.first = mp
  else intake.last.next = mp
  intake.last = mp
  const held = heldBytes(mp)
  intake.bytes += length
  intake.held += held
  tcp.memoryUsed += held
}

/** Copies a message behind another, if that has the room. @param mp - freed if so */
function coalesce(tcp: Tcp, last: Mblk, mp: Mblk, length: number): boolean {
  let tail = last
  while (tail.cont !== null) tail = tail.cont
  const { dblk } = tail
  if (dblk.ref !== 1 || dblk.sizeClass === null || dblk.lim - tail.wptr < length) return false
  readMessage(mp, 0, dblk.bytes, tail.wptr, length, 'stack')
  tail.wptr += length
  tcp.counters.condensed++
  freemsg(mp)
  return true
}

/** Takes the first message. */
export function dequeue(tcp: Tcp, intake: Intake): Mblk | null {
  const mp = intake.first
  if (mp === null) return null
  intake.first = mp.next
  if (mp.next === null) intake.last = null
  mp.next = null
  mp.prev = null
  const held = heldBytes(mp)
  intake.bytes -= messageBytes(mp)
  intake.held -= held
  tcp.memoryUsed -= held
  return mp
}

/**
 * After `rcvNxt` moved: what now follows without a gap goes behind what is in order.
 * @returns bytes by which the data in order grew: `rcvNxt` has to move on by them
 */
export function drainReassembly(tcp: Tcp, intake: Intake, rcvNxt: number): number {
  const reassembly = intake.reassembly!
  const { bytes, held } = reassembly
  const mp = reassembly.takeAt(rcvNxt)
  if (mp === null) return 0
  const taken = bytes - reassembly.bytes
  mp.prev = null
  if (intake.last === null) intake.first = mp
  else intake.last.next = mp
  intake.last = reassembly.takenLast
  reassembly.takenLast = null
  intake.bytes += taken
  intake.held += held - reassembly.held
  if (reassembly.count === 0) {
    intake.reassembly = null
    tcp.intakes.giveReassembly(reassembly)
  }
  return taken
}

/** Takes away stored data that new data in order covers. @returns bytes of the new data that remain */
export function clearForInOrder(tcp: Tcp, intake: Intake, seq: number, length: number): number {
  const reassembly = intake.reassembly!
  const { held } = reassembly
  reassembly.duplicateLeft = seq
  reassembly.duplicateRight = seq
  const kept = reassembly.makeRoom(0, seq, length)
  tcp.memoryUsed += reassembly.held - held
  if (reassembly.duplicateLeft !== reassembly.duplicateRight)
    noteDuplicate(intake, reassembly.duplicateLeft, reassembly.duplicateRight)
  if (reassembly.count === 0) {
    intake.reassembly = null
    tcp.intakes.giveReassembly(reassembly)
  }
  return kept
}

/** RFC 2883 §4: the first duplicate since the last acknowledgment is what the next one reports. */
export function noteDuplicate(intake: Intake, left: number, right: number): void {
  if (intake.hasDuplicate) return
  intake.hasDuplicate = true
  intake.duplicateLeft = left
  intake.duplicateRight = right
}

/** A message in blocks of its size, if those it is in are much larger; the message itself otherwise. @param mp - consumed */
export function condensed(tcp: Tcp, mp: Mblk): Mblk {
  const size = messageBytes(mp)
  const alone = size + HEADROOM_BYTES <= FRAME_BLOCK_BYTES
  const needed = alone ? size + HEADROOM_BYTES : size + FRAME_BLOCK_BYTES
  if (needed * CONDENSE_RATIO > heldBytes(mp)) return mp
  const small = alone ? allocb(tcp.arena, size, HEADROOM_BYTES) : frames(tcp, size)
  if (small === null) return mp
  let at = 0
  for (let bp: Mblk | null = small; bp !== null; bp = bp.cont) {
    const part = Math.min(size - at, bp.dblk.lim - bp.wptr)
    readMessage(mp, at, bp.dblk.bytes, bp.wptr, part, 'stack')
    bp.wptr += part
    at += part
  }
  copyHead(small, mp)
  tcp.counters.condensed++
  mp.next = null
  mp.prev = null
  freemsg(mp)
  return small
}

/** Blocks of one frame each, for so many bytes together. */
function frames(tcp: Tcp, size: number): Mblk | null {
  let head: Mblk | null = null
  for (; size > 0; size -= FRAME_BLOCK_BYTES) {
    const bp = allocb(tcp.arena, FRAME_BLOCK_BYTES)
    if (bp === null) {
      if (head !== null) freemsg(head)
      return null
    }
    bp.cont = head
    head = bp
  }
  return head
}

/**
 * The blocks to put on the next acknowledgment (RFC 2018 §4, RFC 2883): a duplicate to report first, then the newest.
 * @param out - left and right edges in turn, at least 8
 * @returns blocks, 0 to 4; a duplicate stays reported until `ackSent`
 */
export function sackBlocks(tcp: Tcp, tcb: Tcb, out: Int32Array): number {
  const { intake } = tcb
  if (intake === null) return 0
  const { reassembly } = intake
  let count = 0
  if (intake.hasDuplicate) {
    out[0] = intake.duplicateLeft
    out[1] = intake.duplicateRight
    tcp.counters['dsack-out']++
    count = 1
  }
  if (reassembly === null) return count
  if (count === 1) {
    // RFC 2883 §4.2: a duplicate within a block that is not acknowledged yet is followed by that block.
    const place = reassembly.rangeAround(intake.duplicateLeft)
    if (place >= 0) {
      out[2] = reassembly.startAt(place)
      out[3] = reassembly.endAt(place)
      count = 2
    }
  }
  return count + newestOthers(reassembly, out, count)
}

const scratch = new Int32Array(8)

/** Adds the newest ranges that are not on the list yet. */
function newestOthers(reassembly: Reassembly, out: Int32Array, count: number): number {
  if (count < 2) return reassembly.newest(out, 2 * count, 4 - count)
  const found = reassembly.newest(scratch, 0, 4)
  let added = 0
  for (let i = 0; i < found && count + added < 4; i++) {
    if (scratch[2 * i] === out[2]) continue
    out[2 * (count + added)] = scratch[2 * i]!
    out[2 * (count + added) + 1] = scratch[2 * i + 1]!
    added++
  }
  return added
}
