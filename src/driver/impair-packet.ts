/** What impair has to know of a packet: who is at the other end, and how a broken bit gets into it. */
import { fold } from '../base/checksum.ts'
import type { Random } from '../base/prng.ts'
import type { IpPrefix } from '../host/ip-address.ts'
import {
  type BorrowedMblk,
  copymsg,
  freemsg,
  type Mblk,
  messageBytes,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_CSUM_VALID,
  pullupmsg,
  sumMessage,
  unshare,
} from '../streams/index.ts'
import { byteAt, V4_DESTINATION, V4_SOURCE, V6_DESTINATION, V6_SOURCE } from './packet-fields.ts'

const UDP_CSUM_OFFSET = 6

/** Whether the address at `offset` is in a prefix of its family. @param mp - borrowed */
export function hasPrefix(mp: BorrowedMblk, offset: number, { address, length }: IpPrefix): boolean {
  const whole = length >> 3
  for (let i = 0; i < whole; i++) if (byteAt(mp, offset + i) !== address[i]) return false
  const bits = length & 7
  if (bits === 0) return true
  const mask = (0xff << (8 - bits)) & 0xff
  const byte = byteAt(mp, offset + whole)
  return byte >= 0 && (byte & mask) === (address[whole]! & mask)
}

/**
 * Whether the remote address of a packet is in one of the prefixes.
 * @param mp - borrowed
 * @param out - the packet goes out, so that the remote address is its destination
 */
export function remoteMatches(mp: BorrowedMblk, out: boolean, prefixes: readonly IpPrefix[]): boolean {
  const version = byteAt(mp, 0) >> 4
  if (version !== 4 && version !== 6) return false
  const addressBytes = version === 4 ? 4 : 16
  const source = version === 4 ? V4_SOURCE : V6_SOURCE
  const destination = version === 4 ? V4_DESTINATION : V6_DESTINATION
  for (let i = 0; i < prefixes.length; i++) {
    const prefix = prefixes[i]!
    if (prefix.address.length !== addressBytes) continue
    if (hasPrefix(mp, out ? destination : source, prefix)) return true
  }
  return false
}

/**
 * Finishes the transport checksum that was left to the link (RFC 1071; RFC 768: 0 is sent as 0xFFFF).
 * @param mp - consumed
 * @returns null when no block is left (`mp` is freed)
 */
export function completeChecksum(mp: Mblk): Mblk | null {
  if ((mp.offload & OFFLOAD_CSUM_NEEDED) === 0) return mp
  const { csumStart, csumOffset } = mp
  const size = messageBytes(mp)
  const field = csumStart + csumOffset
  if (field + 2 > size) return mp
  const joined = pullupmsg(mp, field + 2)
  const own = joined === null ? null : unshare(joined)
  if (own === null) return null
  let sum = ~fold(sumMessage(own, csumStart, size - csumStart)) & 0xffff
  if (sum === 0 && csumOffset === UDP_CSUM_OFFSET) sum = 0xffff
  own.dblk.bytes[own.rptr + field] = sum >>> 8
  own.dblk.bytes[own.rptr + field + 1] = sum & 0xff
  own.offload &= ~OFFLOAD_CSUM_NEEDED
  return own
}

/**
 * Turns one bit of a packet round, somewhere. Its checksum is finished first and nobody vouches for it afterwards, so
 * that the receiver can see the damage.
 * @param mp - consumed; copied, since others may share its bytes
 * @returns null when no block is left (`mp` is freed)
 */
export function corruptPacket(mp: Mblk, random: Random): Mblk | null {
  const finished = completeChecksum(mp)
  if (finished === null) return null
  const copy = copymsg(finished)
  freemsg(finished)
  if (copy === null) return null
  copy.offload &= ~OFFLOAD_CSUM_VALID
  const size = messageBytes(copy)
  if (size === 0) return copy
  let bit = random.below(size * 8)
  let bp: Mblk = copy
  while (bit >= 8 * (bp.wptr - bp.rptr)) {
    bit -= 8 * (bp.wptr - bp.rptr)
    bp = bp.cont!
  }
  const at = bp.rptr + (bit >> 3)
  bp.dblk.bytes[at] = bp.dblk.bytes[at]! ^ (1 << (bit & 7))
  return copy
}
