/** Tells a client's trace hook of calls that ended, never from within the client: a hook may call what it likes. */
import type { Call } from './client-call.ts'
import type { RpcTrace, RpcTraceEvent } from './trace.ts'

/** Events that wait to be told; more are dropped. */
const EVENTS_MAX = 4_096

export class ClientTracer {
  /** Events that were dropped, because too many ended in one turn. */
  dropped = 0
  private readonly trace: RpcTrace
  private events: RpcTraceEvent[] = []

  constructor(trace: RpcTrace) {
    this.trace = trace
  }

  ended(call: Call, endedAt: number, peer: string, result: string): void {
    if (this.events.length >= EVENTS_MAX) {
      this.dropped++
      return
    }
    const { xid, beganAt, transmissions, procedure } = call
    this.events.push({
      side: 'client',
      procedure: procedure.name,
      xid: xid >>> 0,
      peer,
      beganAt,
      endedAt,
      transmissions,
      result,
    })
  }

  flush(): void {
    const { events, trace } = this
    this.events = []
    for (const event of events) {
      try {
        trace(event)
      } catch {
        // A hook that fails is no reason for calls to fail.
      }
    }
  }
}
