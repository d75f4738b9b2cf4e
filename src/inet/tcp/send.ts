/** What a program gives to be sent (RFC 9293 §3.10.2). */
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { takeFlight } from './flight.ts'
import { PRESSURE_NONE, PRESSURE_SOME, pressure } from './memory.ts'
import { CLOSED, ESTABLISHED } from './states.ts'
import { F_FIN_QUEUED, F_PUSH, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * Queues data; it leaves at the next flush as far as the windows allow. May be called before the connection is established
 * (RFC 9293 §3.10.2, SYN-SENT), not after `shutdown`: then, and when it is closed, the data is freed. More than {@link sendRoom}
 * is taken too: the bound is the caller's to keep.
 * @param mp - consumed: M_DATA of any shape; its bytes are not to be changed until they are acknowledged
 */
export function send(tcp: Tcp, tcb: Tcb, mp: Mblk): void {
  if (tcb.state === CLOSED || (tcb.flags & F_FIN_QUEUED) !== 0) return freemsg(mp)
  // A stream has no message boundaries: an empty message is nothing, and takes no record.
  if (isEmpty(mp)) return freemsg(mp)
  const { queue } = takeFlight(tcp, tcb)
  tcp.memoryUsed += queue.append(tcp.arena, mp)
  tcb.flags |= F_PUSH
  if (tcb.state >= ESTABLISHED) tcp.schedule(tcb)
  queue.freeSpent()
}

function isEmpty(mp: Mblk): boolean {
  for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont) if (bp.wptr > bp.rptr) return false
  return true
}

/** What a connection may queue while memory is short: a super-segment's worth. */
const PRESSED_BYTES = 64 * 1024

/** Bytes that may be queued in all. Once the budget is spent, one message each: its acknowledgment makes room for the next. */
export function sendLimit(tcp: Tcp, tcb: Tcb): number {
  const pressed = pressure(tcp)
  if (pressed === PRESSURE_NONE) return tcb.sndBuf
  return pressed === PRESSURE_SOME ? Math.min(tcb.sndBuf, PRESSED_BYTES) : 1
}

/** Bytes that may still be queued; 0 or less: full, set `F_WANTS_ROOM` and wait for `host.writable`. */
export function sendRoom(tcp: Tcp, tcb: Tcb): number {
  const { flight } = tcb
  const limit = sendLimit(tcp, tcb)
  return flight === null ? limit : limit - flight.queue.bytes
}
