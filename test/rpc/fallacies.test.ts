/**
 * The eight fallacies of distributed computing (checklist 4.8), each as what a caller of ours meets who believes it, and what the runtime does about
 * it. Two stacks of ours over a wire that is as bad as the sentence says, in virtual time.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { DatagramChannel } from '../../src/rpc/datagram-channel.ts'
import {
  RpcClient,
  type RpcConnectOptions,
  type RpcContext,
  type RpcError,
  type RpcProcedure,
  RpcServer,
  rpcHandler,
} from '../../src/rpc/index.ts'
import { writeAccepted } from '../../src/rpc/message.ts'
import { RpcbindClient, RpcbindServer } from '../../src/rpc/rpcbind/index.ts'
import { SUCCESS } from '../../src/rpc/status.ts'
import {
  type XdrCodec,
  XdrEncoder,
  XdrOpaque,
  xdrInt,
  xdrOpaqueView,
  xdrString,
  xdrVoid,
} from '../../src/rpc/xdr/index.ts'
import { World } from './world.ts'

const PROGRAM = 0x2000_0048
const PORT = 700

function procedure<A, R>(number: number, argument: XdrCodec<A>, result: XdrCodec<R>): RpcProcedure<A, R> {
  const name = `PROCEDURE_${number}`
  return { name, program: PROGRAM, version: 1, procedure: number, isIdempotent: false, argument, result }
}
const COUNT = procedure(1, xdrInt, xdrInt)
const ECHO = procedure(2, xdrString(), xdrString())
const FETCH = procedure(3, xdrInt, xdrOpaqueView())

let world: World
let server: RpcServer
let client: RpcClient
/** What ECHO waits for. */
let whenCalled: (context: RpcContext) => Promise<void>
/** How often each call of COUNT had its effect. */
let effects: Map<number, number>
const open: { close(): unknown }[] = []

/** A server and a client over a wire. @param impair - what both directions do to packets */
async function begin(
  impair: Readonly<Record<string, unknown>>,
  options: Partial<RpcConnectOptions> = {},
): Promise<void> {
  world = new World({ seed: 48, impair })
  effects = new Map()
  whenCalled = async () => {}
  const handlers = [
    rpcHandler(COUNT, call => {
      effects.set(call, (effects.get(call) ?? 0) + 1)
      return call
    }),
    rpcHandler(ECHO, async (text, context) => {
      await whenCalled(context)
      return text
    }),
    rpcHandler(FETCH, bytes => XdrOpaque.of(new Uint8Array(bytes))),
  ]
  const secretWord = () => world.server.runtime.random.int32()
  server = new RpcServer(world.server, { secretWord }).add({
    name: 'FALLACIES',
    program: PROGRAM,
    version: 1,
    handlers,
  })
  await Promise.all([server.listen({ port: PORT, address: '0.0.0.0' }), world.pass(1)])
  client = await connect(options)
}

async function connect(options: Partial<RpcConnectOptions> = {}): Promise<RpcClient> {
  const { address } = world.server
  const made = RpcClient.connect(world.client, {
    address,
    ...(options.lookup === undefined ? { port: PORT } : {}),
    transport: 'udp',
    program: PROGRAM,
    version: 1,
    lazy: true,
    ...options,
  })
  open.push(await made)
  return made
}

afterEach(async () => {
  for (const one of open.splice(0)) one.close()
  const closed = server.close()
  await world.pass(120_000)
  await closed
  await world.finish()
  expect(world.errors).toEqual([])
})

/** Waits, in virtual time, for what was begun. */
async function ended<T>(made: Promise<T>, limitMs = 60_000): Promise<T> {
  let isOver = false
  const over = () => {
    isOver = true
  }
  made.then(over, over)
  expect(await world.pass(limitMs, () => isOver)).toBe(true)
  return made
}

const failure = (made: Promise<unknown>): Promise<RpcError> =>
  ended(
    made.then(
      () => expect.fail('the call succeeded'),
      (error: RpcError) => error,
    ),
  )

const countTo = (calls: number, first = 0): Promise<number[]> =>
  Promise.all(Array.from({ length: calls }, (_, call) => client.call(COUNT, first + call)))

describe('1. the network is reliable', () => {
  // The campaign with crashes, and 10^5 calls, is at-most-once.test.ts; hostile.test.ts has what no checksum finds.
  it.each(['tcp', 'udp'] as const)(
    '%s: lost, doubled, overtaken, spoilt: each call has its effect once',
    async transport => {
      const impair = {
        delay: '2ms',
        jitter: '2ms',
        jitterReorder: true,
        loss: '5%',
        duplicate: '5%',
        corrupt: '4%',
      }
      await begin(impair, { transport, retransmitMs: 50, timeoutMs: 50_000 })
      const results: number[] = []
      for (let wave = 0; wave < 25; wave++) results.push(...(await ended(countTo(20, 20 * wave), 120_000)))
      expect(results).toEqual(Array.from({ length: 500 }, (_, call) => call))
      expect([...effects.values()].every(times => times === 1)).toBe(true)
      expect(effects.size).toBe(500)
      expect(world.wireCounters['out-corrupted']).toBeGreaterThan(0)
      if (transport === 'udp') expect(client.counters.retransmissions).toBeGreaterThan(10)
    },
  )
})

describe('2. latency is zero', () => {
  it('200 ms each way: a call takes a round trip, a hundred together hardly more, a hundred in turn a hundred times that', async () => {
    await begin({ delay: '200ms', jitter: '10ms' }, { transport: 'tcp' })
    await ended(client.call(COUNT, -1))
    let began = world.nowMs
    await ended(countTo(100))
    expect(world.nowMs - began).toBeGreaterThan(400)
    expect(world.nowMs - began).toBeLessThan(600)
    began = world.nowMs
    for (let call = 0; call < 10; call++) await ended(client.call(ECHO, 'a word'))
    expect(world.nowMs - began).toBeGreaterThan(4_000)
  })

  it('a client over UDP that is more hasty than the network asks again in vain, and does no harm', async () => {
    await begin({ delay: '200ms' }, { retransmitMs: 50 })
    expect(await ended(client.call(COUNT, 7))).toBe(7)
    await world.pass(5_000)
    expect(client.counters.retransmissions).toBeGreaterThan(1)
    expect(server.counters['duplicate-answered']).toBe(client.counters.retransmissions)
    expect(effects.get(7)).toBe(1)
  })
})

describe('3. bandwidth is infinite', () => {
  it('1 Mbit/s, and buffers that take all: a small call behind 512 KiB misses its deadline, and the caller is told in time', async () => {
    await begin({ delay: '5ms', rate: '1mbit', limit: 10_000 }, { transport: 'tcp', timeoutMs: 30_000 })
    const began = world.nowMs
    const large = client.call(FETCH, 512 * 1_024)
    const small = await failure(client.call(ECHO, 'quick', { timeoutMs: 500 }))
    expect(small).toMatchObject({ outcome: 'unknown', code: 'ERR_TIMED_OUT' })
    expect(world.nowMs - began).toBeLessThan(600)
    const bytes = await ended(large)
    expect(bytes.length).toBe(512 * 1_024)
    bytes.free()
    // 4.2 million bits.
    expect(world.nowMs - began).toBeGreaterThan(4_000)
    expect(await ended(client.call(ECHO, 'later'))).toBe('later')
  })
})

describe('4. the network is secure', () => {
  // Who can read the wire can answer (RFC 9289 is what helps); who can only send has to guess port and xid of a call.
  it('an answer with the right number, but from another port, ends no call', async () => {
    await begin({ delay: '5ms' })
    const encoder = new XdrEncoder(world.arena)
    const liars: DatagramChannel[] = []
    let told = 0
    whenCalled = ({ xid, peer }) => {
      const [address, port] = peer.split(':')
      const liar = new DatagramChannel(world.server, { connect: { address: address!, port: Number(port) } })
      liar.onReadable = () => void liar.receive()
      liar.onTrouble = () => {
        told++
      }
      encoder.start()
      writeAccepted(encoder, xid, SUCCESS)
      encoder.putString('', 'false')
      expect(liar.send(encoder.finish())).toBe(true)
      liars.push(liar)
      return world.delay(100, world.server)
    }
    expect(await ended(client.call(ECHO, 'true'))).toBe('true')
    // It got as far as the client's machine, and was told that nobody there takes it from where it is.
    expect(told).toBe(1)
    for (const liar of liars) liar.close()
  })
})

describe('5. topology does not change', () => {
  it('a server that moved to another port is found there by the next connection, without a word from the program', async () => {
    let port = PORT
    await begin({ delay: '1ms' }, { transport: 'tcp' })
    const bound = await connect({ transport: 'tcp', lookup: async () => port, reconnectMs: 20 })
    expect(await ended(client.call(ECHO, 'here'))).toBe('here')
    port = PORT + 1
    const closed = server.close()
    await world.pass(1_000)
    await closed
    server = new RpcServer(world.server).add({
      name: 'MOVED',
      program: PROGRAM,
      version: 1,
      handlers: [rpcHandler(ECHO, text => `${text}, moved`)],
    })
    await Promise.all([server.listen({ port, address: '0.0.0.0' }), world.pass(1)])
    expect(await ended(bound.call(ECHO, 'there'))).toBe('there, moved')
  })

  it('a wire that is cut for a while: a session goes on where it was, and nothing is done twice', async () => {
    await begin({ delay: '5ms' }, { transport: 'udp', atMostOnce: true, retransmitMs: 50, timeoutMs: 30_000 })
    await ended(client.call(COUNT, 0))
    const impair = world.client.link!.find('impair')
    const cut = (partition: boolean) => impair.info.configure!(impair, { partition })
    cut(true)
    const made = countTo(20)
    await world.pass(5_000)
    cut(false)
    expect(await ended(made)).toHaveLength(20)
    expect(effects.get(7)).toBe(1)
    expect(client.isAtMostOnce).toBe(true)
  })
})

describe('6. there is one administrator', () => {
  it('two who register the same program: the second is refused, and cannot take away what the first has', async () => {
    await begin({ delay: '1ms' })
    const made = RpcbindServer.start(world.server, { address: '0.0.0.0', changes: 'anyone' })
    await world.pass(1)
    const binder = await made
    const { address } = world.server
    const [one, two] = [1, 2].map(() => new RpcbindClient(world.client, { address }))
    const entry = { program: PROGRAM, version: 1, netid: 'tcp', address: '10.77.0.1.2.188' }
    expect(await ended(one!.set(entry, null))).toBe(true)
    expect(await ended(two!.set({ ...entry, address: '10.77.0.1.2.189' }, null))).toBe(false)
    expect(await ended(two!.find(PROGRAM, 1, 'tcp'))).toMatchObject({ port: 700 })
    one!.close()
    two!.close()
    const closed = binder.close()
    await world.pass(1_000)
    await closed
  })
})

describe('7. transport cost is zero', () => {
  it('what a call costs is counted: packets on the wire, bytes that were copied, times it was sent', async () => {
    await begin({ delay: '1ms' })
    await ended(client.call(ECHO, 'to be known'))
    const packets = () => world.wireCounters['out-packets']!
    const before = packets()
    await ended(client.call(COUNT, 1))
    expect(packets() - before).toBe(2)
    const counters = [...client.procedures].find(({ name }) => name === COUNT.name)!
    expect(counters.counters).toMatchObject({ calls: 1, ok: 1 })
    expect(counters.latency.describe().p50Us).toBeGreaterThanOrEqual(2_000)
    expect(client.counters).toMatchObject({ transmissions: 2, retransmissions: 0 })
  })

  it('a hundred small calls that are ready together travel together', async () => {
    await begin({ delay: '1ms' }, { transport: 'tcp' })
    await ended(client.call(COUNT, -1))
    const before = world.wireCounters['out-packets']!
    await ended(countTo(100))
    expect(world.wireCounters['out-packets']! - before).toBeLessThan(30)
  })
})

describe('8. the network is homogeneous', () => {
  // C on the other side: test/interop/rpc. Here: other versions of ourselves.
  it('a newer client learns what the server speaks, and may go down to it', async () => {
    await begin({ delay: '1ms' })
    const newer = { ...ECHO, version: 3 }
    const error = await failure(client.call(newer, 'hello'))
    expect(error).toMatchObject({ status: 'PROG_MISMATCH', versions: [1, 1], mayHaveRun: false })
    expect(await ended(client.call({ ...newer, version: error.versions![1] }, 'hello'))).toBe('hello')
  })

  it('a procedure that the older server has not yet is refused, and was not run', async () => {
    await begin({ delay: '1ms' })
    const error = await failure(client.call(procedure(99, xdrVoid, xdrVoid), undefined))
    expect(error).toMatchObject({ status: 'PROC_UNAVAIL', mayHaveRun: false })
  })

  it('a server without sessions, as every other is: the client is told that it has none, and calls go on', async () => {
    await begin({ delay: '1ms' })
    const port = PORT + 1
    const plain = new RpcServer(world.server, { atMostOnce: { maxSessions: 0 } }).add({
      name: 'PLAIN',
      program: PROGRAM,
      version: 1,
      handlers: [rpcHandler(ECHO, text => text)],
    })
    await Promise.all([plain.listen({ port, address: '0.0.0.0' }), world.pass(1)])
    const asking = await connect({ port, atMostOnce: true })
    expect(await ended(asking.call(ECHO, 'hello'))).toBe('hello')
    expect(asking.isAtMostOnce).toBe(false)
    asking.close()
    const closed = plain.close()
    await world.pass(1_000)
    await closed
  })
})
