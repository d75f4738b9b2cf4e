/**
 * What a program writes, on its way into the stack: copied once, since the program may change it as soon as the write is
 * said to be done, and gathered into large blocks, however small the pieces of one `_writev` are.
 */
import { allocb, freemsg } from '../streams/mblk/alloc.ts'
import { type Arena, FRAME_BLOCK_BYTES, HEADROOM_BYTES } from '../streams/mblk/arena.ts'
import { copyBytes } from '../streams/mblk/copy.ts'
import type { Mblk, UniqueMblk } from '../streams/mblk/mblk.ts'
import type { TcpConnection } from './tcp-endpoint.ts'

/** Payload of one block: a super-segment. */
const BLOCK_BYTES = 64 * 1024

/** Payload of a block for one packet. */
const SMALL_BYTES = FRAME_BLOCK_BYTES - HEADROOM_BYTES

/** All of it was taken; the connection is full; no block of memory is left. */
export type SendState = 'done' | 'full' | 'no-memory'

export class Outbox {
  private readonly connection: TcpConnection
  private readonly arena: Arena
  private chunks: readonly Uint8Array[] = []
  private index = 0
  private offset = 0
  /** Bytes of `chunks` that are in no block yet. */
  private left = 0
  /** Made, and refused so far. */
  private block: Mblk | null = null
  private blockBytes = 0

  constructor(connection: TcpConnection) {
    this.connection = connection
    this.arena = connection.stream.runtime.arena
  }

  /** Bytes that are still to be taken. */
  get waitingBytes(): number {
    return this.left + this.blockBytes
  }

  /** @param chunks - not to be changed before it is done. The box must be empty. */
  put(chunks: readonly Uint8Array[], bytes: number): void {
    this.chunks = chunks
    this.index = 0
    this.offset = 0
    this.left = bytes
  }

  /** Sends on. @throws StackError if the connection is over or was shut down */
  send(): SendState {
    for (;;) {
      if (this.block === null) {
        if (this.left === 0) {
          this.chunks = []
          return 'done'
        }
        this.block = this.fill()
        if (this.block === null) return 'no-memory'
      }
      const { block } = this
      // It is the connection's whatever happens, unless the answer is false.
      this.block = null
      if (!this.connection.putmsg(block)) {
        this.block = block
        return 'full'
      }
      this.blockBytes = 0
    }
  }

  /** The next block with as much as fits; a small one where large ones have run out. */
  private fill(): Mblk | null {
    const { arena } = this
    let size = Math.min(this.left, BLOCK_BYTES)
    let mp = blockFor(arena, size)
    if (mp === null && size > SMALL_BYTES) {
      size = SMALL_BYTES
      mp = blockFor(arena, size)
    }
    if (mp === null) return null
    const { bytes } = mp.dblk
    const end = mp.wptr + size
    while (mp.wptr < end) {
      const chunk = this.chunks[this.index]!
      const part = Math.min(end - mp.wptr, chunk.length - this.offset)
      copyBytes(arena, 'edge', bytes, mp.wptr, chunk, this.offset, part)
      mp.wptr += part
      this.offset += part
      if (this.offset < chunk.length) continue
      this.index++
      this.offset = 0
    }
    this.left -= size
    this.blockBytes = size
    return mp
  }

  /** Forgets what was not taken. */
  clear(): void {
    if (this.block !== null) freemsg(this.block)
    this.block = null
    this.chunks = []
    this.left = 0
    this.blockBytes = 0
  }
}

/** The last blocks are not for programs. */
function blockFor(arena: Arena, size: number): UniqueMblk | null {
  return arena.spares(size + HEADROOM_BYTES) ? allocb(arena, size, HEADROOM_BYTES) : null
}
