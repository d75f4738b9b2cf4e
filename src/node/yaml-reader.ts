/**
 * YAML files for people: what is wrong is told with the line and column where it stands, all of it at once.
 * Shared by node files and lab files.
 */
import * as v from 'valibot'
import { isMap, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import { StackError } from '../base/errors.ts'
import { didYouMean } from './did-you-mean.ts'

/** The keys and indexes that lead from the top of a file to a value. */
export type ConfigPath = readonly (string | number)[]

export interface ConfigProblem {
  /** Counted from 1. */
  readonly line: number
  readonly column: number
  /** As `nodes.n1.mtu`; '' for the whole file. */
  readonly where: string
  readonly message: string
}

/** Text of a problem as compilers write it, so that editors find the place. */
export function problemText(file: string, problem: ConfigProblem): string {
  const where = problem.where === '' ? '' : `${problem.where}: `
  return `${file}:${problem.line}:${problem.column}: ${where}${problem.message}`
}

/** Bad configuration with every problem found; the message has one line for each. */
export class ConfigError extends StackError {
  readonly problems: readonly ConfigProblem[]

  constructor(file: string, problems: readonly ConfigProblem[]) {
    const inOrder = [...problems].sort((a, b) => a.line - b.line || a.column - b.column)
    super('ERR_BAD_CONFIG', inOrder.map(problem => problemText(file, problem)).join('\n'))
    this.problems = inOrder
  }
}

/** Keys that start with this are the reader's own business: comments, anchors. They are left out everywhere. */
export const EXTENSION_PREFIX = 'x-'

function withoutExtensions(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutExtensions)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([key]) => !key.startsWith(EXTENSION_PREFIX))
  return Object.fromEntries(entries.map(([key, one]) => [key, withoutExtensions(one)]))
}

/** A parsed file that still knows where everything stands. */
export class ConfigFile {
  readonly name: string
  /** Plain values; `x-` keys are gone. */
  readonly value: unknown
  private readonly root: Node | null
  private readonly lines: LineCounter

  /**
   * @param name - for messages, as the user gave it
   * @throws {@link ConfigError} for text that is not YAML, or has a key twice
   */
  constructor(name: string, text: string) {
    this.name = name
    this.lines = new LineCounter()
    const document = parseDocument(text, { lineCounter: this.lines, merge: true, prettyErrors: false })
    this.root = document.contents
    if (document.errors.length > 0) {
      const problems = document.errors.map(error => ({
        ...this.lineOf(error.pos[0]),
        where: '',
        message: error.message,
      }))
      throw new ConfigError(name, problems)
    }
    // More aliases than any honest file has: the well-known way to make a small file huge.
    try {
      this.value = withoutExtensions(document.toJS({ maxAliasCount: 100 }))
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      throw new ConfigError(name, [{ line: 1, column: 1, where: '', message }])
    }
  }

  private lineOf(offset: number): { line: number; column: number } {
    const { line, col } = this.lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }

  /**
   * Where a value stands; for one that is missing, where it should be.
   * @param atKey - the key itself, not what stands behind it
   */
  positionOf(path: ConfigPath, atKey = false): { line: number; column: number } {
    let node: unknown = this.root
    let offset = this.root?.range?.[0] ?? 0
    for (const [depth, key] of path.entries()) {
      const last = depth === path.length - 1
      if (isMap(node)) {
        const pair = node.items.find(
          item => String(isScalar(item.key) ? item.key.value : item.key) === String(key),
        )
        if (!isPair(pair)) break
        const keyOffset = (pair.key as Node | null)?.range?.[0] ?? offset
        const valueNode = pair.value as Node | null
        offset =
          (last && atKey) || valueNode?.range == null || isMap(valueNode) ? keyOffset : valueNode.range[0]
        node = valueNode
      } else if (isSeq(node)) {
        node = node.items[Number(key)]
        if (node === undefined) break
        offset = (node as Node).range?.[0] ?? offset
      } else break
    }
    return this.lineOf(offset)
  }

  problem(path: ConfigPath, message: string, atKey = false): ConfigProblem {
    return { ...this.positionOf(path, atKey), where: pathText(path), message }
  }

  /**
   * Checks the file's value against a schema.
   * @throws {@link ConfigError} with every problem
   */
  check<const S extends v.GenericSchema>(schema: S): v.InferOutput<S> {
    const result = v.safeParse(schema, this.value)
    if (result.success) return result.output
    throw new ConfigError(
      this.name,
      result.issues.map(issue => this.problemOf(issue, schema)),
    )
  }

  private problemOf(issue: v.BaseIssue<unknown>, schema: v.GenericSchema): ConfigProblem {
    const inner = deepest(issue)
    const path = [...pathOf(issue), ...(inner === issue ? [] : pathOf(inner))]
    const isKey = inner.path?.at(-1)?.origin === 'key'
    return this.problem(path, messageOf(inner, path, isKey, schema), isKey)
  }
}

export function pathText(path: ConfigPath): string {
  return path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`)).join('')
}

function pathOf(issue: v.BaseIssue<unknown>): (string | number)[] {
  return (issue.path ?? []).map(item => item.key as string | number)
}

/** Of the forms that a value could have had, the one that it comes nearest to. */
function deepest(issue: v.BaseIssue<unknown>): v.BaseIssue<unknown> {
  const inner = issue.issues ?? []
  if (issue.type !== 'union' || inner.length === 0) return issue
  const best = [...inner].sort((a, b) => (b.path?.length ?? 0) - (a.path?.length ?? 0))[0]!
  return (best.path?.length ?? 0) > 0 ? best : issue
}

function messageOf(
  issue: v.BaseIssue<unknown>,
  path: ConfigPath,
  isKey: boolean,
  schema: v.GenericSchema,
): string {
  if (issue.kind === 'schema' && isKey) {
    const key = String(path.at(-1))
    if (issue.expected !== 'never') return `the key ${key} is missing`
    const guess = didYouMean(key, knownKeys(schema, path.slice(0, -1)))
    return `unknown key ${JSON.stringify(key)}; ${guess}`
  }
  if (issue.kind === 'schema' && issue.expected !== null)
    return `must be ${issue.expected}, not ${issue.received}`
  return issue.message
}

/** The keys that a schema has at a path, for guesses; unions give those of all their forms. */
function knownKeys(schema: unknown, path: ConfigPath): string[] {
  const at = schema as Partial<Record<'wrapped' | 'value' | 'item', unknown>> & {
    type?: string
    options?: unknown[]
    entries?: Record<string, unknown>
  }
  if (at === undefined || at === null) return []
  if (at.wrapped !== undefined) return knownKeys(at.wrapped, path)
  if ((at.type === 'union' || at.type === 'variant') && at.options !== undefined)
    return at.options.flatMap(option => knownKeys(option, path))
  if (path.length === 0) return Object.keys(at.entries ?? {})
  const [key, ...rest] = path
  if (at.entries !== undefined) return knownKeys(at.entries[String(key)], rest)
  return knownKeys(at.type === 'record' ? at.value : at.item, rest)
}
