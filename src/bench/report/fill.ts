/**
 * Numbers of a document that come from a run. In Markdown a mark is a comment, which no reader sees:
 *
 *     chains move <!--$ arms.e.figures.gbitPerSecond -->3.14<!--/--> Gbit/s
 *
 * What stands between the two comments is written from the result. A mark alone on its line is followed by whole lines.
 * A path leads through the result; of an array it names an element by its `id`, `name`, `arm/against`, `bytes` or `x`.
 * `says.NAME` is what the report says, `table.NAME` the table of a figure.
 */
import { StackError } from '../../base/errors.ts'
import type { CopiesArmId, CopiesResult, Order } from '../copies-result.ts'
import type { Ratio, Summary } from '../statistics.ts'
import { bytesText } from './axis.ts'
import { copiesFigures } from './copies-figures.ts'
import {
  comparisonSay,
  copiedSay,
  crossoverSay,
  extremesSay,
  lossesSay,
  modulesSay,
  operationsSay,
  orderText,
  requirementSay,
  runSay,
  takenSay,
  throughputSay,
} from './copies-words.ts'
import type { Cell, Table } from './figure.ts'
import { digits, rangeText } from './numbers.ts'

const MARK = /<!--\$ ([^|>]+?)(?: \| (\w+))? -->([\s\S]*?)<!--\/-->/g

/** One copy at every boundary, one at all, none. */
const LAYER_ARMS: readonly CopiesArmId[] = ['c', 'd', 'e']

type Say = (result: CopiesResult) => readonly string[]

const SAYS: Readonly<Record<string, Say>> = {
  taken: takenSay,
  run: runSay,
  throughput: throughputSay,
  layers: ({ comparisons, ...rest }) =>
    comparisons
      .filter(({ arm, against }) => LAYER_ARMS.includes(arm) && LAYER_ARMS.includes(against))
      .map(one => comparisonSay(one, { ...rest, comparisons })),
  crossover: crossoverSay,
  copied: copiedSay,
  modules: modulesSay,
  operations: operationsSay,
  losses: lossesSay,
  latency: result => extremesSay(result, 'p50Us'),
  syscalls: result => extremesSay(result, 'syscallsPerMb'),
  heap: result => extremesSay(result, 'heapBytesPerGb'),
  requirements: result => result.requirements.map(requirementSay),
}

/** @returns the text with everything between marks written anew. @throws StackError `ERR_NOT_FOUND` for a path that leads nowhere */
export function fillFigures(text: string, result: CopiesResult): string {
  return text.replace(MARK, (_, path: string, format: string | undefined, old: string) => {
    const isBlock = old.startsWith('\n')
    const filled = isBlock ? `\n${blockOf(result, path)}\n` : inlineOf(result, path, format)
    return `<!--$ ${path}${format === undefined ? '' : ` | ${format}`} -->${filled}<!--/-->`
  })
}

/** Digits that come from nowhere: outside of marks, of code, of the targets of links, and of the numbers of a list. */
export function unmarkedNumbers(text: string): string[] {
  const prose = text
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(MARK, '')
    .replace(/`[^`]*`/g, '')
    .replace(/\]\([^)]*\)/g, ']')
    .replace(/^\d+\. /gm, '')
  return [...prose.matchAll(/\S*\d\S*/g)].map(found => found[0])
}

/** Marks that Markdown would take for the beginning of a block: what follows on their line would be no Markdown. */
export const misplacedMarks = (text: string): string[] =>
  [...text.matchAll(/^(?:[-*] |\d+\. )?<!--\$ [^>]+ -->.+$/gm)].map(found => found[0])

function sentences(result: CopiesResult, path: string): readonly string[] | null {
  const [first, name = ''] = split(path)
  if (first !== 'says') return null
  const comparison = result.comparisons.find(({ arm, against }) => `${arm}/${against}` === name)
  if (comparison !== undefined) return [comparisonSay(comparison, result)]
  const pair = /^(\w+)\/(\w+)$/.exec(name)
  // A run without root has fewer arms, and the document says so.
  if (pair !== null) return [`Not measured in this run: (${pair[1]}) over (${pair[2]}).`]
  return SAYS[name]?.(result) ?? lost(path)
}

function blockOf(result: CopiesResult, path: string): string {
  const said = sentences(result, path)
  if (said !== null) return said.map(text => `- ${text}`).join('\n')
  const [first, name] = split(path)
  const found = first === 'table' ? copiesFigures(result).find(({ id }) => id === name) : undefined
  const table = found?.tables[0]
  return table === undefined ? lost(path) : markdownTable(table)
}

/** `a.b` apart at the first dot: what a sentence or a table is named by has dots of its own. */
function split(path: string): [string, string] {
  const dot = path.indexOf('.')
  return dot < 0 ? [path, ''] : [path.slice(0, dot), path.slice(dot + 1)]
}

function inlineOf(result: CopiesResult, path: string, format: string | undefined): string {
  const said = sentences(result, path)
  return said === null ? formatted(valueAt(result, path), format, path, result.rounds) : said.join(' ')
}

function valueAt(result: CopiesResult, path: string): unknown {
  let at: unknown = result
  for (const key of path.split('.')) {
    at = Array.isArray(at)
      ? at.find(one => namesOf(one).includes(key))
      : (at as Record<string, unknown> | null)?.[key]
    if (at === undefined) return lost(path)
  }
  return at
}

function namesOf(one: Record<string, unknown>): string[] {
  const pair = 'arm' in one ? [`${one['arm']}/${one['against']}`] : []
  return [...pair, ...['id', 'name', 'bytes', 'x'].filter(key => key in one).map(key => String(one[key]))]
}

function formatted(value: unknown, format: string | undefined, path: string, rounds: number): string {
  const given = value as Partial<Summary & Ratio> | null
  const middle = given?.medianOfRatios ?? given?.median
  if (format === 'range' && middle !== undefined) return rangeText(given!.min!, given!.max!)
  if (format === 'bytes' && typeof value === 'number') return bytesText(value)
  if (format === 'order') return orderText(value as Order, rounds)
  if (format !== undefined) return lost(`${path} | ${format}`)
  if (typeof value === 'string') return value
  if (typeof value === 'number') return digits(value)
  return middle === undefined ? lost(path) : digits(middle)
}

function markdownTable({ head, rows }: Table): string {
  const cell = (one: Cell): string =>
    typeof one === 'string' ? one : `${one.value}${one.range === '' ? '' : ` (${one.range})`}`
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [row(head), row(head.map(() => '---')), ...rows.map(cells => row(cells.map(cell)))].join('\n')
}

function lost(path: string): never {
  throw new StackError('ERR_NOT_FOUND', `the run has nothing at ${path}`, {
    hint: 'look it up in the JSON, or take the run on a machine that measures it',
  })
}
