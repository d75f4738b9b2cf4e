/** What tshark makes of our calls and replies on the link, recorded by our module: RPC, and nothing malformed. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { RpcClient } from '../../../src/rpc/client.ts'
import { RpcServer } from '../../../src/rpc/server.ts'
import { XdrOpaque } from '../../../src/rpc/xdr/index.ts'
import { KERNEL4, KERNEL6, lacking, ON_KERNEL, STACK4, STACK6, TcpSite } from '../tcp/site.ts'
import { EveryTypeV1Client } from './every-type-client.ts'
import { EveryTypePrograms, everyTypeService, numbered } from './every-type-peer.ts'
import { EVERY_TYPE } from './every-type-procedures.ts'
import { everyTypeV1Service, everyTypeV3Service } from './every-type-server.ts'
import { Color, type Everything } from './every-type-types.ts'
import { lackingXdrPeer } from './xdr-peer.ts'

const reason = [lacking('tshark'), lackingXdrPeer(), ON_KERNEL ? 'the capture is of our stack' : '']
  .filter(Boolean)
  .join(', ')

/** Of our server, and of the one in C. */
const OURS = 4_501
const THEIRS = 4_502
const FRAGMENT = 1_000

const VALUE: Everything = {
  a: -7,
  b: 7,
  c: -(2n ** 40n),
  size: 2 ** 40,
  f: 0.5,
  d: -0.25,
  flag: true,
  paint: Color.BLUE,
  title: 'a title',
  where: numbered(32),
  cookie: numbered(5),
  data: XdrOpaque.of(numbered(3_001)),
  triple: [1, 2, 3],
  tags: ['one', 'two'],
  root: { value: 1, left: { value: 2, left: null, right: null }, right: null },
  entries: [{ item: 'first' }, { item: 'second' }],
  outcome: { paint: Color.RED, why: 'why not' },
}

let programs: EveryTypePrograms
let directory: string
let file: string
let site: TcpSite

/** Calls both ways over one transport and family, and their capture. @returns calls that the capture must show */
async function record(transport: 'tcp' | 'udp', family: 4 | 6, fragmentBytes = FRAGMENT): Promise<number> {
  // Without offload a capture has what is on the wire.
  site = await TcpSite.open({ capture: file, offload: 'off' })
  const host = { runtime: site.side.node!.runtime }
  const server = new RpcServer(host, { records: { fragmentBytes } })
  server.add(everyTypeV1Service(everyTypeService)).add(everyTypeV3Service({ etThree: () => 3 }))
  await server.listen({ port: OURS, transports: [transport] })
  const buffer = transport === 'tcp' ? String(fragmentBytes) : '60000'
  const stack = family === 4 ? STACK4 : STACK6
  for (const what of ['types', 'blobs', 'errors'])
    await site.run(programs.client, [transport, stack, String(OURS), buffer, what, 'host.example']).succeeds()
  const address = family === 4 ? KERNEL4 : KERNEL6
  await site.run(programs.server, [transport, address, String(THEIRS), buffer]).said(/ready/)
  const client = await RpcClient.connect(host, { address, port: THEIRS, transport })
  const calls = new EveryTypeV1Client(client)
  for (let i = 0; i < 5; i++) (await calls.echo(VALUE)).data.free()
  // Together, so that several records share a segment.
  await Promise.all(Array.from({ length: 20 }, (_, i) => calls.invert(i)))
  await calls.weak().catch(() => {})
  await calls.fail().catch(() => {})
  client.close()
  await server.close()
  await site.side.stopCapture()
  const served = server.describe().reduce((sum, { counters }) => sum + counters.calls, 0)
  // Beside the calls of procedures that are there: program, version and procedure that are not.
  return served + 3 + 5 + 20 + 2
}

/** @returns the lines of tshark's answer */
function tshark(...args: readonly string[]): string[] {
  const { stdout, stderr } = spawnSync('tshark', ['-n', '-r', file, ...args], {
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  })
  expect(stderr).not.toMatch(/lua|error/i)
  return stdout.split('\n').filter(line => line !== '')
}

/** Wireshark's own dissector takes what has the looks of RPC, whatever its program. */
const AS_RPC = ['-o', 'rpc.dissect_unknown_programs:TRUE', '-Y']

/** How often a field has a value: a segment may carry several messages. */
const count = (field: string, value: string): number =>
  tshark(...AS_RPC, 'rpc', '-T', 'fields', '-e', field)
    .flatMap(line => line.split(','))
    .filter(each => each === value).length

const WAYS = [
  ['tcp', 4],
  ['tcp', 6],
  ['udp', 4],
  ['udp', 6],
] as const

describe.skipIf(reason !== '')(titled('RPC in a capture, as tshark sees it', reason), () => {
  beforeAll(() => {
    programs = new EveryTypePrograms()
  }, 60_000)
  afterAll(() => programs?.close())
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'putnext-rpc-capture-'))
    file = join(directory, 'link.pcapng')
  })
  afterEach(async () => {
    await site?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it.each(WAYS)(
    '%s over IPv%d: every call and reply is RPC, nothing is malformed',
    async (transport, family) => {
      const calls = await record(transport, family)
      expect(tshark(...AS_RPC, '_ws.malformed || _ws.expert.severity == error')).toEqual([])
      expect({ calls: count('rpc.msgtyp', '0'), replies: count('rpc.msgtyp', '1') }).toEqual({
        calls,
        replies: calls,
      })
      expect(count('rpc.program', String(EVERY_TYPE))).toBeGreaterThan(calls)
      // RFC 5531 §9: PROG_UNAVAIL, PROG_MISMATCH, PROC_UNAVAIL, GARBAGE_ARGS, and SYSTEM_ERR from either server.
      expect([1, 2, 3, 4, 5].map(status => count('rpc.state_accept', String(status)))).toEqual([
        1, 1, 1, 1, 2,
      ])
      expect(count('rpc.state_auth', '5')).toBe(2)
    },
  )

  it('records of ours in several fragments are put together', async () => {
    await record('tcp', 4)
    const ours = tshark(...AS_RPC, `rpc.fragment && tcp.srcport == ${OURS}`)
    // Of 1,000 bytes and more.
    expect(ours.length).toBe(5)
  })

  it.each([...WAYS.map(way => [...way, 2 ** 21] as const), ['tcp', 4, FRAGMENT]] as const)(
    '%s over IPv%d: the dissector that rpcgen makes shows procedures and values, fragments of %d bytes',
    async (transport, family, fragmentBytes) => {
      await record(transport, family, fragmentBytes)
      const lua = join(import.meta.dirname, 'every-type.lua')
      const shown = tshark('-X', `lua_script:${lua}`, '-V', '-O', 'putnext_every_type').map(line =>
        line.trim(),
      )
      for (const line of [
        'Procedure: ET_ECHO',
        'Procedure: ET_INVERT',
        'c: -1099511627776',
        'title: a title',
        'data: 3001 bytes',
        'item: second',
        'why: why not',
        'size: 4000000000',
        'unit: cubit',
        'known: FALSE',
        'total: 18446744073709551615',
      ])
        expect(shown).toContain(line)
      if (transport === 'tcp') expect(shown).toContain('result: 1048576 bytes')
      // Of the call that is meant to be garbage.
      expect(shown.filter(line => line.startsWith('[Expert Info (Error'))).toEqual([
        '[Expert Info (Error/Malformed): the message ends here]',
      ])
    },
  )
})
