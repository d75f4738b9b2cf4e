/**
 * The node's account of a mapped client: which of its blocks the client has (lent, to be read), and which it may fill (granted).
 * What the client says is checked against it; when the client is gone, all of it comes home.
 */
import { allocb, dupb, freeb } from '../streams/mblk/alloc.ts'
import {
  type Arena,
  FRAME_BLOCK_BYTES,
  HEADER_BLOCK_BYTES,
  SUPER_BLOCK_BYTES,
} from '../streams/mblk/arena.ts'
import type { Mblk, UniqueMblk } from '../streams/mblk/mblk.ts'
import { copyPart } from './copy-part.ts'
import { type BlockSide, GRANTED, LENGTH, LENT, NUMBER, OFFSET, SPACE } from './mapped-channel.ts'
import { TAGS_MAX } from './protocol.ts'
import { clearRing, RING_BYTES, RingReader, RingWriter } from './ring.ts'

/** Blocks that a client has at a time, and their bytes. */
const LENT_MAX = 32_768
const LENT_BYTES_MAX = 16 * 1024 * 1024
/** A view of a block that others have, too, counts for this part of it at least. */
const SHARED_PART = 16
/** Blocks that a client may fill: enough for a send buffer of 2 MiB, and 512 small datagrams. */
const GRANTS = [
  { bytes: HEADER_BLOCK_BYTES, count: 512 },
  { bytes: FRAME_BLOCK_BYTES, count: 512 },
  { bytes: SUPER_BLOCK_BYTES, count: 32 },
] as const

/** What a client has to know of the memory. */
export interface MappedText {
  readonly arenaBytes: number
  /** Byte offsets of the rings. */
  readonly toClient: number
  readonly toNode: number
  /** Offset and size of each block that it may fill. */
  readonly grants: readonly (readonly [offset: number, bytes: number])[]
}

export class MappedNodeSide implements BlockSide {
  private readonly arena: Arena
  private readonly rings: UniqueMblk[] = []
  private readonly grants: UniqueMblk[] = []
  /** Views of each granted block that the stack still has. */
  private readonly uses: number[] = []
  private readonly lent: (Mblk | null)[] = []
  private readonly freeSlots: number[] = []
  private lentCount = 0
  private lentBytes = 0
  /** What each counts for, by slot. */
  private readonly lentCosts: number[] = []
  /** Which grant a tag is a view of; -1: the tag is free. */
  private readonly tags = new Int16Array(TAGS_MAX).fill(-1)
  private readonly toReturn: number[] = []
  private returned_ = 0
  private closed = false
  /** Told that there is something to be given back. */
  onReturn: (() => void) | null = null
  private readonly release = (_bytes: Uint8Array, tag: number): void => this.released(tag)

  private constructor(arena: Arena) {
    this.arena = arena
  }

  /** @returns null if there is no memory for one more client */
  static open(arena: Arena): MappedNodeSide | null {
    const side = new MappedNodeSide(arena)
    if (side.allocate()) return side
    side.close()
    return null
  }

  private allocate(): boolean {
    for (let i = 0; i < 2; i++) {
      const ring = this.arena.spares(RING_BYTES) ? allocb(this.arena, RING_BYTES) : null
      if (ring === null) return false
      clearRing(this.arena.words, ring.rptr >> 2)
      this.rings.push(ring)
    }
    for (const { bytes, count } of GRANTS)
      for (let i = 0; i < count; i++) {
        const block = this.arena.spares(bytes) ? allocb(this.arena, bytes) : null
        if (block === null) return false
        this.grants.push(block)
        this.uses.push(0)
      }
    return true
  }

  get text(): MappedText {
    const [toClient, toNode] = this.rings as [UniqueMblk, UniqueMblk]
    return {
      arenaBytes: this.arena.bytes.length,
      toClient: toClient.rptr,
      toNode: toNode.rptr,
      grants: this.grants.map(({ dblk }) => [dblk.base, dblk.lim - dblk.base] as const),
    }
  }

  makeRings(): { writer: RingWriter; reader: RingReader } {
    const { toClient, toNode } = this.text
    return {
      writer: new RingWriter(this.arena.words, toClient),
      reader: new RingReader(this.arena.words, toNode),
    }
  }

  // ---- to the client

  get isStrained(): boolean {
    return 4 * this.lentCount > 3 * LENT_MAX || this.lentBytes > LENT_BYTES_MAX
  }

  describe(given: Mblk, entry: number): number {
    if (this.lentCount >= LENT_MAX) return 0
    // Memory that the client does not map goes in parts.
    const bp = given.dblk.bytes === this.arena.bytes ? given : copyPart(this.arena, given)
    if (bp === null) return 0
    const length = bp.wptr - bp.rptr
    if (bp !== given && given.rptr === given.wptr) freeb(given)
    const slot = this.freeSlots.pop() ?? this.lent.length
    this.lent[slot] = bp
    this.lentCount++
    const cost = costOfLoan(bp)
    this.lentCosts[slot] = cost
    this.lentBytes += cost
    const { words } = this.arena
    words[entry + SPACE] = LENT
    words[entry + NUMBER] = slot
    words[entry + OFFSET] = bp.rptr
    words[entry + LENGTH] = length
    return length
  }

  returned(slot: number): boolean {
    const bp = slot >= 0 && slot < this.lent.length ? this.lent[slot]! : null
    if (bp === null) return false
    this.lent[slot] = null
    this.freeSlots.push(slot)
    this.lentCount--
    this.lentBytes -= this.lentCosts[slot]!
    freeb(bp)
    return true
  }

  // ---- from the client

  resolve(space: number, number: number, offset: number, length: number, tag: number): Mblk | null {
    if (length <= 0) return null
    return space === LENT
      ? this.resolveLent(number, offset, length)
      : this.resolveGrant(space, number, offset, length, tag)
  }

  private resolveLent(slot: number, offset: number, length: number): Mblk | null {
    const bp = slot >= 0 && slot < this.lent.length ? this.lent[slot]! : null
    if (bp === null || offset < bp.rptr || length > bp.wptr - offset) return null
    const view = dupb(bp)
    if (view === null) return null
    view.rptr = offset
    view.wptr = offset + length
    return view
  }

  private resolveGrant(
    space: number,
    number: number,
    offset: number,
    length: number,
    tag: number,
  ): Mblk | null {
    const block =
      space === GRANTED && number >= 0 && number < this.grants.length ? this.grants[number]! : null
    if (block === null || offset < block.dblk.base || length > block.dblk.lim - offset) return null
    if (tag < 0 || tag >= TAGS_MAX || this.tags[tag] !== -1) return null
    const mp = this.arena.wrap(this.arena.bytes, this.release, offset, offset + length, tag)
    if (mp === null) return null
    mp.wptr = offset + length
    this.tags[tag] = number
    this.uses[number]!++
    return mp
  }

  /** The stack is done with what a client sent. */
  private released(tag: number): void {
    const number = this.tags[tag]!
    this.tags[tag] = -1
    this.uses[number]!--
    if (this.closed) return this.freeGrant(number)
    this.toReturn.push(tag)
    this.onReturn?.()
  }

  nextReturn(): number {
    if (this.returned_ === this.toReturn.length) {
      this.toReturn.length = this.returned_ = 0
      return -1
    }
    return this.toReturn[this.returned_++]!
  }

  /** The client is gone. What the stack still sends of it stays until it is sent. */
  close(): void {
    if (this.closed) return
    this.closed = true
    for (const ring of this.rings) freeb(ring)
    for (const bp of this.lent) if (bp !== null) freeb(bp)
    this.lent.length = 0
    // Freeing what was lent may have set some free: data that came back to where it was sent from.
    for (let number = 0; number < this.grants.length; number++) this.freeGrant(number)
  }

  private freeGrant(number: number): void {
    if (this.uses[number] !== 0) return
    this.uses[number] = -1
    freeb(this.grants[number]!)
  }
}

/**
 * A block that only the client has is all its doing. Of one that others have as well, many views may be lent, each of a segment between two
 * programs of this node: they count by their bytes, or by a part of the block where they are tiny.
 */
function costOfLoan({ dblk, rptr, wptr }: Mblk): number {
  const whole = dblk.lim - dblk.base
  return dblk.ref === 1 ? whole : Math.max(wptr - rptr, whole / SHARED_PART)
}
