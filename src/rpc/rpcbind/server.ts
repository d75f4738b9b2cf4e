/**
 * rpcbind as a server of a stack: port 111 by TCP and UDP, IPv4 and IPv6, versions 2 (the port mapper), 3 and 4.
 *
 * Servers of the same process register by {@link RpcbindServer.here}, without a call; others of the same machine by SET.
 */
import { type Duration, seconds } from '../../base/time.ts'
import { UNSPECIFIED_V4, UNSPECIFIED_V6 } from '../../inet/address.ts'
import type { SocketHost } from '../../socket/host.ts'
import { RpcServer } from '../server.ts'
import type { RpcListening } from '../server-listening.ts'
import type { RpcServerOptions } from '../server-settings.ts'
import { callOrigin } from './call-origin.ts'
import { NETIDS } from './netid.ts'
import type { RegistrationTarget } from './registration.ts'
import { REGISTRATIONS_MAX, Registrations, SUPERUSER } from './registrations.ts'
import { RpcbindServices } from './services.ts'
import { formatUniversal } from './universal-address.ts'
import { RPCBIND_PORT, RPCBIND_PROGRAM } from './well-known.ts'

/** Connections at the same time: a call or two each, soon done. */
const CONNECTIONS_MAX = 256

/** Of {@link RpcbindServer.start}. */
export interface RpcbindServerOptions {
  /** 111 by default. */
  readonly port?: number
  /** `::` by default, which takes IPv4 too. */
  readonly address?: string
  /** Whose SET and UNSET are looked at: this machine's (the default), or anybody's. */
  readonly changes?: 'local' | 'anyone'
  /** Sends lists to datagrams from elsewhere, too, whose source may be forged. */
  readonly amplifies?: boolean
  /** Entries that it keeps, 1,024 by default. */
  readonly maxEntries?: number
  /** Seconds since 1970, for GETTIME; the host's clock by default. */
  readonly unixSeconds?: () => number
  /** Bounds of the server, where they are to be others. */
  readonly server?: Pick<RpcServerOptions, 'maxConnections' | 'stallMs' | 'trace' | 'onError' | 'secretWord'>
}

/** An rpcbind: tells callers where programs are. A node has one by `services: [rpcbind]` of its file. */
export class RpcbindServer {
  /** The entries. */
  readonly table: Registrations
  /** What it answers: versions 2, 3 and 4. */
  readonly services: RpcbindServices
  /** What carries it, with its counters. */
  readonly server: RpcServer
  /** For servers of this process: what they register belongs to the superuser. */
  readonly here: RegistrationTarget
  /** Where it listens. */
  readonly places: readonly RpcListening[]

  private constructor(
    table: Registrations,
    services: RpcbindServices,
    server: RpcServer,
    here: RegistrationTarget,
    places: readonly RpcListening[],
  ) {
    this.table = table
    this.services = services
    this.server = server
    this.here = here
    this.places = places
  }

  /** @throws StackError `ERR_ADDR_IN_USE` if something else has the port */
  static async start(host: SocketHost, options: RpcbindServerOptions = {}): Promise<RpcbindServer> {
    const { port = RPCBIND_PORT, address = '::', unixSeconds = hostSeconds } = options
    const { clock } = host.runtime
    const table = new Registrations(options.maxEntries ?? REGISTRATIONS_MAX)
    const services = new RpcbindServices({
      table,
      callerOf: callOrigin,
      now: () => clock.now(),
      unixSeconds,
      changes: options.changes ?? 'local',
      amplifies: options.amplifies ?? false,
    })
    const server = new RpcServer(host, { maxConnections: CONNECTIONS_MAX, ...options.server })
    for (const service of services.services()) server.add(service)
    const places = await server.listen({ port, address })
    for (const place of places) enterOwn(table, place.transport, place.port)
    const now = () => clock.now()
    const here: RegistrationTarget = {
      set: async (entry, leaseSeconds) => {
        const lease: Duration | null = leaseSeconds === null ? null : seconds(leaseSeconds)
        return table.set({ ...entry, owner: SUPERUSER }, lease, now())
      },
      unset: async (program, version, netid) => table.unset(program, version, netid, SUPERUSER, now()),
    }
    return new RpcbindServer(table, services, server, here, places)
  }

  /** What was refused, and what became of entries; of calls, see `server.counters`. */
  get counters(): Readonly<Record<string, number>> {
    return { ...this.services.counters, ...this.table.counters }
  }

  /** Ends it at once: what is asked is not answered any more. */
  close(): Promise<void> {
    return this.server.close()
  }
}

/** rpcbind is a program as any other, and says so; the port mapper is one of IPv4 alone. */
function enterOwn(table: Registrations, transport: 'tcp' | 'udp', port: number): void {
  for (const { name, family } of NETIDS.filter(netid => netid.transport === transport)) {
    const address = formatUniversal({ address: family === 4 ? UNSPECIFIED_V4 : UNSPECIFIED_V6, port })
    for (const version of family === 4 ? [4, 3, 2] : [4, 3])
      table.setPermanent({ program: RPCBIND_PROGRAM, version, netid: name, address, owner: SUPERUSER })
  }
}

function hostSeconds(): number {
  return Math.floor(Date.now() / 1_000)
}
