/**
 * Deadlines in milliseconds, 10^5 of them: a hierarchical wheel of 4 levels of 256 slots, the first of 1 ms. Setting and
 * clearing take constant time and allocate nothing once the arrays have grown. Times are int32 that wrap;
 * a deadline lies less than 2^31 ms away.
 */
const SLOT_BITS = 8
const SLOTS = 1 << SLOT_BITS
const SLOT_MASK = SLOTS - 1
const LEVELS = 4
const WORDS = SLOTS / 32
const ENTRIES_MIN = 64
/** Entries of a slot that are looked at to know its earliest deadline. */
const LOOK_MAX = 16

/** The wheel itself, of entries that are numbers from 1 on. */
export class DeadlineWheel {
  /** Entries that are set. */
  size = 0
  /** All earlier milliseconds are done with. */
  private cursor = 0
  /** The slot of `cursor` is being emptied: what is set for then or earlier comes a millisecond later. */
  private draining = false
  /** First entry of each slot, level by level; 0 if there is none. */
  private readonly heads = new Int32Array(LEVELS * SLOTS)
  /** One bit for each slot that is not empty. */
  private readonly occupied = new Int32Array(LEVELS * WORDS)
  /** Slots of each level that are not empty. */
  private readonly used = new Int32Array(LEVELS)
  private deadlines = new Int32Array(ENTRIES_MIN)
  private nexts = new Int32Array(ENTRIES_MIN)
  /** The entry before, -1 - slot for the first of a slot, 0 for an entry that is not set. */
  private befores = new Int32Array(ENTRIES_MIN)
  /** What {@link pollAt} found, while that holds: no later than the earliest deadline. */
  private earliest = 0
  private earliestKnown = false
  /** Of those that were allocated: how many ever, and the first that is free again; its `nexts` is the next. */
  private allocated = 0
  private firstFree = 0

  /** An entry that nobody has, for owners without numbers of their own. */
  allocate(): number {
    const entry = this.firstFree
    if (entry === 0) return ++this.allocated
    this.firstFree = this.nexts[entry]!
    return entry
  }

  /** Gives an entry back that was allocated and is not set. */
  free(entry: number): void {
    this.nexts[entry] = this.firstFree
    this.firstFree = entry
  }

  isSet(entry: number): boolean {
    return entry < this.befores.length && this.befores[entry] !== 0
  }

  /** Of an entry that is set. */
  deadline(entry: number): number {
    return this.deadlines[entry]!
  }

  /** Sets or moves a deadline. @param entry - from 1 on; arrays grow to hold it */
  set(entry: number, atMs: number, nowMs: number): void {
    if (entry >= this.befores.length) this.grow(entry)
    else if (this.befores[entry] !== 0) this.unlink(entry)
    if (this.size === 0 && !this.draining) this.cursor = nowMs
    const floor = (this.cursor + (this.draining ? 1 : 0)) | 0
    const at = ((atMs - floor) | 0) < 0 ? floor : atMs
    this.deadlines[entry] = at
    this.link(entry, at)
    if (this.size === 1 || (this.earliestKnown && ((at - this.earliest) | 0) < 0)) {
      this.earliest = at
      this.earliestKnown = true
    }
  }

  /** Does nothing to an entry that is not set. */
  clear(entry: number): void {
    if (this.isSet(entry)) this.unlink(entry)
  }

  /**
   * The next entry whose deadline has come; it is no longer set. To be called until there is none.
   * @returns 0 if there is none
   */
  take(nowMs: number): number {
    if (((nowMs - this.earliest) | 0) >= 0) this.earliestKnown = false
    while (this.size > 0 && ((nowMs - this.cursor) | 0) >= 0) {
      const now = this.cursor
      if ((now & SLOT_MASK) === 0) this.cascade(now)
      const entry = this.heads[now & SLOT_MASK]!
      if (entry !== 0) {
        this.unlink(entry)
        this.draining = true
        return entry
      }
      this.draining = false
      this.advance(nowMs)
    }
    if (((nowMs - this.cursor) | 0) >= 0) this.cursor = (nowMs + 1) | 0
    this.draining = false
    return 0
  }

  /** When to call {@link take} again, no later than the earliest deadline; null if none is set. */
  pollAt(): number | null {
    if (this.size === 0) return null
    if (!this.earliestKnown) {
      this.earliest = this.findEarliest()
      this.earliestKnown = true
    }
    return this.earliest
  }

  /** To the next slot with something in it, or the next boundary where something may come down, or past `nowMs`. */
  private advance(nowMs: number): void {
    const { used, cursor } = this
    let to: number
    if (used[0]! > 0) {
      const slot = this.nextSlot(0, (cursor + 1) & SLOT_MASK)
      const distance = ((slot - cursor - 1) & SLOT_MASK) + 1
      const boundary = SLOTS - (cursor & SLOT_MASK)
      to = (cursor + Math.min(distance, boundary)) | 0
    } else if (used[1]! > 0) to = ((cursor | 0xff) + 1) | 0
    else if (used[2]! > 0) to = ((cursor | 0xffff) + 1) | 0
    else to = ((cursor | 0xffffff) + 1) | 0
    this.cursor = ((to - nowMs) | 0) > 0 ? (nowMs + 1) | 0 : to
  }

  /** Brings down what the blocks that begin at `now` hold. */
  private cascade(now: number): void {
    if ((now & 0xffff) === 0) {
      if ((now & 0xffffff) === 0) this.bringDown(3, now >>> 24)
      this.bringDown(2, (now >>> 16) & SLOT_MASK)
    }
    this.bringDown(1, (now >>> 8) & SLOT_MASK)
  }

  private bringDown(level: number, slot: number): void {
    const index = (level << SLOT_BITS) | slot
    for (let entry = this.heads[index]!; entry !== 0; entry = this.heads[index]!) {
      this.unlink(entry)
      this.link(entry, this.deadlines[entry]!)
    }
  }

  /** @param at - `cursor` or later */
  private link(entry: number, at: number): void {
    const distance = (at - this.cursor) >>> 0
    const level = distance < 0x100 ? 0 : distance < 0x10000 ? 1 : distance < 0x1000000 ? 2 : 3
    const slot = (at >>> (level << 3)) & SLOT_MASK
    const index = (level << SLOT_BITS) | slot
    const first = this.heads[index]!
    this.nexts[entry] = first
    this.befores[entry] = -1 - index
    this.heads[index] = entry
    this.size++
    if (first !== 0) {
      this.befores[first] = entry
      return
    }
    this.occupied[index >> 5]! |= 1 << (index & 31)
    this.used[level]!++
  }

  private unlink(entry: number): void {
    const before = this.befores[entry]!
    const next = this.nexts[entry]!
    this.befores[entry] = 0
    this.size--
    if (next !== 0) this.befores[next] = before
    if (before > 0) {
      this.nexts[before] = next
      return
    }
    const index = -1 - before
    this.heads[index] = next
    if (next !== 0) return
    this.occupied[index >> 5]! &= ~(1 << (index & 31))
    this.used[index >> SLOT_BITS]!--
  }

  /** The first slot of a level from `start` on, going round, that is not empty. There must be one. */
  private nextSlot(level: number, start: number): number {
    const base = level * WORDS
    let word = start >> 5
    let bits = this.occupied[base + word]! & (-1 << (start & 31))
    while (bits === 0) {
      word = (word + 1) & (WORDS - 1)
      bits = this.occupied[base + word]!
    }
    return (word << 5) | (31 - Math.clz32(bits & -bits))
  }

  private findEarliest(): number {
    let distance = 0x7fffffff
    for (let level = 0; level < LEVELS; level++) {
      if (this.used[level] === 0) continue
      const shift = level << 3
      // The block of the cursor has come down already, unless it begins just there.
      const begun = level === 0 || (this.cursor & ((1 << shift) - 1)) === 0 ? 0 : 1
      const block = (this.cursor >>> shift) & SLOT_MASK
      const slot = this.nextSlot(level, (block + begun) & SLOT_MASK)
      const blocks = ((slot - block - begun) & SLOT_MASK) + begun
      const begins = ((this.cursor >> shift) + blocks) << shift
      const at = level === 0 ? begins : this.earliestIn((level << SLOT_BITS) | slot, begins)
      distance = Math.min(distance, (at - this.cursor) | 0)
    }
    return (this.cursor + distance) | 0
  }

  /** The earliest deadline of a slot; if many wait there, when its block begins. */
  private earliestIn(index: number, begins: number): number {
    let entry = this.heads[index]!
    let earliest = this.deadlines[entry]!
    for (let looked = 0; entry !== 0; entry = this.nexts[entry]!) {
      if (++looked > LOOK_MAX) return begins
      if (((this.deadlines[entry]! - earliest) | 0) < 0) earliest = this.deadlines[entry]!
    }
    return earliest
  }

  private grow(entry: number): void {
    const capacity = Math.max(entry + 1, this.befores.length + (this.befores.length >> 1))
    this.deadlines = grown(this.deadlines, capacity)
    this.nexts = grown(this.nexts, capacity)
    this.befores = grown(this.befores, capacity)
  }
}

function grown(old: Int32Array, capacity: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(capacity)
  larger.set(old)
  return larger
}

/** What stands in a {@link TimerWheel}: it holds the number of its entry, 0 while it has none. */
export interface Timed {
  wheelEntry: number
}

/**
 * A wheel of objects, each with one entry that stands no later than its earliest deadline. It is lazy: an object
 * whose deadline moved back stays where it is, is called too early, looks at its deadlines and arms itself again.
 */
export class TimerWheel<T extends Timed> {
  private readonly wheel = new DeadlineWheel()
  private readonly items: (T | null)[] = [null]

  get size(): number {
    return this.wheel.size
  }

  /** Has `item` called at `atMs` or earlier; nothing changes if it will be anyway. @returns whether something changed */
  arm(item: T, atMs: number, nowMs: number): boolean {
    let entry = item.wheelEntry
    if (entry === 0) {
      entry = this.wheel.allocate()
      this.items[entry] = item
      item.wheelEntry = entry
    } else if (((this.wheel.deadline(entry) - atMs) | 0) <= 0) return false
    this.wheel.set(entry, atMs, nowMs)
    return true
  }

  /** Forgets an item, armed or not. */
  disarm(item: T): void {
    const entry = item.wheelEntry
    if (entry === 0) return
    this.wheel.clear(entry)
    this.release(entry, item)
  }

  /** Calls `fn` once with every item whose time has come; it may arm and disarm any. */
  expire(nowMs: number, fn: (item: T) => void): void {
    for (let entry = this.wheel.take(nowMs); entry !== 0; entry = this.wheel.take(nowMs)) {
      const item = this.items[entry]!
      this.release(entry, item)
      fn(item)
    }
  }

  /** When to call {@link expire} next; an item may stand there for nothing. Null if nothing is armed. */
  pollAt(): number | null {
    return this.wheel.pollAt()
  }

  private release(entry: number, item: T): void {
    item.wheelEntry = 0
    this.items[entry] = null
    this.wheel.free(entry)
  }
}
