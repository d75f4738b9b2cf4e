/** Loss by time (RFC 8985): what was sent before something that arrived, and long enough ago, is lost. */
import type { AckResult } from './ack-result.ts'
import { CA_RECOVERY, type Flight } from './flight.ts'
import { EVER_RETRANSMITTED } from './scoreboard.ts'
import { F_REORDERING, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** RFC 8985 §6.2 step 5: with so many segments SACKed a path that never reordered has lost something (RFC 5681 DupThresh). */
export const DUP_THRESHOLD = 3
/** Recoveries for which a reordering window that a D-SACK widened stays so. */
const REORDER_PERSIST = 16
/** It need not be wider than a round trip: {@link reorderWindow}. */
const REORDER_MULTIPLIER_MAX = 64

/**
 * A record, or its first part, was delivered (§6.2 steps 2 to 4).
 * @param end - one past its last sequence number, as far as it was delivered
 */
export function rackDelivered(
  tcp: Tcp,
  tcb: Tcb,
  flight: Flight,
  result: AckResult,
  xmitUs: number,
  end: number,
  flags: number,
): void {
  const rtt = (tcp.nowUs - xmitUs) | 0
  if ((flags & EVER_RETRANSMITTED) === 0) {
    if (rtt > result.oldestUs) result.oldestUs = rtt
    if (result.newestUs < 0 || rtt < result.newestUs) result.newestUs = rtt
    if (((end - flight.recoveryPoint) | 0) <= 0) result.originalDelivered = true
    // Step 4: it came after what was sent later.
    if (((end - result.fackBefore) | 0) < 0) tcb.flags |= F_REORDERING
  } else {
    result.retransmittedAcked = true
    if (result.hasTimestamps) {
      const sentAt = (tcp.nowMs + tcb.tsOffset - Math.ceil(rtt / 1_000)) | 0
      if (((result.tsEcho - sentAt) | 0) < 0) result.ambiguous = true
    }
    // Step 2: the ACK is for an earlier transmission.
    if (rtt < tcb.minRtt || result.ambiguous) return
  }
  if (((end - flight.fack) | 0) > 0) flight.fack = end
  if (flight.rackKnown && !sentAfter(xmitUs, end, flight.rackXmitUs, flight.rackEnd)) return
  flight.rackKnown = true
  flight.rackXmitUs = xmitUs
  flight.rackEnd = end
  flight.rackRttUs = rtt
}

/** Whether the first was sent after the second (§6.1: of one burst the higher is the later). */
function sentAfter(aUs: number, aEnd: number, bUs: number, bEnd: number): boolean {
  const later = (aUs - bUs) | 0
  return later > 0 || (later === 0 && ((aEnd - bEnd) | 0) > 0)
}

/** §6.2 step 4: an ACK with a D-SACK widens the window, once in a round trip. */
export function rackDsack(tcb: Tcb, flight: Flight): void {
  if (flight.dsackRound && ((tcb.sndUna - flight.dsackRoundEnd) | 0) < 0) return
  flight.dsackRound = true
  flight.dsackRoundEnd = tcb.sndNxt
  flight.reorderPersist = REORDER_PERSIST
  if (flight.reorderMultiplier < REORDER_MULTIPLIER_MAX) flight.reorderMultiplier++
}

/** A recovery ended. */
export function rackRecovered(flight: Flight): void {
  if (flight.reorderPersist > 0 && --flight.reorderPersist === 0) flight.reorderMultiplier = 1
}

/** How much later than its turn a segment may come, in microseconds (§6.2 step 4). */
export function reorderWindow(tcb: Tcb, flight: Flight): number {
  if ((tcb.flags & F_REORDERING) === 0) {
    if (flight.caState >= CA_RECOVERY || flight.board.sackedSegments >= DUP_THRESHOLD) return 0
  }
  return Math.min(flight.reorderMultiplier * (tcb.minRtt >> 2), tcb.srtt)
}

/**
 * Marks what is lost (§6.2 step 5). Looks in order of transmission and stops at the first that is not: each
 * record is passed once.
 * @returns microseconds until the next may be lost; 0: nothing waits for that
 */
export function rackDetect(tcp: Tcp, tcb: Tcb, flight: Flight, result: AckResult): number {
  if (!flight.rackKnown) return 0
  const { board } = flight
  const age = flight.rackRttUs + reorderWindow(tcb, flight)
  for (let slot = board.oldest; slot >= 0; ) {
    const next = board.newer(slot)
    const xmitUs = board.xmitUs(slot)
    if (!sentAfter(flight.rackXmitUs, flight.rackEnd, xmitUs, board.end(slot))) return 0
    const left = age - ((tcp.nowUs - xmitUs) | 0)
    if (left > 0) return left
    result.lost += board.bytes(slot)
    board.markLost(slot)
    slot = next
  }
  return 0
}
