/**
 * What a connection holds only while it receives: in order for the program, out of order for a gap to close, and what it
 * measures meanwhile. Pooled; an idle connection has none.
 */
import { freemsg } from '../../streams/mblk/alloc.ts'
import { FRAME_BLOCK_BYTES } from '../../streams/mblk/arena.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { messageBytes } from '../../streams/mblk/message.ts'
import { COALESCE_BYTES, coalesce, condensed, heldBytes, isLoose, mayStayLoose } from './condense.ts'
import { PRESSURE_NONE, pressure } from './memory.ts'
import { Reassembly } from './reassembly.ts'
import { F_URGENT_IN, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** A record of a connection that received nothing for so long, and holds nothing, goes back to the pool. */
const IDLE_MS = 1_000
/** How often connections that memory keeps small are looked at: no peer waits for its persist timer. */
const RELIEF_MS = 50
/** Records in the pool; more are left to the garbage collector. */
const POOL_MAX = 1_024
/** Records that {@link IntakePool.expire} looks at in one go: many take their turns within {@link IDLE_MS}. */
const LOOKS = 256
/** Segments at the beginning that are acknowledged at once, so that the peer's slow start is not held up (as Linux). */
export const QUICK_ACKS = 16
export class Intake {
  tcb: Tcb | null = null
  /** Messages in order, linked by `next`. */
  first: Mblk | null = null
  last: Mblk | null = null
  /** Payload bytes of these. */
  bytes = 0
  /** What they hold in memory. */
  held = 0
  /** Messages among these that hold much more than they need, see `condense.ts`. */
  loose = 0
  /** Small messages were put behind the last one: its block is to be filled. */
  joining = false
  reassembly: Reassembly | null = null
  /** A FIN that came before what is in front of it: the sequence number that it takes. */
  hasFin = false
  finSeq = 0
  /** Its window was kept small for want of memory. */
  heldBack = false
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
  /** Records whose connections' windows were kept small for want of memory. */
  private heldBack = 0
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
    if (intake.heldBack) this.release(intake)
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

  /** Notes that memory kept a window small: {@link expire} has it announced anew when there is some. */
  holdBack(tcp: Tcp, intake: Intake): void {
    if (intake.heldBack) return
    intake.heldBack = true
    this.heldBack++
    if (((this.lookAt - tcp.nowMs) | 0) <= RELIEF_MS) return
    this.lookAt = (tcp.nowMs + RELIEF_MS) | 0
    tcp.host.timerMoved()
  }

  private release(intake: Intake): void {
    intake.heldBack = false
    this.heldBack--
  }

  /**
   * Looks at some records, so that those of idle connections come back as fast as new ones are needed.
   * @param opened - called for those whose window memory kept small, when it does no longer
   */
  sweep(tcp: Tcp, looks: number, opened: ((tcp: Tcp, tcb: Tcb) => void) | null = null): void {
    const relief = opened !== null && this.heldBack > 0 && pressure(tcp) === PRESSURE_NONE
    for (let i = 0; i < looks && this.oldest !== null; i++) {
      const intake = this.oldest
      const tcb = intake.tcb!
      if (isIdle(tcp, tcb, intake)) {
        tcb.intake = null
        this.give(intake)
      } else {
        this.unlink(intake)
        this.link(intake)
        if (!relief || !intake.heldBack) continue
        this.release(intake)
        opened(tcp, tcb)
      }
    }
  }

  /** Memory is short: two records at a time give back what they hold beyond their need. As many turns as segments that come meanwhile. */
  squeeze(tcp: Tcp): void {
    for (let i = 0; i < 2 && this.oldest !== null; i++) {
      const intake = this.oldest
      this.unlink(intake)
      this.link(intake)
      if (looseCount(intake) > 0) condenseStored(tcp, intake)
    }
  }

  /** When to call {@link expire} next; null while no record is in use. */
  pollAt(): number | null {
    return this.inUse === 0 ? null : this.lookAt
  }

  /** Has idle connections give their records back, also when nothing comes any more. @param opened - as of {@link sweep} */
  expire(tcp: Tcp, opened: (tcp: Tcp, tcb: Tcb) => void): void {
    if (this.inUse === 0 || ((tcp.nowMs - this.lookAt) | 0) < 0) return
    this.sweep(tcp, Math.min(LOOKS, this.inUse), opened)
    this.wait(tcp)
  }

  /** Sets the next look, so that every record is looked at once in {@link IDLE_MS}. */
  wait(tcp: Tcp): void {
    const turns = Math.ceil(this.inUse / LOOKS)
    const wait = Math.max(1, Math.floor(IDLE_MS / Math.max(1, turns)))
    this.lookAt = (tcp.nowMs + (this.heldBack > 0 ? Math.min(wait, RELIEF_MS) : wait)) | 0
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
    !intake.heldBack &&
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
 * Puts a message at the end of what is in order. Where loose ones may be no more, small ones share blocks, so that a window
 * full of single bytes holds no more than one of full segments.
 * @param mp - consumed; @param length - its bytes
 */
export function enqueue(tcp: Tcp, intake: Intake, mp: Mblk, length: number): void {
  let held = heldBytes(mp)
  if (isLoose(length, held) && (intake.joining || !mayStayLoose(tcp, looseCount(intake)))) {
    const small = length <= COALESCE_BYTES && intake.last !== null
    if (small && joinLast(tcp, intake, intake.last!, mp, length)) return
    // A frame's block is the next to be filled.
    if (!small || held > FRAME_BLOCK_BYTES) mp = condensed(tcp, mp)
    held = heldBytes(mp)
  }
  mp.next = null
  intake.joining = false
  if (intake.last === null) intake.first = mp
  else intake.last.next = mp
  intake.last = mp
  intake.bytes += length
  intake.held += held
  if (isLoose(length, held)) intake.loose++
  tcp.memoryUsed += held
}

/** Loose messages of the connection, in order and out of order. */
export function looseCount(intake: Intake): number {
  return intake.loose + (intake.reassembly === null ? 0 : intake.reassembly.loose)
}

/** Copies a message behind the last one, which is less loose by that. @param mp - freed if it returns true */
function joinLast(tcp: Tcp, intake: Intake, last: Mblk, mp: Mblk, length: number): boolean {
  if (!coalesce(tcp, last, mp, length)) return false
  const size = messageBytes(last)
  const held = heldBytes(last)
  if (isLoose(size - length, held) && !isLoose(size, held)) intake.loose--
  intake.bytes += length
  intake.joining = true
  return true
}

/** Takes the first message. */
export function dequeue(tcp: Tcp, intake: Intake): Mblk | null {
  const mp = intake.first
  if (mp === null) return null
  intake.first = mp.next
  if (mp.next === null) {
    intake.last = null
    intake.joining = false
  }
  mp.next = null
  mp.prev = null
  const held = heldBytes(mp)
  const size = messageBytes(mp)
  intake.bytes -= size
  intake.held -= held
  if (isLoose(size, held)) intake.loose--
  tcp.memoryUsed -= held
  return mp
}

/**
 * After `rcvNxt` moved: what now follows without a gap goes behind what is in order.
 * @returns bytes by which the data in order grew: `rcvNxt` has to move on by them
 */
export function drainReassembly(tcp: Tcp, intake: Intake, rcvNxt: number): number {
  const reassembly = intake.reassembly!
  const { bytes, held, loose } = reassembly
  const mp = reassembly.takeAt(rcvNxt)
  if (mp === null) return 0
  const taken = bytes - reassembly.bytes
  mp.prev = null
  if (intake.last === null) intake.first = mp
  else intake.last.next = mp
  intake.last = reassembly.takenLast
  intake.joining = false
  reassembly.takenLast = null
  intake.bytes += taken
  intake.held += held - reassembly.held
  intake.loose += loose - reassembly.loose
  if (reassembly.count === 0) {
    intake.reassembly = null
    tcp.intakes.giveReassembly(reassembly)
  }
  return taken
}

/** Memory is short: loose messages, in order and out of order, move to blocks of their size. */
export function condenseStored(tcp: Tcp, intake: Intake): void {
  let previous: Mblk | null = null
  for (let mp = intake.first; mp !== null && intake.loose > 0; mp = mp.next) {
    const { next } = mp
    const before = heldBytes(mp)
    const other = condensed(tcp, mp)
    if (other !== mp) {
      const saved = before - heldBytes(other)
      tcp.memoryUsed -= saved
      intake.held -= saved
      intake.loose--
      other.next = next
      if (previous === null) intake.first = other
      else previous.next = other
      if (next === null) intake.last = other
      mp = other
    }
    previous = mp
  }
  const { reassembly } = intake
  if (reassembly === null || reassembly.loose === 0) return
  const { held } = reassembly
  reassembly.replaceEach(mp => condensed(tcp, mp))
  tcp.memoryUsed += reassembly.held - held
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
