/** What a socket needs of whoever drives the stack. */
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
}
