/** Mutated calls and records against a server, by TCP and UDP, with honest clients beside them. Virtual time; a function of the seed. */
import { Prng } from '../../src/base/prng.ts'
import type { RpcChannel } from '../../src/rpc/channel.ts'
import { RpcClient, RpcServer } from '../../src/rpc/index.ts'
import { CallForge, HOSTILE_PROGRAM, HOSTILE_VERSION } from './hostile-calls.ts'
import { DatagramAttacker, type ReplyListener, StreamAttacker } from './hostile-peers.ts'
import { framed, RECORD_ATTACKS, UNFINISHED } from './hostile-records.ts'
import { ADD_ONE, hostileService } from './hostile-service.ts'
import { World } from './world.ts'

export interface HostileResult {
  readonly messages: number
  /** What must not be. */
  readonly problems: readonly string[]
  readonly counters: Readonly<Record<string, number>>
  readonly procedures: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly sessions: RpcServer['sessionCounts']
  /** Answers that had to be what they were. */
  readonly judged: number
  readonly recordAttacks: number
  readonly honestCalls: number
  readonly honestWorstMs: number
  /** The most blocks of the arena that were in use between two batches, and the most connections. */
  readonly mostBlocks: number
  readonly mostChannels: number
}

const PORT = 3_000
const STREAMS = 6
const DATAGRAM_PORTS = 2
const PER_STREAM = 12
const PER_PORT = 12
const BATCH_MS = 10
const IDLE_MAX = 24
const HANDLES = 16
const HONEST_TIMEOUT_MS = 1_000
const LONGEST_DATAGRAM = 60_000
const PROBLEMS_TOLD = 5

/** One who attacks, and what it has to be answered. */
interface Attacker<P> {
  readonly peer: P
  readonly expected: Map<number, string>
}

export class HostileServerRun {
  messages = 0
  readonly problems: string[] = []
  private readonly world: World
  private readonly random: Prng
  private readonly forge: CallForge
  private readonly server: RpcServer
  private readonly streams: Attacker<StreamAttacker>[] = []
  private readonly ports: Attacker<DatagramAttacker>[] = []
  private readonly idle: StreamAttacker[] = []
  private readonly honest: RpcClient[] = []
  private delivered = 0
  private judged = 0
  private recordAttacks = 0
  private honestCalls = 0
  private honestWorstMs = 0
  private mostBlocks = 0
  private batches = 0
  private mostChannels = 0

  constructor(seed: number, poison = false) {
    this.world = new World({ seed, isLoopback: true, poison, arenaBytes: 48 * 1024 * 1024 })
    this.random = new Prng(seed ^ 0x4057)
    this.forge = new CallForge(this.random)
    const { runtime } = this.world.server
    this.server = new RpcServer(this.world.server, {
      secretWord: () => runtime.random.int32(),
      records: { maxRecordBytes: 256 * 1024, maxFragments: 64 },
      onError: (error, where) => this.problem(`${where} failed: ${error}`),
    })
    this.server.add(hostileService())
    // Whatever reaches the server is counted here, to be found in its counters.
    const accept = this.server.accept.bind(this.server)
    this.server.accept = channel => {
      this.countIn(channel)
      accept(channel)
    }
  }

  private countIn(channel: RpcChannel): void {
    const receive = channel.receive.bind(channel)
    channel.receive = () => {
      const mp = receive()
      if (mp !== null) this.delivered++
      return mp
    }
  }

  private problem(text: string): void {
    if (this.problems.length < PROBLEMS_TOLD) this.problems.push(text)
  }

  // ---- peers

  async start(): Promise<void> {
    const { world, server } = this
    await Promise.all([server.listen({ port: PORT, address: '0.0.0.0' }), world.pass(1)])
    for (let i = 0; i < STREAMS; i++) this.streams.push(this.stream())
    for (let i = 0; i < DATAGRAM_PORTS; i++) {
      const expected = new Map<number, string>()
      this.ports.push({ peer: new DatagramAttacker(world, PORT, this.judge(expected)), expected })
    }
    for (const transport of ['tcp', 'udp'] as const)
      for (const atMostOnce of [true, false]) this.honest.push(await this.honestClient(transport, atMostOnce))
    await world.pass(100)
    for (const client of this.honest.filter((_, i) => i % 2 === 0))
      if (!client.isAtMostOnce) this.problem('an honest client got no session')
  }

  private async honestClient(transport: 'tcp' | 'udp', atMostOnce: boolean): Promise<RpcClient> {
    const { client, server } = this.world
    const made = RpcClient.connect(client, {
      address: server.address,
      port: PORT,
      transport,
      atMostOnce,
      program: HOSTILE_PROGRAM,
      version: HOSTILE_VERSION,
      timeoutMs: HONEST_TIMEOUT_MS,
      retransmitMs: 50,
    })
    await this.world.pass(50)
    return made
  }

  private stream(): Attacker<StreamAttacker> {
    const expected = new Map<number, string>()
    return { peer: new StreamAttacker(this.world, PORT, this.judge(expected)), expected }
  }

  private judge(expected: Map<number, string>): ReplyListener {
    return (xid, status, handle) => {
      if (handle !== null) this.keepHandle(handle)
      const right = expected.get(xid)
      if (right === undefined) return
      expected.delete(xid)
      this.judged++
      if (right !== status) this.problem(`a call was answered ${status}, not ${right}`)
    }
  }

  private keepHandle(handle: Uint8Array): void {
    const { handles } = this.forge
    if (handles.length < HANDLES) handles.push(handle)
    else if (this.random.below(64) === 0) handles[this.random.below(HANDLES)] = handle
  }

  // ---- the attack

  /** @param messages - at least so many */
  async flood(messages: number): Promise<void> {
    for (const end = this.messages + messages; this.messages < end; ) await this.batch()
  }

  private async batch(): Promise<void> {
    const { world, honest } = this
    for (const attacker of this.streams) this.attackByStream(attacker)
    for (const attacker of this.ports) this.attackByDatagrams(attacker)
    const calls = honest.map((client, i) => this.honestCall(client, this.honestCalls + i))
    await world.pass(BATCH_MS)
    // A call that was lost has the rest of its deadline.
    if (honest.some(client => client.outstanding > 0))
      await world.pass(2 * HONEST_TIMEOUT_MS, () => honest.every(client => client.outstanding === 0))
    await Promise.all(calls)
    this.honestCalls += calls.length
    this.look()
  }

  private async honestCall(client: RpcClient, number: number): Promise<void> {
    const { world } = this
    const began = world.nowMs
    try {
      const result = await client.call(ADD_ONE, number)
      if (result !== number + 1) this.problem(`an honest call got ${result}, not ${number + 1}`)
    } catch (error) {
      this.problem(`an honest call failed (client ${this.honest.indexOf(client)}): ${error}`)
    }
    this.honestWorstMs = Math.max(this.honestWorstMs, world.nowMs - began)
  }

  private attackByStream({ peer, expected }: Attacker<StreamAttacker>): void {
    const { forge, random } = this
    const parts: Uint8Array[] = []
    for (let i = 0; i < PER_STREAM; i++) {
      const { bytes, xid, expected: status } = forge.make()
      if (status !== null) expected.set(xid, status)
      parts.push(framed(bytes, random))
      this.messages++
    }
    peer.send(joined(parts))
    const kind = random.below(300)
    if (kind < 6) {
      const [, attack] = RECORD_ATTACKS[kind]!
      this.recordAttacks++
      this.messages++
      peer.send(attack())
    } else if (kind === 6) {
      this.messages++
      peer.send(UNFINISHED)
      this.idle.push(new StreamAttacker(this.world, PORT, () => {}))
      this.idle.at(-1)!.send(UNFINISHED)
      if (this.idle.length > IDLE_MAX) this.idle.shift()!.abort()
      peer.close()
    }
  }

  private attackByDatagrams({ peer, expected }: Attacker<DatagramAttacker>): void {
    for (let i = 0; i < PER_PORT; i++) {
      const { bytes, xid, expected: status } = this.forge.make()
      if (bytes.length === 0 || bytes.length > LONGEST_DATAGRAM) continue
      if (status !== null) expected.set(xid, status)
      peer.send(bytes)
      this.messages++
    }
  }

  /** Between two batches: everybody who had to be answered was; who broke the records is gone. */
  private look(): void {
    this.streams.forEach(({ peer, expected }, i) => {
      if (peer.isOpen && expected.size > 0)
        this.problem(`${expected.size} calls of a stream were not answered`)
      expected.clear()
      if (!peer.isOpen) this.streams[i] = this.stream()
    })
    for (const { peer, expected } of this.ports) {
      if (expected.size > peer.unsent) this.problem(`${expected.size} datagrams were not answered`)
      expected.clear()
    }
    // It is a pass over all blocks.
    if (++this.batches % 16 === 0) this.mostBlocks = Math.max(this.mostBlocks, this.world.memory.blocks)
    this.mostChannels = Math.max(this.mostChannels, this.server.channelCount)
  }

  // ---- what came of it

  async end(): Promise<HostileResult> {
    const { world, server } = this
    for (const { peer } of this.streams) peer.abort()
    for (const peer of this.idle) peer.abort()
    for (const { peer } of this.ports) peer.close()
    for (const client of this.honest) client.close()
    await world.pass(1_000)
    this.account()
    for (const error of world.errors) this.problem(error)
    const result = this.result()
    const closed = server.close()
    await world.pass(120_000)
    await closed
    await world.finish()
    return result
  }

  /** Each message that the server got is in a counter, and each call in one of its procedure's, or in that of why there was none. */
  private account(): void {
    const { counters: c } = this.server
    const faults = c['call-truncated'] + c['call-not-a-call'] + c['call-rpc-version']
    const badAuth = c['call-credentials'] + c['call-verifier']
    this.same('messages', this.delivered, c.calls + faults + badAuth)
    const unknown = c['prog-unavail'] + c['prog-mismatch'] + c['proc-unavail']
    const all = this.server.describe()
    const taken = all.reduce((sum, { counters }) => sum + counters.calls, 0)
    this.same('calls', c.calls, c['denied-auth'] - badAuth + unknown + taken)
    for (const { name, counters } of all) {
      const { calls, answered, 'garbage-args': garbage, refused, failed, shed, duplicates } = counters
      this.same(name, calls, answered + garbage + refused + failed + shed + duplicates)
    }
  }

  private same(what: string, came: number, counted: number): void {
    if (came !== counted) this.problem(`${came} ${what} came, ${counted} are in the counters`)
  }

  private result(): HostileResult {
    const {
      messages,
      problems,
      judged,
      recordAttacks,
      honestCalls,
      honestWorstMs,
      mostBlocks,
      mostChannels,
    } = this
    const { counters, sessionCounts: sessions } = this.server
    const procedures = Object.fromEntries(
      this.server.describe().map(({ name, counters }) => [name, counters]),
    )
    const figures = { judged, recordAttacks, honestCalls, honestWorstMs, mostBlocks, mostChannels }
    return { messages, problems, counters: { ...counters }, procedures, sessions, ...figures }
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
