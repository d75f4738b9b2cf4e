/** Unions: which number of the discriminant leads to which arm (RFC 4506 §4.15). */
import type { Arm, Body } from './ast.ts'
import { readTags } from './doc-tags.ts'
import { behindNames, type Field, type ResolvedArm, type TypeBody } from './model.ts'
import type { Resolver } from './resolve.ts'

interface Range {
  readonly min: bigint
  readonly max: bigint
  /** The numbers that an enum has; `null` for others. */
  readonly members: ReadonlySet<number> | null
}

const INT: Range = { min: -(2n ** 31n), max: 2n ** 31n - 1n, members: null }

export function resolveUnion(
  body: Extract<Body, { kind: 'union' }>,
  owner: string,
  resolver: Resolver,
): TypeBody {
  const discriminant = resolver.field(body.discriminant, owner)
  const range = rangeOf(discriminant)
  if (range === null)
    resolver.problems.error(
      discriminant.place,
      'a discriminant is an int, an unsigned int, a bool or an enum',
    )
  const arms = body.arms.map(arm => resolveArm(arm, owner, resolver, range ?? INT))
  const fields = arms.flatMap(({ field }) => field ?? [])
  for (const { name, place } of fields)
    if (name === discriminant.name)
      resolver.problems.error(place, `the discriminant is called "${name}" already`)
  checkCases(body.arms, arms, resolver)
  return { kind: 'union', discriminant, arms }
}

function resolveArm(arm: Arm, owner: string, resolver: Resolver, range: Range): ResolvedArm {
  const cases = arm.cases.flatMap(expression => {
    const value = resolver.constants.number(expression, 'a case', range.min, range.max)
    if (value === null) return []
    if (range.members !== null && !range.members.has(value))
      resolver.problems.error(expression.place, `the enum of the discriminant has no ${value}`)
    return [{ value, name: expression.kind === 'name' ? expression.name : null }]
  })
  const field = arm.declaration === null ? null : resolver.field(arm.declaration, owner)
  return { cases, isDefault: arm.isDefault, field, doc: readTags(field?.doc ?? arm.doc).doc }
}

/** @returns `null` for what cannot be a discriminant; a type that is not known was told already */
function rangeOf({ type }: Field): Range | null {
  const real = behindNames(type)
  if (real.kind === 'void') return INT
  if (real.kind === 'named' && real.type.body.kind === 'enum')
    return { ...INT, members: new Set(real.type.body.members.map(({ value }) => value)) }
  if (real.kind !== 'primitive') return null
  if (real.primitive === 'int') return INT
  if (real.primitive === 'unsigned int') return { min: 0n, max: 2n ** 32n - 1n, members: null }
  return real.primitive === 'bool' ? { min: 0n, max: 1n, members: null } : null
}

function checkCases(written: readonly Arm[], arms: readonly ResolvedArm[], resolver: Resolver): void {
  const seen = new Set<number>()
  let defaults = 0
  arms.forEach((arm, at) => {
    const { place, cases } = written[at]!
    if (arm.isDefault && ++defaults > 1) resolver.problems.error(place, 'there is a default already')
    arm.cases.forEach(({ value }, index) => {
      if (seen.has(value))
        resolver.problems.error(cases[index]?.place ?? place, `there is an arm for ${value} already`)
      seen.add(value)
    })
  })
}
