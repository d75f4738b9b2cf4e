/**
 * The route cache: what IP knows of an address, in {@link ENTRY_WORDS} int32 words of a direct-mapped table, for senders
 * and receivers alike. An entry is good while its generation is the table's: whatever changes addresses,
 * routes or interfaces makes all entries void at once.
 */
import type { Random } from '../../base/prng.ts'
import { type Family, isLinkLocalV4, isLinkLocalV6, isMapped } from '../address.ts'
import { MAPPED_WORD } from '../unitdata.ts'
import {
  type AddressTable,
  KIND_BROADCAST,
  KIND_LOCAL,
  KIND_LOOPBACK,
  KIND_UNICAST,
  KIND_UNREACHABLE,
} from './addresses.ts'
import type { Interface } from './interfaces.ts'
import type { PathMtuCache } from './path-mtu.ts'
import type { RouteTable } from './routes.ts'
import { selectSource } from './source-selection.ts'

const ENTRIES = 4_096
const ENTRY_SHIFT = 4
export const ENTRY_WORDS = 1 << ENTRY_SHIFT
const ADDRESS = 0
const SCOPE = 4
const GENERATION = 5
/** `KIND_*` of `addresses.ts`. */
export const DEST_KIND = 6
/** Number of the interface that leads there, 0 if none does. */
export const DEST_INTERFACE = 7
/** Bytes that a packet may have on the whole path. */
export const DEST_MTU = 8
const MTU_EXPIRES = 9
/** Four words: the source address to use; all zero if there is none. */
export const DEST_SOURCE = 10
/** 1 once a packet was sent there: only then is an ICMP error from there plausible. */
export const DEST_SENT = 14
/** The last identification of an unfragmented IPv4 packet (RFC 6864: any value will do, merging wants them in order). */
export const DEST_ID = 15

/** What the entries are made from. */
export interface RoutingTables {
  readonly addresses: AddressTable
  readonly routes: RouteTable
  readonly pathMtu: PathMtuCache
  /** By number; null where there is none. */
  readonly interfaces: readonly (Interface | null)[]
  /** Where packets to ourselves go, once it is linked. */
  readonly loopback: Interface | null
  readonly random: Random
  nowSeconds(): number
}

export class Destinations {
  /** The entries; callers read `table[entry + DEST_*]` before they look up another. */
  readonly table = new Int32Array(ENTRIES * ENTRY_WORDS)
  private generation = 1
  private readonly tables: RoutingTables
  private readonly seed: number
  /** The address that is being looked up. */
  private readonly wanted: [number, number, number, number] = [0, 0, 0, 0]
  /** Lookups that the cache could not answer. */
  misses = 0

  constructor(tables: RoutingTables) {
    this.tables = tables
    this.seed = tables.random.int32()
  }

  /** Something that the entries were made from has changed. */
  invalidate(): void {
    this.generation = (this.generation + 1) | 0 || 1
  }

  /**
   * What is known of an address.
   * @param scope - number of the interface to leave by; 0 for the routes' choice
   * @returns where the entry begins in {@link table}; good until the next call
   */
  find(w0: number, w1: number, w2: number, w3: number, scope: number): number {
    const table = this.table
    const at = this.slot(w0, w1, w2, w3, scope)
    if (
      table[at + ADDRESS + 3] === w3 &&
      table[at + ADDRESS + 2] === w2 &&
      table[at + ADDRESS + 1] === w1 &&
      table[at + ADDRESS] === w0 &&
      table[at + SCOPE] === scope &&
      table[at + GENERATION] === this.generation &&
      (table[at + MTU_EXPIRES] === 0 || table[at + MTU_EXPIRES]! > this.tables.nowSeconds())
    ) {
      return at
    }
    return this.fill(at, w0, w1, w2, w3, scope)
  }

  find4(word: number): number {
    return this.find(0, 0, MAPPED_WORD, word, 0)
  }

  /** Whether something was sent to an address lately, by the routes' choice. Nothing is looked up. */
  wasSentTo(w0: number, w1: number, w2: number, w3: number): boolean {
    const at = this.slot(w0, w1, w2, w3, 0)
    const { table } = this
    return (
      table[at + ADDRESS + 3] === w3 &&
      table[at + ADDRESS + 2] === w2 &&
      table[at + ADDRESS + 1] === w1 &&
      table[at + ADDRESS] === w0 &&
      table[at + SCOPE] === 0 &&
      table[at + GENERATION] === this.generation &&
      table[at + DEST_SENT] === 1
    )
  }

  /** The way to an address, by the routes' choice, is found anew for the next packet. */
  forget(w0: number, w1: number, w2: number, w3: number): void {
    const at = this.slot(w0, w1, w2, w3, 0)
    const { table } = this
    const holds =
      table[at + ADDRESS + 3] === w3 &&
      table[at + ADDRESS + 2] === w2 &&
      table[at + ADDRESS + 1] === w1 &&
      table[at + ADDRESS] === w0 &&
      table[at + SCOPE] === 0
    // No generation has this number.
    if (holds) table[at + GENERATION] = 0
  }

  /** A path was found to take less: every entry of the address learns it, the others stay good. */
  lowerMtu(w0: number, w1: number, w2: number, w3: number, mtu: number, expiresAt: number): void {
    const { table } = this
    for (let at = 0; at < table.length; at += ENTRY_WORDS) {
      if (table[at + ADDRESS + 3] !== w3 || table[at + ADDRESS + 2] !== w2) continue
      if (table[at + ADDRESS + 1] !== w1 || table[at + ADDRESS] !== w0 || table[at + DEST_MTU]! <= mtu)
        continue
      table[at + DEST_MTU] = mtu
      table[at + MTU_EXPIRES] = expiresAt
    }
  }

  private slot(w0: number, w1: number, w2: number, w3: number, scope: number): number {
    let h = Math.imul(w3 ^ this.seed ^ (scope << 20), 0x9e3779b1)
    h = Math.imul(h ^ (h >>> 15) ^ w2 ^ Math.imul(w1, 0x27d4eb2f) ^ w0, 0x85ebca77)
    return ((h ^ (h >>> 14)) & (ENTRIES - 1)) << ENTRY_SHIFT
  }

  private fill(at: number, w0: number, w1: number, w2: number, w3: number, scope: number): number {
    this.misses++
    const { table, tables } = this
    table[at + ADDRESS] = w0
    table[at + ADDRESS + 1] = w1
    table[at + ADDRESS + 2] = w2
    table[at + ADDRESS + 3] = w3
    table[at + SCOPE] = scope
    table[at + GENERATION] = this.generation
    table[at + MTU_EXPIRES] = 0
    table.fill(0, at + DEST_SOURCE, at + DEST_ID)
    table[at + DEST_ID] = tables.random.int32() & 0xffff
    const { wanted } = this
    wanted[0] = w0
    wanted[1] = w1
    wanted[2] = w2
    wanted[3] = w3
    const family: Family = isMapped(w0, w1, w2) ? 4 : 6
    const kind = tables.addresses.kindOf(w0, w1, w2, w3)
    const out = this.way(kind, family, scope)
    table[at + DEST_KIND] = kind === KIND_UNICAST && out === null ? KIND_UNREACHABLE : kind
    table[at + DEST_INTERFACE] = out === null ? 0 : out.index
    table[at + DEST_MTU] = out === null ? 0 : out.mtu
    if (out !== null) this.fillPath(at, family, out)
    return at
  }

  /** The interface that leads to the address wanted, or null. */
  private way(kind: number, family: Family, scope: number): Interface | null {
    const { tables, wanted } = this
    const only = scope === 0 ? null : (tables.interfaces[scope] ?? null)
    if (scope !== 0 && only === null) return null
    switch (kind) {
      case KIND_LOCAL:
      case KIND_LOOPBACK:
        return tables.loopback
      case KIND_UNICAST:
        return tables.routes.find(family, wanted, only)?.interface ?? null
      case KIND_BROADCAST: {
        const out = only ?? tables.addresses.subnetOf(wanted[3])?.interface ?? this.onlyInterface()
        return out?.up === true ? out : null
      }
      default:
        return null
    }
  }

  /** Where 255.255.255.255 goes when nobody says: there must be just one link. */
  private onlyInterface(): Interface | null {
    let found: Interface | null = null
    for (const each of this.tables.interfaces) {
      if (each === null || !each.up || each.loopback) continue
      if (found !== null) return null
      found = each
    }
    return found
  }

  private fillPath(at: number, family: Family, out: Interface): void {
    const { table, tables, wanted } = this
    const known = tables.pathMtu.find(wanted[0], wanted[1], wanted[2], wanted[3], tables.nowSeconds())
    if (known >= 0 && tables.pathMtu.mtu(known) < out.mtu) {
      table[at + DEST_MTU] = tables.pathMtu.mtu(known)
      table[at + MTU_EXPIRES] = tables.pathMtu.expiresAt(known)
    }
    const source = selectSource(tables.addresses.all, family, wanted, out)
    if (source !== null)
      for (let i = 0; i < 4; i++) table[at + DEST_SOURCE + i] = source.prefix.address.words[i]!
  }
}

/** Whether an address means something on its own link only, so that no router may pass it on. */
export function isLinkScoped(w0: number, w1: number, w2: number, w3: number): boolean {
  return isMapped(w0, w1, w2) ? isLinkLocalV4(w3) : isLinkLocalV6(w0)
}
