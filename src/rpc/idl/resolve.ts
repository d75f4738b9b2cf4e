/** Definitions into an interface: names are looked up, sizes and numbers computed, and what cannot be is told. */
import type { Body, Declaration, Definition, Name, TypeSyntax } from './ast.ts'
import { Constants, nearest } from './constants.ts'
import { readTags, styleBy } from './doc-tags.ts'
import type { Constant, Field, Interface, NamedType, TypeBody, ValueStyle, WireType } from './model.ts'
import { resolvePrograms } from './programs.ts'
import { checkRecursion, markLists } from './recursion.ts'
import type { Place, Problems } from './source.ts'
import { resolveUnion } from './unions.ts'

export const MAX_SIZE = 2n ** 32n - 1n

export interface ResolveOptions {
  readonly style: ValueStyle
}

/** @param predeclared - definitions that a file may replace, and that are written only if they are used */
export function resolveInterface(
  definitions: readonly Definition[],
  predeclared: readonly Definition[],
  problems: Problems,
  options: ResolveOptions,
): Interface {
  const resolver = new Resolver(problems, options)
  resolver.declare(predeclared, true)
  resolver.declare(definitions, false)
  resolver.settle()
  const types = [...resolver.types.values()]
  checkRecursion(types, problems)
  const programs = resolvePrograms(definitions, resolver)
  if (problems.errorCount === 0) markLists(types, programs)
  return { constants: resolver.constantList(), types, programs }
}

interface Declared {
  readonly definition: Extract<Definition, { kind: 'const' }>
  readonly isPredeclared: boolean
}

export class Resolver {
  readonly problems: Problems
  readonly constants: Constants
  readonly types = new Map<string, NamedType>()
  readonly #style: ValueStyle
  readonly #constants = new Map<string, Declared>()
  readonly #unions = new Set<NamedType>()
  /** Bodies that are resolved when all names are known. */
  readonly #waiting = new Map<NamedType, () => TypeBody>()

  constructor(problems: Problems, options: ResolveOptions) {
    this.problems = problems
    this.constants = new Constants(problems)
    this.#style = options.style
  }

  declare(definitions: readonly Definition[], isPredeclared: boolean): void {
    for (const definition of definitions) {
      if (definition.kind === 'const') this.#declareConstant({ definition, isPredeclared })
      else if (definition.kind === 'type') {
        const { name, body, doc } = definition
        this.#declareBody(name, body, doc, isPredeclared)
      } else if (definition.kind === 'typedef') this.#declareTypedef(definition, isPredeclared)
    }
  }

  #declareConstant(declared: Declared): void {
    const { name, value, passedThrough, isMacro } = declared.definition
    const before = this.#constants.get(name.text)?.definition
    // C lets the same #define stand twice, and headers are full of it.
    if (isMacro && before?.isMacro === true && !passedThrough) return
    if (this.constants.declare(name, value, passedThrough || declared.isPredeclared))
      this.#constants.set(name.text, declared)
  }

  #declareTypedef(
    { declaration, doc }: Extract<Definition, { kind: 'typedef' }>,
    isPredeclared: boolean,
  ): void {
    const { name, type, shape } = declaration
    // `typedef struct x x;` is a habit of C and says nothing here.
    if (type.kind === 'named' && shape === 'plain' && type.name.text === name!.text) return
    if (type.kind === 'inline' && shape === 'plain')
      return this.#declareBody(name!, type.body, doc, isPredeclared)
    const tagged = readTags(doc)
    this.#add(name!, tagged.doc, isPredeclared, () => ({
      kind: 'alias',
      type: this.type({ ...declaration, doc }, name!.text),
    }))
  }

  #declareBody(name: Name, body: Body, doc: string | null, isPredeclared = false): void {
    if (body.kind === 'enum') this.constants.declareMembers(body.members)
    this.#declareInline(name.text, body)
    const type = this.#add(name, readTags(doc).doc, isPredeclared, () => this.#body(name.text, body))
    if (type !== null && body.kind === 'union') this.#unions.add(type)
  }

  /** Members of enums that stand within other types are constants like all others. */
  #declareInline(owner: string, body: Body): void {
    if (body.kind === 'enum') return
    const parts =
      body.kind === 'struct'
        ? body.fields
        : [body.discriminant, ...body.arms.flatMap(arm => arm.declaration ?? [])]
    for (const { type, name } of parts)
      if (type.kind === 'inline') this.#declareBody(inlineName(owner, name!), type.body, null)
  }

  #add(name: Name, doc: string | null, isPredeclared: boolean, body: () => TypeBody): NamedType | null {
    const there = this.types.get(name.text)
    if (there !== undefined && !there.isPredeclared) {
      this.problems.error(
        name.place,
        `the type "${name.text}" is declared already`,
        'structs, unions, enums and typedefs share one space of names',
      )
      return null
    }
    const type: NamedType = {
      name: name.text,
      doc,
      place: name.place,
      isPredeclared,
      body: { kind: 'enum', members: [] },
      isListEntry: false,
    }
    this.types.set(name.text, type)
    this.#waiting.set(type, body)
    return type
  }

  settle(): void {
    this.constants.settle()
    const isUnion = (type: NamedType) => this.#unions.has(type)
    const types = [...this.types.values()]
    for (const type of types) if (!isUnion(type)) type.body = this.#waiting.get(type)!()
    // Cases are compared with the members of enums, which are known by now.
    for (const type of types) if (isUnion(type)) type.body = this.#waiting.get(type)!()
  }

  #body(owner: string, body: Body): TypeBody {
    switch (body.kind) {
      case 'enum':
        return { kind: 'enum', members: this.constants.members(body.members) }
      case 'struct': {
        const fields = body.fields.map(field => this.field(field, owner))
        this.distinct(fields, 'field')
        return { kind: 'struct', fields }
      }
      case 'union':
        return resolveUnion(body, owner, this)
    }
  }

  field(declaration: Declaration, owner: string): Field {
    const name = declaration.name!
    const { doc } = readTags(declaration.doc)
    return { name: name.text, type: this.type(declaration, owner), doc, place: name.place }
  }

  distinct(named: readonly { readonly name: string; readonly place: Place }[], what: string): void {
    const seen = new Set<string>()
    for (const { name, place } of named) {
      if (seen.has(name)) this.problems.error(place, `there is a ${what} "${name}" already`)
      seen.add(name)
    }
  }

  type(declaration: Declaration, owner: string): WireType {
    const style = styleBy(readTags(declaration.doc).tags, this.#style)
    const { type, shape } = declaration
    const size =
      declaration.bound === null ? null : this.constants.number(declaration.bound, 'a length', 0n, MAX_SIZE)
    const isFixed = shape === 'fixed'
    if (type.kind === 'void') return { kind: 'void' }
    if (type.kind === 'string') return { kind: 'string', max: size, style }
    if (type.kind === 'opaque') return { kind: 'opaque', isFixed, size, style }
    const of = this.#simple(type, style, owner, declaration.name)
    if (shape === 'plain') return of
    return shape === 'optional' ? { kind: 'optional', of } : { kind: 'array', of, isFixed, size }
  }

  #simple(
    type: Exclude<TypeSyntax, { kind: 'void' | 'string' | 'opaque' }>,
    style: ValueStyle,
    owner: string,
    declared: Name | null,
  ): WireType {
    if (type.kind === 'primitive') return { kind: 'primitive', primitive: type.primitive, style }
    if (type.kind === 'named') return this.#lookUp(type.name)
    // A typedef's array of an inline type, say: its element has no name of its own.
    const name =
      declared === null ? { text: `${owner}_value`, place: type.place } : inlineName(owner, declared)
    if (!this.types.has(name.text)) {
      this.#declareBody(name, type.body, null)
      const added = this.types.get(name.text)!
      this.constants.settle()
      added.body = this.#waiting.get(added)!()
    }
    return this.#lookUp(name)
  }

  #lookUp(name: Name): WireType {
    const type = this.types.get(name.text)
    if (type !== undefined) return { kind: 'named', type }
    const near = nearest(name.text, [...this.types.keys()])
    const hint =
      near === null ? 'declare it, or read the file that does by --with FILE.x' : `"${near}" is one`
    this.problems.error(name.place, `there is no type "${name.text}"`, hint)
    return { kind: 'void' }
  }

  constantList(): Constant[] {
    return [...this.#constants.values()].flatMap(({ definition, isPredeclared }) => {
      const value = this.constants.valueOf(definition.name.text)
      if (value === null) return []
      return [{ name: definition.name.text, value, doc: readTags(definition.doc).doc, isPredeclared }]
    })
  }
}

function inlineName(owner: string, field: Name): Name {
  return { text: `${owner}_${field.text}`, place: field.place }
}
