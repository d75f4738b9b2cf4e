import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { COMMANDS, GROUPS } from './commands.ts'
import { EXIT_CHECK_FAILED, EXIT_DONE, EXIT_FAILED, EXIT_USAGE } from './exit-codes.ts'
import { runLine, type Said } from './testing.ts'

const SAMPLE = fileURLToPath(new URL('../../test/bench/copies-sample.json', import.meta.url))
const MODULES = fileURLToPath(new URL('../../docs/benchmarks/2026-11-21-modules.json', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'putnext-report-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = (...words: string[]): Promise<Said> =>
  runLine({ commands: COMMANDS, groups: GROUPS }, ['bench', ...words])

/** The sample in an envelope, with modules that take twice the time. */
function slowerFile(): string {
  const result = JSON.parse(readFileSync(SAMPLE, 'utf8'))
  const { moduleSlope: slope } = result
  const samples = slope.samples.map((sample: number) => sample * 2)
  result.moduleSlope = { ...slope, samples, median: slope.median * 2, min: slope.min * 2, max: slope.max * 2 }
  const path = join(folder, 'slower.json')
  writeFileSync(path, JSON.stringify({ version: 1, command: 'bench copies', ok: true, result }))
  return path
}

describe('putnext bench copies', () => {
  it('a report that cannot be written is told before anything is measured', async () => {
    for (const path of [join(folder, 'none', 'report.html'), folder]) {
      const { code, stderr, stdout } = await run('copies', '--quick', '-o', path)
      expect(code).toBe(EXIT_FAILED)
      expect(stderr).toContain(`cannot write ${path}`)
      expect(stderr).not.toContain('round')
      expect(stdout).toBe('')
    }
  })
})

describe('putnext bench report', () => {
  it('writes one HTML file, or to stdout', async () => {
    const path = join(folder, 'report.html')
    const written = await run('report', SAMPLE, '-o', path)
    expect(written).toMatchObject({ code: EXIT_DONE, stdout: '' })
    const page = readFileSync(path, 'utf8')
    expect(page).toMatch(/^<!doctype html>/)
    expect((await run('report', SAMPLE)).stdout).toBe(page)
  })

  it('takes the envelope that --json writes', async () => {
    expect((await run('report', slowerFile())).stdout).toMatch(/^<!doctype html>/)
  })

  it('says what is wrong with a file', async () => {
    const missing = await run('report', join(folder, 'none.json'))
    expect(missing.code).toBe(EXIT_FAILED)
    expect(missing.stderr).toContain('cannot read')
    const broken = join(folder, 'broken.json')
    writeFileSync(broken, '{')
    expect((await run('report', broken)).stderr).toContain('is not JSON')
    const other = await run('report', MODULES)
    expect(other.code).toBe(EXIT_USAGE)
    expect(other.stderr).toContain('only bench copies is drawn')
    const nowhere = await run('report', SAMPLE, '-o', join(folder, 'no', 'report.html'))
    expect(nowhere.code).toBe(EXIT_FAILED)
    expect(nowhere.stderr).toContain('cannot write')
  })
})

describe('putnext bench compare', () => {
  it('tells what changed; --check is 3 only where something got worse', async () => {
    const slower = slowerFile()
    const told = await run('compare', SAMPLE, slower)
    expect(told.code).toBe(EXIT_DONE)
    expect(told.stdout).toMatch(/each module, ns +\S+ +\S+ +2 .* WORSE/)
    expect((await run('compare', SAMPLE, slower, '--check')).code).toBe(EXIT_CHECK_FAILED)
    expect((await run('compare', slower, SAMPLE, '--check')).code).toBe(EXIT_DONE)
    expect((await run('compare', SAMPLE, slower, '--check', '--tolerance', '200')).code).toBe(EXIT_DONE)
  })

  it('--json has everything', async () => {
    const { code, stdout } = await run('compare', SAMPLE, SAMPLE, '--json')
    expect(code).toBe(EXIT_DONE)
    const { result } = JSON.parse(stdout)
    expect(result).toMatchObject({ kind: 'compare', of: 'copies', tolerance: 0.05, conclusions: [] })
    expect(result.rows.length).toBeGreaterThan(200)
  })
})
