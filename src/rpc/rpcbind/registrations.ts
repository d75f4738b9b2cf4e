/**
 * What rpcbind knows: which version of which program is reached at which address, by transport. One table for all three versions of
 * the protocol. Pure: the time comes in, and who asks is decided by the caller.
 *
 * An entry belongs to its owner, and nobody else changes it. One with a lease is gone when that is over, so that a server that died
 * is not found for ever; others stay until they are taken away. The table is bounded, and what does not fit is refused: an entry
 * that somebody has made is never pushed out by another.
 */
import { type Counters, makeCounters } from '../../base/counters.ts'
import { after, type Duration, earlier, type Instant } from '../../base/time.ts'

export interface Registration {
  readonly program: number
  readonly version: number
  readonly netid: string
  /** Universal. */
  readonly address: string
  readonly owner: string
}

interface Entry extends Registration {
  readonly expiresAt: Instant | null
}

/** May change what anybody has registered. */
export const SUPERUSER = 'superuser'
/** Of a caller that does not say who it is. */
export const NOBODY = 'unknown'

export const REGISTRATIONS_MAX = 1_024

/** Why an entry cannot be made or taken away, and what happened to those that were; names of counters. */
const COUNTERS = [
  'set',
  'renewed',
  'unset',
  'expired',
  'refused-taken',
  'refused-full',
  'refused-not-owner',
] as const

export class Registrations {
  readonly counters: Counters<(typeof COUNTERS)[number]> = makeCounters(COUNTERS)
  private readonly maxEntries: number
  /** By program; never an empty list. */
  private readonly programs = new Map<number, Entry[]>()
  /** Entries that nobody takes away: rpcbind's own. */
  private readonly permanent = new Set<Entry>()
  private count = 0
  /** The earliest end of a lease, or earlier than that. */
  private nextEnd: Instant | null = null

  constructor(maxEntries = REGISTRATIONS_MAX) {
    this.maxEntries = maxEntries
  }

  get size(): number {
    return this.count
  }

  /** Makes an entry that stays as long as the table. */
  setPermanent(registration: Registration): void {
    const entry: Entry = { ...registration, expiresAt: null }
    this.add(entry)
    this.permanent.add(entry)
  }

  /**
   * Makes an entry, or renews the same one.
   * @param lease - how long it stays without being renewed; null: until it is taken away
   * @returns whether it is there now: false if it is another one's, or has another address, or the table is full
   */
  set(registration: Registration, lease: Duration | null, now: Instant): boolean {
    this.expire(now)
    const expiresAt = lease === null ? null : after(now, lease)
    const entry: Entry = { ...registration, expiresAt }
    const there = this.exactly(registration.program, registration.version, registration.netid)
    if (there === null) {
      if (this.count >= this.maxEntries) return this.refuse('refused-full')
      this.add(entry)
      this.counters.set++
      return true
    }
    if (there.address !== registration.address) return this.refuse('refused-taken')
    // Anybody may say once more what is true already, but a lease is changed by nobody but the owner.
    if (this.mayChange(there, registration.owner)) this.replace(there, { ...entry, owner: there.owner })
    this.counters.renewed++
    return true
  }

  /**
   * Takes entries away.
   * @param netid - one transport's; empty for those of all
   * @param owner - who asks
   * @returns whether there were some, and all of them are gone
   */
  unset(program: number, version: number, netid: string, owner: string, now: Instant): boolean {
    this.expire(now)
    const wanted = (this.programs.get(program) ?? []).filter(
      entry => entry.version === version && (netid === '' || entry.netid === netid),
    )
    const own = wanted.filter(entry => this.mayChange(entry, owner))
    for (const entry of own) {
      this.remove(entry)
      this.counters.unset++
    }
    if (own.length < wanted.length) return this.refuse('refused-not-owner')
    return own.length > 0
  }

  /** The entry of exactly that version. */
  find(program: number, version: number, netid: string, now: Instant): Registration | null {
    this.expire(now)
    return this.exactly(program, version, netid)
  }

  /** The entry of that version, or of another one: who calls there is told which versions there are (PROG_MISMATCH). */
  findAnyVersion(program: number, version: number, netid: string, now: Instant): Registration | null {
    const exact = this.find(program, version, netid, now)
    return exact ?? this.programs.get(program)?.find(entry => entry.netid === netid) ?? null
  }

  /** All entries, or those of a version of a program, in the order in which they were made. */
  list(now: Instant, program?: number, version?: number): readonly Registration[] {
    this.expire(now)
    const entries =
      program === undefined ? [...this.programs.values()].flat() : (this.programs.get(program) ?? [])
    return version === undefined ? entries : entries.filter(entry => entry.version === version)
  }

  private exactly(program: number, version: number, netid: string): Entry | null {
    const entries = this.programs.get(program)
    return entries?.find(entry => entry.version === version && entry.netid === netid) ?? null
  }

  private mayChange(entry: Entry, owner: string): boolean {
    return !this.permanent.has(entry) && (owner === SUPERUSER || owner === entry.owner)
  }

  private expire(now: Instant): void {
    if (this.nextEnd === null || now < this.nextEnd) return
    this.nextEnd = null
    for (const entry of [...this.programs.values()].flat()) {
      if (entry.expiresAt === null || now < entry.expiresAt) {
        this.nextEnd = earlier(this.nextEnd, entry.expiresAt)
      } else {
        this.remove(entry)
        this.counters.expired++
      }
    }
  }

  private add(entry: Entry): void {
    const entries = this.programs.get(entry.program)
    if (entries === undefined) this.programs.set(entry.program, [entry])
    else entries.push(entry)
    this.count++
    this.nextEnd = earlier(this.nextEnd, entry.expiresAt)
  }

  private replace(entry: Entry, by: Entry): void {
    const entries = this.programs.get(entry.program)!
    entries[entries.indexOf(entry)] = by
    this.nextEnd = earlier(this.nextEnd, by.expiresAt)
  }

  private remove(entry: Entry): void {
    const entries = this.programs.get(entry.program)!
    entries.splice(entries.indexOf(entry), 1)
    if (entries.length === 0) this.programs.delete(entry.program)
    this.count--
  }

  private refuse(reason: 'refused-taken' | 'refused-full' | 'refused-not-owner'): false {
    this.counters[reason]++
    return false
  }
}
