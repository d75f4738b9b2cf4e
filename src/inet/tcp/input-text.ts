/** Seventh and eighth of RFC 9293 §3.10.7.4: the data of a segment, and its FIN. */
import { adjmsg, dropEmptyHead } from '../../streams/mblk/message.ts'
import { FIN } from '../wire/tcp.ts'
import { ackNow, dataReceived } from './ack-policy.ts'
import { enterTimeWait, finish } from './close.ts'
import { condensed, heldBytes, inHeaders, isLoose, lentBytes, mayStayLoose } from './condense.ts'
import { emitTcbReset } from './emit.ts'
import {
  clearForInOrder,
  condenseStored,
  drainReassembly,
  dropReassembly,
  enqueue,
  type Intake,
  keptLoose,
  looseCount,
  noteDuplicate,
  takeIntake,
} from './intake.ts'
import {
  CRUMB_BYTES,
  littleBytes,
  PLACE_CRUMB,
  PLACE_HEADERS,
  PLACE_NONE,
  PRESSURE_HARD,
  PRESSURE_NONE,
  placeFor,
  pressure,
} from './memory.ts'
import type { Reassembly } from './reassembly.ts'
import { unreadBytes } from './receive.ts'
import type { Segment } from './segment.ts'
import { CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT_1, mayReceive } from './states.ts'
import { F_FIN_RECEIVED, F_ORPHAN, F_SACK, F_UNACCEPTED, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** @param seg - acceptable; what is kept of its data is taken out of it */
export function textIn(tcp: Tcp, tcb: Tcb, seg: Segment): void {
  if (!mayReceive(tcb.state)) {
    // Nothing can follow the peer's FIN, and a FIN that comes again shows that our ACK was lost.
    ackNow(tcp, tcb)
    return
  }
  if (!trim(tcp, tcb, seg)) return
  if (seg.length > 0) {
    if ((tcb.flags & F_ORPHAN) !== 0) return dataAfterClose(tcp, tcb)
    const intake = takeIntake(tcp, tcb)
    if (seg.seq !== tcb.rcvNxt) return outOfOrder(tcp, tcb, intake, seg)
    if (!inOrder(tcp, tcb, intake, seg)) return
  } else if (seg.seq !== tcb.rcvNxt) return outOfOrder(tcp, tcb, takeIntake(tcp, tcb), seg)
  const { intake } = tcb
  if ((seg.control & FIN) !== 0 || (intake?.hasFin && ((tcb.rcvNxt - intake.finSeq) | 0) >= 0))
    return finIn(tcp, tcb)
  tellReadable(tcp, tcb)
}

/** Makes it the idealized segment: not before `rcvNxt`, not beyond the window. @returns false if nothing remains */
function trim(tcp: Tcp, tcb: Tcb, seg: Segment): boolean {
  const old = (tcb.rcvNxt - seg.seq) | 0
  if (old > 0) {
    if (seg.length > 0) {
      tcp.counters['duplicate-data']++
      if ((tcb.flags & F_SACK) !== 0)
        noteDuplicate(takeIntake(tcp, tcb), seg.seq, (seg.seq + Math.min(old, seg.length)) | 0)
    }
    ackNow(tcp, tcb)
    if (old > seg.length || (old === seg.length && (seg.control & FIN) === 0)) return false
    if (old < seg.length) {
      adjmsg(seg.data!, old)
      seg.data = dropEmptyHead(seg.data!)
    }
    seg.seq = tcb.rcvNxt
    seg.length -= old
  }
  const room = (tcb.rcvAdv - seg.seq) | 0
  if (seg.length <= room || seg.length === 0) return true
  // A sender that keeps to the window does not come here, save with the byte that probes it (RFC 9293 §3.8.6.1).
  if (seg.length > 1) tcp.counters['window-violated']++
  ackNow(tcp, tcb)
  seg.control &= ~FIN
  if (room <= 0) return false
  adjmsg(seg.data!, room - seg.length)
  seg.length = room
  return true
}

/** @returns false if it was not taken for want of memory */
function inOrder(tcp: Tcp, tcb: Tcb, intake: Intake, seg: Segment): boolean {
  const pressed = pressure(tcp)
  if (pressed === PRESSURE_HARD && !takeLittle(tcp, tcb, seg)) {
    tcp.counters['memory-pressure']++
    return false
  }
  let { length } = seg
  const data = seg.data!
  if (intake.reassembly !== null) {
    if ((seg.control & FIN) !== 0) dropReassembly(tcp, intake)
    else {
      const kept = clearForInOrder(tcp, intake, seg.seq, length)
      if (kept < length) adjmsg(data, kept - length)
      length = kept
    }
    // RFC 5681 §4.2: a segment that fills a gap is acknowledged at once.
    ackNow(tcp, tcb)
  }
  if (pressed !== PRESSURE_NONE) tcp.intakes.squeeze(tcp)
  enqueue(tcp, intake, data, length)
  seg.data = null
  tcb.rcvNxt = (tcb.rcvNxt + length) | 0
  if (intake.reassembly !== null) {
    const drained = drainReassembly(tcp, intake, tcb.rcvNxt)
    tcb.rcvNxt = (tcb.rcvNxt + drained) | 0
  }
  dataReceived(tcp, tcb, intake, seg, length)
  return true
}

/**
 * While memory is spent, who has nothing to read yet may have a segment's worth, so that everybody comes on whose program
 * reads. What is more is cut off.
 * @returns false if not even that
 */
function takeLittle(tcp: Tcp, tcb: Tcb, seg: Segment): boolean {
  if (unreadBytes(tcp, tcb) > 0) return false
  const place = placeFor(tcp, seg.length)
  if (place === PLACE_NONE) return false
  const most = place === PLACE_CRUMB ? CRUMB_BYTES : littleBytes(tcb)
  if (seg.length > most) {
    adjmsg(seg.data!, most - seg.length)
    seg.length = most
    seg.control &= ~FIN
  }
  if (place === PLACE_HEADERS) seg.data = inHeaders(tcp, seg.data!)
  return true
}

/** SHLD-31: held until the gap closes, in bounded memory; acknowledged at once (RFC 5681 §4.2). */
function outOfOrder(tcp: Tcp, tcb: Tcb, intake: Intake, seg: Segment): void {
  ackNow(tcp, tcb)
  const { counters } = tcp
  const end = (seg.seq + seg.length) | 0
  if (intake.hasFin && ((end - intake.finSeq) | 0) > 0) {
    counters['data-after-fin']++
    return
  }
  if ((seg.control & FIN) !== 0) {
    intake.hasFin = true
    intake.finSeq = end
  }
  if (seg.length === 0) return
  counters['out-of-order-in']++
  intake.reassembly ??= tcp.intakes.takeReassembly()
  const { reassembly } = intake
  const pressed = pressure(tcp)
  if (
    reassembly.messages >= tcp.settings.reassemblySegments ||
    holdsTooMuch(tcp, tcb, intake, reassembly) ||
    pressed >= PRESSURE_HARD
  ) {
    // Checklist 3.5-47: what is furthest from being of use goes first.
    if (reassembly.count === 0 || ((end - reassembly.highest) | 0) > 0) {
      counters['reassembly-full']++
      if (reassembly.count === 0) dropReassembly(tcp, intake)
      return
    }
    counters['reassembly-pruned']++
    tcp.memoryUsed -= reassembly.pruneHighest()
  }
  let data = seg.data!
  seg.data = null
  if (pressed !== PRESSURE_NONE) tcp.intakes.squeeze(tcp)
  const held = heldBytes(data)
  if (isLoose(seg.length, held)) {
    if (mayStayLoose(tcp, looseCount(intake))) keptLoose(intake, seg.length, held)
    else data = condensed(tcp, data)
  }
  const { loose } = reassembly
  tcp.memoryUsed += reassembly.insert(data, seg.seq, seg.length)
  // What was there already was cut off.
  if (reassembly.loose > loose && !isLoose(seg.length, held)) intake.untried++
  if (reassembly.duplicateLeft === reassembly.duplicateRight) return
  counters['duplicate-data']++
  if ((tcb.flags & F_SACK) !== 0) noteDuplicate(intake, reassembly.duplicateLeft, reassembly.duplicateRight)
}

/** A window of messages that are not loose holds less than four times as much, and the rest is lent. */
function holdsTooMuch(tcp: Tcp, tcb: Tcb, intake: Intake, reassembly: Reassembly): boolean {
  if (reassembly.held <= 4 * tcb.rcvBuf) return false
  if (reassembly.held <= 4 * tcb.rcvBuf + lentBytes(tcp)) return false
  condenseStored(tcp, intake)
  return reassembly.held > 4 * tcb.rcvBuf + lentBytes(tcp)
}

/** Eighth: the FIN is in order. */
function finIn(tcp: Tcp, tcb: Tcb): void {
  tcb.rcvNxt = (tcb.rcvNxt + 1) | 0
  tcb.flags |= F_FIN_RECEIVED
  ackNow(tcp, tcb)
  if (tcb.intake !== null) dropReassembly(tcp, tcb.intake)
  if (tcb.state === ESTABLISHED) tcb.state = CLOSE_WAIT
  else if (tcb.state === FIN_WAIT_1) tcb.state = CLOSING
  else {
    tellReadable(tcp, tcb)
    enterTimeWait(tcp, tcb)
    return
  }
  tellReadable(tcp, tcb)
}

function tellReadable(tcp: Tcp, tcb: Tcb): void {
  if ((tcb.flags & (F_ORPHAN | F_UNACCEPTED)) === 0) tcp.host.readable(tcb)
}

/** RFC 9293 §3.6.1, RFC 2525 §2.17: nobody will ever read it, and the peer is to know. */
function dataAfterClose(tcp: Tcp, tcb: Tcb): void {
  tcp.counters['data-after-close']++
  emitTcbReset(tcp, tcb)
  finish(tcp, tcb, 'aborted')
}
