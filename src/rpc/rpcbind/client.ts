/** rpcbind as its callers see it: where a program is, and entries of one's own (RFC 1833). */
import { StackError } from '../../base/errors.ts'
import { parseAddress } from '../../inet/address.ts'
import type { SocketHost } from '../../socket/host.ts'
import type { OpaqueAuth } from '../auth.ts'
import { RpcClient } from '../client.ts'
import type { RpcLookup } from '../client-options.ts'
import { RpcError } from '../outcome.ts'
import { leaseText } from './lease.ts'
import { netidOf, type Transport } from './netid.ts'
import type { RegistrationEntry, RegistrationTarget } from './registration.ts'
import type { Registration } from './registrations.ts'
import { RpcbindV2Client, RpcbindV3Client, RpcbindV4Client } from './rpcbind-client.ts'
import type { Rpcb, RpcbEntry, RpcbStatByvers } from './rpcbind-types.ts'
import { formatUniversal, parseUniversal, type SocketAddress } from './universal-address.ts'
import { RPCBIND_PORT } from './well-known.ts'

const TIMEOUT_MS = 5_000

/** Which rpcbind is asked, and how. */
export interface RpcbindClientOptions {
  /** Of the machine that is asked. */
  readonly address: string
  /** 111 by default. */
  readonly port?: number
  /** For each question, 5,000 by default. */
  readonly timeoutMs?: number
  /** Who asks; it matters to who owns an entry. */
  readonly credentials?: OpaqueAuth
}

/** Asks an rpcbind, and makes entries of one's own there: `RpcRegistration` does. To find one port, `rpcbindLookup` is enough. */
export class RpcbindClient implements RegistrationTarget {
  private readonly host: SocketHost
  private readonly options: RpcbindClientOptions
  private readonly family: 4 | 6
  /** Where rpcbind is reached. Debian's chooses among the machine's addresses by what it is given here, so it is told this one. */
  private readonly hint: string
  private readonly clients = new Map<Transport, Promise<RpcClient>>()

  /** @throws StackError `ERR_BAD_ADDRESS` */
  constructor(host: SocketHost, options: RpcbindClientOptions) {
    const address = parseAddress(options.address)
    if (address === null)
      throw new StackError('ERR_BAD_ADDRESS', `${JSON.stringify(options.address)} is no IP address`)
    this.host = host
    this.options = options
    this.family = address.family
    this.hint = formatUniversal({ address, port: options.port ?? RPCBIND_PORT })
  }

  /**
   * Where a program is reached by a transport, over the family of addresses that rpcbind itself is asked by.
   * @param isExact - of that version alone; otherwise another one's address may be the answer, which then says PROG_MISMATCH
   * @returns null if it is not there
   * @throws RpcError
   */
  async find(
    program: number,
    version: number,
    transport: Transport,
    isExact = false,
  ): Promise<SocketAddress | null> {
    const caller = await this.caller(transport)
    const netid = netidOf(transport, this.family)
    const asked: Rpcb = { prog: program, vers: version, netid: netid.name, address: this.hint, owner: '' }
    if (isExact) return parseUniversal(await new RpcbindV4Client(caller).getversaddr(asked))
    const found = await newestFirst<SocketAddress | null>([
      async () => parseUniversal(await new RpcbindV4Client(caller).getaddr(asked)),
      async () => parseUniversal(await new RpcbindV3Client(caller).getaddr(asked)),
      async () => {
        if (this.family === 6) return null
        const { protocol } = netid
        const port = await new RpcbindV2Client(caller).getport({
          prog: program,
          vers: version,
          protocol,
          port: 0,
        })
        return port === 0 ? null : { address: parseAddress(this.options.address)!, port }
      },
    ])
    return found.value
  }

  /** All entries. @returns also which version of the protocol told them; the port mapper (2) has no owners and no IPv6 */
  async dump(): Promise<{ readonly version: number; readonly entries: readonly Registration[] }> {
    const caller = await this.caller('tcp')
    const { version, value } = await newestFirst<readonly Registration[]>([
      async () => (await new RpcbindV4Client(caller).dump()).map(({ map }) => fromRpcb(map)),
      async () => (await new RpcbindV3Client(caller).dump()).map(({ map }) => fromRpcb(map)),
      () => this.dumpPorts(),
    ])
    return { version, entries: value }
  }

  /** What the port mapper (version 2) tells. */
  async dumpPorts(): Promise<readonly Registration[]> {
    const list = await new RpcbindV2Client(await this.caller('tcp')).dump()
    return list.map(({ map: { prog, vers, protocol, port } }) => ({
      program: prog,
      version: vers,
      netid: protocol === 6 ? 'tcp' : protocol === 17 ? 'udp' : String(protocol),
      address: `0.0.0.0.${port >>> 8}.${port & 255}`,
      owner: '',
    }))
  }

  /** The addresses of a version on all transports (version 4). */
  async addresses(program: number, version: number): Promise<readonly RpcbEntry[]> {
    const asked: Rpcb = { prog: program, vers: version, netid: '', address: this.hint, owner: '' }
    const list = await new RpcbindV4Client(await this.caller('tcp')).getaddrlist(asked)
    return list.map(({ entry }) => entry)
  }

  /** What it was asked for, by version 2, 3 and 4 (version 4). */
  async statistics(): Promise<RpcbStatByvers> {
    return new RpcbindV4Client(await this.caller('tcp')).getstat()
  }

  /** @param leaseSeconds - for an rpcbind of ours; others keep an entry until it is unset */
  async set(entry: RegistrationEntry, leaseSeconds: number | null = null): Promise<boolean> {
    const { program, version, netid, address } = entry
    const caller = await this.caller('tcp')
    const map: Rpcb = {
      prog: program,
      vers: version,
      netid,
      address,
      owner: leaseSeconds === null ? '' : leaseText(leaseSeconds),
    }
    const done = await newestFirst<boolean>([
      () => new RpcbindV4Client(caller).set(map),
      () => new RpcbindV3Client(caller).set(map),
    ])
    return done.value
  }

  /** @param netid - empty for all transports */
  async unset(program: number, version: number, netid: string): Promise<boolean> {
    const caller = await this.caller('tcp')
    const map: Rpcb = { prog: program, vers: version, netid, address: '', owner: '' }
    const done = await newestFirst<boolean>([
      () => new RpcbindV4Client(caller).unset(map),
      () => new RpcbindV3Client(caller).unset(map),
    ])
    return done.value
  }

  /** Twice is harmless. */
  close(): void {
    for (const client of this.clients.values())
      client.then(
        one => one.close(),
        () => {},
      )
    this.clients.clear()
  }

  /** RFC 1833 §2.2.1: what is reached by a transport is asked by that transport. */
  private caller(transport: Transport): Promise<RpcClient> {
    let client = this.clients.get(transport)
    if (client === undefined) {
      const { address, port = RPCBIND_PORT, timeoutMs = TIMEOUT_MS, credentials } = this.options
      client = RpcClient.connect(this.host, {
        address,
        port,
        transport,
        timeoutMs,
        lazy: true,
        persistent: false,
        ...(credentials === undefined ? {} : { credentials }),
      })
      this.clients.set(transport, client)
    }
    return client
  }
}

/**
 * Asks by version 4, then 3, then 2, as far as the server does not know the one before.
 * @returns the first answer, and by which version it came
 */
async function newestFirst<T>(
  questions: readonly (() => Promise<T>)[],
): Promise<{ version: number; value: T }> {
  for (const [at, ask] of questions.entries()) {
    try {
      return { version: 4 - at, value: await ask() }
    } catch (error) {
      const isOld =
        error instanceof RpcError && (error.status === 'PROG_MISMATCH' || error.status === 'PROC_UNAVAIL')
      if (!isOld || at === questions.length - 1) throw error
    }
  }
  throw new StackError('ERR_BAD_ARGUMENT', 'nothing was asked')
}

function fromRpcb({ prog, vers, netid, address, owner }: Rpcb): Registration {
  return { program: prog, version: vers, netid, address, owner }
}

/**
 * What `RpcClient` finds ports by: the rpcbind of the server's machine. Nothing is remembered: it is asked whenever a connection is
 * made, so what it said is no older than the connection.
 */
export function rpcbindLookup(host: SocketHost, options: RpcbindClientOptions): RpcLookup {
  return async (program, version, transport) => {
    const rpcbind = new RpcbindClient(host, options)
    try {
      const found = await rpcbind.find(program, version, transport)
      if (found !== null) return found.port
    } finally {
      rpcbind.close()
    }
    throw new StackError(
      'ERR_NOT_FOUND',
      `program ${program} is not registered at ${options.address} for ${transport}`,
      {
        hint: `"putnext rpc info ${options.address}" shows what is`,
      },
    )
  }
}
