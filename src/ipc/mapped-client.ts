/** A mapped client's account: blocks of the node's that its programs read, and blocks that they fill and the node sends. */
import { freeb } from '../streams/mblk/alloc.ts'
import { type Arena, SUPER_BLOCK_BYTES } from '../streams/mblk/arena.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { copyPart } from './copy-part.ts'
import { type BlockSide, GRANTED, LENGTH, LENT, NUMBER, OFFSET, SPACE, TAG } from './mapped-channel.ts'
import { TAGS_MAX } from './protocol.ts'
import type { SendMemory } from './send-data.ts'

export class MappedClientSide implements BlockSide, SendMemory {
  private readonly arena: Arena
  /** What the node has in hand, by tag. */
  private readonly sent: (Mblk | null)[] = []
  private readonly freeTags: number[] = []
  private readonly toReturn: number[] = []
  private returned_ = 0
  private closed = false
  /** Told that there is something to be given back. */
  onReturn: (() => void) | null = null
  /** Told that blocks came home. */
  onBlocks: (() => void) | null = null
  private readonly release = (_bytes: Uint8Array, slot: number): void => {
    if (this.closed) return
    this.toReturn.push(slot)
    this.onReturn?.()
  }

  constructor(arena: Arena) {
    this.arena = arena
  }

  readonly isStrained = false

  takes(bp: Mblk): boolean {
    const { dblk } = bp
    return dblk.bytes === this.arena.bytes && (dblk.sizeClass !== null || dblk.freeRoutine === this.release)
  }

  copyFront(bp: Mblk): Mblk | null {
    const size = Math.min(bp.wptr - bp.rptr, SUPER_BLOCK_BYTES)
    return this.arena.spares(size) ? copyPart(this.arena, bp) : null
  }

  describe(bp: Mblk, entry: number): number {
    const { words } = this.arena
    const size = bp.wptr - bp.rptr
    if (bp.dblk.freeRoutine === this.release) {
      // It goes back as it came; its return follows behind.
      words[entry + SPACE] = LENT
      words[entry + NUMBER] = bp.dblk.cookie
      words[entry + OFFSET] = bp.rptr
      words[entry + LENGTH] = size
      freeb(bp)
      return size
    }
    if (this.freeTags.length === 0 && this.sent.length === TAGS_MAX) return 0
    const block = bp.dblk.sizeClass !== null ? bp : copyPart(this.arena, bp)
    if (block === null) return 0
    const length = block.wptr - block.rptr
    const tag = this.freeTags.pop() ?? this.sent.length
    this.sent[tag] = block
    words[entry + SPACE] = GRANTED
    words[entry + NUMBER] = block.dblk.cookie
    words[entry + OFFSET] = block.rptr
    words[entry + LENGTH] = length
    words[entry + TAG] = tag
    if (block !== bp && bp.rptr === bp.wptr) freeb(bp)
    return length
  }

  returned(tag: number): boolean {
    const block = tag >= 0 && tag < this.sent.length ? this.sent[tag]! : null
    if (block === null) return false
    this.sent[tag] = null
    this.freeTags.push(tag)
    freeb(block)
    this.onBlocks?.()
    return true
  }

  resolve(space: number, slot: number, offset: number, length: number): Mblk | null {
    if (space !== LENT) return null
    const mp = this.arena.wrap(this.arena.bytes, this.release, offset, offset + length, slot)
    if (mp !== null) mp.wptr = offset + length
    return mp
  }

  nextReturn(): number {
    if (this.returned_ === this.toReturn.length) {
      this.toReturn.length = this.returned_ = 0
      return -1
    }
    return this.toReturn[this.returned_++]!
  }

  close(): void {
    this.closed = true
    for (const block of this.sent) if (block !== null) freeb(block)
    this.sent.length = 0
  }
}
