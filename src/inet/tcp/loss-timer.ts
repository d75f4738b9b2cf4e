/** Which of the timers that share `retransmitAt` runs: retransmission, tail loss probe, RACK's reordering window. */
import { CA_CWR, CA_OPEN, type Flight } from './flight.ts'
import { backedOff } from './rtt.ts'
import { F_SACK, T_IDLE, T_LOSS, T_PERSIST, T_RETRANSMIT, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { setTimer } from './timers.ts'

/** RFC 8985 §7.2: less than this is the timer's own grain. */
const PROBE_MIN_MS = 2
/** How long a flight record is kept when nothing is in flight. */
export const IDLE_MS = 500

/** RFC 6298 §5.1, §5.3: a whole timeout from now, with its doublings. */
export function armRetransmit(tcp: Tcp, tcb: Tcb): void {
  setTimer(tcp, tcb, T_RETRANSMIT, (tcp.nowMs + backedOff(tcp, tcb)) | 0)
}

/** Instead of a probe that is no longer to be sent: a whole timeout from when the first record left. */
function armRetransmitFromFirst(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  const { board } = flight
  const ageMs = Math.floor(((tcp.nowUs - board.xmitUs(board.slot(0))) | 0) / 1_000)
  const left = Math.max(1, backedOff(tcp, tcb) - Math.max(0, ageMs))
  setTimer(tcp, tcb, T_RETRANSMIT, (tcp.nowMs + left) | 0)
}

/** RFC 8985 §7.2: sets the probe's timer if one may be sent. */
function armProbe(tcp: Tcp, tcb: Tcb, flight: Flight): boolean {
  const { board } = flight
  if ((tcb.flags & F_SACK) === 0 || tcb.srtt === 0 || tcb.backoff > 0) return false
  if (flight.caState !== CA_OPEN && flight.caState !== CA_CWR) return false
  if (board.sackedBytes > 0 || board.lostBytes > 0 || flight.probeOut) return false
  const rto = backedOff(tcp, tcb)
  // One segment alone may be held back by the peer's delayed acknowledgment.
  const extra = board.segments === 1 ? tcp.settings.rtoMinMs : PROBE_MIN_MS
  const timeout = Math.min(rto, Math.ceil((2 * tcb.srtt) / 1_000) + extra)
  setTimer(tcp, tcb, T_LOSS, (tcp.nowMs + timeout) | 0)
  flight.reorderTimer = false
  return true
}

/** After new data was sent. */
export function timerAfterSending(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  if (flight.probing || ((tcb.timers & T_LOSS) !== 0 && flight.reorderTimer)) return
  if (armProbe(tcp, tcb, flight)) return
  if ((tcb.timers & (T_RETRANSMIT | T_LOSS)) === 0) armRetransmit(tcp, tcb)
}

/**
 * After an ACK (RFC 6298 §5.2, §5.3).
 * @param advanced - `sndUna` moved on
 * @param reorderUs - RACK wants to look again after so long; 0: not
 */
export function timerAfterAck(
  tcp: Tcp,
  tcb: Tcb,
  flight: Flight,
  advanced: boolean,
  reorderUs: number,
): void {
  const { board } = flight
  if (board.count === 0) return timerAtRest(tcp, tcb, flight)
  if (flight.probing) return
  if (reorderUs > 0) {
    setTimer(tcp, tcb, T_LOSS, (tcp.nowMs + Math.ceil(reorderUs / 1_000)) | 0)
    flight.reorderTimer = true
    return
  }
  if (advanced) {
    if (!armProbe(tcp, tcb, flight)) armRetransmit(tcp, tcb)
    return
  }
  const { timers } = tcb
  if ((timers & T_RETRANSMIT) !== 0) return
  if (
    (timers & T_LOSS) !== 0 &&
    !flight.reorderTimer &&
    flight.caState === CA_OPEN &&
    board.sackedBytes === 0
  )
    return
  armRetransmitFromFirst(tcp, tcb, flight)
}

/** Nothing is in flight: a window that is closed is probed, else the flight record goes when it stays so. */
function timerAtRest(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  if (flight.queue.endSeq !== tcb.sndNxt) {
    // Output comes next and sends, or begins to probe.
    tcb.timers &= ~(T_RETRANSMIT | T_LOSS | T_IDLE)
    return
  }
  tcb.timers &= ~T_PERSIST
  setTimer(tcp, tcb, T_IDLE, (tcp.nowMs + IDLE_MS) | 0)
}
