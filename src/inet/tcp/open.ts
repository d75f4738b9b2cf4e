/** Active opening (RFC 9293 §3.10.1). */
import type { IpAddress } from '../address.ts'
import type { ConnectionUser } from './host.ts'
import type { ConnectionSettings } from './settings.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

export interface ConnectRequest {
  readonly remote: IpAddress
  readonly remotePort: number
  /** MUST-43: the program may choose its own address. Without it IP does (MUST-44). */
  readonly local?: IpAddress | undefined
  /** Without it, or 0: a free one (RFC 6056). */
  readonly localPort?: number | undefined
  readonly settings?: ConnectionSettings | undefined
  readonly user?: ConnectionUser | null | undefined
}

/**
 * Sends a SYN. `host.connected` or `host.closed` follows; `closed` possibly before this returns, if IP
 * refuses the segment at once.
 * @throws StackError `ERR_BAD_ADDRESS` (MUST-46), `ERR_BAD_ARGUMENT`, `ERR_ADDR_NOT_AVAILABLE`,
 * `ERR_NETWORK_UNREACHABLE`, `ERR_ADDR_IN_USE` (the tuple exists, or no port is free), `ERR_NO_BUFFERS` (too many connections)
 */
export function connect(_tcp: Tcp, _request: ConnectRequest): Tcb {
  throw new Error('not yet')
}
