/** nc, curl, serve and iperf against a node that talks to itself over its loopback. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ControlClient } from '../node/control-client.ts'
import { until } from '../node/testing.ts'
import { COMMANDS, GROUPS } from './commands.ts'
import { amountOf } from './iperf.ts'
import { runProgram } from './program.ts'
import { type RunOptions, runLine, type Said } from './testing.ts'

const PROGRAM = { commands: COMMANDS, groups: GROUPS }
const TEXT = 'A file of the node.\n'

let directory: string
let stop: AbortController
let ended: Promise<Said>

const run = (line: string | readonly string[], options: RunOptions = {}): Promise<Said> =>
  runLine(PROGRAM, line, { env: { PUTNEXT_STATE_DIR: directory }, ...options })

/** The document that `--json` wrote. */
const document = ({ stdout }: Said) => JSON.parse(stdout) as { ok: boolean; result: Record<string, never> }

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'putnext-traffic-'))
  mkdirSync(join(directory, 'www'))
  writeFileSync(join(directory, 'www', 'file.txt'), TEXT)
  const file = join(directory, 'n1.yaml')
  writeFileSync(
    file,
    'version: 1\nname: n1\narena: {size: 16MiB}\nservices: {echo: true, discard: true, iperf: true, files: {directory: www}}\n' +
      'links: [{name: w0, driver: wire, wire: lan, addresses: [10.0.0.1/24, "fd00::1/64"]}]\n',
  )
  stop = new AbortController()
  ended = run(`node run ${file}`, { signal: stop.signal })
  await until(async () => (await run('node status n1')).code === 0, 'the node runs')
})

afterEach(async () => {
  stop.abort()
  const { code, stderr } = await ended
  expect(stderr).toContain('the arena is whole')
  expect(code).toBe(0)
  rmSync(directory, { recursive: true })
})

describe('cli/nc on TCP', () => {
  it('sends stdin, its end too, and prints what comes back', async () => {
    const text = 'hello\n'.repeat(100_000)
    expect(await run('nc n1 10.0.0.1 7', { stdin: text })).toMatchObject({ code: 0, stdout: text })
    const said = await run('nc n1 fd00::1 7 --json', { stdin: 'hello' })
    expect(document(said).result).toMatchObject({
      sent: 5,
      received: 5,
      local: { address: 'fd00::1' },
      remote: { address: 'fd00::1', port: 7 },
    })
  })

  it('-l waits for one connection, and both ends talk', async () => {
    const listening = run('nc -l n1 9000 -v', { stdin: 'answer' })
    await until(async () => (await run('plumb n1 --all')).stdout.includes('9000'), 'it listens')
    const asked = await run('nc n1 10.0.0.1 9000', { stdin: 'question' })
    expect(asked).toMatchObject({ code: 0, stdout: 'answer' })
    expect(await listening).toMatchObject({ code: 0, stdout: 'question' })
    expect((await listening).stderr).toMatch(/connection from (::ffff:)?10\.0\.0\.1 port \d+/)
  })

  it('-l -k goes on until it is interrupted', async () => {
    const interrupt = new AbortController()
    const listening = run('nc -l -k n1 9000', { signal: interrupt.signal })
    await until(async () => (await run('plumb n1 --all')).stdout.includes('9000'), 'it listens')
    await run('nc n1 10.0.0.1 9000', { stdin: 'one ' })
    await run('nc n1 10.0.0.1 9000', { stdin: 'two' })
    interrupt.abort()
    expect((await listening).stdout).toBe('one two')
  })

  it('-z tells which ports are open', async () => {
    expect(await run('nc -z n1 10.0.0.1 7')).toMatchObject({ code: 0, stdout: '10.0.0.1 port 7: open\n' })
    expect(await run('nc -z n1 10.0.0.1 6-10')).toMatchObject({
      code: 0,
      stdout: '10.0.0.1 port 7: open\n10.0.0.1 port 9: open\n',
    })
    expect(await run('nc -z n1 10.0.0.1 8')).toMatchObject({ code: 1, stderr: '10.0.0.1 port 8: refused\n' })
    expect(document(await run('nc -z n1 10.0.0.1 6-7 --json')).result).toMatchObject({
      open: [7],
      ports: [
        { port: 6, state: 'refused' },
        { port: 7, state: 'open' },
      ],
    })
  })

  it('-w ends a connection that is silent', async () => {
    const stdin = new PassThrough()
    const host = {
      stdin,
      stdout: new PassThrough(),
      stderr: new PassThrough(),
      env: { PUTNEXT_STATE_DIR: directory },
    }
    const began = performance.now()
    const words = 'nc n1 10.0.0.1 9 -w 200ms'.split(' ')
    expect(await runProgram(PROGRAM, words, host, new AbortController().signal)).toBe(0)
    expect(performance.now() - began).toBeGreaterThan(150)
  })

  it.each([
    ['nc n1 10.0.0.1', 2, 'HOST PORT is missing'],
    ['nc n1 10.0.0.1 7-9', 2, 'goes with -z'],
    ['nc n1 10.0.0.1 9-7 -z', 2, 'no range'],
    ['nc -l n1 10.0.0.1 7', 2, 'only a PORT'],
    ['nc -l -z n1 7', 2, 'not both'],
    ['nc -k n1 10.0.0.1 7', 2, '-k goes with -l'],
    ['nc -u -z n1 10.0.0.1 7', 2, 'is for TCP'],
    ['nc n1 10.0.0.1 8', 1, 'nobody listens on 10.0.0.1 port 8'],
    ['nc n1 10.9.9.9 8', 1, ''],
    ['nc -l n1 7', 1, "the node's own service echo has it"],
    ['nc -u -l n1 7', 1, "UDP port 7 is in use on this node\n  hint: the node's own service echo has it"],
    ['nc -z n1 10.0.0.1 10-12', 1, 'none is open of 3 ports'],
  ])('%s: exit code %i', async (line, code, text) => {
    const said = await run(line)
    expect(said.code).toBe(code)
    expect(said.stderr).toContain(text)
  })
})

describe('cli/curl and the file service', () => {
  it('fetches to stdout, to a file, and to a file of that name', async () => {
    expect(await run('curl n1 http://10.0.0.1/file.txt')).toMatchObject({ code: 0, stdout: TEXT })
    expect(await run('curl n1 [fd00::1]/file.txt')).toMatchObject({ code: 0, stdout: TEXT })
    const target = join(directory, 'copy.txt')
    expect((await run(`curl n1 http://10.0.0.1/file.txt -o ${target}`)).code).toBe(0)
    expect(readFileSync(target, 'utf8')).toBe(TEXT)
  })

  it('-I, -i and -v show the header fields', async () => {
    const head = await run('curl n1 -I 10.0.0.1/file.txt')
    expect(head.stdout).toMatch(/^HTTP\/1\.1 200 OK\n(.+\n)*content-length: 20\n/)
    expect(head.stdout).not.toContain(TEXT)
    expect((await run('curl n1 -i 10.0.0.1/file.txt')).stdout).toMatch(
      /^HTTP\/1\.1 200 OK\n[\s\S]+\n\nA file of the node\.\n$/,
    )
    expect((await run('curl n1 -v 10.0.0.1/file.txt')).stderr).toMatch(
      /> GET \/file\.txt HTTP\/1\.1[\s\S]+< HTTP\/1\.1 200 OK/,
    )
  })

  it('--json: how it went, as a document', async () => {
    const said = await run('curl n1 http://10.0.0.1/file.txt -H Range:bytes=2-5 --json')
    expect(document(said)).toMatchObject({
      ok: true,
      result: {
        status: 206,
        bytes: 4,
        body: 'file',
        headers: { 'content-range': 'bytes 2-5/20' },
        remote: { address: '10.0.0.1', port: 80 },
      },
    })
  })

  it('-L follows redirections, -f makes 404 a failure, --resolve gives a name its address', async () => {
    mkdirSync(join(directory, 'www', 'sub'))
    writeFileSync(join(directory, 'www', 'sub', 'index.html'), 'index')
    expect((await run('curl n1 10.0.0.1/sub --json')).stdout).toContain('"status":301')
    expect((await run('curl n1 -L 10.0.0.1/sub')).stdout).toBe('index')
    expect((await run('curl n1 10.0.0.1/none')).code).toBe(0)
    expect((await run('curl n1 10.0.0.1/none')).stdout).not.toBe('')
    expect(await run('curl n1 -f 10.0.0.1/none')).toMatchObject({
      code: 22,
      stdout: '',
      stderr: expect.stringContaining('404') as string,
    })
    const target = join(directory, 'none.txt')
    expect((await run(`curl n1 -f 10.0.0.1/none -o ${target}`)).code).toBe(22)
    expect(existsSync(target)).toBe(false)
    const said = await run('curl n1 -f 10.0.0.1/none --json')
    expect(said.code).toBe(22)
    expect(document(said)).toMatchObject({
      ok: false,
      error: { code: 'ERR_HTTP_STATUS', message: 'the server answered with 404 Not Found' },
      result: { status: 404, bytes: 0, file: null },
    })
    expect(document(await run('nc -z n1 10.0.0.1 8 --json'))).toMatchObject({
      error: { code: 'ERR_CONN_REFUSED' },
    })
    expect(await run(['curl', 'n1', '-X', 'BAD METHOD', '10.0.0.1/'])).toMatchObject({ code: 2 })
    expect(said.stdout).not.toContain('"body"')
    expect((await run('curl n1 http://node.test/file.txt --resolve node.test:80:10.0.0.1')).stdout).toBe(TEXT)
  })

  it('-o blames the file, not the URL, and says which folder is missing', async () => {
    const [lost, folder] = [join(directory, 'missing', 'folder', 'x'), join(directory, 'www')]
    const said = await run(`curl n1 10.0.0.1/file.txt -o ${lost}`)
    expect(said.code).toBe(1)
    expect(said.stderr).toContain(`there is no folder ${join(directory, 'missing', 'folder')}`)
    expect(said.stderr).not.toContain('http://')
    expect((await run(`curl n1 10.0.0.1/file.txt -o ${folder}`)).stderr).toContain(`${folder} is a folder`)
  })

  it.each([
    ['curl n1 ftp://10.0.0.1/', 2, 'not spoken here'],
    ['curl n1 http://', 2, 'no URL'],
    ['curl n1 10.0.0.1/ -O', 2, 'ends with no file name'],
    ['curl n1 10.0.0.1/x -O -o y', 2, 'one of -o and -O'],
    ['curl n1 10.0.0.1/ -H x', 2, 'no header'],
    ['curl http://10.0.0.1/', 2, 'hint: which node fetches it? putnext curl NODE http://10.0.0.1/'],
    ['curl n1 https://10.0.0.1/ --cacert none.crt', 2, '--cacert: cannot read none.crt (ENOENT)'],
    ['curl n1 https://10.0.0.1/ --cacert package.json', 2, 'package.json has no certificate'],
    ['curl n1 10.0.0.1/ --resolve x', 2, 'HOST:PORT:ADDRESS'],
    ['curl n1 10.0.0.1:81/', 1, 'nobody listens on 10.0.0.1 port 81'],
    ['curl n1 https://10.0.0.1:80/', 1, 'https://10.0.0.1:80/: the server does not speak TLS there'],
    ['curl n1 no-such-name.invalid/', 1, 'no address for the name'],
  ])('%s: exit code %i', async (line, code, text) => {
    const said = await run(line)
    expect(said.stderr).toContain(text)
    expect(said.code).toBe(code)
  })
})

describe('cli/serve', () => {
  it('serves a directory until it is interrupted, a line for each request', async () => {
    const interrupt = new AbortController()
    const serving = run(`serve n1 ${join(directory, 'www')} --port 8080`, { signal: interrupt.signal })
    await until(async () => (await run('curl n1 10.0.0.1:8080/file.txt')).stdout === TEXT, 'it serves')
    await run('curl n1 10.0.0.1:8080/none')
    interrupt.abort()
    const said = await serving
    expect(said.code).toBe(0)
    expect(said.stderr).toContain('is served at http://10.0.0.1:8080/ and http://[fd00::1]:8080/')
    expect(said.stdout).toMatch(/GET \/file\.txt 200 20 B \d+\.\d ms\n.+GET \/none 404 10 B/)
    expect((await run('curl n1 10.0.0.1:8080/file.txt')).code).toBe(1)
  })

  it('--json: lines of JSON', async () => {
    const interrupt = new AbortController()
    const serving = run(`serve n1 ${join(directory, 'www')} -p 8080 --json`, { signal: interrupt.signal })
    await until(async () => (await run('curl n1 10.0.0.1:8080/file.txt')).stdout === TEXT, 'it serves')
    interrupt.abort()
    const lines = (await serving).stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)
    expect(lines).toMatchObject([
      { kind: 'listening', port: 8080, urls: ['http://10.0.0.1:8080/', 'http://[fd00::1]:8080/'] },
      { kind: 'request', status: 200, bytes: 20 },
    ])
  })

  it.each([
    ['serve n1 /nonexistent', 1, 'there is no directory /nonexistent'],
    [
      'serve n1 . -p 80',
      1,
      "TCP port 80 is in use on this node\n  hint: the node's own service files has it",
    ],
    ['serve n1 . -p 81 --address 1.2.3.4', 1, '1.2.3.4 is no address of this node'],
    ['serve n1 . --port 7', 1, ''],
    ['serve n1 . --symlinks some', 2, 'none of none, inside, all'],
  ])('%s: exit code %i', async (line, code, text) => {
    const said = await run(line)
    expect(said.code).toBe(code)
    expect(said.stderr).toContain(text)
  })
})

describe('cli/iperf', () => {
  it('against its own service: shown as iperf3 shows it', async () => {
    const said = await run('iperf n1 -c 10.0.0.1 -n 20M -P 2')
    expect(said.code).toBe(0)
    expect(said.stdout).toMatch(/\[ {2}1\] local 10\.0\.0\.1 port \d+ connected to 10\.0\.0\.1 port 5201/)
    expect(said.stdout).toMatch(
      /\[SUM\] +0\.00-\d+\.\d+ +sec +20\.0 MBytes +[\d.]+ [GM]bits\/sec +\d+ +sender/,
    )
  })

  it('--json: the document of iperf3', async () => {
    const { result } = document(await run('iperf n1 -c 10.0.0.1 -t 1 -R --json')) as {
      result: Record<string, never>
    }
    expect(result).toMatchObject({
      start: { test_start: { protocol: 'TCP', num_streams: 1, reverse: 1, duration: 1 } },
      intervals: [{ sum: { sender: false } }],
      end: { streams: [{ sender: {}, receiver: {} }], sum_received: { sender: false } },
    })
    const { end } = result as unknown as { end: { sum_received: { bits_per_second: number } } }
    expect(end.sum_received.bits_per_second).toBeGreaterThan(1e8)
  })

  it('windows and segments beyond what a connection can have are brought to it, on both sides', async () => {
    expect((await run('iperf n1 -c 10.0.0.1 -n 64K -w 1K')).code).toBe(0)
    expect((await run('iperf n1 -c 10.0.0.1 -n 1M -w 500M -M 65535 -R')).code).toBe(0)
  })

  it('-u: what was lost, and the jitter', async () => {
    const said = await run('iperf n1 -c 10.0.0.1 -u -t 1 -b 10M -P 2')
    expect(said.code).toBe(0)
    // A busy machine may lose some: what matters is that they are counted.
    expect(said.stdout).toMatch(/\[SUM\] .*Mbits\/sec +\d+\.\d{3} ms {2}\d+\/1[67]\d\d \([\d.]+%\) +receiver/)
    expect(said.stdout).not.toMatch(/ 0\d\.\d{3} ms/)
    expect((await run('iperf n1 -c 10.0.0.1 -u -l 8')).stderr).toContain('a datagram has 16 to 65507 bytes')
  })

  it('-s: a port that is taken is told with who has it', async () => {
    const said = await run('iperf n1 -s')
    expect(said.code).toBe(1)
    expect(said.stderr).toContain(
      "TCP port 5201 is in use on this node\n  hint: the node's own service iperf has it",
    )
  })

  it('-s serves tests until it is interrupted; -1 ends after one', async () => {
    const serving = run('iperf n1 -s -1 -p 5300')
    await until(async () => (await run('nc -z n1 10.0.0.1 5300')).code === 0, 'it listens')
    expect((await run('iperf n1 -c 10.0.0.1 -p 5300 -n 1M --bidir')).code).toBe(0)
    const said = await serving
    expect(said.stdout).toContain('Accepted connection from')
    expect(said.stdout).toMatch(/RX .*receiver/)
  })

  it('an interruption tells what was measured so far', async () => {
    const interrupt = new AbortController()
    const measuring = run('iperf n1 -c 10.0.0.1 -i 100ms --json', { signal: interrupt.signal })
    setTimeout(() => interrupt.abort(), 3_000)
    const { intervals } = (await measuring.then(document)).result as unknown as { intervals: unknown[] }
    expect(intervals.length).toBeGreaterThan(0)
    // The server is free for the next one.
    await until(async () => (await run('iperf n1 -c 10.0.0.1 -n 1M')).code === 0)
  })

  it.each([
    ['iperf n1', 2, 'one of -s and -c'],
    ['iperf n1 -s -c 10.0.0.1', 2, 'one of -s and -c'],
    ['iperf n1 -s -R', 2, "--reverse is the client's to say"],
    ['iperf n1 -c 10.0.0.1 -R --bidir', 2, 'one of -R and --bidir'],
    ['iperf n1 -c 10.0.0.1 -t 1 -n 1M', 2, 'one of --time and --bytes'],
    ['iperf n1 -c 10.0.0.1 -n 1X', 2, 'no amount'],
    ['iperf n1 -c 10.0.0.1 -t 1500ms', 2, 'whole seconds'],
    ['iperf n1 -c 10.0.0.1 -p 5999', 1, 'port 5999'],
    ['iperf n1 -c 10.0.0.1 -p 7', 1, 'is an iperf3 server running there'],
  ])('%s: exit code %i', async (line, code, text) => {
    const said = await run(line)
    expect(said.stderr).toContain(text)
    expect(said.code).toBe(code)
  })

  it('amounts are read as iperf3 reads them', () => {
    expect([
      amountOf('-n', '64K', 1_024),
      amountOf('-b', '10M', 1_000),
      amountOf('-n', '1.5g', 1_024),
      amountOf('-l', '7', 1_024),
    ]).toEqual([65_536, 10_000_000, 1_610_612_736, 7])
  })
})

describe('the control port, byte streams', () => {
  it('a connection that was announced and is gone, or was never, is refused with a reason', async () => {
    const client = new ControlClient(join(directory, 'n1.sock'))
    await expect(client.openStream({ accept: 99 })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    await expect(client.openStream({ to: 'x', toPort: 1 })).rejects.toMatchObject({ code: 'ERR_BAD_ADDRESS' })
    await expect(client.openStream({ to: '10.0.0.1' })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
  })

  it('an opening that takes too long is told as such', async () => {
    const client = new ControlClient(join(directory, 'n1.sock'))
    await run('plumb n1 push lo impair loss=100%')
    await expect(client.openStream({ to: '10.0.0.1', toPort: 7, timeoutMs: 50 })).rejects.toMatchObject({
      code: 'ERR_TIMED_OUT',
    })
  })
})
