/** ping, nc and capture against a node that talks to itself over its loopback. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readPcapng } from '../driver/pcapng-reader.ts'
import { until } from '../node/testing.ts'
import { COMMANDS, GROUPS } from './commands.ts'
import { type RunOptions, runLine, type Said } from './testing.ts'

const PROGRAM = { commands: COMMANDS, groups: GROUPS }

let directory: string
let stop: AbortController
let ended: Promise<Said>

const run = (line: string, options: RunOptions = {}): Promise<Said> =>
  runLine(PROGRAM, line, { env: { PUTNEXT_STATE_DIR: directory }, ...options })

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'putnext-traffic-'))
  const file = join(directory, 'n1.yaml')
  writeFileSync(
    file,
    'version: 1\nname: n1\narena: {size: 4MiB}\nservices: {echo: true}\nlinks: [{name: w0, driver: wire, wire: lan, addresses: [10.0.0.1/24, "fd00::1/64"]}]\n',
  )
  stop = new AbortController()
  ended = run(`node run ${file}`, { signal: stop.signal })
  await until(async () => (await run('node status n1')).code === 0, 'the node runs')
})

afterEach(async () => {
  stop.abort()
  expect((await ended).code).toBe(0)
  rmSync(directory, { recursive: true })
})

describe('cli/ping', () => {
  it('tells replies and statistics as ping(8) does', async () => {
    const said = await run('ping n1 10.0.0.1 -c 2 -i 1ms -s 100')
    expect(said.code).toBe(0)
    const lines = said.stdout.split('\n')
    expect(lines[0]).toBe('PING 10.0.0.1 from n1: 100 data bytes')
    expect(lines[1]).toMatch(/^108 bytes from 10\.0\.0\.1: icmp_seq=1 ttl=64 time=\d+\.\d{3} ms$/)
    expect(lines.slice(3, 6)).toEqual([
      '',
      '--- 10.0.0.1 ping statistics ---',
      '2 packets transmitted, 2 received, 0% packet loss',
    ])
    expect(lines[6]).toMatch(/^rtt min\/avg\/max\/mdev = [\d.]+\/[\d.]+\/[\d.]+\/[\d.]+ ms$/)
  })

  it('--json: the results and the statistics in one document', async () => {
    const { stdout } = await run('ping n1 fd00::1 -c 2 -i 1ms --json')
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      result: { results: [{ kind: 'reply' }, { kind: 'reply' }], summary: { sent: 2, received: 2 } },
    })
  })

  it('no reply at all ends with 1, no address with 2', async () => {
    const said = await run('ping n1 10.9.9.9 -c 1')
    expect(said.code).toBe(1)
    expect(said.stdout).toContain('no route to the network: icmp_seq=1')
    expect(await run('ping n1 somewhere')).toMatchObject({ code: 2 })
  })

  it('interrupted, it still tells the statistics', async () => {
    const interrupt = new AbortController()
    const pinging = run('ping n1 10.0.0.1 -c 1000 -i 10ms', { signal: interrupt.signal })
    setTimeout(() => interrupt.abort(), 500)
    const said = await pinging
    expect(said.code).toBe(0)
    expect(said.stdout).toContain('ping statistics')
  })
})

describe('cli/nc -u', () => {
  it('sends stdin and prints what comes back', async () => {
    const said = await run('nc -u n1 10.0.0.1 7 -w 500ms', { stdin: 'hello\n' })
    expect(said).toMatchObject({ code: 0, stdout: 'hello\n' })
    const { stdout } = await run('nc -u n1 10.0.0.1 7 -w 500ms --json', { stdin: 'hello\n' })
    expect(JSON.parse(stdout)).toMatchObject({ result: { sent: 1, received: 1 } })
  })

  it('-l: waits for datagrams until it is interrupted', async () => {
    const interrupt = new AbortController()
    const listening = run('nc -u -l n1 9000', { signal: interrupt.signal })
    await until(async () => (await run('plumb n1 --all')).stdout.includes('\nnc'), 'the listener is there')
    await run('nc -u n1 10.0.0.1 9000 -w 200ms', { stdin: 'question' })
    interrupt.abort()
    expect(await listening).toMatchObject({ code: 0, stdout: 'question' })
  })

  it.each([
    ['nc -u n1 10.0.0.1', 'HOST PORT is missing'],
    ['nc -u n1 10.0.0.1 0', 'is no port'],
    ['nc -u n1 10.0.0.1 99999', 'is no port'],
    ['nc -u -l n1 10.0.0.1 7', 'only a PORT'],
  ])('%s: exit code 2', async (line, text) => {
    const said = await run(line)
    expect(said.code).toBe(2)
    expect(said.stderr).toContain(text)
  })
})

describe('cli/capture', () => {
  it('writes a file, a joint and a number of packets as asked', async () => {
    const file = join(directory, 'lo.pcapng')
    const capturing = run(`capture n1 --at lo -w ${file} --count 3 --json`)
    await until(async () => (await run('plumb n1 show lo')).stdout.includes('capture'), 'the capture runs')
    await run('ping n1 10.0.0.1 -c 3 -i 1ms')
    const said = await capturing
    expect(JSON.parse(said.stdout)).toMatchObject({ ok: true, result: { file, recorded: 3, notRecorded: 0 } })
    expect(said.stderr).toContain('capturing to')
    expect(readPcapng(readFileSync(file)).packets).toHaveLength(3)
  })

  it('an interruption ends it in order: the file is whole', async () => {
    const file = join(directory, 'lo.pcapng')
    const interrupt = new AbortController()
    const capturing = run(`capture n1 --at lo -w ${file} --filter icmp`, { signal: interrupt.signal })
    await until(async () => (await run('plumb n1 show lo')).stdout.includes('capture'), 'the capture runs')
    await run('ping n1 10.0.0.1 -c 1')
    interrupt.abort()
    expect((await capturing).stderr).toMatch(/[1-9] packets recorded/)
    const { packets, statistics } = readPcapng(readFileSync(file))
    expect(packets.length).toBeGreaterThan(0)
    expect(statistics).toHaveLength(1)
  })

  it.each([
    ['capture n1 --json', 2, 'cannot both have stdout'],
    ['capture n1 -w FILE --at w9', 1, 'there is no link or stream "w9"'],
    ['capture n1 -w FILE --at w0/wire', 1, 'nothing goes below wire'],
    ['capture n1 -w FILE --filter colour', 78, 'capture: filter'],
    ['capture --kernel lo --at w0 -w FILE', 2, 'the kernel has one joint'],
    ['capture n1 -w /nonexistent/x', 77, 'cannot write to /nonexistent/x'],
  ])('%s: exit code %i', async (line, code, text) => {
    const said = await run(line.replace('FILE', join(directory, 'x.pcapng')))
    expect(said.code).toBe(code)
    expect(said.stderr).toContain(text)
  })

  it('does not write bytes to a terminal', async () => {
    expect((await run('capture n1', { tty: true })).stderr).toContain('no text for a terminal')
    expect(existsSync(join(directory, '-'))).toBe(false)
  })
})
