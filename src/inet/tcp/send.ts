/** What a program gives to be sent (RFC 9293 §3.10.2). */
import type { Mblk } from '../../streams/mblk/mblk.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * Queues data; it leaves at the next flush as far as the windows allow. May be called before the connection is established
 * (RFC 9293 §3.10.2, SYN-SENT), not after `shutdown`. More than {@link sendRoom} is taken too: the bound is the caller's to keep.
 * @param mp - consumed: M_DATA of any shape; its bytes are not to be changed until they are acknowledged
 */
export function send(_tcp: Tcp, _tcb: Tcb, _mp: Mblk): void {}

/** Bytes that may still be queued; 0 or less: full, set `F_WANTS_ROOM` and wait for `host.writable`. */
export function sendRoom(_tcb: Tcb): number {
  return 0
}
