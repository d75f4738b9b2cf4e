/** The node's side of one client: which stream a frame is for, and what the client may do. */
import { StackError } from '../base/errors.ts'
import { CONNECTION_SETTINGS } from '../inet/tcp/settings.ts'
import type { EndpointOptions } from '../inet/udp/control.ts'
import type { Channel, ChannelEnd, ChannelUser } from '../ipc/channel.ts'
import { CreditBudget } from '../ipc/credit.ts'
import type { MappedNodeSide } from '../ipc/mapped-node.ts'
import {
  CONNECT,
  ENDPOINT,
  errorText,
  HELLO,
  type Hello,
  LISTEN,
  NAMES,
  OVER,
  PROTOCOL_VERSION,
  REFUSED,
  takeText,
  textMessage,
  WELCOME,
} from '../ipc/protocol.ts'
import { UdpEndpoint } from '../socket/endpoint.ts'
import {
  TcpConnection,
  type TcpConnectOptions,
  TcpListener,
  type TcpListenOptions,
} from '../socket/tcp-endpoint.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { Runtime } from '../streams/runtime.ts'
import { IpcConnection } from './ipc-connection.ts'
import { IpcEndpoint } from './ipc-endpoint.ts'
import { IpcListener } from './ipc-listener.ts'

/** A stream that a client has in the node. */
export interface IpcStream {
  /**
   * @param mp - consumed
   * @returns false if the client may not send that
   */
  frame(kind: number, detail: number, mp: Mblk | null): boolean
  /** The channel has room again. */
  drained(): void
  /** The client is gone. */
  abandon(): void
}

/** Whom an agent belongs to. */
export interface AgentHome {
  readonly runtime: Runtime
  readonly name: string
  readonly version: string
  /** Streams that one client may have. */
  readonly streamsMax: number
  /** @throws StackError if the client is not taken */
  judge(agent: IpcAgent, hello: Hello): void
  /** Shares the node's memory with a client. @throws StackError `ERR_NOT_SUPPORTED`, `ERR_NO_BUFFERS` */
  map(agent: IpcAgent): MappedNodeSide
  /** The client was told of the memory: the rings are in use from now on. */
  upgrade(agent: IpcAgent, side: MappedNodeSide): void
  /**
   * A client that is gone closed a connection in order, and not all of it went out.
   * @returns false if there is no room for it: it is to be reset
   */
  linger(connection: IpcConnection, cost: number): boolean
  /** It is over. Harmless if it did not linger. */
  lingered(connection: IpcConnection): void
  /** The client is gone, and all that it had. */
  gone(agent: IpcAgent, why: ChannelEnd | 'closed'): void
}

/** Cost of a client's data that may wait for TCP; beyond, nothing is read from it until some of it left. */
const HELD_MAX = 8 * 1024 * 1024
/** Of that, for what connections have under way beyond their first credit: the rest is for many that stand still. */
const CREDITS_BYTES = 3 * 1024 * 1024

export class IpcAgent implements ChannelUser {
  readonly pid: number
  channel: Channel | null = null
  readonly home: AgentHome
  private readonly streams = new Map<number, IpcStream>()
  private readonly waiting = new Set<IpcStream>()
  private greeted = false
  private nextId = 2
  /** The highest number that the client gave. */
  private lastId = 0
  private held = 0
  /** For its connections. */
  readonly credits = new CreditBudget(CREDITS_BYTES)
  /** Texts wait that the client does not read: nothing more is read that is answered by one. */
  private isUnheard = false

  constructor(home: AgentHome, pid: number) {
    this.home = home
    this.pid = pid
  }

  get isGreeted(): boolean {
    return this.greeted
  }

  get streamCount(): number {
    return this.streams.size
  }

  // ---- for its streams

  number(): number {
    const id = this.nextId
    this.nextId += 2
    return id
  }

  get hasRoom(): boolean {
    return this.channel !== null && this.streams.size < this.home.streamsMax
  }

  add(id: number, stream: IpcStream): void {
    this.streams.set(id, stream)
    // It ended while it was told of this one.
    if (this.channel === null) stream.abandon()
  }

  forget(id: number, stream: IpcStream): void {
    this.waiting.delete(stream)
    if (this.streams.get(id) !== stream) return
    this.streams.delete(id)
    // Listeners may wait for a place.
    if (this.streams.size === this.home.streamsMax - 1)
      for (const each of this.streams.values()) if (each instanceof IpcListener) each.pump()
  }

  /** @param mp - consumed */
  send(stream: number, kind: number, detail: number, mp: Mblk | null): void {
    if (this.channel !== null) this.channel.send(stream, kind, detail, mp)
    else if (mp !== null) freemsg(mp)
  }

  /** A client that cannot be told, for want of memory, is ended: it would wait for ever. */
  sendText(stream: number, kind: number, detail: number, value: unknown): void {
    const mp = textMessage(this.home.runtime.arena, value)
    if (mp === null) return this.end('overrun')
    this.send(stream, kind, detail, mp)
    if (this.isUnheard || this.channel?.isTextFull !== true) return
    this.isUnheard = true
    this.applyPause()
  }

  isFull(stream: IpcStream): boolean {
    if (this.channel?.isFull !== true) return false
    this.waiting.add(stream)
    return true
  }

  count(what: 'no-views' | 'no-buffers'): void {
    if (this.channel !== null) this.channel.counters[what]++
  }

  /** Data of the client's waits for TCP, or does not any more. */
  holds(cost: number): void {
    const before = this.held
    this.held += cost
    if (before > HELD_MAX !== this.held > HELD_MAX) this.applyPause()
  }

  private applyPause(): void {
    this.channel?.pause(this.held > HELD_MAX || this.isUnheard)
  }

  // ---- what the channel tells

  frame(id: number, kind: number, detail: number, mp: Mblk | null): boolean {
    const stream = this.streams.get(id)
    try {
      if (stream !== undefined) return stream.frame(kind, detail, mp)
      return this.open(id, kind, mp)
    } catch (error) {
      // What should be JSON is none.
      if (error instanceof SyntaxError) return false
      throw error
    }
  }

  private open(id: number, kind: number, mp: Mblk | null): boolean {
    const isOpening = kind === CONNECT || kind === LISTEN || kind === ENDPOINT
    const text = isOpening || id === 0 ? takeText(mp) : drop(mp)
    if (id === 0) return kind === HELLO && this.greet(text as Hello)
    if (!this.greeted) return false
    // What it sent before it heard that the stream is over.
    if (!isOpening) return id > 0 && (id % 2 === 0 ? id < this.nextId : id <= this.lastId)
    if (id <= this.lastId || id % 2 === 0) return false
    this.lastId = id
    try {
      this.openStream(id, kind, text)
    } catch (error) {
      if (!(error instanceof StackError)) throw error
      this.sendText(id, OVER, 0, { reason: 'aborted', error: errorText(error) })
    }
    return true
  }

  private openStream(id: number, kind: number, options: unknown): void {
    const { runtime, streamsMax } = this.home
    if (this.streams.size >= streamsMax)
      throw new StackError('ERR_NO_BUFFERS', `a client has ${streamsMax} connections at the most`)
    if (kind === CONNECT) {
      const connection = TcpConnection.connect(runtime, options as TcpConnectOptions)
      const { local, remote, settings } = connection
      this.sendText(id, NAMES, 0, { local, remote, settings })
      this.add(id, new IpcConnection(this, id, connection))
    } else if (kind === ENDPOINT) {
      const endpoint = UdpEndpoint.open(runtime, options as EndpointOptions, `udp:pid-${this.pid}`)
      this.sendText(id, NAMES, 0, endpoint.names)
      this.add(id, new IpcEndpoint(this, id, endpoint))
    } else {
      const listener = TcpListener.open(runtime, options as TcpListenOptions)
      this.sendText(id, NAMES, 0, { local: listener.local })
      const agent = new IpcListener(this, id, listener)
      this.add(id, agent)
      agent.pump()
    }
  }

  private greet(hello: Hello): boolean {
    if (this.greeted || typeof hello !== 'object' || hello === null) return false
    let side: MappedNodeSide | null = null
    try {
      if (hello.version !== PROTOCOL_VERSION)
        throw new StackError(
          'ERR_PROTOCOL',
          `the node speaks version ${PROTOCOL_VERSION} of the port's protocol`,
        )
      this.home.judge(this, hello)
      if (hello.mapped === true) side = this.home.map(this)
    } catch (error) {
      this.sendText(0, REFUSED, 0, errorText(error))
      this.end('closed')
      return true
    }
    this.greeted = true
    const { name, version: nodeVersion } = this.home
    this.sendText(0, WELCOME, 0, {
      version: PROTOCOL_VERSION,
      name,
      nodeVersion,
      pid: process.pid,
      settings: CONNECTION_SETTINGS,
      mapped: side?.text ?? null,
    })
    if (side !== null && this.channel !== null) this.home.upgrade(this, side)
    else side?.close()
    return true
  }

  drained(): void {
    if (this.isUnheard) {
      this.isUnheard = false
      this.applyPause()
    }
    const list = [...this.waiting]
    this.waiting.clear()
    for (const stream of list) stream.drained()
  }

  down(why: ChannelEnd): void {
    this.end(why)
  }

  // ---- the end

  end(why: ChannelEnd | 'closed'): void {
    const { channel } = this
    if (channel === null) return
    this.channel = null
    channel.close()
    for (const stream of [...this.streams.values()]) stream.abandon()
    this.waiting.clear()
    this.home.gone(this, why)
  }
}

/** @param mp - consumed */
function drop(mp: Mblk | null): null {
  if (mp !== null) freemsg(mp)
  return null
}
