/** What `rpcinfo -m` prints: what each version of the protocol was asked for (RFC 1833 §2.2.2, GETSTAT). Bounded: what does not fit is not told apart. */
import { RPCB_STAT_PROCEDURES, type RpcbStat, type RpcbStatByvers } from './rpcbind-types.ts'

export type ProtocolVersion = 2 | 3 | 4

const FIRST_VERSION = 2
/** Programs that each version keeps figures of. */
export const STATISTICS_MAX = 64

interface Lookups {
  readonly prog: number
  readonly vers: number
  readonly netid: string
  success: number
  failure: number
}

interface OfVersion {
  readonly calls: Int32Array
  readonly addresses: Lookups[]
  set: number
  unset: number
}

export class RpcbindStatistics {
  private readonly versions: readonly OfVersion[] = [2, 3, 4].map(() => ({
    calls: new Int32Array(RPCB_STAT_PROCEDURES),
    addresses: [],
    set: 0,
    unset: 0,
  }))

  called(version: ProtocolVersion, procedure: number): void {
    const { calls } = this.of(version)
    if (procedure < calls.length) calls[procedure]!++
  }

  changed(version: ProtocolVersion, what: 'set' | 'unset'): void {
    this.of(version)[what]++
  }

  /** An address was asked for. */
  looked(version: ProtocolVersion, prog: number, vers: number, netid: string, isFound: boolean): void {
    const { addresses } = this.of(version)
    let lookups = addresses.find(one => one.prog === prog && one.vers === vers && one.netid === netid)
    if (lookups === undefined) {
      if (addresses.length >= STATISTICS_MAX) return
      lookups = { prog, vers, netid, success: 0, failure: 0 }
      addresses.push(lookups)
    }
    lookups[isFound ? 'success' : 'failure']++
  }

  /** Versions 2, 3 and 4. */
  byVersion(): RpcbStatByvers {
    return this.versions.map(({ calls, set, unset, addresses }): RpcbStat => {
      return { calls: [...calls], set, unset, addresses: [...addresses], remoteCalls: [] }
    })
  }

  private of(version: ProtocolVersion): OfVersion {
    return this.versions[version - FIRST_VERSION]!
  }
}
