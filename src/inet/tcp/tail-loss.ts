/** Tail loss probes (RFC 8985 §7): the end of a flight, whose loss no later segment would show, is sent once more in time. */
import type { AckResult } from './ack-result.ts'
import { congestionSsthresh } from './congestion/control.ts'
import type { Flight } from './flight.ts'
import { armRetransmit } from './loss-timer.ts'
import { sendPiece } from './output.ts'
import { retransmitAt } from './retransmit.ts'
import { SACKED } from './scoreboard.ts'
import { F_FIN_QUEUED, F_FIN_SENT, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** §7.3: the timer ran out: a segment of new data, whatever the congestion window says, or else the last one again. */
export function sendProbe(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  const { board } = flight
  if (board.count === 0) return
  if (!flight.probeOut && tcp.host.hasRoom()) {
    const isNew = probeWithNew(tcp, tcb, flight)
    if (isNew || probeWithLast(tcp, tcb, flight)) {
      tcp.counters['tail-loss-probes']++
      flight.probeOut = true
      flight.probeEnd = tcb.sndNxt
      flight.probeRetransmits = !isNew
    }
  }
  if (tcb.flight === flight) armRetransmit(tcp, tcb)
}

function probeWithNew(tcp: Tcp, tcb: Tcb, flight: Flight): boolean {
  if ((tcb.flags & F_FIN_SENT) !== 0) return false
  const unsent = (flight.queue.endSeq - tcb.sndNxt) | 0
  const window = (tcb.sndUna + tcb.sndWnd - tcb.sndNxt) | 0
  const length = Math.min(unsent, tcb.sndMss, window)
  if (length <= 0 || (length < unsent && length < tcb.sndMss)) return false
  const fin = (tcb.flags & F_FIN_QUEUED) !== 0 && length === unsent && window > length
  return sendPiece(tcp, tcb, flight, length, fin)
}

function probeWithLast(tcp: Tcp, tcb: Tcb, flight: Flight): boolean {
  const { board } = flight
  let index = board.count - 1
  const slot = board.slot(index)
  if ((board.flags(slot) & SACKED) !== 0) return false
  const payload = board.payloadBytes(slot)
  const mss = board.mss(slot)
  const last = payload % mss === 0 ? mss : payload % mss
  if (payload > last) board.split(index++, (board.seq(slot) + payload - last) | 0)
  return retransmitAt(tcp, tcb, flight, index, Math.max(1, Math.min(last, tcb.sndMss)))
}

/** §7.4: what became of the probe. Where it repaired a loss, the window is reduced as for one. */
export function probeAnswered(tcb: Tcb, flight: Flight, result: AckResult, ack: number): void {
  const past = (ack - flight.probeEnd) | 0
  if (past < 0) return
  if (!flight.probeRetransmits || result.dsack) {
    flight.probeOut = false
  } else if (past > 0) {
    flight.probeOut = false
    tcb.ssthresh = congestionSsthresh(tcb, flight)
    tcb.cwnd = Math.min(tcb.cwnd, tcb.ssthresh)
  } else if (result.advanced === 0 && result.sacked === 0) {
    // A duplicate: original and probe both arrived.
    flight.probeOut = false
  }
}
