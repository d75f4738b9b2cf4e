/** Bytes into the blocks of a message, one after the other: what an encoder of XDR stands on. */
import { assert } from '../../base/assert.ts'
import { allocb, dupb, esballoc, freemsg } from '../../streams/mblk/alloc.ts'
import { type Arena, FRAME_BLOCK_BYTES, SUPER_BLOCK_BYTES } from '../../streams/mblk/arena.ts'
import { copyBytes } from '../../streams/mblk/copy.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { M_DATA } from '../../streams/mblk/types.ts'
import { type OpaqueSource, XdrOpaque } from './opaque.ts'

/** Lent memory and views below this are copied: that is cheaper than a block of their own. */
export const LINK_BYTES = 1_024

export abstract class BlockWriter {
  readonly arena: Arena
  /** The arena's memory, for writing what {@link claim} gave. */
  readonly view: DataView
  private head: Mblk | null = null
  private tail: Mblk | null = null
  /** Next byte to be written, and one past the last that may be, in the arena; both 0 behind a linked block. */
  private at = 0
  private limit = 0
  /** Bytes of the blocks in front of the one in hand, and where that begins. */
  private before = 0
  private begin = 0

  constructor(arena: Arena) {
    this.arena = arena
    const { buffer, byteOffset, byteLength } = arena.bytes
    this.view = new DataView(buffer, byteOffset, byteLength)
  }

  /** Frees what was begun, and throws: no block is left. */
  protected abstract refuseBuffers(): never

  /** Begins a message of its own; one that was not finished is freed. */
  protected begins(headroom: number): void {
    this.abort()
    this.nextBlock(4, headroom)
  }

  /** @returns the message, owned by the caller: M_DATA blocks with exactly the bytes that were put */
  finish(): Mblk {
    const head = this.head
    assert(head !== null, 'finish: nothing was started')
    this.closeBlock()
    this.head = null
    this.abort()
    return head
  }

  /** Frees what was begun. Harmless if nothing was. */
  abort(): void {
    const head = this.head
    this.head = null
    this.tail = null
    this.at = 0
    this.limit = 0
    this.begin = 0
    this.before = 0
    if (head !== null) freemsg(head)
  }

  /** Bytes put so far. */
  get size(): number {
    return this.before + this.at - this.begin
  }

  /**
   * Room in one piece, for headers of a fixed size: the caller writes every byte of it through {@link view}.
   * @returns index of the first byte in the arena's memory
   */
  claim(size: number): number {
    if (this.at + size > this.limit) this.nextBlock(size, 0)
    const at = this.at
    this.at = at + size
    return at
  }

  /** The bytes of an opaque, and zeros up to a multiple of four. */
  protected putBody(value: OpaqueSource): void {
    if (value instanceof XdrOpaque) this.putLent(value)
    else this.copyIn(value, 0, value.length)
    let at = -value.length & 3
    if (at === 0) return
    // One word at the most, so it may lie in two blocks: byte by byte.
    for (; at > 0; at--) this.view.setInt8(this.claim(1), 0)
  }

  private putLent(value: XdrOpaque): void {
    const lent = value.lent
    if (lent === null) return this.putView(value)
    const { bytes, onReleased } = lent
    if (bytes.length < LINK_BYTES) {
      this.copyIn(bytes, 0, bytes.length)
      onReleased?.(bytes)
      return
    }
    const block = esballoc(this.arena, bytes, onReleased ?? ignore)
    if (block === null) this.refuseBuffers()
    this.link(block)
  }

  private putView(value: XdrOpaque): void {
    for (let bp = value.message; bp !== null; bp = bp.cont) {
      if (bp.wptr - bp.rptr < LINK_BYTES) {
        this.copyIn(bp.dblk.bytes, bp.rptr, bp.wptr)
        continue
      }
      const block = dupb(bp)
      if (block === null) this.refuseBuffers()
      this.link(block)
    }
  }

  private copyIn(from: Uint8Array, start: number, end: number): void {
    while (start < end) {
      if (this.at >= this.limit) this.nextBlock(Math.min(end - start, SUPER_BLOCK_BYTES), 0)
      const part = Math.min(end - start, this.limit - this.at)
      copyBytes(this.arena, 'edge', this.arena.bytes, this.at, from, start, part)
      this.at += part
      start += part
    }
  }

  /** Appends a block that is not to be written. */
  private link(block: Mblk): void {
    this.closeBlock()
    block.type = M_DATA
    this.tail!.cont = block
    this.tail = block
    this.before += block.wptr - block.rptr
    this.at = 0
    this.limit = 0
    this.begin = 0
  }

  private closeBlock(): void {
    if (this.limit === 0) return
    this.tail!.wptr = this.at
    this.before += this.at - this.begin
    this.begin = this.at
  }

  /** The first block is a small one; who needs a second gets more. */
  private nextBlock(size: number, headroom: number): void {
    const { head, arena } = this
    if (head !== null)
      size = Math.max(size, this.size < FRAME_BLOCK_BYTES ? FRAME_BLOCK_BYTES : SUPER_BLOCK_BYTES)
    const block = arena.spares(size + headroom) ? allocb(arena, size, headroom) : null
    if (block === null) this.refuseBuffers()
    if (head === null) {
      this.head = block
    } else {
      this.closeBlock()
      this.tail!.cont = block
    }
    this.tail = block
    this.at = block.rptr
    this.begin = block.rptr
    this.limit = block.dblk.lim
  }
}

function ignore(): void {}
