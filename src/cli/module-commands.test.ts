import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

// A module of a user's own imports the package as it is installed, so these tests need the compiled one.
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const compiled = existsSync(MAIN)
const why = compiled ? '' : ' (skipped: dist is not built)'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'putnext-module-'))
})

afterEach(() => rmSync(directory, { recursive: true }))

function putnext(...words: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], {
    cwd: directory,
    encoding: 'utf8',
  })
  return { code: status, stdout, stderr }
}

describe.skipIf(!compiled)(`cli/module${why}`, () => {
  it('new: writes a module whose test passes, and that keeps every rule', () => {
    const made = putnext('module', 'new', 'hop')
    expect(made).toMatchObject({
      code: 0,
      stdout: 'hop/hop.mjs\nhop/hop.test.mjs\nhop/package.json\nhop/README.md\n',
    })
    const test = spawnSync(process.execPath, ['--test'], { cwd: join(directory, 'hop'), encoding: 'utf8' })
    expect(test.stdout).toMatch(/^# fail 0$/m)
    expect(test.stdout).toContain('drops every third packet on its way up')
    const checked = putnext('module', 'check', 'hop/hop.mjs')
    expect(checked.code).toBe(0)
    expect(checked.stdout).toMatch(/all \d+ rules kept\n$/)
  }, 60_000)

  it('new: a name with dashes, a directory of its own, and no overwriting', () => {
    expect(putnext('module', 'new', 'my-first-hop', 'there').code).toBe(0)
    expect(readFileSync(join(directory, 'there/my-first-hop.mjs'), 'utf8')).toContain(
      'export const myFirstHop = {',
    )
    const again = putnext('module', 'new', 'my-first-hop', 'there')
    expect(again.code).toBe(1)
    expect(again.stderr).toContain('--force')
    expect(putnext('module', 'new', 'my-first-hop', 'there', '--force').code).toBe(0)
    expect(putnext('module', 'new', 'Hop').code).toBe(2)
  })

  it('check: a module that breaks a rule ends with 3, and says which', () => {
    expect(putnext('module', 'new', 'hop').code).toBe(0)
    const file = join(directory, 'hop/hop.mjs')
    const text = readFileSync(file, 'utf8')
    // It forgets to free what it drops, and it drops what it does not know.
    writeFileSync(
      file,
      text.replace(
        '  if (mp.type === M_DATA) q.state.counters.down++\n',
        '  if (mp.type !== M_DATA) return\n',
      ),
    )
    const said = putnext('module', 'check', 'hop/hop.mjs', '--json')
    expect(said.code).toBe(3)
    const { result } = JSON.parse(said.stdout) as {
      result: { broken: number; results: { ok: boolean; problem: string }[] }
    }
    expect(result.broken).toBeGreaterThan(0)
    expect(result.results.filter(({ ok }) => !ok).every(({ problem }) => problem !== '')).toBe(true)
  }, 60_000)

  it('check: what cannot be parsed, and what throws, with file and line', () => {
    const [bad, throws] = [join(directory, 'bad.mjs'), join(directory, 'throws.mjs')]
    writeFileSync(bad, 'export const one = 1\nexport const two = {\n  x: 1,,\n}\n')
    writeFileSync(throws, '// first\nthrow new RangeError("too far")\n')
    const said = putnext('module', 'check', 'bad.mjs')
    expect(said.code).toBe(78)
    expect(said.stderr).toContain("bad.mjs:3 does not load: Unexpected token ','")
    expect(putnext('module', 'check', 'throws.mjs').stderr).toContain('throws.mjs:2 does not load: too far')
  })

  it('check: what is no module is told apart', () => {
    expect(putnext('module', 'check', 'none.mjs').code).toBe(1)
    writeFileSync(join(directory, 'none.mjs'), 'export const none = {}')
    expect(putnext('module', 'check', 'none.mjs')).toMatchObject({ code: 78 })
    writeFileSync(join(directory, 'broken.mjs'), 'export const = {')
    expect(putnext('module', 'check', 'broken.mjs').stderr).toContain('does not load')
  })
})
