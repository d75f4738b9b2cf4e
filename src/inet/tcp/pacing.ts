/** Pacing, where the stack's setting asks for it: data leaves at the rate of the window, not in bursts. */
import type { Flight } from './flight.ts'
import { T_PACE, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { setTimer } from './timers.ts'

/** A little more than the window allows, so that the window stays what limits (as Linux): slow start, afterwards. */
const GAIN_SLOW_START = 2
const GAIN = 1.2
/** What was not sent in time may be caught up with: timers are this coarse. */
const CATCH_UP_US = 2_000

/** Whether the next segment has to wait; the timer is set then. */
export function isPaced(tcp: Tcp, tcb: Tcb, flight: Flight): boolean {
  if (tcp.settings.pacing === 0 || tcb.srtt === 0) return false
  const left = (flight.paceAtUs - tcp.nowUs) | 0
  if (left <= 0) return false
  if ((tcb.timers & T_PACE) === 0) setTimer(tcp, tcb, T_PACE, (tcp.nowMs + Math.ceil(left / 1_000)) | 0)
  return true
}

/** So many bytes left now. */
export function pace(tcp: Tcp, tcb: Tcb, flight: Flight, bytes: number): void {
  if (tcp.settings.pacing === 0 || tcb.srtt === 0) return
  const gain = tcb.cwnd < tcb.ssthresh ? GAIN_SLOW_START : GAIN
  const floor = (tcp.nowUs - CATCH_UP_US) | 0
  const from = ((flight.paceAtUs - floor) | 0) > 0 ? flight.paceAtUs : floor
  flight.paceAtUs = (from + Math.floor((bytes * tcb.srtt) / (gain * tcb.cwnd))) | 0
}

/** Bytes a second, 0 if it is not paced; for `info.ts`. */
export function pacingRate(tcp: Tcp, tcb: Tcb): number {
  if (tcp.settings.pacing === 0 || tcb.srtt === 0) return 0
  return Math.floor(((tcb.cwnd < tcb.ssthresh ? GAIN_SLOW_START : GAIN) * tcb.cwnd * 1e6) / tcb.srtt)
}
