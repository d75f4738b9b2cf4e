/**
 * XDR (RFC 4506) into values, from the blocks of a message as they lie.
 *
 * What a peer sent is checked before anything is made of it: lengths against the declared maximum and against the bytes
 * that are left, nesting and the number of elements against the decoder's limits. Padding has to be zero, as RFC 4506 §3
 * says it is, unless the decoder was made with `padding: 'any'`.
 */
import type { BorrowedMblk } from '../../streams/mblk/mblk.ts'
import { BlockReader } from './block-reader.ts'
import { LINK_BYTES } from './block-writer.ts'
import type { XdrCodec } from './codec.ts'
import { XDR_DEFAULT_DEPTH, XDR_MAX } from './encoder.ts'
import { peerError, XdrError, type XdrFault } from './error.ts'
import { XdrOpaque } from './opaque.ts'
import { XdrPath } from './path.ts'
import { readLatin1, readUtf8 } from './text.ts'

/** No element of an array or a list takes less; what announces more elements than would fit is refused at once. */
const LEAST_ELEMENT_BYTES = 4

export interface XdrDecoderOptions {
  /** How deep a value may be nested, 100 by default. Linked lists are not nested. */
  readonly maxDepth?: number
  /** Elements of all arrays and lists of a message together, 2^20 by default. */
  readonly maxElements?: number
  /** Whether padding has to be zero (the default) or may be anything, for peers that leave garbage there. */
  readonly padding?: 'zero' | 'any'
}

/** Made once, used for one message after the other: {@link start}, reads, {@link finish}. The message stays the caller's. */
export class XdrDecoder extends BlockReader {
  private readonly path: XdrPath
  private readonly maxElements: number
  private readonly strict: boolean
  private readonly scratch = new DataView(new ArrayBuffer(8))
  private elementsLeft = 0
  /** Views handed out for this message: freed if it turns out to be bad. */
  private views: XdrOpaque[] = []

  constructor(options: XdrDecoderOptions = {}) {
    super()
    this.path = new XdrPath(options.maxDepth ?? XDR_DEFAULT_DEPTH)
    this.maxElements = options.maxElements ?? 2 ** 20
    this.strict = options.padding !== 'any'
  }

  /**
   * Begins to read a message.
   * @param mp - borrowed until {@link finish}; any chain
   * @param root - how paths begin, as `args`
   */
  start(mp: BorrowedMblk, root = ''): void {
    this.path.start(root)
    this.elementsLeft = this.maxElements
    if (this.views.length > 0) this.views = []
    this.begins(mp)
  }

  /** How paths begin from here on: the header is read, the arguments come. */
  set root(root: string) {
    this.path.start(root)
  }

  /** @throws XdrError `xdr-trailing` if bytes are left */
  finish(): void {
    if (this.left !== 0) this.fail('xdr-trailing', '', `${this.left} bytes are left`)
    this.block = null
  }

  /** Frees the views made so far: for who gives up for a reason of its own. */
  abort(): void {
    for (const view of this.views) view.free()
    this.views = []
    this.block = null
  }

  /** Views that were made of this message, for who frees them in one go (a server, when the reply is out). */
  get madeViews(): readonly XdrOpaque[] {
    return this.views
  }

  // ---- numbers

  int(name: string): number {
    const at = this.at
    if (at + 4 > this.end) return this.slowInt(name)
    const { bytes } = this
    this.at = at + 4
    return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
  }

  uint(name: string): number {
    return this.int(name) >>> 0
  }

  bool(name: string): boolean {
    const value = this.int(name)
    if (value >>> 1 !== 0) this.fail('xdr-bool', name, `${value} is not a boolean`)
    return value === 1
  }

  /** @param values - all numbers of the enumeration */
  enum<E extends number>(name: string, values: ReadonlySet<E>): E {
    const value = this.int(name) as E
    if (!values.has(value)) this.fail('xdr-enum', name, `${value} is not in the enumeration`)
    return value
  }

  hyper(name: string): bigint {
    this.loadScratch(name, 8)
    return this.scratch.getBigInt64(0)
  }

  uhyper(name: string): bigint {
    this.loadScratch(name, 8)
    return this.scratch.getBigUint64(0)
  }

  /** A hyper as a number. @throws XdrError `xdr-unsafe-integer` beyond 2^53-1 in magnitude */
  hyperNumber(name: string): number {
    return this.safe(name, this.int(name) * 0x1_0000_0000 + this.uint(name))
  }

  uhyperNumber(name: string): number {
    return this.safe(name, this.uint(name) * 0x1_0000_0000 + this.uint(name))
  }

  float(name: string): number {
    this.loadScratch(name, 4)
    return this.scratch.getFloat32(0)
  }

  double(name: string): number {
    this.loadScratch(name, 8)
    return this.scratch.getFloat64(0)
  }

  /** @throws XdrError `xdr-not-supported`, always */
  refuseQuadruple(name: string): never {
    const where = this.path.describe(name)
    this.abort()
    const detail = 'a quadruple has no JavaScript value; declare opaque[16] for its bytes'
    throw new XdrError('ERR_NOT_SUPPORTED', 'xdr-not-supported', where, detail)
  }

  // ---- bytes and text

  /** @returns a copy, counted at the place `edge` */
  opaque(name: string, max = XDR_MAX): Uint8Array {
    return this.copyOut(name, this.length(name, max))
  }

  /** @returns a copy, counted at the place `edge` */
  opaqueFixed(name: string, size: number): Uint8Array {
    if (size > this.left) this.failBeyond(name, size)
    return this.copyOut(name, size)
  }

  /** @returns a view that its owner frees; see {@link XdrOpaque} */
  opaqueView(name: string, max = XDR_MAX): XdrOpaque {
    return this.viewOut(name, this.length(name, max))
  }

  opaqueViewFixed(name: string, size: number): XdrOpaque {
    if (size > this.left) this.failBeyond(name, size)
    return this.viewOut(name, size)
  }

  /** A string that has to be UTF-8. @param max - bytes */
  string(name: string, max = XDR_MAX): string {
    const length = this.length(name, max)
    const bytes = this.run(length)
    const text = readUtf8(bytes, this.runAt, this.runAt + length)
    if (text === null) this.fail('xdr-utf8', name, `${length} bytes that are not UTF-8`)
    this.padding(name, length)
    return text
  }

  /** A string with a character for each byte, which takes any bytes. */
  latin1(name: string, max = XDR_MAX): string {
    const length = this.length(name, max)
    const bytes = this.run(length)
    const text = readLatin1(bytes, this.runAt, this.runAt + length)
    this.padding(name, length)
    return text
  }

  // ---- values of other types

  nested<T>(name: string, of: XdrCodec<T>): T {
    this.enter(name)
    const value = of.decode(this)
    this.path.leave()
    return value
  }

  optional<T>(name: string, of: XdrCodec<T>): T | null {
    return this.bool(name) ? this.nested(name, of) : null
  }

  array<T>(name: string, of: XdrCodec<T>, max = XDR_MAX): T[] {
    const count = this.uint(name)
    if (count > max) this.fail('xdr-length', name, `${count} elements, at most ${max}`)
    return this.elements(name, of, count)
  }

  arrayFixed<T>(name: string, of: XdrCodec<T>, size: number): T[] {
    return this.elements(name, of, size)
  }

  /** A linked list as an array. @param of - an entry without its `next` */
  list<T>(name: string, of: XdrCodec<T>, max = XDR_MAX): T[] {
    const values: T[] = []
    this.enter(name)
    while (this.bool('')) {
      const index = values.length
      if (index >= max) this.fail('xdr-length', '', `more than ${max} entries`)
      this.countElements(1)
      this.path.element(index)
      values.push(of.decode(this))
    }
    this.path.leave()
    return values
  }

  /** For the `default` of a switch over a discriminant that has no arm. */
  failDiscriminant(name: string, value: number): never {
    return this.fail('xdr-discriminant', name, `${value} is not a discriminant of this union`)
  }

  /** Refuses what was sent, and frees the views made so far. */
  fail(fault: XdrFault, name: string, detail: string): never {
    const where = this.path.describe(name)
    this.abort()
    throw peerError(fault, where, detail)
  }

  // ---- inside

  private elements<T>(name: string, of: XdrCodec<T>, count: number): T[] {
    if (count * LEAST_ELEMENT_BYTES > this.left) this.failBeyond(name, count)
    this.enter(name)
    this.countElements(count)
    const values: T[] = []
    for (let i = 0; i < count; i++) {
      this.path.element(i)
      values.push(of.decode(this))
    }
    this.path.leave()
    return values
  }

  private countElements(count: number): void {
    this.elementsLeft -= count
    if (this.elementsLeft < 0) {
      this.fail('xdr-elements', '', `more than ${this.maxElements} elements in one message`)
    }
  }

  private enter(name: string): void {
    if (this.path.enter(name)) return
    this.fail('xdr-depth', name, `nested deeper than ${this.path.maxDepth}`)
  }

  private length(name: string, max: number): number {
    const length = this.int(name) >>> 0
    if (length > max) this.fail('xdr-length', name, `a length of ${length}, at most ${max}`)
    if (length > this.left) this.failBeyond(name, length)
    return length
  }

  private failBeyond(name: string, length: number): never {
    return this.fail('xdr-length-beyond', name, `a length of ${length} with ${this.left} bytes left`)
  }

  private safe(name: string, value: number): number {
    if (!Number.isSafeInteger(value)) this.fail('xdr-unsafe-integer', name, 'beyond 2^53-1')
    return value
  }

  private loadScratch(name: string, size: number): void {
    this.scratch.setInt32(0, this.int(name))
    if (size === 8) this.scratch.setInt32(4, this.int(name))
  }

  private slowInt(name: string): number {
    if (this.left < 4) this.fail('xdr-truncated', name, `${this.left} bytes left of 4`)
    return this.dividedWord()
  }

  private padding(name: string, length: number): void {
    let rest = -length & 3
    if (rest > this.left) this.fail('xdr-truncated', name, 'the padding is missing')
    for (; rest > 0; rest--) {
      if (this.byte() !== 0 && this.strict) this.fail('xdr-padding', name, 'padding that is not zero')
    }
  }

  private copyOut(name: string, length: number): Uint8Array {
    const bytes = this.gather(length)
    this.padding(name, length)
    return bytes
  }

  private viewOut(name: string, length: number): XdrOpaque {
    if (length < LINK_BYTES) return XdrOpaque.of(this.copyOut(name, length))
    const mp = this.share(length)
    if (mp === null) return this.failBuffers(name)
    const opaque = XdrOpaque.fromMessage(mp, length)
    this.views.push(opaque)
    this.padding(name, length)
    return opaque
  }

  private failBuffers(name: string): never {
    const where = this.path.describe(name)
    this.abort()
    throw new XdrError('ERR_NO_BUFFERS', 'xdr-no-buffers', where, 'no view is left')
  }
}
