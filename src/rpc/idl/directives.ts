/** The lines that begin with `#`, and what `%#define` lines let C know. */
import { evaluateCondition } from './conditions.ts'
import { type LexerOptions, type Lexing, lexFile, Scanner, type SpecialLine } from './lexer.ts'
import { type Place, type SourceFile, sourceFile } from './source.ts'
import type { MacroConstant, Token } from './tokens.ts'

const MAX_INCLUDE_DEPTH = 16
const MAX_INCLUDED_FILES = 200

/** What the macro processor of rpcgen has defined when it writes the header, where all types are. */
const PREDEFINED: Readonly<Record<string, string>> = { RPC_HDR: '1' }

/** `name value` of a `#define`; a bracket right behind the name makes it a function. */
const DEFINE = /^(\s*define\s+)([A-Za-z_]\w*)(\(?)(.*)$/s

export class Directives {
  readonly constants: MacroConstant[] = []
  readonly #lexing: Lexing
  readonly #include: NonNullable<LexerOptions['include']>
  /** For `#if`. */
  readonly #macros = new Map<string, string>()
  /** For names that stand for other words than a constant. */
  readonly #replacements = new Map<string, readonly Token[]>()
  #depth = 0
  #includedFiles = 0

  constructor(lexing: Lexing, options: LexerOptions) {
    this.#lexing = lexing
    this.#include = options.include ?? (() => null)
    for (const [name, text] of Object.entries(PREDEFINED)) this.#macros.set(name, text)
    for (const [name, text] of Object.entries(options.defines ?? {})) {
      const file = sourceFile(`-D${name}`, text)
      this.#define({ name, at: 0, text, file, doc: null }, false)
    }
  }

  replacement(name: string): readonly Token[] | undefined {
    return this.#replacements.get(name)
  }

  enter(file: SourceFile): Conditions {
    return new Conditions(this.#lexing, this, file)
  }

  /** @returns whether `#if text` holds; `null` if it cannot be told */
  holds(text: string): boolean | null {
    const value = evaluateCondition(text, this.#macros)
    return value === null ? null : value !== 0
  }

  isDefined(name: string): boolean {
    return this.#macros.has(name)
  }

  /** A line that C gets; what it defines as a number is known to us too, since C's side would know it. */
  passedThrough({ file, offset, text }: SpecialLine): void {
    const match = /^\s*#/.exec(text)
    const define = match === null ? null : DEFINE.exec(text.slice(match[0].length))
    if (define === null || define[3] === '(') return
    const at = offset + 1 + match![0].length + define[1]!.length
    this.#define({ name: define[2]!, at, text: define[4]!, file, doc: null }, true)
  }

  define(line: SpecialLine): void {
    const match = DEFINE.exec(line.text)
    const place = placeOf(line)
    if (match === null) return this.#lexing.problems.error(place, '#define needs a name')
    const [, before, name, bracket, text] = match
    if (bracket === '(') {
      const hint = 'interface files know constants; write the value where it is used'
      return this.#lexing.problems.warn(place, `#define ${name}() takes arguments and is ignored`, hint)
    }
    const at = line.offset + 1 + before!.length
    this.#define({ name: name!, at, text: text!, file: line.file, doc: line.doc }, false)
  }

  #define(
    macro: { name: string; at: number; text: string; file: SourceFile; doc: string | null },
    passedThrough: boolean,
  ): void {
    const { name, file, doc } = macro
    if (!passedThrough) this.#macros.set(name, macro.text)
    const start = file.text.startsWith(name, macro.at) ? macro.at + name.length : 0
    const body = this.#tokensOf(file, start, start + macro.text.length, macro.text)
    if (body === null || body.length === 0) return
    const place = { file, offset: macro.at, length: Math.max(1, start - macro.at) }
    if (looksLikeValue(body)) this.constants.push({ name, place, body, doc, passedThrough })
    else if (!passedThrough) this.#replacements.set(name, body)
  }

  /** @returns `null` for what is not of this language's words */
  #tokensOf(file: SourceFile, from: number, to: number, text: string): Token[] | null {
    const tokens: Token[] = []
    let strange = false
    const scanner = new Scanner(file, { error: () => (strange = true) } as never, from, to)
    while (!scanner.isAtEnd) scanner.takeToken({ push: token => void tokens.push(token) }, true)
    // A line that continues has backslashes in the file, which the blanked text has not.
    if (strange && text.trim() !== '')
      return tokens.length > 0 && file.text.slice(from, to).includes('\\') ? tokens : null
    return tokens
  }

  undefine(name: string): void {
    this.#macros.delete(name)
    this.#replacements.delete(name)
  }

  include(line: SpecialLine): void {
    const { problems } = this.#lexing
    const match = /^\s*include\s*(?:"([^"]*)"|<([^>]*)>)/.exec(line.text)
    const place = placeOf(line)
    if (match === null) return problems.error(place, '#include needs a name in quotes')
    const name = match[1] ?? match[2]!
    // What C needs is not for us: types that rpcgen takes from there are known (netobj) or have to be declared.
    if (match[2] !== undefined || /\.h$/.test(name))
      return problems.warn(place, `${name} is C's and is not read`, 'declare what is needed of it here')
    if (this.#depth >= MAX_INCLUDE_DEPTH || this.#includedFiles >= MAX_INCLUDED_FILES)
      return problems.error(
        place,
        'files include each other without end',
        `at most ${MAX_INCLUDE_DEPTH} deep`,
      )
    const found = this.#include(name, line.file.name)
    if (found === null)
      return problems.error(
        place,
        `${name} cannot be read`,
        'it is looked for beside this file, then in each --include DIR',
      )
    this.#includedFiles++
    this.#depth++
    lexFile(this.#lexing, sourceFile(found.name, found.text))
    this.#depth--
  }
}

/** Numbers, strings and names with operators between them are a constant; a type's words are not. */
function looksLikeValue(body: readonly Token[]): boolean {
  const [first] = body
  if (first!.kind === 'string') return body.length === 1
  if (body.some(({ text }) => /^[{}[\],;:=]$/.test(text))) return false
  return (
    first!.kind === 'number' ||
    /^[-~(]$/.test(first!.text) ||
    (body.length > 2 && body[1]!.kind === 'punctuation')
  )
}

export function placeOf({ file, offset, text }: SpecialLine): Place {
  return { file, offset, length: 1 + text.length }
}

interface Branch {
  readonly place: Place
  readonly outerActive: boolean
  active: boolean
  taken: boolean
  hasElse: boolean
}

/** The `#if`s of one file. */
export class Conditions {
  readonly #lexing: Lexing
  readonly #directives: Directives
  readonly #file: SourceFile
  readonly #branches: Branch[] = []

  constructor(lexing: Lexing, directives: Directives, file: SourceFile) {
    this.#lexing = lexing
    this.#directives = directives
    this.#file = file
  }

  get active(): boolean {
    return this.#branches.at(-1)?.active ?? true
  }

  directive(line: SpecialLine): void {
    const match = /^\s*([A-Za-z_]\w*|\d+|)\s*(.*)$/s.exec(line.text)!
    const [, word = '', rest = ''] = match
    if (this.#conditional(line, word, rest.trim()) || !this.active) return
    const { problems } = this.#lexing
    switch (word) {
      case 'define':
        return this.#directives.define(line)
      case 'undef':
        return this.#directives.undefine(rest.trim())
      case 'include':
        return this.#directives.include(line)
      case 'error':
        return problems.error(placeOf(line), rest.trim() === '' ? '#error' : rest.trim())
      case '':
      case 'ident':
      case 'pragma':
      case 'sccs':
      case 'warning':
        return
      default:
        if (word === 'line' || /^\d/.test(word))
          this.#lineMark(line, word === 'line' ? rest : `${word} ${rest}`)
        else problems.warn(placeOf(line), `#${word} is not known and is ignored`)
    }
  }

  /** @returns true if that was a line of this kind */
  #conditional(line: SpecialLine, word: string, rest: string): boolean {
    switch (word) {
      case 'if':
        this.#open(line, () => this.#holds(line, rest))
        return true
      case 'ifdef':
        this.#open(line, () => this.#directives.isDefined(rest))
        return true
      case 'ifndef':
        this.#open(line, () => !this.#directives.isDefined(rest))
        return true
      case 'elif':
        this.#next(line, false, () => this.#holds(line, rest))
        return true
      case 'else':
        this.#next(line, true, () => true)
        return true
      case 'endif':
        if (this.#branches.pop() === undefined) this.#lonely(line)
        return true
      default:
        return false
    }
  }

  #open(line: SpecialLine, holds: () => boolean): void {
    const outerActive = this.active
    const active = outerActive && holds()
    this.#branches.push({ place: placeOf(line), outerActive, active, taken: active, hasElse: false })
  }

  #next(line: SpecialLine, isElse: boolean, holds: () => boolean): void {
    const branch = this.#branches.at(-1)
    if (branch === undefined || branch.hasElse) return this.#lonely(line)
    branch.hasElse = isElse
    branch.active = branch.outerActive && !branch.taken && holds()
    branch.taken ||= branch.active
  }

  #holds(line: SpecialLine, text: string): boolean {
    const holds = this.#directives.holds(text)
    if (holds === null) {
      const hint = 'numbers, names, defined(NAME), and the operators of C but for ?: are known'
      this.#lexing.problems.error(placeOf(line), 'this condition cannot be read', hint)
    }
    return holds ?? false
  }

  #lonely(line: SpecialLine): void {
    this.#lexing.problems.error(placeOf(line), `there is no #if that this belongs to`)
  }

  /** `# 12 "F.x"`: the next line is line 12 of F.x. */
  #lineMark(line: SpecialLine, text: string): void {
    const match = /^\s*(\d+)(?:\s+"([^"]*)")?/.exec(text)
    if (match === null) return this.#lexing.problems.warn(placeOf(line), 'this line mark is ignored')
    const end = this.#file.text.indexOf('\n', line.offset + 1)
    const name = match[2] ?? this.#file.marks.at(-1)?.name ?? this.#file.name
    this.#file.marks.push({
      offset: end === -1 ? this.#file.text.length : end + 1,
      line: Number(match[1]),
      name: name === '' ? this.#file.name : name,
    })
  }

  end(): void {
    for (const { place } of this.#branches) this.#lexing.problems.error(place, 'this has no #endif')
  }
}
