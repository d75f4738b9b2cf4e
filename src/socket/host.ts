/** What a socket needs of whoever drives the stack. */
import type { LookupFunction } from 'node:net'
import type { Runtime } from '../streams/runtime.ts'

/** Keeps the program running while a socket is open, as a handle of Node does. */
export interface Keepalive {
  /** One more reason to go on. */
  ref(): void
  /** One reason fewer. */
  unref(): void
}

/** The stack that sockets are opened on. */
export interface SocketHost {
  readonly runtime: Runtime
  readonly keepalive?: Keepalive
  /** Finds the addresses of names, as `dns.lookup`, for stream sockets that bring nothing of their own; by default `lookup.ts` does. */
  readonly lookup?: LookupFunction
}
