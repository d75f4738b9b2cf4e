/** The command as a process: exit codes, signals, descriptors, pipes. Needs the compiled one. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const compiled = existsSync(MAIN)
const why = compiled ? '' : ' (skipped: dist is not built)'

let directory: string
let env: NodeJS.ProcessEnv
let file: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'putnext-process-'))
  env = { ...process.env, PUTNEXT_STATE_DIR: directory }
  file = join(directory, 'n1.yaml')
  writeFileSync(
    file,
    'version: 1\nname: n1\narena: {size: 4MiB}\nlinks: [{name: w0, driver: wire, wire: lan}]\n',
  )
})

afterEach(() => rmSync(directory, { recursive: true }))

function putnext(...words: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], { env, encoding: 'utf8' })
  return { code: status, stdout, stderr }
}

/** Starts `node run` and waits for what it writes to descriptor 3. */
async function startNode(): Promise<{ child: ChildProcess; ready: string; ended: Promise<number | null> }> {
  const child = spawn(process.execPath, [MAIN, 'node', 'run', file, '--ready-fd', '3'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | null>(resolve => child.on('exit', code => resolve(code)))
  let ready = ''
  // The descriptor is closed after the line, so this ends.
  for await (const chunk of child.stdio[3] as Readable) ready += String(chunk)
  return { child, ready, ended }
}

describe.skipIf(!compiled)(`cli as a process${why}`, () => {
  it.each([
    [['--version'], 0],
    [[], 2],
    [['nothing'], 2],
    [['plumb', 'n9'], 1],
    [['node', 'run', '/nonexistent.yaml'], 1],
  ])('putnext %j ends with %i', (words, code) => {
    expect(putnext(...words).code).toBe(code)
  })

  it('bad configuration ends with 78', () => {
    writeFileSync(file, 'version: 1\nnam: n1\n')
    expect(putnext('node', 'run', file)).toMatchObject({ code: 78, stdout: '' })
  })

  it.each(['SIGTERM', 'SIGINT'] as const)(
    '--ready-fd tells when it is ready; %s ends the node in order',
    async signal => {
      const { child, ready, ended } = await startNode()
      const document = JSON.parse(ready) as { pid: number; control: string }
      expect(document).toMatchObject({ ready: true, name: 'n1', pid: child.pid })
      expect(putnext('node', 'status', 'n1').code).toBe(0)
      child.kill(signal)
      expect(await ended).toBe(0)
      expect(existsSync(document.control)).toBe(false)
    },
  )

  it('kill -9 leaves a socket that says nothing, and the next node takes it over', async () => {
    const first = await startNode()
    first.child.kill('SIGKILL')
    await first.ended
    expect(existsSync(join(directory, 'n1.sock'))).toBe(true)
    expect(putnext('plumb', 'n1').stderr).toContain('no node listens')
    const second = await startNode()
    expect(putnext('plumb', 'n1').code).toBe(0)
    second.child.kill('SIGTERM')
    expect(await second.ended).toBe(0)
  })

  it('a reader that stops reading is no error', () => {
    const { stdout, stderr } = spawnSync('sh', ['-c', `"${process.execPath}" "${MAIN}" --help | head -n 1`], {
      encoding: 'utf8',
    })
    expect(stdout).toContain('putnext')
    expect(stderr).toBe('')
  })

  it('starts fast: help loads neither YAML nor the stack', () => {
    const traced = spawnSync('sh', ['-c', `NODE_DEBUG=esm "${process.execPath}" "${MAIN}" --help 2>&1`], {
      encoding: 'utf8',
    })
    expect(traced.stdout).not.toMatch(/node_modules\/(yaml|valibot)/)
  })
})
