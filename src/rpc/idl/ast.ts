/**
 * An interface file as it is written: names are not looked up yet, expressions not computed.
 *
 * @see RFC 4506 §6.3 and RFC 5531 §12.2 for the grammar
 */
import type { Place } from './source.ts'

export interface Name {
  readonly text: string
  readonly place: Place
}

export type Expression =
  | { readonly kind: 'number'; readonly value: bigint; readonly place: Place }
  | { readonly kind: 'string'; readonly value: string; readonly place: Place }
  | { readonly kind: 'name'; readonly name: string; readonly place: Place }
  | {
      readonly kind: 'unary'
      readonly operator: string
      readonly operand: Expression
      readonly place: Place
    }
  | {
      readonly kind: 'binary'
      readonly operator: string
      readonly left: Expression
      readonly right: Expression
      readonly place: Place
    }

/** What is on the wire as one thing. `char` and `short`, signed or not, travel as the int of their sign. */
export type Primitive =
  | 'int'
  | 'unsigned int'
  | 'hyper'
  | 'unsigned hyper'
  | 'float'
  | 'double'
  | 'quadruple'
  | 'bool'

export type TypeSyntax =
  | { readonly kind: 'primitive'; readonly primitive: Primitive; readonly place: Place }
  | { readonly kind: 'named'; readonly name: Name }
  | { readonly kind: 'opaque'; readonly place: Place }
  | { readonly kind: 'string'; readonly place: Place }
  | { readonly kind: 'void'; readonly place: Place }
  | { readonly kind: 'inline'; readonly body: Body; readonly place: Place }

/** `T name`, `T *name`, `T name[N]`, `T name<N>`. */
export type Shape = 'plain' | 'optional' | 'fixed' | 'variable'

export interface Declaration {
  readonly type: TypeSyntax
  /** `null` where a name may be left out. */
  readonly name: Name | null
  readonly shape: Shape
  /** Of `fixed` always, of `variable` perhaps. */
  readonly bound: Expression | null
  readonly doc: string | null
}

export interface EnumMember {
  readonly name: Name
  /** `null`: one more than the member before. */
  readonly value: Expression | null
  readonly doc: string | null
}

export interface Arm {
  /** `default` is the arm without. */
  readonly cases: readonly Expression[]
  readonly isDefault: boolean
  /** `null` for `void`. */
  readonly declaration: Declaration | null
  readonly place: Place
  readonly doc: string | null
}

export type Body =
  | { readonly kind: 'enum'; readonly members: readonly EnumMember[] }
  | { readonly kind: 'struct'; readonly fields: readonly Declaration[] }
  | { readonly kind: 'union'; readonly discriminant: Declaration; readonly arms: readonly Arm[] }

export interface Procedure {
  readonly name: Name
  readonly result: Declaration
  /** Empty for `(void)`. */
  readonly parameters: readonly Declaration[]
  readonly number: Expression
  readonly doc: string | null
}

export interface Version {
  readonly name: Name
  readonly procedures: readonly Procedure[]
  readonly number: Expression
  readonly doc: string | null
}

export type Definition =
  | {
      readonly kind: 'const'
      readonly name: Name
      readonly value: Expression
      readonly doc: string | null
      /** See `MacroConstant`. */
      readonly passedThrough: boolean
      readonly isMacro: boolean
    }
  | { readonly kind: 'typedef'; readonly declaration: Declaration; readonly doc: string | null }
  | { readonly kind: 'type'; readonly name: Name; readonly body: Body; readonly doc: string | null }
  | {
      readonly kind: 'program'
      readonly name: Name
      readonly versions: readonly Version[]
      readonly number: Expression
      readonly doc: string | null
    }

/** Words that cannot be names. RFC 4506 §6.3 note 2, RFC 5531 §12.3, and what rpcgen adds. */
export const KEYWORDS: ReadonlySet<string> = new Set(
  (
    'bool case const default double quadruple enum float hyper int opaque string struct switch typedef union unsigned void ' +
    'program version char short long'
  ).split(' '),
)
