/**
 * The size of packets on the path: what ICMP says (RFC 1191, 8201), and where it says nothing, what arrives (RFC 4821,
 * RFC 8899: black holes, and probing upwards afterwards).
 */
import { CA_LOSS, CA_OPEN, type Flight } from './flight.ts'
import { sendPiece } from './output.ts'
import { SACKED } from './scoreboard.ts'
import { mssFor, packetBytes, pathMtuOf } from './start.ts'
import { SYN_RECEIVED } from './states.ts'
import { F_BLACK_HOLE, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { endUndo } from './undo.ts'

/** Who claims less wants us to send headers only (checklist 3.5-42, -43); as in `ip/path-mtu.ts`, and RFC 8200 §5. */
const FLOOR_4 = 552
const FLOOR_6 = 1_280
/** Sizes that are tried one after the other in a black hole; the floor comes last. */
const STEPS = [1_280, 1_024] as const
/** RFC 1191 §6.3, RFC 8201 §4: how long until a larger size is tried again. */
const RAISE_MS = 600_000
/** From a probe that was lost, or a black hole, to the next probe. */
const SEARCH_MS = 500
/** A search ends when so little could be won. */
const SEARCH_END_BYTES = 16
/** RFC 4821 §7.4: a probe's loss must be told from congestion, so there are segments behind it. */
const PROBE_WINDOW_SEGMENTS = 8

const floorOf = (tcb: Tcb): number => (tcb.family === 4 ? FLOOR_4 : FLOOR_6)

/**
 * An ICMP error, already matched to the flight (RFC 5927), or IP itself says what the path takes: segments that are too long go
 * out again in pieces, without a congestion response (RFC 1191 §6.5).
 * @param mtu - bytes of an IP packet
 */
export function pathMtuChanged(tcp: Tcp, tcb: Tcb, mtu: number): void {
  const size = Math.max(mtu, floorOf(tcb))
  if (tcb.pathMtu !== 0 && size >= tcb.pathMtu) return
  tcp.counters['path-mtu-lowered']++
  const before = tcb.sndMss
  tcb.pathMtu = size
  tcb.sndMss = mssFor(tcb, size)
  const { flight } = tcb
  if (flight === null || tcb.state <= SYN_RECEIVED || tcb.sndMss >= before) return
  flight.mtuProbeSize = 0
  markTooLong(tcb, flight)
  if (flight.board.waitingBytes === 0) return
  resendWithoutResponse(tcb, flight)
  tcp.schedule(tcb)
}

/** What left in segments that no longer fit was not delivered. */
function markTooLong(tcb: Tcb, flight: Flight): void {
  const { board } = flight
  for (let i = 0; i < board.count; i++) {
    const slot = board.slot(i)
    if ((board.flags(slot) & SACKED) !== 0) continue
    if (board.mss(slot) > tcb.sndMss && board.payloadBytes(slot) > tcb.sndMss) board.markLost(slot)
  }
}

/** What is marked goes out again, while the window stays as it is: it was not congestion that lost it. */
function resendWithoutResponse(tcb: Tcb, flight: Flight): void {
  if (flight.caState === CA_LOSS) return
  flight.recoveryPoint = tcb.sndNxt
  tcb.ssthresh = Math.max(tcb.ssthresh, (tcb.cwnd >> 1) + (tcb.cwnd >> 2))
  endUndo(flight)
  flight.frto = false
  flight.caState = CA_LOSS
}

/** A retransmission timeout: after a few in a row of full-sized segments the path may swallow what is large (RFC 2923, RFC 4821 §7.7). */
export function timeoutExpired(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  const { mtuProbing, r1Retries } = tcp.settings
  if (flight.mtuProbeSize > 0) probeFailed(tcp, flight)
  if (mtuProbing === 0 || tcb.backoff + 1 < r1Retries || tcb.sndWnd === 0) return
  const { board } = flight
  const floor = floorOf(tcb)
  const packet = packetBytes(tcb)
  if (board.payloadBytes(board.slot(0)) < tcb.sndMss || packet <= floor) return
  if (flight.mtuCeiling === 0 || packet < flight.mtuCeiling) flight.mtuCeiling = packet
  let size = floor
  for (const step of STEPS) {
    if (step >= packet || step < floor) continue
    size = step
    break
  }
  tcp.counters['path-mtu-black-holes']++
  tcb.flags |= F_BLACK_HOLE
  tcb.pathMtu = size
  tcb.sndMss = mssFor(tcb, size)
  flight.mtuProbeAtMs = (tcp.nowMs + SEARCH_MS) | 0
}

/**
 * Called before new data leaves, when `flight.mtuProbeAtMs` has come.
 * @returns true if a probe left in its place
 */
export function searchPathMtu(tcp: Tcp, tcb: Tcb, flight: Flight): boolean {
  const path = pathMtuOf(tcp, tcb)
  flight.mtuProbeAtMs = (tcp.nowMs + RAISE_MS) | 0
  // What is known of the ceiling goes with the flight record, that there is one stays.
  if (flight.mtuCeiling === 0 && (tcb.flags & F_BLACK_HOLE) !== 0) flight.mtuCeiling = path + 1
  if (flight.mtuCeiling === 0 && tcp.settings.mtuProbing < 2) {
    // IP forgot what ICMP had said (RFC 8201 §5.3).
    if (path > tcb.pathMtu) {
      tcb.pathMtu = path
      tcb.sndMss = mssFor(tcb, path)
    }
    return false
  }
  const most = flight.mtuCeiling > 0 ? Math.min(path, flight.mtuCeiling - 1) : path
  if (most - tcb.pathMtu < SEARCH_END_BYTES) {
    // The search is over; the next one begins at the top again.
    flight.mtuCeiling = path > tcb.pathMtu ? path + 1 : 0
    if (flight.mtuCeiling === 0) tcb.flags &= ~F_BLACK_HOLE
    return false
  }
  flight.mtuProbeAtMs = (tcp.nowMs + SEARCH_MS) | 0
  return sendProbe(tcp, tcb, flight, (tcb.pathMtu + most + 1) >> 1)
}

/** RFC 4821 §7.3: new data in one segment of the size to be tried, more data behind it. */
function sendProbe(tcp: Tcp, tcb: Tcb, flight: Flight, size: number): boolean {
  const mss = tcb.sndMss
  const length = mssFor(tcb, size)
  const unsent = (flight.queue.endSeq - tcb.sndNxt) | 0
  const window = (tcb.sndUna + tcb.sndWnd - tcb.sndNxt) | 0
  if (length <= mss || flight.caState !== CA_OPEN || tcb.cwnd < PROBE_WINDOW_SEGMENTS * mss) return false
  if (unsent < length + PROBE_WINDOW_SEGMENTS * mss || window < length + PROBE_WINDOW_SEGMENTS * mss)
    return false
  if (flight.queue.reach(flight.queue.cursor, flight.queue.cursorOffset, length) < length) return false
  const seq = tcb.sndNxt
  // For this one segment: it is not to be cut.
  tcb.sndMss = length
  flight.mtuProbeSeq = seq
  flight.mtuProbeEnd = (seq + length) | 0
  flight.mtuProbeSize = size
  const sent = sendPiece(tcp, tcb, flight, length, false)
  tcb.sndMss = mss
  if (sent) tcp.counters['path-mtu-probes']++
  else flight.mtuProbeSize = 0
  return sent
}

/** Something was acknowledged while a probe is in flight. */
export function probeAcked(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  if (((tcb.sndUna - flight.mtuProbeEnd) | 0) < 0) return
  tcb.pathMtu = flight.mtuProbeSize
  tcb.sndMss = mssFor(tcb, tcb.pathMtu)
  flight.mtuProbeSize = 0
  flight.mtuProbeAtMs = tcp.nowMs
}

/** Something is sent again. Once a probe goes out in ordinary segments, its acknowledgment says nothing of its size (RFC 4821 §7.6.4). */
export function probeResent(flight: Flight, seq: number, end: number): void {
  if (((end - flight.mtuProbeSeq) | 0) > 0 && ((seq - flight.mtuProbeEnd) | 0) < 0) flight.mtuProbeSize = 0
}

function probeFailed(tcp: Tcp, flight: Flight): void {
  flight.mtuCeiling = flight.mtuProbeSize
  flight.mtuProbeSize = 0
  flight.mtuProbeAtMs = (tcp.nowMs + SEARCH_MS) | 0
}

/**
 * Something was lost. If it is the probe and nothing else, it was its size (RFC 4821 §7.4): no congestion response.
 * @returns true if that is so: what is marked lost goes out again in ordinary segments
 */
export function probeLost(tcp: Tcp, tcb: Tcb, flight: Flight): boolean {
  if (flight.mtuProbeSize === 0) return false
  const { board } = flight
  const index = board.nextWaiting()
  if (index < 0) return false
  const slot = board.slot(index)
  if (board.seq(slot) !== flight.mtuProbeSeq || board.lostBytes !== board.bytes(slot)) return false
  probeFailed(tcp, flight)
  resendWithoutResponse(tcb, flight)
  return true
}
