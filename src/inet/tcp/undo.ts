/**
 * Taking a reduction of the window back when it turns out that nothing was lost: by D-SACKs (RFC 3708), by the
 * timestamps of ACKs that answer the original (Eifel, RFC 3522 and 4015), or by F-RTO (RFC 5682).
 */
import type { AckResult } from './ack-result.ts'
import { CA_LOSS, type Flight } from './flight.ts'
import { LOST } from './scoreboard.ts'
import { F_TIMESTAMPS, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Remembers the windows as they are before a reduction. */
export function beginUndo(tcb: Tcb, flight: Flight): void {
  flight.mayUndo = true
  flight.undoMarker = tcb.sndUna
  flight.undoRetransmits = flight.board.retransmittedBytes > 0 ? flight.board.retransmittedSegments : -1
  flight.undoCwnd = tcb.cwnd
  flight.undoSsthresh = tcb.ssthresh
  flight.undoWMax = tcb.wMax
  flight.hasRetransmitStamp = false
}

export function endUndo(flight: Flight): void {
  flight.mayUndo = false
  flight.undoRetransmits = -1
}

/** Something was sent again. @param segments - how many */
export function undoRetransmitted(tcp: Tcp, tcb: Tcb, flight: Flight, segments: number): void {
  if (!flight.hasRetransmitStamp) {
    flight.hasRetransmitStamp = true
    flight.retransmitStamp = (tcp.nowMs + tcb.tsOffset) | 0
  }
  flight.undoRetransmits = segments + Math.max(flight.undoRetransmits, 0)
}

/** A duplicate arrived at the peer: one retransmission, of those since the marker, was needless. */
export function undoDsack(tcb: Tcb, flight: Flight, left: number, length: number): void {
  if (!flight.mayUndo || flight.undoRetransmits <= 0 || ((left - flight.undoMarker) | 0) < 0) return
  const segments = Math.max(1, Math.ceil(length / tcb.sndMss))
  flight.undoRetransmits = Math.max(0, flight.undoRetransmits - segments)
}

/** Whether the reduction was needless, as far as this ACK shows. */
export function isSpurious(tcb: Tcb, flight: Flight, result: AckResult): boolean {
  if (!flight.mayUndo) return false
  if (flight.undoRetransmits === 0) return true
  // What was taken for lost arrived before it was sent again: ACKs of one burst, or a link that was busy. It was late.
  if (flight.undoRetransmits < 0 && !flight.hasRetransmitStamp) return result.advanced > 0
  // RFC 3522 §3.2: the ACK of the first retransmission echoes an older timestamp than the retransmission bore.
  return (
    result.advanced > 0 &&
    (tcb.flags & F_TIMESTAMPS) !== 0 &&
    result.hasTimestamps &&
    result.tsEcho !== 0 &&
    flight.hasRetransmitStamp &&
    ((result.tsEcho - flight.retransmitStamp) | 0) < 0
  )
}

/**
 * Restores the windows (RFC 4015 §3.2), and in the state of loss takes back all marks: the data is on its way.
 * @param unmark - nothing is lost
 */
export function undo(tcp: Tcp, tcb: Tcb, flight: Flight, unmark: boolean): void {
  if (unmark) flight.board.clearMarks(LOST)
  if (flight.caState === CA_LOSS) tcp.counters['spurious-timeouts']++
  else tcp.counters['spurious-recoveries']++
  if (!flight.mayUndo) return
  if (flight.undoCwnd > tcb.cwnd) tcb.cwnd = flight.undoCwnd
  if (flight.undoSsthresh > tcb.ssthresh) tcb.ssthresh = flight.undoSsthresh
  tcb.wMax = flight.undoWMax
  flight.inEpoch = false
  endUndo(flight)
}
