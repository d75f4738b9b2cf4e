/** Programs, versions and procedures with their numbers (RFC 5531 §12). */
import type { Definition, Expression, Name, Procedure, Version } from './ast.ts'
import { readTags } from './doc-tags.ts'
import type { Field, Program, ResolvedProcedure, ResolvedVersion } from './model.ts'
import { MAX_SIZE, type Resolver } from './resolve.ts'

type ProgramDefinition = Extract<Definition, { kind: 'program' }>

export function resolvePrograms(definitions: readonly Definition[], resolver: Resolver): Program[] {
  const found = definitions.filter((one): one is ProgramDefinition => one.kind === 'program')
  resolver.distinct(
    found.map(({ name }) => named(name)),
    'program',
  )
  const numbers = new Numbers(resolver, 'a program number')
  return found.flatMap(({ name, number, versions, doc }) => {
    const value = numbers.take(number)
    if (versions.length === 0 && resolver.problems.errorCount === 0)
      resolver.problems.error(name.place, `"${name.text}" has no version`)
    const resolved = resolveVersions(versions, resolver)
    return value === null ? [] : [{ name: name.text, number: value, versions: resolved, doc }]
  })
}

function named({ text, place }: Name): { name: string; place: Name['place'] } {
  return { name: text, place }
}

function resolveVersions(versions: readonly Version[], resolver: Resolver): ResolvedVersion[] {
  resolver.distinct(
    versions.map(({ name }) => named(name)),
    'version',
  )
  const numbers = new Numbers(resolver, 'a version number')
  return versions.flatMap(({ name, number, procedures, doc }) => {
    const value = numbers.take(number)
    const resolved = resolveProcedures(procedures, resolver)
    return value === null ? [] : [{ name: name.text, number: value, procedures: resolved, doc }]
  })
}

function resolveProcedures(procedures: readonly Procedure[], resolver: Resolver): ResolvedProcedure[] {
  resolver.distinct(
    procedures.map(({ name }) => named(name)),
    'procedure',
  )
  const numbers = new Numbers(resolver, 'a procedure number')
  return procedures.flatMap(procedure => {
    const number = numbers.take(procedure.number)
    if (number === null) return []
    const { doc, tags } = readTags(procedure.doc)
    const parameters = resolveParameters(procedure, resolver)
    const result = resolver.type({ ...procedure.result, doc: procedure.doc }, procedure.name.text)
    const isNull = number === 0 && parameters.length === 0 && result.kind === 'void'
    return [
      {
        name: procedure.name.text,
        number,
        parameters,
        result,
        doc,
        isIdempotent: isNull || tags.has('idempotent'),
      },
    ]
  })
}

/** Arguments without a name are called `argument`, or `argument1` and so on where there are several, as in rpcgen -N. */
function resolveParameters({ parameters, name, doc }: Procedure, resolver: Resolver): Field[] {
  const fields = parameters.map((parameter, at) => {
    const type = resolver.type({ ...parameter, doc }, name.text)
    const place = parameter.name?.place ?? name.place
    const own = parameters.length === 1 ? 'argument' : `argument${at + 1}`
    return { name: parameter.name?.text ?? own, type, doc: null, place }
  })
  resolver.distinct(fields, 'argument')
  return fields
}

/** Numbers of one kind, each once. */
class Numbers {
  readonly #seen = new Set<number>()
  readonly #resolver: Resolver
  readonly #what: string

  constructor(resolver: Resolver, what: string) {
    this.#resolver = resolver
    this.#what = what
  }

  take(expression: Expression): number | null {
    const value = this.#resolver.constants.number(expression, this.#what, 0n, MAX_SIZE)
    if (value === null) return null
    if (this.#seen.has(value)) {
      this.#resolver.problems.error(expression.place, `${this.#what} ${value} is there already`)
      return null
    }
    this.#seen.add(value)
    return value
  }
}
