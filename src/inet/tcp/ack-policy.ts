/** When received data is acknowledged (RFC 9293 §3.8.6.3; RFC 5681 §4.2). */
import { PSH } from '../wire/tcp.ts'
import { type Intake, QUICK_ACKS } from './intake.ts'
import type { Segment } from './segment.ts'
import { F_ACK_DELAYED, F_ACK_NOW, T_DELAYED_ACK, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { clearTimer, setTimer } from './timers.ts'

/** MUST-40: less than half a second, whatever the setting says. */
export const DELAYED_ACK_MAX_MS = 499
/** A smaller segment says nothing of the peer's MSS (RFC 9293 §3.7.1: the default), unless the one before had the same size. */
const FULL_SEGMENT_MIN = 536
/** No peer's MSS is smaller, as `mssMin` has it. */
const SMALL_SEGMENT_MIN = 48

/** An acknowledgment has to leave at the next flush (MUST-58, 59: once for all that came). */
export function ackNow(tcp: Tcp, tcb: Tcb): void {
  tcb.flags |= F_ACK_NOW
  tcp.schedule(tcb)
}

/**
 * Data in order was taken over: at least every second full-sized segment is acknowledged at once (SHLD-18, 19), super-segments
 * counted for what they stand for.
 * @param length - bytes by which `rcvNxt` moved on
 */
export function dataReceived(tcp: Tcp, tcb: Tcb, intake: Intake, seg: Segment, length: number): void {
  measurePeer(tcb, intake, seg, length)
  // RFC 5681 §4.1: a sender that was silent for a timeout is in slow start again, and needs every ACK (as Linux).
  if (((tcp.nowMs - intake.lastDataAt) | 0) > tcb.rtoMs && !intake.answers) intake.quickAcks = QUICK_ACKS
  intake.lastDataAt = tcp.nowMs
  if (intake.quickAcks > 0 || tcb.settings.quickAck) {
    intake.quickAcks--
    return ackNow(tcp, tcb)
  }
  if (((tcb.rcvNxt - tcb.lastAckSent) | 0) >= 2 * tcb.rcvMss) return ackNow(tcp, tcb)
  if ((tcb.flags & (F_ACK_DELAYED | F_ACK_NOW)) !== 0) return
  const { delayedAckMs } = tcp.settings
  if (delayedAckMs <= 0) return ackNow(tcp, tcb)
  tcb.flags |= F_ACK_DELAYED
  tcp.counters['acks-delayed']++
  setTimer(tcp, tcb, T_DELAYED_ACK, (tcp.nowMs + Math.min(delayedAckMs, DELAYED_ACK_MAX_MS)) | 0)
}

/** What the peer's full segments carry, by what comes: the largest, and less when what is not pushed is smaller. */
function measurePeer(tcb: Tcb, intake: Intake, seg: Segment, length: number): void {
  const size = seg.gsoSize > 0 ? seg.gsoSize : length
  const { lastBytes } = intake
  intake.lastBytes = size
  if (size === tcb.rcvMss) return
  if (size > tcb.rcvMss) tcb.rcvMss = size
  else if ((seg.control & PSH) !== 0 || seg.gsoSize > 0) return
  else if (size >= FULL_SEGMENT_MIN || (size === lastBytes && size >= SMALL_SEGMENT_MIN)) tcb.rcvMss = size
}

/**
 * A segment with an ACK has left: called by `emit.ts` for every one of the connection's.
 * @param window - bytes that it announced, unscaled
 * @param data - it carried data: the program answers, so acknowledgments may wait for its answers
 */
export function ackSent(_tcp: Tcp, tcb: Tcb, window: number, data: boolean): void {
  if ((tcb.timers & T_DELAYED_ACK) !== 0) clearTimer(tcb, T_DELAYED_ACK)
  tcb.flags &= ~(F_ACK_NOW | F_ACK_DELAYED)
  tcb.lastAckSent = tcb.rcvNxt
  const edge = (tcb.rcvNxt + window) | 0
  if (((edge - tcb.rcvAdv) | 0) > 0) tcb.rcvAdv = edge
  const { intake } = tcb
  if (intake === null) return
  intake.hasDuplicate = false
  if (!data) return
  intake.quickAcks = 0
  intake.answers = true
}

/** The delayed acknowledgment's time is over: no answer of the program's carried it. */
export function delayedAckFired(tcp: Tcp, tcb: Tcb): void {
  if (tcb.intake !== null) tcb.intake.answers = false
  ackNow(tcp, tcb)
}
