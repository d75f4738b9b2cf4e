/** Large opaque data without a copy: the program's memory on the way out, a view of the message on the way in. */
import { StackError } from '../../base/errors.ts'
import { dupmsg, esballoc, freemsg } from '../../streams/mblk/alloc.ts'
import type { Arena } from '../../streams/mblk/arena.ts'
import type { BorrowedMblk, Mblk } from '../../streams/mblk/mblk.ts'
import { readMessage } from '../../streams/mblk/pullup.ts'

/** What an `opaque` is encoded from: a `Uint8Array` is copied and yours again at once, an {@link XdrOpaque} is lent. */
export type OpaqueSource = Uint8Array | XdrOpaque

/**
 * Bytes that are not copied.
 *
 * Made by {@link XdrOpaque.of} it is the program's memory: encoding links it into the message, and nobody may change it
 * until `onReleased` was called. Made by a decoder it is a view of the received message: it holds the message's blocks
 * until {@link free}, which its owner calls exactly when it is done (more than once is harmless; `using` does it too).
 * A decoder that fails frees the views it had made.
 */
export class XdrOpaque {
  /** Bytes, without padding. */
  readonly length: number
  private readonly memory: Uint8Array | null
  private readonly onReleased: ((bytes: Uint8Array) => void) | null
  private mp: Mblk | null
  private spent = false

  private constructor(
    length: number,
    memory: Uint8Array | null,
    onReleased: ((bytes: Uint8Array) => void) | null,
    mp: Mblk | null,
  ) {
    this.length = length
    this.memory = memory
    this.onReleased = onReleased
    this.mp = mp
  }

  /**
   * @param bytes - lent to each message that it is encoded into
   * @param onReleased - called once for each such message, when it is not needed any more; it must not throw
   */
  static of(bytes: Uint8Array, onReleased: ((bytes: Uint8Array) => void) | null = null): XdrOpaque {
    return new XdrOpaque(bytes.length, bytes, onReleased, null)
  }

  /** @param mp - consumed; a chain of exactly `length` bytes, or null for none */
  static fromMessage(mp: Mblk | null, length: number): XdrOpaque {
    return new XdrOpaque(length, null, null, mp)
  }

  /** Whether it was freed, or its message taken. */
  get isFreed(): boolean {
    return this.spent
  }

  /** The program's memory and what to call then; null for a view of a message. For the encoder. */
  get lent(): {
    readonly bytes: Uint8Array
    readonly onReleased: ((bytes: Uint8Array) => void) | null
  } | null {
    return this.memory === null ? null : { bytes: this.memory, onReleased: this.onReleased }
  }

  /** The view's blocks, borrowed: not to be kept, changed or freed. Null if there are none. */
  get message(): BorrowedMblk | null {
    this.check()
    return this.mp
  }

  /** @returns a copy of the bytes, counted at the place `edge` */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.length)
    this.copyTo(bytes, 0)
    return bytes
  }

  /** Copies all bytes into the caller's memory, counted at the place `edge`. */
  copyTo(into: Uint8Array, offset: number): void {
    this.check()
    if (offset + this.length > into.length) {
      throw new StackError(
        'ERR_BAD_ARGUMENT',
        `${this.length} bytes do not fit at ${offset} of ${into.length}`,
      )
    }
    if (this.memory !== null) into.set(this.memory, offset)
    else if (this.mp !== null) readMessage(this.mp, 0, into, offset, this.length, 'edge')
  }

  /** The bytes where they lie, in order, as views that are good until {@link free}. */
  *chunks(): Generator<Uint8Array> {
    this.check()
    if (this.memory !== null) yield this.memory
    for (let bp = this.mp; bp !== null; bp = bp.cont) yield bp.dblk.bytes.subarray(bp.rptr, bp.wptr)
  }

  /**
   * Another view of the same blocks.
   * @throws StackError `ERR_NO_BUFFERS` if too many are alive
   */
  dup(): XdrOpaque {
    this.check()
    if (this.mp === null) return new XdrOpaque(this.length, this.memory, this.onReleased, null)
    const mp = dupmsg(this.mp)
    if (mp === null) throw new StackError('ERR_NO_BUFFERS', 'no view is left')
    return XdrOpaque.fromMessage(mp, this.length)
  }

  /**
   * The bytes as a message, for who sends them on by itself. A view hands over its blocks and counts as freed.
   * @returns an owned chain, or null if there are no bytes
   * @throws StackError `ERR_NO_BUFFERS` if too many foreign blocks are alive
   */
  takeMessage(arena: Arena): Mblk | null {
    this.check()
    if (this.memory !== null) return this.length === 0 ? null : lend(arena, this.memory, this.onReleased)
    const mp = this.mp
    this.mp = null
    this.spent = true
    return mp
  }

  /** Gives the blocks back. */
  free(): void {
    if (this.mp !== null) freemsg(this.mp)
    this.mp = null
    this.spent = this.memory === null
  }

  [Symbol.dispose](): void {
    this.free()
  }

  /** As `console.log` shows it. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    const what = this.memory === null ? 'a view' : 'lent'
    return `XdrOpaque { ${this.length} bytes, ${this.spent ? 'freed' : what} }`
  }

  private check(): void {
    if (this.spent) throw new StackError('ERR_BAD_ARGUMENT', 'the view was freed')
  }
}

function lend(arena: Arena, bytes: Uint8Array, onReleased: ((bytes: Uint8Array) => void) | null): Mblk {
  const mp = esballoc(arena, bytes, onReleased ?? ignore)
  if (mp === null) throw new StackError('ERR_NO_BUFFERS', 'no foreign block is left')
  return mp
}

function ignore(): void {}
