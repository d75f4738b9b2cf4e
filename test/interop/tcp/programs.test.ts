/** Programs that nobody here wrote, as clients of servers on our stack and as servers of its clients. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { KERNEL4, KERNEL6, lacking, programPath, STACK4, STACK6, TcpSite } from './site.ts'
import { closed, connected, listening } from './traffic.ts'

const MIB = 1024 * 1024
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

let site: TcpSite
let directory: string
const servers: Server[] = []

/** A server on our stack. @returns its port */
async function serve(handle: (socket: Socket) => void, host: string = STACK4, port = 0): Promise<number> {
  const server = site.net.createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => {})
    handle(socket)
  })
  servers.push(server)
  return listening(server, host, port)
}

/** Passes every connection on to a port of the kernel's, both ways through our stack. */
const forward = (port: number, address: string = KERNEL4) =>
  serve(socket => {
    const on = site.net.connect({ host: address, port, allowHalfOpen: true })
    on.on('error', () => socket.destroy())
    socket.on('error', () => on.destroy())
    socket.pipe(on).pipe(socket)
  })

/** A group of tests with some programs, or its name and why not. */
function withPrograms(title: string, programs: string[], tests: () => void): void {
  const reason = lacking(...programs)
  describe.skipIf(reason !== '')(titled(title, reason), () => {
    beforeEach(async () => {
      directory = mkdtempSync(join(tmpdir(), 'putnext-interop-'))
      site = await TcpSite.open()
    })
    afterEach(async () => {
      for (const server of servers.splice(0)) server.close()
      await site?.close()
      rmSync(directory, { recursive: true, force: true })
    })
    tests()
  })
}

withPrograms('curl', ['curl'], () => {
  const body = randomBytes(5 * MIB)

  async function http(host: string): Promise<string> {
    const server = createHttpServer((request, response) => {
      if (request.method !== 'PUT') return void response.end(body)
      const sha = createHash('sha256')
      request.on('data', chunk => sha.update(chunk))
      request.on('end', () => response.end(sha.digest('hex')))
    })
    const port = await serve(socket => server.emit('connection', socket), host)
    return `http://${host.includes(':') ? `[${host}]` : host}:${port}/`
  }

  it.each([STACK4, STACK6])('fetches a file from %s, byte for byte', async host => {
    const file = join(directory, 'got')
    const url = await http(host)
    await site.run('curl', ['-sS', '-o', file, url]).succeeds()
    expect(sha256(readFileSync(file))).toBe(sha256(body))
  })

  it('sends one, byte for byte', async () => {
    const file = join(directory, 'sent')
    writeFileSync(file, body)
    const { stdout } = await site.run('curl', ['-sS', '-T', file, await http(STACK4)]).succeeds()
    expect(stdout).toBe(sha256(body))
  })

  it('uses one connection for many requests', async () => {
    const url = await http(STACK4)
    const each = Array.from({ length: 20 }, () => ['-o', '/dev/null', url]).flat()
    const { stdout } = await site.run('curl', ['-sS', '-w', '%{num_connects} ', ...each]).succeeds()
    expect(stdout).toBe(`1 ${'0 '.repeat(19)}`)
  })
})

withPrograms('wrk', ['wrk'], () => {
  /** What it complains of, except that the machine was slow. */
  const faults = (stdout: string): string[] =>
    [...stdout.matchAll(/(?:connect|read|write) ([1-9]\d*)|Non-2xx.*/g)].map(([text]) => text)

  it('64 connections for a second, no error', async () => {
    const server = createHttpServer((_, response) => response.end('hello'))
    const port = await serve(socket => server.emit('connection', socket))
    const args = ['-t2', '-c64', '-d1s', `http://${STACK4}:${port}/`]
    const { stdout } = await site.run('wrk', args).succeeds()
    expect(faults(stdout)).toEqual([])
    expect(Number(/(\d+) requests in/.exec(stdout)?.[1])).toBeGreaterThan(64)
  })

  it('a connection for each request', async () => {
    const server = createHttpServer((_, response) => {
      response.setHeader('connection', 'close')
      response.end('bye')
    })
    const port = await serve(socket => server.emit('connection', socket))
    const args = ['-t1', '-c8', '-d1s', `http://${STACK4}:${port}/`]
    const { stdout } = await site.run('wrk', args).succeeds()
    expect(faults(stdout)).toEqual([])
    expect(Number(/(\d+) requests in/.exec(stdout)?.[1])).toBeGreaterThan(8)
  })
})

withPrograms('iperf3 through a forwarder on our stack', ['iperf3'], () => {
  it.each([
    { way: 'up', args: [] },
    { way: 'down', args: ['-R'] },
    { way: 'both ways, four streams', args: ['--bidir', '-P', '4'] },
  ])('$way', async ({ args }) => {
    const server = site.run('iperf3', ['-s', '-1', '-B', KERNEL4, '--forceflush'])
    await server.said(/listening/)
    const port = await forward(5_201)
    const client = site.run('iperf3', ['-c', STACK4, '-p', String(port), '-t', '1', '-J', ...args])
    const { stdout } = await client.succeeds()
    const { end } = JSON.parse(stdout) as { end: { sum_received: { bytes: number } } }
    expect(end.sum_received.bytes).toBeGreaterThan(MIB)
    await server.succeeds()
  })
})

withPrograms('openssl', ['openssl'], () => {
  let key: string
  let cert: string

  beforeEach(async () => {
    ;[key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    const args = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
    ]
    await site.run('openssl', [...args, '-subj', '/CN=stack', '-keyout', key, '-out', cert]).succeeds()
  })

  it.each(['-tls1_2', '-tls1_3'])('s_client %s talks to a TLS server on our sockets', async version => {
    const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, socket => {
      socket.on('error', () => {})
      socket.pipe(socket)
    })
    const port = await serve(socket => server.emit('connection', socket))
    const args = [
      's_client',
      '-connect',
      `${STACK4}:${port}`,
      '-CAfile',
      cert,
      '-verify_return_error',
      version,
    ]
    const client = site.run('openssl', args)
    client.write('hello there\n')
    await client.said(/^hello there$/m)
    expect(client.stdout).toContain('Verify return code: 0 (ok)')
    client.write('Q\n')
    await client.succeeds()
  })

  it('s_server is talked to by a TLS client on our sockets', async () => {
    const args = [
      's_server',
      '-accept',
      `[${KERNEL6}]:4433`,
      '-key',
      key,
      '-cert',
      cert,
      '-rev',
      '-naccept',
      '1',
    ]
    const server = site.run('openssl', args)
    await server.said(/ACCEPT/)
    const plain = await connected(site.net.connect({ host: KERNEL6, port: 4_433 }))
    const socket = tlsConnect({ socket: plain, ca: readFileSync(cert), servername: 'stack' })
    const answered = new Promise(resolve => socket.once('data', data => resolve(data.toString())))
    socket.write('madam i am\n')
    expect(await answered).toBe('ma i madam\n')
    const gone = closed(socket)
    socket.end()
    expect(await gone).toBe('')
  })
})

withPrograms('ssh, through a forwarder on our stack', ['ssh', 'scp', 'ssh-keygen', 'sshd'], () => {
  let options: string[]
  let port: number

  beforeEach(async () => {
    const [host, user] = [join(directory, 'host'), join(directory, 'user')]
    for (const file of [host, user])
      await site.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]).succeeds()
    const lines = [
      `ListenAddress ${KERNEL4}:2222`,
      `HostKey ${host}`,
      `AuthorizedKeysFile ${user}.pub`,
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
      'PidFile none',
      'Subsystem sftp internal-sftp',
    ]
    const config = join(directory, 'sshd_config')
    writeFileSync(config, `${lines.join('\n')}\n`)
    // Where sshd has itself locked in while it asks who comes; Debian's service makes it at its start.
    mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
    await site.run(programPath('sshd')!, ['-D', '-e', '-f', config]).said(/listening/)
    port = await forward(2_222)
    options = ['-F', 'none', '-i', user, '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no']
    options.push('-o', `UserKnownHostsFile=${join(directory, 'known')}`)
  })

  it('a command runs, and its output and exit code come back', async () => {
    const args = [...options, '-p', String(port), `root@${STACK4}`, 'echo over the stack; exit 7']
    const { stdout } = await site.run('ssh', args).succeeds(7)
    expect(stdout).toBe('over the stack\n')
  })

  it('scp takes a file there and back, byte for byte', async () => {
    const [from, there, back] = ['from', 'there', 'back'].map(name => join(directory, name)) as [
      string,
      string,
      string,
    ]
    const bytes = randomBytes(8 * MIB)
    writeFileSync(from, bytes)
    await site.run('scp', [...options, '-P', String(port), from, `root@${STACK4}:${there}`]).succeeds()
    await site.run('scp', [...options, '-P', String(port), `root@${STACK4}:${there}`, back]).succeeds()
    expect(sha256(readFileSync(back))).toBe(sha256(bytes))
  })
})

withPrograms('nc', ['nc'], () => {
  it('is answered by an echo service, and ends when its input does', async () => {
    const port = await serve(socket => socket.pipe(socket))
    const program = site.run('nc', ['-nN', STACK4, String(port)])
    const text = randomBytes(100_000).toString('hex')
    program.write(text)
    program.child.stdin!.end()
    expect((await program.succeeds()).stdout).toBe(text)
  })

  it('listens, and we connect', async () => {
    const program = site.run('nc', ['-nlvN', KERNEL4, '6000'])
    await program.said(/Listening/)
    const socket = site.net.connect({ host: KERNEL4, port: 6_000 })
    socket.end('from the stack\n')
    await program.said(/from the stack/)
    program.child.stdin!.end()
    await closed(socket)
    await program.succeeds()
  })

  it('-z tells open from closed', async () => {
    const port = await serve(socket => socket.end())
    await site.run('nc', ['-nz', STACK4, String(port)]).succeeds()
    await site.run('nc', ['-nz', STACK4, '4999']).succeeds(1)
  })
})
