/**
 * Message blocks: an {@link Mblk} is a view (`rptr` to `wptr`) of a {@link Dblk}, a region of memory with a
 * reference count; `cont` chains the blocks of one message. Both are pooled objects of one shape, made once, so
 * that moving a packet allocates nothing. Shapes after msgb(9S) and datab(9S).
 */
import { AssertionError } from '../../base/assert.ts'
import type { ReadonlyBytes } from '../../base/checksum.ts'
import type { Arena, SizeClass } from './arena.ts'

declare const unique: unique symbol

/** A message that may be looked at, not kept, changed or freed. */
export interface BorrowedMblk {
  readonly type: number
  readonly band: number
  readonly flag: number
  readonly bytes: ReadonlyBytes
  readonly rptr: number
  readonly wptr: number
  readonly cont: BorrowedMblk | null
  readonly dblk: Dblk
  readonly offload: number
  readonly csumStart: number
  readonly csumOffset: number
  readonly gsoSize: number
}

/** A block that nobody else refers to: its bytes may be written, through `bytes()`. */
export type UniqueMblk = Mblk & { readonly [unique]: true }

/** Who holds a message: a queue. Only its identity matters here. */
export interface Holder {
  readonly holderName: string
}

/** A message block. It must be passed on, queued or freed exactly once. */
export class Mblk implements BorrowedMblk {
  /** The memory that `rptr` and `wptr` index; for the arena's blocks, the whole arena. */
  bytes: ReadonlyBytes
  dblk: Dblk
  /** First byte of data. */
  rptr = 0
  /** One past the last byte of data. */
  wptr = 0
  /** The next block of the same message. */
  cont: Mblk | null = null
  /** The next and previous message on a queue; `next` also links the pool. */
  next: Mblk | null = null
  prev: Mblk | null = null
  /** Message type, `M_DATA` and so on. Of a chain, the first block's counts. */
  type = 0
  band = 0
  /** `MSG_*` flags: {@link MSG_MARK}. */
  flag = 0
  /** `OFFLOAD_*` bits of the packet that this block heads. */
  offload = 0
  /** With `OFFLOAD_CSUM_NEEDED`: where summing begins, in bytes from `rptr` of the head. */
  csumStart = 0
  /** With `OFFLOAD_CSUM_NEEDED`: where the checksum field lies, in bytes from `csumStart`. */
  csumOffset = 0
  /** Payload bytes of each segment of a super-segment or super-datagram; 0 if it is none. */
  gsoSize = 0
  /** The queue whose procedure has the message in hand, or on which it waits. */
  at: Holder | null = null
  /** Whether it is linked on a queue. */
  queued = false
  /** Bytes for which the queue counts it. */
  queuedBytes = 0
  /** False while it lies in the pool. */
  live = false

  constructor(dblk: Dblk, bytes: ReadonlyBytes) {
    this.dblk = dblk
    this.bytes = bytes
  }
}

/** Called once when the last reference to foreign memory goes, with the number that it was given; see esballoc(9F) and free_rtn(9S). */
export type FreeRoutine = (bytes: Uint8Array, cookie: number) => void

/** A region of memory with a reference count. */
export class Dblk {
  readonly arena: Arena
  /** Null for memory that is not the arena's. */
  readonly sizeClass: SizeClass | null
  /** The view that is born with this block (as `db_mblk` in illumos): taking both is one step. */
  readonly own: Mblk
  bytes: Uint8Array
  base: number
  lim: number
  ref = 0
  freeRoutine: FreeRoutine | null = null
  /** A number for whoever gave the memory. */
  cookie = 0
  link: Dblk | null = null

  constructor(arena: Arena, sizeClass: SizeClass | null, bytes: Uint8Array, base: number, lim: number) {
    this.arena = arena
    this.sizeClass = sizeClass
    this.bytes = bytes
    this.base = base
    this.lim = lim
    this.own = new Mblk(this, bytes)
  }
}

/** `flag`: the reader should see where this message ended (a `putmsg` boundary). */
export const MSG_MARK = 0x01

/** `offload`: the checksum field holds only the pseudo-header's sum; the rest is still to be summed. */
export const OFFLOAD_CSUM_NEEDED = 0x01
/** `offload`: the device vouches for the transport checksum. */
export const OFFLOAD_CSUM_VALID = 0x02
/** `offload`: the kind of super-segment, one of these or none. */
export const OFFLOAD_GSO_TCP4 = 0x10
export const OFFLOAD_GSO_TCP6 = 0x20
export const OFFLOAD_GSO_UDP = 0x40
export const OFFLOAD_GSO = OFFLOAD_GSO_TCP4 | OFFLOAD_GSO_TCP6 | OFFLOAD_GSO_UDP

/**
 * The memory of a block that nobody shares, for writing from `rptr` to `wptr` and up to `lim`.
 * @throws AssertionError if the data block is shared after all
 */
export function bytes(mp: UniqueMblk): Uint8Array {
  if (mp.dblk.ref !== 1) shared(mp)
  return mp.dblk.bytes
}

function shared(mp: BorrowedMblk): never {
  throw new AssertionError(`bytes(): data block has ${mp.dblk.ref} references; unshare() it first`)
}

/** Whether the first block's bytes belong to nobody else, so that they may be written. */
export function isUnique(mp: Mblk): mp is UniqueMblk {
  return mp.dblk.ref === 1
}
