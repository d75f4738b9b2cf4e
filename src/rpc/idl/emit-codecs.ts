/** The file of codecs: for each type how it is written and read, field by field. */
import { call, imports, object, WIDTH } from './code.ts'
import { Codecs } from './codec-text.ts'
import type { Specifiers } from './emit-types.ts'
import { behindNames, type Field, type Interface, type NamedType, partsOf, type WireType } from './model.ts'
import { enumBehind, type TypeScriptNames, typeText, visibleFields } from './typescript-names.ts'
import { type UnionBody, unionText } from './union-arms.ts'

export function emitCodecs(
  from: Interface,
  names: TypeScriptNames,
  specifiers: Specifiers,
  typesFile: string,
): string {
  const emitter = new CodecEmitter(names)
  const parts = inOrder(from.types).map(type => emitter.type(type))
  const head = imports([
    { from: specifiers.xdr, names: emitter.runtime },
    { from: typesFile, names: emitter.types },
  ])
  return [head, ...parts].filter(part => part !== '').join('\n')
}

/** A typedef's codec is made of the others when the file is loaded, so it stands behind them; the rest stays in order. */
function inOrder(types: readonly NamedType[]): NamedType[] {
  const placed = new Set<NamedType>()
  const place = (type: NamedType): void => {
    if (placed.has(type)) return
    placed.add(type)
    if (type.body.kind === 'alias') for (const part of partsOf(type.body)) within(part)
    ordered.push(type)
  }
  const within = (type: WireType): void => {
    if (type.kind === 'named') place(type.type)
    else if (type.kind === 'array' || type.kind === 'optional') within(type.of)
  }
  const ordered: NamedType[] = []
  for (const type of types) place(type)
  return ordered
}

class CodecEmitter {
  readonly runtime = new Set<string>()
  readonly types = new Set<string>()
  readonly #names: TypeScriptNames
  readonly #codecs: Codecs

  constructor(names: TypeScriptNames) {
    this.#names = names
    this.#codecs = new Codecs(names, name => this.runtime.add(name))
  }

  type(type: NamedType): string {
    const name = this.#names.type(type)
    this.runtime.add('type XdrCodec')
    this.types.add(`type ${name}`)
    const head = `export const ${this.#names.codec(type)}: XdrCodec<${name}> =`
    const { body } = type
    switch (body.kind) {
      case 'alias':
        return `${assigned(head, this.#codecs.codec(body.type))}\n`
      case 'enum': {
        this.runtime.add('xdrEnum')
        this.types.add(name)
        const values = `export const ${this.#names.values(type)}: ReadonlySet<${name}> =`
        return `${assigned(head, `xdrEnum(${name})`)}\n${assigned(values, `new Set(Object.values(${name}))`)}\n`
      }
      case 'struct':
        return this.#struct(head, visibleFields(body.fields, type.isListEntry))
      case 'union':
        return this.#union(head, name, body)
    }
  }

  #struct(head: string, fields: readonly Field[]): string {
    const forms = this.#names.fields(fields)
    const puts = fields.map(field => `${this.#put(field, `value.${forms.get(field.name)}`, forms, '    ')}\n`)
    const gets = fields.map(
      field => `${this.#get(field, `${forms.get(field.name)}: `, forms, ',', '      ')}\n`,
    )
    return `${head} {\n  encode(xdr, value) {\n${puts.join('')}  },\n  decode(xdr) {\n    return {\n${gets.join('')}    }\n  },\n}\n`
  }

  #put({ name, type }: Field, value: string, forms: ReadonlyMap<string, string>, indent: string): string {
    const { head, args } = this.#codecs.put(type, forms.get(name)!, value)
    return call(head, args, '', indent)
  }

  #get(
    { name, type }: Field,
    before: string,
    forms: ReadonlyMap<string, string>,
    tail: string,
    indent: string,
  ): string {
    const { head, args } = this.#codecs.get(type, forms.get(name)!)
    return call(`${before}${head}`, args, tail, indent)
  }

  #union(head: string, name: string, body: UnionBody): string {
    const { discriminant } = body
    const forms = this.#names.fields([discriminant, ...body.arms.flatMap(({ field }) => field ?? [])])
    const encode = this.#encodeUnion(name, body, forms)
    const decode = this.#decodeUnion(body, forms)
    return `${head} {\n  encode(xdr, value) {\n${encode}  },\n  decode(xdr) {\n${decode}  },\n}\n`
  }

  #encodeUnion(name: string, body: UnionBody, forms: ReadonlyMap<string, string>): string {
    const { discriminant } = body
    const text = unionText(body, this.#names)
    const form = forms.get(discriminant.name)!
    const first = this.#put(discriminant, `value.${form}`, forms, '    ')
    const shown = text.arms.filter(({ field }) => field !== null || text.isOpen || text.rest?.field != null)
    const taken = (field: Field): string => {
      const property = forms.get(field.name)!
      return text.isNumber && text.rest !== null ? this.#cast(field, property) : `value.${property}`
    }
    const blocks = shown.map(({ field, cases }) => {
      this.#useEnum(discriminant)
      const put = field === null ? '' : `${this.#put(field, taken(field), forms, '        ')}\n`
      return `${cases.map(one => `      case ${one}:\n`).join('')}${put}        break\n`
    })
    if (text.rest !== null && text.rest.field !== null) {
      const { field } = text.rest
      blocks.push(`      default:\n${this.#put(field, taken(field), forms, '        ')}\n`)
    }
    if (text.isOpen)
      blocks.push(`      default:\n        xdr.refuseDiscriminant('${form}', (value as ${name}).${form})\n`)
    return blocks.length === 0
      ? `${first}\n`
      : `${first}\n    switch (value.${form}) {\n${blocks.join('')}    }\n`
  }

  /** TypeScript cannot tell by a number which arm this is. */
  #cast({ type }: Field, property: string): string {
    const text = typeText(type, this.#names, name => {
      const from = name === 'XdrOpaque' ? this.runtime : this.types
      from.add(`type ${name}`)
    })
    return `(value as { readonly ${property}: ${text} }).${property}`
  }

  #decodeUnion(body: UnionBody, forms: ReadonlyMap<string, string>): string {
    const { discriminant } = body
    const text = unionText(body, this.#names)
    const form = forms.get(discriminant.name)!
    const first = this.#get(discriminant, 'const discriminant = ', forms, '', '    ')
    const made = (field: Field | null): string => {
      const properties = [`${form}: discriminant`]
      if (field !== null) {
        const { head, args } = this.#codecs.get(field.type, forms.get(field.name)!)
        properties.push(`${forms.get(field.name)}: ${head}(${args.join(', ')})`)
      }
      return `${object('return ', properties, '', '        ')}\n`
    }
    if (text.arms.length === 0) return `${first}\n${made(text.rest?.field ?? null).replace(/^ {4}/gm, '')}`
    this.#useEnum(discriminant)
    // A number's case that does as the rest does is left to it; of an enum, TypeScript knows which one is left.
    const own = text.arms.filter(({ field }) => !text.isNumber || field !== null || text.rest?.field !== null)
    const blocks = own.map(
      ({ field, cases }) => cases.map(one => `      case ${one}:\n`).join('') + made(field),
    )
    if (text.rest !== null) blocks.push(`      default:\n${made(text.rest.field)}`)
    if (text.isOpen) {
      const real = behindNames(discriminant.type)
      const isBool = real.kind === 'primitive' && real.primitive === 'bool'
      const value = isBool ? 'Number(discriminant)' : 'discriminant'
      blocks.push(`      default:\n        return xdr.failDiscriminant('${form}', ${value})\n`)
    }
    if (own.length === 0) return `${first}\n${made(text.rest?.field ?? null).replace(/^ {4}/gm, '')}`
    return `${first}\n    switch (discriminant) {\n${blocks.join('')}    }\n`
  }

  /** The object of an enum's numbers, which cases name. */
  #useEnum({ type }: Field): void {
    const of = enumBehind(type)
    if (of !== null) this.types.add(this.#names.type(of))
  }
}

function assigned(head: string, value: string): string {
  const line = `${head} ${value}`
  return line.length <= WIDTH ? line : `${head}\n  ${value}`
}
