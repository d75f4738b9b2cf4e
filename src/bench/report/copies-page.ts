/** The report of `putnext bench copies` as a page. */
import type { CopiesResult } from '../copies-result.ts'
import { timeText } from '../progress.ts'
import { bytesText } from './axis.ts'
import { armLabel } from './copies-arms.ts'
import { copiesFigures } from './copies-figures.ts'
import {
  comparisonSay,
  crossoverSay,
  lossesSay,
  requirementSay,
  throughputSay,
  upper,
} from './copies-words.ts'
import type { Table } from './figure.ts'
import { digits, narrowRange } from './numbers.ts'
import {
  commandsBlock,
  figureSection,
  list,
  pageMarkup,
  paragraphs,
  type Section,
  tableMarkup,
} from './page.ts'

/** One self-contained HTML file. */
export function copiesPage(result: CopiesResult): string {
  const { machine, mode, quick, rounds, seconds } = result
  const where =
    mode === 'tun'
      ? 'over a TUN device, the kernel as the other end'
      : 'two stacks in one process, without a device'
  const subtitle = `${quick ? 'A quick run' : 'A run'} of ${rounds} rounds, ${digits(seconds)} s for each measurement; ${where}. ${machine.processor}, ${day(machine.startedAt)}.`
  return pageMarkup({
    title: 'What copies cost',
    subtitle,
    sections: [
      inShort(result),
      lossesSection(result),
      armsSection(result),
      ...copiesFigures(result).map((one, i) => figureSection(one, i + 1)),
      methodSection(result),
      machineSection(result),
    ],
    document: result,
    fileName: `putnext-copies-${day(machine.startedAt)}.json`,
  })
}

const day = (iso: string): string => iso.slice(0, 10)

function inShort(result: CopiesResult): Section {
  const { warnings, requirements } = result
  const caution = [
    ...warnings,
    ...(result.mode === 'wire'
      ? [
          'Without a TUN device the kernel takes no part: figures of the device and of offload are about the wire only.',
        ]
      : []),
  ]
  const body = [
    paragraphs([...throughputSay(result).slice(0, 1), ...chainsSay(result), ...crossoverSay(result)]),
    requirements.length === 0 ? '' : tableMarkup(requirementTable(result)),
    list(requirements.filter(({ why }) => why !== null).map(requirementSay)),
    caution.length === 0 ? '' : `<div class="notice fine">${list(caution)}</div>`,
  ]
  return { id: 'in-short', title: 'In short', body: body.join('\n') }
}

/** The step that the whole experiment is about. */
const chainsSay = (result: CopiesResult): string[] =>
  result.comparisons
    .filter(({ arm, against }) => arm === 'e' && against === 'c')
    .map(one => comparisonSay(one, result))

const VERDICTS = { held: 'held', missed: 'missed', unclear: 'cannot tell' } as const

const requirementTable = ({ requirements }: CopiesResult): Table => ({
  caption: 'What the run had to show',
  head: ['required', 'measured', 'limit', 'verdict'],
  rows: requirements.map(({ name, unit, measured, range, limit, verdict }) => [
    name,
    { value: `${digits(measured)} ${unit}`, range: range === null ? '' : narrowRange(range[0], range[1]) },
    'atLeast' in limit ? `at least ${digits(limit.atLeast)}` : `at most ${digits(limit.atMost)}`,
    VERDICTS[verdict],
  ]),
})

const lossesSection = (result: CopiesResult): Section => ({
  id: 'losses',
  title: 'Where avoiding copies loses, or nobody can tell',
  body: list(lossesSay(result)),
})

function armsSection({ arms, missing }: CopiesResult): Section {
  const table: Table = {
    caption: 'The arms, and the bytes that each moved and had compared before anything was timed',
    head: ['arm', 'what it is', 'compared'],
    rows: arms.map(({ id, title, what, check }) => [
      armLabel(id, title),
      what,
      check === null
        ? 'not ours: not compared'
        : `${bytesText(check.bytes)}, ${sameText(check.sent, check.arrived)}`,
    ]),
  }
  const left = missing.map(
    ({ id, title, reason }) => `Not measured: ${armLabel(id, title)}. ${upper(reason)}.`,
  )
  const body = [
    paragraphs([
      'All arms move the same bytes through the same modules. A step of the experiment changes one thing; arms take turns in each round, so that what the machine does meanwhile hits all of them.',
    ]),
    tableMarkup(table),
    list(left),
  ]
  return { id: 'arms', title: 'The experiment', body: body.join('\n') }
}

const sameText = (sent: string, arrived: string): string =>
  sent === arrived ? `alike (${sent.slice(0, 12)}…)` : 'DIFFERENT'

function methodSection({ method, rounds }: CopiesResult): Section {
  const body = [
    list(method),
    paragraphs([
      `Every figure is the median of ${rounds} rounds (of fewer where its table says so), with the range beside it. Two arms are compared round by round, and a comparison is decided only if every round says the same; else the report says that it cannot tell.`,
    ]),
  ]
  return { id: 'method', title: 'How it was measured', body: body.join('\n') }
}

function machineSection({ machine, commit, commands, elapsedSeconds }: CopiesResult): Section {
  const gigabytes = `${digits(machine.memoryBytes / 1e9)} GB`
  const table: Table = {
    caption: 'The machine',
    head: ['', ''],
    rows: [
      ['processor', `${machine.processor}, ${machine.processors} of them, ${machine.architecture}`],
      ['memory', gigabytes],
      ['kernel', `Linux ${machine.kernel}`],
      ['Node.js', machine.node],
      ['Putnext', `${machine.putnext}${commit === null ? '' : `, commit ${commit.slice(0, 12)}`}`],
      ['load when it began', `${digits(machine.load)}${machine.busy ? ': others were working' : ''}`],
      ['began', machine.startedAt],
      ['took', timeText(elapsedSeconds * 1_000)],
    ],
  }
  const body = [tableMarkup(table), paragraphs(['To take it again:']), commandsBlock(commands)]
  return { id: 'machine', title: 'The machine and the commands', body: body.join('\n') }
}
