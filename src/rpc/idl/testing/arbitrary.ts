/** Random values of an interface's types, in the shape that the generated codecs take. */
import fc from 'fast-check'
import { XdrOpaque } from '../../xdr/index.ts'
import { behindNames, type Field, type NamedType, type WireType } from '../model.ts'
import { listEntryOf, type TypeScriptNames, visibleFields } from '../typescript-names.ts'

/** Beyond this depth lists are empty and pointers lead nowhere. */
const MAX_DEPTH = 3
const MAX_COUNT = 4

type Arbitrary = fc.Arbitrary<unknown>

export class Values {
  readonly #names: TypeScriptNames
  readonly #known = new Map<string, Arbitrary>()

  constructor(names: TypeScriptNames) {
    this.#names = names
  }

  of(type: NamedType, depth = 0): Arbitrary {
    const key = `${type.name} ${Math.min(depth, MAX_DEPTH)}`
    const known = this.#known.get(key) ?? this.#body(type, depth)
    this.#known.set(key, known)
    return known
  }

  #body({ body, isListEntry }: NamedType, depth: number): Arbitrary {
    switch (body.kind) {
      case 'alias':
        return this.#wire(body.type, depth)
      case 'enum':
        return fc.constantFrom(...body.members.map(({ value }) => value))
      case 'struct':
        return this.#record(visibleFields(body.fields, isListEntry), depth)
      case 'union': {
        const forms = this.#names.fields([
          body.discriminant,
          ...body.arms.flatMap(({ field }) => field ?? []),
        ])
        const taken = new Set(body.arms.flatMap(({ cases }) => cases.map(({ value }) => value)))
        const arms = body.arms.map(({ cases, field, isDefault }) => {
          const values = cases.map(({ value }) => fc.constant(value))
          const rest = this.#wire(body.discriminant.type, 0).filter(value => !taken.has(Number(value)))
          const number = isDefault ? rest : fc.oneof(...values)
          const isBool = this.#isBool(body.discriminant)
          const discriminant = isBool ? number.map(value => Number(value) === 1) : number
          const entry: Record<string, Arbitrary> = { [forms.get(body.discriminant.name)!]: discriminant }
          if (field !== null) entry[forms.get(field.name)!] = this.#wire(field.type, depth + 1)
          return { arm: fc.record(entry), isReal: !isDefault || this.#hasRest(body.discriminant, taken) }
        })
        return fc.oneof(...arms.filter(({ isReal }) => isReal).map(({ arm }) => arm))
      }
    }
  }

  #isBool({ type }: Field): boolean {
    const real = behindNames(type)
    return real.kind === 'primitive' && real.primitive === 'bool'
  }

  #hasRest({ type }: Field, taken: ReadonlySet<number>): boolean {
    const real = behindNames(type)
    if (real.kind === 'primitive') return real.primitive !== 'bool' || taken.size < 2
    return (
      real.kind === 'named' &&
      real.type.body.kind === 'enum' &&
      real.type.body.members.some(({ value }) => !taken.has(value))
    )
  }

  #record(fields: readonly Field[], depth: number): Arbitrary {
    const forms = this.#names.fields(fields)
    return fc.record(
      Object.fromEntries(fields.map(({ name, type }) => [forms.get(name)!, this.#wire(type, depth + 1)])),
    )
  }

  #wire(type: WireType, depth: number): Arbitrary {
    switch (type.kind) {
      case 'void':
        return fc.constant(undefined)
      case 'primitive':
        return primitive(type)
      case 'named':
        return this.of(type.type, depth)
      case 'string':
        return fc.string({
          maxLength: Math.min(type.max ?? 20, 20),
          unit: type.max === null ? 'grapheme' : 'binary-ascii',
        })
      case 'opaque': {
        const size = type.isFixed
          ? { minLength: type.size!, maxLength: type.size! }
          : { maxLength: Math.min(type.size ?? 40, 40) }
        const bytes = fc.uint8Array(size)
        return type.style.opaque === 'view' ? bytes.map(one => XdrOpaque.of(one)) : bytes
      }
      case 'array': {
        if (type.isFixed)
          return fc.array(this.#wire(type.of, depth + 1), { minLength: type.size!, maxLength: type.size! })
        const maxLength = depth >= MAX_DEPTH ? 0 : Math.min(type.size ?? MAX_COUNT, MAX_COUNT)
        return maxLength === 0 ? fc.constant([]) : fc.array(this.#wire(type.of, depth + 1), { maxLength })
      }
      case 'optional': {
        const isList = listEntryOf(type) !== null
        if (depth >= MAX_DEPTH) return fc.constant(isList ? [] : null)
        const of = this.#wire(type.of, depth + 1)
        return isList ? fc.array(of, { maxLength: MAX_COUNT }) : fc.option(of)
      }
    }
  }
}

function primitive({ primitive, style }: Extract<WireType, { kind: 'primitive' }>): Arbitrary {
  switch (primitive) {
    case 'int':
      return fc.integer()
    case 'unsigned int':
      return fc.integer({ min: 0, max: 2 ** 32 - 1 })
    case 'bool':
      return fc.boolean()
    case 'float':
      return fc.float()
    case 'double':
      return fc.double()
    case 'hyper':
      return style.hyper === 'number'
        ? fc.maxSafeInteger()
        : fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    case 'unsigned hyper':
      return style.hyper === 'number' ? fc.maxSafeNat() : fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
    case 'quadruple':
      throw new Error('no value is a quadruple')
  }
}
