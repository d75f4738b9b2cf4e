import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '../../src/sim/script/commands.ts'
import { Session } from '../../src/sim/script/session.ts'
import { POLL_EVENTS } from '../../src/sim/script/socket-look.ts'
import { parseTranscript, play, showCase } from './transcript.ts'

const GUIDE = readFileSync('docs/guides/scripting-tcp.md', 'utf8')
const blocks = (language: string): string[] =>
  [...GUIDE.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(match => match[1]!)

const quoted = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
/** An expected answer as a pattern: `…` is anything. */
const pattern = (text: string): RegExp => new RegExp(`^${text.split('…').map(quoted).join('.*')}$`)

describe('docs/guides/scripting-tcp.md', () => {
  it.each(blocks('jsonl'))('the answers are those that the guide shows: %#', block => {
    const lines = block.trimEnd().split('\n')
    const answers: string[] = []
    const session = new Session(COMMANDS, line => answers.push(line))
    for (const line of lines) {
      if (!line.startsWith('=> ')) {
        expect(answers, 'answers that the guide does not show').toEqual([])
        session.line(line)
      } else expect(answers.shift() ?? 'no answer').toMatch(pattern(line.slice(3)))
    }
    expect(answers).toEqual([])
    expect(session.end()).toBeNull()
  })

  it('the first script is the shipped file, which does what it says, to the end', () => {
    const script = readFileSync('docs/examples/scripts/handshake.jsonl', 'utf8')
    const commands = script.split('\n').filter(line => line !== '' && !line.startsWith('#'))
    expect(
      blocks('jsonl')[0]!
        .split('\n')
        .filter(line => line !== '' && !line.startsWith('=> ')),
    ).toEqual(commands)
    const answers: Record<string, unknown>[] = []
    const session = new Session(COMMANDS, line => answers.push(JSON.parse(line)))
    for (const line of script.split('\n')) session.line(line)
    expect(session.end()).toBeNull()
    expect(answers.length).toBe(commands.length)
    expect(answers.filter(({ ok }) => ok !== true)).toEqual([])
    expect(answers.filter(({ id }) => id === 'the accept')).toMatchObject([{ value: 4 }])
  })

  it('every event of poll is in the guide', () => {
    for (const event of POLL_EVENTS) expect(GUIDE).toMatch(new RegExp(`\\b${event}\\b`))
  })

  it('the transcript is what is said', () => {
    const [text] = blocks('transcript')
    const { cases } = parseTranscript(text!)
    expect(cases.length).toBe(1)
    expect(showCase(play(cases[0]!))).toBe(showCase(cases[0]!))
  })

  it('every command is in the guide', () => {
    for (const name of Object.keys(COMMANDS)) expect(GUIDE).toContain(`\`${name}\``)
  })
})
