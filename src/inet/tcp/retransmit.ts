/** Sending again, from the same bytes (RFC 6675 §5, RFC 8985; one super-segment where several segments in a row are lost). */
import { ACK, FIN, PSH } from '../wire/tcp.ts'
import { emitSegment } from './emit.ts'
import { CA_CWR, CA_RECOVERY, type Flight, pipe } from './flight.ts'
import { armRetransmit } from './loss-timer.ts'
import { isPaced, pace } from './pacing.ts'
import { probeResent } from './path-mtu.ts'
import { HAS_FIN, LOST, RETRANSMITTED } from './scoreboard.ts'
import { superBytes } from './super-size.ts'
import { T_LOSS, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { undoRetransmitted } from './undo.ts'

/** What came of {@link retransmitLost}. */
export const SENT_ALL = 0
/** The congestion window, or the peer's, is full. */
export const WINDOW_FULL = 1
export const LINK_FULL = 2
export const NO_BUFFERS = 3

/** Sends what is lost, as far as the congestion window goes. */
export function retransmitLost(tcp: Tcp, tcb: Tcb, flight: Flight): number {
  const { board } = flight
  while (board.waitingBytes > 0) {
    const index = board.nextWaiting()
    const slot = board.slot(index)
    const room = tcb.cwnd - pipe(tcb, flight)
    const first = Math.min(board.payloadBytes(slot), tcb.sndMss)
    if (room < first || room <= 0) return WINDOW_FULL
    // MUST-34, checklist 3.5-45: a window that shrank is kept, save for the first segment, which asks how wide it is.
    const window = (tcb.sndUna + tcb.sndWnd - board.seq(slot)) | 0
    if (window < first && index > 0) return WINDOW_FULL
    if (!tcp.host.hasRoom()) return LINK_FULL
    if (isPaced(tcp, tcb, flight)) return WINDOW_FULL
    const most = Math.min(room, index === 0 ? Math.max(window, first) : window, superBytes(tcp, tcb))
    if (!retransmitAt(tcp, tcb, flight, index, most)) return NO_BUFFERS
    if (tcb.flight !== flight) return WINDOW_FULL
  }
  return SENT_ALL
}

/**
 * Sends one segment or super-segment from the beginning of a record on, with lost records that follow it directly.
 * @param most - bytes, at least one segment or what the record holds
 * @returns false if no block was left
 */
export function retransmitAt(tcp: Tcp, tcb: Tcb, flight: Flight, index: number, most: number): boolean {
  const { board, queue } = flight
  const slot = board.slot(index)
  const seq = board.seq(slot)
  const block = board.block(slot)
  const offset = board.offset(slot)
  const mss = tcb.sndMss
  const whole = most < mss ? most : most - (most % mss)
  const limit = Math.min(whole, queue.reach(block, offset, whole))
  let length = 0
  let records = 0
  let fin = 0
  for (let i = index; i < board.count && length < limit; i++) {
    const next = board.slot(i)
    if (i > index && (board.flags(next) & (LOST | RETRANSMITTED)) !== LOST) break
    const bytes = board.payloadBytes(next)
    if (length + bytes > limit) {
      const part = segmentsWithin(limit - length, board.mss(next))
      if (part > 0) {
        board.split(i, (board.seq(next) + part) | 0)
        length += part
        records++
      } else if (i === index) {
        board.split(i, (seq + limit) | 0)
        length = limit
        records = 1
      }
      break
    }
    length += bytes
    records++
    if ((board.flags(next) & HAS_FIN) !== 0) fin = FIN
  }
  if (records === 0) {
    // A FIN alone.
    records = 1
    fin = FIN
  }
  const payload = length === 0 ? null : queue.views(block, offset, length)
  if (length > 0 && payload === null) {
    tcp.counters['no-buffers']++
    return false
  }
  if (flight.mtuProbeSize > 0) probeResent(flight, seq, (seq + length) | 0)
  // All is noted before it leaves: what comes back at once finds the connection as after sending.
  const { nowUs } = tcp
  let segments = 0
  for (let i = index; i < index + records; i++) {
    const next = board.slot(i)
    segments += board.segmentCount(next)
    board.markRetransmitted(next, nowUs)
  }
  const push = length > 0 && ((seq + length - queue.endSeq) | 0) >= 0 ? PSH : 0
  count(tcp, tcb, flight, length, segments)
  if (index === 0 && !((tcb.timers & T_LOSS) !== 0 && flight.reorderTimer)) armRetransmit(tcp, tcb)
  if (emitSegment(tcp, tcb, seq, ACK | push | fin, payload, length)) return true
  for (let i = index; i < index + records; i++) board.markLost(board.slot(i))
  return false
}

function count(tcp: Tcp, tcb: Tcb, flight: Flight, length: number, segments: number): void {
  tcp.counters['retransmitted-segments'] += segments
  tcp.counters['retransmitted-bytes'] += length
  flight.retransmits += segments
  undoRetransmitted(tcp, tcb, flight, segments)
  if (flight.caState === CA_RECOVERY || flight.caState === CA_CWR) flight.prrOut += length
  pace(tcp, tcb, flight, length)
}

/** The largest number of whole segments within so many bytes. */
const segmentsWithin = (bytes: number, mss: number): number => bytes - (bytes % mss)
