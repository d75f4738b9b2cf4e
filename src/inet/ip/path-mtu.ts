/**
 * What paths were found to take, where that is less than the first link does (RFC 1191, RFC 8201). Bounded; an entry is
 * forgotten ten minutes after it was learnt (RFC 8201 §5.3), by looking at the time when it is used.
 */
import { formatAddress, fromWords, isMapped } from '../address.ts'

/** Entries that are held; the one that would be forgotten first makes room. */
export const PATH_MTU_ENTRIES = 256
/**
 * No IPv4 path is taken to be smaller: who claims less wants us to send headers only. Packets on a path that is found to be
 * so small may be cut on the way, in case the claim is true.
 */
export const PATH_MTU_MIN4 = 552
const WAYS = 4
const SETS = PATH_MTU_ENTRIES / WAYS
export const PATH_MTU_LIFETIME_S = 600
/** RFC 1191 §7.1: where a router did not say, the next of these below the packet's size. */
const PLATEAUS = [65_535, 32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68] as const

export function plateauBelow(size: number): number {
  return PLATEAUS.find(plateau => plateau < size) ?? 68
}

class Entry {
  w0 = 0
  w1 = 0
  w2 = 0
  w3 = 0
  mtu = 0
  /** In seconds of the stack's clock; 0 if the entry is free. */
  expiresAt = 0
}

export class PathMtuCache {
  private readonly entries: readonly Entry[] = Array.from({ length: PATH_MTU_ENTRIES }, () => new Entry())
  private readonly seed: number

  /** @param seed - secret, so that nobody can choose addresses that displace one another */
  constructor(seed: number) {
    this.seed = seed
  }

  /** @returns the entry's number, -1 if there is none that still holds */
  find(w0: number, w1: number, w2: number, w3: number, nowSeconds: number): number {
    const start = this.start(w0, w1, w2, w3)
    for (let i = start; i < start + WAYS; i++) {
      const entry = this.entries[i]!
      if (entry.w3 !== w3 || entry.w2 !== w2 || entry.w1 !== w1 || entry.w0 !== w0) continue
      if (entry.expiresAt > nowSeconds) return i
    }
    return -1
  }

  mtu(index: number): number {
    return this.entries[index]!.mtu
  }

  expiresAt(index: number): number {
    return this.entries[index]!.expiresAt
  }

  /** @returns when the entry is forgotten, in seconds */
  set(w0: number, w1: number, w2: number, w3: number, mtu: number, nowSeconds: number): number {
    const start = this.start(w0, w1, w2, w3)
    let entry = this.entries[start]!
    for (let i = start; i < start + WAYS; i++) {
      const each = this.entries[i]!
      if (each.w3 === w3 && each.w2 === w2 && each.w1 === w1 && each.w0 === w0) {
        entry = each
        break
      }
      if (each.expiresAt < entry.expiresAt) entry = each
    }
    entry.w0 = w0
    entry.w1 = w1
    entry.w2 = w2
    entry.w3 = w3
    entry.mtu = mtu
    entry.expiresAt = nowSeconds + PATH_MTU_LIFETIME_S
    return entry.expiresAt
  }

  clear(): void {
    for (const entry of this.entries) entry.expiresAt = 0
  }

  /** What holds now, for people. */
  describe(nowSeconds: number): { destination: string; mtu: number; expiresInSeconds: number }[] {
    return this.entries
      .filter(entry => entry.expiresAt > nowSeconds)
      .map(({ w0, w1, w2, w3, mtu, expiresAt }) => ({
        destination: formatAddress(fromWords(isMapped(w0, w1, w2) ? 4 : 6, w0, w1, w2, w3)),
        mtu,
        expiresInSeconds: expiresAt - nowSeconds,
      }))
  }

  private start(w0: number, w1: number, w2: number, w3: number): number {
    let h = Math.imul(this.seed ^ w3, 0x85ebca77) ^ w2
    h = Math.imul(h ^ (h >>> 15), 0x85ebca77) ^ w1
    h = Math.imul(h ^ (h >>> 15), 0x85ebca77) ^ w0
    h = Math.imul(h ^ (h >>> 15), 0x9e3779b1)
    return WAYS * ((h ^ (h >>> 16)) & (SETS - 1))
  }
}
