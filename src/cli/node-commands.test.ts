import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { tryShim } from '../host/shim.ts'
import { until } from '../node/testing.ts'
import { COMMANDS, GROUPS } from './commands.ts'
import { type RunOptions, runLine, type Said } from './testing.ts'

const PROGRAM = { commands: COMMANDS, groups: GROUPS }

let directory: string
let file: string
let env: Record<string, string>
let running: { stop: AbortController; ended: Promise<Said> }[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'putnext-cli-'))
  env = { PUTNEXT_STATE_DIR: directory }
  file = configFile('n1', 'links:\n  - {name: w0, driver: wire, wire: lan, addresses: [10.0.0.1/24]}\n')
  running = []
})

afterEach(async () => {
  for (const { stop, ended } of running) {
    stop.abort(new DOMException('interrupted', 'AbortError'))
    await ended
  }
  rmSync(directory, { recursive: true })
})

function configFile(name: string, text: string): string {
  const path = join(directory, `${name}.yaml`)
  writeFileSync(path, `version: 1\nname: ${name}\narena: {size: 4MiB}\n${text}`)
  return path
}

const run = (line: string, options: RunOptions = {}): Promise<Said> =>
  runLine(PROGRAM, line, { env, ...options })
const resultOf = (said: Said): Record<string, never> =>
  (JSON.parse(said.stdout) as { result: Record<string, never> }).result

/** Starts `node run` and waits until its control port answers. */
async function start(line = `node run ${file}`): Promise<{ stop: AbortController; ended: Promise<Said> }> {
  const stop = new AbortController()
  const node = { stop, ended: run(line, { signal: stop.signal }) }
  running.push(node)
  await until(async () => (await run('node status n1')).code === 0, 'the node runs')
  return node
}

describe('cli/node run', () => {
  it('runs until it is interrupted, and ends with the arena whole', async () => {
    const node = await start()
    node.stop.abort()
    const said = await node.ended
    expect(said.code).toBe(0)
    expect(said.stdout).toBe('')
    expect(said.stderr).toContain(`ready: n1, control port ${join(directory, 'n1.sock')}`)
    expect(said.stderr).toContain('n1 ended: the arena is whole')
  })

  const absent = tryShim() === null ? ' (skipped: no native shim)' : ''
  it.skipIf(absent !== '')(`tells where the IPC port is, once programs may come${absent}`, async () => {
    const path = join(directory, 'n1.ipc')
    const node = await start(`node run ${file} --ipc ${path}`)
    node.stop.abort()
    const { stderr } = await node.ended
    expect(stderr).toContain(`ready: n1, control port ${join(directory, 'n1.sock')}, IPC port ${path}`)
  })

  it('--json: events as lines on stderr, one document on stdout', async () => {
    const node = await start(`node run ${file} --json`)
    node.stop.abort()
    const said = await node.ended
    expect(resultOf(said)).toMatchObject({ name: 'n1', arenaWhole: true, fault: null })
    const lines = said.stderr
      .trimEnd()
      .split('\n')
      .filter(line => line.startsWith('{'))
    const events = lines.map(line => JSON.parse(line) as { ready?: boolean; name: string })
    expect(events.some(({ ready }) => ready === true)).toBe(true)
    expect(events.map(({ name }) => name)).toContain('node.started')
  })

  it('checklist 3.8-72: bad configuration ends with 78 and the place of every mistake', async () => {
    const bad = configFile('bad', 'forwarding: maybe\nlinks:\n  - {name: a, driver: tum}\n')
    const said = await run(`node run ${bad}`)
    expect(said.code).toBe(78)
    expect(said.stderr).toContain(`${bad}:4:13: forwarding: must be boolean`)
    expect(said.stderr).toContain(`${bad}:6:23: links[0].driver`)
    expect((await run(`node run ${bad} --dry-run`)).code).toBe(78)
    expect(await run(`node run ${file} --dry-run`)).toMatchObject({
      code: 0,
      stdout: `${file}: node n1, 1 links: nothing wrong\n`,
    })
  })

  it('all or nothing: a link that cannot be had leaves no link, no socket', async () => {
    const bad = configFile(
      'n1',
      'links:\n  - {name: w0, driver: wire, wire: lan}\n  - {name: w1, driver: wire, wire: lan2, modules: [nothing]}\n',
    )
    const said = await run(`node run ${bad}`)
    expect(said.code).toBe(1)
    expect(said.stderr).toContain('link w1: no module named "nothing"')
    expect((await run('node status n1')).code).toBe(1)
  })

  it('refuses to be started twice, before it opens anything', async () => {
    await start()
    const second = await run(`node run ${file}`)
    expect(second.code).toBe(1)
    expect(second.stderr).toContain('a node already listens')
    expect(second.stderr).not.toContain('node.started')
  })

  it('a file that is not there', async () => {
    expect(await run(`node run ${directory}/none.yaml`)).toMatchObject({ code: 1 })
  })
})

describe('cli/node status, stop', () => {
  it('shows all nodes, and one with its events', async () => {
    expect((await run('node status')).stdout).toBe('no node is running\n')
    const node = await start()
    expect((await run('node status')).stdout).toMatch(/^n1: process \d+, up [\d.]+ s\n$/)
    expect((await run('node status n1 --events')).stdout).toContain('link w0 (wire): up; 10.0.0.1/24')
    expect(resultOf(await run('node status n1 --json'))).toMatchObject({ name: 'n1' })
    expect(await run('node stop n1')).toMatchObject({ code: 0, stdout: 'n1 ended\n' })
    expect((await node.ended).code).toBe(0)
  })

  it('an unknown node: exit code 1, and a guess', async () => {
    await start()
    const said = await run('plumb n2')
    expect(said.code).toBe(1)
    expect(said.stderr).toContain('no node named "n2" is running')
    expect(said.stderr).toContain('did you mean "n1"?')
  })
})

describe('cli/plumb', () => {
  const hop = `const put = (q, mp) => q.next.put(q.next, mp)
    export const hop = { name: 'hop', hiwat: 1, lowat: 0, open: (_q, o) => ({ every: o?.every ?? 0 }), close: () => {},
    read: { put }, write: { put }, counters: () => ({ up: 3, down: 0 }), describe: state => state, configure: (q, o) => { q.state.every = o.every } }`

  it('shows links as trees, and pushes a file, sets it, and pops it', async () => {
    await start()
    const path = join(directory, 'hop.mjs')
    writeFileSync(path, hop)
    expect((await run('plumb n1')).stdout).toBe('w0 (up, 10.0.0.1/24)\n├─ ip\n└─ wire\n')
    const pushed = await run(`plumb n1 push w0 ${path} every=3`)
    expect(pushed.stdout).toBe('w0\n├─ ip\n├─ hop   up 3  {"every":3}\n└─ wire\n')
    expect((await run('plumb n1 set w0 hop every=4')).stdout).toContain('{"every":4}')
    expect((await run('plumb n1 show w0 --verbose')).stdout).toContain('up 3, down 0')
    expect((await run('plumb n1 insert w0 hop --below hop')).stdout).toContain('hop#2')
    expect((await run('plumb n1 remove w0 hop#2')).code).toBe(0)
    expect((await run('plumb n1 pop w0')).stdout).toBe('w0\n├─ ip\n└─ wire\n')
    expect((await run('plumb n1 modules')).stdout.split('\n')).toContain('hop')
  })

  it('a module that throws at once was not pushed', async () => {
    await start()
    const path = join(directory, 'boom.mjs')
    const side = '{ put() { throw new Error("boom") } }'
    writeFileSync(
      path,
      `export const boom = { name: 'boom', hiwat: 1, lowat: 0, open: () => 0, close() {}, read: ${side}, write: ${side} }`,
    )
    const said = await run(`plumb n1 push w0 ${path}`)
    expect(said.code).toBe(1)
    expect(said.stderr).toContain('boom threw at its first message')
    expect((await run('plumb n1')).stdout).toBe('w0 (up, 10.0.0.1/24)\n├─ ip\n└─ wire\n')
  })

  it('sets TCP while the node runs: all that is named, or nothing with the range or the names', async () => {
    const { ended, stop } = await start()
    const set = await run('plumb n1 set tcp receiveBytes=128KiB ecn=2')
    expect(set.code).toBe(0)
    expect(set.stdout).toBe('tcp: now receiveBytes=131072 ecn=2\n')
    expect((await run('plumb n1 --all')).stdout).toMatch(/^tcp: head, tcp$/m)
    const refused = await run('plumb n1 set tcp ecn=1 receiveBytes=1')
    expect(refused.code).toBe(78)
    expect(refused.stderr).toContain('tcp: receiveBytes has to be 2048 to 1073741824 bytes')
    expect((await run('plumb n1 set tcp ecn=3')).stderr).toContain(
      'tcp: ecn has to be 0 to 2 (0 never, 1 if the peer asks for it, 2 asks for it)',
    )
    expect((await run('plumb n1 set tcp')).stdout).toMatch(
      /^receiveBytes +128 KiB +2 KiB to 1 GiB +Receive buffer/m,
    )
    const { result } = JSON.parse((await run('plumb n1 set tcp --json')).stdout)
    expect(result.settings.ecn).toMatchObject({ value: 2, default: 1, min: 0, max: 2, unit: 'count' })
    expect((await run('plumb n1 show tcp')).stdout).toContain('its settings: putnext plumb n1 set tcp')
    expect((await run('plumb n1 set tcp nagle=1')).stderr).toContain('there is no setting "nagle"')
    const { stdout } = await run('plumb n1 show tcp --verbose')
    expect(stdout).toContain('"receiveBytes":131072')
    expect(stdout).toContain('"ecn":2')
    stop.abort()
    expect((await ended).stderr).toContain('configure on tcp: tcp {"receiveBytes":"128KiB","ecn":2}')
  })

  it.each([
    ['plumb n1 bend w0', 2, 'plumb knows no "bend"'],
    ['plumb n1 push w0', 2, 'write: putnext plumb NODE push LINK MODULE'],
    ['plumb n1 insert w0 hop', 2, '--below LABEL'],
    ['plumb n1 push w0 hop every', 2, '"every" is no KEY=VALUE'],
    ['plumb n1 push w0 nothing', 1, 'no module named "nothing"'],
    ['plumb n1 push w0 impiar', 1, 'did you mean "impair"?'],
    ['plumb n1 push w0 nosuchmod', 1, 'hint: known: capture, impair, null, rpcmod\n'],
    ['plumb n1 set TCP ecn=1', 1, 'did you mean "tcp"?'],
    ['plumb n1 ioctl tcp nosuch', 1, 'try tcp.settings or tcp.set'],
    ['plumb n1 push w9 nothing', 1, 'there is no link or stream "w9"'],
    ['plumb n1 push w0 ./none.mjs', 1, 'there is no module file'],
    ['plumb n1 push tcp:10.0.0.1:7-10.0.0.2:9 impair', 1, 'has that connection ended?'],
    ['plumb n1 ioctl w0 x {', 2, 'is no JSON'],
    ['plumb n1 show w8', 1, 'has no link or stream "w8"'],
  ])('%s: exit code %i', async (line, code, text) => {
    await start()
    const said = await run(line)
    expect(said.code).toBe(code)
    expect(said.stderr).toContain(text)
  })
})
