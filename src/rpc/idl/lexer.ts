/**
 * An interface file as tokens. Lines that begin with `#` are followed as the C preprocessor would, as far as interface
 * files need it; lines that begin with `%` belong to C and are passed over.
 *
 * @see RFC 4506 §6.2 for the words, and rpcgen(1) for what stands around them
 */
import { Directives } from './directives.ts'
import type { Problems, SourceFile } from './source.ts'
import { type Comment, commentText, type MacroConstant, type Token, type TokenKind } from './tokens.ts'

/** Bounds on what files, inclusions and macros may grow to. */
export const MAX_TOKENS = 500_000
const MAX_MACRO_DEPTH = 16

export interface Included {
  /** As it is shown in messages. */
  readonly name: string
  readonly text: string
}

export interface LexerOptions {
  /**
   * Reads what `#include "name"` means.
   * @param from - the name of the file that includes
   * @returns `null` if there is no such file
   */
  readonly include?: (name: string, from: string) => Included | null
  /** As if by `#define` before the first line. */
  readonly defines?: Readonly<Record<string, string>>
}

export interface Tokens {
  readonly tokens: readonly Token[]
  readonly constants: readonly MacroConstant[]
}

/** What all files of one run share. */
export class Lexing {
  readonly tokens: Token[] = []
  readonly directives: Directives
  readonly problems: Problems

  constructor(problems: Problems, options: LexerOptions) {
    this.problems = problems
    this.directives = new Directives(this, options)
  }

  /** Adds a token, or what it stands for. */
  push(token: Token, depth = 0): void {
    if (this.tokens.length >= MAX_TOKENS) {
      if (this.tokens.length === MAX_TOKENS) {
        this.problems.error(token.place, 'this is too long', `at most ${MAX_TOKENS} words are read`)
        this.tokens.push({ ...token, kind: 'end' })
      }
      return
    }
    const body = token.kind === 'identifier' ? this.directives.replacement(token.text) : undefined
    if (body === undefined || depth >= MAX_MACRO_DEPTH) {
      this.tokens.push(token)
      return
    }
    // What a macro stands for is placed where its name was written.
    const { place, line } = token
    body.forEach((part, at) => {
      this.push({ ...part, place, line, comments: at === 0 ? token.comments : [] }, depth + 1)
    })
  }
}

/** @returns tokens, with one of kind `end` as the last */
export function tokenize(files: readonly SourceFile[], problems: Problems, options: LexerOptions): Tokens {
  const lexing = new Lexing(problems, options)
  for (const file of files) lexFile(lexing, file)
  const last = files.at(-1)!
  const place = { file: last, offset: last.text.length, length: 1 }
  lexing.tokens.push({ kind: 'end', text: '', place, line: 0, comments: [] })
  return { tokens: lexing.tokens, constants: lexing.directives.constants }
}

export function lexFile(lexing: Lexing, file: SourceFile): void {
  const scanner = new Scanner(file, lexing.problems)
  const conditions = lexing.directives.enter(file)
  while (!scanner.isAtEnd && lexing.tokens.length <= MAX_TOKENS) {
    const line = scanner.takeSpecialLine()
    if (line?.sign === '%') lexing.directives.passedThrough(line)
    else if (line !== null) conditions.directive(line)
    else scanner.takeToken(lexing, conditions.active)
  }
  conditions.end()
}

/** A line that begins with `#` or `%`. */
export interface SpecialLine {
  readonly sign: '#' | '%'
  readonly file: SourceFile
  /** Of the sign. */
  readonly offset: number
  /** Behind the sign; lines that a backslash joins are one, comments are blanks of the same length. */
  readonly text: string
  /** A comment that stands in the line. */
  readonly doc: string | null
}

const SPACE = /[ \t\r\n\f\v]+/y
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y
const NUMBER = /[0-9][A-Za-z0-9_]*/y
const SPECIAL_LINE = /[ \t]*([#%])((?:\\\r?\n|[^\n])*)/y
const PUNCTUATION = /<<|>>|[{}()[\]<>=,;:*+\-/~|&]/y

/** Reads tokens of one text. */
export class Scanner {
  readonly #file: SourceFile
  readonly #text: string
  readonly #problems: Problems
  #at = 0
  #line = 0
  #lineOfLast = -1
  #isLineStart = true
  #comments: Comment[] = []
  /** The next one that was not counted. */
  #newline: number

  constructor(file: SourceFile, problems: Problems, from = 0, to = file.text.length) {
    this.#file = file
    this.#text = file.text.slice(0, to)
    this.#problems = problems
    this.#at = from
    this.#newline = this.#newlineFrom(from)
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length
  }

  /** Takes the line that begins here, if it is not the interface language's. */
  takeSpecialLine(): SpecialLine | null {
    if (!this.#isLineStart) return null
    SPECIAL_LINE.lastIndex = this.#at
    const match = SPECIAL_LINE.exec(this.#text)
    if (match === null) return null
    const whole = match[0]
    const raw = match[2]!
    const offset = this.#at + whole.indexOf(match[1]!)
    // A comment that begins in a directive may end lines later; the one of a line that C gets is C's business.
    const open = match[1] === '#' ? openComment(raw) : -1
    const size = open === -1 ? whole.length : offset + 1 + open - this.#at
    const line = {
      sign: match[1] as '#' | '%',
      file: this.#file,
      offset,
      text: blanked(open === -1 ? raw : raw.slice(0, open)),
      doc: commentIn(raw),
    }
    this.#advance(this.#at + size)
    this.#isLineStart = open === -1 && this.#text[this.#at] === undefined
    return line
  }

  /** Takes blanks, a comment or a token; what is not `active` is passed over, and nothing in it is wrong. */
  takeToken(lexing: Pick<Lexing, 'push'>, active: boolean): void {
    const start = this.#at
    if (this.#match(SPACE) !== null) {
      this.#isLineStart ||= this.#text.slice(start, this.#at).includes('\n')
      return
    }
    this.#isLineStart = false
    if (this.#text.startsWith('/*', start) || this.#text.startsWith('//', start)) return this.#comment(active)
    const found = this.#kindOfNext()
    if (found !== null) {
      if (active) lexing.push(this.#token(found.kind, found.text, start))
      return
    }
    this.#at++
    if (active) this.#strange(start)
  }

  #kindOfNext(): { kind: TokenKind; text: string } | null {
    const word = this.#match(WORD)
    if (word !== null) return { kind: 'identifier', text: word }
    const number = this.#match(NUMBER)
    if (number !== null) return { kind: 'number', text: number }
    const string = this.#string()
    if (string !== null) return { kind: 'string', text: string }
    const punctuation = this.#match(PUNCTUATION)
    return punctuation === null ? null : { kind: 'punctuation', text: punctuation }
  }

  #token(kind: TokenKind, text: string, start: number): Token {
    const place = { file: this.#file, offset: start, length: this.#at - start }
    const comments = this.#comments
    this.#comments = []
    this.#lineOfLast = this.#line
    return { kind, text, place, line: this.#line, comments }
  }

  /** A string ends on its line; one without an end is the single quotation mark, which is then strange. */
  #string(): string | null {
    if (this.#text[this.#at] !== '"') return null
    const match = /"((?:[^"\\\n]|\\.)*)"/y
    match.lastIndex = this.#at
    const found = match.exec(this.#text)
    if (found === null) return null
    this.#at += found[0].length
    return found[1]!
  }

  #comment(active: boolean): void {
    const start = this.#at
    const isLine = this.#text[start + 1] === '/'
    const end = this.#text.indexOf(isLine ? '\n' : '*/', start + 2)
    if (end === -1 && !isLine && active)
      this.#problems.error(
        { file: this.#file, offset: start, length: 2 },
        'this comment has no end',
        'add */ behind it',
      )
    const firstLine = this.#line
    this.#advance(end === -1 ? this.#text.length : isLine ? end : end + 2)
    if (!active) return
    const text = commentText(this.#text.slice(start, this.#at))
    const trailing = firstLine === this.#lineOfLast
    this.#comments.push({ text, trailing, firstLine, lastLine: this.#line })
  }

  #strange(start: number): void {
    const character = String.fromCodePoint(this.#text.codePointAt(start)!)
    this.#at = start + character.length
    this.#problems.error(
      { file: this.#file, offset: start, length: character.length },
      character === '"'
        ? 'this string has no end on its line'
        : `the character ${shown(character)} has no meaning here`,
      character === "'" ? 'strings stand in double quotes, and characters are written as numbers' : null,
    )
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match === null) return null
    this.#advance(this.#at + match[0].length)
    return match[0]
  }

  #advance(to: number): void {
    while (this.#newline < to) {
      this.#line++
      this.#newline = this.#newlineFrom(this.#newline + 1)
    }
    this.#at = to
  }

  /** Looked for once each, or a long line would be looked through at every word of it. */
  #newlineFrom(at: number): number {
    const found = this.#text.indexOf('\n', at)
    return found === -1 ? Number.POSITIVE_INFINITY : found
  }
}

function shown(character: string): string {
  const code = character.codePointAt(0)!
  return code > 0x20 && code < 0x7f ? character : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}

/** Where a comment begins in a line that does not end there; -1 if none. */
function openComment(line: string): number {
  const closed = line.replace(/\/\*.*?\*\//g, comment => ' '.repeat(comment.length)).replace(/\/\/.*/, '')
  return closed.indexOf('/*')
}

function blanked(line: string): string {
  return line
    .replace(/\\\r?\n/g, match => ' '.repeat(match.length))
    .replace(/\/\*.*?(?:\*\/|$)|\/\/.*/g, comment => ' '.repeat(comment.length))
    .trimEnd()
}

function commentIn(line: string): string | null {
  const match = /\/\*.*?\*\/|\/\/.*/.exec(line)
  const text = match === null ? '' : commentText(match[0])
  return text === '' ? null : text
}
