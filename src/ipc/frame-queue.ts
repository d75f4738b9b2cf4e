/** Frames that wait to be sent: a ring of their headers' words and one of their bodies. */
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { DATA, DATAGRAM, MESSAGE_COST_BYTES } from './protocol.ts'

const FIRST_CAPACITY = 64
/** Stream, kind, length, detail. */
const WORDS = 4

export class FrameQueue {
  private capacity = FIRST_CAPACITY
  private words = new Int32Array(FIRST_CAPACITY * WORDS)
  private bodies: (Mblk | null)[] = new Array(FIRST_CAPACITY).fill(null)
  private first = 0
  count = 0
  /** Of bodies. */
  bytes = 0
  /** Of the blocks that bodies lie in which are no data. */
  textBytes = 0

  /** @param mp - consumed */
  push(stream: number, kind: number, detail: number, mp: Mblk | null): void {
    if (this.count === this.capacity) this.grow()
    const slot = (this.first + this.count++) & (this.capacity - 1)
    const length = mp === null ? 0 : messageBytes(mp)
    const { words } = this
    words[slot * WORDS] = stream
    words[slot * WORDS + 1] = kind
    words[slot * WORDS + 2] = length
    words[slot * WORDS + 3] = detail
    this.bodies[slot] = mp
    this.bytes += length
    if (mp !== null && kind !== DATA && kind !== DATAGRAM) this.textBytes += blockBytes(mp)
  }

  /** Bytes, and what each frame counts for beside them. */
  get cost(): number {
    return this.bytes + this.count * MESSAGE_COST_BYTES
  }

  private grow(): void {
    const { capacity, first, words, bodies } = this
    this.words = new Int32Array(2 * capacity * WORDS)
    this.bodies = new Array(2 * capacity).fill(null)
    for (let i = 0; i < this.count; i++) {
      const from = (first + i) & (capacity - 1)
      this.words.set(words.subarray(from * WORDS, (from + 1) * WORDS), i * WORDS)
      this.bodies[i] = bodies[from]!
    }
    this.first = 0
    this.capacity = 2 * capacity
  }

  /** A word of the header of the frame at `index` from the front. */
  word(index: number, word: number): number {
    return this.words[((this.first + index) & (this.capacity - 1)) * WORDS + word]!
  }

  lengthAt(index: number): number {
    return this.word(index, 2)
  }

  bodyAt(index: number): Mblk | null {
    return this.bodies[(this.first + index) & (this.capacity - 1)]!
  }

  /** Takes the first frame off. @returns its body, the caller's now */
  shift(): Mblk | null {
    const mp = this.bodies[this.first]!
    const kind = this.word(0, 1)
    this.bytes -= this.lengthAt(0)
    if (mp !== null && kind !== DATA && kind !== DATAGRAM) this.textBytes -= blockBytes(mp)
    this.bodies[this.first] = null
    this.first = (this.first + 1) & (this.capacity - 1)
    this.count--
    return mp
  }

  clear(): void {
    while (this.count > 0) {
      const mp = this.shift()
      if (mp !== null) freemsg(mp)
    }
  }
}

/** What a body keeps others from having. */
function blockBytes(mp: Mblk): number {
  let bytes = 0
  for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont) bytes += bp.dblk.lim - bp.dblk.base
  return bytes
}
