/** A daemon on a TUN device, programs attached to its port, and the kernel at the other side: processes that die included. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createNamespace, deleteNamespace } from '../../src/host/namespace.ts'
import { findProgram } from '../../src/host/privilege.ts'
import type { Shim } from '../../src/host/shim.ts'
import { shim as loaded, missing, titled } from '../../src/host/testing/requirements.ts'
import { until } from '../../src/node/testing.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const COMMAND = here('../../dist/cli/main.js')
const PROGRAM = here('ipc-program.mjs')
const DATAGRAMS = here('ipc-datagrams.py')
const absent = [
  missing('shim', 'namespaces', 'tun', 'ip'),
  existsSync(here('../../dist/ipc/index.js')) ? '' : 'dist is not built',
  findProgram(['curl']) === null ? 'no curl' : '',
  findProgram(['python3']) === null ? 'no python3' : '',
].filter(reason => reason !== '')
const reason = absent.join(', ')
const run = promisify(execFile)

describe.skipIf(reason !== '').each(['plain', 'mapped'])(titled('ipc over a TUN device, %s', reason), how => {
  const shim = loaded as Shim
  const netns = `pxi-${process.pid}`
  const children: { child: ChildProcess; lines: string[] }[] = []
  let directory: string
  let port: string
  let node: { child: ChildProcess; lines: string[] }

  beforeEach(async () => {
    createNamespace(shim, netns)
    directory = mkdtempSync(join(tmpdir(), 'putnext-ipc-'))
    port = join(directory, 'n1.ipc')
    const file = join(directory, 'n1.json')
    const link = {
      name: 'tun0',
      driver: 'tun',
      netns,
      addresses: ['10.77.1.2/24'],
      kernel: { addresses: ['10.77.1.1/24'] },
    }
    writeFileSync(file, JSON.stringify({ version: 1, name: 'n1', links: [link] }))
    const options = ['--ipc', port, '--control', join(directory, 'n1.sock'), '--json']
    node = start(COMMAND, 'node', 'run', file, ...options, ...(how === 'mapped' ? ['--ipc-mapped'] : []))
    await until(() => existsSync(port), 'the port')
  })

  afterEach(() => {
    for (const { child } of children) child.kill('SIGKILL')
    children.length = 0
    deleteNamespace(shim, netns)
    rmSync(directory, { recursive: true, force: true })
  })

  function start(...args: string[]): { child: ChildProcess; lines: string[] } {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const lines: string[] = []
    createInterface({ input: child.stdout! }).on('line', line => lines.push(line))
    createInterface({ input: child.stderr! }).on('line', line => lines.push(line))
    const one = { child, lines }
    children.push(one)
    return one
  }

  async function program(): Promise<{ child: ChildProcess; lines: string[] }> {
    const one = start(PROGRAM, port, how)
    await until(() => one.lines.includes('ready'), `the program: ${one.lines.join('; ')}`)
    return one
  }

  const curl = (...args: string[]) =>
    run('ip', ['netns', 'exec', netns, 'curl', '-sS', '--max-time', '20', ...args], {
      encoding: 'buffer',
      maxBuffer: 1 << 26,
    })

  const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

  it('a web server of node:http in another process, fetched by the kernel’s curl, both ways', async () => {
    await program()
    const { stdout } = await curl('http://10.77.1.2:8080/')
    expect(sha(stdout)).toBe(sha(Buffer.alloc(8 * 1024 * 1024, 'putnext ')))
    const file = join(directory, 'upload')
    const bytes = randomBytes(8 * 1024 * 1024)
    writeFileSync(file, bytes)
    const { stdout: told } = await curl('-T', file, 'http://10.77.1.2:8080/put')
    expect(told.toString()).toBe(sha(bytes))
  })

  it('datagrams: the kernel’s sockets and a program’s through the port, of all sizes, and a port that nobody has', async () => {
    const one = await program()
    const kernel = (...args: string[]) => ['netns', 'exec', netns, 'python3', DATAGRAMS, ...args]
    const { stdout } = await run('ip', kernel('echo', '10.77.1.2', '7007'))
    expect(stdout.trim()).toBe('whole 11')
    one.child.kill('SIGUSR2')
    await until(() => one.lines.includes('asked: ECONNREFUSED'), 'ICMP’s word')
    const answer = spawn('ip', kernel('answer', '9009'), { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(answer.stdout, 'data')
    one.child.kill('SIGUSR2')
    await until(() => one.lines.includes('answered: answer to question'), 'the answer')
  })

  it('a program killed in the middle: its connections are reset, the port is free for the next', async () => {
    const first = await program()
    const slow = curl('--limit-rate', '8M', 'http://10.77.1.2:8080/large').then(
      () => null,
      (error: Error & { code: number }) => error.code,
    )
    await new Promise(resolve => setTimeout(resolve, 500))
    first.child.kill('SIGKILL')
    await once(first.child, 'exit')
    // When the kernel's buffer is read. 56: the peer reset it; 18: it ended short.
    expect([18, 56]).toContain(await slow)
    await program()
    const { stdout } = await curl('http://10.77.1.2:8080/')
    expect(stdout.length).toBe(8 * 1024 * 1024)
    node.child.kill('SIGTERM')
    const [code] = await once(node.child, 'exit')
    // 0: and every block came home.
    expect(code, node.lines.join('\n')).toBe(0)
    expect(node.lines.some(line => line.includes('"arenaWhole":true'))).toBe(true)
    expect(existsSync(port)).toBe(false)
  })

  it('a node that is killed: its programs hear it and end; another node takes the port over', async () => {
    const one = await program()
    node.child.kill('SIGKILL')
    await until(() => one.lines.includes('down ERR_CONN_RESET'))
    if (one.child.exitCode === null) await once(one.child, 'exit')
    expect(one.child.exitCode).toBe(0)
    expect(existsSync(port)).toBe(true)
    node = start(
      COMMAND,
      ...['node', 'run', join(directory, 'n1.json'), '--ipc', port, '--json'],
      ...['--control', join(directory, 'n1.sock')],
      ...(how === 'mapped' ? ['--ipc-mapped'] : []),
    )
    await until(() => node.lines.some(line => line.includes('"ready":true')), node.lines.join('; '))
    await program()
    const { stdout } = await curl('http://10.77.1.2:8080/')
    expect(stdout.length).toBe(8 * 1024 * 1024)
  })
})
