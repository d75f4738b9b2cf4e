/** What is done with a measurement that was taken, as data; see {@link CommandSpec}. */
import type { CommandSpec } from './command.ts'

const benchReport: CommandSpec = {
  name: 'bench report',
  summary: 'draw the report of a run of bench copies',
  description:
    'Reads what putnext bench copies --json wrote, and writes one HTML file: plots, tables, what they say in words, the machine, and the JSON itself. It needs nothing else to be read.',
  arguments: [{ name: 'FILE', summary: 'the JSON of a run' }],
  options: {
    output: { type: 'string', short: 'o', value: 'FILE', summary: 'where to', fallback: 'stdout' },
  },
  examples: [
    { command: 'bench report docs/benchmarks/copies.json -o report.html', text: 'then open it in a browser' },
  ],
  load: async () => (await import('./bench-report.ts')).benchReport,
}

const benchCompare: CommandSpec = {
  name: 'bench compare',
  summary: 'two runs of a measurement, of two commits or machines',
  description:
    'Reads what putnext bench wrote with --json, twice. A figure is better or worse only if the ranges of the two runs do not overlap and their medians differ by more than the tolerance; where they overlap, it says that it cannot tell.',
  arguments: [
    { name: 'A', summary: 'the JSON of the first run' },
    { name: 'B', summary: 'the JSON of the second' },
  ],
  options: {
    tolerance: {
      type: 'number',
      value: 'PERCENT',
      min: 0,
      max: 1_000,
      summary: 'what differs by so much or less is the same',
      fallback: '5',
    },
    all: { type: 'flag', short: 'a', summary: 'also figures that did not change' },
    check: { type: 'flag', summary: 'exit code 3 if a figure got worse' },
  },
  examples: [
    { command: 'bench compare before.json after.json --check', text: 'two commits' },
    { command: 'bench compare here.json there.json --all', text: 'two machines' },
  ],
  load: async () => (await import('./bench-report.ts')).benchCompare,
}

export const BENCH_REPORT_COMMANDS: readonly CommandSpec[] = [benchReport, benchCompare]
