/**
 * Where things stand in an interface file, and what is said about them. A place is kept as an offset; line, column
 * and the line's text are looked up only when somebody is told.
 */

/** From this offset on the file pretends to be another: `# 12 "other.x"`. */
export interface LineMark {
  readonly offset: number
  /** The number of the line that begins at `offset`. */
  readonly line: number
  readonly name: string
}

export interface SourceFile {
  readonly name: string
  readonly text: string
  /** In the order of their offsets; the lexer adds them as it meets them. */
  readonly marks: LineMark[]
}

export interface Place {
  readonly file: SourceFile
  /** Of the first character, in UTF-16 units. */
  readonly offset: number
  /** Characters that the caret line underlines; at least 1. */
  readonly length: number
}

export interface Problem {
  readonly severity: 'error' | 'warning'
  readonly message: string
  /** What the author can do about it. */
  readonly hint: string | null
  readonly place: Place
}

/** A place as people count: both from 1, a tab is one column. */
export interface Location {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly text: string
}

export function sourceFile(name: string, text: string): SourceFile {
  return { name, text, marks: [] }
}

export function locate({ file, offset }: Place): Location {
  const at = Math.min(offset, file.text.length)
  const start = file.text.lastIndexOf('\n', at - 1) + 1
  const end = file.text.indexOf('\n', start)
  const text = file.text.slice(start, end === -1 ? undefined : end).replace(/\r$/, '')
  const mark = file.marks.findLast(one => one.offset <= at)
  const from = mark?.offset ?? 0
  const line = (mark?.line ?? 1) + countLines(file.text, from, at)
  return { file: mark?.name ?? file.name, line, column: at - start + 1, text }
}

function countLines(text: string, from: number, to: number): number {
  let lines = 0
  for (let at = text.indexOf('\n', from); at !== -1 && at < to; at = text.indexOf('\n', at + 1)) lines++
  return lines
}

/** A longer line is shown around the place only. */
const SHOWN_COLUMNS = 100

/** `F.x:3:5: error: ...`, the line, a caret under the place, and the hint. */
export function formatProblem({ severity, message, hint, place }: Problem): string {
  const { file, line, column, text } = locate(place)
  const skipped = column > SHOWN_COLUMNS ? column - SHOWN_COLUMNS / 2 : 0
  const shown = text.slice(skipped, skipped + SHOWN_COLUMNS)
  // Tabs stay tabs, so that the caret stands where a terminal puts the character.
  const indent = shown.slice(0, column - 1 - skipped).replace(/[^\t]/g, ' ')
  const tail = '~'.repeat(Math.max(0, Math.min(place.length, shown.length - indent.length) - 1))
  const lines = [`${file}:${line}:${column}: ${severity}: ${message}`, `  ${shown}`, `  ${indent}^${tail}`]
  if (hint !== null) lines.push(`  hint: ${hint}`)
  return lines.join('\n')
}

/** More errors than this in one run are not told: they mostly follow from the first ones. */
export const MAX_ERRORS = 50

/** Gathers what is said about one run's files, each place's errors once. */
export class Problems {
  readonly list: Problem[] = []
  #errors = 0

  error(place: Place, message: string, hint: string | null = null): void {
    this.#errors++
    if (this.#errors > MAX_ERRORS) return
    this.list.push({ severity: 'error', message, hint, place })
  }

  warn(place: Place, message: string, hint: string | null = null): void {
    if (this.list.length >= 2 * MAX_ERRORS) return
    this.list.push({ severity: 'warning', message, hint, place })
  }

  /** All errors, told or not. */
  get errorCount(): number {
    return this.#errors
  }
}
