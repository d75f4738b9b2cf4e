/**
 * What a connection holds only while it receives: in order for the program, out of order for a gap to close, and what it
 * measures meanwhile. Pooled; an idle connection has none.
 */
import { freemsg } from '../../streams/mblk/alloc.ts'
import { FRAME_BLOCK_BYTES } from '../../streams/mblk/arena.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { messageBytes } from '../../streams/mblk/message.ts'
import {
  COALESCE_BYTES,
  canShrink,
  coalesce,
  condensed,
  heldBytes,
  isLoose,
  mayStayLoose,
} from './condense.ts'
import type { Reassembly } from './reassembly.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Segments at the beginning that are acknowledged at once, so that the peer's slow start is not held up (as Linux). */
export const QUICK_ACKS = 16
/** Messages that {@link condenseStored} copies in one go. */
const CONDENSE_MAX = 128
/** It looks at all messages of a connection, so that there has to be one in so many that it may gain from. */
const CONDENSE_LOOKS = 64

export class Intake {
  tcb: Tcb | null = null
  /** Messages in order, linked by `next`. */
  first: Mblk | null = null
  last: Mblk | null = null
  /** Payload bytes of these. */
  bytes = 0
  /** What they hold in memory. */
  held = 0
  /** How many these are. */
  messages = 0
  /** Messages among these that hold much more than they need, see `condense.ts`. */
  loose = 0
  /** Loose messages, here and out of order, that came since condensing was last tried, and may have gone again. */
  untried = 0
  /** What went up to the stream's head and is not known to be read: what it holds counts against the budget. */
  lent = 0
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

/**
 * Gives the record back, unless there is something that its program has still to read.
 * @param keepData - what is in order and not taken stays
 */
export function releaseIntake(tcp: Tcp, tcb: Tcb, keepData: boolean): void {
  const { intake } = tcb
  if (intake === null) return
  dropReassembly(tcp, intake)
  if (keepData && intake.first !== null) return
  while (intake.first !== null) freemsg(dequeue(tcp, intake)!)
  settleLent(tcp, tcb)
  if (intake.lent > 0) return
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
  if (isLoose(length, held)) {
    const full = intake.joining || !mayStayLoose(tcp, looseCount(intake))
    const small = length <= COALESCE_BYTES && intake.last !== null
    if (full && small && joinLast(tcp, intake, intake.last!, mp, length)) return
    // A frame's block is the next to be filled.
    if (full && (!small || held > FRAME_BLOCK_BYTES)) mp = condensed(tcp, mp)
    else keptLoose(intake, length, held)
    held = heldBytes(mp)
  }
  mp.next = null
  intake.joining = false
  if (intake.last === null) intake.first = mp
  else intake.last.next = mp
  intake.last = mp
  intake.bytes += length
  intake.held += held
  intake.messages++
  if (isLoose(length, held)) intake.loose++
  tcp.memoryUsed += held
}

/** A loose message stays as it is, for {@link condenseStored} to find if memory becomes short. */
export function keptLoose(intake: Intake, length: number, held: number): void {
  if (canShrink(length, held)) intake.untried++
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
  intake.messages--
  if (isLoose(size, held)) intake.loose--
  tcp.memoryUsed -= held
  return mp
}

/** {@link dequeue} for a stream: what it holds still counts against the budget, until {@link settleLent} finds it read. */
export function lend(tcp: Tcp, intake: Intake): Mblk | null {
  const { held } = intake
  const mp = dequeue(tcp, intake)
  const lent = held - intake.held
  intake.lent += lent
  tcp.memoryUsed += lent
  return mp
}

/** Has what a program read meanwhile count no more. */
export function settleLent(tcp: Tcp, tcb: Tcb): void {
  const { intake } = tcb
  if (intake === null || intake.lent === 0) return
  const lent = tcb.user === null ? 0 : tcp.host.unreadHeld(tcb)
  tcp.memoryUsed += lent - intake.lent
  intake.lent = lent
}

/**
 * After `rcvNxt` moved: what now follows without a gap goes behind what is in order.
 * @returns bytes by which the data in order grew: `rcvNxt` has to move on by them
 */
export function drainReassembly(tcp: Tcp, intake: Intake, rcvNxt: number): number {
  const reassembly = intake.reassembly!
  const { bytes, held, loose, messages } = reassembly
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
  intake.messages += messages - reassembly.messages
  intake.loose += loose - reassembly.loose
  if (reassembly.count === 0) {
    intake.reassembly = null
    tcp.intakes.giveReassembly(reassembly)
  }
  return taken
}

/**
 * Memory is short: loose messages, in order and out of order, move to blocks of their size, {@link CONDENSE_MAX} in one go.
 * Each is tried once, so that what a peer's segment can cost does not grow with what is stored.
 */
export function condenseStored(tcp: Tcp, intake: Intake): void {
  const { reassembly } = intake
  const messages = intake.messages + (reassembly === null ? 0 : reassembly.messages)
  if (intake.untried === 0 || CONDENSE_LOOKS * intake.untried < messages) return
  let left = CONDENSE_MAX
  let previous: Mblk | null = null
  for (let mp = intake.first; mp !== null && left > 0; mp = mp.next) {
    const { next } = mp
    const before = heldBytes(mp)
    const other = condensed(tcp, mp)
    if (other !== mp) {
      left--
      const size = messageBytes(other)
      const after = heldBytes(other)
      tcp.memoryUsed += after - before
      intake.held += after - before
      if (isLoose(size, before) && !isLoose(size, after)) intake.loose--
      other.next = next
      if (previous === null) intake.first = other
      else previous.next = other
      if (next === null) intake.last = other
      mp = other
    }
    previous = mp
  }
  if (reassembly !== null && reassembly.loose > 0 && left > 0) {
    const { held } = reassembly
    left = reassembly.replaceEach(mp => condensed(tcp, mp), left)
    tcp.memoryUsed += reassembly.held - held
  }
  // What was not moved although it was looked at has nowhere to go.
  intake.untried = left > 0 ? 0 : Math.max(1, intake.untried - CONDENSE_MAX)
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
