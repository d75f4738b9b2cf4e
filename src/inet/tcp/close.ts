/** How connections end (RFC 9293 §3.6, §3.10.4, §3.10.5). */
import { assert } from '../../base/assert.ts'
import { emitAck, emitTcbReset } from './emit.ts'
import { releaseFlight } from './flight.ts'
import type { CloseReason } from './host.ts'
import { releaseIntake, settleLent } from './intake.ts'
import type { Listener } from './listener.ts'
import { receiveWindow, unreadBytes } from './receive.ts'
import {
  CLOSE_WAIT,
  CLOSED,
  ESTABLISHED,
  FIN_WAIT_1,
  FIN_WAIT_2,
  LAST_ACK,
  SYN_RECEIVED,
  SYN_SENT,
} from './states.ts'
import {
  F_ACK_DELAYED,
  F_ACK_NOW,
  F_FIN_QUEUED,
  F_ORPHAN,
  F_TIMESTAMPS,
  F_UNACCEPTED,
  T_KEEP,
  type Tcb,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { TW_TIMESTAMPS } from './time-wait.ts'
import { setTimer } from './timers.ts'
import { zeroWindowEnded } from './zero-window.ts'

/** Where the window of a TIME-WAIT record stands in its flags. */
export const TW_WINDOW_SHIFT = 16

/** The user sends no more: a FIN follows what is queued; what the peer sends still comes in (MUST-12 is `release`). Idempotent. */
export function shutdown(tcp: Tcp, tcb: Tcb): void {
  if (tcb.state === CLOSED || (tcb.flags & F_FIN_QUEUED) !== 0) return
  tcb.flags |= F_FIN_QUEUED
  // RFC 9293 §3.10.4: in SYN-SENT and SYN-RECEIVED it waits for ESTABLISHED, see `establish`.
  if (tcb.state === ESTABLISHED) tcb.state = FIN_WAIT_1
  else if (tcb.state === CLOSE_WAIT) tcb.state = LAST_ACK
  else return
  tcp.schedule(tcb)
}

/**
 * The program is gone: no event follows. Data that it has not read, or that comes later, makes a reset (RFC 2525 §2.17,
 * RFC 9293 §3.6.1); else what is queued and a FIN are still sent. Call it before the program's own queue is freed, so
 * that `host.unread` counts. On a connection that is closed it frees what was left to be read.
 */
export function release(tcp: Tcp, tcb: Tcb): void {
  if ((tcb.flags & F_ORPHAN) !== 0) return
  const unread = unreadBytes(tcp, tcb)
  tcb.flags |= F_ORPHAN
  tcb.user = null
  settleLent(tcp, tcb)
  if (tcb.state === CLOSED) {
    releaseIntake(tcp, tcb, false)
    return
  }
  tcp.orphans++
  if (tcb.state === SYN_SENT) return finish(tcp, tcb, 'aborted')
  if (unread > 0) {
    emitTcbReset(tcp, tcb)
    return finish(tcp, tcb, 'aborted')
  }
  shutdown(tcp, tcb)
  if (tcb.state === FIN_WAIT_2) finWait2(tcp, tcb)
}

/** The peer acknowledged our FIN: an orphan does not wait for its FIN for ever (checklist 3.5-52). */
export function finWait2(tcp: Tcp, tcb: Tcb): void {
  if ((tcb.flags & F_ORPHAN) !== 0) setTimer(tcp, tcb, T_KEEP, (tcp.nowMs + tcp.settings.finWait2Ms) | 0)
}

/** Ends it at once, with a reset where the state has one (RFC 9293 §3.10.5). `host.closed` says 'aborted'. */
export function abort(tcp: Tcp, tcb: Tcb): void {
  const { state } = tcb
  if (state === CLOSED) return
  if (state >= SYN_RECEIVED && state <= CLOSE_WAIT) emitTcbReset(tcp, tcb)
  finish(tcp, tcb, 'aborted')
}

/**
 * It is over: out of all tables, what is to be sent freed, `host.closed` told (not of orphans, and not of what nobody accepted).
 * In-order data that was not taken stays to be taken with `takeData`, save after 'aborted' and 'no-memory', until `release`.
 */
export function finish(tcp: Tcp, tcb: Tcb, reason: CloseReason): void {
  const { state, flags } = tcb
  assert(state !== CLOSED, 'a connection ends twice')
  count(tcp, state, reason)
  if ((flags & F_ORPHAN) !== 0) tcp.orphans--
  tcp.connections.remove(tcb)
  zeroWindowEnded(tcp, tcb)
  tcb.state = CLOSED
  tcb.timers = 0
  tcb.flags &= ~(F_ACK_NOW | F_ACK_DELAYED)
  tcp.wheel.disarm(tcb)
  // From here on the free routine of a program's block may call back: it finds the connection over.
  releaseFlight(tcp, tcb)
  // In line to be accepted it has a listener, until that closes.
  const listener = (flags & F_UNACCEPTED) === 0 ? null : (tcb.user as Listener | null)
  const told = (flags & (F_ORPHAN | F_UNACCEPTED)) === 0
  const keeps = told || listener !== null
  releaseIntake(tcp, tcb, keeps && reason !== 'aborted' && reason !== 'no-memory')
  if (told) tcp.host.closed(tcb, reason)
  else if (listener !== null) {
    tcp.counters['ended-unaccepted']++
    listener.died(tcb, reason)
  }
}

function count(tcp: Tcp, state: number, reason: CloseReason): void {
  const { counters } = tcp
  counters.closed++
  if (state < ESTABLISHED) counters['opens-failed']++
  else if (state === ESTABLISHED || state === CLOSE_WAIT) counters['established-resets']++
  if (reason === 'timed-out') counters['timed-out']++
}

/** Both FINs are exchanged: leaves a record for 2 MSL (MUST-13), and finishes with 'done'. The last ACK leaves here. */
export function enterTimeWait(tcp: Tcp, tcb: Tcb): void {
  if ((tcb.flags & (F_ACK_NOW | F_ACK_DELAYED)) !== 0) emitAck(tcp, tcb)
  const { timeWait, counters, settings } = tcp
  if (timeWait.full) counters['time-wait-evicted']++
  counters['time-wait-entered']++
  const window = receiveWindow(tcp, tcb) >> (tcb.scales >> 8)
  const flags = (window << TW_WINDOW_SHIFT) | ((tcb.flags & F_TIMESTAMPS) !== 0 ? TW_TIMESTAMPS : 0)
  if (settings.timeWaitMax > 0) timeWait.add(tcb, flags, (tcp.nowMs + settings.timeWaitMs + tcp.begunMs) | 0)
  tcp.host.timerMoved()
  finish(tcp, tcb, 'done')
}
