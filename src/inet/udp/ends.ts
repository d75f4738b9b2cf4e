/**
 * What a program's side asks of the driver's end of a datagram stream beside messages (`unitdata.ts`) and the requests
 * `udp.bind`, `udp.connect`, `udp.disconnect`, `udp.name` and `udp.set`: of this stack's UDP (`endpoint.ts`), or of any other
 * driver that is registered as `udp`. A driver that needs a control stream first has another state for that one.
 */
import type { SocketName } from './endpoint.ts'

/** Answer to most requests. */
export interface EndpointNames {
  /** Null while it is not bound. */
  readonly local: SocketName | null
  readonly remote: SocketName | null
}

/** The state of an endpoint's driver end. */
export interface DatagramEnd {
  /** Where it is bound and connected. */
  readonly names: EndpointNames
}

/** Whether a driver's state is an endpoint's; a control stream's is not. */
export function isDatagramEnd(state: unknown): state is DatagramEnd {
  return typeof state === 'object' && state !== null && 'names' in state
}
