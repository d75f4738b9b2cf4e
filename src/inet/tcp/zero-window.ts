/**
 * Peers that hold connections with windows of zero, or of next to nothing (checklist 3.5-44, Sockstress; RFC 6429). One window of zero may last for
 * ever (MUST-37); many of one address are an attack on memory. Counted in a fixed table by address: two cells each, of
 * which the smaller counts, so that a stranger in one cell does no harm.
 */
import { PRESSURE_HARD, pressure } from './memory.ts'
import { F_ZERO_WINDOW, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

const CELL_BITS = 12
const CELL_MASK = (1 << CELL_BITS) - 1
/** A window smaller than this, and than a segment, counts as none: what waits for it is held as long as its peer likes. */
const TINY_BYTES = 512
/** Use of `SequenceKeys.hash3`. */
const FOR_ZERO_WINDOW = 24

export class ZeroWindowCounts {
  readonly cells = new Uint32Array(2 << CELL_BITS)
}

/** Whether the peer's window is zero or next to it. No honest receiver announces one so small for long (RFC 9293 §3.8.6.2.2). */
export function isWindowTiny(tcb: Tcb): boolean {
  return tcb.sndWnd < Math.min(TINY_BYTES, tcb.sndMss)
}

/**
 * A connection with something to send begins to wait for a window that is zero or tiny.
 * @returns false if the peer's address holds too many of the kind, or no memory is left: the caller ends the connection then
 */
export function zeroWindowBegan(tcp: Tcp, tcb: Tcb): boolean {
  if ((tcb.flags & F_ZERO_WINDOW) !== 0) return true
  const { cells } = tcp.zeroWindows
  const hash = hashOf(tcp, tcb)
  const a = hash & CELL_MASK
  const b = (1 << CELL_BITS) + ((hash >>> CELL_BITS) & CELL_MASK)
  if (Math.min(cells[a]!, cells[b]!) >= tcp.settings.zeroWindowPerSource || pressure(tcp) >= PRESSURE_HARD) {
    tcp.counters['zero-window-killed']++
    return false
  }
  cells[a]!++
  cells[b]!++
  tcb.flags |= F_ZERO_WINDOW
  return true
}

/** The window opened, nothing waits for it any more, or the connection ended. Idempotent. */
export function zeroWindowEnded(tcp: Tcp, tcb: Tcb): void {
  if ((tcb.flags & F_ZERO_WINDOW) === 0) return
  tcb.flags &= ~F_ZERO_WINDOW
  const { cells } = tcp.zeroWindows
  const hash = hashOf(tcp, tcb)
  cells[hash & CELL_MASK]!--
  cells[(1 << CELL_BITS) + ((hash >>> CELL_BITS) & CELL_MASK)]!--
}

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
