/** The parser's hand on the tokens: looking ahead, expecting, and getting on after a mistake. */
import type { Name } from './ast.ts'
import { KEYWORDS } from './ast.ts'
import type { Place, Problems } from './source.ts'
import type { Token } from './tokens.ts'

/** What cannot be read is told, then thrown away up to where reading can go on. Never leaves the parser. */
export class ParseFailure extends Error {}

export class TokenReader {
  readonly problems: Problems
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(tokens: readonly Token[], problems: Problems) {
    this.#tokens = tokens
    this.problems = problems
  }

  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)]!
  }

  take(): Token {
    const token = this.peek()
    if (token.kind !== 'end') this.#at++
    return token
  }

  get isAtEnd(): boolean {
    return this.peek().kind === 'end'
  }

  /** Whether the next word is this one; a string is never. */
  is(text: string): boolean {
    const token = this.peek()
    return token.text === text && (token.kind === 'identifier' || token.kind === 'punctuation')
  }

  /** Takes the word if it is the next one. */
  accept(text: string): boolean {
    const found = this.is(text)
    if (found) this.#at++
    return found
  }

  /** @param purpose - what the word is for: `behind a definition` */
  expect(text: string, purpose: string): Token {
    if (this.is(text)) return this.take()
    // What is missing at the end of a line is shown there, not at the beginning of the next one.
    const before = this.#tokens[this.#at - 1]
    const next = this.peek()
    const atEnd = before !== undefined && before.line !== next.line && before.place.file === next.place.file
    const place = atEnd
      ? { file: before.place.file, offset: before.place.offset + before.place.length, length: 1 }
      : next.place
    // A statement that lacks only its end costs nothing but this message.
    if (atEnd && text === ';') {
      this.problems.error(place, `";" is missing ${purpose}`)
      return next
    }
    return this.fail(place, `"${text}" is missing ${purpose}`, atEnd ? null : `${shown(next)} stands here`)
  }

  name(purpose: string): Name {
    const token = this.peek()
    if (token.kind !== 'identifier')
      return this.fail(token.place, `${purpose} needs a name, not ${shown(token)}`)
    if (KEYWORDS.has(token.text)) {
      const hint = 'words of the language cannot be names'
      return this.fail(token.place, `${purpose} cannot be called "${token.text}"`, hint)
    }
    this.take()
    return { text: token.text, place: token.place }
  }

  fail(place: Place, message: string, hint: string | null = null): never {
    this.problems.error(place, message, hint)
    throw new ParseFailure()
  }

  /** Goes on behind the next `;`, or in front of a `}` that nothing here opened. Takes at least one word. */
  skipStatement(): void {
    for (let depth = 0; !this.isAtEnd; ) {
      if (depth === 0 && this.is('}')) return
      const { text, kind } = this.take()
      if (kind !== 'punctuation') continue
      if (text === '{') depth++
      else if (text === '}') depth--
      else if (text === ';' && depth === 0) return
    }
  }
}

export function shown(token: Token): string {
  if (token.kind === 'end') return 'the end of the file'
  return token.kind === 'string' ? `the string "${token.text.slice(0, 20)}"` : `"${token.text.slice(0, 40)}"`
}
