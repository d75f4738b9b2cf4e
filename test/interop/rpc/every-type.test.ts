/**
 * An interface of every type between our stack and the kernel's: a client in C (rpcgen, libtirpc) against our server, and our client
 * against a server in C, over UDP and TCP, IPv4 and IPv6.
 */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { sysAuth } from '../../../src/rpc/auth.ts'
import { RpcClient } from '../../../src/rpc/client.ts'
import type { RpcError } from '../../../src/rpc/outcome.ts'
import { RpcServer } from '../../../src/rpc/server.ts'
import type { RpcProcedure } from '../../../src/rpc/stub-types.ts'
import { encodeMessage, XdrEncoder, XdrOpaque, xdrUint, xdrVoid } from '../../../src/rpc/xdr/index.ts'
import { anything, toHex, withOpaque } from '../../../src/rpc/xdr/testing/values.ts'
import { freemsg } from '../../../src/streams/mblk/alloc.ts'
import { Arena } from '../../../src/streams/mblk/arena.ts'
import { flat } from '../../../src/streams/testing/messages.ts'
import { KERNEL4, KERNEL6, lacking, ON_KERNEL, STACK4, STACK6, TcpSite } from '../tcp/site.ts'
import { EveryTypeV1Client, EveryTypeV3Client } from './every-type-client.ts'
import { everythingXdr } from './every-type-codecs.ts'
import { EveryTypePrograms, everyTypeService, numbered } from './every-type-peer.ts'
import { EVERY_TYPE } from './every-type-procedures.ts'
import { everyTypeV1Service, everyTypeV3Service } from './every-type-server.ts'
import { Color, type Everything, type More } from './every-type-types.ts'
import { framed, lackingXdrPeer, unframed } from './xdr-peer.ts'

const reason = [lacking(), lackingXdrPeer(), ON_KERNEL ? 'it is about our stack' : '']
  .filter(Boolean)
  .join(', ')

const PORT = 4_500
const VALUES = 100
/** Of a fragment of libtirpc's, so that a record has several; of a datagram it must hold the whole. */
const SMALL = 1_000
const LARGE = 60_000

const arena = new Arena({ sizeBytes: 16 * 1024 * 1024, poison: true })
const encoder = new XdrEncoder(arena)

function encoded(value: Everything): Uint8Array {
  const mp = encodeMessage(encoder, everythingXdr, value)
  const bytes = flat(mp)
  freemsg(mp)
  return bytes
}

/** A string of C ends with its first zero. */
const cText = (text: string): string => text.replaceAll('\0', '0')

function samples(seed: number): Everything[] {
  return fc.sample(anything, { numRuns: VALUES, seed }).map(plain => ({
    ...withOpaque(plain),
    title: cText(plain.title),
    tags: plain.tags.map(cText),
    entries: plain.entries.map(({ item }) => ({ item: cText(item) })),
    outcome: 'why' in plain.outcome ? { ...plain.outcome, why: cText(plain.outcome.why) } : plain.outcome,
  }))
}

/** Unions by a boolean and by an unsigned number, and collections of what is no plain value. */
const GRID = {
  rows: [
    [1, 2, 3, 4],
    [-5, -6, -7, -8],
  ],
}
const LEAST: More = {
  answer: { known: false },
  length: { size: 0 },
  later: null,
  grids: [],
  words: [0, 2 ** 32 - 1],
  halves: [],
  flags: [],
  paints: [Color.RED, Color.BLUE],
  places: [],
  total: 0n,
}
const MORE: readonly More[] = [
  LEAST,
  {
    ...LEAST,
    length: { size: 4_000_000_000, unit: 'Elle' },
    grids: [GRID, GRID],
    flags: [true, false, true],
  },
  {
    ...LEAST,
    answer: { known: true, value: -1 / 3 },
    length: { size: 7, grid: GRID },
    later: -(2n ** 63n),
    halves: [0.5, -1.5, 2 ** 100],
    places: [numbered(32), new Uint8Array(32)],
    total: 2n ** 64n - 1n,
  },
]

const WAYS = [
  { transport: 'tcp', family: 'IPv4', stack: STACK4, kernel: KERNEL4 },
  { transport: 'tcp', family: 'IPv6', stack: STACK6, kernel: KERNEL6 },
  { transport: 'udp', family: 'IPv4', stack: STACK4, kernel: KERNEL4 },
  { transport: 'udp', family: 'IPv6', stack: STACK6, kernel: KERNEL6 },
] as const

const buffersOf = (transport: 'tcp' | 'udp'): readonly number[] =>
  transport === 'tcp' ? [SMALL, LARGE] : [LARGE]

let programs: EveryTypePrograms
let site: TcpSite

describe.skipIf(reason !== '')(titled('an interface of every type, with C', reason), () => {
  beforeAll(() => {
    programs = new EveryTypePrograms()
  }, 60_000)
  afterAll(() => programs?.close())
  beforeEach(async () => {
    site = await TcpSite.open()
  })
  afterEach(async () => {
    await site.close()
    arena.assertWhole()
  })

  describe.each(WAYS)('$transport, $family: a client in C and our server', ({ transport, stack }) => {
    let server: RpcServer
    const thrown: string[] = []
    beforeEach(async () => {
      thrown.length = 0
      server = new RpcServer(
        { runtime: site.side.node!.runtime },
        { onError: (error, where) => thrown.push(`${where}: ${String(error)}`) },
      )
      server.add(everyTypeV1Service(everyTypeService)).add(everyTypeV3Service({ etThree: () => 3 }))
      await server.listen({ port: PORT, transports: [transport] })
    })
    afterEach(async () => {
      await server.close()
      expect(thrown).toEqual([])
    })

    const client = (what: string, buffer: number, ...more: string[]) =>
      site.run(programs.client, [transport, stack, String(PORT), String(buffer), what, ...more])

    it.each(buffersOf(transport))(
      'values of every type come back the same, buffers of %d bytes',
      async buffer => {
        const ours = samples(5_531).map(encoded)
        const program = client('echo', buffer)
        program.child.stdin!.end(framed(ours))
        const { stdout } = await program.succeeds()
        const theirs = unframed(Buffer.from(stdout, 'latin1'))
        expect(theirs.map(bytes => bytes && toHex(bytes))).toEqual(ours.map(toHex))
        const { counters } = server.describe().find(({ name }) => name === 'ET_ECHO')!
        expect(counters.calls).toBe(VALUES)
      },
    )

    it('arguments and results of their own, several arguments, with credentials of a user', async () => {
      expect((await client('types', LARGE, 'host.example').succeeds()).stdout).toBe('ok\n')
    })

    it.each(buffersOf(transport))('opaque data up to 1 MiB, buffers of %d bytes', async buffer => {
      const { stdout } = await client('blobs', buffer).succeeds()
      const lengths = [0, 1, 3, 4, 5, 1_000, 4_096, 8_000, 100_000, 1 << 20].slice(
        0,
        transport === 'tcp' ? 10 : 8,
      )
      const sums = lengths.map(length => numbered(length).reduce((sum, byte) => sum + byte, 0))
      expect(stdout).toBe(lengths.map((length, i) => `${length} ${sums[i]}\n`).join(''))
    })

    it('RFC 5531 §9: C sees each error for what it is, and may go on', async () => {
      const { stdout } = await client('errors', LARGE).succeeds()
      // The numbers of enum clnt_stat: RPC_PROGUNAVAIL, RPC_PROGVERSMISMATCH, …; AUTH_TOOWEAK.
      expect(stdout.trim().split('\n')).toEqual([
        'program 8',
        'version 9 1-3',
        'procedure 10',
        'garbage 11',
        'weak 7 5',
        'fail 12',
        'after 0',
      ])
    })
  })

  describe.each(WAYS)('$transport, $family: our client and a server in C', ({ transport, kernel }) => {
    let client: RpcClient
    let calc: EveryTypeV1Client
    const begin = async (buffer: number): Promise<void> => {
      const server = site.run(programs.server, [transport, kernel, String(PORT), String(buffer)])
      await server.said(/ready/)
      const host = { runtime: site.side.node!.runtime }
      client = await RpcClient.connect(host, {
        address: kernel,
        port: PORT,
        transport,
        credentials: sysAuth({ stamp: 1, machineName: 'host.example', uid: 1_000, gid: 100, gids: [4, 24] }),
      })
      calc = new EveryTypeV1Client(client)
    }
    afterEach(() => client.close())

    it.each(buffersOf(transport))(
      'values of every type come back the same, buffers of %d bytes',
      async buffer => {
        await begin(buffer)
        const values = samples(4_506)
        // Several at a time: a server in C answers them in order, and ours must sort them by their numbers.
        const results = await Promise.all(values.map(value => calc.echo(value)))
        expect(results.map(result => toHex(encoded(result)))).toEqual(
          values.map(value => toHex(encoded(value))),
        )
        for (const { data } of results) data.free()
      },
    )

    it('arguments and results of their own, several arguments', async () => {
      await begin(LARGE)
      expect(await calc.null()).toBe(undefined)
      expect(await calc.add(-(2n ** 63n) + 1n, -1)).toBe(-(2n ** 63n))
      expect(await calc.invert(0x0f)).toBe(0xffff_fff0)
      expect(await calc.double(2n ** 63n - 1n)).toBe(2n ** 64n - 2n)
      expect(await calc.half(-0.5)).toBe(-0.25)
      expect(await calc.square(1 / 3)).toBe((1 / 3) ** 2)
      expect(await calc.not(true)).toBe(false)
      expect(await calc.color(Color.GREEN)).toBe(Color.BLUE)
      expect(await calc.name('grüß')).toBe('grüß')
      const rows = [
        [1, -2, 3, -4],
        [5, 6, 7, -(2 ** 31) + 1],
      ]
      expect(await calc.negate({ rows })).toEqual({ rows: rows.map(row => row.map(value => -value)) })
      expect(await calc.lookup(0)).toEqual({ status: 0, found: new Uint8Array(32).fill(7) })
      expect(await calc.lookup(1)).toEqual({ status: 1, moved: -1n })
      expect(await calc.lookup(-5)).toEqual({ status: -5 })
      const leaf = { value: 2, left: null, right: null }
      expect(await calc.mirror({ value: 1, left: leaf, right: null })).toEqual({
        value: 1,
        left: null,
        right: leaf,
      })
      for (const value of MORE) expect(await calc.more(value)).toEqual(value)
      expect(await new EveryTypeV3Client(client).etThree()).toBe(3)
    })

    it.each(buffersOf(transport))('opaque data up to 1 MiB, buffers of %d bytes', async buffer => {
      await begin(buffer)
      const lengths = [0, 1, 3, 4, 5, 1_000, 4_096, 8_000]
      if (transport === 'tcp') lengths.push(100_000, 1 << 20)
      for (const length of lengths) {
        const bytes = await calc.blob(length)
        expect(Buffer.compare(bytes, numbered(length))).toBe(0)
        expect(await calc.sum(bytes)).toBe(bytes.reduce((sum, byte) => sum + byte, 0))
      }
    })

    it('64 KiB of opaque data go to C and come back without a copy in user space', async () => {
      await begin(LARGE)
      const [value] = samples(4_506)
      // Of a datagram what the rest leaves.
      const bytes = numbered(transport === 'tcp' ? 65_536 : 50_000)
      const { stack, edge } = site.side.node!.runtime.arena.copies
      const before = stack.bytes + edge.bytes
      const { data } = await calc.echo({ ...value!, data: XdrOpaque.of(bytes) })
      const copied = stack.bytes + edge.bytes - before
      expect(Buffer.compare(data.toBytes(), bytes)).toBe(0)
      data.free()
      // The other fields, and where the link brings each packet by itself, pieces too short to hold a large block for.
      expect(copied).toBeLessThan(0.05 * 2 * bytes.length)
    })

    it('RFC 5531 §9: we see each error for what it is, and may go on', async () => {
      await begin(LARGE)
      const unlike = (more: Partial<RpcProcedure<number, void>>): RpcProcedure<number, void> => ({
        name: 'OTHER',
        program: EVERY_TYPE,
        version: 1,
        procedure: 1,
        isIdempotent: true,
        argument: xdrUint,
        result: xdrVoid,
        ...more,
      })
      const failure = async (call: Promise<unknown>): Promise<unknown> => {
        const { outcome, status, versions } = await call.then(
          () => ({ outcome: 'success', status: null, versions: null }),
          (error: RpcError) => error,
        )
        return versions === null ? [outcome, status] : [outcome, status, ...versions]
      }
      const seen = [
        await failure(client.call(unlike({ program: EVERY_TYPE + 1 }), 7)),
        await failure(client.call(unlike({ version: 2 }), 7)),
        await failure(client.call(unlike({ procedure: 99 }), 7)),
        await failure(client.call(unlike({}), 7)),
        await failure(calc.weak()),
        await failure(calc.fail()),
        await failure(calc.null()),
      ]
      expect(seen).toEqual([
        ['answered', 'PROG_UNAVAIL'],
        ['answered', 'PROG_MISMATCH', 1, 3],
        ['answered', 'PROC_UNAVAIL'],
        ['answered', 'GARBAGE_ARGS'],
        ['answered', 'AUTH_TOOWEAK'],
        ['answered', 'SYSTEM_ERR'],
        ['success', null],
      ])
    })
  })
})
