/** The arms of a union as TypeScript sees them: which values of the discriminant each has. */
import { behindNames, type Field, type ResolvedArm, type TypeBody } from './model.ts'
import { memberName } from './names.ts'
import { enumBehind, type TypeScriptNames } from './typescript-names.ts'

export type UnionBody = Extract<TypeBody, { kind: 'union' }>

export interface ArmText {
  readonly field: Field | null
  /** Of the discriminant, as they stand behind `case`; empty for the rest. */
  readonly cases: readonly string[]
  /** The type of the discriminant in this arm. */
  readonly type: string
}

export interface UnionText {
  readonly arms: readonly ArmText[]
  /** The last one, for all other values. */
  readonly rest: ArmText | null
  /** Whether values are left that no arm has: a bool or an enum can be exhausted. */
  readonly isOpen: boolean
  /** A number, of which TypeScript cannot take some values away: `rest` has all. */
  readonly isNumber: boolean
}

export function unionText(body: UnionBody, names: TypeScriptNames): UnionText {
  const { discriminant } = body
  const all = allValues(discriminant)
  const cased = body.arms.filter(({ isDefault }) => !isDefault)
  const left =
    all === null ? null : all.filter(value => !cased.some(arm => arm.cases.some(one => one.value === value)))
  const arms = cased.map(arm => armText(arm, discriminant, names))
  const standard = body.arms.find(({ isDefault }) => isDefault)
  const hasRest = standard !== undefined && (left === null || left.length > 0)
  const rest = hasRest
    ? { field: standard.field, cases: [], type: restType(discriminant, arms, left, names) }
    : null
  return { arms, rest, isOpen: !hasRest && (left === null || left.length > 0), isNumber: all === null }
}

/** The values that a discriminant can have; `null` for a number. */
function allValues({ type }: Field): number[] | null {
  const of = enumBehind(type)
  if (of?.body.kind === 'enum') return [...new Set(of.body.members.map(({ value }) => value))]
  const real = behindNames(type)
  return real.kind === 'primitive' && real.primitive === 'bool' ? [0, 1] : null
}

function armText({ cases, field }: ResolvedArm, discriminant: Field, names: TypeScriptNames): ArmText {
  const texts = cases.map(({ value, name }) => valueText(value, name, discriminant, names))
  return { field, cases: texts, type: texts.map(typeOf).join(' | ') }
}

function typeOf(text: string): string {
  return text.includes('.') ? `typeof ${text}` : text
}

function valueText(value: number, name: string | null, { type }: Field, names: TypeScriptNames): string {
  const of = enumBehind(type)
  if (of?.body.kind === 'enum') {
    const own = of.body.members.filter(member => member.value === value)
    const member = (own.find(one => one.name === name) ?? own[0])!
    return `${names.type(of)}.${memberName(member.name)}`
  }
  const real = behindNames(type)
  return real.kind === 'primitive' && real.primitive === 'bool' ? String(value === 1) : String(value)
}

function restType(
  discriminant: Field,
  arms: readonly ArmText[],
  left: readonly number[] | null,
  names: TypeScriptNames,
): string {
  if (left === null) return 'number'
  const of = enumBehind(discriminant.type)
  if (of !== null && arms.length === 0) return names.type(of)
  if (of === null || left.length <= arms.length)
    return left.map(value => typeOf(valueText(value, null, discriminant, names))).join(' | ')
  return `Exclude<${names.type(of)}, ${arms.map(({ type }) => type).join(' | ')}>`
}
