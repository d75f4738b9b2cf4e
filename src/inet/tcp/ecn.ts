/** Explicit congestion notification, the sender's half (RFC 3168 §6.1.2). */
import { CA_CWR, type Flight } from './flight.ts'
import { beginReduction } from './recovery.ts'
import { F_CWR_OUT, type Tcb } from './tcb.ts'
import { endUndo } from './undo.ts'

/**
 * An ACK says ECE: the window is reduced as for a loss, once in a window of data, and the next new data says CWR.
 * @param delivered - bytes that this ACK is the first to acknowledge
 */
export function ecnEcho(tcb: Tcb, flight: Flight, delivered: number): void {
  if (flight.caState >= CA_CWR) return
  endUndo(flight)
  beginReduction(tcb, flight, delivered)
  flight.caState = CA_CWR
  flight.recoveryPoint = tcb.sndNxt
  tcb.flags |= F_CWR_OUT
}
