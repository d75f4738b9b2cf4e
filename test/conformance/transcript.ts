/**
 * Transcripts: text files of commands, each with the output that is expected below it, indented. A case begins at a line with
 * `## `, in a stack of its own; comments begin with `# `. See docs/guides/scripting-tcp.md for the language.
 */
import { ORIGIN, type Origin, Player } from './player.ts'

export interface Step {
  readonly command: string
  readonly expected: readonly string[]
}

export interface Case {
  readonly title: string
  /** Everything as it stands in the file: comments and empty lines too, so that the file can be written again. */
  readonly parts: readonly (Step | string)[]
}

export interface Transcript {
  /** What stands before the first case. */
  readonly preface: readonly string[]
  readonly cases: readonly Case[]
}

const TITLE = '## '
const INDENT = '  '

export function parseTranscript(text: string): Transcript {
  const preface: string[] = []
  const cases: { title: string; parts: (Step | string)[] }[] = []
  for (const line of text.replace(/\n$/, '').split('\n')) {
    const current = cases.at(-1)
    if (line.startsWith(TITLE)) cases.push({ title: line.slice(TITLE.length), parts: [] })
    else if (current === undefined) preface.push(line)
    else if (line.startsWith(INDENT)) expectOutput(current.parts, line.slice(INDENT.length))
    else if (line === '' || line.startsWith('#')) current.parts.push(line)
    else current.parts.push({ command: line, expected: [] })
  }
  return { preface, cases }
}

function expectOutput(parts: (Step | string)[], line: string): void {
  const step = parts.at(-1)
  if (step === undefined || typeof step === 'string') throw new Error(`no command in front of "${line}"`)
  parts[parts.length - 1] = { ...step, expected: [...step.expected, line] }
}

/** Runs the commands of a case. @returns the case with what they really said, and whether anything leaked */
export function play(one: Case, origin: Origin = ORIGIN): Case {
  return perform(one, new Player(origin))
}

/** As {@link play}, with our own numbers on the main flow wrapping within the first bytes. */
export function playAtWrap(one: Case): Case {
  const player = new Player()
  perform(one, player)
  if (player.ourIsn === null) return one
  // RFC 6528: the clock that initial sequence numbers come from ticks every 4 microseconds.
  const ticks = (2 ** 32 - BYTES_TO_WRAP - player.ourIsn + 2 ** 32) % 2 ** 32
  // On a whole millisecond, so that deadlines are met at the times that are written.
  const startUs = Math.ceil((4 * ticks) / 1_000) * 1_000
  return perform(one, new Player({ startUs, peerIsn: 2 ** 32 - BYTES_TO_WRAP }))
}

const BYTES_TO_WRAP = 300

function perform(one: Case, player: Player): Case {
  const parts = one.parts.map(part => {
    if (typeof part === 'string') return part
    return { command: part.command, expected: player.run(part.command) }
  })
  player.finish()
  return { title: one.title, parts }
}

export function showCase({ title, parts }: Case): string {
  const lines = parts.flatMap(part =>
    typeof part === 'string' ? [part] : [part.command, ...part.expected.map(line => INDENT + line)],
  )
  return [TITLE + title, ...lines].join('\n')
}

export function showTranscript({ preface, cases }: Transcript): string {
  return `${[...preface, ...cases.map(showCase)].join('\n')}\n`
}
