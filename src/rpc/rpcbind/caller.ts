/** Who asks rpcbind, and by which way. */
import { type IpAddress, isLoopback, sameAddress } from '../../inet/address.ts'
import type { SysCredentials } from '../auth.ts'
import type { Netid } from './netid.ts'

export interface RpcbindCaller {
  /** Of the transport that the call came by. */
  readonly netid: Netid
  /** A program of this machine: it called from one of the machine's own addresses, which IP takes from nobody else. */
  readonly isLocal: boolean
  /** Where the call came to; null if that is not known, or no address that answers. */
  readonly local: IpAddress | null
  /** What the caller says of itself. */
  readonly credentials: SysCredentials | null
}

/**
 * Whether a call comes from the machine that it came to: from loopback, or from the address that it was sent to.
 * @param local - null if it is not known
 */
export function isFromHere(remote: IpAddress, local: IpAddress | null): boolean {
  return isLoopback(remote) || (local !== null && sameAddress(remote, local))
}
