/** What the lexer makes of an interface file. */
import type { Place } from './source.ts'

export interface Comment {
  /** Without the comment signs and the stars at the beginnings of lines. */
  readonly text: string
  /** It begins on the line where the token before it stands, so it speaks about that one. */
  readonly trailing: boolean
  /** Lines of the file, from 0. */
  readonly firstLine: number
  readonly lastLine: number
}

export type TokenKind = 'identifier' | 'number' | 'string' | 'punctuation' | 'end'

export interface Token {
  readonly kind: TokenKind
  /** As written; a string without its quotes. */
  readonly text: string
  readonly place: Place
  readonly line: number
  /** What stands between the token before and this one. */
  readonly comments: readonly Comment[]
}

/** A `#define` that names a constant. */
export interface MacroConstant {
  readonly name: string
  readonly place: Place
  /** An expression, or one string. */
  readonly body: readonly Token[]
  readonly doc: string | null
  /** From a line that is passed through to C (`%#define`): known if somebody asks, never an error. */
  readonly passedThrough: boolean
}

/** The comment signs taken off, and the indentation that all lines share. */
export function commentText(raw: string): string {
  const inner = raw.startsWith('//') ? raw.slice(2) : raw.slice(2).replace(/\*\/$/, '')
  const lines = inner.split(/\r?\n/).map(line => line.replace(/^[ \t]*\*+(?=[ \t]|$)[ \t]?/, '').trimEnd())
  const first = lines.findIndex(line => line.trim() !== '')
  if (first === -1) return ''
  const last = lines.findLastIndex(line => line.trim() !== '')
  return lines
    .slice(first, last + 1)
    .map(line => line.trim())
    .join('\n')
}

/** The comment that speaks about what begins with this token: the last ones before it, without an empty line between. */
export function docBefore(token: Token): string | null {
  const own: string[] = []
  let line = token.line
  for (const comment of token.comments.toReversed()) {
    if (comment.trailing || comment.lastLine < line - 1) break
    own.unshift(comment.text)
    line = comment.firstLine
  }
  const text = own.filter(part => part !== '').join('\n')
  return text === '' ? null : text
}

/** The comment behind a declaration, on its line; found at the token that follows. */
export function docBehind(next: Token): string | null {
  const text = next.comments
    .filter(comment => comment.trailing)
    .map(comment => comment.text)
    .filter(part => part !== '')
    .join('\n')
  return text === '' ? null : text
}
