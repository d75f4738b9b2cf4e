/** rpcbind with Debian's: `rpcinfo` asks ours over a TUN link, and our servers and clients use a real one in a namespace. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'valibot'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { COMMANDS, GROUPS } from '../../../src/cli/commands.ts'
import { runLine } from '../../../src/cli/testing.ts'
import { titled } from '../../../src/host/testing/requirements.ts'
import { servicesSchema } from '../../../src/node/config-services.ts'
import { ControlPort } from '../../../src/node/control.ts'
import type { Node } from '../../../src/node/node.ts'
import { Services } from '../../../src/node/services.ts'
import { sysAuth } from '../../../src/rpc/auth.ts'
import { RpcClient } from '../../../src/rpc/client.ts'
import {
  formatUniversal,
  RpcbindClient,
  RpcRegistration,
  rpcbindLookup,
} from '../../../src/rpc/rpcbind/index.ts'
import { RpcServer } from '../../../src/rpc/server.ts'
import { type RpcProcedure, type RpcService, rpcHandler } from '../../../src/rpc/stub-types.ts'
import { xdrInt } from '../../../src/rpc/xdr/index.ts'
import type { Program } from '../tcp/program.ts'
import { KERNEL4, KERNEL6, lacking, ON_KERNEL, STACK4, STACK6, TcpSite } from '../tcp/site.ts'

const PROGRAM = 536_870_913

const double: RpcProcedure<number, number> = {
  name: 'DOUBLE',
  program: PROGRAM,
  version: 1,
  procedure: 1,
  isIdempotent: true,
  argument: xdrInt,
  result: xdrInt,
}
const doubler: RpcService = {
  name: 'DOUBLER',
  program: PROGRAM,
  version: 1,
  handlers: [rpcHandler(double, value => 2 * value)],
}

let site: TcpSite
let node: Node
const open: { close(): unknown }[] = []

const later = <T extends { close(): unknown }>(what: T): T => {
  open.push(what)
  return what
}

function withPrograms(title: string, programs: string[], tests: () => void): void {
  const reason = [ON_KERNEL ? 'a node is wanted' : '', lacking(...programs)]
    .filter(text => text !== '')
    .join(', ')
  describe.skipIf(reason !== '')(titled(title, reason), () => {
    beforeEach(async () => {
      site = await TcpSite.open()
      node = site.side.node!
    })
    afterEach(async () => {
      for (const one of open.splice(0).reverse()) await one.close()
      await site?.close()
    })
    tests()
  })
}

/** Lines of a table as words. */
const words = (text: string): string[][] =>
  text
    .trim()
    .split('\n')
    .map(line => line.trim().split(/\s+/))

const hexOf = (...numbers: number[]): string =>
  numbers.map(number => number.toString(16).padStart(8, '0')).join('')

/** A call of rpcbind as it is sent in a datagram. */
const callOf = (xid: number, version: number, procedure: number, args: readonly number[]): string =>
  hexOf(xid, 0, 2, 100_000, version, procedure, 0, 0, 0, 0, ...args)

withPrograms('rpcinfo of Debian asks our rpcbind', ['rpcinfo', 'python3'], () => {
  let server: RpcServer
  let ports: { tcp: number; udp: number }

  beforeEach(async () => {
    const config = parse(servicesSchema, { rpcbind: true })
    const services = later(await Services.start(node.runtime, node.network, config, '.'))
    const host = { runtime: node.runtime }
    server = later(new RpcServer(host)).add(doubler)
    const places = await server.listen({ port: 0 })
    const portOf = (transport: string) => places.find(one => one.transport === transport)!.port
    ports = { tcp: portOf('tcp'), udp: portOf('udp') }
    later(await RpcRegistration.start(node.runtime, services.rpcbind!.here, server, places))
  })

  const rpcinfo = async (...args: string[]): Promise<string> => {
    const { stdout } = await site.run('rpcinfo', args).succeeds()
    return stdout
  }

  it.each([STACK4, STACK6])('-p %s: the port mapper, version 2', async host => {
    const table = words(await rpcinfo('-p', host))
    expect(table[0]).toEqual(['program', 'vers', 'proto', 'port', 'service'])
    expect(table).toContainEqual(['100000', '2', 'udp', '111', 'portmapper'])
    expect(table).toContainEqual(['100000', '4', 'tcp', '111', 'portmapper'])
    expect(table).toContainEqual([String(PROGRAM), '1', 'tcp', String(ports.tcp)])
    expect(table).toContainEqual([String(PROGRAM), '1', 'udp', String(ports.udp)])
  })

  it.each([STACK4, STACK6])(
    '-s %s: versions and transports of each program, and who registered it',
    async host => {
      const table = words(await rpcinfo('-s', host))
      expect(table[0]).toEqual(['program', 'version(s)', 'netid(s)', 'service', 'owner'])
      const [program, versions, netids, ...rest] = table.find(([number]) => number === String(PROGRAM))!
      expect([program, versions, netids!.split(',').toSorted()]).toEqual([
        String(PROGRAM),
        '1',
        ['tcp', 'tcp6', 'udp', 'udp6'],
      ])
      expect(rest.at(-1)).toBe('superuser')
      expect(table.find(([number]) => number === '100000')?.slice(1, 2)).toEqual(['2,3,4'])
    },
  )

  it.each([
    ['tcp', STACK4],
    ['udp', STACK4],
    ['tcp6', STACK6],
    ['udp6', STACK6],
  ])('-T %s %s: the program is found and answers its NULL procedure', async (netid, host) => {
    expect(await rpcinfo('-T', netid, host, String(PROGRAM), '1')).toContain('version 1 ready and waiting')
    expect(await rpcinfo('-T', netid, host, String(PROGRAM))).toContain('version 1 ready and waiting')
    expect(await rpcinfo('-T', netid, host, '100000', '4')).toContain('version 4 ready and waiting')
  })

  it('-T tcp for a version that is not there is told which are', async () => {
    const { code, stderr, stdout } = await site.run('rpcinfo', ['-T', 'tcp', STACK4, String(PROGRAM), '7'])
      .ended
    expect(code).not.toBe(0)
    expect(stdout + stderr).toMatch(/[Vv]ersion|not available/)
  })

  it.each([
    ['-t', 'tcp'],
    ['-u', 'udp'],
  ])('%s: as of old, by the port mapper alone', async option => {
    expect(await rpcinfo(option, STACK4, String(PROGRAM), '1')).toContain('version 1 ready and waiting')
  })

  it.each([STACK4, STACK6])('-l %s: the addresses of a version, as its caller can use them', async host => {
    const text = await rpcinfo('-l', host, String(PROGRAM), '1')
    for (const netid of host === STACK4 ? ['tcp', 'udp'] : ['tcp6', 'udp6']) {
      const port = netid.startsWith('tcp') ? ports.tcp : ports.udp
      expect(text).toContain(`${host}.${port >>> 8}.${port & 255}`)
      expect(text).toMatch(netid.startsWith('tcp') ? /tcp|cots/i : /udp|clts/i)
    }
  })

  it.each([STACK4, STACK6])('-m %s: what it was asked for', async host => {
    const netid = host === STACK4 ? 'tcp' : 'tcp6'
    await rpcinfo('-T', netid, host, String(PROGRAM), '1')
    await rpcinfo('-p', host)
    const table = words(await rpcinfo('-m', host))
    const countsOf = (title: string) => table[table.findIndex(line => line.join(' ') === title) + 2]
    // NULL, SET, UNSET (done/asked), GETPORT or GETADDR, DUMP; -p asks version 4 for the port mapper first.
    expect(countsOf('PORTMAP (version 2) statistics')?.slice(0, 5)).toEqual(['0', '0/0', '0/0', '0/0', '1'])
    expect(countsOf('RPCBIND (version 3) statistics')?.slice(0, 5)).toEqual(['0', '0/0', '0/0', '0/0', '0'])
    expect(countsOf('RPCBIND (version 4) statistics')?.slice(0, 5)).toEqual(['0', '0/0', '0/0', '2/2', '0'])
    expect(table).toContainEqual([String(PROGRAM), '1', netid, '1', '0'])
  })

  it('checklists 3.4-27, 4.6-44: a datagram from elsewhere neither changes an entry nor has a list sent', async () => {
    const unset = callOf(3, 2, 2, [PROGRAM, 1, 0, 0])
    const set = callOf(4, 2, 1, [PROGRAM + 1, 1, 17, 7])
    const dump = callOf(5, 4, 4, [])
    const ask = `import socket,sys
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.settimeout(5)
for one in sys.argv[1:]:
  s.sendto(bytes.fromhex(one),('${STACK4}',111));print(s.recv(65536).hex())`
    const { stdout } = await site.run('python3', ['-c', ask, unset, set, dump]).succeeds()
    // Two times SUCCESS with FALSE; MSG_DENIED, AUTH_ERROR, AUTH_TOOWEAK.
    expect(words(stdout).flat()).toEqual([
      hexOf(3, 1, 0, 0, 0, 0, 0),
      hexOf(4, 1, 0, 0, 0, 0, 0),
      hexOf(5, 1, 1, 1, 5),
    ])
    const programs = words(await rpcinfo('-p', STACK4)).map(([program]) => program)
    expect(programs).toContain(String(PROGRAM))
    expect(programs).not.toContain(String(PROGRAM + 1))
  })
})

withPrograms("Debian's rpcbind serves ours", ['rpcinfo', 'rpcbind', 'unshare'], () => {
  let daemon: Program
  const host = () => ({ runtime: node.runtime })
  const credentials = sysAuth({ stamp: 0, machineName: 'n1', uid: 0, gid: 0, gids: [] })

  beforeEach(async () => {
    // -i: entries from other machines, as our node is one. Its lock and its socket stay out of the machine's /run.
    const start = 'mount -t tmpfs rpcbind /run && exec rpcbind -f -i'
    daemon = site.run('unshare', ['-m', 'sh', '-c', start])
    for (let tries = 0; tries < 50; tries++) {
      const { code } = await site.run('rpcinfo', ['-p', KERNEL4]).ended
      if (code === 0) return
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    throw new Error(`rpcbind does not answer: ${daemon.stderr}`)
  })
  afterEach(async () => {
    daemon.child.kill()
    await daemon.ended
  })

  it.each([
    ['tcp', KERNEL4],
    ['udp', KERNEL4],
    ['tcp', KERNEL6],
    ['udp', KERNEL6],
  ] as const)('our client finds it by %s at %s', async (transport, address) => {
    const client = later(new RpcbindClient(host(), { address }))
    const found = await client.find(100_000, 4, transport)
    expect(found === null ? null : formatUniversal(found)).toBe(`${address}.0.111`)
    const { version, entries } = await client.dump()
    expect(version).toBe(4)
    expect(entries).toContainEqual(
      expect.objectContaining({ program: 100_000, version: 2, netid: 'udp', address: '0.0.0.0.0.111' }),
    )
    expect((await client.addresses(100_000, 4)).map(({ netid }) => netid)).toContain(
      address === KERNEL4 ? 'tcp' : 'tcp6',
    )
    expect((await client.statistics()).length).toBe(3)
  })

  it.each([
    ['tcp', KERNEL4, STACK4],
    ['udp', KERNEL4, STACK4],
    ['tcp', KERNEL6, STACK6],
    ['udp', KERNEL6, STACK6],
  ] as const)(
    'our server registers; %s at %s: rpcinfo finds and calls it there, and our client binds by it',
    async (transport, daemonAt, address) => {
      const server = later(new RpcServer(host())).add(doubler)
      const places = await server.listen({ port: 0 })
      const rpcbind = later(new RpcbindClient(host(), { address: daemonAt, credentials }))
      const registration = await RpcRegistration.start(node.runtime, rpcbind, server, places, { address })
      const rpcinfo = async (...args: string[]) => (await site.run('rpcinfo', args).succeeds()).stdout
      const six = address === STACK6 ? '6' : ''
      for (const { transport: proto, port } of places) {
        const there = `${address}.${port >>> 8}.${port & 255}`
        const row = [String(PROGRAM), '1', `${proto}${six}`, there, '-', 'unknown']
        expect(words(await rpcinfo(daemonAt))).toContainEqual(row)
        // The port mapper knows IPv4 alone.
        if (six === '')
          expect(words(await rpcinfo('-p', daemonAt))).toContainEqual([
            ...row.slice(0, 2),
            proto,
            String(port),
          ])
      }
      // Asked for the address itself, Debian's rpcbind answers with one of its own machine; in its list stands what was registered.
      const netid = `${transport}${six}`
      const listed = words(await rpcinfo(daemonAt)).find(
        line => line[0] === String(PROGRAM) && line[2] === netid,
      )!
      const ping = await rpcinfo('-a', listed[3]!, '-T', netid, String(PROGRAM), '1')
      expect(ping).toContain('version 1 ready and waiting')
      const port = await rpcbindLookup(host(), { address: daemonAt })(PROGRAM, 1, transport)
      const client = later(
        await RpcClient.connect(host(), { address, port, transport, program: PROGRAM, version: 1 }),
      )
      expect(await client.call(double, 21)).toBe(42)
      expect(server.describe().find(({ name }) => name === 'DOUBLE')?.counters.calls).toBe(1)
      await registration.close()
      expect(words(await rpcinfo(daemonAt)).filter(([program]) => program === String(PROGRAM))).toEqual([])
    },
  )

  it('putnext rpc info and ping, through the node', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'putnext-rpcbind-'))
    const control = later(await ControlPort.open(node, { path: join(directory, 'n.sock') }))
    const putnext = (line: string) =>
      runLine({ commands: COMMANDS, groups: GROUPS }, `${line} -n ${control.path}`)
    for (const address of [KERNEL4, KERNEL6]) {
      const { code, stdout } = await putnext(`rpc info ${address}`)
      expect(code).toBe(0)
      expect(words(stdout)).toContainEqual(['100000', '4', 'tcp6', '::.0.111', 'rpcbind', 'superuser'])
      for (const transport of ['tcp', 'udp']) {
        const ping = await putnext(`rpc ping ${address} rpcbind -t ${transport} -c 1`)
        expect([ping.code, ping.stdout]).toEqual([0, expect.stringContaining('version 4')])
      }
    }
    expect(words((await putnext(`rpc info ${KERNEL4} -P`)).stdout)).toContainEqual([
      '100000',
      '2',
      'udp',
      '0.0.0.0.0.111',
      'rpcbind',
    ])
    rmSync(directory, { recursive: true })
  })
})
