/** Mutated replies against clients, by TCP and UDP, with and without sessions; beside them an honest server's client. */
import { Prng } from '../../src/base/prng.ts'
import { type RpcChannel, takeEnvelope } from '../../src/rpc/channel.ts'
import { DatagramChannel } from '../../src/rpc/datagram-channel.ts'
import { RpcClient, RpcError, RpcServer } from '../../src/rpc/index.ts'
import { RecordSplitter } from '../../src/rpc/record-mark.ts'
import { StreamChannel } from '../../src/rpc/stream-channel.ts'
import { XdrOpaque } from '../../src/rpc/xdr/index.ts'
import { type TcpConnection, TcpListener } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'
import { messageBytes } from '../../src/streams/mblk/message.ts'
import { copymsg, messageFrom, readMessage } from '../../src/streams/mblk/pullup.ts'
import { HOSTILE_PROGRAM, HOSTILE_VERSION } from './hostile-calls.ts'
import { framed, RECORD_ATTACKS } from './hostile-records.ts'
import { ReplyForge } from './hostile-replies.ts'
import { ADD_ONE, BLOB, hostileService, NAMES } from './hostile-service.ts'
import { World } from './world.ts'

export interface HostileClientResult {
  readonly replies: number
  readonly reached: number
  readonly problems: readonly string[]
  readonly calls: number
  readonly outcomes: Readonly<Record<string, number>>
  /** Of all victims together. */
  readonly counters: Readonly<Record<string, number>>
  readonly recordAttacks: number
  readonly honestCalls: number
  readonly mostBlocks: number
}

const EVIL_PORT = 4_000
const GOOD_PORT = 4_001
const CALLS_PER_BATCH = 8
const TIMEOUT_MS = 40
const REPLIES_MAX = 12
const PROBLEMS_TOLD = 5
const BATCHES_PER_CLIENT = 8
const EMPTY = XdrOpaque.of(new Uint8Array(0))

interface Victim {
  readonly client: RpcClient
  /** Replies that reached it. */
  received: number
}

export class HostileClientRun {
  /** Sent by the server; and those that reached a client, before what else was sent ended its connection. */
  replies = 0
  reached = 0
  readonly problems: string[] = []
  private readonly world: World
  private readonly random: Prng
  private readonly forge: ReplyForge
  private readonly victims: Victim[] = []
  private readonly evil: DatagramChannel
  private readonly listener: TcpListener
  private readonly good: RpcServer
  private honest: RpcClient | null = null
  private readonly outcomes: Record<string, number> = {}
  private readonly counters: Record<string, number> = {}
  private calls = 0
  private recordAttacks = 0
  private honestCalls = 0
  private batches = 0
  private mostBlocks = 0

  constructor(seed: number, poison = false) {
    this.world = new World({ seed, isLoopback: true, poison, arenaBytes: 48 * 1024 * 1024 })
    this.random = new Prng(seed ^ 0xbad)
    this.forge = new ReplyForge(this.random)
    const { server } = this.world
    this.evil = new DatagramChannel(server, { bind: { port: EVIL_PORT }, family: 4 })
    this.evil.onReadable = () => this.answerDatagrams()
    this.listener = TcpListener.open(server.runtime, { port: EVIL_PORT, address: '0.0.0.0' })
    this.listener.onConnection = () => {
      for (let c = this.listener.accept(); c !== null; c = this.listener.accept()) this.answerStream(c)
    }
    this.good = new RpcServer(server, { secretWord: () => server.runtime.random.int32() }).add(
      hostileService(),
    )
  }

  private problem(text: string): void {
    if (this.problems.length < PROBLEMS_TOLD) this.problems.push(text)
  }

  async start(): Promise<void> {
    const { world, good } = this
    const { address } = world.server
    await Promise.all([good.listen({ port: GOOD_PORT, address: '0.0.0.0' }), world.pass(1)])
    const common = { program: HOSTILE_PROGRAM, version: HOSTILE_VERSION, address }
    const honest = RpcClient.connect(world.client, {
      ...common,
      port: GOOD_PORT,
      transport: 'tcp',
      atMostOnce: true,
    })
    await world.pass(50)
    this.honest = await honest
    this.renew()
  }

  /** A client that was told that there are no sessions does not ask again: another does. */
  private renew(): void {
    for (const victim of this.victims.splice(0)) this.over(victim)
    for (const isStream of [true, false])
      for (const atMostOnce of [true, false]) this.victims.push(this.victim(isStream, atMostOnce))
  }

  private over(victim: Victim): void {
    this.account(victim)
    for (const [name, value] of Object.entries(victim.client.counters))
      this.counters[name] = (this.counters[name] ?? 0) + value
    victim.client.close()
  }

  private victim(isStream: boolean, atMostOnce: boolean): Victim {
    const { client: host, server } = this.world
    const to = { address: server.address, port: EVIL_PORT }
    const make = (): RpcChannel =>
      isStream ? StreamChannel.connect(host, to) : new DatagramChannel(host, { connect: to, family: 4 })
    const source = (): RpcChannel => {
      const channel = make()
      const receive = channel.receive.bind(channel)
      channel.receive = () => {
        const mp = receive()
        if (mp === null) return null
        victim.received++
        this.reached++
        return mp
      }
      return channel
    }
    const options = { atMostOnce, program: HOSTILE_PROGRAM, version: HOSTILE_VERSION, timeoutMs: TIMEOUT_MS }
    const client = RpcClient.over(host, source, isStream, {
      ...options,
      retransmitMs: 10,
      reconnectMs: 1,
      reconnectMaxMs: 4,
    })
    const victim: Victim = { client, received: 0 }
    return victim
  }

  // ---- the server that answers anything

  private answerDatagrams(): void {
    for (let mp = this.evil.receive(); mp !== null; mp = this.evil.receive()) {
      const body = takeEnvelope(mp)!
      const xid = xidOf(body)
      freemsg(body)
      for (let left = this.random.below(REPLIES_MAX); left > 0; left--) {
        const envelope = copymsg(mp)!
        const reply = this.message(this.forge.make(xid))
        if (reply === null || !this.evil.reply(envelope, reply)) {
          freemsg(envelope)
          if (reply !== null) freemsg(reply)
        } else this.replies++
      }
      freemsg(mp)
    }
  }

  private message(bytes: Uint8Array): Mblk | null {
    return messageFrom(this.world.arena, bytes, 0, bytes.length, 'edge')
  }

  private answerStream(connection: TcpConnection): void {
    const splitter = new RecordSplitter()
    const close = (): void => {
      splitter.close()
      connection.close()
    }
    connection.onEnd = close
    connection.onClosed = close
    connection.onReadable = () => {
      for (let mp = connection.getmsg(); mp !== null; mp = connection.getmsg()) splitter.push(mp)
      for (let mp = splitter.next(); mp !== null; mp = splitter.next()) {
        const xid = xidOf(mp)
        freemsg(mp)
        if (connection.closeReason === null && !this.answerCall(connection, xid)) return close()
      }
    }
  }

  /** @returns whether the connection is to go on */
  private answerCall(connection: TcpConnection, xid: number): boolean {
    const { random } = this
    const kind = random.below(400)
    if (kind === 0) return false
    for (let left = random.below(REPLIES_MAX); left > 0; left--) {
      connection.write(framed(this.forge.make(xid), random))
      this.replies++
    }
    if (kind > RECORD_ATTACKS.length) return true
    this.recordAttacks++
    this.replies++
    connection.write(RECORD_ATTACKS[kind - 1]![1]())
    return true
  }

  // ---- calls

  /** @param replies - at least so many reach a client */
  async flood(replies: number): Promise<void> {
    for (const end = this.reached + replies; this.reached < end; ) await this.batch()
  }

  private async batch(): Promise<void> {
    const { world, victims } = this
    const calls: Promise<void>[] = []
    for (const victim of victims)
      for (let i = 0; i < CALLS_PER_BATCH; i++) calls.push(this.call(victim.client, this.calls++))
    const honest = this.honestCall()
    const isQuiet = (): boolean => victims.every(({ client }) => client.outstanding === 0)
    // A deadline is met, whatever comes or does not: one more of the client's own may ask for a session.
    if (!(await world.pass(4 * TIMEOUT_MS, isQuiet))) this.problem('a call outlived its deadline')
    await Promise.all(calls)
    await honest
    if (++this.batches % BATCHES_PER_CLIENT > 0) return
    this.mostBlocks = Math.max(this.mostBlocks, world.memory.blocks)
    this.renew()
  }

  private async call(client: RpcClient, number: number): Promise<void> {
    const kind = number % 3
    const made: Promise<unknown> =
      kind === 0
        ? client.call(ADD_ONE, number)
        : kind === 1
          ? client.call(NAMES, ['__proto__', 'x'])
          : this.blob(client)
    let outcome = 'ok'
    try {
      await made
    } catch (error) {
      if (!(error instanceof RpcError)) this.problem(`a call ended with ${error}`)
      else outcome = `${error.outcome} ${error.status ?? error.code}`
    }
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1
  }

  private async blob(client: RpcClient): Promise<void> {
    const result = await client.call(BLOB, EMPTY)
    result.free()
  }

  private async honestCall(): Promise<void> {
    try {
      const result = await this.honest!.call(ADD_ONE, this.honestCalls)
      if (result !== this.honestCalls + 1) this.problem(`an honest call got ${result}`)
    } catch (error) {
      this.problem(`an honest call failed: ${error}`)
    }
    this.honestCalls++
  }

  // ---- what came of it

  async end(): Promise<HostileClientResult> {
    const { world, victims, problems, replies, calls, outcomes, recordAttacks, honestCalls, mostBlocks } =
      this
    await world.pass(1_000)
    for (const victim of victims) this.over(victim)
    this.honest?.close()
    this.listener.close()
    this.evil.close()
    const closed = this.good.close()
    await world.pass(120_000)
    await closed
    for (const error of world.errors) this.problem(error)
    await world.finish()
    const { counters, reached } = this
    return { replies, reached, problems, calls, outcomes, counters, recordAttacks, honestCalls, mostBlocks }
  }

  /** Each reply that a client got is in a counter, or ended a call, or the asking for a session. */
  private account({ client, received }: Victim): void {
    const { counters: c } = client
    const faults = c['reply-truncated'] + c['reply-not-a-reply'] + c['reply-verifier'] + c['reply-status']
    const matched = received - faults - c['late-replies'] - c['foreign-replies']
    let ended = c['sessions-rejected'] + c.sessions
    for (const { counters } of client.procedures) ended += counters.ok + counters.answered
    if (matched < ended || matched > ended + c['sessions-denied'])
      this.problem(`${matched} replies were for calls, ${ended} of them ended one`)
  }
}

function xidOf(mp: Mblk): number {
  if (messageBytes(mp) < 4) return 0
  const bytes = new Uint8Array(4)
  readMessage(mp, 0, bytes, 0, 4, 'edge')
  return new DataView(bytes.buffer).getInt32(0)
}
