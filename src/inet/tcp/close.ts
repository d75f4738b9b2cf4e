/** How connections end (RFC 9293 §3.6, §3.10.4, §3.10.5). */
import type { CloseReason } from './host.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** The user sends no more: a FIN follows what is queued; what the peer sends still comes in. Idempotent. */
export function shutdown(_tcp: Tcp, _tcb: Tcb): void {}

/**
 * The program is gone: no event follows. Data that it has not read, or that comes later, makes a reset (RFC 2525 §2.17,
 * RFC 9293 §3.6.1); else what is queued and a FIN are still sent. Call it before the program's own queue is freed, so
 * that `host.unread` counts. On a connection that is closed it frees what was left to be read.
 */
export function release(_tcp: Tcp, _tcb: Tcb): void {}

/** Ends it at once, with a reset where the state has one (RFC 9293 §3.10.5). `host.closed` says 'aborted'. */
export function abort(_tcp: Tcp, _tcb: Tcb): void {}

/**
 * It is over: out of all tables, what is to be sent freed, `host.closed` told (not of orphans, and not of what nobody accepted).
 * In-order data that was not taken stays to be taken with `takeData`, save after 'aborted' and 'no-memory', until `release`.
 */
export function finish(_tcp: Tcp, _tcb: Tcb, _reason: CloseReason): void {}

/** Both FINs are exchanged: leaves a record for 2 MSL (MUST-13), and finishes with 'done'. The last ACK leaves here. */
export function enterTimeWait(_tcp: Tcp, _tcb: Tcb): void {}
