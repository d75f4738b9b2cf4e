/**
 * Codecs straight from an interface, without generated code: for tools that are given a `.x` file at run time. Values are as the
 * generated code has them, but fields are called as in the file, hypers are always bigints and opaques always copies.
 */
import type { XdrDecoder } from '../xdr/decoder.ts'
import type { XdrEncoder } from '../xdr/encoder.ts'
import {
  type XdrCodec,
  xdrArray,
  xdrArrayFixed,
  xdrBool,
  xdrDouble,
  xdrEnum,
  xdrFloat,
  xdrHyper,
  xdrInt,
  xdrLatin1,
  xdrList,
  xdrOpaque,
  xdrOpaqueFixed,
  xdrOptional,
  xdrQuadruple,
  xdrString,
  xdrUhyper,
  xdrUint,
  xdrVoid,
} from '../xdr/index.ts'
import type { Primitive } from './ast.ts'
import type { Field, NamedType, ResolvedArm, TypeBody, WireType } from './model.ts'
import { listEntryOf, visibleFields } from './typescript-names.ts'

type Codec = XdrCodec<unknown>
type Union = Extract<TypeBody, { kind: 'union' }>
/** A struct or a union as a value. */
export type DynamicFields = Readonly<Record<string, unknown>>

const PRIMITIVES: Readonly<Record<Primitive, unknown>> = {
  int: xdrInt,
  'unsigned int': xdrUint,
  hyper: xdrHyper,
  'unsigned hyper': xdrUhyper,
  float: xdrFloat,
  double: xdrDouble,
  quadruple: xdrQuadruple,
  bool: xdrBool,
}

/** The arm of a union that a discriminant chooses. @param value - booleans are 0 and 1. @returns null if there is none */
export function armOf({ arms }: Union, value: number): ResolvedArm | null {
  const chosen = arms.find(({ cases }) => cases.some(one => one.value === value))
  return chosen ?? arms.find(({ isDefault }) => isDefault) ?? null
}

/** Made once for an interface: a type's codec is made once, so that a type may hold itself. */
export class DynamicCodecs {
  readonly #named = new Map<NamedType, Codec>()

  /** Several parameters are one tuple, one after the other on the wire. */
  argument(parameters: readonly Field[]): Codec {
    if (parameters.length === 0) return xdrVoid as Codec
    if (parameters.length === 1) return this.of(parameters[0]!.type)
    const codecs = parameters.map(({ type }) => this.of(type))
    return {
      encode: (xdr, value) => {
        for (const [at, codec] of codecs.entries())
          xdr.putNested(parameters[at]!.name, (value as readonly unknown[])[at], codec)
      },
      decode: xdr => codecs.map((codec, at) => xdr.nested(parameters[at]!.name, codec)),
    }
  }

  of(type: WireType): Codec {
    const list = listEntryOf(type)
    if (list !== null) return xdrList(this.#ofNamed(list)) as Codec
    switch (type.kind) {
      case 'void':
        return xdrVoid as Codec
      case 'primitive':
        return PRIMITIVES[type.primitive] as Codec
      case 'string': {
        const max = type.max ?? undefined
        return (type.style.string === 'latin1' ? xdrLatin1(max) : xdrString(max)) as Codec
      }
      case 'opaque':
        return (type.isFixed ? xdrOpaqueFixed(type.size!) : xdrOpaque(type.size ?? undefined)) as Codec
      case 'array': {
        const of = this.of(type.of)
        return (type.isFixed ? xdrArrayFixed(of, type.size!) : xdrArray(of, type.size ?? undefined)) as Codec
      }
      case 'optional':
        return xdrOptional(this.of(type.of)) as Codec
      case 'named':
        return this.#ofNamed(type.type)
    }
  }

  /** Found when it is first used: the type may hold itself. */
  #ofNamed(type: NamedType): Codec {
    let made = this.#named.get(type)
    if (made !== undefined) return made
    let real: Codec | null = null
    const found = (): Codec => {
      real ??= this.#ofBody(type)
      return real
    }
    made = { encode: (xdr, value) => found().encode(xdr, value), decode: xdr => found().decode(xdr) }
    this.#named.set(type, made)
    return made
  }

  #ofBody({ body, isListEntry }: NamedType): Codec {
    switch (body.kind) {
      case 'alias':
        return this.of(body.type)
      case 'enum':
        return xdrEnum(Object.fromEntries(body.members.map(({ name, value }) => [name, value]))) as Codec
      case 'struct':
        return this.#struct(visibleFields(body.fields, isListEntry))
      case 'union':
        return this.#union(body)
    }
  }

  #struct(fields: readonly Field[]): Codec {
    const codecs = fields.map(({ type }) => this.of(type))
    return {
      encode(xdr, value) {
        for (const [at, { name }] of fields.entries())
          xdr.putNested(name, (value as DynamicFields)[name], codecs[at]!)
      },
      decode: xdr => Object.fromEntries(fields.map(({ name }, at) => [name, xdr.nested(name, codecs[at]!)])),
    }
  }

  #union(body: Union): Codec {
    const { name, type } = body.discriminant
    const discriminant = this.of(type)
    const codecs = new Map(body.arms.map(arm => [arm, arm.field === null ? null : this.of(arm.field.type)]))
    return {
      encode(xdr: XdrEncoder, value) {
        const fields = value as DynamicFields
        xdr.putNested(name, fields[name], discriminant)
        const arm = armOf(body, Number(fields[name]))
        if (arm === null) return xdr.refuseDiscriminant(name, fields[name])
        if (arm.field !== null) xdr.putNested(arm.field.name, fields[arm.field.name], codecs.get(arm)!)
      },
      decode(xdr: XdrDecoder) {
        const chosen = xdr.nested(name, discriminant)
        const arm = armOf(body, Number(chosen))
        if (arm === null) return xdr.failDiscriminant(name, Number(chosen))
        if (arm.field === null) return { [name]: chosen }
        return { [name]: chosen, [arm.field.name]: xdr.nested(arm.field.name, codecs.get(arm)!) }
      },
    }
  }
}
