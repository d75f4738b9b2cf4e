/**
 * Window auto-tuning: the buffer grows with what the program really takes in a round trip, so that the window never is
 * what holds a fast path back, and memory is not promised to a slow one (in the manner of dynamic right-sizing).
 */
import { PRESSURE_NONE, pressure } from './memory.ts'
import { unreadBytes, WINDOW_FIELD_MAX } from './receive.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Measuring takes at least so long, however short the round trip. */
const INTERVAL_MIN_US = 1_000
/** Taken for the round trip when nothing measured it. */
const RTT_UNKNOWN_US = 20_000
const RTT_MIN_US = 10

/** Called when the program took data. */
export function tuneBuffer(tcp: Tcp, tcb: Tcb): void {
  const { intake } = tcb
  if (intake === null || tcp.settings.autoTuning === 0 || tcb.settings.receiveBytes !== 0) return
  const taken = (tcb.rcvNxt - unreadBytes(tcp, tcb)) | 0
  const elapsed = (tcp.nowUs - intake.tuneAtUs) | 0
  if (!intake.tuning || elapsed < 0) {
    intake.tuning = true
    intake.tuneAtUs = tcp.nowUs
    intake.tuneSeq = taken
    return
  }
  const rtt = Math.max(RTT_MIN_US, tcb.minRtt === 0 ? RTT_UNKNOWN_US : tcb.minRtt)
  if (elapsed < rtt || elapsed < INTERVAL_MIN_US) return
  const bytes = (taken - intake.tuneSeq) | 0
  intake.tuneAtUs = tcp.nowUs
  intake.tuneSeq = taken
  // Over a distance the sender doubles its rate in a round trip and repairs losses in another; nearby a window
  // beyond need only pushes data out of the processor's caches.
  const factor = rtt < INTERVAL_MIN_US ? 2 : 4
  const wanted = (factor * bytes * rtt) / elapsed
  if (wanted <= tcb.rcvBuf || pressure(tcp) !== PRESSURE_NONE) return
  const most = Math.min(tcp.settings.receiveBytesMax, WINDOW_FIELD_MAX << (tcb.scales >> 8))
  if (tcb.rcvBuf < most) tcb.rcvBuf = Math.min(most, Math.ceil(wanted))
}
