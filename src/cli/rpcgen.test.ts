import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { COMMANDS, GROUPS } from './commands.ts'
import { runLine } from './testing.ts'

const program = { commands: COMMANDS, groups: GROUPS, internal: [] }
let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'putnext-rpcgen-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}

const SUM = 'program CALC_PROG { version CALC_V1 { int SUM(int a, int b) = 1; } = 1; } = 0x20000001;\n'

describe('cli/rpcgen', () => {
  it('writes the five files, the same bytes each time, and the dissector if it is asked for', async () => {
    const [from, out] = [file('calc.x', SUM), join(directory, 'out')]
    const said = await runLine(program, ['rpcgen', from, '-o', out])
    expect(said).toMatchObject({ code: 0, stderr: '' })
    const names = [
      'calc-client.ts',
      'calc-codecs.ts',
      'calc-procedures.ts',
      'calc-server.ts',
      'calc-types.ts',
    ]
    expect(readdirSync(out).sort()).toEqual(names)
    const read = () => names.map(name => readFileSync(join(out, name), 'utf8'))
    const before = read()
    expect((await runLine(program, ['rpcgen', from, '-o', out, '--wireshark'])).stdout).toContain('calc.lua')
    expect(read()).toEqual(before)
    expect(before[0]).toContain('sum(a: number, b: number, options?: RpcCallOptions): Promise<number>')
  })

  it('checks only, without -o; includes are looked for beside the file and in -I', async () => {
    file('types.x', 'typedef int number_t;')
    const from = file('a.x', '#include "types.x"\nstruct s { number_t n; opaque o[SIZE]; };')
    const said = await runLine(program, ['rpcgen', from, '-D', 'SIZE=4'])
    expect(said).toMatchObject({ code: 0, stdout: `${from}: 2 types, 0 programs, no errors\n` })
    expect(readdirSync(directory).sort()).toEqual(['a.x', 'types.x'])
  })

  it('errors go to stderr with file, line, column, caret and hint; exit code 3, and nothing is written', async () => {
    const from = file('bad.x', 'struct point { int x; };\nstruct s {\n  piont p;\n  strin q;\n};\n')
    const said = await runLine(program, ['rpcgen', from, '-o', join(directory, 'out')])
    expect(said.code).toBe(3)
    expect(said.stdout).toBe('')
    expect(said.stderr).toContain(
      `${from}:3:3: error: there is no type "piont"\n    piont p;\n    ^~~~~\n  hint: "point" is one`,
    )
    expect(said.stderr).toContain(`${from}:4:3: error`)
    expect(said.stderr).toMatch(/2 errors\n$/)
    expect(readdirSync(directory)).toEqual(['bad.x'])
    const json = await runLine(program, ['rpcgen', from, '--json'])
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: false,
      exitCode: 3,
      result: { errors: 2, problems: [{ line: 3, column: 3 }, { line: 4 }] },
    })
  })

  it('a file that is not there, and an option that makes no sense', async () => {
    expect((await runLine(program, ['rpcgen', join(directory, 'none.x')])).code).toBe(1)
    expect((await runLine(program, ['rpcgen', file('calc.x', SUM), '--wireshark'])).code).toBe(2)
  })
})
