/**
 * The same programs on each host of sockets: a stack of ours, the kernel's sockets (`node:net`, `node:dgram`), and a node's port, over TCP and UDP, IPv4
 * and IPv6. What is asked of RPC is asked of all twelve; nothing here knows which it is.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { tryShim } from '../../src/host/shim.ts'
import { titled } from '../../src/host/testing/requirements.ts'
import { kernelHost } from '../../src/kernel/index.ts'
import {
  RpcbindServer,
  RpcClient,
  type RpcError,
  type RpcProcedure,
  RpcRegistration,
  RpcServer,
  rpcbindLookup,
  rpcHandler,
  type SocketHost,
} from '../../src/rpc/index.ts'
import { XdrOpaque, xdrInt, xdrOpaqueView, xdrVoid } from '../../src/rpc/xdr/index.ts'
import { makeNetHost } from '../../src/socket/testing/net-host.ts'
import { Pair } from '../ipc/programs.ts'

const PROGRAM = 0x2000_0085

function procedure<A, R>(
  name: string,
  number: number,
  argument: RpcProcedure<A, R>['argument'],
  result: RpcProcedure<A, R>['result'],
): RpcProcedure<A, R> {
  return { name, program: PROGRAM, version: 1, procedure: number, isIdempotent: false, argument, result }
}

const TWICE = procedure('TWICE', 1, xdrInt, xdrInt)
const NEVER = procedure('NEVER', 2, xdrVoid, xdrVoid)
const MIRROR = procedure('MIRROR', 3, xdrOpaqueView(), xdrOpaqueView())
const SERVICE = {
  name: 'HOSTS',
  program: PROGRAM,
  version: 1,
  handlers: [
    rpcHandler(TWICE, value => 2 * value),
    rpcHandler(NEVER, () => new Promise<void>(() => {})),
    rpcHandler(MIRROR, bytes => bytes),
  ],
}

interface TestedHost {
  readonly host: SocketHost
  /** Closes it and looks whether all its memory came home. */
  finish(): Promise<unknown>
}

const HOSTS: readonly (readonly [name: string, make: () => Promise<TestedHost>])[] = [
  [
    'a stack of ours',
    async () => {
      const host = makeNetHost()
      return { host, finish: () => host.finish() }
    },
  ],
  [
    "the kernel's sockets",
    async () => {
      const host = kernelHost({ poison: true })
      const finish = async (): Promise<void> => {
        await host.close()
        host.runtime.arena.assertWhole()
      }
      return { host, finish }
    },
  ],
  [
    "a node's port for other programs",
    async () => {
      const pair = await Pair.start()
      return { host: await pair.attach(), finish: () => pair.finish() }
    },
  ],
]

/** What a host needs that is not there. */
const reasonOf = (name: string): string =>
  name.startsWith('a node') && tryShim() === null ? 'no native shim' : ''

const WAYS = [
  ['tcp', '127.0.0.1'],
  ['tcp', '::1'],
  ['udp', '127.0.0.1'],
  ['udp', '::1'],
] as const

let host: SocketHost
let finish: () => Promise<unknown>
let server: RpcServer
let port: number

afterEach(async () => {
  await server.close()
  await finish()
})

async function serve(make: () => Promise<TestedHost>): Promise<void> {
  ;({ host, finish } = await make())
  server = new RpcServer(host).add(SERVICE)
  port = (await server.listen({ port: 0 }))[0]!.port
}

for (const [name, make] of HOSTS) {
  const reason = reasonOf(name)
  describe.skipIf(reason !== '')(titled(`rpc over ${name}`, reason), () => {
    describe.each(WAYS)('%s, %s', (transport, address) => {
      it('calls and outcomes: answered, answered with a status, timed out with unknown effect, refused', async () => {
        await serve(make)
        const client = await RpcClient.connect(host, { address, port, transport })
        expect(await Promise.all([1, 2, 3].map(value => client.call(TWICE, value)))).toEqual([2, 4, 6])
        const outcome = (made: Promise<unknown>) =>
          made.then(
            () => 'ok',
            (error: RpcError) => [error.outcome, error.status ?? error.code],
          )
        expect(await outcome(client.call({ ...TWICE, version: 2 }, 1))).toEqual(['answered', 'PROG_MISMATCH'])
        expect(await outcome(client.call(NEVER, undefined, { timeoutMs: 50 }))).toEqual([
          'unknown',
          'ERR_TIMED_OUT',
        ])
        client.close()
        expect(await outcome(client.call(TWICE, 1))).toMatchObject(['refused', expect.anything()])
      })

      it('at most once: a session is given, and calls go under it', async () => {
        await serve(make)
        const session = { program: PROGRAM, version: 1, atMostOnce: true }
        const client = await RpcClient.connect(host, { address, port, transport, ...session })
        expect(client.isAtMostOnce).toBe(true)
        expect(await client.call(TWICE, 21)).toBe(42)
        expect(server.sessionCounts).toMatchObject({ open: 1 })
        client.close()
      })

      it('binding by program and version: the server registers, the client asks rpcbind', async () => {
        await serve(make)
        const binder = await RpcbindServer.start(host, { port: 0 })
        const registration = await RpcRegistration.start(
          host.runtime,
          binder.here,
          server,
          await server.listen({ port: 0 }),
        )
        const client = await RpcClient.connect(host, {
          address,
          transport,
          program: PROGRAM,
          version: 1,
          lookup: rpcbindLookup(host, { address, port: binder.places[0]!.port }),
        })
        expect(await client.call(TWICE, 4)).toBe(8)
        client.close()
        await registration.close()
        await binder.close()
      })

      it('opaque data goes and comes back without a copy in user space', async () => {
        await serve(make)
        const client = await RpcClient.connect(host, { address, port, transport })
        // Of a datagram all but the headers.
        const bytes = Uint8Array.from({ length: transport === 'tcp' ? 65_536 : 60_000 }, (_, at) => at & 0xff)
        const { stack, edge } = host.runtime.arena.copies
        const before = stack.bytes + edge.bytes
        // From the program's memory to the server, from there back, and the same with what came.
        using first = await client.call(MIRROR, XdrOpaque.of(bytes))
        using second = await client.call(MIRROR, first)
        // Less than a hundredth of what went four times: pieces too short to hold a block for.
        expect(stack.bytes + edge.bytes - before).toBeLessThan(bytes.length / 25)
        expect(Buffer.compare(second.toBytes(), bytes)).toBe(0)
        client.close()
      })
    })
  })
}
