/**
 * The control block in front of every datagram between IP, the transports and the programs: an M_PROTO whose fields are
 * native int32 words of the arena (no parsing, no allocation). One block serves a datagram all the way: IP
 * makes it on input and UDP fills in the ports; a program that answers turns it round ({@link turnRound}) and sends it
 * down with the reply. In the manner of TPI's T_UNITDATA_IND and T_UNITDATA_REQ.
 */
import { allocb } from '../streams/mblk/alloc.ts'
import type { Arena } from '../streams/mblk/arena.ts'
import type { BorrowedMblk, Mblk, UniqueMblk } from '../streams/mblk/mblk.ts'
import { M_PROTO } from '../streams/mblk/types.ts'

/** Kinds (word 0). The same layout serves all of them. */
export const UNITDATA_REQ = 1
export const UNITDATA_IND = 2
/** An ICMP error that concerns the receiver; behind it nothing. Word {@link ERROR_CODE} says which. */
export const ERROR_IND = 3
/**
 * From a transport to IP: an indication turned round whose datagram nobody wants, data as it was indicated. IP
 * answers the sender with the ICMP error {@link ERROR_CODE} if it may, and frees the message.
 */
export const REJECT_REQ = 4

/** Word indexes, relative to `mp.rptr >> 2`. */
export const KIND = 0
/** 4 or 6. */
export const FAMILY = 1
/** IP protocol number. */
export const PROTOCOL = 2
export const REMOTE_PORT = 3
export const LOCAL_PORT = 4
/** Four words, most significant first; an IPv4 address is ::ffff:a.b.c.d, so its value is word 3. */
export const REMOTE = 5
/** As {@link REMOTE}; all zero in a request: IP chooses the source. */
export const LOCAL = 9
/** Number of the IP interface it came in by; in a request, the one to leave by, 0 for the routes' choice. */
export const INTERFACE = 13
/** TTL or hop limit; 0 in a request means the default. */
export const HOP_LIMIT = 14
/** Type of service or traffic class, all 8 bits. */
export const TRAFFIC_CLASS = 15
/** Payload bytes of each datagram of a super-datagram; 0 for an ordinary one. */
export const SEGMENT_BYTES = 16
/** `UD_*` bits. */
export const FLAGS = 17
/** In an ERROR_IND: a code of `inet/icmp/errors.ts`; for a packet that was too big, {@link ERROR_MTU} is the new MTU. */
export const ERROR_CODE = 18
export const ERROR_MTU = 19
/** In an indication: bytes of IP header that still lie in the data block right in front of `rptr`. */
export const HEADER_BYTES = 20
/** The program's own number for a request; it comes back in the ERROR_IND of a request that was refused here. */
export const TAG = 21
/** In an ERROR_IND for TCP: the sequence number of the packet that caused it, by which it is believed (RFC 5927 §4.1). */
export const QUOTED_SEQ = 22
export const UNITDATA_WORDS = 24
export const UNITDATA_BYTES = 4 * UNITDATA_WORDS

/** The packet was addressed to a broadcast or multicast address. */
export const UD_NOT_UNICAST = 0x01
/** Request: do not fragment; too big is an error to the sender. */
export const UD_DONT_FRAGMENT = 0x02
/** Request: the program allowed broadcast. */
export const UD_BROADCAST = 0x04
/** In an ERROR_IND: the request turned round, refused by this stack itself; no peer and no router said anything. */
export const UD_REFUSED_HERE = 0x08

/** The middle word of an IPv4-mapped address. */
export const MAPPED_WORD = 0x0000ffff

/** A control block with all fields zero. @returns null when no block is left */
export function allocUnitdata(arena: Arena, kind: number): UniqueMblk | null {
  const mp = allocb(arena, UNITDATA_BYTES)
  if (mp === null) return null
  mp.type = M_PROTO
  mp.wptr += UNITDATA_BYTES
  const words = arena.words
  const at = mp.rptr >> 2
  for (let i = at + UNITDATA_WORDS - 1; i > at; i--) words[i] = 0
  words[at] = kind
  return mp
}

/** Whether a message begins with a whole, aligned control block that lies in the arena. */
export function isUnitdata(mp: BorrowedMblk): boolean {
  return (
    mp.type === M_PROTO &&
    mp.wptr - mp.rptr >= UNITDATA_BYTES &&
    (mp.rptr & 3) === 0 &&
    mp.dblk.sizeClass !== null &&
    mp.dblk.ref === 1
  )
}

/** Word index of the fields: `words[at + REMOTE_PORT]`. */
export function unitdataAt(mp: BorrowedMblk): number {
  return mp.rptr >> 2
}

/**
 * Makes an indication the request that answers it: addresses stay in place, since "remote" is the peer both ways.
 * @param mp - borrowed; an UNITDATA_IND for a unicast address
 */
export function turnRound(mp: Mblk): void {
  const words = mp.dblk.arena.words
  const at = mp.rptr >> 2
  words[at + KIND] = UNITDATA_REQ
  words[at + HOP_LIMIT] = 0
  words[at + TRAFFIC_CLASS] = 0
  words[at + INTERFACE] = 0
  words[at + FLAGS] = 0
}
