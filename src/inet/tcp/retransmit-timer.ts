/** The retransmission timer and RACK's (RFC 6298 §5, RFC 9293 §3.8.1 to §3.8.3, RFC 8985 §6.3). */
import { AckResult } from './ack-result.ts'
import { finish } from './close.ts'
import { emitSyn, emitTcbReset } from './emit.ts'
import { CA_RECOVERY, type Flight } from './flight.ts'
import { armRetransmit } from './loss-timer.ts'
import { orphanMustEnd } from './orphans.ts'
import { output } from './output.ts'
import { timeoutExpired } from './path-mtu.ts'
import { ORPHAN_GIVE_UP_MS, windowMayStay } from './persist.ts'
import { rackDetect } from './rack.ts'
import { enterLoss, enterRecovery, reduceToFirst } from './recovery.ts'
import { ESTABLISHED, SYN_RECEIVED, SYN_SENT } from './states.ts'
import { F_ECN, F_ORPHAN, F_SYN_RETRANSMITTED, T_LOSS, T_RETRANSMIT, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { setTimer } from './timers.ts'
import { sentInVain } from './trouble.ts'

/** MUST-23: a SYN is not given up within three minutes. */
const SYN_GIVE_UP_MS = 180_000

/** Expiries since the last progress before the time they took counts (RFC 9293 §3.8.3 (d): the same segment, sent again). */
const TIMEOUTS_MIN = 2

const nothing = new AckResult()

/** RFC 6298 §5.4 to §5.7. */
export function retransmitTimerFired(tcp: Tcp, tcb: Tcb): void {
  if (tcb.backoff === 0) tcb.troubleAt = tcp.nowMs
  if (tcb.state === SYN_SENT || tcb.state === SYN_RECEIVED) return synTimerFired(tcp, tcb)
  const { flight } = tcb
  if (tcb.state < ESTABLISHED || flight === null || flight.board.count === 0) return
  if (hasGivenUp(tcp, tcb, flight) || (tcb.backoff > 0 && orphanMustEnd(tcp, tcb))) {
    emitTcbReset(tcp, tcb)
    return finish(tcp, tcb, 'timed-out')
  }
  // A window of zero over data that is never taken holds as much as one that is probed.
  if (tcb.sndWnd === 0 && tcb.backoff > 0 && !windowMayStay(tcp, tcb, flight)) return
  tcp.counters['retransmission-timeouts']++
  timeoutExpired(tcp, tcb, flight)
  enterLoss(tcp, tcb, flight)
  tcb.backoff++
  flight.timeouts++
  // A peer that answers what it has no room for is no trouble of the path (MUST-37).
  if (tcb.sndWnd > 0 || ((tcb.lastInAt - tcb.lastOutAt) | 0) < 0) sentInVain(tcp, tcb, flight.timeouts)
  armRetransmit(tcp, tcb)
  output(tcp, tcb)
}

/**
 * R2 (MUST-20), as a time; a user timeout in its place (MUST-21). A peer that shut its window but answers is
 * not given up (MUST-37).
 */
function hasGivenUp(tcp: Tcp, tcb: Tcb, flight: Flight): boolean {
  if (tcb.backoff === 0 && tcb.settings.userTimeoutMs === 0) return false
  const { board } = flight
  const firstMs = Math.floor(((tcp.nowUs - board.xmitUs(board.slot(0))) | 0) / 1_000)
  const troubleMs = tcb.backoff === 0 ? firstMs : ((tcp.nowMs - tcb.troubleAt) | 0) + tcb.rtoMs
  const { userTimeoutMs } = tcb.settings
  if (userTimeoutMs > 0) return troubleMs >= userTimeoutMs
  // A timeout that was doubled before the last progress may be longer than the limit: that nothing came back says little then.
  if (flight.timeouts < TIMEOUTS_MIN) return false
  const limit =
    (tcb.flags & F_ORPHAN) !== 0 ? Math.min(ORPHAN_GIVE_UP_MS, tcp.settings.r2Ms) : tcp.settings.r2Ms
  if (tcb.sndWnd === 0 && ((tcp.nowMs - tcb.lastInAt) | 0) < limit) return false
  return troubleMs >= limit
}

/** RFC 9293 §3.8.3 for SYNs, of our own opening and of a simultaneous one. */
function synTimerFired(tcp: Tcp, tcb: Tcb): void {
  const { synRetries, rtoMaxMs } = tcp.settings
  const { userTimeoutMs } = tcb.settings
  const troubleMs = ((tcp.nowMs - tcb.troubleAt) | 0) + tcb.rtoMs
  const over =
    userTimeoutMs > 0 ? troubleMs >= userTimeoutMs : tcb.backoff >= synRetries && troubleMs >= SYN_GIVE_UP_MS
  if (over) return finish(tcp, tcb, 'timed-out')
  tcb.backoff++
  tcb.flags |= F_SYN_RETRANSMITTED
  // RFC 3168 §6.1.1.1: perhaps somebody on the way does not like the bits.
  tcb.flags &= ~F_ECN
  tcp.counters['retransmitted-segments']++
  // MUST-22: a SYN as any other segment.
  sentInVain(tcp, tcb, tcb.backoff)
  emitSyn(tcp, tcb)
  let wait = tcb.rtoMs
  for (let i = 0; i < tcb.backoff && wait < rtoMaxMs; i++) wait *= 2
  setTimer(tcp, tcb, T_RETRANSMIT, (tcp.nowMs + Math.min(wait, rtoMaxMs)) | 0)
}

/** RFC 8985 §6.3: what was waited for did not come. */
export function reorderTimerFired(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  flight.reorderTimer = false
  const { board } = flight
  if (board.count === 0) return
  nothing.lost = 0
  const left = rackDetect(tcp, tcb, flight, nothing)
  if (board.lostBytes > 0 && flight.caState < CA_RECOVERY) {
    nothing.delivered = 0
    enterRecovery(tcp, tcb, flight, nothing)
    reduceToFirst(tcb, flight)
  }
  if (left > 0) {
    setTimer(tcp, tcb, T_LOSS, (tcp.nowMs + Math.ceil(left / 1_000)) | 0)
    flight.reorderTimer = true
  } else armRetransmit(tcp, tcb)
  output(tcp, tcb)
}
