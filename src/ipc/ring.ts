/**
 * A ring of descriptors in memory that two processes map: one writes, one reads, and neither asks the kernel. Eight int32 words an
 * entry. Whoever sleeps says so in the ring; the other then rings the bell, which is somebody else's business.
 */

/** Entries; a power of two. */
export const RING_ENTRIES = 2_048
export const ENTRY_WORDS = 8
/** Words of the header: each index on a cache line of its own. */
const HEADER_WORDS = 64
const TAIL = 0
const HEAD = 16
const SLEEPING = 32
const WAITING = 48
export const RING_BYTES = 4 * (HEADER_WORDS + RING_ENTRIES * ENTRY_WORDS)

/** @param at - word index of the ring */
export function clearRing(words: Int32Array, at: number): void {
  words.fill(0, at, at + HEADER_WORDS)
}

class Ring {
  protected readonly words: Int32Array
  protected readonly at: number
  protected readonly entries: number

  constructor(words: Int32Array, byteOffset: number) {
    this.words = words
    this.at = byteOffset >> 2
    this.entries = this.at + HEADER_WORDS
  }

  protected load(word: number): number {
    return Atomics.load(this.words, this.at + word)
  }

  protected store(word: number, value: number): void {
    Atomics.store(this.words, this.at + word, value)
  }

  /** Takes a flag of the other side back. @returns whether it was set */
  protected takeFlag(word: number): boolean {
    if (Atomics.load(this.words, this.at + word) === 0) return false
    return Atomics.exchange(this.words, this.at + word, 0) !== 0
  }
}

export class RingWriter extends Ring {
  private tail = 0

  /** Entries that can be put now. */
  get room(): number {
    return RING_ENTRIES - ((this.tail - this.load(HEAD)) | 0)
  }

  /** The word index of the next entry, to be filled before {@link next}. There must be {@link room}. */
  get entry(): number {
    return this.entries + (this.tail & (RING_ENTRIES - 1)) * ENTRY_WORDS
  }

  /** The entry is filled. It is seen when {@link publish} is called. */
  next(): void {
    this.tail = (this.tail + 1) | 0
  }

  /** @returns whether the reader sleeps and must be woken */
  publish(): boolean {
    if (this.load(TAIL) === this.tail) return false
    this.store(TAIL, this.tail)
    return this.takeFlag(SLEEPING)
  }

  /** Has the reader ring when there is room. @returns false if there is */
  await(): boolean {
    this.store(WAITING, 1)
    if (this.room <= 0) return true
    this.store(WAITING, 0)
    return false
  }
}

export class RingReader extends Ring {
  private head = 0

  /** Entries that wait; below 0 or above {@link RING_ENTRIES} if the writer is no honest one. */
  get waiting(): number {
    return (this.load(TAIL) - this.head) | 0
  }

  /** The word index of the first entry. */
  get entry(): number {
    return this.entries + (this.head & (RING_ENTRIES - 1)) * ENTRY_WORDS
  }

  next(): void {
    this.head = (this.head + 1) | 0
  }

  /** Gives the entries that were read back. @returns whether the writer waits for room and must be woken */
  release(): boolean {
    if (this.load(HEAD) === this.head) return false
    this.store(HEAD, this.head)
    return this.takeFlag(WAITING)
  }

  /** Has the writer ring when something comes. @returns false if something is there */
  sleep(): boolean {
    this.store(SLEEPING, 1)
    if (this.waiting === 0) return true
    this.store(SLEEPING, 0)
    return false
  }
}
