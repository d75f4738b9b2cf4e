/** Runs the commands of docs/guides/write-a-module.md, one after the other, and compares what they print, in shape. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missing, titled } from '../../src/host/testing/requirements.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const MAIN = join(ROOT, 'dist/cli/main.js')
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

interface Step {
  readonly command: string
  /** Lines that it prints, on either output. */
  readonly expected: readonly string[]
}

/** The `$` lines of all console blocks, with what stands below each. */
function steps(): Step[] {
  const found: { command: string; expected: string[] }[] = []
  for (const [, block = ''] of GUIDE.matchAll(/^```console\n([\s\S]*?)^```/gm))
    for (const line of block.trimEnd().split('\n')) {
      if (line.startsWith('$ ')) found.push({ command: line.slice(2), expected: [] })
      else found.at(-1)!.expected.push(line)
    }
  return found
}

/** A line whose numbers stand for any, and in which `...` stands for anything. */
function shape(line: string): RegExp {
  const escaped = line.trimEnd().replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const numbers = escaped.replace(/\d+(?:\\\.\d+)?/g, '\\s*[\\d.]+')
  return new RegExp(`^${numbers.replaceAll('\\.\\.\\.', '.*').replace(/ +/g, '\\s+')}$`)
}

/** Whether lines have the expected shapes; a line of only `...` stands for any number of lines. */
function mismatch(lines: readonly string[], expected: readonly string[]): string {
  let at = 0
  for (let i = 0; i < expected.length; i++) {
    if (expected[i] === '...') {
      while (at < lines.length && !shape(expected[i + 1] ?? '').test(lines[at]!)) at++
      continue
    }
    if (at >= lines.length) return `nothing more, but "${expected[i]}" should come`
    if (!shape(expected[i]!).test(lines[at]!)) return `"${lines[at]}" is not of the shape "${expected[i]}"`
    at++
  }
  return at < lines.length ? `"${lines[at]}" is one line too many` : ''
}

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
    const bin = join(directory, 'bin')
    mkdirSync(bin)
    symlinkSync(join(ROOT, 'docs'), join(directory, 'docs'))
    const wrappers = { putnext: `exec "${process.execPath}" "${MAIN}" "$@"`, sudo: 'exec "$@"' }
    for (const [name, line] of Object.entries(wrappers)) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`)
      chmodSync(join(bin, name), 0o755)
    }
    env = {
      ...process.env,
      PATH: `${bin}:${process.env['PATH']}`,
      PUTNEXT_STATE_DIR: join(directory, 'state'),
      NO_COLOR: '1',
    }
    // The guide's reader has no test runner around the scaffold's test.
    delete env['NODE_OPTIONS']
    delete env['NODE_TEST_CONTEXT']
  })

  afterAll(() => {
    spawnSync(process.execPath, [MAIN, 'lab', 'down', 'inetd'], { env, stdio: 'ignore' })
    rmSync(directory, { recursive: true, force: true })
  })

  it('has commands for every step', () => {
    const commands = steps().map(({ command }) => command.replace('sudo ', ''))
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

  it.each(steps())('$command', ({ command, expected }) => {
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
