/**
 * What a link tells of itself: an M_CTL that travels up when it is asked for by an M_CTL that travels down, and again
 * when something changes. Modules between pass both on; one that cannot stand super-segments clears the bits
 * on the way up. The part that DL_INFO_ACK and DL_NOTE_* play in DLPI.
 */
import { allocb } from './mblk/alloc.ts'
import type { Arena } from './mblk/arena.ts'
import type { BorrowedMblk, Mblk } from './mblk/mblk.ts'
import { M_CTL } from './mblk/types.ts'

/** First word of every M_CTL: which kind. Values below 0x100 belong to links, from 0x100 on to the network layer. */
export const CTL_LINK_QUERY = 1
export const CTL_LINK_INFO = 2

/** The link finishes checksums (`OFFLOAD_CSUM_NEEDED`) of what is sent. */
export const LINK_CSUM = 0x01
/** The link takes TCP super-segments over IPv4, over IPv6. */
export const LINK_TSO4 = 0x02
export const LINK_TSO6 = 0x04
/** The link takes UDP super-datagrams, both families. */
export const LINK_USO = 0x08
/** The far end checks nothing: this link cannot corrupt (both ends in one process). */
export const LINK_TRUSTED = 0x10

export interface LinkInfo {
  /** Largest IP packet in bytes; a super-segment is larger. */
  readonly mtu: number
  /** `LINK_*` bits. */
  readonly capabilities: number
  readonly up: boolean
}

/** The code of an M_CTL, or 0 if it is too short to have one. */
export function controlCode(mp: BorrowedMblk): number {
  return mp.type === M_CTL && mp.wptr - mp.rptr >= 4 ? word(mp, 0) : 0
}

function word(mp: BorrowedMblk, index: number): number {
  const { bytes } = mp
  const i = mp.rptr + 4 * index
  return (bytes[i]! << 24) | (bytes[i + 1]! << 16) | (bytes[i + 2]! << 8) | bytes[i + 3]!
}

function control(arena: Arena, words: readonly number[]): Mblk | null {
  const mp = allocb(arena, 4 * words.length)
  if (mp === null) return null
  mp.type = M_CTL
  for (const value of words)
    for (let shift = 24; shift >= 0; shift -= 8) mp.dblk.bytes[mp.wptr++] = value >>> shift
  return mp
}

/** @returns null when no block is left */
export function makeLinkQuery(arena: Arena): Mblk | null {
  return control(arena, [CTL_LINK_QUERY])
}

/** @returns null when no block is left */
export function makeLinkInfo(arena: Arena, info: LinkInfo): Mblk | null {
  return control(arena, [CTL_LINK_INFO, info.mtu, info.capabilities, info.up ? 1 : 0])
}

/** @param mp - borrowed: a `CTL_LINK_INFO`. @returns null if it is too short */
export function readLinkInfo(mp: BorrowedMblk): LinkInfo | null {
  if (mp.wptr - mp.rptr < 16) return null
  return { mtu: word(mp, 1), capabilities: word(mp, 2), up: word(mp, 3) !== 0 }
}

/** Clears capability bits of a `CTL_LINK_INFO` on its way up. @param mp - borrowed, not shared */
export function maskLinkCapabilities(mp: Mblk, clear: number): void {
  const keep = word(mp, 2) & ~clear
  for (let i = 0; i < 4; i++) mp.dblk.bytes[mp.rptr + 8 + i] = keep >>> (24 - 8 * i)
}
