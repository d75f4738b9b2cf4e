/** When data leaves, and how much at once. */
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Looks once at each scheduled connection: sends what may be sent, then acknowledges what nothing else acknowledged. */
export function flush(_tcp: Tcp): void {}

/** Sends what the windows and the rules allow: lost data again first, then new data, then the FIN. */
export function output(_tcp: Tcp, _tcb: Tcb): void {}

/** The link has room again: connections that waited for it are scheduled. */
export function resume(_tcp: Tcp): void {}
