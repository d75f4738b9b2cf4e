/** Peers that hold connections with windows of zero (checklist 3.5-44, Sockstress; RFC 6429). */
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * A connection with something to send begins to probe a window of zero (persist timer set for the first time since the window was open).
 * @returns false if the peer's address holds too many of the kind: the caller ends the connection then
 */
export function zeroWindowBegan(_tcp: Tcp, _tcb: Tcb): boolean {
  return true
}

/** The window opened, or the connection ended. Idempotent. */
export function zeroWindowEnded(_tcp: Tcp, _tcb: Tcb): void {}
