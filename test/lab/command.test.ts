/** The lab commands as processes: signals, mistakes, exit codes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { missing, shim, titled } from '../../src/host/testing/requirements.ts'
import { type HostState, hostState, NO_STATE, run, temporaryState } from './host-state.ts'

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const compiled = existsSync(CLI) ? '' : 'dist/ is not compiled'
const reason = missing('shim', 'namespaces') || compiled

let state = NO_STATE
const file = (): string => join(state.path, 'lab.yaml')
const write = (text: string): void => writeFileSync(file(), `version: 1\nname: pncmd\n${text}`)

function putnext(...args: string[]): { code: number; text: string } {
  return run('env', [`PUTNEXT_STATE_DIR=${state.path}/s`, process.execPath, CLI, ...args])
}

/** Starts `lab up`, and waits until it says something that matches. */
async function starting(pattern: RegExp, ...args: string[]) {
  const env = { ...process.env, PUTNEXT_STATE_DIR: `${state.path}/s` }
  const child = spawn(process.execPath, [CLI, 'lab', 'up', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env,
  })
  let said = ''
  child.stderr.on('data', chunk => {
    said += String(chunk)
  })
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>
  while (!pattern.test(said) && child.exitCode === null) await new Promise(resolve => setTimeout(resolve, 5))
  return { child, ended, said: () => said }
}

beforeEach(() => {
  state = temporaryState()
})

describe.skipIf(compiled !== '')(titled('lab commands: mistakes', compiled), () => {
  afterEach(() => state.remove())

  it('a file that is wrong: exit code 78, every mistake with its line', () => {
    write('nodes:\n  a: {knid: stack}\n  b: {mtu: 1}\n')
    const { code, text } = putnext('lab', 'up', file())
    expect(code).toBe(78)
    expect(text).toContain(`${file()}:4:7: nodes.a.knid: unknown key "knid"; did you mean "kind"?`)
    expect(text).toContain(`${file()}:5:12: nodes.b.mtu`)
  })

  it.each([
    [1, /there is no file/, ['lab', 'up', '/no/such/file.yaml']],
    [1, /there is no lab pncmdx/, ['lab', 'down', 'pncmdx']],
    [1, /no lab that is up has a node n1/, ['lab', 'exec', 'n1', '--', 'true']],
    [2, /there is no fault "brake"/, ['lab', 'fault', 'brake', 'a--b']],
    [2, /a link is missing/, ['lab', 'fault', 'down']],
    [2, /FILE is missing/, ['lab', 'up']],
  ])('exit code %i, %s', (code, message, args) => {
    const ended = putnext(...args)
    expect(ended.code).toBe(code)
    expect(ended.text).toMatch(message)
  })

  it('the mode sim says that it comes later', () => {
    write('nodes: {a: }')
    const { code, text } = putnext('lab', 'up', '--mode', 'sim', file())
    expect(code).toBe(1)
    expect(text).toContain('comes later')
  })

  it('--dry-run makes nothing and says what it would make', () => {
    write('nodes: {a: , b: {kind: linux}}\nlinks: [a -- b]')
    const { result } = JSON.parse(putnext('lab', 'up', '--dry-run', '--json', file()).text)
    expect(result).toMatchObject({ name: 'pncmd', namespaces: ['pncmd-a', 'pncmd-b'] })
    expect(existsSync(`${state.path}/s`)).toBe(false)
  })

  it('a lab in one process is found by the others, and ends with SIGINT or lab down', {
    timeout: 30_000,
  }, async () => {
    write('mode: inproc\nnodes: {a: , b: {kind: linux}}\nlinks: [a -- b]')
    for (const end of ['SIGINT', 'down'] as const) {
      const lab = await starting(/is up in this process/, file())
      expect(putnext('lab', 'status').code).toBe(0)
      expect(putnext('ping', 'pncmd/a', '10.77.2.2', '-c', '1')).toMatchObject({ code: 0 })
      expect(putnext('lab', 'exec', 'a', '--', 'true').text).toContain('in one process')
      expect(putnext('lab', 'up', file())).toMatchObject({ code: 1 })
      expect(putnext('lab', 'prune')).toMatchObject({ code: 0 })
      if (end === 'SIGINT') lab.child.kill(end)
      else expect(putnext('lab', 'down', 'pncmd')).toMatchObject({ code: 0 })
      expect(await lab.ended).toEqual([0, null])
      expect(lab.said()).not.toContain('not all of its memory')
      expect(putnext('lab', 'status', '--json').text).toContain('"labs":[]')
    }
    const killed = await starting(/is up in this process/, file())
    killed.child.kill('SIGKILL')
    await killed.ended
    expect(putnext('lab', 'prune')).toMatchObject({ code: 0 })
    expect(putnext('lab', 'status', '--json').text).toContain('"labs":[]')
  })
})

describe.skipIf(reason !== '')(titled('lab commands: interrupted', reason), () => {
  let before: HostState
  beforeEach(() => {
    before = hostState(shim!, 'pncmd', `${state.path}/s`)
    // It never ends by itself, so that there is time to interrupt it.
    write('nodes: {a: {kind: linux, exec: ["sleep 25"]}, b: {kind: linux}}\nlinks: [a -- b]')
  })
  afterEach(() => {
    const after = hostState(shim!, 'pncmd', `${state.path}/s`)
    putnext('lab', 'prune', '--all')
    state.remove()
    expect(after).toEqual(before)
  })

  it('SIGINT during lab up takes all back: exit code 130', { timeout: 30_000 }, async () => {
    const lab = await starting(/namespaces and/, file())
    lab.child.kill('SIGINT')
    expect(await lab.ended).toEqual([130, null])
    expect(lab.said()).toContain('rolling back')
  })

  it('lab down during lab up: the one goes back, the other finds nothing left to do', {
    timeout: 30_000,
  }, async () => {
    const lab = await starting(/namespaces and/, file())
    expect(putnext('lab', 'up', file()).text).toContain('is being brought up')
    expect(putnext('lab', 'prune')).toMatchObject({ code: 0 })
    expect(putnext('lab', 'status', 'pncmd').code).toBe(3)
    expect(putnext('lab', 'down', 'pncmd')).toMatchObject({ code: 0 })
    expect(await lab.ended).toEqual([130, null])
  })
})
