/**
 * Connections whose program is gone: what is left of them is a courtesy to the peer, and ends first where there is too little
 * for those that somebody holds (as Linux's tcp_max_orphans and tcp_check_oom). A peer could otherwise fill the table of
 * connections, or memory with what it never acknowledges, by nothing but silence after our FIN.
 */

import { finish } from './close.ts'
import { emitTcbReset } from './emit.ts'
import { PRESSURE_NONE, pressure } from './memory.ts'
import { FIN_WAIT_2 } from './states.ts'
import { F_ORPHAN, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Buckets of the table that are looked at for one orphan; so many on an average hold as many connections. */
const LOOKS = 64

/** Whether a connection more may begin. If the table is full, an orphan must be there to give way. */
export function mayHoldOneMore(tcp: Tcp): boolean {
  return tcp.connections.size < tcp.settings.connectionsMax || tcp.orphans > 0
}

/**
 * Makes room for a connection whose peer has shown where it is. Chance decides which orphan goes, of a few the one whose end
 * loses least: in FIN-WAIT-2 everything is delivered, and nobody would read what comes.
 * @returns false if there is no room, and none was made
 */
export function makeRoomForOne(tcp: Tcp): boolean {
  if (tcp.connections.size < tcp.settings.connectionsMax) return true
  if (tcp.orphans === 0) return false
  const start = tcp.random.int32()
  let victim: Tcb | null = null
  for (let i = 0; i < LOOKS && victim?.state !== FIN_WAIT_2; i++) {
    for (let tcb = tcp.connections.chainAt(start + i); tcb !== null; tcb = tcb.hashNext) {
      if ((tcb.flags & F_ORPHAN) === 0) continue
      if (victim === null || tcb.state === FIN_WAIT_2 || tcb.backoff > victim.backoff) victim = tcb
    }
  }
  if (victim === null) return false
  tcp.counters['orphans-ended']++
  emitTcbReset(tcp, victim)
  finish(tcp, victim, 'aborted')
  return true
}

/** Whether an orphan whose peer does not answer, or takes nothing, is to end now, since others need the memory. */
export function orphanMustEnd(tcp: Tcp, tcb: Tcb): boolean {
  if ((tcb.flags & F_ORPHAN) === 0 || pressure(tcp) === PRESSURE_NONE) return false
  tcp.counters['orphans-ended']++
  return true
}
