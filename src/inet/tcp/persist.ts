/** A window that is closed, and how it is asked for (RFC 9293 §3.8.6.1, RFC 6429; checklist 3.5-44, -45). */

import { ACK, FIN, PSH } from '../wire/tcp.ts'
import { finish } from './close.ts'
import { emitSegment, emitTcbReset } from './emit.ts'
import type { Flight } from './flight.ts'
import { armRetransmit } from './loss-timer.ts'
import { orphanMustEnd } from './orphans.ts'
import { sendPiece } from './output.ts'
import { backedOff } from './rtt.ts'
import { HAS_FIN } from './scoreboard.ts'
import { F_FIN_QUEUED, F_FIN_SENT, F_ORPHAN, T_PERSIST, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { clearTimer, setTimer } from './timers.ts'
import { sentInVain, troubleOver } from './trouble.ts'
import { isWindowTiny, zeroWindowBegan, zeroWindowEnded, zeroWindowMayLast } from './zero-window.ts'

/** Closed by its program, a connection asks no longer than this (SHLD-11). */
export const ORPHAN_GIVE_UP_MS = 100_000

/** Something is to be sent, nothing is in flight, and the window takes nothing or too little: sets the timer. */
export function windowClosed(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  if ((tcb.timers & T_PERSIST) !== 0) return
  tcb.backoff = 0
  tcb.probes = 0
  tcb.troubleAt = tcp.nowMs
  if (!windowMayStay(tcp, tcb, flight)) return
  setTimer(tcp, tcb, T_PERSIST, (tcp.nowMs + backedOff(tcp, tcb)) | 0)
}

/** Something waits for the peer's window. Ends the connection if that is tiny for too long. @returns false if so */
export function windowMayStay(tcp: Tcp, tcb: Tcb, flight: Flight): boolean {
  if (!isWindowTiny(tcb)) return true
  zeroWindowBegan(tcp, tcb, flight)
  if (zeroWindowMayLast(tcp, tcb, flight)) return true
  emitTcbReset(tcp, tcb)
  finish(tcp, tcb, 'aborted')
  return false
}

/**
 * The timer ran out (SHLD-29, 30): one octet of new data beyond the window, the same again as long as it is
 * not taken. Never given up while the peer answers (MUST-37), save by the user timeout.
 */
export function onPersist(tcp: Tcp, tcb: Tcb): void {
  const { flight } = tcb
  if (flight === null) return
  if (hasGivenUp(tcp, tcb) || (tcb.backoff > 0 && orphanMustEnd(tcp, tcb))) {
    emitTcbReset(tcp, tcb)
    return finish(tcp, tcb, 'timed-out')
  }
  if (!windowMayStay(tcp, tcb, flight)) return
  tcb.backoff++
  tcb.probes++
  sentInVain(tcp, tcb, tcb.probes)
  if (flight.board.count === 0) probeWithNew(tcp, tcb, flight)
  else probeAgain(tcp, tcb, flight)
  if (tcb.flight === flight && flight.probing)
    setTimer(tcp, tcb, T_PERSIST, (tcp.nowMs + backedOff(tcp, tcb)) | 0)
}

function hasGivenUp(tcp: Tcp, tcb: Tcb): boolean {
  const { userTimeoutMs } = tcb.settings
  if (userTimeoutMs > 0 && ((tcp.nowMs - tcb.troubleAt) | 0) >= userTimeoutMs) return true
  // An orphan's peer may answer for ever and never take what is left.
  if ((tcb.flags & F_ORPHAN) !== 0) return ((tcp.nowMs - tcb.troubleAt) | 0) >= ORPHAN_GIVE_UP_MS
  return tcb.probes > 0 && ((tcp.nowMs - tcb.lastInAt) | 0) >= tcp.settings.r2Ms
}

function probeWithNew(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  const unsent = (flight.queue.endSeq - tcb.sndNxt) | 0
  const fin = (tcb.flags & (F_FIN_QUEUED | F_FIN_SENT)) === F_FIN_QUEUED
  if (unsent === 0 && !fin) return clearTimer(tcb, T_PERSIST)
  // RFC 9293 §3.8.6.2.1 (4): what the window takes after all, when it stayed small for so long.
  const length = Math.min(unsent, Math.max(1, Math.min(tcb.sndWnd, tcb.sndMss)))
  tcp.counters['window-probes-out']++
  flight.probing = tcb.sndWnd === 0
  const { hasSmall, smallEnd } = flight
  if (!sendPiece(tcp, tcb, flight, length, fin && length === unsent)) flight.probing = true
  else if (!flight.probing && tcb.flight === flight) armRetransmit(tcp, tcb)
  // Nagle's rule is about the program's small writes.
  flight.hasSmall = hasSmall
  flight.smallEnd = smallEnd
}

function probeAgain(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  tcp.counters['window-probes-out']++
  sendFirstAgain(tcp, tcb, flight)
}

/** Sends what is in flight beyond a window that was closed once more; no loss, so nothing is marked. */
export function sendFirstAgain(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  const { board, queue } = flight
  flight.sendFirst = false
  if (board.count === 0) return
  const slot = board.slot(0)
  const length = board.payloadBytes(slot)
  const payload = length === 0 ? null : queue.views(board.block(slot), board.offset(slot), length)
  if (length > 0 && payload === null) return
  const fin = (board.flags(slot) & HAS_FIN) !== 0 ? FIN : 0
  board.touch(slot, tcp.nowUs)
  emitSegment(tcp, tcb, board.seq(slot), ACK | fin | (length > 0 ? PSH : 0), payload, length)
}

/** An ACK came while the window was closed: it may have opened, and the probe may have been taken. */
export function afterProbe(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  tcb.probes = 0
  troubleOver(tcb)
  if (flight.board.count === 0) flight.probing = false
  if (tcb.sndWnd === 0) {
    if (flight.board.count === 0 && flight.queue.endSeq !== tcb.sndNxt && (tcb.timers & T_PERSIST) === 0)
      setTimer(tcp, tcb, T_PERSIST, (tcp.nowMs + backedOff(tcp, tcb)) | 0)
    return
  }
  if (!isWindowTiny(tcb)) zeroWindowEnded(tcp, tcb)
  tcb.backoff = 0
  if (!flight.probing) {
    // Of a window that is still too small for a segment the timer runs on, whatever the peer says meanwhile: nothing else sends.
    tcp.schedule(tcb)
    return
  }
  clearTimer(tcb, T_PERSIST)
  // It came before the window opened and was dropped.
  flight.probing = false
  flight.sendFirst = true
  armRetransmit(tcp, tcb)
  tcp.schedule(tcb)
}
