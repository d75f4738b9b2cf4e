/**
 * Peers that hold connections with windows of zero, or of next to nothing (checklist 3.5-44, Sockstress; RFC 6429). One window of zero may last for
 * ever (MUST-37); many of one address are an attack on memory. Counted in a fixed table by address: two cells each, of
 * which the smaller counts, so that a stranger in one cell does no harm.
 */
import type { Flight } from './flight.ts'
import { PRESSURE_HARD, PRESSURE_NONE, pressure } from './memory.ts'
import { F_ZERO_WINDOW, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

const CELL_BITS = 12
const CELL_MASK = (1 << CELL_BITS) - 1
/** A window smaller than this, and than a segment, counts as none: what waits for it is held as long as its peer likes. */
const TINY_BYTES = 512
/** A window may be shut, or tiny, for so long in any case: a round trip, or a program that looks away, is no attack. */
const HONEST_MS = 1_000
/** How long while memory is spent. */
const SPENT_MS = 10_000
/** How long while it is short, for one of many of its address. */
const SHORT_MS = 60_000
const MANY = 16
/** Use of `SequenceKeys.hash3`. */
const FOR_ZERO_WINDOW = 24

export class ZeroWindowCounts {
  readonly cells = new Uint32Array(2 << CELL_BITS)
}

/** Whether the peer's window is zero or next to it. No honest receiver announces one so small for long (RFC 9293 §3.8.6.2.2). */
export function isWindowTiny(tcb: Tcb): boolean {
  return tcb.sndWnd < Math.min(TINY_BYTES, tcb.sndMss)
}

/** A connection with something to send waits for a window that is zero or tiny. Idempotent: the first time counts. */
export function zeroWindowBegan(tcp: Tcp, tcb: Tcb, flight: Flight): void {
  if ((tcb.flags & F_ZERO_WINDOW) !== 0) return
  tcb.flags |= F_ZERO_WINDOW
  flight.heldSinceMs = tcp.nowMs
  const { cells } = tcp.zeroWindows
  const hash = hashOf(tcp, tcb)
  cells[cellA(hash)]!++
  cells[cellB(hash)]!++
}

/**
 * Whether a connection that so waits may go on. Not at once, and not because it came last: its peer has had time to take
 * what was sent, and then it must be one of too many of its address, or memory must be short.
 * @returns false: the caller ends the connection
 */
export function zeroWindowMayLast(tcp: Tcp, tcb: Tcb, flight: Flight): boolean {
  if ((tcb.flags & F_ZERO_WINDOW) === 0) return true
  const heldMs = (tcp.nowMs - flight.heldSinceMs) >>> 0
  if (heldMs < HONEST_MS) return true
  const { cells } = tcp.zeroWindows
  const hash = hashOf(tcp, tcb)
  const count = Math.min(cells[cellA(hash)]!, cells[cellB(hash)]!)
  if (count <= tcp.settings.zeroWindowPerSource && !isTooLong(pressure(tcp), heldMs, count)) return true
  tcp.counters['zero-window-killed']++
  return false
}

function isTooLong(pressed: number, heldMs: number, count: number): boolean {
  if (pressed >= PRESSURE_HARD) return heldMs >= SPENT_MS
  return pressed !== PRESSURE_NONE && heldMs >= SHORT_MS && count >= MANY
}

/** The window opened, nothing waits for it any more, or the connection ended. Idempotent. */
export function zeroWindowEnded(tcp: Tcp, tcb: Tcb): void {
  if ((tcb.flags & F_ZERO_WINDOW) === 0) return
  tcb.flags &= ~F_ZERO_WINDOW
  const { cells } = tcp.zeroWindows
  const hash = hashOf(tcp, tcb)
  cells[cellA(hash)]!--
  cells[cellB(hash)]!--
}

const cellA = (hash: number): number => hash & CELL_MASK
const cellB = (hash: number): number => (1 << CELL_BITS) + ((hash >>> CELL_BITS) & CELL_MASK)

/** Of the peer's address; IPv6 by its network of 64 bits, which one host may have all to itself. */
function hashOf(tcp: Tcp, tcb: Tcb): number {
  const v4 = tcb.family === 4
  return tcp.keys.hash3(
    FOR_ZERO_WINDOW,
    v4 ? 0 : tcb.remote0,
    v4 ? 0 : tcb.remote1,
    0,
    v4 ? tcb.remote3 : 0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
  )
}
