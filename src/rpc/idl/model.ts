/** An interface with everything looked up: what the emitters write from. */
import type { Primitive } from './ast.ts'
import type { Place } from './source.ts'

/** What a tag in a comment (`@number`, `@view`, ...) or an option asks of a value's shape in TypeScript. */
export interface ValueStyle {
  readonly hyper: 'bigint' | 'number'
  readonly string: 'utf8' | 'latin1'
  readonly opaque: 'bytes' | 'view'
}

export type WireType =
  | { readonly kind: 'void' }
  | { readonly kind: 'primitive'; readonly primitive: Primitive; readonly style: ValueStyle }
  | { readonly kind: 'named'; readonly type: NamedType }
  | { readonly kind: 'string'; readonly max: number | null; readonly style: ValueStyle }
  | {
      readonly kind: 'opaque'
      readonly isFixed: boolean
      readonly size: number | null
      readonly style: ValueStyle
    }
  | {
      readonly kind: 'array'
      readonly of: WireType
      readonly isFixed: boolean
      readonly size: number | null
    }
  | { readonly kind: 'optional'; readonly of: WireType }

export interface Field {
  readonly name: string
  readonly type: WireType
  readonly doc: string | null
  readonly place: Place
}

export interface Member {
  readonly name: string
  readonly value: number
  readonly doc: string | null
}

export interface ResolvedArm {
  /** Numbers of the discriminant, with the names they were written by if they were. */
  readonly cases: readonly { readonly value: number; readonly name: string | null }[]
  readonly isDefault: boolean
  /** `null` for void. */
  readonly field: Field | null
  readonly doc: string | null
}

export type TypeBody =
  | { readonly kind: 'alias'; readonly type: WireType }
  | { readonly kind: 'enum'; readonly members: readonly Member[] }
  | { readonly kind: 'struct'; readonly fields: readonly Field[] }
  | { readonly kind: 'union'; readonly discriminant: Field; readonly arms: readonly ResolvedArm[] }

export interface NamedType {
  readonly name: string
  readonly doc: string | null
  readonly place: Place
  /** Of what C programs have from their headers: written only if it is used. */
  readonly isPredeclared: boolean
  /** Set once, when all names are known. */
  body: TypeBody
  /** A struct whose last field leads to the next one of its kind, and which is only met so: an array in TypeScript. */
  isListEntry: boolean
}

export interface Constant {
  readonly name: string
  readonly value: bigint | string
  readonly doc: string | null
  readonly isPredeclared: boolean
}

export interface ResolvedProcedure {
  readonly name: string
  readonly number: number
  readonly parameters: readonly Field[]
  readonly result: WireType
  readonly doc: string | null
  readonly isIdempotent: boolean
}

export interface ResolvedVersion {
  readonly name: string
  readonly number: number
  readonly procedures: readonly ResolvedProcedure[]
  readonly doc: string | null
}

export interface Program {
  readonly name: string
  readonly number: number
  readonly versions: readonly ResolvedVersion[]
  readonly doc: string | null
}

export interface Interface {
  readonly constants: readonly Constant[]
  readonly types: readonly NamedType[]
  readonly programs: readonly Program[]
}

/** The type behind typedefs of nothing but a name. */
export function behindNames(type: WireType): WireType {
  for (let hops = 0; type.kind === 'named' && type.type.body.kind === 'alias' && hops < 1_000; hops++)
    type = type.type.body.type
  return type
}

/** The types that a body holds directly. */
export function partsOf(body: TypeBody): readonly WireType[] {
  switch (body.kind) {
    case 'alias':
      return [body.type]
    case 'enum':
      return []
    case 'struct':
      return body.fields.map(({ type }) => type)
    case 'union':
      return [
        body.discriminant.type,
        ...body.arms.flatMap(({ field }) => (field === null ? [] : [field.type])),
      ]
  }
}
