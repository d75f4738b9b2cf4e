/** All names of one interface in TypeScript, looked up by what they name. */
import {
  behindNames,
  type Field,
  type Interface,
  type NamedType,
  type ResolvedVersion,
  type WireType,
} from './model.ts'
import { formsOf, lowerFirst, pascalCase, procedureForms, propertyCase } from './names.ts'

/** What types, codecs, fields and procedures are called. */
export class TypeScriptNames {
  readonly #types: ReadonlyMap<string, string>
  readonly #codecs: ReadonlyMap<string, string>

  constructor({ types, constants }: Interface) {
    const names = types.map(({ name }) => name)
    const values = new Set(constants.map(({ name }) => name))
    this.#types = formsOf(names, pascalCase, values)
    this.#codecs = formsOf([...this.#types.values()], name => `${lowerFirst(name)}Xdr`)
  }

  type({ name }: NamedType): string {
    return this.#types.get(name)!
  }

  codec(type: NamedType): string {
    const name = this.#codecs.get(this.type(type))!
    return name.endsWith('Xdr') ? name : `${name}Xdr`
  }

  /** The set of an enum's numbers. */
  values(type: NamedType): string {
    return this.codec(type).replace(/Xdr$/, 'Values')
  }

  fields(fields: readonly Field[]): ReadonlyMap<string, string> {
    return formsOf(
      fields.map(({ name }) => name),
      propertyCase,
    )
  }

  procedures({ procedures }: ResolvedVersion): ReadonlyMap<string, string> {
    return procedureForms(procedures.map(({ name }) => name))
  }
}

/** What a value of this type is in TypeScript. @param use - told of each type that is named, to be imported */
export function typeText(type: WireType, names: TypeScriptNames, use: (name: string) => void): string {
  switch (type.kind) {
    case 'void':
      return 'void'
    case 'primitive':
      return primitiveText(type)
    case 'string':
      return 'string'
    case 'opaque':
      if (type.style.opaque === 'bytes') return 'Uint8Array'
      use('XdrOpaque')
      return 'XdrOpaque'
    case 'named':
      use(names.type(type.type))
      return names.type(type.type)
    case 'array':
      return `readonly ${typeText(type.of, names, use)}[]`
    case 'optional': {
      const of = typeText(type.of, names, use)
      return listEntryOf(type) === null ? `${of} | null` : `readonly ${of}[]`
    }
  }
}

function primitiveText({ primitive, style }: Extract<WireType, { kind: 'primitive' }>): string {
  switch (primitive) {
    case 'bool':
      return 'boolean'
    case 'hyper':
    case 'unsigned hyper':
      return style.hyper
    case 'quadruple':
      return 'never'
    default:
      return 'number'
  }
}

/** The entry, if this is the beginning of a linked list. */
export function listEntryOf(type: WireType): NamedType | null {
  return type.kind === 'optional' && type.of.kind === 'named' && type.of.type.isListEntry
    ? type.of.type
    : null
}

/** The fields that are seen in TypeScript: a list's entry has no `next`. */
export function visibleFields(fields: readonly Field[], isListEntry: boolean): readonly Field[] {
  return isListEntry ? fields.slice(0, -1) : fields
}

/** The enum behind a discriminant; `null` if it is none. */
export function enumBehind(type: WireType): NamedType | null {
  const real = behindNames(type)
  return real.kind === 'named' && real.type.body.kind === 'enum' ? real.type : null
}
