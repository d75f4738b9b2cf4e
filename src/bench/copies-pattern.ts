/** The bytes that are moved, and the digest by which both ends agree on them. */
import type { ReadonlyBytes } from '../base/checksum.ts'
import { Prng } from '../base/prng.ts'
import type { Arena } from '../streams/mblk/arena.ts'
import {
  allocb,
  dupb,
  FRAME_BLOCK_BYTES,
  freeb,
  freemsg,
  HEADER_BLOCK_BYTES,
  HEADROOM_BYTES,
  type Mblk,
  SUPER_BLOCK_BYTES,
} from '../streams/mblk/index.ts'

/** The largest part of a message that lies in one block, by default. */
const PART_BYTES = 64 * 1024
/** In blocks of the size of a packet. */
export const FRAME_PART_BYTES = FRAME_BLOCK_BYTES - HEADROOM_BYTES
/** Memory of the blocks that are sent in turn: more than the first caches hold, as data of a real program. */
const POOL_BYTES = 4 * 1024 * 1024
const SEED = 4

/** Bytes that no two places of the pool have in common by chance. @param size - a multiple of 4 */
export function patternBytes(size: number, seed = SEED): Uint8Array {
  const words = new Int32Array(size >> 2)
  const random = new Prng(seed)
  for (let i = 0; i < words.length; i++) words[i] = random.int32()
  return new Uint8Array(words.buffer)
}

/** Bytes of the block that holds a part. */
const blockBytes = (part: number): number =>
  [HEADER_BLOCK_BYTES, FRAME_BLOCK_BYTES].find(size => size >= part + HEADROOM_BYTES) ?? SUPER_BLOCK_BYTES

/** Messages of one size, ready in blocks of the arena; each is sent as views, again and again. */
export class MessagePool {
  private readonly blocks: readonly Mblk[]
  private readonly perMessage: number
  private next = 0

  private constructor(blocks: readonly Mblk[], perMessage: number) {
    this.blocks = blocks
    this.perMessage = perMessage
  }

  /**
   * @param partBytes - of a block at most
   * @param most - messages; as many as make up the pool by default, fewer where the arena has not so many blocks
   * @returns null if there are not even the blocks of one message
   */
  static fill(
    arena: Arena,
    bytes: number,
    pattern: Uint8Array,
    partBytes = PART_BYTES,
    most = POOL_BYTES,
  ): MessagePool | null {
    const perMessage = Math.ceil(bytes / partBytes)
    // Parts of one size: a small one at the end would be copied, as small ones are.
    const part = Math.ceil(bytes / perMessage)
    const messages = Math.max(1, Math.min(most, Math.floor(POOL_BYTES / (blockBytes(part) * perMessage))))
    const blocks: Mblk[] = []
    let at = 0
    for (let i = 0; i < messages * perMessage; i++) {
      const length = i % perMessage === perMessage - 1 ? bytes - part * (perMessage - 1) : part
      if (at + length > pattern.length) at = 0
      const bp = allocb(arena, length, HEADROOM_BYTES)
      if (bp === null) {
        // Half of what there is: others want blocks, too.
        const whole = Math.floor(blocks.length / perMessage)
        for (const each of blocks.splice(Math.ceil(whole / 2) * perMessage)) freeb(each)
        break
      }
      // Before anything is measured, and not on the way of a message: no copy that counts.
      bp.dblk.bytes.set(pattern.subarray(at, at + length), bp.rptr)
      bp.wptr += length
      at += length
      blocks.push(bp)
    }
    return blocks.length === 0 ? null : new MessagePool(blocks, perMessage)
  }

  /** The next message. @returns null if no view is left */
  message(): Mblk | null {
    let first: Mblk | null = null
    let last: Mblk | null = null
    for (let i = 0; i < this.perMessage; i++) {
      const view = dupb(this.blocks[this.next]!)
      if (view === null) {
        if (first !== null) freemsg(first)
        return null
      }
      if (++this.next === this.blocks.length) this.next = 0
      if (last === null) first = view
      else last.cont = view
      last = view
    }
    return first
  }

  /** Gives the blocks back; those in flight live on until they are acknowledged. */
  close(): void {
    for (const bp of this.blocks) freeb(bp)
  }
}

/** Sizes of the messages of the checked transfer: none lies as another, and boundaries of segments fall everywhere. */
export const CHECK_SIZES: readonly number[] = [
  1, 63, 512, 1_000, 1_461, 4_096, 16_384, 65_536, 100_001, 1_048_576,
]
export const CHECK_ROUNDS = 4
export const CHECK_BYTES = CHECK_ROUNDS * CHECK_SIZES.reduce((sum, size) => sum + size, 0)

/**
 * A digest of 64 bits in order of the bytes, as `tcp-load digest` has it: FNV-1a, and a polynomial of 31, each of 32 bits.
 */
export class Digest {
  bytes = 0
  private fnv = 0x811c9dc5 | 0
  private polynomial = 0

  add(bytes: ReadonlyBytes, start: number, end: number): void {
    let { fnv, polynomial } = this
    for (let i = start; i < end; i++) {
      const byte = bytes[i]!
      fnv = Math.imul(fnv ^ byte, 0x01000193)
      polynomial = (Math.imul(polynomial, 31) + byte) | 0
    }
    this.fnv = fnv
    this.polynomial = polynomial
    this.bytes += end - start
  }

  /** 16 hexadecimal digits. */
  text(): string {
    const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0')
    return hex(this.fnv) + hex(this.polynomial)
  }
}
