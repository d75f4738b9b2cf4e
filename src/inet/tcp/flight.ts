/** What a connection holds only while it has something to send or in flight: queue, scoreboard, recovery and congestion state. Pooled. */
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

export class Flight {
  /** Next in the pool. */
  next: Flight | null = null
}

/** The connection's flight record, taken from the pool if it has none. */
export function takeFlight(_tcp: Tcp, tcb: Tcb): Flight {
  tcb.flight ??= new Flight()
  return tcb.flight
}

/** Frees what is queued and gives the record back; timers of sending are cleared. For `finish`, and for connections that fell idle. */
export function releaseFlight(_tcp: Tcp, tcb: Tcb): void {
  tcb.flight = null
}
