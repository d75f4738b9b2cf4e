/** Types that hold themselves: what would be of infinite size is told, and linked lists are found. */
import { behindNames, type NamedType, type Program, partsOf, type TypeBody, type WireType } from './model.ts'
import type { Problems } from './source.ts'

/** Depth to which types are followed: the walk is recursive. */
const MAX_DEPTH = 2_000

export function checkRecursion(types: readonly NamedType[], problems: Problems): void {
  const isSize = (body: TypeBody) => partsOf(body).flatMap(heldDirectly)
  tellCycles(types, isSize, (type, path) => {
    const hint = `make one of them a pointer (*) or an array (<>): ${path}`
    problems.error(type.place, `"${type.name}" holds itself, so it has no end`, hint)
  })
  if (problems.errorCount > 0) return
  // TypeScript and the codecs need something with fields between a typedef and itself.
  const byAlias = (body: TypeBody) =>
    body.kind === 'alias' ? [named(body.type)].flatMap(type => type ?? []) : []
  tellCycles(types, byAlias, (type, path) => {
    problems.error(
      type.place,
      `the typedef "${type.name}" is made of itself`,
      `put a struct between: ${path}`,
    )
  })
}

/** What a value always has within it; a pointer and an array of any length may be empty. */
function heldDirectly(type: WireType): NamedType[] {
  if (type.kind === 'named') return [type.type]
  return type.kind === 'array' && type.isFixed && type.size !== 0 ? heldDirectly(type.of) : []
}

function named(type: WireType): NamedType | null {
  while (type.kind === 'optional' || type.kind === 'array') type = type.of
  return type.kind === 'named' ? type.type : null
}

function tellCycles(
  types: readonly NamedType[],
  next: (body: TypeBody) => readonly NamedType[],
  tell: (type: NamedType, path: string) => void,
): void {
  const done = new Set<NamedType>()
  const path: NamedType[] = []
  const onPath = new Set<NamedType>()
  const visit = (type: NamedType): void => {
    if (onPath.has(type)) {
      const names = [...path.slice(path.indexOf(type)), type].map(one => one.name)
      return tell(type, names.join(' > '))
    }
    if (done.has(type) || path.length > MAX_DEPTH) return
    path.push(type)
    onPath.add(type)
    for (const part of next(type.body)) visit(part)
    path.pop()
    onPath.delete(type)
    done.add(type)
  }
  for (const type of types) visit(type)
}

/** A struct is a list's entry if its last field leads to the next one, and nobody holds one by itself. */
export function markLists(types: readonly NamedType[], programs: readonly Program[]): void {
  const heldAlone = new Set<NamedType>()
  const look = (type: WireType): void => {
    if (type.kind === 'named') heldAlone.add(type.type)
    if (type.kind === 'array') look(type.of)
    if (type.kind === 'optional' && type.of.kind !== 'named') look(type.of)
  }
  for (const { body } of types) for (const part of partsOf(body)) look(part)
  for (const { versions } of programs)
    for (const { procedures } of versions)
      for (const { parameters, result } of procedures)
        [...parameters.map(({ type }) => type), result].forEach(look)
  for (const type of types) {
    const last = type.body.kind === 'struct' && type.body.fields.length > 1 ? type.body.fields.at(-1)! : null
    if (last === null || heldAlone.has(type)) continue
    const to = behindNames(last.type)
    type.isListEntry = to.kind === 'optional' && to.of.kind === 'named' && to.of.type === type
  }
}
