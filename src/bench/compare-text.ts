/** A comparison of two runs for people. */
import type { Change, ComparedRow, Comparison, RunHead } from './compare.ts'
import { digits, rangeText } from './report/numbers.ts'
import { table } from './report-text.ts'

const CHANGE_TEXTS: Readonly<Record<Change, string>> = {
  better: 'better',
  worse: 'WORSE',
  same: 'same',
  changed: 'changed',
  unclear: 'cannot tell',
}

/** @param all - every figure; without it only those that changed */
export function comparisonText(comparison: Comparison, all: boolean): string {
  const { a, b, rows, conclusions, concluded, onlyInA, onlyInB, tolerance } = comparison
  const shown = all ? rows : rows.filter(({ change }) => change !== 'same' && change !== 'unclear')
  const counts = (Object.keys(CHANGE_TEXTS) as Change[])
    .map(change => ({ change, count: rows.filter(row => row.change === change).length }))
    .filter(({ count }) => count > 0)
    .map(({ change, count }) => `${count} ${CHANGE_TEXTS[change]}`)
  const told = [
    `bench ${comparison.of}\n${headText('A', a)}\n${headText('B', b)}`,
    `${rows.length} figures: ${counts.join(', ')}. Medians of B over those of A; what differs by ${digits(tolerance * 100)} % or less is the same.`,
    ...(shown.length === 0 ? [] : [table([['', 'A', 'B', 'B / A', 'range', ''], ...shown.map(rowText)])]),
    conclusionsText(conclusions, concluded),
    onlyText('A', onlyInA),
    onlyText('B', onlyInB),
  ]
  return told.filter(text => text !== '').join('\n\n')
}

const headText = (letter: string, { name, machine, startedAt, commit, rounds }: RunHead): string =>
  `${letter}: ${name}, ${startedAt.slice(0, 10)}${commit === null ? '' : `, commit ${commit.slice(0, 12)}`}, ${rounds} rounds; ${machine}`

const rowText = ({ name, a, b, ratio, range, change }: ComparedRow): string[] => [
  name,
  digits(a.median),
  digits(b.median),
  ratio === null ? '' : digits(ratio),
  range === null ? '' : rangeText(range[0], range[1]),
  CHANGE_TEXTS[change],
]

const verdictText = (verdict: string): string => (verdict === 'unclear' ? 'cannot tell' : verdict)

function conclusionsText(differ: Comparison['conclusions'], concluded: number): string {
  if (concluded === 0) return ''
  if (differ.length === 0) return `Both runs come to the same conclusions, all ${concluded}.`
  // What one run could not tell contradicts nothing that the other says.
  const moved = differ.filter(({ a, b }) => a !== 'unclear' && b !== 'unclear')
  const undecided = differ.length - moved.length
  const rows = [...moved, ...differ.filter(one => !moved.includes(one))].map(({ name, a, b }) => [
    name,
    verdictText(a),
    verdictText(b),
  ])
  return `Of ${concluded} conclusions ${moved.length} moved, and ${undecided} only one run could draw:\n${table([['', 'A', 'B'], ...rows])}`
}

const onlyText = (letter: string, names: readonly string[]): string =>
  names.length === 0 ? '' : `Only in ${letter}: ${names.join('; ')}`
