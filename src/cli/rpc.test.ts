/** rpc info, ping and call: through a node that talks to itself, and through the kernel. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type KernelHost, kernelHost } from '../kernel/index.ts'
import { until } from '../node/testing.ts'
import { RpcServer } from '../rpc/server.ts'
import { RpcStatusError } from '../rpc/status-error.ts'
import { type RpcService, rpcHandler } from '../rpc/stub-types.ts'
import { xdrHyper, xdrInt, xdrVoid } from '../rpc/xdr/index.ts'
import { COMMANDS, GROUPS } from './commands.ts'
import { numberOf } from './rpc-target.ts'
import { type RunOptions, runLine, type Said } from './testing.ts'

const PROGRAM = { commands: COMMANDS, groups: GROUPS }
const RPCBIND_X = join(import.meta.dirname, '../rpc/rpcbind/rpcbind.x')
const CALC_X = `
program CALC_PROG {
    version CALC_OLD { void CALC_NULL(void) = 0; } = 1;
    version CALC_NEW {
        hyper CALC_ADD(int, int) = 1;
        void CALC_FAIL(void) = 2;
    } = 3;
} = 0x20000077;
`
const NUMBER = 0x2000_0077

let directory: string
let calcX: string
let stop: AbortController
let ended: Promise<Said>
let kernel: KernelHost
let server: RpcServer
let port: number

const run = (line: string | readonly string[], options: RunOptions = {}): Promise<Said> =>
  runLine(PROGRAM, line, { env: { PUTNEXT_STATE_DIR: directory }, ...options })

const document = ({ stdout }: Said) => JSON.parse(stdout) as { ok: boolean; result: never; error: never }

function calc(version: number): RpcService {
  const procedure = { program: NUMBER, version, isIdempotent: true }
  const add = {
    ...procedure,
    name: 'CALC_ADD',
    procedure: 1,
    argument: {
      encode: () => {},
      decode: (xdr: Parameters<typeof xdrInt.decode>[0]) => [xdrInt.decode(xdr), xdrInt.decode(xdr)],
    },
    result: xdrHyper,
  }
  const fail = { ...procedure, name: 'CALC_FAIL', procedure: 2, argument: xdrVoid, result: xdrVoid }
  return {
    name: 'CALC_PROG',
    program: NUMBER,
    version,
    handlers: [
      rpcHandler(add, ([a, b]) => BigInt(a!) + BigInt(b!)),
      rpcHandler(fail, () => {
        throw RpcStatusError.accepted(5)
      }),
    ],
  }
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'putnext-rpc-'))
  calcX = join(directory, 'calc.x')
  writeFileSync(calcX, CALC_X)
  const file = join(directory, 'n1.yaml')
  writeFileSync(
    file,
    'version: 1\nname: n1\narena: {size: 16MiB}\nservices: {rpcbind: true}\n' +
      'links: [{name: w0, driver: wire, wire: lan, addresses: [10.0.0.1/24, "fd00::1/64"]}]\n',
  )
  stop = new AbortController()
  ended = run(`node run ${file}`, { signal: stop.signal })
  kernel = kernelHost({})
  server = new RpcServer(kernel).add(calc(1)).add(calc(3))
  port = (await server.listen({ port: 0, address: '127.0.0.1' }))[0]!.port
  await until(async () => (await run('node status n1')).code === 0, 'the node runs')
})

afterAll(async () => {
  await server.close()
  await kernel.close()
  stop.abort()
  const { code, stderr } = await ended
  expect(stderr).toContain('the arena is whole')
  expect(code).toBe(0)
  rmSync(directory, { recursive: true })
})

describe('cli/rpc info', () => {
  it('lists the entries of a node', async () => {
    const { code, stdout } = await run('rpc info 10.0.0.1 --node n1')
    expect(code).toBe(0)
    const lines = stdout.trim().split('\n')
    expect(lines[0]).toMatch(/^program +version +netid +address +service +owner$/)
    expect(lines).toContain('100000   4        tcp    0.0.0.0.0.111  rpcbind  superuser')
    expect(lines).toHaveLength(11)
  })

  it('in short, and as the port mapper tells it, over IPv6 too', async () => {
    const short = await run('rpc info fd00::1 -n n1 -s')
    expect(short.stdout).toMatch(/^100000 +2,3,4 +tcp,tcp6,udp,udp6 +rpcbind +superuser$/m)
    const old = document(await run('rpc info 10.0.0.1 -n n1 -P --json')).result as { entries: unknown[] }
    expect(old.entries).toHaveLength(6)
    expect(old.entries[0]).toMatchObject({ program: 100_000, version: 4, netid: 'tcp', owner: '' })
  })

  it('says why it cannot', async () => {
    const { code, stderr } = await run('rpc info 10.0.0.1 -n n1 --port 112')
    expect(code).toBe(1)
    expect(stderr).toContain('nobody listens at 10.0.0.1 on tcp port 112')
    expect(stderr).toContain('reached by its own port: --port')
    expect(await run('rpc info 10.0.0.1')).toMatchObject({ code: 2 })
    expect((await run('rpc info 10.0.0.1 --node n1 --kernel')).stderr).toContain('one of --node and --kernel')
    expect((await run('rpc info 10.0.0.1 --node n9')).code).toBe(1)
  })
})

describe('cli/rpc ping', () => {
  it.each(['tcp', 'udp'])(
    'calls procedure 0 of the newest version, found by rpcbind, over %s',
    async transport => {
      const said = await run(`rpc ping 10.0.0.1 rpcbind -n n1 -t ${transport} -c 3 -i 1ms`)
      expect(said.code).toBe(0)
      expect(said.stdout).toContain(`program 100000 (rpcbind) version 4 over ${transport}`)
      expect(said.stdout.match(/^answer from 10\.0\.0\.1:111: call=\d time=[\d.]+ ms$/gm)).toHaveLength(3)
      expect(said.stdout).toContain('3 calls made, 3 answered, 0% unanswered')
    },
  )

  it('tells which versions there are, and ends with 1 if nothing is answered', async () => {
    const { code, stdout } = await run('rpc ping 10.0.0.1 100000 9 -n n1 -c 1')
    expect(code).toBe(1)
    expect(stdout).toContain('PROG_MISMATCH, versions 2 to 4 are there')
    const unknown = await run('rpc ping 10.0.0.1 nfs -n n1')
    expect(unknown).toMatchObject({ code: 1 })
    expect(unknown.stderr).toContain('program 100003 is not registered')
    expect(unknown.stderr).toContain('hint: "putnext rpc info 10.0.0.1 --node n1" shows')
    const elsewhere = await run('rpc ping 10.0.0.1 nfs -n n1 -p 112')
    expect(elsewhere.stderr).toContain('nobody listens at 10.0.0.1 on tcp port 112')
    expect(elsewhere.stderr).toContain('"putnext rpc info 10.0.0.1 --node n1" shows what an rpcbind')
  })

  it("through the kernel's stack", async () => {
    const said = await run(`rpc ping 127.0.0.1 0x20000077 --kernel --port ${port} -c 2 -i 1ms --json`)
    expect(document(said).result).toMatchObject({
      program: NUMBER,
      version: 3,
      summary: { address: '127.0.0.1', sent: 2, received: 2 },
      results: [{ kind: 'answer', sequence: 1 }, { sequence: 2 }],
    })
  })
})

describe('cli/rpc call', () => {
  const entry = (prog: number) => JSON.stringify({ prog, vers: 4, netid: '', address: '', owner: '' })
  const rpcbind = (procedure: string, ...json: string[]) =>
    run(['rpc', 'call', '10.0.0.1', 'RPCBIND_PROGRAM', procedure, ...json, '-n', 'n1', '-I', RPCBIND_X])
  const calls = (words: readonly string[]) =>
    run(['rpc', 'call', '127.0.0.1', ...words, '-k', '-p', String(port), '-I', calcX])

  it('arguments and result in JSON, through a node', async () => {
    const { code, stdout } = await rpcbind('GETADDRLIST', entry(100_000))
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toContainEqual({
      entry: { address: '10.0.0.1.0.111', netid: 'udp', semantics: 1, family: 'inet', protocol: 'udp' },
    })
    expect(JSON.parse((await rpcbind('RPCBPROC_GETADDR', entry(100_003))).stdout)).toBe('')
  })

  it('several arguments, a hyper, a version, stdin; through the kernel', async () => {
    expect((await calls(['CALC_PROG', 'ADD', '[2147483647, 1]'])).stdout).toBe('"2147483648"\n')
    expect((await calls([`${NUMBER}:3`, '1', '[1, -2]'])).stdout).toBe('"-1"\n')
    const line = ['rpc', 'call', '127.0.0.1', 'CALC_PROG', 'add', '-', '-k', '-p', String(port), '-I', calcX]
    expect((await run([...line, '-t', 'udp'], { stdin: '[20, 22]' })).stdout).toBe('"42"\n')
    expect((await calls(['CALC_PROG:1', 'NULL'])).stdout).toBe('null\n')
  })

  it('without a file: numbers and bytes', async () => {
    const line = [
      'rpc',
      'call',
      '127.0.0.1',
      `${NUMBER}:3`,
      '1',
      '"hex:0000000100000002"',
      '-k',
      '-p',
      String(port),
    ]
    expect((await run(line)).stdout).toBe('"hex:0000000000000003"\n')
  })

  it('a call that failed is told with its outcome', async () => {
    const said = await run([
      'rpc',
      'call',
      '127.0.0.1',
      'CALC_PROG',
      'FAIL',
      '-k',
      '-p',
      String(port),
      '-I',
      calcX,
      '--json',
    ])
    expect(said.code).toBe(1)
    expect(document(said)).toMatchObject({
      ok: false,
      result: { procedure: 'CALC_FAIL', outcome: 'answered', status: 'SYSTEM_ERR' },
      error: { code: 'ERR_HOST', message: 'CALC_FAIL: the server answered SYSTEM_ERR' },
    })
  })

  it.each([
    [['CALC_PROG', 'ADD', '[1]'], 2, 'args: this procedure takes an array of 2 arguments, not of 1'],
    [['CALC_PROG', 'ADD', '[1, "x"]'], 2, 'a whole number'],
    [['CALC_PROG', 'ADD', '[1,'], 2, 'the arguments are no JSON'],
    [['CALC_PROG', 'SUB'], 2, 'there are CALC_ADD, CALC_FAIL'],
    [['CALC_PROG:2', 'ADD'], 2, 'CALC_PROG has no version 2'],
    [['NFS', 'ADD'], 2, 'it has CALC_PROG (536871031)'],
  ])('%s: exit code %i, %s', async (words, code, text) => {
    const said = await calls(words)
    expect([said.code, said.stderr]).toEqual([code, expect.stringContaining(text)])
  })

  it('a file with errors is bad configuration', async () => {
    const bad = join(directory, 'bad.x')
    writeFileSync(bad, 'struct {')
    const said = await run(['rpc', 'call', '127.0.0.1', '1', '1', '-k', '-I', bad])
    expect([said.code, said.stderr]).toEqual([78, expect.stringContaining('bad.x:1:8')])
  })

  it('numbers of programs', () => {
    expect([numberOf('100003'), numberOf('0x20000001'), numberOf('4294967296'), numberOf('nfs')]).toEqual([
      100_003,
      0x2000_0001,
      null,
      null,
    ])
  })
})
