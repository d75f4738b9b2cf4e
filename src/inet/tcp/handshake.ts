/** Passive opening on the wire: from a SYN for a listener to the connection in its queue (RFC 9293 §3.10.7.2, RFC 4987). */
import type { Listener } from './listener.ts'
import type { Tcp } from './tcp.ts'

/** A half-open connection's time is up: `timers.ts` calls it from `HalfOpenTable.expire`. Sends the SYN-ACK again, or gives up. */
export function halfOpenTimer(_tcp: Tcp, _index: number): void {}

/** Drops the half-open connections of a listener that is no more. */
export function forgetHalfOpen(_tcp: Tcp, _listener: Listener): void {}
