/**
 * The two batches of an exchange: packets to write, described by their fragments, and blocks to read into. All
 * arrays are made once; see `src/host/shim.ts` for the layout of the descriptor array.
 */
import {
  DESC_HEAD_CAPACITY,
  DESC_RX_BASE,
  DESC_RX_BYTES,
  DESC_RX_ERRNO,
  DESC_SPILL_BASE,
  DESC_SPILL_CAPACITY,
  DESC_SPILL_COUNT,
  DESC_TX_BASE,
  DESC_TX_BYTES,
  DESC_TX_DONE,
  DESC_TX_ERRNO,
  DESC_WORDS,
  FRAGMENT_MAX,
  REGION_COUNT,
  type Shim,
} from '../host/shim.ts'
import { allocb, freemsg } from '../streams/mblk/alloc.ts'
import { type Arena, FRAME_BLOCK_BYTES, HEADROOM_BYTES, SUPER_BLOCK_BYTES } from '../streams/mblk/arena.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { blockCount, prepend } from '../streams/mblk/message.ts'
import { pullupmsg } from '../streams/mblk/pullup.ts'
import { VIRTIO_HEADER_SIZE, writeVirtioHeader } from './virtio.ts'

/** Packets read, and written, in one exchange. */
export const BATCH_PACKETS = 64
/** Large blocks offered for the ends of long packets: super-segments read in one exchange. */
const SPILL_BLOCKS = 32
const HEAD_CAPACITY = FRAME_BLOCK_BYTES - HEADROOM_BYTES
const RX_BASE = DESC_WORDS
const SPILL_BASE = RX_BASE + BATCH_PACKETS
const TX_BASE = SPILL_BASE + SPILL_BLOCKS
/** Worst case of one packet: the count, and three words for each fragment. */
const PACKET_WORDS_MAX = 1 + 3 * FRAGMENT_MAX
const DESC_SIZE = TX_BASE + BATCH_PACKETS * 7 + PACKET_WORDS_MAX

export class TunBatch {
  readonly desc = new Int32Array(DESC_SIZE)
  txCount = 0
  private readonly arena: Arena
  private readonly shim: Shim
  private port = -1
  private readonly heads: (Mblk | null)[] = new Array(BATCH_PACKETS).fill(null)
  private readonly spills: (Mblk | null)[] = new Array(SPILL_BLOCKS).fill(null)
  private readonly sending: (Mblk | null)[] = new Array(BATCH_PACKETS).fill(null)
  private txFirst = 0
  private txWords = 0
  private pins = 0
  /** Head blocks that the last exchange used up: those before this index are to be replaced. */
  private headsUsed = BATCH_PACKETS
  private spillsUsed = SPILL_BLOCKS
  private spillNext = 0
  /** Whether packets carry a virtio header. */
  readonly vnet: boolean

  constructor(arena: Arena, shim: Shim, vnet: boolean) {
    this.arena = arena
    this.shim = shim
    this.vnet = vnet
    const { desc } = this
    desc[DESC_HEAD_CAPACITY] = HEAD_CAPACITY
    desc[DESC_SPILL_CAPACITY] = SUPER_BLOCK_BYTES
    desc[DESC_RX_BASE] = RX_BASE
    desc[DESC_SPILL_BASE] = SPILL_BASE
    desc[DESC_TX_BASE] = TX_BASE
  }

  /** The port, once it is attached: foreign memory is pinned there. */
  use(port: number): void {
    this.port = port
  }

  // ---- writing

  begin(): void {
    this.txCount = 0
    this.txFirst = 0
    this.txWords = TX_BASE
    this.pins = 0
  }

  /** Whether one more packet has its place: in the batch, in the descriptor array, among the pinned regions. */
  fits(mp: Mblk): boolean {
    if (this.txCount === BATCH_PACKETS || this.txWords + PACKET_WORDS_MAX > DESC_SIZE) return false
    if (this.pins === 0) return true
    let foreign = 0
    for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont)
      if (bp.dblk.bytes !== this.arena.bytes) foreign++
    return this.pins + foreign < REGION_COUNT
  }

  /**
   * Adds a packet, behind its virtio header if the device has one.
   * @param mp - consumed: kept until `release`, or freed if no block is left
   */
  add(mp: Mblk): boolean {
    let packet: Mblk | null = mp
    if (blockCount(mp) >= FRAGMENT_MAX - 1) packet = pullupmsg(mp, -1)
    if (packet !== null && this.vnet) {
      const head = prepend(packet, VIRTIO_HEADER_SIZE)
      if (head !== null) writeVirtioHeader(head.dblk.bytes, head.rptr, head)
      packet = head
    }
    if (packet === null) return false
    this.describe(packet)
    this.sending[this.txCount++] = packet
    return true
  }

  private describe(packet: Mblk): void {
    const { desc } = this
    const countAt = this.txWords++
    let count = 0
    for (let bp: Mblk | null = packet; bp !== null; bp = bp.cont) {
      const length = bp.wptr - bp.rptr
      if (length === 0) continue
      let region = 0
      if (bp.dblk.bytes !== this.arena.bytes) {
        region = ++this.pins
        this.shim.pin(this.port, region, bp.dblk.bytes)
      }
      desc[this.txWords++] = region
      desc[this.txWords++] = bp.rptr
      desc[this.txWords++] = length
      count++
    }
    desc[countAt] = count
  }

  get written(): number {
    return this.desc[DESC_TX_DONE]!
  }

  get txErrno(): number {
    return this.desc[DESC_TX_ERRNO]!
  }

  get txBytes(): number {
    return this.desc[DESC_TX_BYTES]!
  }

  /** Frees the packets that were written. @returns how many of them were super-packets */
  release(done: number): number {
    let supers = 0
    for (let i = 0; i < done; i++) {
      const mp = this.sending[i]!
      this.sending[i] = null
      if (mp.gsoSize !== 0) supers++
      freemsg(mp)
    }
    this.txFirst = done
    return supers
  }

  /** Takes the first packet that was not written. */
  takeFirst(): Mblk | null {
    return this.txFirst < this.txCount ? this.withoutHeader(this.txFirst++) : null
  }

  /** Takes the last packet that was not written. */
  takeLast(): Mblk | null {
    return this.txFirst < this.txCount ? this.withoutHeader(--this.txCount) : null
  }

  private withoutHeader(index: number): Mblk {
    const mp = this.sending[index]!
    this.sending[index] = null
    if (this.vnet) {
      mp.rptr += VIRTIO_HEADER_SIZE
      mp.csumStart -= VIRTIO_HEADER_SIZE
    }
    return mp
  }

  // ---- reading

  /** Replaces the blocks that the last exchange used up. @returns packets that can be read */
  fill(): number {
    const { arena, desc } = this
    const heads = refill(arena, this.heads, this.headsUsed, HEAD_CAPACITY, HEADROOM_BYTES, desc, RX_BASE)
    const spills = refill(arena, this.spills, this.spillsUsed, SUPER_BLOCK_BYTES, 0, desc, SPILL_BASE)
    if (heads === BATCH_PACKETS) this.headsUsed = 0
    if (spills === SPILL_BLOCKS) this.spillsUsed = 0
    desc[DESC_SPILL_COUNT] = spills
    this.spillNext = 0
    // Without a spill block a long packet would be cut: better not to read at all.
    return spills === 0 ? 0 : heads
  }

  get rxErrno(): number {
    return this.desc[DESC_RX_ERRNO]!
  }

  get rxBytes(): number {
    return this.desc[DESC_RX_BYTES]!
  }

  sizeOf(index: number): number {
    return this.desc[RX_BASE + index]!
  }

  /**
   * The packet at `index` as a message; to be called for every packet read, in order.
   * @param size - its `sizeOf`
   */
  take(index: number, size: number): Mblk {
    const mp = this.heads[index]!
    this.heads[index] = null
    if (index >= this.headsUsed) this.headsUsed = index + 1
    if (size <= HEAD_CAPACITY) {
      mp.wptr = mp.rptr + size
      return mp
    }
    mp.wptr = mp.rptr + HEAD_CAPACITY
    const spill = this.spills[this.spillNext]!
    this.spills[this.spillNext++] = null
    if (this.spillNext > this.spillsUsed) this.spillsUsed = this.spillNext
    spill.wptr = spill.rptr + (size - HEAD_CAPACITY)
    mp.cont = spill
    return mp
  }

  /** Gives all blocks back. */
  close(): void {
    for (const list of [this.heads, this.spills, this.sending]) {
      for (let i = 0; i < list.length; i++) {
        const mp = list[i] ?? null
        if (mp !== null) freemsg(mp)
        list[i] = null
      }
    }
  }
}

/**
 * Puts new blocks in the places of those that were used, and their offsets into the descriptor array.
 * @param used - only places before this one can be empty
 * @returns blocks ready at the front: fewer than there are places when the arena has run out
 */
function refill(
  arena: Arena,
  list: (Mblk | null)[],
  used: number,
  capacity: number,
  headroom: number,
  desc: Int32Array,
  base: number,
): number {
  for (let i = 0; i < used; i++) {
    // The word may hold the length of a packet that came: the offset is written anew even if the block stayed.
    const mp = list[i] ?? allocb(arena, capacity, headroom)
    if (mp === null) return i
    list[i] = mp
    desc[base + i] = mp.rptr
  }
  return list.length
}
