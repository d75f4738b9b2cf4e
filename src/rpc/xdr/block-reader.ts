/** Bytes from the blocks of a message, wherever they are divided: what a decoder of XDR stands on. */
import { dupb, freemsg } from '../../streams/mblk/alloc.ts'
import { copyBytes } from '../../streams/mblk/copy.ts'
import type { BorrowedMblk, Mblk } from '../../streams/mblk/mblk.ts'
import { msgdsize } from '../../streams/mblk/message.ts'
import { M_DATA } from '../../streams/mblk/types.ts'

/** Every procedure takes bytes that are there: the caller has looked at {@link left}. */
export class BlockReader {
  protected block: BorrowedMblk | null = null
  protected bytes: Uint8Array = new Uint8Array(0)
  /** Next byte and one past the last of the block in hand; bytes of the blocks behind it. */
  protected at = 0
  protected end = 0
  private behind = 0
  /** Where the bytes of the last {@link run} begin. */
  protected runAt = 0

  /** Bytes not read yet. */
  get left(): number {
    return this.end - this.at + this.behind
  }

  protected begins(mp: BorrowedMblk): void {
    this.behind = msgdsize(mp)
    this.open(mp)
  }

  private open(block: BorrowedMblk): void {
    this.block = block
    this.bytes = block.dblk.bytes
    this.at = block.rptr
    this.end = block.wptr
    this.behind -= block.wptr - block.rptr
  }

  /** Makes the block in hand one that has bytes. */
  private more(): void {
    while (this.at >= this.end) this.open(this.block!.cont!)
  }

  protected byte(): number {
    if (this.at >= this.end) this.more()
    return this.bytes[this.at++]!
  }

  /** Four bytes that lie in more than one block, or in the next. */
  protected dividedWord(): number {
    let value = 0
    for (let i = 0; i < 4; i++) value = (value << 8) | this.byte()
    return value
  }

  /** @returns memory that has the bytes in one piece from {@link runAt} on: where they lie, if they do, or a copy */
  protected run(length: number): Uint8Array {
    const at = this.at
    if (at + length > this.end) {
      this.runAt = 0
      return this.gather(length)
    }
    this.runAt = at
    this.at = at + length
    return this.bytes
  }

  /** @returns a copy, counted at the place `edge` */
  protected gather(length: number): Uint8Array {
    const into = new Uint8Array(length)
    let done = 0
    while (done < length) {
      this.more()
      const part = Math.min(length - done, this.end - this.at)
      copyBytes(this.block!.dblk.arena, 'edge', into, done, this.bytes, this.at, part)
      this.at += part
      done += part
    }
    return into
  }

  /** @returns views of the blocks with the bytes, owned by the caller; null if too many are alive */
  protected share(length: number): Mblk | null {
    let head: Mblk | null = null
    let tail: Mblk | null = null
    while (length > 0) {
      this.more()
      const part = Math.min(length, this.end - this.at)
      const view = dupb(this.block!)
      if (view === null) {
        if (head !== null) freemsg(head)
        return null
      }
      asData(view, this.at, this.at + part)
      if (tail === null) head = view
      else tail.cont = view
      tail = view
      this.at += part
      length -= part
    }
    return head
  }
}

/** A part of a block as plain data, without what it said of the packet it came in. */
function asData(mp: Mblk, rptr: number, wptr: number): void {
  mp.rptr = rptr
  mp.wptr = wptr
  mp.type = M_DATA
  mp.band = 0
  mp.flag = 0
  mp.offload = 0
  mp.csumStart = 0
  mp.csumOffset = 0
  mp.gsoSize = 0
}
