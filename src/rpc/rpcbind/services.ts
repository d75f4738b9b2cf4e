/**
 * The three versions of the protocol over one table: the port mapper (2) and rpcbind (3, 4), RFC 1833.
 *
 * Entries are made and taken away only by callers of this machine, unless it is told otherwise, and only by their owner. Lists are
 * not sent to datagrams from elsewhere, whose source may be forged: they would be many times as long as the question. Calls are not
 * passed on (CALLIT, BCAST, INDIRECT): that hides who calls, and makes one broadcast many answers. Both are counted.
 */
import { type Counters, makeCounters } from '../../base/counters.ts'
import { type Instant, seconds } from '../../base/time.ts'
import { isUnspecified, UNSPECIFIED_V4 } from '../../inet/address.ts'
import { AUTH_TOOWEAK, PROC_UNAVAIL } from '../status.ts'
import { RpcStatusError } from '../status-error.ts'
import type { RpcContext, RpcHandler, RpcService } from '../stub-types.ts'
import type { RpcbindCaller } from './caller.ts'
import { leaseOf } from './lease.ts'
import { NO_NETBUF, netbufOf, readNetbuf } from './netbuf.ts'
import { type Netid, netidNamed, netidOfProtocol } from './netid.ts'
import { NOBODY, type Registration, type Registrations, SUPERUSER } from './registrations.ts'
import {
  type RpcbindV2Service,
  type RpcbindV3Service,
  type RpcbindV4Service,
  rpcbindV2Service,
  rpcbindV3Service,
  rpcbindV4Service,
} from './rpcbind-server.ts'
import type { Netbuf, Pmap, Rpcb, RpcbEntryList } from './rpcbind-types.ts'
import { type ProtocolVersion, RpcbindStatistics } from './statistics.ts'
import { formatUniversal, mergedAddress, parseUniversal, type SocketAddress } from './universal-address.ts'

const COUNTERS = [
  /** SET or UNSET from another machine. */
  'refused-not-local',
  /** SET of what is no address of a transport of ours. */
  'refused-bad-address',
  /** A list asked for by a datagram from elsewhere. */
  'refused-amplification',
  /** CALLIT, BCAST or INDIRECT. */
  'refused-forwarding',
] as const

export type RpcbindServiceCounters = Counters<(typeof COUNTERS)[number]>

export interface RpcbindServiceOptions {
  readonly table: Registrations
  /** Who calls, by which transport, and where it came to. */
  readonly callerOf: (context: RpcContext) => RpcbindCaller
  readonly now: () => Instant
  /** Seconds since 1970. */
  readonly unixSeconds: () => number
  /** Whose SET and UNSET are looked at: this machine's (the default), or anybody's. */
  readonly changes?: 'local' | 'anyone'
  /** Also answers with lists to datagrams from elsewhere. */
  readonly amplifies?: boolean
}

const PORT_MAX = 65_535

export class RpcbindServices {
  readonly counters: RpcbindServiceCounters = makeCounters(COUNTERS)
  readonly statistics = new RpcbindStatistics()
  private readonly options: RpcbindServiceOptions

  constructor(options: RpcbindServiceOptions) {
    this.options = options
  }

  /** Versions 2, 3 and 4, to be registered with a server. */
  services(): RpcService[] {
    return [
      this.counted(2, rpcbindV2Service(this.portMapper())),
      this.counted(3, rpcbindV3Service(this.version3())),
      this.counted(4, rpcbindV4Service(this.version4())),
    ]
  }

  private counted(version: ProtocolVersion, service: RpcService): RpcService {
    const count = (handler: RpcHandler): RpcHandler => {
      const number = handler.procedure.procedure
      return {
        procedure: handler.procedure,
        handle: (argument, context) => {
          this.statistics.called(version, number)
          return handler.handle(argument, context)
        },
      }
    }
    return { ...service, handlers: service.handlers.map(count) }
  }

  // ---- the versions

  private portMapper(): RpcbindV2Service {
    const { table, now } = this.options
    return {
      set: (map, context) => this.set(2, fromPmap(map), context),
      unset: (map, context) => {
        // Each transport by itself: an entry of IPv6 is not the port mapper's.
        const found = ['udp', 'tcp'].map(netid =>
          this.unset(2, { prog: map.prog, vers: map.vers, netid }, context),
        )
        return found.includes(true)
      },
      getport: ({ prog, vers, protocol }) => {
        const netid = netidOfProtocol(protocol)?.name ?? ''
        const found = table.findAnyVersion(prog, vers, netid, now())
        this.statistics.looked(2, prog, vers, netid, found !== null)
        return found === null ? 0 : (parseUniversal(found.address)?.port ?? 0)
      },
      dump: context => {
        this.mayList(context)
        return table.list(now()).flatMap(entry => {
          const map = toPmap(entry)
          return map === null ? [] : [{ map }]
        })
      },
      callit: () => this.refuseForwarding(),
    }
  }

  private version3(): RpcbindV3Service {
    return { ...this.rpcbind(3), callit: () => this.refuseForwarding() }
  }

  private version4(): RpcbindV4Service {
    return {
      ...this.rpcbind(4),
      bcast: () => this.refuseForwarding(),
      indirect: () => this.refuseForwarding(),
      getversaddr: (map, context) => this.lookUp(4, map, context, true),
      getaddrlist: (map, context) => this.addresses(map, context),
      getstat: context => {
        this.mayList(context)
        return this.statistics.byVersion()
      },
    }
  }

  /** What versions 3 and 4 have in common. */
  private rpcbind(version: 3 | 4): Omit<RpcbindV3Service, 'callit'> {
    const { table, now, unixSeconds } = this.options
    return {
      set: (map, context) => this.set(version, map, context),
      unset: (map, context) => this.unset(version, map, context),
      getaddr: (map, context) => this.lookUp(version, map, context, false),
      dump: context => {
        this.mayList(context)
        return table.list(now()).map(entry => ({ map: toRpcb(entry) }))
      },
      gettime: () => unixSeconds() >>> 0,
      uaddr2taddr: address => {
        const parsed = parseUniversal(address)
        return parsed === null ? NO_NETBUF : netbufOf(parsed)
      },
      taddr2uaddr: (netbuf: Netbuf) => {
        const read = readNetbuf(netbuf)
        return read === null ? '' : formatUniversal(read)
      },
    }
  }

  // ---- changes

  private set(version: ProtocolVersion, map: Rpcb, context: RpcContext): boolean {
    const caller = this.options.callerOf(context)
    if (!this.mayChange(caller)) return false
    const address = parseUniversal(map.address)
    const netid = netidNamed(map.netid)
    if (address === null || netid === null || netid.family !== address.address.family) {
      this.counters['refused-bad-address']++
      return false
    }
    const { prog: program, vers } = map
    const entry = {
      program,
      version: vers,
      netid: netid.name,
      address: formatUniversal(address),
      owner: ownerOf(caller),
    }
    const lease = leaseOf(map.owner)
    const isSet = this.options.table.set(entry, lease === null ? null : seconds(lease), this.options.now())
    if (isSet) this.statistics.changed(version, 'set')
    return isSet
  }

  private unset(
    version: ProtocolVersion,
    map: { readonly prog: number; readonly vers: number; readonly netid: string },
    context: RpcContext,
  ): boolean {
    const caller = this.options.callerOf(context)
    if (!this.mayChange(caller)) return false
    const { table, now } = this.options
    const isUnset = table.unset(map.prog, map.vers, map.netid, ownerOf(caller), now())
    if (isUnset) this.statistics.changed(version, 'unset')
    return isUnset
  }

  private mayChange(caller: RpcbindCaller): boolean {
    if (caller.isLocal || this.options.changes === 'anyone') return true
    this.counters['refused-not-local']++
    return false
  }

  // ---- questions

  /** RFC 1833 §2.2.1: the transport is the one that the call came by, whatever the argument says. */
  private lookUp(version: 3 | 4, map: Rpcb, context: RpcContext, isExact: boolean): string {
    const { table, now, callerOf } = this.options
    const caller = callerOf(context)
    const netid = caller.netid.name
    const found = isExact
      ? table.find(map.prog, map.vers, netid, now())
      : table.findAnyVersion(map.prog, map.vers, netid, now())
    this.statistics.looked(version, map.prog, map.vers, netid, found !== null)
    return found === null ? '' : merged(found, caller)
  }

  private addresses({ prog, vers }: Rpcb, context: RpcContext): RpcbEntryList[] {
    const { table, now, callerOf } = this.options
    const caller = callerOf(context)
    const found = table.list(now(), prog, vers).flatMap((entry): RpcbEntryList[] => {
      const netid = netidNamed(entry.netid)
      const address = merged(entry, caller)
      // "All addresses" of the family that the caller did not come by is nowhere that it could call.
      if (netid === null || isWildcard(address)) return []
      return [{ entry: entryOf(address, netid) }]
    })
    this.statistics.looked(4, prog, vers, caller.netid.name, found.length > 0)
    return found
  }

  /** checklists.md 3.4 (27): a small question does not have a long answer sent to whoever it names as its source. */
  private mayList(context: RpcContext): void {
    const { netid, isLocal } = this.options.callerOf(context)
    if (netid.transport === 'tcp' || isLocal || this.options.amplifies === true) return
    this.counters['refused-amplification']++
    throw RpcStatusError.denied(AUTH_TOOWEAK, 'lists are given over TCP')
  }

  private refuseForwarding(): never {
    this.counters['refused-forwarding']++
    throw RpcStatusError.accepted(PROC_UNAVAIL, 'calls are not passed on')
  }
}

/** AUTH_SYS is what a caller says of itself: who is elsewhere cannot be the superuser of this machine by saying so. */
function ownerOf({ credentials, isLocal }: RpcbindCaller): string {
  if (credentials === null) return NOBODY
  return credentials.uid === 0 && isLocal ? SUPERUSER : String(credentials.uid)
}

function merged(entry: Registration, caller: RpcbindCaller): string {
  const address = parseUniversal(entry.address)
  return address === null ? entry.address : formatUniversal(mergedAddress(address, caller.local))
}

function isWildcard(universal: string): boolean {
  const parsed = parseUniversal(universal)
  return parsed !== null && isUnspecified(parsed.address)
}

function entryOf(address: string, { name, semantics, familyName, transport }: Netid): RpcbEntryList['entry'] {
  return { address, netid: name, semantics, family: familyName, protocol: transport }
}

function toRpcb({ program, version, netid, address, owner }: Registration): Rpcb {
  return { prog: program, vers: version, netid, address, owner }
}

/** @returns null for what the port mapper has no words for */
function toPmap({ program, version, netid, address }: Registration): Pmap | null {
  const known = netidNamed(netid)
  const parsed = parseUniversal(address)
  if (known === null || parsed === null || known.family !== 4) return null
  return { prog: program, vers: version, protocol: known.protocol, port: parsed.port }
}

/** A port of all addresses; with a netid or an address that does not exist if the port mapper's words are wrong. */
function fromPmap({ prog, vers, protocol, port }: Pmap): Rpcb {
  const all: SocketAddress = { address: UNSPECIFIED_V4, port }
  const netid = netidOfProtocol(protocol)?.name ?? ''
  return { prog, vers, netid, address: port > PORT_MAX ? '' : formatUniversal(all), owner: '' }
}
