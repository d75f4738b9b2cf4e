/** What clients and servers tell a program that traces calls. Without a hook nothing is made for it. */

/** The end of one call, as a span of a tracing system has it. */
export interface RpcTraceEvent {
  readonly side: 'client' | 'server'
  /** As in the interface file; `program.version.procedure` where there is no such. */
  readonly procedure: string
  /** From 0 to 2^32-1. */
  readonly xid: number
  /** Whom it went to or came from. */
  readonly peer: string
  /** Microseconds on the runtime's clock: when the program called, or the call came in; and when it ended. */
  readonly beganAt: number
  readonly endedAt: number
  /** How often the client sent it; 1 at a server. */
  readonly transmissions: number
  /** `ok`; at a client an outcome and why (`unknown ERR_TIMED_OUT`, `answered PROG_UNAVAIL`); at a server a status or the name of a counter. */
  readonly result: string
}

/** Called for each call that ends, by whatever ends it: it must be quick, and what it throws is lost. */
export type RpcTrace = (event: RpcTraceEvent) => void
