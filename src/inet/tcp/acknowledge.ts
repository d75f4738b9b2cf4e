/** What an acknowledgment says (RFC 9293 §3.10.7.4, fifth; RFC 5681, 6675, 8985). */
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { ECE, FIN, SYN } from '../wire/tcp.ts'
import { AckResult } from './ack-result.ts'
import { CWND_MAX } from './congestion/control.ts'
import { ecnEcho } from './ecn.ts'
import type { Flight } from './flight.ts'
import { timerAfterAck } from './loss-timer.ts'
import { PRESSURE_NONE, pressure } from './memory.ts'
import { probeAcked } from './path-mtu.ts'
import { afterProbe } from './persist.ts'
import { rackDelivered } from './rack.ts'
import { respond } from './recovery.ts'
import { sampleMinRtt, sampleRtt } from './rtt.ts'
import { takeSack } from './sack.ts'
import { SACKED } from './scoreboard.ts'
import type { Segment } from './segment.ts'
import { sendLimit, sendRoom } from './send.ts'
import { CLOSED } from './states.ts'
import { probeAnswered } from './tail-loss.ts'
import {
  F_ECN,
  F_SACK,
  F_TIMESTAMPS,
  F_URGENT_OUT,
  F_WANTS_ROOM,
  T_PERSIST,
  T_RETRANSMIT,
  type Tcb,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { setTimer } from './timers.ts'
import { troubleOver } from './trouble.ts'
import { urgentAcknowledged } from './urgent.ts'
import { isWindowTiny, zeroWindowEnded } from './zero-window.ts'

const result = new AckResult()
/** A peer that took a SACK back is given so long to send what it has, before all is sent again. */
const RENEGE_WAIT_MS = 10

/**
 * Takes the ACK field, the window, SACK blocks and the echoed timestamp of a segment in a synchronized state (and in
 * SYN-RECEIVED, where it moves `sndUna` past the SYN). The caller looks at `sndUna === sndNxt` to see its FIN acknowledged.
 * @returns false if the ACK is not acceptable (RFC 5961 §5): the caller drops the segment and acknowledges
 */
export function ackIn(tcp: Tcp, tcb: Tcb, seg: Segment): boolean {
  const advanced = (seg.ack - tcb.sndUna) | 0
  if (((seg.ack - tcb.sndNxt) | 0) > 0) {
    // Checklist 3.5-48: an optimistic ACK moves nothing.
    tcp.counters['ack-beyond-sent']++
    return false
  }
  if (advanced < 0 && -advanced > tcb.sndWndMax) {
    tcp.counters['ack-unacceptable']++
    return false
  }
  const opened = advanced < 0 ? 0 : updateWindow(tcb, seg, advanced)
  if (opened > 0 && !isWindowTiny(tcb)) zeroWindowEnded(tcp, tcb)
  const { flight } = tcb
  if (flight === null) {
    if (advanced > 0) tcb.sndUna = seg.ack
    return true
  }
  if (advanced < 0) {
    tcp.counters['ack-old']++
    // Overtaken by a later ACK: its SACK blocks still say what arrived.
    if (seg.sackCount === 0 || flight.board.count === 0) return true
  }
  const inFlight = flight.board.count > 0
  const freed = takeAck(tcp, tcb, flight, seg, Math.max(advanced, 0), opened)
  if (flight.queue.bytes === 0) zeroWindowEnded(tcp, tcb)
  if ((tcb.timers & T_PERSIST) !== 0 || flight.probing) afterProbe(tcp, tcb, flight)
  if (advanced > 0 || inFlight || opened > 0) tcp.schedule(tcb)
  if (freed !== null) {
    tcp.memoryUsed -= weightFreed
    // Last, with all in order: a free routine may call back.
    freemsg(freed)
  }
  if (advanced > 0) tellRoom(tcp, tcb)
  return true
}

/**
 * RFC 9293 §3.10.7.4, fifth; RFC 7323 §2.3. What acknowledges more than anything before was sent later than all of it, also if
 * its own data is older: sent again. Its window is the newest then (as Linux); otherwise the right edge would move on by what it acknowledges.
 * @returns 0: unchanged, 1: changed, 2: it opened
 */
function updateWindow(tcb: Tcb, seg: Segment, advanced: number): number {
  const newer = (seg.seq - tcb.sndWl1) | 0
  const window = (seg.control & SYN) !== 0 ? seg.window : seg.window << (tcb.scales & 0xff)
  if (advanced <= 0 && (newer < 0 || (newer === 0 && ((seg.ack - tcb.sndWl2) | 0) < 0))) return 0
  tcb.sndWl1 = seg.seq
  tcb.sndWl2 = seg.ack
  const before = tcb.sndWnd
  if (window === before) return 0
  tcb.sndWnd = window
  if (window > tcb.sndWndMax) tcb.sndWndMax = window
  return window > before ? 2 : 1
}

let weightFreed = 0

/** @returns blocks that are no longer needed */
function takeAck(
  tcp: Tcp,
  tcb: Tcb,
  flight: Flight,
  seg: Segment,
  advanced: number,
  opened: number,
): Mblk | null {
  const { board, queue } = flight
  result.begin(seg, advanced, flight.fack)
  let freed: Mblk | null = null
  if (advanced > 0) {
    takeCumulative(tcp, tcb, flight, seg.ack)
    tcb.sndUna = seg.ack
    tcb.troubleAt = tcp.nowMs
    flight.timeouts = 0
    troubleOver(tcb)
    // Not left standing: sequence numbers wrap.
    if (flight.hasSmall && ((seg.ack - flight.smallEnd) | 0) >= 0) flight.hasSmall = false
    if ((tcb.flags & F_URGENT_OUT) !== 0) urgentAcknowledged(tcb, flight)
    const data = ((seg.ack - queue.endSeq) | 0) > 0 ? queue.endSeq : seg.ack
    if (((data - queue.headSeq) | 0) > 0) {
      const weight = queue.weight
      freed = queue.acknowledge(data)
      weightFreed = weight - queue.weight
    }
    if (flight.mtuProbeSize > 0) probeAcked(tcp, tcb, flight)
  } else if (board.count === 0) return null
  else if (opened === 0 && seg.length === 0 && (seg.control & (SYN | FIN)) === 0) {
    // RFC 5681 §2.
    tcp.counters['duplicate-acks-in']++
    result.duplicate = true
  }
  if (seg.sackCount > 0 && (tcb.flags & F_SACK) !== 0) takeSack(tcp, tcb, flight, seg, result)
  takeSamples(tcp, tcb)
  if ((seg.control & ECE) !== 0 && (tcb.flags & F_ECN) !== 0) {
    tcp.counters['ecn-ece-in']++
    ecnEcho(tcb, flight, result.delivered)
  }
  if (flight.probeOut) probeAnswered(tcb, flight, result, seg.ack)
  const reorderUs = respond(tcp, tcb, flight, result)
  if (advanced > 0 || result.sacked > 0 || reorderUs > 0)
    timerAfterAck(tcp, tcb, flight, advanced > 0, reorderUs)
  if (board.count > 0 && (board.flags(board.slot(0)) & SACKED) !== 0)
    setTimer(tcp, tcb, T_RETRANSMIT, (tcp.nowMs + Math.max(RENEGE_WAIT_MS, tcb.srtt >> 11)) | 0)
  if (advanced > 0) growBuffer(tcp, tcb)
  return freed
}

/** Takes what is acknowledged off the scoreboard. */
function takeCumulative(tcp: Tcp, tcb: Tcb, flight: Flight, ack: number): void {
  const { board } = flight
  while (board.count > 0) {
    const slot = board.slot(0)
    const seq = board.seq(slot)
    if (((ack - seq) | 0) <= 0) break
    const flags = board.flags(slot)
    const end = board.end(slot)
    const whole = ((end - ack) | 0) <= 0
    if ((flags & SACKED) === 0) {
      result.delivered += whole ? board.bytes(slot) : (ack - seq) | 0
      rackDelivered(tcp, tcb, flight, result, board.xmitUs(slot), whole ? end : ack, flags)
    }
    if (whole) board.shift()
    else {
      board.trimFirst(ack)
      break
    }
  }
}

/** RFC 6298 with Karn's rule: from what was sent once, or by the timestamp that the ACK echoes (RFC 7323 §4). */
function takeSamples(tcp: Tcp, tcb: Tcb): void {
  // What was sent once may have waited at the peer for what was sent again: no sample from an ACK of both.
  if (result.oldestUs >= 0 && !result.retransmittedAcked) {
    sampleMinRtt(tcp, tcb, result.newestUs)
    sampleRtt(tcp, tcb, result.oldestUs)
    tcb.backoff = 0
    return
  }
  // Karn's rule again: an ACK that was lost and called for by a retransmission echoes the transmission before.
  if (result.advanced <= 0 || result.ambiguous) return
  if (result.hasTimestamps && (tcb.flags & F_TIMESTAMPS) !== 0 && result.tsEcho !== 0) {
    const ms = (tcp.nowMs + tcb.tsOffset - result.tsEcho) | 0
    if (ms < 0) return
    sampleRtt(tcp, tcb, Math.max(1, ms) * 1_000)
    tcb.backoff = 0
  }
}

/** The buffer holds two windows, so that the next one can be queued while one is in flight (as Linux's tcp_sndbuf_expand). */
function growBuffer(tcp: Tcp, tcb: Tcb): void {
  const { settings } = tcp
  if (settings.autoTuning === 0 || tcb.settings.sendBytes > 0) return
  const wanted = Math.min(2 * Math.min(tcb.cwnd, CWND_MAX), settings.sendBytesMax)
  if (wanted <= tcb.sndBuf || pressure(tcp) !== PRESSURE_NONE) return
  tcb.sndBuf = wanted
}

/** A third of the buffer is free again: worth waking the program for. */
function tellRoom(tcp: Tcp, tcb: Tcb): void {
  if ((tcb.flags & F_WANTS_ROOM) === 0 || tcb.state === CLOSED) return
  if (3 * sendRoom(tcp, tcb) < sendLimit(tcp, tcb)) return
  tcb.flags &= ~F_WANTS_ROOM
  tcp.host.writable(tcb)
}
