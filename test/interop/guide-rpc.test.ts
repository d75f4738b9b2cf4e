/** Runs the commands of docs/guides/your-first-rpc.md in one shell, one after the other, and compares what they print, in shape. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findProgram } from '../../src/host/privilege.ts'
import { missing, titled } from '../../src/host/testing/requirements.ts'
import { GuideShell, MAIN, readerEnvironment } from './guide-shell.ts'
import { mismatch, type Step, stepsOf } from './guide-text.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const STEPS = stepsOf(readFileSync(join(ROOT, 'docs/guides/your-first-rpc.md'), 'utf8'))

/** What a namespace is needed for; the sections before, and the lab in one process, need none. */
const NEEDS_LAB = ['Two nodes', 'From C', 'Bytes that nobody copies']
const LAST = 'The end, and the same without root'

const compiled = existsSync(MAIN) ? '' : 'dist is not built'
const inUse = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout?.includes('rpc-n1') === true
const noLab = [missing('shim', 'namespaces', 'tun', 'ip'), compiled, inUse ? 'a lab named rpc is up' : '']
  .filter(text => text !== '')
  .join(', ')
const noC = [
  findProgram(['rpcinfo']) === null ? 'no rpcinfo' : '',
  findProgram(['rpcgen']) === null ? 'no rpcgen' : '',
  findProgram(['cc']) === null ? 'no C compiler' : '',
  existsSync('/usr/include/tirpc/rpc/rpc.h') ? '' : 'no libtirpc',
]
  .filter(text => text !== '')
  .join(', ')

/** Of the last section, what takes the lab down that is in namespaces; the rest stands for itself. */
function needsLab({ section, command }: Step): boolean {
  if (section !== LAST) return NEEDS_LAB.includes(section)
  return (
    STEPS.indexOf(STEPS.find(step => step.command.startsWith('putnext lab up --mode'))!) >
    STEPS.findIndex(step => step.section === LAST && step.command === command)
  )
}

const reasonOf = (step: Step): string =>
  needsLab(step)
    ? [noLab, step.section === 'From C' ? noC : ''].filter(text => text !== '').join(', ')
    : step.section === LAST
      ? missing('shim') || compiled
      : compiled

describe('docs/guides/your-first-rpc.md', () => {
  let directory: string
  let env: NodeJS.ProcessEnv
  let shell: GuideShell

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'putnext-guide-'))
    env = readerEnvironment(directory)
    shell = new GuideShell(ROOT, env)
  })

  afterAll(() => {
    shell.close()
    spawnSync(process.execPath, [MAIN, 'lab', 'down', 'rpc'], { env, stdio: 'ignore' })
    rmSync(directory, { recursive: true, force: true })
  })

  it('has commands for every step', () => {
    const commands = STEPS.map(({ command }) => command)
    for (const words of [
      'rpcgen',
      'rpc info',
      'rpc ping',
      'rpc call',
      'lab up',
      'lab fault impair',
      'lab down',
    ])
      expect(
        commands.some(command => command.startsWith(`putnext ${words}`)),
        words,
      ).toBe(true)
  })

  for (const step of STEPS) {
    const reason = reasonOf(step)
    it.skipIf(reason !== '')(titled(`${step.section}: ${step.command}`, reason), async () => {
      const said = await shell.run(step.command)
      // What comes next is talk, which the guide leaves out; npm has its own.
      const lines = said
        .trimEnd()
        .split('\n')
        .filter(line => !/^(next: |npm (warn|notice))/.test(line))
      const printed = lines.length === 1 && lines[0] === '' ? [] : lines
      expect(mismatch(printed, step.expected), said).toBe('')
    })
  }
})
