/** Deadlines of connections: one entry of the wheel for each, looked at again when it fires (RFC 6298, RFC 9293 §3.8). */

import { ACK } from '../wire/tcp.ts'
import { delayedAckFired } from './ack-policy.ts'
import { finish } from './close.ts'
import { emitSegment, emitTcbReset } from './emit.ts'
import { releaseFlight } from './flight.ts'
import { halfOpenTimer } from './handshake.ts'
import { onPersist } from './persist.ts'
import { windowOpened } from './receive.ts'
import { reorderTimerFired, retransmitTimerFired } from './retransmit-timer.ts'
import { CLOSED, ESTABLISHED, FIN_WAIT_2 } from './states.ts'
import { sendProbe } from './tail-loss.ts'
import {
  F_ORPHAN,
  T_CORK,
  T_DELAYED_ACK,
  T_IDLE,
  T_KEEP,
  T_LOSS,
  T_PACE,
  T_PERSIST,
  T_RETRANSMIT,
  type Tcb,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** They share `retransmitAt`: one at a time. */
const SHARED = T_RETRANSMIT | T_LOSS | T_PERSIST | T_IDLE

/** The stack whose wheel turns; {@link expire} does not nest. */
let turning: Tcp | null = null

/** Runs everything that is due at `tcp.nowMs`: connections, half-open connections, TIME-WAIT. */
export function expire(tcp: Tcp): void {
  turning = tcp
  tcp.wheel.expire(tcp.nowMs, onWheel)
  tcp.halfOpen.expire(tcp.nowMs, onHalfOpen)
  tcp.timeWait.expire(tcp.nowMs)
  tcp.intakes.expire(tcp, windowOpened)
  turning = null
}

const onWheel = (tcb: Tcb): void => fire(turning!, tcb)
const onHalfOpen = (index: number): void => halfOpenTimer(turning!, index)

/** When {@link expire} is to be called next, int32 ms on the clock of `Tcp.nowMs`; null: nothing waits. May be early, never late. */
export function pollAt(tcp: Tcp): number | null {
  const records = earlier(tcp.halfOpen.pollAt(), tcp.timeWait.pollAt())
  return earlier(earlier(tcp.wheel.pollAt(), tcp.intakes.pollAt()), records)
}

function earlier(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b
  return ((a - b) | 0) <= 0 ? a : b
}

/**
 * Sets a deadline. `T_RETRANSMIT`, `T_LOSS`, `T_PERSIST` and `T_IDLE` exclude each other (they share `retransmitAt`).
 * @param bit - one `T_*`; @param atMs - int32 ms
 */
export function setTimer(tcp: Tcp, tcb: Tcb, bit: number, atMs: number): void {
  if (bit !== T_PACE) atMs = (atMs + tcp.begunMs) | 0
  if ((bit & SHARED) !== 0) {
    tcb.timers = (tcb.timers & ~SHARED) | bit
    tcb.retransmitAt = atMs
  } else {
    tcb.timers |= bit
    if (bit === T_DELAYED_ACK) tcb.delackAt = atMs
    else if (bit === T_KEEP) tcb.keepAt = atMs
    else if (bit === T_CORK) tcb.flight!.corkAtMs = atMs
    else tcb.flight!.paceAtMs = atMs
  }
  // One entry for all of them: the earliest looks at each.
  if (tcp.wheel.arm(tcb, atMs, tcp.nowMs)) tcp.host.timerMoved()
}

/** Clears deadlines. The wheel's entry stays and looks in vain. @param bits - `T_*` */
export function clearTimer(tcb: Tcb, bits: number): void {
  tcb.timers &= ~bits
}

/** The wheel's entry fired: does what is due and enters what is left. */
function fire(tcp: Tcp, tcb: Tcb): void {
  const now = tcp.nowMs
  if ((tcb.timers & T_DELAYED_ACK) !== 0 && ((tcb.delackAt - now) | 0) <= 0) {
    tcb.timers &= ~T_DELAYED_ACK
    delayedAckFired(tcp, tcb)
  }
  if ((tcb.timers & SHARED) !== 0 && ((tcb.retransmitAt - now) | 0) <= 0) {
    const bit = tcb.timers & SHARED
    tcb.timers &= ~SHARED
    fireShared(tcp, tcb, bit)
  }
  if ((tcb.timers & T_PACE) !== 0 && (tcb.flight === null || ((tcb.flight.paceAtMs - now) | 0) <= 0)) {
    tcb.timers &= ~T_PACE
    tcp.schedule(tcb)
  }
  if ((tcb.timers & T_CORK) !== 0 && (tcb.flight === null || ((tcb.flight.corkAtMs - now) | 0) <= 0)) {
    tcb.timers &= ~T_CORK
    tcp.schedule(tcb)
  }
  if ((tcb.timers & T_KEEP) !== 0 && ((tcb.keepAt - now) | 0) <= 0) {
    tcb.timers &= ~T_KEEP
    onKeepAlive(tcp, tcb)
  }
  if (tcb.timers === 0 || tcb.state === CLOSED) return
  tcp.wheel.arm(tcb, earliest(tcp, tcb), tcp.nowMs)
}

function fireShared(tcp: Tcp, tcb: Tcb, bit: number): void {
  const { flight } = tcb
  if (bit === T_IDLE) {
    // RFC 7661: what was learnt of the path stays in the control block.
    if (flight !== null && flight.board.count === 0 && flight.queue.bytes === 0) releaseFlight(tcp, tcb)
  } else if (bit === T_PERSIST) onPersist(tcp, tcb)
  else if (bit === T_RETRANSMIT) retransmitTimerFired(tcp, tcb)
  else if (flight !== null) {
    if (flight.reorderTimer) reorderTimerFired(tcp, tcb, flight)
    else sendProbe(tcp, tcb, flight)
  }
}

const KINDS = [SHARED, T_DELAYED_ACK, T_KEEP, T_PACE, T_CORK] as const

function deadlineOf(tcp: Tcp, tcb: Tcb, bits: number): number {
  if (bits === SHARED) return tcb.retransmitAt
  if (bits === T_DELAYED_ACK) return tcb.delackAt
  if (bits === T_KEEP) return tcb.keepAt
  const { flight } = tcb
  if (flight === null) return tcp.nowMs
  return bits === T_PACE ? flight.paceAtMs : flight.corkAtMs
}

function earliest(tcp: Tcp, tcb: Tcb): number {
  const { timers } = tcb
  let at = 0
  let known = false
  for (const bits of KINDS) {
    if ((timers & bits) === 0) continue
    const each = deadlineOf(tcp, tcb, bits)
    if (known && ((each - at) | 0) >= 0) continue
    at = each
    known = true
  }
  return at
}

/**
 * Keep-alive (RFC 9293 §3.8.4: MUST-24 to 29, off unless asked for), and the end of FIN-WAIT-2 for what nobody holds any more.
 * The deadline is lazy: what came in meanwhile moves it here, not when it came.
 */
function onKeepAlive(tcp: Tcp, tcb: Tcb): void {
  if (tcb.state === FIN_WAIT_2 && (tcb.flags & F_ORPHAN) !== 0) {
    tcp.counters['fin-wait-2-expired']++
    return finish(tcp, tcb, 'done')
  }
  const { settings } = tcb
  if (!settings.keepAlive || tcb.state < ESTABLISHED) return
  const idle = settings.keepIdleMs || tcp.settings.keepIdleMs
  const interval = settings.keepIntervalMs || tcp.settings.keepIntervalMs
  const { flight } = tcb
  const quietMs = (tcp.nowMs - tcb.lastInAt) | 0
  // MUST-26: not while data is on its way; that has its own timer.
  if ((flight !== null && (flight.board.count > 0 || flight.queue.bytes > 0)) || quietMs < idle) {
    tcb.probes = 0
    return setTimer(tcp, tcb, T_KEEP, (tcp.nowMs + Math.max(1, quietMs < idle ? idle - quietMs : idle)) | 0)
  }
  if (keepAliveGivesUp(tcp, tcb, quietMs)) {
    emitTcbReset(tcp, tcb)
    return finish(tcp, tcb, 'timed-out')
  }
  tcb.probes++
  tcp.counters['keep-alives-out']++
  // SHLD-12: without data, one below what the peer expects.
  emitSegment(tcp, tcb, (tcb.sndNxt - 1) | 0, ACK, null, 0)
  setTimer(tcp, tcb, T_KEEP, (tcp.nowMs + interval) | 0)
}

/** MUST-29: no single probe that is not answered means that the peer is gone. RFC 5482: the user timeout may. */
function keepAliveGivesUp(tcp: Tcp, tcb: Tcb, quietMs: number): boolean {
  const { userTimeoutMs, keepProbes } = tcb.settings
  if (userTimeoutMs > 0) return quietMs >= userTimeoutMs && tcb.probes > 0
  return tcb.probes >= (keepProbes || tcp.settings.keepProbes)
}
