/**
 * Channels without a network below, for tests of clients and servers: a {@link TestNet} has one server and any number of clients, all of one
 * runtime, and loses, doubles, delays and overtakes messages by its own seed, in the runtime's time (a test moves the clock).
 */

import { StackError } from '../../base/errors.ts'
import { Prng } from '../../base/prng.ts'
import { after, milliseconds } from '../../base/time.ts'
import { allocUnitdata, FAMILY, MAPPED_WORD, REMOTE, REMOTE_PORT, UNITDATA_IND } from '../../inet/unitdata.ts'
import { allocb, dupmsg, freemsg } from '../../streams/mblk/alloc.ts'
import type { BorrowedMblk, Mblk } from '../../streams/mblk/mblk.ts'
import { M_DATA, M_PCPROTO, M_PROTO } from '../../streams/mblk/types.ts'
import type { DriverInfo } from '../../streams/module.ts'
import { putnext } from '../../streams/putnext.ts'
import { type Queue, qenable } from '../../streams/queue.ts'
import type { Runtime } from '../../streams/runtime.ts'
import { Stream } from '../../streams/stream.ts'
import { Timer } from '../../streams/timers.ts'
import type { RpcChannel } from '../channel.ts'

export interface NetConditions {
  /** Of datagrams, from 0 to 1. */
  loss: number
  /** Of datagrams: how many arrive twice, each copy with a delay of its own. */
  duplication: number
  /** One way. */
  delayMs: number
  /** Up to this much more, for each message by itself: datagrams overtake each other, a stream keeps its order. */
  jitterMs: number
}

const PERFECT: NetConditions = { loss: 0, duplication: 0, delayMs: 0, jitterMs: 0 }

/** The bottom of each channel's stream: nothing goes down, the net puts up what arrives. */
const testEnd: DriverInfo<null> = {
  driver: true,
  name: 'test-channel',
  hiwat: 1,
  lowat: 0,
  open: () => null,
  close: () => {},
  read: { put: putnext },
  write: { put: (_q, mp) => freemsg(mp) },
}

export class TestNet {
  readonly runtime: Runtime
  readonly conditions: NetConditions
  /** Takes the server's end of each connection that {@link connect} makes; while it is null they are refused. */
  onChannel: ((channel: TestChannel) => void) | null = null
  /** Messages that were sent, lost, doubled; and that came for a channel that was closed. */
  readonly counters = { sent: 0, lost: 0, doubled: 0, 'nobody-there': 0 }
  /** Looks at each message before it is carried, and may have it lost. @returns false to lose it */
  filter: ((from: TestChannel, mp: BorrowedMblk) => boolean) | null = null
  private readonly random: Prng
  private server: TestChannel | null = null
  private readonly clients = new Map<number, TestChannel>()
  private nextPort = 40_000

  constructor(runtime: Runtime, conditions: Partial<NetConditions> & { readonly seed?: number } = {}) {
    const { seed = 1, ...rest } = conditions
    this.runtime = runtime
    this.random = new Prng(seed)
    this.conditions = { ...PERFECT, ...rest }
  }

  // ---- streams

  /** A connection that is there: both ends open. */
  pair(): { readonly client: TestChannel; readonly server: TestChannel } {
    const port = this.nextPort++
    const client = new TestChannel(this, true, 'server:1', port)
    const server = new TestChannel(this, true, `client:${port}`, port)
    client.far = server
    server.far = client
    client.isOpen = true
    server.isOpen = true
    return { client, server }
  }

  /** A connection that is being made: open one round trip later, or closed with `ERR_CONN_REFUSED`. */
  connect(): TestChannel {
    const port = this.nextPort++
    const client = new TestChannel(this, true, 'server:1', port)
    this.later(2 * this.delay(), () => {
      if (client.isClosed) return
      const { onChannel } = this
      if (onChannel === null) return client.goesDown(new StackError('ERR_CONN_REFUSED', 'nobody listens'))
      const server = new TestChannel(this, true, `client:${port}`, port)
      client.far = server
      server.far = client
      server.isOpen = true
      onChannel(server)
      client.opens()
    })
    return client
  }

  // ---- datagrams

  /** Where all clients' datagrams go; one at a time, another when this one was closed (a server that was started again). */
  datagramServer(): TestChannel {
    this.server = new TestChannel(this, false, 'server:1', 1)
    this.server.isOpen = true
    return this.server
  }

  datagramClient(): TestChannel {
    const port = this.nextPort++
    const client = new TestChannel(this, false, 'server:1', port)
    client.isOpen = true
    this.clients.set(port, client)
    return client
  }

  // ---- carrying

  /** @param mp - consumed @param port - of a datagram from the server: whose it is */
  carry(from: TestChannel, mp: Mblk, port: number): void {
    this.counters.sent++
    const { loss, duplication } = this.conditions
    const passes = this.filter === null || this.filter(from, mp)
    if (!passes || (!from.isStream && this.random.unit() < loss)) {
      this.counters.lost++
      return freemsg(mp)
    }
    if (!from.isStream && this.random.unit() < duplication) {
      const copy = dupmsg(mp)
      if (copy !== null) {
        this.counters.doubled++
        this.bring(from, copy, port)
      }
    }
    this.bring(from, mp, port)
  }

  /** @param mp - consumed */
  private bring(from: TestChannel, mp: Mblk, port: number): void {
    const delay = this.delay()
    if (delay === 0 && !from.hasInFlight) return this.arrive(from, mp, port)
    let at = after(this.runtime.clock.now(), milliseconds(delay))
    if (from.isStream && at < from.lastArrival) at = from.lastArrival
    from.lastArrival = at
    from.inFlight++
    this.at(at, () => {
      from.inFlight--
      this.arrive(from, mp, port)
    })
  }

  /** @param mp - consumed */
  private arrive(from: TestChannel, mp: Mblk, port: number): void {
    const to = from.isStream
      ? from.far
      : from === this.server || from.port === 1
        ? this.clients.get(port)
        : this.server
    if (to === undefined || to === null || to.isClosed) {
      this.counters['nobody-there']++
      freemsg(mp)
      if (!from.isStream && !from.isClosed)
        from.troubled(new StackError('ERR_CONN_REFUSED', 'nobody is there'))
      return
    }
    to.put(from.isStream ? mp : enveloped(this.runtime, mp, port))
  }

  private delay(): number {
    const { delayMs, jitterMs } = this.conditions
    return delayMs + (jitterMs === 0 ? 0 : this.random.unit() * jitterMs)
  }

  /** In the runtime's time, by the run queue's turn. */
  later(delayMs: number, done: () => void): void {
    this.at(after(this.runtime.clock.now(), milliseconds(delayMs)), done)
  }

  private at(at: TestChannel['lastArrival'], done: () => void): void {
    this.runtime.timers.arm(new Timer(done), at)
  }
}

/** @param mp - consumed @returns as a UDP endpoint has it: who sent it in front */
function enveloped(runtime: Runtime, mp: Mblk, port: number): Mblk {
  const envelope = allocUnitdata(runtime.arena, UNITDATA_IND)!
  const { words } = runtime.arena
  const at = envelope.rptr >> 2
  words[at + FAMILY] = 4
  words[at + REMOTE + 2] = MAPPED_WORD
  words[at + REMOTE + 3] = 0x0a00_0001
  words[at + REMOTE_PORT] = port
  envelope.cont = mp
  return envelope
}

export class TestChannel implements RpcChannel {
  readonly runtime: Runtime
  readonly isStream: boolean
  readonly name: string
  readonly maxMessageBytes: number
  readonly port: number
  isOpen = false
  onOpen: (() => void) | null = null
  onClosed: ((error: StackError | null) => void) | null = null
  onTrouble: ((error: StackError) => void) | null = null
  /** Messages are refused while this is set, as by a full stream: see {@link unblock}. */
  blocked = false
  // What the net keeps of it.
  far: TestChannel | null = null
  inFlight = 0
  lastArrival = 0 as ReturnType<Runtime['clock']['now']>
  private readonly net: TestNet
  private readonly stream: Stream
  private readonly q: Queue<unknown>
  private callback: (() => void) | null = null
  private writableCallback: (() => void) | null = null
  private endError: StackError | null = null

  constructor(net: TestNet, isStream: boolean, name: string, port: number) {
    this.net = net
    this.runtime = net.runtime
    this.isStream = isStream
    this.name = name
    this.port = port
    this.maxMessageBytes = isStream ? 0x7fff_ffff : 65_507
    this.stream = Stream.open(net.runtime, testEnd, { name: `${name}:${port}` })
    this.stream.setReadLimits(16 * 1024 * 1024, 1024 * 1024)
    this.q = this.stream.bottom
    this.stream.onReadable = () => this.tell()
  }

  get hasInFlight(): boolean {
    return this.isStream && this.inFlight > 0
  }

  get isClosed(): boolean {
    return this.stream.isClosed
  }

  set onReadable(callback: (() => void) | null) {
    this.callback = callback
    if (callback !== null && !this.isClosed) qenable(this.stream.top)
  }

  set onWritable(callback: (() => void) | null) {
    this.writableCallback = callback
  }

  receive(): Mblk | null {
    if (this.isClosed || this.isMark(this.stream.top.first)) return null
    return this.stream.getmsg()
  }

  send(mp: Mblk): boolean {
    return this.sendTo(mp, this.port)
  }

  /** As {@link send}, of a server's datagram channel: to the client of that port. */
  sendToPort(mp: Mblk, port: number): boolean {
    return this.sendTo(mp, this.isStream ? this.port : port)
  }

  reply(envelope: Mblk | null, mp: Mblk): boolean {
    if (envelope === null) return this.send(mp)
    const port = envelope.dblk.arena.words[(envelope.rptr >> 2) + REMOTE_PORT]!
    try {
      if (!this.sendTo(mp, port)) return false
    } catch (error) {
      freemsg(envelope)
      throw error
    }
    freemsg(envelope)
    return true
  }

  private sendTo(mp: Mblk, port: number): boolean {
    if (this.isClosed || this.endError !== null) {
      freemsg(mp)
      throw this.endError ?? new StackError('ERR_STREAM_CLOSED', 'the channel was closed')
    }
    if (this.blocked) return false
    this.net.carry(this, mp, port)
    return true
  }

  /** Takes messages again. */
  unblock(): void {
    this.blocked = false
    this.net.later(0, () => {
      if (!this.isClosed) this.writableCallback?.()
    })
  }

  peerOf(envelope: BorrowedMblk | null): string {
    if (envelope === null) return this.name
    return `10.0.0.1:${envelope.dblk.arena.words[(envelope.rptr >> 2) + REMOTE_PORT]}`
  }

  close(): void {
    if (this.isClosed) return
    this.onClosed = null
    const { far } = this
    // In order behind what was sent.
    if (this.isStream && far !== null) {
      const at = Math.max(0, (this.lastArrival - this.runtime.clock.now()) / 1_000)
      this.net.later(this.inFlight > 0 ? at : 0, () => far.goesDown(null))
    }
    this.stream.close()
  }

  abort(): void {
    if (this.isClosed) return
    this.onClosed = null
    this.stream.close()
    this.far?.goesDown(new StackError('ERR_CONN_RESET', 'the peer reset the connection'))
  }

  /** Both ends go down, as of a connection that is reset on its way; what is on its way is lost. */
  break(): void {
    const { far } = this
    const reset = () => new StackError('ERR_CONN_RESET', 'the connection was reset')
    this.far = null
    if (far !== null) far.far = null
    this.goesDown(reset())
    far?.goesDown(reset())
  }

  // ---- for the net

  /** @param mp - consumed */
  put(mp: Mblk): void {
    putnext(this.q, mp)
  }

  opens(): void {
    this.isOpen = true
    this.onOpen?.()
  }

  troubled(error: StackError): void {
    this.net.later(0, () => {
      if (!this.isClosed) this.onTrouble?.(error)
    })
  }

  /** Ends behind what came before. @param error - null: in order */
  goesDown(error: StackError | null): void {
    if (this.isClosed) return
    this.endError = error ?? new StackError('ERR_STREAM_CLOSED', 'the peer closed the connection')
    const mark = allocb(this.runtime.arena, 1)!
    mark.type = error === null ? M_PROTO : M_PCPROTO
    this.put(mark)
  }

  private isMark(mp: Mblk | null): boolean {
    return mp !== null && this.isStream && mp.type !== M_DATA
  }

  private tell(): void {
    const { top } = this.stream
    if (top.first !== null && !this.isMark(top.first)) this.callback?.()
    if (this.isClosed || !this.isMark(top.first)) return
    const mark = this.stream.getmsg()!
    const error = mark.type === M_PROTO ? null : this.endError
    freemsg(mark)
    const { onClosed } = this
    this.onClosed = null
    onClosed?.(error)
  }
}
