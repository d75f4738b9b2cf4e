import { describe, expect, it } from 'vitest'
import { COMMANDS, GROUPS } from './commands.ts'
import { runLine } from './testing.ts'

const PROGRAM = { commands: COMMANDS, groups: GROUPS }

describe('cli/sim-run', () => {
  it('each seed of a range has a line, and the same each time', async () => {
    const first = await runLine(PROGRAM, 'sim run tcp --seeds 2-3')
    expect(first.code).toBe(0)
    expect(first.stdout).toMatch(/^seed 2: ok, .+\nseed 3: ok, .+\n$/)
    expect((await runLine(PROGRAM, 'sim run tcp --seeds 2-3')).stdout).toBe(first.stdout)
  })

  it('--json: a line for each run, and an envelope that counts at the end', async () => {
    const { stdout } = await runLine(PROGRAM, 'sim run tcp --seeds 2-3 --json')
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as object)
    expect(lines).toMatchObject([
      { seed: 2, problems: [] },
      { seed: 3, problems: [] },
      { version: 1, command: 'sim run', ok: true, exitCode: 0, result: { runs: 2, failed: 0 } },
    ])
  })

  it.each([
    ['sim run udp', 'there is no scenario "udp"'],
    ['sim run tcp --seeds x', 'is no seed'],
    ['sim run tcp --seeds 9-1', 'write: --seeds 1-9'],
  ])('%s: exit code 2', async (line, text) => {
    const said = await runLine(PROGRAM, line)
    expect(said.code).toBe(2)
    expect(said.stderr).toContain(text)
  })
})
