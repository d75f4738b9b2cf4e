/**
 * Tokens into definitions. A mistake costs the statement that it stands in; the rest is read all the same.
 *
 * @see RFC 4506 §6.3 and RFC 5531 §12.2 for the grammar
 */
import type { Definition, Procedure, Version } from './ast.ts'
import { parseBody, parseDeclaration, parseParameter, statements } from './declarations.ts'
import { parseExpression } from './expressions.ts'
import type { Problems } from './source.ts'
import { shown, TokenReader } from './token-reader.ts'
import { docBefore, docBehind, type MacroConstant, type Token } from './tokens.ts'

export function parseInterface(tokens: readonly Token[], problems: Problems): Definition[] {
  const reader = new TokenReader(tokens, problems)
  const definitions: Definition[] = []
  while (!reader.isAtEnd) {
    const before = problems.errorCount
    statements(reader, () => {
      const found = definition(reader)
      if (found !== null) definitions.push(found)
    })
    if (!reader.is('}')) continue
    // What failed within braces leaves the closing one; otherwise it is one too many.
    const { place } = reader.take()
    if (problems.errorCount === before) problems.error(place, 'this closes nothing')
    if (reader.is(';') || reader.is('=')) reader.skipStatement()
  }
  return definitions
}

/** `#define NAME expression`, as a definition. */
export function parseMacro(macro: MacroConstant, problems: Problems): Definition | null {
  const { name, place, passedThrough, doc } = macro
  const end: Token = { kind: 'end', text: '', place, line: -1, comments: [] }
  // What C gets need not be of our language.
  const quiet = passedThrough ? ({ error: () => {} } as unknown as Problems) : problems
  const reader = new TokenReader([...macro.body, end], quiet)
  let definition: Definition | null = null
  statements(reader, () => {
    const value = parseExpression(reader)
    if (!reader.isAtEnd)
      reader.fail(reader.peek().place, `the value of ${name} ends before ${shown(reader.peek())}`)
    definition = { kind: 'const', name: { text: name, place }, value, doc, passedThrough, isMacro: true }
  })
  return definition
}

function definition(reader: TokenReader): Definition | null {
  const first = reader.peek()
  const doc = docBefore(first)
  switch (first.kind === 'identifier' ? first.text : '') {
    case 'const':
      return constant(reader, doc)
    case 'typedef':
      return typedef(reader, doc)
    case 'enum':
    case 'struct':
    case 'union':
      return type(reader, doc)
    case 'program':
      return program(reader, doc)
    default:
      if (reader.accept(';')) return null
      return reader.fail(
        first.place,
        `no definition begins with ${shown(first)}`,
        'const, typedef, enum, struct, union or program is expected',
      )
  }
}

function constant(reader: TokenReader, doc: string | null): Definition {
  reader.take()
  const name = reader.name('a constant')
  reader.expect('=', 'behind the name of the constant')
  const value = parseExpression(reader)
  reader.expect(';', 'behind the constant')
  return {
    kind: 'const',
    name,
    value,
    doc: doc ?? docBehind(reader.peek()),
    passedThrough: false,
    isMacro: false,
  }
}

function typedef(reader: TokenReader, doc: string | null): Definition {
  reader.take()
  const declaration = parseDeclaration(reader, 'a typedef')
  reader.expect(';', 'behind the typedef')
  return { kind: 'typedef', declaration, doc: doc ?? docBehind(reader.peek()) }
}

function type(reader: TokenReader, doc: string | null): Definition {
  const kind = reader.take().text as 'enum' | 'struct' | 'union'
  const name = reader.name(kind === 'enum' ? 'an enum' : `a ${kind}`)
  const body = parseBody(reader, kind, 0)
  reader.expect(';', `behind the ${kind}`)
  return { kind: 'type', name, body, doc }
}

function program(reader: TokenReader, doc: string | null): Definition {
  reader.take()
  const name = reader.name('a program')
  reader.expect('{', 'behind the name of the program')
  const versions: Version[] = []
  statements(reader, () => versions.push(version(reader)))
  reader.expect('}', 'behind the versions')
  reader.expect('=', 'in front of the number of the program')
  const number = parseExpression(reader)
  reader.expect(';', 'behind the program')
  return { kind: 'program', name, versions, number, doc }
}

function version(reader: TokenReader): Version {
  const doc = docBefore(reader.peek())
  if (!reader.accept('version'))
    reader.fail(
      reader.peek().place,
      `a program is made of versions, not ${shown(reader.peek())}`,
      'version NAME { ... } = 1;',
    )
  const name = reader.name('a version')
  reader.expect('{', 'behind the name of the version')
  const procedures: Procedure[] = []
  statements(reader, () => procedures.push(procedure(reader)))
  reader.expect('}', 'behind the procedures')
  reader.expect('=', 'in front of the number of the version')
  const number = parseExpression(reader)
  reader.expect(';', 'behind the version')
  return { name, procedures, number, doc }
}

function procedure(reader: TokenReader): Procedure {
  const doc = docBefore(reader.peek())
  const result = parseParameter(reader, 'a result', false)
  const name = reader.name('a procedure')
  reader.expect('(', 'behind the name of the procedure')
  const parameters = parseParameters(reader)
  reader.expect(')', 'behind the arguments')
  reader.expect('=', 'in front of the number of the procedure')
  const number = parseExpression(reader)
  reader.expect(';', 'behind the procedure')
  return { name, result, parameters, number, doc: doc ?? docBehind(reader.peek()) }
}

function parseParameters(reader: TokenReader): Procedure['parameters'] {
  if (reader.is(')')) return []
  const parameters = [parseParameter(reader, 'an argument', true)]
  while (reader.accept(',')) parameters.push(parseParameter(reader, 'an argument', true))
  const nothing = parameters.find(({ type }) => type.kind === 'void')
  if (nothing === undefined) return parameters
  if (parameters.length > 1 && nothing.type.kind === 'void')
    reader.fail(nothing.type.place, 'void is no argument beside others')
  return []
}
