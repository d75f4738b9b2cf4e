/**
 * Which of our addresses a packet gets as its source: the rules of RFC 6724 §5 that can differ for addresses that were
 * configured by hand: 1 (same address), 2 (scope), 5 (outgoing interface), 6 (label), 8 (longest matching prefix). The
 * same rules serve IPv4. Ties keep the order of configuration.
 */
import { type IpAddress, isLinkLocal, isLoopback, sameAddress } from '../address.ts'
import type { OwnAddress } from './addresses.ts'
import type { Interface } from './interfaces.ts'

const SCOPE_HOST = 1
const SCOPE_LINK = 2
const SCOPE_GLOBAL = 14

function scopeOf(address: IpAddress): number {
  if (isLoopback(address)) return SCOPE_HOST
  return isLinkLocal(address) ? SCOPE_LINK : SCOPE_GLOBAL
}

/** RFC 6724 §2.1, the default policy table's labels. */
function labelOf({ family, words }: IpAddress): number {
  if (family === 4) return 4
  const [w0, w1, w2, w3] = words
  if ((w0 | w1 | w2) === 0) return w3 === 1 ? 0 : 3
  if (w0 >>> 16 === 0x2002) return 2
  if (w0 === 0x20010000) return 5
  if (w0 >>> 25 === 0xfc >>> 1) return 13
  if (w0 >>> 22 === 0xfec0 >>> 6) return 11
  if (w0 >>> 16 === 0x3ffe) return 12
  return 1
}

/** How many leading bits two addresses share, at most the prefix length of the source (RFC 6724 §2.2). */
function commonPrefix(source: OwnAddress, destination: IpAddress): number {
  const { address, length } = source.prefix
  const first = address.family === 4 ? 3 : 0
  let bits = 0
  for (let i = first; i < 4; i++) {
    const same = Math.clz32(address.words[i]! ^ destination.words[i]!)
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
  destination: IpAddress,
  out: Interface,
): OwnAddress | null {
  let best: OwnAddress | null = null
  for (const candidate of candidates) {
    if (candidate.prefix.address.family !== destination.family) continue
    // An address of the host's own scope never leaves it, and a link's own never another link.
    const scope = scopeOf(candidate.prefix.address)
    if (scope === SCOPE_HOST && !out.loopback) continue
    if (scope === SCOPE_LINK && candidate.interface !== out && !out.loopback) continue
    if (best === null || isBetter(candidate, best, destination, out)) best = candidate
  }
  return best
}

function isBetter(a: OwnAddress, b: OwnAddress, destination: IpAddress, out: Interface): boolean {
  const [of, other] = [a.prefix.address, b.prefix.address]
  // Rule 1
  if (sameAddress(of, destination) !== sameAddress(other, destination)) return sameAddress(of, destination)
  // Rule 2
  const [scopeA, scopeB, wanted] = [scopeOf(of), scopeOf(other), scopeOf(destination)]
  if (scopeA < scopeB) return scopeA >= wanted
  if (scopeB < scopeA) return scopeB < wanted
  // Rule 5
  if ((a.interface === out) !== (b.interface === out)) return a.interface === out
  // Rule 6
  const label = labelOf(destination)
  if ((labelOf(of) === label) !== (labelOf(other) === label)) return labelOf(of) === label
  // Rule 8
  return commonPrefix(a, destination) > commonPrefix(b, destination)
}
