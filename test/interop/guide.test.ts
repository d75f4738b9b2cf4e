/** Runs the commands of docs/guides/write-a-module.md, one after the other, and compares what they print, in shape. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missing, titled } from '../../src/host/testing/requirements.ts'
import { MAIN, readerEnvironment } from './guide-shell.ts'
import { mismatch, stepsOf } from './guide-text.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const GUIDE = readFileSync(join(ROOT, 'docs/guides/write-a-module.md'), 'utf8')

const inUse = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout?.includes('inetd-n1') === true
const reason = [
  missing('shim', 'namespaces', 'tun', 'ip'),
  existsSync(MAIN) ? '' : 'dist is not built',
  spawnSync('ping', ['-V']).error === undefined ? '' : 'no ping(8)',
  inUse ? 'a lab named inetd is up' : '',
]
  .filter(text => text !== '')
  .join(', ')

describe('the comparison itself', () => {
  it('takes other numbers, and nothing else', () => {
    expect(mismatch(['up 12, down 3'], ['up 4, down 4'])).toBe('')
    expect(mismatch(['up 12, left 3'], ['up 4, down 4'])).not.toBe('')
    expect(mismatch(['a', 'b', 'c', 'd'], ['a', '...', 'd'])).toBe('')
    expect(mismatch(['a'], ['a', 'b'])).not.toBe('')
    expect(mismatch(['a', 'b'], ['a'])).not.toBe('')
  })
})

describe.skipIf(reason !== '')(titled('docs/guides/write-a-module.md', reason), () => {
  let directory: string
  let env: NodeJS.ProcessEnv

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'putnext-guide-'))
    symlinkSync(join(ROOT, 'docs'), join(directory, 'docs'))
    env = readerEnvironment(directory)
  })

  afterAll(() => {
    spawnSync(process.execPath, [MAIN, 'lab', 'down', 'inetd'], { env, stdio: 'ignore' })
    rmSync(directory, { recursive: true, force: true })
  })

  it('has commands for every step', () => {
    const commands = stepsOf(GUIDE).map(({ command }) => command.replace('sudo ', ''))
    for (const words of [
      'module new',
      'module check',
      'lab up',
      'plumb n1 push',
      'plumb n1 set',
      'plumb n1 pop',
      'lab down',
    ])
      expect(
        commands.some(command => command.startsWith(`putnext ${words}`)),
        words,
      ).toBe(true)
  })

  it.each(stepsOf(GUIDE))('$command', ({ command, expected }) => {
    const { stdout, stderr } = spawnSync('sh', ['-c', `${command} 2>&1`], {
      cwd: directory,
      env,
      encoding: 'utf8',
    })
    const said = `${stdout}${stderr}`
    // What comes next is talk, which the guide leaves out.
    const lines = said
      .trimEnd()
      .split('\n')
      .filter(line => !line.startsWith('next: '))
    expect(mismatch(lines, expected), said).toBe('')
  })
})
