/** A core alone, with the test as IP below it, the programs above it, its clock, and its peers. */
import { Prng } from '../../../base/prng.ts'
import { freemsg } from '../../../streams/mblk/alloc.ts'
import type { Arena, ArenaOptions } from '../../../streams/mblk/arena.ts'
import type { Mblk } from '../../../streams/mblk/mblk.ts'
import { messageBytes } from '../../../streams/mblk/message.ts'
import { messageFrom } from '../../../streams/mblk/pullup.ts'
import { flat } from '../../../streams/testing/messages.ts'
import { makeTestRuntime } from '../../../streams/testing/runtime.ts'
import { type IpAddress, parseAddress, sameAddress } from '../../address.ts'
import { abort, release } from '../close.ts'
import type { CloseReason, TcpHost } from '../host.ts'
import { segmentIn } from '../input.ts'
import { closeListener, type Listener, type ListenRequest, listen } from '../listener.ts'
import { flush } from '../output.ts'
import { atEof, takeData, windowOpened } from '../receive.ts'
import { send } from '../send.ts'
import { CONNECTION_SETTINGS, type ConnectionSettings, type TcpSettings } from '../settings.ts'
import type { Tcb } from '../tcb.ts'
import { SECRET_WORDS, Tcp } from '../tcp.ts'
import { expire, pollAt } from '../timers.ts'
import { Peer } from './peer.ts'
import {
  type Delivery,
  readSent,
  type SegmentFields,
  type SentSegment,
  segmentBytes,
  segmentIndication,
} from './segments.ts'

export const address = (text: string): IpAddress => parseAddress(text)!
export const HERE = address('10.0.0.2')
export const PEER = address('10.0.0.1')
export const HERE6 = address('fd00::2')
export const PEER6 = address('fd00::1')
export const PORT = 80
export const PEER_PORT = 40_000

export interface TcpTestOptions {
  readonly settings?: Partial<TcpSettings>
  readonly connection?: Partial<ConnectionSettings>
  readonly seed?: number
  readonly arenaOptions?: ArenaOptions
  /** Shared with another core of the same test. */
  readonly arena?: Arena
  readonly local?: readonly IpAddress[]
  readonly mtu?: number
  /** Microseconds at which the clock begins. */
  readonly startUs?: number
}

/** Steps of {@link TcpTest.advance} at one moment: more mean a timer that sets itself for now for ever. */
const STEPS_MAX = 100_000

export class TcpTest implements TcpHost {
  readonly arena: Arena
  readonly tcp: Tcp
  readonly random: Prng
  nowUs: number
  /** What was transmitted and not yet taken, oldest first. */
  sent: SentSegment[] = []
  /** Takes every message in the place of {@link sent}; consumes it. */
  onTransmit: ((mp: Mblk) => void) | null = null
  /** What programs heard: 'connected', 'readable', 'closed done', … */
  events: string[] = []
  /** Called beside {@link events}. */
  onEvent: ((event: string, tcb: Tcb | null) => void) | null = null
  /** Answers of the host. */
  linkHasRoom = true
  unreadBytes = 0
  /** Codes of the trouble that programs heard of, apart from {@link events}. */
  troubles: number[] = []
  /** How often IP was advised to find the way anew. */
  pathsDoubted = 0
  mtu: number
  readonly local: readonly IpAddress[]
  routeExists = true
  readonly connection: ConnectionSettings
  private readonly finishArena: () => void
  private readonly held = new Set<Tcb>()
  private readonly listeners: Listener[] = []

  constructor(options: TcpTestOptions = {}) {
    const test = makeTestRuntime({
      ...(options.arena === undefined ? {} : { arena: options.arena }),
      ...(options.arenaOptions === undefined ? {} : { arenaOptions: options.arenaOptions }),
    })
    this.arena = test.arena
    this.finishArena = test.finish
    this.random = new Prng(options.seed ?? 1)
    this.mtu = options.mtu ?? 1_500
    this.local = options.local ?? [HERE, HERE6]
    this.connection = { ...CONNECTION_SETTINGS, ...options.connection }
    const secret = Int32Array.from({ length: SECRET_WORDS }, () => this.random.int32())
    this.tcp = new Tcp(this.arena, this.random, this, secret, options.settings)
    this.tcp.connectionDefaults = this.connection
    this.nowUs = options.startUs ?? 1_000_000
    this.tcp.setNow(this.nowUs)
  }

  get counters(): Tcp['counters'] {
    return this.tcp.counters
  }

  get nowMs(): number {
    return Math.floor(this.nowUs / 1_000)
  }

  // ---- TcpHost

  transmit(mp: Mblk): void {
    if (this.onTransmit !== null) return this.onTransmit(mp)
    this.sent.push(readSent(mp, this.nowMs))
    freemsg(mp)
  }
  hasRoom = (): boolean => this.linkHasRoom
  wantsFlush = (): void => {}
  timerMoved = (): void => {}
  readable = (tcb: Tcb): void => this.note('readable', tcb)
  writable = (tcb: Tcb): void => this.note('writable', tcb)
  connected = (tcb: Tcb): void => this.note('connected', tcb)
  closed = (tcb: Tcb, reason: CloseReason): void => this.note(`closed ${reason}`, tcb)
  urgent = (tcb: Tcb): void => this.note('urgent', tcb)
  acceptable = (): void => this.note('acceptable', null)
  unread = (): number => this.unreadBytes
  unreadHeld = (): number => 0
  isLocal = (given: IpAddress): boolean => this.local.some(own => sameAddress(own, given))
  sourceFor = (remote: IpAddress): IpAddress | null =>
    this.routeExists ? (this.local.find(own => own.family === remote.family) ?? null) : null
  pathMtu = (): number => this.mtu
  lowerPathMtu = (...path: number[]): void => this.note(`path MTU ${path.at(-1)}`, null)
  trouble = (_tcb: Tcb, code: number): void => {
    this.troubles.push(code)
  }
  doubtPath = (): void => {
    this.pathsDoubted++
  }
  event = (_level: string, name: string): void => this.note(`event ${name}`, null)

  private note(event: string, tcb: Tcb | null): void {
    // A program hears of new data once until it reads.
    if (event !== 'readable' || this.events.at(-1) !== event) this.events.push(event)
    this.onEvent?.(event, tcb)
  }

  // ---- time

  /** What the module does when the programs had their turn. */
  flush(): void {
    flush(this.tcp)
  }

  /** Lets time pass, stopping at every deadline. */
  advance(ms: number): void {
    const end = this.nowUs + ms * 1_000
    this.flush()
    for (let step = 0; ; step++) {
      if (step > STEPS_MAX) throw new Error('deadlines never end')
      const at = pollAt(this.tcp)
      if (at === null) break
      const wait = (at - this.tcp.nowMs) | 0
      const due = wait <= 0 ? this.nowUs : (this.nowMs + wait) * 1_000
      if (due > end) break
      this.setNow(Math.max(due, this.nowUs))
      expire(this.tcp)
      this.flush()
      if (wait < 0 && step > 1_000) throw new Error('a deadline in the past stays there')
    }
    this.setNow(end)
  }

  /** To the next deadline; false if there is none. */
  toNextDeadline(): boolean {
    const at = pollAt(this.tcp)
    if (at === null) return false
    this.advance(Math.max(0, (at - this.tcp.nowMs) | 0))
    return true
  }

  setNow(us: number): void {
    this.nowUs = us
    this.tcp.setNow(us)
  }

  // ---- below

  /** Has a segment come in, and flushes unless told otherwise. */
  inject(
    fields: SegmentFields,
    ports: readonly [from: number, to: number],
    delivery: Partial<Delivery> = {},
    flushed = true,
  ): void {
    const bytes = segmentBytes(fields, ports[0], ports[1])
    this.injectBytes(bytes, delivery, flushed)
  }

  injectBytes(bytes: Uint8Array, delivery: Partial<Delivery> = {}, flushed = true): void {
    const from = delivery.from ?? (delivery.to?.family === 6 ? PEER6 : PEER)
    const to = delivery.to ?? (from.family === 6 ? HERE6 : HERE)
    segmentIn(this.tcp, segmentIndication(this.arena, bytes, { ...delivery, from, to }))
    if (flushed) this.flush()
  }

  /** What was transmitted since the last call. */
  take(): SentSegment[] {
    return this.sent.splice(0)
  }

  /** The one segment that was transmitted since the last call. */
  takeOne(): SentSegment {
    const all = this.take()
    if (all.length !== 1) throw new Error(`${all.length} segments were sent: ${all.map(brief).join(', ')}`)
    return all[0]!
  }

  // ---- above

  listen(request: Partial<ListenRequest> = {}): Listener {
    const listener = listen(this.tcp, { port: PORT, ...request })
    this.listeners.push(listener)
    return listener
  }

  /** Has {@link finish} release a connection that the test got by itself. */
  hold(tcb: Tcb): Tcb {
    this.held.add(tcb)
    return tcb
  }

  /** Takes all that waits for the program, in order, as one array. */
  read(tcb: Tcb): Uint8Array {
    const parts: Uint8Array[] = []
    for (let mp = takeData(this.tcp, tcb); mp !== null; mp = takeData(this.tcp, tcb)) {
      parts.push(flat(mp))
      freemsg(mp)
    }
    if (parts.length > 0) windowOpened(this.tcp, tcb)
    return Uint8Array.from(Buffer.concat(parts))
  }

  readText(tcb: Tcb): string {
    return new TextDecoder().decode(this.read(tcb))
  }

  /** As a program that reads nothing of it: bytes are counted and thrown away. */
  discard(tcb: Tcb): number {
    let bytes = 0
    for (let mp = takeData(this.tcp, tcb); mp !== null; mp = takeData(this.tcp, tcb)) {
      bytes += messageBytes(mp)
      freemsg(mp)
    }
    if (bytes > 0) windowOpened(this.tcp, tcb)
    return bytes
  }

  atEof(tcb: Tcb): boolean {
    return atEof(tcb)
  }

  write(tcb: Tcb, data: Uint8Array | string, flushed = true): void {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
    const mp = messageFrom(this.arena, bytes, 0, bytes.length, 'edge')
    if (mp === null) throw new Error('the test ran out of blocks')
    send(this.tcp, tcb, mp)
    if (flushed) this.flush()
  }

  /** A peer that has not said anything yet. */
  peer(fields: ConstructorParameters<typeof Peer>[1] = {}): Peer {
    return new Peer(this, fields)
  }

  /** Ends everything and checks that every block came home, and that nothing is counted as held. @param arenaToo - false if another has it too */
  finish(arenaToo = true): void {
    for (const listener of this.listeners) closeListener(this.tcp, listener)
    const rest = new Set(this.held)
    this.tcp.connections.each(tcb => rest.add(tcb))
    for (const tcb of rest) {
      abort(this.tcp, tcb)
      release(this.tcp, tcb)
    }
    this.flush()
    this.take()
    if (this.tcp.memoryUsed !== 0) throw new Error(`${this.tcp.memoryUsed} bytes are still counted as used`)
    if (arenaToo) this.finishArena()
  }
}

export function makeTcpTest(options: TcpTestOptions = {}): TcpTest {
  return new TcpTest(options)
}

/** A segment in one line, numbers as they are. */
export function brief(s: SentSegment): string {
  return `${s.flags} seq ${s.seq} ack ${s.ack} win ${s.window} len ${s.data.length}`
}
