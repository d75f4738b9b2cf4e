/** When data leaves, and how much at once (RFC 9293 §3.7.4, §3.8.6; RFC 1122 §4.2.3.4). */
import { ACK, CWR, FIN, PSH } from '../wire/tcp.ts'
import { congestionIdle } from './congestion/control.ts'
import { corkMoved, isCorked } from './cork.ts'
import { ECT, emitAck, emitSegment } from './emit.ts'
import { CA_CWR, CA_OPEN, CA_RECOVERY, type Flight, pipe, takeFlight } from './flight.ts'
import { timerAfterSending } from './loss-timer.ts'
import { isPaced, pace } from './pacing.ts'
import { searchPathMtu } from './path-mtu.ts'
import { sendFirstAgain, windowClosed, windowMayStay } from './persist.ts'
import { LINK_FULL, NO_BUFFERS, retransmitLost, SENT_ALL } from './retransmit.ts'
import { ESTABLISHED } from './states.ts'
import { superBytes, worthSending } from './super-size.ts'
import {
  F_ACK_NOW,
  F_APP_LIMITED,
  F_CWR_OUT,
  F_DIRTY,
  F_ECN,
  F_FIN_QUEUED,
  F_FIN_SENT,
  F_LINK_BLOCKED,
  F_WINDOW_LIMITED,
  T_DELAYED_ACK,
  T_PACE,
  type Tcb,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { setTimer } from './timers.ts'

/** The part of the window that is worth waiting for before a piece is sent (as Linux's tso_win_divisor). */
const DEFER_DIVISOR = 3
/** Why {@link pieceLength} lets nothing leave: the peer's window, the congestion window, or small pieces that wait for company. */
const BY_WINDOW = 0
const BY_CONGESTION = -1
const BY_SIZE = -2
/** When blocks ran out, output looks again after so long. */
const BUFFER_RETRY_MS = 10

/** Looks once at each scheduled connection: sends what may be sent, then acknowledges what nothing else acknowledged. */
export function flush(tcp: Tcp): void {
  let tcb = tcp.dirtyFirst
  tcp.dirtyFirst = null
  tcp.dirtyLast = null
  while (tcb !== null) {
    const next: Tcb | null = tcb.dirtyNext
    tcb.dirtyNext = null
    tcb.flags &= ~F_DIRTY
    tcp.flushing = next !== null
    if (tcb.state >= ESTABLISHED) {
      output(tcp, tcb)
      if ((tcb.flags & (F_ACK_NOW | F_LINK_BLOCKED)) === F_ACK_NOW) {
        if (!tcp.host.hasRoom()) waitForLink(tcp, tcb)
        else if (!emitAck(tcp, tcb)) acknowledgeLater(tcp, tcb)
      }
    }
    tcb = next
  }
}

/** Whether another connection wants to send, now or when the link has room. */
const othersWait = (tcp: Tcp): boolean => tcp.flushing || tcp.dirtyFirst !== null || tcp.blockedFirst !== null

/** The link has room again: connections that waited for it are scheduled, in front of those that were scheduled meanwhile. */
export function resume(tcp: Tcp): void {
  let tcb: Tcb | null = tcp.blockedFirst
  if (tcb === null) return
  const { dirtyFirst, dirtyLast } = tcp
  tcp.blockedFirst = null
  tcp.blockedLast = null
  tcp.dirtyFirst = null
  tcp.dirtyLast = null
  while (tcb !== null) {
    const next: Tcb | null = tcb.dirtyNext
    tcb.dirtyNext = null
    tcb.flags &= ~(F_DIRTY | F_LINK_BLOCKED)
    if (tcb.state >= ESTABLISHED) tcp.schedule(tcb)
    tcb = next
  }
  if (dirtyFirst === null) return
  const last = tcp.dirtyLast as Tcb | null
  if (last === null) tcp.dirtyFirst = dirtyFirst
  else last.dirtyNext = dirtyFirst
  tcp.dirtyLast = dirtyLast
}

/** Output goes on with {@link resume}. The connection counts as scheduled meanwhile: it is on the other list. */
function waitForLink(tcp: Tcp, tcb: Tcb): void {
  // On the list of the next flush already: that comes to the same.
  if ((tcb.flags & F_DIRTY) !== 0) return
  tcp.counters['link-blocked']++
  tcb.flags |= F_LINK_BLOCKED | F_DIRTY
  tcb.dirtyNext = null
  if (tcp.blockedLast === null) tcp.blockedFirst = tcb
  else tcp.blockedLast.dirtyNext = tcb
  tcp.blockedLast = tcb
}

/** Sends what the windows and the rules allow: lost data again first, then new data, then the FIN. */
export function output(tcp: Tcp, tcb: Tcb): void {
  if ((tcb.flags & F_LINK_BLOCKED) !== 0 || tcb.state < ESTABLISHED) return
  let { flight } = tcb
  if (flight === null) {
    if ((tcb.flags & (F_FIN_QUEUED | F_FIN_SENT)) !== F_FIN_QUEUED) return
    flight = takeFlight(tcp, tcb)
  }
  if (flight.board.waitingBytes > 0 && !flight.newDataFirst) {
    const outcome = retransmitLost(tcp, tcb, flight)
    if (outcome === LINK_FULL) return waitForLink(tcp, tcb)
    if (outcome === NO_BUFFERS) return retryLater(tcp, tcb)
    if (outcome !== SENT_ALL || tcb.flight !== flight) return
  }
  if (flight.newDataFirst) return testWithNew(tcp, tcb, flight)
  if (flight.sendFirst) sendFirstAgain(tcp, tcb, flight)
  if (tcb.flight === flight) sendNew(tcp, tcb, flight)
}

/** RFC 5682 §3.1 step 2b: new data shows whether the timeout was spurious. If none may leave, by Nagle's rule or the window, what is lost does. */
function testWithNew(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  const { sndNxt } = tcb
  flight.newDataFirst = false
  sendNew(tcp, tcb, flight)
  if (tcb.flight !== flight || tcb.sndNxt !== sndNxt) return
  flight.frto = false
  tcp.schedule(tcb)
}

function retryLater(tcp: Tcp, tcb: Tcb): void {
  setTimer(tcp, tcb, T_PACE, (tcp.nowMs + BUFFER_RETRY_MS) | 0)
}

/** A peer whose window is closed, or who has nothing more to send, may not ask again for long. */
function acknowledgeLater(tcp: Tcp, tcb: Tcb): void {
  setTimer(tcp, tcb, T_DELAYED_ACK, (tcp.nowMs + BUFFER_RETRY_MS) | 0)
}

/** New data in as large pieces as may be. */
function sendNew(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  const { board, queue } = flight
  if (board.count === 0 && queue.endSeq !== tcb.sndNxt) congestionIdle(tcp, tcb)
  let sent = false
  let limited = false
  if (((tcp.nowMs - flight.mtuProbeAtMs) | 0) >= 0 && queue.endSeq !== tcb.sndNxt && tcp.host.hasRoom())
    sent = searchPathMtu(tcp, tcb, flight)
  for (;;) {
    const fin = (tcb.flags & (F_FIN_QUEUED | F_FIN_SENT)) === F_FIN_QUEUED
    const unsent = (tcb.flags & F_FIN_SENT) !== 0 ? 0 : (queue.endSeq - tcb.sndNxt) | 0
    if (unsent === 0 && !fin) break
    const window = (tcb.sndUna + tcb.sndWnd - tcb.sndNxt) | 0
    const room = tcb.cwnd - pipe(tcb, flight)
    const length = pieceLength(tcp, tcb, flight, unsent, window, room)
    if (length < 0 || (length === BY_WINDOW && (unsent > 0 || window <= 0))) {
      limited = length === BY_CONGESTION
      if (length !== BY_WINDOW) break
      if (board.count === 0) windowClosed(tcp, tcb, flight)
      else if (tcb.sndWnd > 0) windowMayStay(tcp, tcb, flight)
      if (tcb.flight !== flight) return
      break
    }
    if (!tcp.host.hasRoom()) {
      // Who had his turn waits behind those who had none.
      if (sent && othersWait(tcp)) tcp.schedule(tcb)
      else waitForLink(tcp, tcb)
      break
    }
    if (isPaced(tcp, tcb, flight)) break
    if (!sendPiece(tcp, tcb, flight, length, fin && length === unsent && window > length)) {
      retryLater(tcp, tcb)
      break
    }
    sent = true
    if (tcb.flight !== flight) return
  }
  noteUse(tcb, flight, sent, limited)
  if (sent) timerAfterSending(tcp, tcb, flight)
}

/** Bytes of the next segment or super-segment, or `BY_*`; 0 too where nothing but a FIN is left. */
function pieceLength(
  tcp: Tcp,
  tcb: Tcb,
  flight: Flight,
  unsent: number,
  window: number,
  room: number,
): number {
  const mss = tcb.sndMss
  // RFC 3168 §6.1.2: CWR belongs to one segment, and a device repeats header bits on all that it cuts.
  const most = (tcb.flags & F_CWR_OUT) !== 0 ? mss : superBytes(tcp, tcb)
  const idle = flight.board.count === 0
  const congestion = room < mss && idle ? mss : room
  let length = Math.min(unsent, most)
  if (length > window) length = window
  const byWindow = length
  if (length > congestion) length = congestion
  if (length <= 0) return byWindow > 0 ? BY_CONGESTION : BY_WINDOW
  length = Math.min(length, flight.queue.reach(flight.queue.cursor, flight.queue.cursorOffset, length))
  if (length === unsent) {
    const tail = length % mss
    if (tail === 0 || maySendSmall(tcp, tcb, flight, idle)) return length
    return length > tail ? length - tail : BY_SIZE
  }
  if (length < mss) {
    if (length < byWindow) return length === congestion ? BY_CONGESTION : length
    // RFC 9293 §3.8.6.2.1 (MUST-38): less than a segment only if it is half of the largest window ever announced.
    return 2 * length >= tcb.sndWndMax ? length : BY_WINDOW
  }
  length -= length % mss
  if (length < worthSending(tcb, most) && length < unsent && mayDefer(tcp, tcb, flight, length))
    return BY_CONGESTION
  return length
}

/** Nagle's rule, with Minshall's: a short last segment waits while another one is in flight. */
function maySendSmall(tcp: Tcp, tcb: Tcb, flight: Flight, idle: boolean): boolean {
  if ((tcb.flags & F_FIN_QUEUED) !== 0) return true
  if (isCorked(tcp, tcb, flight)) return false
  if (tcb.settings.noDelay || idle) return true
  return !(flight.hasSmall && ((flight.smallEnd - tcb.sndUna) | 0) > 0)
}

/**
 * Whether to wait for more window instead of sending a piece of what could be one super-segment: only while most of the
 * window is in flight and its next ACK is near (the idea of Linux's tcp_tso_should_defer).
 */
function mayDefer(tcp: Tcp, tcb: Tcb, flight: Flight, length: number): boolean {
  const { board } = flight
  // In disorder a segment leaves for each of the first duplicate ACKs (RFC 3042), in recovery what PRR says.
  if (board.count === 0 || flight.caState !== CA_OPEN) return false
  if (length * DEFER_DIVISOR >= Math.min(tcb.cwnd, tcb.sndWnd)) return false
  // What was not sent for a while is not sent in a burst of ACKs either.
  if (((tcp.nowMs - tcb.lastOutAt) | 0) > 1) return false
  const age = (tcp.nowUs - board.xmitUs(board.slot(0))) | 0
  return age >= tcb.srtt >> 1
}

/**
 * Sends the next bytes of the queue.
 * @param length - bytes; @param fin - the FIN behind them
 * @returns false if no block was left: nothing changed
 */
export function sendPiece(tcp: Tcp, tcb: Tcb, flight: Flight, length: number, fin: boolean): boolean {
  const { queue, board } = flight
  const seq = tcb.sndNxt
  queue.settleCursor()
  const block = queue.cursor
  const offset = queue.cursorOffset
  const payload = length === 0 ? null : queue.views(block, offset, length)
  if (length > 0 && payload === null) {
    tcp.counters['no-buffers']++
    return false
  }
  let control = fin ? ACK | FIN : ACK
  if (length > 0) {
    queue.moveCursor()
    if (((seq + length - queue.endSeq) | 0) === 0) control |= PSH
    if ((tcb.flags & F_ECN) !== 0) {
      control |= ECT
      if ((tcb.flags & F_CWR_OUT) !== 0) control |= CWR
    }
  }
  // All is noted before it leaves: what comes back at once finds the connection as after sending.
  const end = (seq + length + (fin ? 1 : 0)) | 0
  tcb.sndNxt = end
  tcb.flags &= ~F_WINDOW_LIMITED
  board.append(seq, end, tcb.sndMss, tcp.nowUs, length === 0 ? null : block, offset, fin)
  const { hasSmall, smallEnd } = flight
  if (length % tcb.sndMss !== 0) {
    flight.hasSmall = true
    flight.smallEnd = end
  }
  if (fin) tcb.flags |= F_FIN_SENT
  if (flight.caState === CA_RECOVERY || flight.caState === CA_CWR) flight.prrOut += length
  pace(tcp, tcb, flight, length)
  if (emitSegment(tcp, tcb, seq, control, payload, length)) {
    corkMoved(tcb, flight)
    if ((control & CWR) !== 0) tcb.flags &= ~F_CWR_OUT
    return true
  }
  board.dropLast()
  tcb.sndNxt = seq
  queue.cursor = block
  queue.cursorOffset = offset
  flight.hasSmall = hasSmall
  flight.smallEnd = smallEnd
  if (fin) tcb.flags &= ~F_FIN_SENT
  return false
}

/** RFC 7661: remembers how much of the window is used, so that only a window that limits grows. */
function noteUse(tcb: Tcb, flight: Flight, sent: boolean, limited: boolean): void {
  const out = (tcb.sndNxt - tcb.sndUna) | 0
  const full = limited || pipe(tcb, flight) + tcb.sndMss > tcb.cwnd
  if (full) tcb.flags &= ~F_APP_LIMITED
  else if (flight.queue.endSeq === tcb.sndNxt) tcb.flags |= F_APP_LIMITED
  if (!sent && !full) return
  if (((tcb.sndUna - flight.usageEnd) | 0) >= 0 || full || (!flight.cwndLimited && out > flight.maxFlight)) {
    flight.cwndLimited = full
    flight.maxFlight = out
    flight.usageEnd = tcb.sndNxt
  }
}
