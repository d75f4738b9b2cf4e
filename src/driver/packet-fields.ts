/** Looks into packets without changing or joining their blocks: what a filter asks for. */
import type { BorrowedMblk } from '../streams/index.ts'

/** Where the addresses lie (RFC 791 §3.1, RFC 8200 §3). */
export const V4_SOURCE = 12
export const V4_DESTINATION = 16
export const V6_SOURCE = 8
export const V6_DESTINATION = 24

const V6_HEADER_BYTES = 40
const EXTENSIONS_MAX = 8
const HOP_BY_HOP = 0
const ROUTING = 43
const FRAGMENT = 44
const DESTINATION_OPTIONS = 60
const TCP = 6
const UDP = 17
const SCTP = 132

/** The byte at `offset` into a chain, -1 beyond its end. */
export function byteAt(mp: BorrowedMblk, offset: number): number {
  for (let bp: BorrowedMblk | null = mp; bp !== null; bp = bp.cont) {
    const have = bp.wptr - bp.rptr
    if (offset < have) return bp.bytes[bp.rptr + offset]!
    offset -= have
  }
  return -1
}

function u16At(mp: BorrowedMblk, offset: number): number {
  const low = byteAt(mp, offset + 1)
  return low < 0 ? -1 : (byteAt(mp, offset) << 8) | low
}

/** Of one packet: filled by {@link readFields}, used again for the next. */
export interface PacketFields {
  /** 4, 6, or 0 for what is no IP packet. */
  version: number
  /** The transport's number, -1 if it cannot be told. */
  protocol: number
  /** -1 where there are none: another protocol, a later fragment, a packet that is too short. */
  sourcePort: number
  destinationPort: number
}

export const makeFields = (): PacketFields => ({
  version: 0,
  protocol: -1,
  sourcePort: -1,
  destinationPort: -1,
})

/** @param mp - borrowed: a packet, its IP header first */
export function readFields(mp: BorrowedMblk, fields: PacketFields): void {
  const first = byteAt(mp, 0)
  const version = first >> 4
  fields.version = version === 4 || version === 6 ? version : 0
  fields.protocol = -1
  fields.sourcePort = -1
  fields.destinationPort = -1
  const transport = version === 4 ? readV4(mp, first, fields) : version === 6 ? readV6(mp, fields) : -1
  const { protocol } = fields
  if (transport < 0 || (protocol !== TCP && protocol !== UDP && protocol !== SCTP)) return
  fields.sourcePort = u16At(mp, transport)
  fields.destinationPort = u16At(mp, transport + 2)
}

/** @returns where the transport header begins, -1 if it is not in this packet */
function readV4(mp: BorrowedMblk, first: number, fields: PacketFields): number {
  fields.protocol = byteAt(mp, 9)
  const fragmentOffset = u16At(mp, 6) & 0x1fff
  return fragmentOffset === 0 ? 4 * (first & 0x0f) : -1
}

function readV6(mp: BorrowedMblk, fields: PacketFields): number {
  let next = byteAt(mp, 6)
  let at = V6_HEADER_BYTES
  let later = false
  for (let i = 0; i < EXTENSIONS_MAX; i++) {
    if (next === FRAGMENT) {
      later ||= (u16At(mp, at + 2) & 0xfff8) !== 0
      next = byteAt(mp, at)
      at += 8
    } else if (next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS) {
      const length = byteAt(mp, at + 1)
      next = byteAt(mp, at)
      at += 8 * (length + 1)
    } else break
    // RFC 8200 §4.5: what follows the fragment header of a later fragment is data.
    if (later) break
  }
  fields.protocol = next
  return later ? -1 : at
}
