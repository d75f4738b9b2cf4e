/**
 * A server's entries with an rpcbind: made when it begins, made again as long as it lives, taken away when it ends. So they outlive
 * a restart of rpcbind, and where rpcbind knows leases (ours does) they do not outlive the server.
 */

import { StackError } from '../../base/errors.ts'
import { after, milliseconds } from '../../base/time.ts'
import { type IpAddress, isUnspecified, parseAddress, UNSPECIFIED_V4 } from '../../inet/address.ts'
import type { Runtime } from '../../streams/runtime.ts'
import { Timer } from '../../streams/timers.ts'
import type { RpcListening } from '../server-listening.ts'
import { netidOf } from './netid.ts'
import type { Registration } from './registrations.ts'
import { formatUniversal } from './universal-address.ts'

export type RegistrationEntry = Omit<Registration, 'owner'>

/** An rpcbind that entries can be made in: of this process, or one that is called. */
export interface RegistrationTarget {
  /** @returns whether the entry is there now */
  set(entry: RegistrationEntry, leaseSeconds: number | null): Promise<boolean>
  /** @returns whether there was one, and it is gone */
  unset(program: number, version: number, netid: string): Promise<boolean>
}

/** What of a server is registered: `RpcServer` fits. */
export interface RegisteredServer {
  readonly services: readonly { readonly program: number; readonly version: number }[]
}

/** Of {@link RpcRegistration.start}. */
export interface RegistrationOptions {
  /** How long entries stay without being renewed, 60 seconds by default; they are renewed three times as often. */
  readonly leaseSeconds?: number
  /** Where callers reach the server, if that is not the machine that rpcbind is on. */
  readonly address?: string
  /** Told when an entry could not be renewed; it is tried again. What it throws is lost. */
  readonly onTrouble?: (error: StackError) => void
}

const LEASE_SECONDS = 60
const RENEWALS = 3

/** The entries of a server: each version on each transport. `::` takes IPv4 too, and is two entries. */
export function entriesOf(
  { services }: RegisteredServer,
  places: readonly RpcListening[],
  address?: string,
): RegistrationEntry[] {
  return places.flatMap(place =>
    addressesOf(address ?? place.address).flatMap(one => {
      const netid = netidOf(place.transport, one.family).name
      const universal = formatUniversal({ address: one, port: place.port })
      return services.map(({ program, version }) => ({ program, version, netid, address: universal }))
    }),
  )
}

/** @throws StackError `ERR_BAD_ADDRESS` */
function addressesOf(text: string): IpAddress[] {
  const address = parseAddress(text)
  if (address === null) throw new StackError('ERR_BAD_ADDRESS', `${JSON.stringify(text)} is no IP address`)
  return address.family === 6 && isUnspecified(address) ? [address, UNSPECIFIED_V4] : [address]
}

/** The entries of a server at an rpcbind, renewed until {@link close} takes them away. */
export class RpcRegistration {
  /** Each version, on each transport and family. */
  readonly entries: readonly RegistrationEntry[]
  private readonly runtime: Runtime
  private readonly target: RegistrationTarget
  private readonly leaseSeconds: number
  private readonly onTrouble: (error: StackError) => void
  private readonly timer = new Timer(() => void this.renew())
  private isClosed = false
  /** What is under way, one after the other. */
  private work: Promise<void> = Promise.resolve()

  private constructor(
    runtime: Runtime,
    target: RegistrationTarget,
    entries: readonly RegistrationEntry[],
    options: RegistrationOptions,
  ) {
    this.runtime = runtime
    this.target = target
    this.entries = entries
    this.leaseSeconds = options.leaseSeconds ?? LEASE_SECONDS
    this.onTrouble = options.onTrouble ?? (() => {})
  }

  /**
   * Makes the entries of a server; what an earlier life of it left is replaced.
   * @param places - what its `listen` told
   * @throws StackError `ERR_BUSY` if an entry is another one's; why rpcbind cannot be reached. Nothing stays registered then
   */
  static async start(
    runtime: Runtime,
    target: RegistrationTarget,
    server: RegisteredServer,
    places: readonly RpcListening[],
    options: RegistrationOptions = {},
  ): Promise<RpcRegistration> {
    const entries = entriesOf(server, places, options.address)
    const registration = new RpcRegistration(runtime, target, entries, options)
    try {
      for (const entry of entries) await registration.make(entry)
    } catch (error) {
      await registration.close()
      throw error
    }
    registration.renewLater()
    return registration
  }

  /** Takes the entries away. An rpcbind that does not answer is told through `onTrouble`. Twice is harmless. */
  close(): Promise<void> {
    if (this.isClosed) return this.work
    this.isClosed = true
    this.runtime.timers.cancel(this.timer)
    this.work = this.work.then(async () => {
      for (const { program, version, netid } of this.entries)
        await this.target.unset(program, version, netid).catch(error => this.tell(error))
    })
    return this.work
  }

  private async make(entry: RegistrationEntry): Promise<void> {
    if (await this.target.set(entry, this.leaseSeconds)) return
    // Of an earlier life with another port, as every server of C assumes.
    await this.target.unset(entry.program, entry.version, entry.netid)
    if (await this.target.set(entry, this.leaseSeconds)) return
    const { program, version, netid } = entry
    throw new StackError(
      'ERR_BUSY',
      `rpcbind does not take program ${program} version ${version} on ${netid}`,
      {
        hint: 'another server has it, or it takes entries from its own machine alone: "putnext rpc info" shows what it has',
      },
    )
  }

  private renew(): Promise<void> {
    this.work = this.work.then(async () => {
      for (const entry of this.entries) {
        if (this.isClosed) return
        await this.make(entry).catch(error => this.tell(error))
      }
      this.renewLater()
    })
    return this.work
  }

  private renewLater(): void {
    if (this.isClosed) return
    const { timers, clock } = this.runtime
    timers.arm(this.timer, after(clock.now(), milliseconds((this.leaseSeconds * 1_000) / RENEWALS)))
  }

  private tell(error: unknown): void {
    const told = error instanceof StackError ? error : new StackError('ERR_HOST', String(error))
    try {
      this.onTrouble(told)
    } catch {
      // Who throws at being told of trouble is not told again; entries are renewed all the same.
    }
  }
}
