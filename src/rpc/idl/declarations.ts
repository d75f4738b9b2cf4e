/** Declarations, and the bodies of enums, structs and unions. */
import type { Arm, Body, Declaration, EnumMember, Expression, Name, Shape, TypeSyntax } from './ast.ts'
import { parseExpression } from './expressions.ts'
import { ParseFailure, shown, type TokenReader } from './token-reader.ts'
import { docBefore, docBehind } from './tokens.ts'
import { parsePrimitive } from './type-syntax.ts'

/** Types may stand in types; deeper than this they cannot be read by people either. */
const MAX_NESTING = 40

/** Runs `one` until a `}` or the end; what fails is skipped. */
export function statements(reader: TokenReader, one: () => void): void {
  while (!reader.isAtEnd && !reader.is('}')) {
    try {
      one()
    } catch (error) {
      if (!(error instanceof ParseFailure)) throw error
      reader.skipStatement()
    }
  }
}

/** @param purpose - who declares: `a field` */
export function parseDeclaration(reader: TokenReader, purpose: string, nesting = 0): Declaration {
  const doc = docBefore(reader.peek())
  const type = parseType(reader, purpose, nesting)
  if (type.kind === 'void') return reader.fail(type.place, `${purpose} cannot be void`)
  const isOptional = reader.accept('*')
  const name = reader.name(purpose)
  return { type, name, ...shapeOf(reader, type, isOptional, name), doc }
}

/** The result or an argument of a procedure: its name may be left out, and it may be void. */
export function parseParameter(reader: TokenReader, purpose: string, named: boolean): Declaration {
  const type = parseType(reader, purpose, 0)
  const isOptional = type.kind !== 'void' && reader.accept('*')
  const name =
    named && type.kind !== 'void' && reader.peek().kind === 'identifier' ? reader.name(purpose) : null
  if (type.kind === 'void') return { type, name, shape: 'plain', bound: null, doc: null }
  // A string without `<>` is one without a bound here, as in rpcgen.
  const isBare = type.kind === 'string' && !reader.is('<') && !isOptional
  const shape = isBare ? { shape: 'variable' as const, bound: null } : shapeOf(reader, type, isOptional, name)
  return { type, name, ...shape, doc: null }
}

function shapeOf(
  reader: TokenReader,
  type: TypeSyntax,
  isOptional: boolean,
  name: Name | null,
): { shape: Shape; bound: Expression | null } {
  const { place } = reader.peek()
  if (reader.is('[') || reader.is('<')) {
    const isFixed = reader.take().text === '['
    if (isOptional)
      reader.fail(place, 'an array cannot be optional', 'typedef the array, and make that optional')
    if (isFixed && type.kind === 'string') reader.fail(place, 'a string has no fixed length', 'write <N>')
    if (isFixed && reader.is(']'))
      reader.fail(place, 'the length of this array is missing', 'or write <> for any length')
    const bound = !isFixed && reader.is('>') ? null : parseExpression(reader)
    reader.expect(isFixed ? ']' : '>', 'behind the length')
    return { shape: isFixed ? 'fixed' : 'variable', bound }
  }
  if (type.kind === 'opaque' || type.kind === 'string') {
    const what = name?.text ?? type.kind
    const hint = type.kind === 'string' ? `${what}<> or ${what}<N>` : `${what}[N], ${what}<> or ${what}<N>`
    reader.fail(isOptional ? type.place : place, `this ${type.kind} has no length`, hint)
  }
  return { shape: isOptional ? 'optional' : 'plain', bound: null }
}

function parseType(reader: TokenReader, purpose: string, nesting: number): TypeSyntax {
  const primitive = parsePrimitive(reader)
  if (primitive !== null) return primitive
  const { text, place, kind } = reader.peek()
  if (kind !== 'identifier')
    return reader.fail(place, `${purpose} begins with a type, not ${shown(reader.peek())}`)
  switch (text) {
    case 'opaque':
    case 'string':
    case 'void':
      reader.take()
      return { kind: text, place }
    case 'enum':
    case 'struct':
    case 'union':
      return tagged(reader, text, nesting)
    default:
      return { kind: 'named', name: reader.name('a type') }
  }
}

/** `struct name`, as in C, or a type that is written where it is used (RFC 4506 §6.3). */
function tagged(reader: TokenReader, kind: 'enum' | 'struct' | 'union', nesting: number): TypeSyntax {
  const { place } = reader.take()
  if (!reader.is('{') && !reader.is('switch'))
    return { kind: 'named', name: reader.name(`a type behind ${kind}`) }
  if (nesting > MAX_NESTING)
    return reader.fail(place, 'types are nested too deeply', 'give the inner ones names')
  return { kind: 'inline', body: parseBody(reader, kind, nesting + 1), place }
}

export function parseBody(reader: TokenReader, kind: 'enum' | 'struct' | 'union', nesting: number): Body {
  if (kind === 'enum') return enumBody(reader)
  return kind === 'struct' ? structBody(reader, nesting) : unionBody(reader, nesting)
}

function enumBody(reader: TokenReader): Body {
  const open = reader.expect('{', 'in front of the members')
  const members: EnumMember[] = []
  while (!reader.is('}') && !reader.isAtEnd) {
    const doc = docBefore(reader.peek())
    const name = reader.name('a member of an enum')
    const value = reader.accept('=') ? parseExpression(reader) : null
    const isLast = !reader.accept(',')
    if (isLast && !reader.is('}')) reader.expect(',', 'between the members')
    members.push({ name, value, doc: doc ?? docBehind(reader.peek()) })
  }
  reader.expect('}', 'behind the members')
  if (members.length === 0) reader.fail(open.place, 'this enum has no members')
  return { kind: 'enum', members }
}

function structBody(reader: TokenReader, nesting: number): Body {
  const open = reader.expect('{', 'in front of the fields')
  const before = reader.problems.errorCount
  const fields: Declaration[] = []
  statements(reader, () => fields.push(field(reader, nesting)))
  reader.expect('}', 'behind the fields')
  if (fields.length === 0 && reader.problems.errorCount === before)
    reader.problems.error(open.place, 'this struct has no fields')
  return { kind: 'struct', fields }
}

function field(reader: TokenReader, nesting: number): Declaration {
  const declaration = parseDeclaration(reader, 'a field', nesting)
  reader.expect(';', 'behind the field')
  return { ...declaration, doc: declaration.doc ?? docBehind(reader.peek()) }
}

function unionBody(reader: TokenReader, nesting: number): Body {
  reader.expect('switch', 'behind the name of the union')
  reader.expect('(', 'in front of the discriminant')
  const discriminant = parseDeclaration(reader, 'a discriminant', nesting)
  reader.expect(')', 'behind the discriminant')
  const open = reader.expect('{', 'in front of the arms')
  const before = reader.problems.errorCount
  const arms: Arm[] = []
  statements(reader, () => arms.push(arm(reader, nesting)))
  reader.expect('}', 'behind the arms')
  if (arms.length === 0 && reader.problems.errorCount === before)
    reader.problems.error(open.place, 'this union has no arms')
  return { kind: 'union', discriminant, arms }
}

function arm(reader: TokenReader, nesting: number): Arm {
  const { place } = reader.peek()
  const doc = docBefore(reader.peek())
  const cases: Expression[] = []
  while (reader.accept('case')) {
    cases.push(parseExpression(reader))
    reader.expect(':', 'behind the case')
  }
  const isDefault = cases.length === 0
  if (isDefault) {
    if (!reader.accept('default'))
      reader.fail(place, `an arm begins with case or default, not ${shown(reader.peek())}`)
    reader.expect(':', 'behind default')
  }
  const isVoid = reader.accept('void')
  const declaration = isVoid ? null : parseDeclaration(reader, 'an arm', nesting)
  reader.expect(';', 'behind the arm')
  return { cases, isDefault, declaration, place, doc: doc ?? declaration?.doc ?? docBehind(reader.peek()) }
}
