/** The round trip and the retransmission timeout (RFC 6298), in microseconds and milliseconds. */
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** A sample above this is a clock that wrapped or a peer that lies. */
const SAMPLE_MAX_US = 600_000_000

/** The least round trip is forgotten after so long: the path may have become another. */
const MIN_RTT_LIFETIME_MS = 300_000

/**
 * Takes a sample (RFC 6298 §2); the caller keeps Karn's rule (§3).
 * @param us - from the first transmission that an ACK covers to that ACK
 */
export function sampleRtt(tcp: Tcp, tcb: Tcb, us: number): void {
  if (us < 0 || us > SAMPLE_MAX_US) return
  const sample = us > 0 ? us : 1
  if (tcb.srtt === 0) {
    // §2.2
    tcb.srtt = sample
    tcb.rttvar = sample >> 1
  } else {
    // §2.3: RTTVAR uses the old SRTT, so these lines cannot be swapped.
    const error = tcb.srtt - sample
    tcb.rttvar += ((error < 0 ? -error : error) - tcb.rttvar) >> 2
    tcb.srtt -= error >> 3
    if (tcb.srtt <= 0) tcb.srtt = 1
  }
  tcb.rtoMs = timeoutFor(tcp, tcb)
}

/** @param us - from the last transmission that an ACK covers to that ACK: no delayed ACK is in it */
export function sampleMinRtt(tcp: Tcp, tcb: Tcb, us: number): void {
  if (us < 0 || us > SAMPLE_MAX_US) return
  const sample = us > 0 ? us : 1
  const { flight } = tcb
  const old = flight !== null && ((tcp.nowMs - flight.minRttAtMs) | 0) > MIN_RTT_LIFETIME_MS
  if (tcb.minRtt !== 0 && sample > tcb.minRtt && !old) return
  tcb.minRtt = sample
  if (flight !== null) flight.minRttAtMs = tcp.nowMs
}

/**
 * The timeout without doubling. The least lies above SRTT instead of being the least of the sum: a peer may hold an ACK
 * back for nearly as long (MUST-40), and a timeout that fires then is spurious. So it is never less than RFC 6298's with
 * the same least.
 */
export function timeoutFor(tcp: Tcp, tcb: Tcb): number {
  const { rtoMinMs, rtoMaxMs, rtoInitialMs } = tcp.settings
  if (tcb.srtt === 0) return Math.max(tcb.rtoMs, Math.min(rtoInitialMs, rtoMaxMs))
  const ms = Math.ceil(tcb.srtt / 1_000) + Math.max(rtoMinMs, Math.ceil(tcb.rttvar / 250))
  return Math.min(ms, rtoMaxMs)
}

/** §5.5: the timeout after so many expiries in a row, up to the ceiling (§2.5: at least 60 s). */
export function backedOff(tcp: Tcp, tcb: Tcb): number {
  const { rtoMaxMs } = tcp.settings
  let ms = tcb.rtoMs
  for (let i = 0; i < tcb.backoff && ms < rtoMaxMs; i++) ms *= 2
  return Math.min(ms, rtoMaxMs)
}
