/**
 * Values into XDR (RFC 4506), straight into the blocks of a message.
 *
 * Every number goes where it belongs in a block of the arena; large memory of the program is linked in where it
 * lies. Nothing is allocated for a field. The names that the procedures take are for the path of an error.
 */
import { type Arena, HEADROOM_BYTES } from '../../streams/mblk/arena.ts'
import { BlockWriter } from './block-writer.ts'
import type { XdrCodec } from './codec.ts'
import { XdrError, type XdrRefusal } from './error.ts'
import { type OpaqueSource, XdrOpaque } from './opaque.ts'
import { XdrPath } from './path.ts'
import { latin1Fits, utf8Bytes, writeLatin1, writeUtf8 } from './text.ts'

/** The largest length that XDR can say. */
export const XDR_MAX = 0xffff_ffff
/** Strings above this are encoded into memory of their own, which is linked in. */
const LONG_TEXT_BYTES = 4_096
export const XDR_DEFAULT_DEPTH = 100

export interface XdrEncoderOptions {
  /** How deep a value may be nested, 100 by default; a value that contains itself ends there. */
  readonly maxDepth?: number
}

/** Made once for a stack, used for one message after the other: {@link start}, `put…`, {@link finish}. */
export class XdrEncoder extends BlockWriter {
  private readonly path: XdrPath
  private readonly utf8 = new TextEncoder()

  constructor(arena: Arena, options: XdrEncoderOptions = {}) {
    super(arena)
    this.path = new XdrPath(options.maxDepth ?? XDR_DEFAULT_DEPTH)
  }

  /**
   * Begins a message; one that was not finished is freed.
   * @param root - how paths begin, as `args`
   * @param headroom - bytes left free in front, for a record mark and the headers below
   * @throws XdrError `xdr-no-buffers`
   */
  start(root = '', headroom = HEADROOM_BYTES): void {
    this.path.start(root)
    this.begins(headroom)
  }

  // ---- numbers

  putInt(name: string, value: number): void {
    if ((value | 0) !== value) this.refuseValue(name, value, 'an int (-2^31 to 2^31-1)')
    this.view.setInt32(this.claim(4), value)
  }

  putUint(name: string, value: number): void {
    if (value >>> 0 !== value) this.refuseValue(name, value, 'an unsigned int (0 to 2^32-1)')
    this.view.setInt32(this.claim(4), value)
  }

  putBool(name: string, value: boolean): void {
    if (typeof value !== 'boolean') this.refuseValue(name, value, 'a boolean')
    this.view.setInt32(this.claim(4), value ? 1 : 0)
  }

  /** @param values - all numbers of the enumeration */
  putEnum(name: string, value: number, values: ReadonlySet<number>): void {
    if (!values.has(value)) this.refuseValue(name, value, 'a number of this enumeration')
    this.view.setInt32(this.claim(4), value)
  }

  putHyper(name: string, value: bigint): void {
    if (typeof value !== 'bigint' || BigInt.asIntN(64, value) !== value) {
      this.refuseValue(name, value, 'a hyper (a bigint from -2^63 to 2^63-1)')
    }
    this.view.setBigInt64(this.claim(8), value)
  }

  putUhyper(name: string, value: bigint): void {
    if (typeof value !== 'bigint' || BigInt.asUintN(64, value) !== value) {
      this.refuseValue(name, value, 'an unsigned hyper (a bigint from 0 to 2^64-1)')
    }
    this.view.setBigUint64(this.claim(8), value)
  }

  /** A hyper given as a number, at most 2^53-1 in magnitude. */
  putHyperNumber(name: string, value: number): void {
    if (!Number.isSafeInteger(value)) this.refuseValue(name, value, 'a whole number within ±(2^53-1)')
    const at = this.claim(8)
    this.view.setInt32(at, Math.floor(value / 0x1_0000_0000))
    this.view.setInt32(at + 4, value % 0x1_0000_0000)
  }

  putUhyperNumber(name: string, value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      this.refuseValue(name, value, 'a whole number from 0 to 2^53-1')
    }
    this.putHyperNumber(name, value)
  }

  putFloat(name: string, value: number): void {
    if (typeof value !== 'number') this.refuseValue(name, value, 'a number')
    this.view.setFloat32(this.claim(4), value)
  }

  putDouble(name: string, value: number): void {
    if (typeof value !== 'number') this.refuseValue(name, value, 'a number')
    this.view.setFloat64(this.claim(8), value)
  }

  /** @throws XdrError `xdr-not-supported`, always */
  refuseQuadruple(name: string): never {
    return this.refuse(
      'xdr-not-supported',
      name,
      'a quadruple has no JavaScript value; declare opaque[16] for its bytes',
    )
  }

  // ---- bytes and text

  /** Variable-length opaque: its length, its bytes, its padding. A `Uint8Array` is copied, an {@link XdrOpaque} linked in. */
  putOpaque(name: string, value: OpaqueSource, max = XDR_MAX): void {
    const length = this.opaqueLength(name, value)
    if (length > max) this.refuseLength(name, length, max)
    this.view.setInt32(this.claim(4), length)
    this.putBody(value)
  }

  putOpaqueFixed(name: string, value: OpaqueSource, size: number): void {
    const length = this.opaqueLength(name, value)
    if (length !== size) this.refuse('xdr-length', name, `${length} bytes, must be ${size}`)
    this.putBody(value)
  }

  /** A string as UTF-8. @param max - bytes, not characters */
  putString(name: string, value: string, max = XDR_MAX): void {
    if (typeof value !== 'string') this.refuseValue(name, value, 'a string')
    const length = utf8Bytes(value)
    if (length < 0) this.refuse('xdr-value', name, 'a string with half of a surrogate pair has no UTF-8')
    if (length > max) this.refuseLength(name, length, max)
    if (length > LONG_TEXT_BYTES) {
      this.view.setInt32(this.claim(4), length)
      return this.putBody(XdrOpaque.of(this.utf8.encode(value)))
    }
    const at = this.claim(4 + padded(length))
    this.view.setInt32(at, length)
    writeUtf8(this.arena.bytes, at + 4, value, length)
    this.pad(at + 4 + length, length)
  }

  /** A string of characters U+0000 to U+00FF, a byte for each. */
  putLatin1(name: string, value: string, max = XDR_MAX): void {
    if (typeof value !== 'string' || !latin1Fits(value)) {
      this.refuseValue(name, value, 'a string of characters up to U+00FF')
    }
    const { length } = value
    if (length > max) this.refuseLength(name, length, max)
    if (length > LONG_TEXT_BYTES) {
      const bytes = new Uint8Array(length)
      writeLatin1(bytes, 0, value)
      this.view.setInt32(this.claim(4), length)
      return this.putBody(XdrOpaque.of(bytes))
    }
    const at = this.claim(4 + padded(length))
    this.view.setInt32(at, length)
    writeLatin1(this.arena.bytes, at + 4, value)
    this.pad(at + 4 + length, length)
  }

  // ---- values of other types

  /** A value as a whole: where a message, or a part of one, begins. */
  put<T>(value: T, of: XdrCodec<T>): void {
    if (value === null || value === undefined) this.putNothing(value, of)
    else of.encode(this, value)
  }

  /** A field whose type is a struct, a union, a typedef. */
  putNested<T>(name: string, value: T, of: XdrCodec<T>): void {
    if (value === undefined) this.refuseValue(name, value, 'a value')
    this.enter(name)
    if (value === null) this.putNothing(value, of)
    else of.encode(this, value)
    this.path.leave()
  }

  putOptional<T>(name: string, value: T | null | undefined, of: XdrCodec<T>): void {
    if (value === null || value === undefined) return this.putBool(name, false)
    this.putBool(name, true)
    this.putNested(name, value, of)
  }

  putArray<T>(name: string, values: readonly T[], of: XdrCodec<T>, max = XDR_MAX): void {
    if (!Array.isArray(values)) this.refuseValue(name, values, 'an array')
    if (values.length > max) this.refuseLength(name, values.length, max)
    this.view.setInt32(this.claim(4), values.length)
    this.putElements(name, values, of)
  }

  putArrayFixed<T>(name: string, values: readonly T[], of: XdrCodec<T>, size: number): void {
    if (!Array.isArray(values)) this.refuseValue(name, values, 'an array')
    if (values.length !== size) this.refuse('xdr-length', name, `${values.length} elements, must be ${size}`)
    this.putElements(name, values, of)
  }

  /** A linked list, from an array. @param of - an entry without its `next` */
  putList<T>(name: string, values: readonly T[], of: XdrCodec<T>, max = XDR_MAX): void {
    if (!Array.isArray(values)) this.refuseValue(name, values, 'an array')
    if (values.length > max) this.refuseLength(name, values.length, max)
    this.enter(name)
    for (let i = 0; i < values.length; i++) {
      this.path.element(i)
      this.view.setInt32(this.claim(4), 1)
      this.putElement(values[i], of)
    }
    this.path.leave()
    this.view.setInt32(this.claim(4), 0)
  }

  /** For the `default` of a switch over a discriminant that has no arm. */
  refuseDiscriminant(name: string, value: unknown): never {
    return this.refuseValue(name, value, 'a discriminant of this union')
  }

  // ---- inside

  private putElements<T>(name: string, values: readonly T[], of: XdrCodec<T>): void {
    this.enter(name)
    for (let i = 0; i < values.length; i++) {
      this.path.element(i)
      this.putElement(values[i], of)
    }
    this.path.leave()
  }

  private putElement<T>(value: T | undefined, of: XdrCodec<T>): void {
    if (value === undefined) this.refuseValue('', value, 'a value')
    if (value === null) this.putNothing(value, of)
    else of.encode(this, value)
  }

  /** Null is a value of an optional type, and void has none: what looks for fields in it finds out that it should have some. */
  private putNothing<T>(value: T, of: XdrCodec<T>): void {
    try {
      of.encode(this, value)
    } catch (error) {
      if (error instanceof TypeError) this.refuseValue('', value, 'a value')
      throw error
    }
  }

  private enter(name: string): void {
    if (this.path.enter(name)) return
    this.refuse('xdr-depth', name, `nested deeper than ${this.path.maxDepth}`)
  }

  private opaqueLength(name: string, value: OpaqueSource): number {
    if (!(value instanceof Uint8Array) && !(value instanceof XdrOpaque)) {
      this.refuseValue(name, value, 'a Uint8Array or an XdrOpaque')
    }
    return value.length
  }

  /** Zeroes after a text. @param length - of the text */
  private pad(at: number, length: number): void {
    for (let i = -length & 3; i > 0; i--) this.arena.bytes[at++] = 0
  }

  protected override refuseBuffers(): never {
    const where = this.path.describe('')
    this.abort()
    throw new XdrError('ERR_NO_BUFFERS', 'xdr-no-buffers', where, 'the arena has no block left')
  }

  private refuseLength(name: string, length: number, max: number): never {
    return this.refuse('xdr-length', name, `a length of ${length}, at most ${max}`)
  }

  private refuseValue(name: string, value: unknown, wanted: string): never {
    return this.refuse('xdr-value', name, `${shown(value)} is not ${wanted}`)
  }

  private refuse(fault: XdrRefusal, name: string, detail: string): never {
    const where = this.path.describe(name)
    this.abort()
    const code = fault === 'xdr-not-supported' ? 'ERR_NOT_SUPPORTED' : 'ERR_BAD_ARGUMENT'
    throw new XdrError(code, fault, where, detail)
  }
}

function padded(length: number): number {
  return (length + 3) & ~3
}

function shown(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'string')
    return value.length > 40 ? `a string of ${value.length}` : JSON.stringify(value)
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
