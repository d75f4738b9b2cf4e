/** Expressions of constants: RFC 4506 has numbers and names, files in use have sums and shifts too. */
import type { Expression } from './ast.ts'
import type { Place } from './source.ts'
import { shown, type TokenReader } from './token-reader.ts'

const LEVELS: readonly (readonly string[])[] = [['|'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '/']]
const MAX_NESTING = 60
/** More digits than any number of XDR has. */
const MAX_DIGITS = 40

/** What is behind a size may end with `>`, which is no operator then: there are no comparisons. */
export function parseExpression(reader: TokenReader, level = 0, nesting = 0): Expression {
  const operators = LEVELS[level]
  if (operators === undefined) return unary(reader, nesting)
  let left = parseExpression(reader, level + 1, nesting)
  for (let terms = 0; operators.some(operator => reader.is(operator)); terms++) {
    const { text, place } = reader.take()
    // Evaluation goes as deep as there are terms.
    if (terms > MAX_NESTING) reader.fail(place, 'this expression is too long')
    const right = parseExpression(reader, level + 1, nesting)
    left = { kind: 'binary', operator: text, left, right, place: from(left.place, right.place) }
  }
  return left
}

function unary(reader: TokenReader, nesting: number): Expression {
  const token = reader.peek()
  const { place } = token
  if (nesting > MAX_NESTING) return reader.fail(place, 'this expression is nested too deeply')
  if (reader.is('-') || reader.is('~') || reader.is('+')) {
    reader.take()
    const operand = unary(reader, nesting + 1)
    return { kind: 'unary', operator: token.text, operand, place: from(place, operand.place) }
  }
  if (reader.accept('(')) {
    const inner = parseExpression(reader, 0, nesting + 1)
    reader.expect(')', 'behind the expression')
    return inner
  }
  if (token.kind === 'number') return { kind: 'number', value: numberOf(reader), place }
  if (token.kind === 'string') {
    reader.take()
    return { kind: 'string', value: token.text, place }
  }
  const { text } = reader.name('a constant')
  return { kind: 'name', name: text, place }
}

function numberOf(reader: TokenReader): bigint {
  const { text, place } = reader.take()
  const digits = text.replace(/[uUlL]+$/, '')
  if (digits.length > MAX_DIGITS) return reader.fail(place, 'no number of XDR is that long')
  if (/^0[xX][0-9a-fA-F]+$/.test(digits) || /^(0|[1-9]\d*)$/.test(digits)) return BigInt(digits)
  if (/^0[0-7]+$/.test(digits)) return BigInt(`0o${digits.slice(1)}`)
  const hint = /^0\d/.test(digits)
    ? 'a number that begins with 0 is octal'
    : 'numbers are written 10, 0xa or 012'
  return reader.fail(place, `${shown({ kind: 'number', text } as never)} is not a number`, hint)
}

function from(first: Place, last: Place): Place {
  if (first.file !== last.file || last.offset < first.offset) return first
  return { ...first, length: last.offset + last.length - first.offset }
}
