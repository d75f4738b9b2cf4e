/**
 * The IPC port of a node: a Unix socket through which programs of other processes have this node's sockets (`putnext/ipc`). Only the
 * owner may connect; each client has its bounds, and what it does wrong ends it alone.
 */
import { chmodSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { type Counters, makeCounters } from '../base/counters.ts'
import { StackError } from '../base/errors.ts'
import { errnoName } from '../host/host-error.ts'
import { DESC_WORDS, POLL_READABLE, type Shim } from '../host/shim.ts'
import type { Channel, ChannelEnd } from '../ipc/channel.ts'
import { openChannelStream, seat } from '../ipc/channel-stream.ts'
import { MappedChannel } from '../ipc/mapped-channel.ts'
import { MappedNodeSide } from '../ipc/mapped-node.ts'
import { SocketChannel } from '../ipc/socket-channel.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { Stream } from '../streams/stream.ts'
import { assertFree } from './control-socket.ts'
import { type AgentHome, IpcAgent } from './ipc-agent.ts'
import type { IpcConnection } from './ipc-connection.ts'
import { makeStateDirectory, SOCKET_PATH_BYTES_MAX } from './state-dir.ts'

const BACKLOG = 64
const CLIENTS_MAX = 64
const STREAMS_MAX = 4_096
/** How long a client may take to say hello. */
const HELLO_MS = 5_000
/** Cost of what clients that are gone left to be sent in order, all together, and how long a connection may take for it. */
const LINGER_COST_MAX = 4 * 1024 * 1024
const LINGER_TICKS = 60
const LINGER_TICK_MS = 1_000
const MODE = 0o600
const UMASK = 0o177

const COUNTERS = [
  'accepted',
  'refused-user',
  'refused-clients',
  'refused-hello',
  'refused-memory',
  'ended-closed',
  'ended-gone',
  'ended-malformed',
  'ended-overrun',
  'lingers-refused',
  'lingers-ended',
] as const

export interface IpcPortOptions {
  readonly path: string
  /** Descriptor of the memory that the arena is made of, for clients that map it; the caller closes it, after the port. */
  readonly memory?: number
  /** Clients at a time, 64 by default. */
  readonly clients?: number
  /** Connections and listeners of one client, 4,096 by default. */
  readonly connections?: number
}

/** What a port needs of its node. */
export interface IpcNode {
  readonly name: string
  readonly version: string
  readonly runtime: Runtime
  readonly shim: Shim | null
  /** The shim's number of the runtime's arena. */
  readonly arenaId: number
  /** Lets the stack go now. */
  run(): void
  /** Asked while the loop looks for packets: whether something else came. */
  readonly pollers: Set<() => boolean>
}

interface Client {
  readonly agent: IpcAgent
  readonly stream: Stream
  readonly bell: SocketChannel
  readonly late: NodeJS.Timeout
  /** Of a mapped client. */
  poll: (() => boolean) | null
}

export class IpcPort implements AgentHome {
  readonly path: string
  readonly counters: Counters<(typeof COUNTERS)[number]> = makeCounters(COUNTERS)
  readonly runtime: Runtime
  readonly name: string
  readonly version: string
  readonly streamsMax: number
  private readonly clientsMax: number
  private readonly shim: Shim
  private readonly arenaId: number
  private readonly node: IpcNode
  /** Descriptor of the arena's memory; null if it is not shared. */
  private readonly memory: number | null
  private readonly stream: Stream
  private readonly port: number
  private readonly clients = new Map<IpcAgent, Client>()
  /** The oldest first. */
  private readonly lingering = new Map<IpcConnection, { readonly cost: number; ticks: number }>()
  private lingeringCost = 0
  private lingerTimer: NodeJS.Timeout | null = null
  private closed = false

  private constructor(node: IpcNode, shim: Shim, fd: number, options: IpcPortOptions) {
    this.path = options.path
    this.shim = shim
    this.arenaId = node.arenaId
    this.node = node
    this.memory = options.memory ?? null
    this.runtime = node.runtime
    this.name = node.name
    this.version = node.version
    this.clientsMax = options.clients ?? CLIENTS_MAX
    this.streamsMax = options.connections ?? STREAMS_MAX
    this.port = shim.attach(fd, node.arenaId, new Int32Array(DESC_WORDS), new Float64Array(1), () =>
      this.accept(fd),
    )
    if (this.port < 0) {
      shim.fdClose(fd)
      throw new StackError('ERR_HOST', `cannot listen on ${this.path} (${errnoName(-this.port)})`)
    }
    this.stream = openChannelStream(node.runtime, 'ipc').stream
    seat(this.stream, { serve: () => {}, counters: this.counters, describe: () => this.describe() })
    shim.pollStart(this.port, POLL_READABLE)
  }

  /**
   * Listens.
   * @throws StackError `ERR_SHIM_MISSING`; `ERR_ADDR_IN_USE` a node lives there, or the file is no socket; `ERR_ACCESS`; `ERR_BAD_CONFIG` the path is too long
   */
  static async open(node: IpcNode, options: IpcPortOptions): Promise<IpcPort> {
    const { path } = options
    const { shim } = node
    if (shim === null)
      throw new StackError('ERR_SHIM_MISSING', 'the IPC port needs the native shim', {
        hint: 'build it with scripts/build-shim',
      })
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX)
      throw new StackError(
        'ERR_BAD_CONFIG',
        `the socket path ${path} is longer than ${SOCKET_PATH_BYTES_MAX} bytes`,
      )
    makeStateDirectory(dirname(path))
    await assertFree(path)
    rmSync(path, { force: true })
    // The file is made inside this call, so the mask concerns nothing else; a worker thread cannot set one.
    const before = isMainThread ? process.umask(UMASK) : null
    let fd: number
    try {
      fd = shim.unixListen(path, BACKLOG)
    } finally {
      if (before !== null) process.umask(before)
    }
    if (fd < 0) throw new StackError('ERR_ACCESS', `cannot listen on ${path} (${errnoName(-fd)})`)
    chmodSync(path, MODE)
    return new IpcPort(node, shim, fd, options)
  }

  // ---- clients

  private accept(listener: number): void {
    for (let i = 0; i < BACKLOG && !this.closed; i++) {
      const fd = this.shim.unixAccept(listener)
      if (fd < 0) return
      this.take(fd)
    }
  }

  private take(fd: number): void {
    const peer = new Int32Array(2)
    const own = process.geteuid?.() ?? -1
    const known = this.shim.unixPeer(fd, peer) === 0
    if (!known || (peer[1] !== own && peer[1] !== 0)) return this.refuse(fd, 'refused-user')
    // One more, so that it can be told.
    if (this.clients.size > this.clientsMax) return this.refuse(fd, 'refused-clients')
    const { runtime, shim, arenaId } = this
    if (shim.sendDescriptor(fd, this.memory ?? -1) < 0) return this.refuse(fd, 'refused-memory')
    const agent = new IpcAgent(this, peer[0]!)
    const { stream, q } = openChannelStream(runtime, `ipc:${peer[0]}`)
    let bell: SocketChannel
    try {
      bell = new SocketChannel({ shim, arenaId, runtime, run: () => this.node.run() }, fd, q, agent)
    } catch {
      stream.close()
      this.counters['refused-memory']++
      return
    }
    agent.channel = bell
    this.seat(stream, agent, bell)
    const late = setTimeout(() => {
      if (!agent.isGreeted) agent.end('malformed')
    }, HELLO_MS)
    late.unref()
    this.clients.set(agent, { agent, stream, bell, late, poll: null })
    this.counters.accepted++
  }

  private seat(stream: Stream, agent: IpcAgent, channel: Channel): void {
    seat(stream, {
      serve: () => channel.serve(),
      counters: channel.counters,
      describe: () => ({ pid: agent.pid, streams: agent.streamCount, waitingBytes: channel.waitingBytes }),
    })
  }

  private refuse(fd: number, counter: 'refused-user' | 'refused-clients' | 'refused-memory'): void {
    this.counters[counter]++
    this.shim.fdClose(fd)
  }

  judge(): void {
    if (this.clients.size <= this.clientsMax) return
    this.counters['refused-hello']++
    throw new StackError('ERR_BUSY', `the port has ${this.clientsMax} clients already`)
  }

  map(): MappedNodeSide {
    if (this.memory === null) {
      this.counters['refused-hello']++
      throw new StackError('ERR_NOT_SUPPORTED', 'this node does not share its memory', {
        hint: 'start it with --ipc-mapped',
      })
    }
    const side = MappedNodeSide.open(this.runtime.arena)
    if (side !== null) return side
    this.counters['refused-memory']++
    throw new StackError('ERR_NO_BUFFERS', 'the node has no memory for one more mapped client')
  }

  upgrade(agent: IpcAgent, side: MappedNodeSide): void {
    const client = this.clients.get(agent)!
    const { shim, runtime } = this
    const place = { words: runtime.arena.words, now: () => shim.now(), run: () => this.node.run() }
    const q = client.stream.bottom.other
    const channel = new MappedChannel(place, client.bell, q, side.makeRings(), side, agent)
    side.onReturn = () => channel.returns()
    agent.channel = channel
    client.poll = () => channel.poll()
    this.node.pollers.add(client.poll)
    this.seat(client.stream, agent, channel)
  }

  gone(agent: IpcAgent, why: ChannelEnd | 'closed'): void {
    const client = this.clients.get(agent)
    if (client === undefined) return
    this.clients.delete(agent)
    clearTimeout(client.late)
    if (client.poll !== null) this.node.pollers.delete(client.poll)
    this.counters[`ended-${why}`]++
    if (why === 'malformed' || why === 'overrun')
      this.runtime.event('warn', 'ipc.client-ended', `the client of process ${agent.pid} was ended: ${why}`)
    // It may be what calls.
    setImmediate(() => client.stream.close())
  }

  linger(connection: IpcConnection, cost: number): boolean {
    if (this.closed || this.lingeringCost + cost > LINGER_COST_MAX || this.runtime.arena.isLow) {
      this.counters['lingers-refused']++
      return false
    }
    this.lingering.set(connection, { cost, ticks: 0 })
    this.lingeringCost += cost
    this.lingerTimer ??= setInterval(() => this.hurryLingering(), LINGER_TICK_MS).unref()
    return true
  }

  /** A courtesy to the peer: it ends where it takes too long, or others need the memory. */
  private hurryLingering(): void {
    let isLow = this.runtime.arena.isLow
    for (const [connection, each] of [...this.lingering]) {
      if (++each.ticks <= LINGER_TICKS && !isLow) continue
      isLow = false
      this.counters['lingers-ended']++
      connection.abort()
    }
  }

  lingered(connection: IpcConnection): void {
    const each = this.lingering.get(connection)
    if (each === undefined) return
    this.lingering.delete(connection)
    this.lingeringCost -= each.cost
    if (this.lingering.size > 0 || this.lingerTimer === null) return
    clearInterval(this.lingerTimer)
    this.lingerTimer = null
  }

  describe(): object {
    return {
      path: this.path,
      clients: [...this.clients.keys()].map(({ pid, streamCount }) => ({ pid, streams: streamCount })),
    }
  }

  /** Ends every client, and removes the socket's file. */
  close(): void {
    if (this.closed) return
    this.closed = true
    rmSync(this.path, { force: true })
    this.shim.detach(this.port)
    for (const agent of [...this.clients.keys()]) agent.end('closed')
    for (const connection of [...this.lingering.keys()]) connection.abort()
    this.stream.close()
  }
}
