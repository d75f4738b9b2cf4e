/**
 * Memory for blocks that wait to be written: made once, filled in a circle. When it is full, either the new block is
 * refused or the oldest ones give way.
 */
import { assert } from '../base/assert.ts'

/** Bytes 4 to 7 of every pcapng block are its length. */
const LENGTH_AT = 4

export class CaptureRing {
  readonly bytes: Uint8Array
  /** Blocks that give way when there are more; 0 refuses new ones when memory is short. */
  private readonly keep: number
  private readonly view: DataView
  private head = 0
  private tail = 0
  /** Where the blocks before the seam end; 0 while there is no seam. */
  private seam = 0
  count = 0
  /** Blocks that gave way. */
  evicted = 0

  constructor(sizeBytes: number, keep: number) {
    this.bytes = new Uint8Array(sizeBytes & ~3)
    this.view = new DataView(this.bytes.buffer)
    this.keep = keep
  }

  /** Bytes in use, of {@link size}. */
  get used(): number {
    return this.seam === 0 ? this.tail - this.head : this.seam - this.head + this.tail
  }

  /**
   * Takes room for a block, which the caller must fill at once.
   * @param size - a multiple of four
   * @returns where it goes, or -1 if it is refused
   */
  reserve(size: number): number {
    if (this.keep > 0) while (this.count >= this.keep) this.evict()
    for (;;) {
      const at = this.place(size)
      if (at >= 0) {
        this.count++
        this.tail = at + size
        return at
      }
      if (this.keep === 0 || this.count === 0) return -1
      this.evict()
    }
  }

  private place(size: number): number {
    if (this.count === 0) {
      this.head = 0
      this.tail = 0
      this.seam = 0
    }
    if (this.seam > 0) return this.tail + size <= this.head ? this.tail : -1
    if (this.tail + size <= this.bytes.length) return this.tail
    if (size > this.head || this.count === 0) return -1
    this.seam = this.tail
    return 0
  }

  private evict(): void {
    assert(this.count > 0, 'capture ring: nothing to evict')
    this.head += this.view.getUint32(this.head + LENGTH_AT, true)
    this.count--
    this.evicted++
    if (this.seam === 0 || this.head < this.seam) return
    this.head = 0
    this.seam = 0
  }

  /** Hands all blocks to `write`, oldest first, in one piece or two, and is empty then. */
  drain(write: (bytes: Uint8Array) => void): void {
    const { head, tail, seam, count } = this
    this.head = 0
    this.tail = 0
    this.seam = 0
    this.count = 0
    if (count === 0) return
    write(this.bytes.subarray(head, seam === 0 ? tail : seam))
    if (seam !== 0) write(this.bytes.subarray(0, tail))
  }
}
