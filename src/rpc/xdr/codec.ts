/** A type of an interface as the two functions over it, and those of the language's own types (RFC 4506 §4). */
import type { XdrDecoder } from './decoder.ts'
import type { XdrEncoder } from './encoder.ts'
import type { OpaqueSource, XdrOpaque } from './opaque.ts'

/** How values of one type are written and read. `rpcgen` makes one for each type of an interface, named `colorXdr` for `color`. */
export interface XdrCodec<T> {
  /** @throws XdrError if the value is not of the type; the encoder's message is freed then */
  encode(xdr: XdrEncoder, value: T): void
  /** @throws XdrError if the bytes are not of the type; the views made so far are freed then */
  decode(xdr: XdrDecoder): T
}

export const xdrVoid: XdrCodec<void> = {
  encode() {},
  decode() {},
}

/** 32 bits, signed (§4.1). */
export const xdrInt: XdrCodec<number> = {
  encode: (xdr, value) => xdr.putInt('', value),
  decode: xdr => xdr.int(''),
}

/** 32 bits, unsigned (§4.2). */
export const xdrUint: XdrCodec<number> = {
  encode: (xdr, value) => xdr.putUint('', value),
  decode: xdr => xdr.uint(''),
}

export const xdrBool: XdrCodec<boolean> = {
  encode: (xdr, value) => xdr.putBool('', value),
  decode: xdr => xdr.bool(''),
}

/** 64 bits, signed (§4.5). */
export const xdrHyper: XdrCodec<bigint> = {
  encode: (xdr, value) => xdr.putHyper('', value),
  decode: xdr => xdr.hyper(''),
}

export const xdrUhyper: XdrCodec<bigint> = {
  encode: (xdr, value) => xdr.putUhyper('', value),
  decode: xdr => xdr.uhyper(''),
}

/** A signed hyper as a number: refused, both ways, beyond 2^53 - 1. */
export const xdrHyperNumber: XdrCodec<number> = {
  encode: (xdr, value) => xdr.putHyperNumber('', value),
  decode: xdr => xdr.hyperNumber(''),
}

export const xdrUhyperNumber: XdrCodec<number> = {
  encode: (xdr, value) => xdr.putUhyperNumber('', value),
  decode: xdr => xdr.uhyperNumber(''),
}

export const xdrFloat: XdrCodec<number> = {
  encode: (xdr, value) => xdr.putFloat('', value),
  decode: xdr => xdr.float(''),
}

export const xdrDouble: XdrCodec<number> = {
  encode: (xdr, value) => xdr.putDouble('', value),
  decode: xdr => xdr.double(''),
}

/** @throws XdrError `xdr-not-supported`, always: no JavaScript value holds 128 bits of floating point (§4.8) */
export const xdrQuadruple: XdrCodec<never> = {
  encode: xdr => xdr.refuseQuadruple(''),
  decode: xdr => xdr.refuseQuadruple(''),
}

/** A string of UTF-8. @param max - bytes */
export function xdrString(max?: number): XdrCodec<string> {
  return { encode: (xdr, value) => xdr.putString('', value, max), decode: xdr => xdr.string('', max) }
}

/** A string whose bytes are the characters U+0000 to U+00FF. @param max - bytes */
export function xdrLatin1(max?: number): XdrCodec<string> {
  return { encode: (xdr, value) => xdr.putLatin1('', value, max), decode: xdr => xdr.latin1('', max) }
}

/** Variable-length opaque, copied both ways (§4.10). */
export function xdrOpaque(max?: number): XdrCodec<Uint8Array> {
  return { encode: (xdr, value) => xdr.putOpaque('', value, max), decode: xdr => xdr.opaque('', max) }
}

/** Fixed-length opaque, copied both ways (§4.9). */
export function xdrOpaqueFixed(size: number): XdrCodec<Uint8Array> {
  return {
    encode: (xdr, value) => xdr.putOpaqueFixed('', value, size),
    decode: xdr => xdr.opaqueFixed('', size),
  }
}

/** Variable-length opaque without a copy; see {@link XdrOpaque} for who owns what. */
export function xdrOpaqueView(max?: number): XdrCodec<XdrOpaque> {
  return {
    encode: (xdr, value: OpaqueSource) => xdr.putOpaque('', value, max),
    decode: xdr => xdr.opaqueView('', max),
  }
}

/**
 * An enumeration (§4.3).
 * @param members - its names and numbers, as the generated `const Color = { RED: 2, … } as const`
 */
export function xdrEnum<E extends number>(members: Readonly<Record<string, E>>): XdrCodec<E> {
  const values: ReadonlySet<number> = new Set(Object.values(members))
  return {
    encode: (xdr, value) => xdr.putEnum('', value, values),
    decode: xdr => xdr.enum('', values) as E,
  }
}

/** `T *name` (§4.19). */
export function xdrOptional<T>(of: XdrCodec<T>): XdrCodec<T | null> {
  return { encode: (xdr, value) => xdr.putOptional('', value, of), decode: xdr => xdr.optional('', of) }
}

/** `T name<max>` (§4.13). */
export function xdrArray<T>(of: XdrCodec<T>, max?: number): XdrCodec<readonly T[]> {
  return { encode: (xdr, value) => xdr.putArray('', value, of, max), decode: xdr => xdr.array('', of, max) }
}

/** `T name[size]` (§4.12). */
export function xdrArrayFixed<T>(of: XdrCodec<T>, size: number): XdrCodec<readonly T[]> {
  return {
    encode: (xdr, value) => xdr.putArrayFixed('', value, of, size),
    decode: xdr => xdr.arrayFixed('', of, size),
  }
}

/** A linked list as an array: `struct entry { …; entry *next; }` and `entry *name` (§4.19). @param of - an entry without its `next` */
export function xdrList<T>(of: XdrCodec<T>, max?: number): XdrCodec<readonly T[]> {
  return { encode: (xdr, value) => xdr.putList('', value, of, max), decode: xdr => xdr.list('', of, max) }
}
