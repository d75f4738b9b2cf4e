/** The services and tools of a node with programs of the kernel's side: curl, iperf3 and nc, both ways. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'valibot'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { COMMANDS, GROUPS } from '../../src/cli/commands.ts'
import { type RunOptions, runLine, type Said } from '../../src/cli/testing.ts'
import { titled } from '../../src/host/testing/requirements.ts'
import { servicesSchema } from '../../src/node/config-services.ts'
import { ControlPort } from '../../src/node/control.ts'
import type { Node } from '../../src/node/node.ts'
import { Services } from '../../src/node/services.ts'
import type { Program } from './tcp/program.ts'
import { KERNEL4, KERNEL6, lacking, ON_KERNEL, STACK4, STACK6, TcpSite } from './tcp/site.ts'

const MIB = 1024 * 1024
/** What lies on the way of one stream, sent and not yet received: buffers of both ends, grown while it lasts. */
const STREAM_BUFFERS = 24 * MIB
const PROGRAM = { commands: COMMANDS, groups: GROUPS }
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

let site: TcpSite
let directory: string
let node: Node
let services: Services
let control: ControlPort

/** A command about the node; the first word behind its name is the node. */
const putnext = (line: string, options: RunOptions = {}): Promise<Said> =>
  runLine(PROGRAM, line.replace('NODE', control.path), options)

function withPrograms(title: string, programs: string[], tests: () => void): void {
  const reason = [ON_KERNEL ? 'a node is wanted' : '', lacking(...programs)]
    .filter(text => text !== '')
    .join(', ')
  describe.skipIf(reason !== '')(titled(title, reason), () => {
    beforeEach(async () => {
      directory = mkdtempSync(join(tmpdir(), 'putnext-services-'))
      mkdirSync(join(directory, 'www'))
      site = await TcpSite.open()
      node = site.side.node!
      const config = parse(servicesSchema, {
        echo: true,
        discard: true,
        chargen: true,
        iperf: true,
        files: { directory: 'www' },
      })
      services = await Services.start(node.runtime, node.network, config, directory)
      control = await ControlPort.open(node, { path: join(directory, 'n.sock') })
    })
    afterEach(async () => {
      await control?.close()
      services?.close()
      await site?.close()
      rmSync(directory, { recursive: true, force: true })
    })
    tests()
  })
}

withPrograms('files for curl', ['curl'], () => {
  it.each([STACK4, `[${STACK6}]`])('every byte comes, from %s', async host => {
    const bytes = randomBytes(20 * MIB)
    writeFileSync(join(directory, 'www', 'big.bin'), bytes)
    const file = join(directory, 'got')
    await site.run('curl', ['-sSg', '-o', file, `http://${host}/big.bin`]).succeeds()
    expect(sha256(readFileSync(file))).toBe(sha256(bytes))
  })

  it('a download that broke off is taken up again; what has not changed is not sent again', async () => {
    const bytes = randomBytes(3 * MIB)
    writeFileSync(join(directory, 'www', 'big.bin'), bytes)
    const file = join(directory, 'got')
    writeFileSync(file, bytes.subarray(0, 1_234_567))
    const url = `http://${STACK4}/big.bin`
    await site.run('curl', ['-sS', '-C', '-', '-o', file, url]).succeeds()
    expect(sha256(readFileSync(file))).toBe(sha256(bytes))
    const etags = join(directory, 'etags')
    const conditional = [
      '-sS',
      '--etag-save',
      etags,
      '--etag-compare',
      etags,
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      url,
    ]
    expect((await site.run('curl', conditional).succeeds()).stdout).toBe('200')
    expect((await site.run('curl', conditional).succeeds()).stdout).toBe('304')
  })

  it('many at once on connections that are kept', async () => {
    const bytes = randomBytes(100_000)
    writeFileSync(join(directory, 'www', 'some.bin'), bytes)
    const urls = Array.from({ length: 60 }, (_, i) => [
      '-o',
      join(directory, `got${i}`),
      `http://${STACK4}/some.bin`,
    ])
    await site.run('curl', ['-sS', '-Z', ...urls.flat()]).succeeds()
    for (let i = 0; i < urls.length; i++)
      expect(sha256(readFileSync(join(directory, `got${i}`)))).toBe(sha256(bytes))
  })
})

/** What `iperf3 --json` says, as far as it is looked at. */
interface IperfDocument {
  readonly error?: string
  readonly intervals: readonly unknown[]
  readonly end: {
    readonly streams: readonly unknown[]
    readonly sum_sent: {
      readonly bytes: number
      readonly retransmits?: number
      readonly bits_per_second: number
    }
    readonly sum_received: { readonly bytes: number; readonly bits_per_second: number }
  }
}

withPrograms('iperf3', ['iperf3'], () => {
  it.each([
    ['forward', []],
    ['-R', ['-R']],
    ['four streams', ['-P', '4']],
    ['four streams, -R', ['-P', '4', '-R']],
    ['--bidir', ['--bidir']],
    ['an omitted second', ['-O', '1']],
    ['IPv6', ['-6']],
    ['a limited rate', ['-b', '100M', '-l', '8K']],
  ])('its client with our server: %s', async (_what, options) => {
    const host = options.includes('-6') ? STACK6 : STACK4
    const { stdout } = await site.run('iperf3', ['-c', host, '-t', '1', '--json', ...options]).succeeds()
    const { end, intervals } = JSON.parse(stdout) as IperfDocument
    expect(intervals.length).toBeGreaterThan(0)
    const least = options.includes('-b') ? 5e7 : 2e8
    expect(end.sum_received.bits_per_second).toBeGreaterThan(least)
    // What was sent and what was received differ by what was on its way, and where counting begins late, by what came between.
    if (!options.includes('-O'))
      expect(Math.abs(end.sum_sent.bytes - end.sum_received.bytes)).toBeLessThan(
        STREAM_BUFFERS * (options.includes('-P') ? 4 : 2),
      )
    if (options.includes('-R')) expect(end.sum_sent.retransmits).toBeTypeOf('number')
    if (options.includes('-b')) expect(end.sum_received.bits_per_second).toBeLessThan(1.3e8)
  })

  it('its client after its client, and a second one meanwhile is told that the server is busy', async () => {
    const first = site.run('iperf3', ['-c', STACK4, '-t', '2', '--forceflush'])
    await first.said(/0\.00-1\.00/)
    const second = await site.run('iperf3', ['-c', STACK4]).ended
    expect(second.stderr + second.stdout).toContain('the server is busy running a test')
    await first.succeeds()
    await site.run('iperf3', ['-c', STACK4, '-n', '1M']).succeeds()
  })

  it.each([
    ['-u', '-b', '50M', '-P', '2'],
    ['-u', '-b', '50M', '-R'],
    ['-u', '-b', '20M', '--bidir', '--udp-counters-64bit'],
  ])('its client with our server, UDP: %s', async (...options) => {
    const { stdout } = await site.run('iperf3', ['-c', STACK4, '-t', '1', '--json', ...options]).succeeds()
    const { end } = JSON.parse(stdout) as {
      end: { sum: { packets: number; lost_packets: number; jitter_ms: number } }
    }
    expect(end.sum.packets).toBeGreaterThan(1_000)
    expect(end.sum.lost_packets).toBeLessThan(end.sum.packets / 10)
    expect(end.sum.jitter_ms).toBeLessThan(50)
  })

  it('its client that is interrupted leaves the server free', async () => {
    const first = site.run('iperf3', ['-c', STACK4, '-t', '20', '--forceflush'])
    await first.said(/0\.00-1\.00/)
    first.kill('SIGINT')
    await first.ended
    await site.run('iperf3', ['-c', STACK4, '-n', '1M']).succeeds()
  })

  async function kernelServer(): Promise<Program> {
    const server = site.run('iperf3', ['-s', '-1', '--forceflush'])
    await server.said(/Server listening/)
    return server
  }

  it.each(['-u -b 50M', '-u -b 50M -R -P 2', '-u -b 20M --bidir'])(
    'our client with its server, UDP: %s',
    async options => {
      const server = await kernelServer()
      const said = await putnext(`iperf NODE -c ${KERNEL4} -t 1 ${options} --json`)
      expect(said.code).toBe(0)
      const { result } = JSON.parse(said.stdout) as {
        result: { end: { sum_received: { packets: number; lost_packets: number; bits_per_second: number } } }
      }
      const { packets, lost_packets: lost, bits_per_second: rate } = result.end.sum_received
      expect(packets).toBeGreaterThan(1_000)
      expect(lost).toBeLessThan(packets / 10)
      expect(rate).toBeGreaterThan(1e7)
      await server.succeeds()
    },
  )

  it.each(['', '-R', '-P 4', '-P 4 -R', '--bidir', '-O 1', '-N -M 1000', '-b 100M'])(
    'our client with its server: %s',
    async options => {
      const server = await kernelServer()
      const said = await putnext(`iperf NODE -c ${KERNEL4} -t 1 ${options} --json`)
      const { result } = JSON.parse(said.stdout) as { result: IperfDocument }
      expect(said.code).toBe(0)
      expect(result.end.sum_received.bits_per_second).toBeGreaterThan(options.startsWith('-b') ? 5e7 : 2e8)
      if (!options.startsWith('-O'))
        expect(Math.abs(result.end.sum_sent.bytes - result.end.sum_received.bytes)).toBeLessThan(
          2 * STREAM_BUFFERS,
        )
      const { stdout } = await server.succeeds()
      expect(stdout).toMatch(/sender|receiver/)
    },
  )

  it('our client with its server: a number of bytes is sent to the byte', async () => {
    const server = await kernelServer()
    const { stdout } = await putnext(`iperf NODE -c ${KERNEL6} -n 123456789 -J`)
    expect((JSON.parse(stdout) as IperfDocument).end.sum_sent.bytes).toBe(123_456_789)
    await server.succeeds()
  })

  it('nothing is copied in user space', async () => {
    const server = await kernelServer()
    const { copies } = node.runtime.arena
    const [stack, edge] = [copies.stack.bytes, copies.edge.bytes]
    await putnext(`iperf NODE -c ${KERNEL4} -t 1 --bidir`)
    await server.succeeds()
    // The control connection; headers that TCP keeps a copy of. Nothing of the data.
    expect(copies.edge.bytes - edge).toBeLessThan(20_000)
    expect(copies.stack.bytes - stack).toBeLessThan(copies.kernel.bytes / 1_000)
  })
})

withPrograms('nc', ['nc'], () => {
  it("our client with the kernel's nc: both directions, each end by itself", async () => {
    const file = randomBytes(MIB).toString('base64')
    const server = site.run('nc', ['-l', '-N', '9000'])
    server.child.stdin!.end('from the kernel')
    // nc says nothing when it listens.
    for (;;) {
      const said = await putnext(`nc NODE ${KERNEL4} 9000`, { stdin: file })
      if (said.code !== 0) continue
      expect(said.stdout).toBe('from the kernel')
      break
    }
    expect((await server.succeeds()).stdout === file).toBe(true)
  })

  it("the kernel's nc with our server", async () => {
    const listening = putnext('nc -l NODE 9000', { stdin: 'from the stack' })
    const file = randomBytes(MIB).toString('base64')
    for (;;) {
      const client = site.run('nc', ['-N', STACK4, '9000'])
      client.child.stdin!.end(file)
      const { code, stdout } = await client.ended
      if (code !== 0) continue
      expect(stdout).toBe('from the stack')
      break
    }
    expect((await listening).stdout === file).toBe(true)
  })

  it("echo, discard and chargen answer the kernel's nc", async () => {
    const echo = site.run('nc', ['-N', STACK4, '7'])
    const text = randomBytes(MIB).toString('base64')
    echo.child.stdin!.end(text)
    expect((await echo.succeeds()).stdout === text).toBe(true)
    const discard = site.run('nc', ['-N', STACK6, '9'])
    discard.child.stdin!.end(text)
    expect((await discard.succeeds()).stdout).toBe('')
    const chargen = site.run('sh', ['-c', `nc -d ${STACK4} 19 | head -c 2000000`])
    const { stdout } = await chargen.succeeds()
    expect(stdout.length).toBe(2_000_000)
    const lines = stdout.split('\r\n').slice(0, -1)
    expect(lines.every((line, i) => i === 0 || line.slice(0, 71) === lines[i - 1]!.slice(1))).toBe(true)
  })

  it('nc -z finds what is open on the kernel', async () => {
    const server = site.run('nc', ['-l', '-k', '9100'])
    const open = async (): Promise<string> => (await putnext(`nc -z NODE ${KERNEL4} 9099-9101`)).stdout
    while ((await open()) === '');
    expect(await open()).toBe(`${KERNEL4} port 9100: open\n`)
    server.kill()
  })
})

withPrograms('putnext curl with servers of the kernel', ['python3', 'openssl'], () => {
  it('HTTP/1.0 of Python: a file, byte for byte', async () => {
    const bytes = randomBytes(5 * MIB)
    writeFileSync(join(directory, 'www', 'big.bin'), bytes)
    const server = site.run('python3', [
      '-um',
      'http.server',
      '-d',
      join(directory, 'www'),
      '--bind',
      KERNEL4,
      '8000',
    ])
    await server.said(/Serving HTTP/)
    const file = join(directory, 'got')
    expect((await putnext(`curl NODE http://${KERNEL4}:8000/big.bin -o ${file}`)).code).toBe(0)
    expect(sha256(readFileSync(file))).toBe(sha256(bytes))
  })

  it('TLS of OpenSSL: refused without trust, with -k and --cacert it goes on', async () => {
    const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    const subject = ['-subj', '/CN=kernel.test', '-addext', `subjectAltName=DNS:kernel.test,IP:${KERNEL4}`]
    const request = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      ...subject,
    ]
    await site.run('openssl', [...request, '-keyout', key, '-out', cert]).succeeds()
    const server = site.run('openssl', ['s_server', '-accept', '8443', '-www', '-key', key, '-cert', cert])
    await server.said(/ACCEPT/)
    const refused = await putnext(`curl NODE https://${KERNEL4}:8443/`)
    expect(refused.code).toBe(60)
    expect(refused.stderr).toContain('-k to go on')
    expect((await putnext(`curl NODE -k https://${KERNEL4}:8443/`)).stdout).toContain('s_server')
    const trusted = `curl NODE --cacert ${cert} https://kernel.test:8443/ --resolve kernel.test:8443:${KERNEL4}`
    expect((await putnext(trusted)).stdout).toContain('s_server')
  })
})
