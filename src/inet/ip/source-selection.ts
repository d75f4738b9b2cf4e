/**
 * Which of our addresses a packet gets as its source: the rules of RFC 6724 §5 that can differ for addresses that were
 * configured by hand: 1 (same address), 2 (scope), 5 (outgoing interface), 6 (label), 8 (longest matching prefix). The
 * same rules serve IPv4. Ties keep the order of configuration. Nothing is allocated: whoever floods us from addresses
 * that he invents makes us choose each time.
 */
import {
  type AddressWords,
  type Family,
  isLinkLocalV4,
  isLinkLocalV6,
  isLoopbackV4,
  isLoopbackV6,
} from '../address.ts'
import type { OwnAddress } from './addresses.ts'
import type { Interface } from './interfaces.ts'

const SCOPE_HOST = 1
const SCOPE_LINK = 2
const SCOPE_GLOBAL = 14

function scopeOf(family: Family, words: AddressWords): number {
  if (family === 4) {
    if (isLoopbackV4(words[3])) return SCOPE_HOST
    return isLinkLocalV4(words[3]) ? SCOPE_LINK : SCOPE_GLOBAL
  }
  if (isLoopbackV6(words[0], words[1], words[2], words[3])) return SCOPE_HOST
  return isLinkLocalV6(words[0]) ? SCOPE_LINK : SCOPE_GLOBAL
}

/** RFC 6724 §2.1, the default policy table's labels. */
function labelOf(family: Family, words: AddressWords): number {
  const w0 = words[0]
  if (family === 4) return 4
  if ((w0 | words[1] | words[2]) === 0) return words[3] === 1 ? 0 : 3
  if (w0 >>> 16 === 0x2002) return 2
  if (w0 === 0x20010000) return 5
  if (w0 >>> 25 === 0xfc >>> 1) return 13
  if (w0 >>> 22 === 0xfec0 >>> 6) return 11
  if (w0 >>> 16 === 0x3ffe) return 12
  return 1
}

/** How many leading bits two addresses share, at most the prefix length of the source (RFC 6724 §2.2). */
function commonPrefix(source: OwnAddress, destination: AddressWords): number {
  const { address, length } = source.prefix
  let bits = 0
  for (let i = address.family === 4 ? 3 : 0; i < 4; i++) {
    const same = Math.clz32(address.words[i]! ^ destination[i]!)
    bits += same
    if (same < 32) break
  }
  return Math.min(bits, length)
}

/**
 * @param candidates - all addresses of the stack
 * @param out - the interface that the packet leaves by
 * @returns null if there is none of the family that may be used
 */
export function selectSource(
  candidates: readonly OwnAddress[],
  family: Family,
  destination: AddressWords,
  out: Interface,
): OwnAddress | null {
  let best: OwnAddress | null = null
  for (const candidate of candidates) {
    const { address } = candidate.prefix
    if (address.family !== family) continue
    // An address of the host's own scope never leaves it, and a link's own never another link.
    const scope = scopeOf(family, address.words)
    if (scope === SCOPE_HOST && !out.loopback) continue
    if (scope === SCOPE_LINK && candidate.interface !== out && !out.loopback) continue
    if (best === null || isBetter(candidate, best, family, destination, out)) best = candidate
  }
  return best
}

function isSame(a: AddressWords, b: AddressWords): boolean {
  return a[3] === b[3] && a[2] === b[2] && a[1] === b[1] && a[0] === b[0]
}

function isBetter(
  a: OwnAddress,
  b: OwnAddress,
  family: Family,
  destination: AddressWords,
  out: Interface,
): boolean {
  const of = a.prefix.address.words
  const other = b.prefix.address.words
  // Rule 1
  if (isSame(of, destination)) return true
  if (isSame(other, destination)) return false
  // Rule 2
  const scopeA = scopeOf(family, of)
  const scopeB = scopeOf(family, other)
  const wanted = scopeOf(family, destination)
  if (scopeA < scopeB) return scopeA >= wanted
  if (scopeB < scopeA) return scopeB < wanted
  // Rule 5
  if ((a.interface === out) !== (b.interface === out)) return a.interface === out
  // Rule 6
  const label = labelOf(family, destination)
  const fits = labelOf(family, of) === label
  if (fits !== (labelOf(family, other) === label)) return fits
  // Rule 8
  return commonPrefix(a, destination) > commonPrefix(b, destination)
}
