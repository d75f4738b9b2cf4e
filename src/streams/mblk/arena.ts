/**
 * The arena: one fixed slab of memory per stack, cut into blocks of three sizes with last-in-first-out free
 * lists, so that the block used next is the one whose cache lines are warm. The slab never grows; when a size
 * has run out the caller of `allocb` gets `null`, and a counter says so.
 */
import { AssertionError, assert } from '../../base/assert.ts'
import { type CopyCounts, type Memory, makeCopyCounts, portableMemory } from './copy.ts'
import { Dblk, type FreeRoutine, type Holder, Mblk, type UniqueMblk } from './mblk.ts'
import { M_DATA } from './types.ts'

/** Headers, with room in front so that more headers are prepended in place. */
export const HEADER_BLOCK_BYTES = 256
/** One Ethernet-size packet with headroom and the virtio header. */
export const FRAME_BLOCK_BYTES = 2_048
/** A 64 KiB super-segment with headroom and the virtio header. */
export const SUPER_BLOCK_BYTES = 66_560
/** What `allocb` callers leave in front of a payload for the headers of all layers below. */
export const HEADROOM_BYTES = 128

const DEFAULT_ARENA_BYTES = 64 * 1024 * 1024
const POISON = 0xdb
/** How the slab is shared out, in sixteenths: headers, frames, super-segments. */
const SHARE = [2, 5, 9] as const

/** The blocks of one size. */
export class SizeClass {
  readonly name: string
  readonly blockBytes: number
  readonly base: number
  readonly limit: number
  /** Blocks handed out since the arena was made; those below are on the free list or in use. */
  fresh = 0
  free: Dblk | null = null
  inUse = 0
  /** The most that were ever in use at once. */
  peak = 0
  /** Requests that found no block of this size. */
  exhausted = 0

  constructor(name: string, blockBytes: number, base: number, limit: number) {
    this.name = name
    this.blockBytes = blockBytes
    this.base = base
    this.limit = limit
  }
}

export interface ArenaOptions {
  /** Size of the slab in bytes, 64 MiB by default, at least 1 MiB. */
  readonly sizeBytes?: number
  /** Fill freed blocks with a pattern and check it when they are taken again. For tests: it costs a pass over each block. */
  readonly poison?: boolean
  /** The slab itself, zeroed, in place of `sizeBytes`: memory that another process maps, too. */
  readonly memory?: Uint8Array
  /** Only these parts of `memory` are the arena's to hand out; each is a block of one of the three sizes, with its index as cookie. */
  readonly blocks?: readonly (readonly [offset: number, bytes: number])[]
  /** How many foreign blocks (`esballoc`) and extra views (`dupb`) may be alive at once. */
  readonly viewLimit?: number
}

/** A leak or a corruption, told by {@link Arena.assertWhole}. */
export interface ArenaState {
  readonly blocksInUse: number
  readonly viewsInUse: number
  readonly foreignInUse: number
  readonly holders: readonly string[]
}

export class Arena {
  /** The whole slab. */
  readonly bytes: Uint8Array
  /** The same memory as native int32 words, for control blocks (`rptr >> 2`); every block begins on a word. */
  readonly words: Int32Array
  readonly classes: readonly SizeClass[]
  /** Bytes and calls of every bulk copy, by place. */
  readonly copies: CopyCounts = makeCopyCounts()
  /** How bytes are moved and summed: portable code, or the shim's. */
  memory: Memory = portableMemory
  readonly poison: boolean
  private readonly viewLimit: number
  private freeView: Mblk | null = null
  private freeForeign: Dblk | null = null
  private readonly dblks: Dblk[] = []
  /** Every view ever made, for {@link reclaim}. */
  private readonly views: Mblk[] = []
  viewsInUse = 0
  private viewsMade = 0
  foreignInUse = 0

  constructor(options: ArenaOptions = {}) {
    const sizeBytes = options.memory?.length ?? options.sizeBytes ?? DEFAULT_ARENA_BYTES
    assert(sizeBytes >= 1024 * 1024 && sizeBytes < 2 ** 31, 'an arena is 1 MiB to 2 GiB')
    this.bytes = options.memory ?? new Uint8Array(sizeBytes & ~63)
    this.words = new Int32Array(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length >> 2)
    this.poison = options.poison ?? false
    this.viewLimit = options.viewLimit ?? 262_144
    if (options.blocks !== undefined) {
      this.classes = this.adopt(options.blocks)
      return
    }
    const sixteenth = Math.floor(sizeBytes / 16 / 64) * 64
    const frames = SHARE[0] * sixteenth
    const supers = frames + SHARE[1] * sixteenth
    this.classes = [
      new SizeClass('header', HEADER_BLOCK_BYTES, 0, frames),
      new SizeClass('frame', FRAME_BLOCK_BYTES, frames, supers),
      new SizeClass('super', SUPER_BLOCK_BYTES, supers, this.bytes.length),
    ]
  }

  /** Size classes with nothing but the blocks that were given. */
  private adopt(blocks: readonly (readonly [offset: number, bytes: number])[]): SizeClass[] {
    const sizes = [
      ['header', HEADER_BLOCK_BYTES],
      ['frame', FRAME_BLOCK_BYTES],
      ['super', SUPER_BLOCK_BYTES],
    ] as const
    return sizes.map(([name, blockBytes]) => {
      const count = blocks.filter(([, bytes]) => bytes === blockBytes).length
      const sizeClass = new SizeClass(name, blockBytes, 0, count * blockBytes)
      sizeClass.fresh = count
      blocks.forEach(([offset, bytes], index) => {
        if (bytes !== blockBytes) return
        const dblk = new Dblk(this, sizeClass, this.bytes, offset, offset + bytes)
        dblk.cookie = index
        dblk.link = sizeClass.free
        sizeClass.free = dblk
        this.dblks.push(dblk)
        this.views.push(dblk.own)
      })
      return sizeClass
    })
  }

  /**
   * A block of at least `size` bytes, with its view; a larger size serves when the right one has run out.
   * @returns null if nothing fits or nothing is left
   */
  take(size: number): UniqueMblk | null {
    const classes = this.classes
    for (let i = 0; i < classes.length; i++) {
      const sizeClass = classes[i]!
      if (size > sizeClass.blockBytes) continue
      const dblk = sizeClass.free ?? this.makeBlock(sizeClass)
      if (dblk !== null) {
        sizeClass.free = dblk.link
        if (++sizeClass.inUse > sizeClass.peak) sizeClass.peak = sizeClass.inUse
        return this.begin(dblk)
      }
      sizeClass.exhausted++
    }
    return null
  }

  /** Whether more than three quarters of the blocks of some size are out. */
  get isLow(): boolean {
    for (let i = 0; i < this.classes.length; i++) {
      const { inUse, blockBytes, limit, base } = this.classes[i]!
      if (4 * inUse * blockBytes > 3 * (limit - base)) return true
    }
    return false
  }

  /**
   * Whether a program may have a block of `size` bytes. The last eighth of each size is for devices and protocols: without it
   * nothing comes in any more, not even what would set blocks free (as BPRI_LO of allocb(9F)).
   */
  spares(size: number): boolean {
    for (let i = 0; i < this.classes.length; i++) {
      const { inUse, blockBytes, limit, base } = this.classes[i]!
      if (size <= blockBytes) return 8 * inUse * blockBytes < 7 * (limit - base)
    }
    return false
  }

  /**
   * A block around the caller's memory, from byte `base` to `lim`; null if too many are alive.
   * @param cookie - a number that `freeRoutine` is called with
   */
  wrap(
    bytes: Uint8Array,
    freeRoutine: FreeRoutine,
    base = 0,
    lim = bytes.length,
    cookie = 0,
  ): UniqueMblk | null {
    if (this.foreignInUse >= this.viewLimit) return null
    let dblk = this.freeForeign
    if (dblk === null) {
      dblk = new Dblk(this, null, bytes, 0, bytes.length)
      this.views.push(dblk.own)
    }
    this.freeForeign = dblk.link
    dblk.bytes = bytes
    dblk.own.bytes = bytes
    dblk.base = base
    dblk.lim = lim
    dblk.cookie = cookie
    dblk.freeRoutine = freeRoutine
    this.foreignInUse++
    return this.begin(dblk)
  }

  /** Another view of a block whose reference count the caller raises; null if too many are alive. */
  takeView(dblk: Dblk): Mblk | null {
    let mp = this.freeView
    if (mp === null) {
      if (this.viewsMade >= this.viewLimit) return null
      this.viewsMade++
      mp = new Mblk(dblk, dblk.bytes)
      this.views.push(mp)
    } else {
      this.freeView = mp.next
    }
    this.viewsInUse++
    mp.dblk = dblk
    mp.bytes = dblk.bytes
    mp.next = null
    mp.cont = null
    mp.at = null
    mp.queued = false
    mp.live = true
    return mp
  }

  /** Takes a view back, and with the last one the block. Only `freeb` calls this. */
  giveBack(mp: Mblk): void {
    const dblk = mp.dblk
    assert(mp.live, 'freeb: the block is already free')
    assert(!mp.queued, 'freeb: the message is still on a queue')
    mp.live = false
    mp.cont = null
    if (mp !== dblk.own) {
      this.viewsInUse--
      mp.next = this.freeView
      this.freeView = mp
    }
    if (--dblk.ref > 0) return
    const sizeClass = dblk.sizeClass
    if (sizeClass === null) return this.releaseForeign(dblk)
    if (this.poison) dblk.bytes.fill(POISON, dblk.base, dblk.lim)
    sizeClass.inUse--
    dblk.link = sizeClass.free
    sizeClass.free = dblk
  }

  /** What is out, and who has it. */
  state(): ArenaState {
    let blocksInUse = 0
    for (const sizeClass of this.classes) blocksInUse += sizeClass.inUse
    const holders: string[] = []
    for (const dblk of this.dblks) {
      if (dblk.ref > 0 && holders.length < 16) {
        holders.push(`${dblk.sizeClass!.name} block at ${dblk.base}, held by ${this.holderOf(dblk)}`)
      }
    }
    return { blocksInUse, viewsInUse: this.viewsInUse, foreignInUse: this.foreignInUse, holders }
  }

  /** Its own view may be home, and another one out. */
  private holderOf(dblk: Dblk): string {
    const { own } = dblk
    if (own.live && own.at !== null) return own.at.holderName
    const view = this.views.find(mp => mp.live && mp.dblk === dblk && mp.at !== null)
    return view?.at?.holderName ?? 'nobody known'
  }

  /** @throws AssertionError unless every block and view has come home. */
  assertWhole(): void {
    const state = this.state()
    const out = state.blocksInUse + state.viewsInUse + state.foreignInUse
    assert(out === 0, `arena not whole: ${JSON.stringify(state)}`)
    if (this.poison) for (const dblk of this.dblks) this.checkPoison(dblk)
  }

  /**
   * Frees the messages that a holder had in hand when it ceased to be: what is at `holder`, on no queue, and no part of
   * another message. A pass over all views: for the rare case of a module that failed.
   * @returns messages freed
   */
  reclaim(holder: Holder): number {
    for (const mp of this.views) if (mp.live && mp.cont !== null && mp.cont.at === holder) mp.cont.at = null
    let count = 0
    for (const mp of this.views) {
      if (!mp.live || mp.at !== holder || mp.queued) continue
      count++
      for (let bp: Mblk | null = mp; bp !== null; ) {
        const next: Mblk | null = bp.cont
        this.giveBack(bp)
        bp = next
      }
    }
    return count
  }

  private begin(dblk: Dblk): UniqueMblk {
    if (this.poison && dblk.sizeClass !== null) this.checkPoison(dblk)
    dblk.link = null
    dblk.ref = 1
    const mp = dblk.own
    mp.rptr = dblk.base
    mp.wptr = dblk.base
    mp.cont = null
    mp.next = null
    mp.type = M_DATA
    mp.band = 0
    mp.flag = 0
    mp.offload = 0
    mp.csumStart = 0
    mp.csumOffset = 0
    mp.gsoSize = 0
    mp.at = null
    mp.queued = false
    mp.live = true
    return mp as UniqueMblk
  }

  private makeBlock(sizeClass: SizeClass): Dblk | null {
    const base = sizeClass.base + sizeClass.fresh * sizeClass.blockBytes
    const lim = base + sizeClass.blockBytes
    if (lim > sizeClass.limit) return null
    sizeClass.fresh++
    if (this.poison) this.bytes.fill(POISON, base, lim)
    const dblk = new Dblk(this, sizeClass, this.bytes, base, lim)
    this.dblks.push(dblk)
    this.views.push(dblk.own)
    return dblk
  }

  private releaseForeign(dblk: Dblk): void {
    const { bytes, freeRoutine, cookie } = dblk
    dblk.freeRoutine = null
    dblk.bytes = this.bytes
    dblk.own.bytes = this.bytes
    dblk.link = this.freeForeign
    this.freeForeign = dblk
    this.foreignInUse--
    freeRoutine!(bytes, cookie)
  }

  private checkPoison(dblk: Dblk): void {
    if (dblk.ref > 0) return
    for (let i = dblk.base; i < dblk.lim; i++) {
      if (dblk.bytes[i] === POISON) continue
      throw new AssertionError(`a freed ${dblk.sizeClass!.name} block was written at byte ${i - dblk.base}`)
    }
  }
}
