import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { COMMANDS, GROUPS } from './commands.ts'
import { runProgram } from './program.ts'
import { runLine } from './testing.ts'

const PROGRAM = { commands: COMMANDS, groups: GROUPS }

const SCRIPT = `{"cmd":"socket"}
{"cmd":"bind","fd":3,"port":80}
{"cmd":"listen","fd":3}
# somebody comes
{"cmd":"accept","fd":3}
{"cmd":"inject","packet":{"source":"198.51.100.7","destination":"192.0.2.1","sourcePort":4,"destinationPort":80,"flags":"S"}}
{"cmd":"expect"}
nonsense
{"cmd":"advance","s":4}
{"cmd":"expect","decode":true}`

describe('cli/tcp-script', () => {
  it('each command has an answer, a wrong line too; what waits at the end is told so; exit code 0', async () => {
    const { code, stdout, stderr } = await runLine(PROGRAM, 'tcp script', { stdin: SCRIPT })
    const answers = stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)
    expect(answers.map(({ line, ok, error }) => [line, ok, error])).toEqual([
      [1, true, undefined],
      [2, true, undefined],
      [3, true, undefined],
      [6, true, undefined],
      [7, true, undefined],
      [8, false, 'bad-json'],
      [9, true, undefined],
      [10, true, undefined],
      [5, false, 'end-of-input'],
    ])
    const packets = answers[7]!['packets'] as { at: number }[]
    // RFC 6298 §5.5: the SYN-ACK again after 1 s and after 2 more.
    expect(packets.map(({ at }) => at)).toEqual([1_000_000, 3_000_000])
    expect([code, stderr]).toEqual([0, ''])
  })

  it('the same script has the same answers, to the byte; another seed has other sequence numbers', async () => {
    const run = async (seed: number) =>
      (await runLine(PROGRAM, 'tcp script', { stdin: `{"cmd":"config","seed":${seed}}\n${SCRIPT}` })).stdout
    const [one, again, other] = [await run(5), await run(5), await run(6)]
    expect(again).toBe(one)
    expect(other).not.toBe(one)
  })

  it('answers come while the input goes on', async () => {
    const stdin = new PassThrough()
    const stdout = new PassThrough()
    const host = { stdin, stdout, stderr: new PassThrough(), env: {} }
    const ended = runProgram(PROGRAM, ['tcp', 'script'], host, new AbortController().signal)
    const next = (): Promise<string> =>
      new Promise(resolve => stdout.once('data', chunk => resolve(String(chunk))))
    const first = next()
    stdin.write('{"cmd":"now","id":1}\n{"cmd":"now","id"')
    expect(await first).toContain('"id":1')
    const second = next()
    stdin.write(':2}\n')
    expect(await second).toContain('"id":2')
    stdin.end()
    expect(await ended).toBe(0)
  })
})
