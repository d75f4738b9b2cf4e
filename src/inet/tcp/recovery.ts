/**
 * What the sender does about what an ACK said: which state it is in, when it takes something for lost, how much it sends
 * meanwhile (RFC 5681 §3.2, 6582, 6675, 8985, 9937). States are Linux's; see `flight.ts`.
 */
import type { AckResult } from './ack-result.ts'
import { congestionAcked, congestionSsthresh } from './congestion/control.ts'
import { CA_CWR, CA_DISORDER, CA_LOSS, CA_OPEN, CA_RECOVERY, type Flight, pipe } from './flight.ts'
import { probeLost } from './path-mtu.ts'
import { DUP_THRESHOLD, rackDetect, rackRecovered } from './rack.ts'
import { LOST, SACKED } from './scoreboard.ts'
import { F_REORDERING, F_SACK, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { beginUndo, isSpurious, undo } from './undo.ts'

/** RFC 5682 §3.1 step 3a: the congestion window when the timeout was a true one. */
const FRTO_WINDOW_SEGMENTS = 3

/**
 * Reacts to an ACK in which something happened: called with the scoreboard up to date.
 * @returns microseconds after which RACK looks again; 0: it need not
 */
export function respond(tcp: Tcp, tcb: Tcb, flight: Flight, result: AckResult): number {
  const { board } = flight
  const withSack = (tcb.flags & F_SACK) !== 0
  if (!withSack) countDuplicates(tcb, flight, result)
  if (flight.caState >= CA_CWR && ((tcb.sndUna - flight.recoveryPoint) | 0) >= 0)
    leave(tcp, tcb, flight, result, withSack)
  if (flight.caState === CA_RECOVERY) undoRecovery(tcp, tcb, flight, result)
  let wait = 0
  if (flight.caState === CA_LOSS) wait = inLoss(tcp, tcb, flight, result, withSack)
  else {
    if (
      board.sackedBytes > 0 ||
      flight.duplicateAcks > 0 ||
      board.retransmittedBytes > 0 ||
      board.lostBytes > 0
    )
      wait = detect(tcp, tcb, flight, result, withSack)
    if (flight.caState !== CA_RECOVERY) {
      if (result.dsack && flight.mayUndo && flight.undoRetransmits === 0) undo(tcp, tcb, flight, false)
      if (board.lostBytes === 0) settle(flight)
      else if (!probeLost(tcp, tcb, flight)) enterRecovery(tcp, tcb, flight, result)
    }
  }
  adjustWindow(tcp, tcb, flight, result)
  return wait
}

/** Open or disorder, by what the scoreboard shows. */
function settle(flight: Flight): void {
  if (flight.caState > CA_DISORDER) return
  flight.caState = flight.board.sackedBytes > 0 || flight.duplicateAcks > 0 ? CA_DISORDER : CA_OPEN
}

/**
 * Without SACK each duplicate ACK says that some segment left the network (RFC 5681 §3.2, RFC 9937 §6), and a partial one says
 * which did not.
 */
function countDuplicates(tcb: Tcb, flight: Flight, result: AckResult): void {
  const mss = tcb.sndMss
  if (result.advanced === 0) {
    if (!result.duplicate) return
    // After a timeout all that was in flight is taken for lost and no longer counted: only a duplicate for newer data says more.
    if (flight.caState === CA_LOSS && ((tcb.sndNxt - flight.recoveryPoint) | 0) <= 0) return
    const most = Math.max(0, flight.board.segments - 1)
    if (flight.duplicateAcks >= most) return
    flight.duplicateAcks++
    result.delivered = mss
    return
  }
  if (flight.duplicateAcks === 0) return
  // One of the acknowledged segments is the one that was missing; the others had been counted.
  const counted = Math.min(flight.duplicateAcks, Math.ceil(result.advanced / mss) - 1)
  flight.duplicateAcks -= counted
  result.delivered = Math.max(mss, result.delivered - counted * mss)
}

/** Marks what is lost. */
function detect(tcp: Tcp, tcb: Tcb, flight: Flight, result: AckResult, withSack: boolean): number {
  if (withSack) return rackDetect(tcp, tcb, flight, result)
  const partial =
    flight.caState === CA_RECOVERY && result.advanced > 0 && ((tcb.sndUna - flight.recoveryPoint) | 0) < 0
  // RFC 6582 §3.2 steps 2 and 3: three duplicates, or a partial ACK, name the first segment.
  if (partial || flight.duplicateAcks >= DUP_THRESHOLD) markFirstLost(tcb, flight, result)
  return 0
}

/** The first segment in flight is lost. */
export function markFirstLost(tcb: Tcb, flight: Flight, result: AckResult): void {
  const { board } = flight
  if (board.count === 0) return
  const slot = board.slot(0)
  if ((board.flags(slot) & (LOST | SACKED)) !== 0) return
  if (board.payloadBytes(slot) > tcb.sndMss) board.split(0, (board.seq(slot) + tcb.sndMss) | 0)
  result.lost += board.bytes(slot)
  board.markLost(slot)
}

/** RFC 5681 §3.2, 6675 §5 (4), 8985: something is lost. */
export function enterRecovery(tcp: Tcp, tcb: Tcb, flight: Flight, result: AckResult): void {
  tcp.counters['fast-retransmits']++
  if (flight.caState < CA_CWR) {
    beginUndo(tcb, flight)
    beginReduction(tcb, flight, result.delivered)
  } else flight.mayUndo = false
  flight.caState = CA_RECOVERY
  flight.recoveryPoint = tcb.sndNxt
}

/** RFC 9937 §6: from here the window comes down to the threshold in proportion to what is delivered. */
export function beginReduction(tcb: Tcb, flight: Flight, delivered: number): void {
  const { board } = flight
  flight.recoverBytes = ((tcb.sndNxt - tcb.sndUna) | 0) - board.sackedBytes + delivered
  flight.prrDelivered = 0
  flight.prrOut = 0
  flight.probeOut = false
  tcb.ssthresh = congestionSsthresh(tcb, flight)
}

/** Recovery that a timer began: the first retransmission leaves, the rest with the next ACK. */
export function reduceToFirst(tcb: Tcb, flight: Flight): void {
  tcb.cwnd = pipe(tcb, flight) + tcb.sndMss
}

/** RFC 9937 §6, on an ACK that delivered something. */
function reduce(tcb: Tcb, flight: Flight, result: AckResult): void {
  const { delivered } = result
  if (delivered <= 0) return
  const mss = tcb.sndMss
  const inFlight = pipe(tcb, flight)
  flight.prrDelivered += delivered
  let out: number
  if (inFlight > tcb.ssthresh) {
    out = Math.ceil((flight.prrDelivered * tcb.ssthresh) / Math.max(1, flight.recoverBytes)) - flight.prrOut
  } else {
    out = Math.max(flight.prrDelivered - flight.prrOut, delivered)
    // "SafeACK": it goes forward and nothing more was lost.
    if (result.advanced > 0 && result.lost === 0) out += mss
    out = Math.min(tcb.ssthresh - inFlight, out)
  }
  // The first retransmission leaves at once.
  if (flight.prrOut === 0 && out < mss) out = mss
  tcb.cwnd = inFlight + Math.max(0, out)
}

/** The window that was in flight when the trouble began is acknowledged. */
function leave(tcp: Tcp, tcb: Tcb, flight: Flight, result: AckResult, withSack: boolean): void {
  const inTime = flight.caState === CA_LOSS && flight.frto && withSack && result.originalDelivered
  if (inTime || isSpurious(tcb, flight, result)) {
    undo(tcp, tcb, flight, flight.caState === CA_LOSS)
  } else if (
    !withSack &&
    flight.caState >= CA_RECOVERY &&
    tcb.sndUna === flight.recoveryPoint &&
    flight.board.count > 0
  ) {
    // RFC 6582 §4: duplicates of retransmissions may still come; only what is above the point ends it.
    flight.duplicateAcks = 0
    return
  } else if (flight.caState === CA_RECOVERY || flight.caState === CA_CWR) {
    if (tcb.cwnd !== tcb.ssthresh && tcb.ssthresh < 0x7fffffff)
      tcb.cwnd = Math.max(tcb.ssthresh, 2 * tcb.sndMss)
  }
  if (flight.caState === CA_RECOVERY) rackRecovered(flight)
  if (!withSack) flight.duplicateAcks = 0
  flight.frto = false
  flight.caState = CA_OPEN
  settle(flight)
}

/** Takes the reduction back if all that was sent again was sent for nothing, and nothing of it is still on its way. */
function undoRecovery(tcp: Tcp, tcb: Tcb, flight: Flight, result: AckResult): void {
  if (!isSpurious(tcb, flight, result)) return
  // A path that reorders so far that it looks like loss (RFC 8985 §6.2 step 4).
  tcb.flags |= F_REORDERING
  if (flight.undoRetransmits !== 0 && flight.board.retransmittedBytes > 0) return
  undo(tcp, tcb, flight, true)
  flight.caState = CA_OPEN
  settle(flight)
}

/** After a retransmission timeout: slow start, unless the timeout was spurious (RFC 5682 §3.1). */
function inLoss(tcp: Tcp, tcb: Tcb, flight: Flight, result: AckResult, withSack: boolean): number {
  if (isSpurious(tcb, flight, result)) return endLoss(tcp, tcb, flight)
  if (flight.frto && withSack) {
    // Step 3b: what was sent before the timeout, and only then, arrives: it was not lost.
    if (result.originalDelivered) return endLoss(tcp, tcb, flight)
    if (((tcb.sndNxt - flight.recoveryPoint) | 0) > 0) {
      // Step 3a: after new data a duplicate.
      if (result.sacked > 0 || result.advanced === 0) {
        flight.frto = false
        // So much that one retransmission may leave beside the two new segments, whatever became of them.
        tcb.cwnd = Math.max(tcb.cwnd, FRTO_WINDOW_SEGMENTS * tcb.sndMss)
      }
    } else if (result.advanced > 0) {
      // Step 2b: the retransmission was acknowledged; new data tells whether the rest arrives by itself.
      flight.recoveryPoint = tcb.sndNxt
      flight.newDataFirst =
        flight.queue.endSeq !== tcb.sndNxt && ((tcb.sndUna + tcb.sndWnd - tcb.sndNxt) | 0) > 0
      if (!flight.newDataFirst) flight.frto = false
    }
  }
  return withSack ? rackDetect(tcp, tcb, flight, result) : 0
}

function endLoss(tcp: Tcp, tcb: Tcb, flight: Flight): number {
  undo(tcp, tcb, flight, true)
  flight.frto = false
  flight.caState = CA_OPEN
  settle(flight)
  return 0
}

/** RFC 5681 §3.1 step 4, RFC 6298 §5.4 ff.: the retransmission timer ran out. Marks what is lost; the caller sends. */
export function enterLoss(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  const { board } = flight
  const fresh = flight.caState < CA_RECOVERY
  const over = ((tcb.sndUna - flight.recoveryPoint) | 0) >= 0
  if (flight.caState < CA_CWR || over || (flight.caState === CA_LOSS && tcb.backoff === 0)) {
    beginUndo(tcb, flight)
    tcb.ssthresh = congestionSsthresh(tcb, flight)
    // RFC 9438 §4.8: what the window was before a timeout says nothing any more.
    tcb.wMax = 0
  }
  // RFC 2018 §8: a peer that had SACKed what it now should acknowledge has thrown it away.
  if (board.count > 0 && (board.flags(board.slot(0)) & SACKED) !== 0) {
    tcp.counters['sack-reneged']++
    board.clearMarks(SACKED)
    flight.rackKnown = false
  }
  flight.duplicateAcks = 0
  markAllLost(tcp, tcb, flight)
  flight.caState = CA_LOSS
  flight.probeOut = false
  flight.newDataFirst = false
  flight.recoveryPoint = tcb.sndNxt
  flight.cwndLimited = false
  tcb.cwnd = pipe(tcb, flight) + tcb.sndMss
  // RFC 5682 §2.1: not when a retransmission was lost again. What was doubled before the last progress says nothing of that.
  flight.frto = (fresh || flight.timeouts > 0) && (tcb.flags & F_SACK) !== 0 && flight.mtuProbeSize === 0
}

/** RFC 8985 §6.3: the first, and whatever RACK would take for lost by now. */
function markAllLost(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  const { board } = flight
  const byTime = flight.rackKnown && (tcb.flags & F_SACK) !== 0
  const age = flight.rackRttUs + Math.min(flight.reorderMultiplier * (tcb.minRtt >> 2), tcb.srtt)
  for (let i = 0; i < board.count; i++) {
    const slot = board.slot(i)
    const flags = board.flags(slot)
    if ((flags & SACKED) !== 0) continue
    if (i > 0 && byTime && ((tcp.nowUs - board.xmitUs(slot)) | 0) < age) continue
    board.markLost(slot)
  }
}

/** PRR while the window comes down, growth otherwise. */
function adjustWindow(tcp: Tcp, tcb: Tcb, flight: Flight, result: AckResult): void {
  const { caState } = flight
  if (caState === CA_RECOVERY || caState === CA_CWR) {
    reduce(tcb, flight, result)
    return
  }
  // In disorder only what moves forward lets it grow (RFC 3042 sends a segment for each duplicate, no more).
  const bytes =
    caState === CA_DISORDER && (tcb.flags & F_REORDERING) === 0
      ? Math.min(result.advanced, result.delivered)
      : result.delivered
  if (bytes > 0) congestionAcked(tcp, tcb, flight, bytes, result.newestUs)
}
