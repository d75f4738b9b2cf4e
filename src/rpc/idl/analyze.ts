/** From the text of an interface file to its meaning, or to what is wrong with it. Nothing here reads files. */
import type { Definition } from './ast.ts'
import { type LexerOptions, tokenize } from './lexer.ts'
import type { Interface, ValueStyle } from './model.ts'
import { parseInterface, parseMacro } from './parser.ts'
import { PREDECLARED } from './predeclared.ts'
import { resolveInterface } from './resolve.ts'
import { type Problem, Problems, sourceFile } from './source.ts'

export interface InterfaceText {
  /** As it is shown in messages. */
  readonly name: string
  readonly text: string
}

export interface AnalyzeOptions extends LexerOptions {
  /** How values look in TypeScript where no comment says otherwise: a hyper is a bigint, a string UTF-8, an opaque copied. */
  readonly style?: Partial<ValueStyle>
}

export interface Analysis {
  /** `null` if there are errors. */
  readonly interface: Interface | null
  /** Errors and warnings, in the order in which they were found. */
  readonly problems: readonly Problem[]
  /** More than the told ones, if there were too many. */
  readonly errorCount: number
}

/** @param files - read as if they were one, the first first */
export function analyze(files: readonly InterfaceText[], options: AnalyzeOptions = {}): Analysis {
  const problems = new Problems()
  const style = { hyper: 'bigint', string: 'utf8', opaque: 'bytes', ...options.style } as const
  const definitions = definitionsOf(files, problems, options)
  const predeclared = definitionsOf([{ name: 'rpc.h', text: PREDECLARED }], problems, {})
  const found = resolveInterface(definitions, predeclared, problems, { style })
  const { errorCount } = problems
  return { interface: errorCount === 0 ? found : null, problems: problems.list, errorCount }
}

function definitionsOf(
  files: readonly InterfaceText[],
  problems: Problems,
  options: LexerOptions,
): Definition[] {
  const sources = files.map(({ name, text }) => sourceFile(name, text))
  const { tokens, constants } = tokenize(sources, problems, options)
  const macros = constants.flatMap(macro => parseMacro(macro, problems) ?? [])
  return [...macros, ...parseInterface(tokens, problems)]
}
