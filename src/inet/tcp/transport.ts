/**
 * What all streams of one stack's TCP share: the core, the way down, the time, the run queue's place of the flush.
 * As {@link TcpHost} it is all that the core knows of the stack around it.
 */
import { after, type Instant, milliseconds } from '../../base/time.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import type { AnyQueue } from '../../streams/module.ts'
import { putnext } from '../../streams/putnext.ts'
import { canputnext, qenable } from '../../streams/queue.ts'
import type { Runtime } from '../../streams/runtime.ts'
import type { Timer } from '../../streams/timers.ts'
import type { IpAddress } from '../address.ts'
import type { SourceChoice } from '../udp/state.ts'
import { Connection } from './connection.ts'
import { localName, nameText, remoteName } from './describe.ts'
import type { CloseReason, TcpHost } from './host.ts'
import { segmentIn } from './input.ts'
import type { Listener } from './listener.ts'
import { Listening } from './listening.ts'
import { PRESSURE_NONE, pressure } from './memory.ts'
import { flush, resume } from './output.ts'
import type { ConnectionSettings, TcpSettings } from './settings.ts'
import type { Tcb } from './tcb.ts'
import { SECRET_WORDS, Tcp } from './tcp.ts'
import { expire, pollAt } from './timers.ts'
import { troubleText } from './trouble.ts'

/** What TCP asks of IP that is no message. */
export interface Paths extends SourceChoice {
  /** Bytes of the largest packet on the path to an address. */
  pathMtu(family: number, w0: number, w1: number, w2: number, w3: number): number
  lowerPathMtu(family: number, w0: number, w1: number, w2: number, w3: number, mtu: number): void
  /** Nothing comes back from an address: what is known of the way there is to be found out anew. */
  doubtPath(w0: number, w1: number, w2: number, w3: number): void
}

/** RFC 9293 §3.7.1: what every IPv4 host takes, for as long as nobody knows better. */
const PATH_MTU_UNKNOWN = 576
/** How long a stream that found no block for a primitive waits before it tries again. */
const RETRY = milliseconds(10)
/** Events about connections in trouble: a peer that goes away takes many with it. `delivery-doubted` counts them all. */
const TROUBLE_EVENT_MS = 1_000
/** Combinations of a connection's settings that are shared; beyond, each connection has its own. */
const SETTINGS_SHARED_MAX = 256

export class Transport implements TcpHost {
  readonly runtime: Runtime
  readonly tcp: Tcp
  /** Write queue of the control stream: its service procedure flushes. Null while there is no control stream. */
  flusher: AnyQueue | null = null
  /** Write queue of the lower side: `putnext(lower, mp)` goes to IP; null while nothing is linked. */
  lower: AnyQueue | null = null
  paths: Paths | null = null
  readonly listening = new Set<Listening>()
  /** For the earliest deadline of the core; armed for an earlier one it looks in vain, which costs less than to move it at every segment. */
  private timer: Timer | null = null
  private timerIsLate = false
  /** A segment is in the core's hands: no other may come in. */
  receiving = false
  private flushWanted = false
  /** A program was called for after the flush: it goes first. */
  private programIsBehind = false
  private readonly shared = new Map<string, ConnectionSettings>()
  /** Streams that found no block for a primitive. */
  private readonly starved = new Set<AnyQueue>()
  private starvedTimer: Timer | null = null
  /** When the log last told of trouble, in the core's milliseconds; null: never. */
  private troubleAt: number | null = null

  constructor(runtime: Runtime, settings: Partial<TcpSettings>) {
    this.runtime = runtime
    const secret = new Int32Array(SECRET_WORDS).map(() => runtime.random.int32())
    this.tcp = new Tcp(runtime.arena, runtime.random, this, secret, settings)
  }

  /** Memory runs low: data waits with the core, which can condense and refuse it. */
  get isShort(): boolean {
    return pressure(this.tcp) !== PRESSURE_NONE
  }

  /** The core's time is now. Before every call of the core. */
  touch(): void {
    const { runtime } = this
    // A program that calls between turns does so at a time that no turn has seen.
    if (!runtime.scheduler.busy) runtime.refresh()
    this.tcp.setNow(runtime.recent[0]!)
  }

  // ---- the control stream

  /** @param q - read queue of the control stream */
  start(q: AnyQueue): void {
    this.flusher = q.other
    this.timer = this.runtime.timer(q, () => this.onTimer())
    this.starvedTimer = this.runtime.timer(q, () => this.feed())
  }

  stop(): void {
    const { timers } = this.runtime
    if (this.timer !== null) timers.cancel(this.timer)
    if (this.starvedTimer !== null) timers.cancel(this.starvedTimer)
    this.starved.clear()
    this.flusher = this.timer = this.starvedTimer = null
  }

  /**
   * A segment from IP. The flush gets in line behind the program that the segment was for, so that its answer carries the
   * acknowledgment, and in front of the device, so that it leaves with the next exchange.
   * @param mp - consumed: an UNITDATA_IND
   */
  receive(mp: Mblk): void {
    this.touch()
    this.receiving = true
    try {
      segmentIn(this.tcp, mp)
    } finally {
      this.receiving = false
    }
    if (!this.flushWanted) return
    this.flushWanted = false
    this.wantsFlush()
  }

  /** A program is about to be called for. */
  programFollows(): void {
    if (this.flusher?.enabled === true) this.programIsBehind = true
  }

  /** The control stream's service procedure. */
  serveFlush(): void {
    if (this.programIsBehind) {
      this.programIsBehind = false
      qenable(this.flusher!)
      return
    }
    this.touch()
    flush(this.tcp)
    if (this.timerIsLate) this.setTimer()
  }

  /** The link has room again. */
  serveLower(): void {
    this.touch()
    resume(this.tcp)
  }

  // ---- deadlines

  private onTimer(): void {
    // The time of the turn, not a later one: what came in since its beginning has not been looked at.
    this.tcp.setNow(this.runtime.recent[0]!)
    expire(this.tcp)
    this.setTimer()
  }

  private setTimer(): void {
    this.timerIsLate = false
    const { timer, tcp, runtime } = this
    const due = pollAt(tcp)
    if (due === null || timer === null) return
    const nowUs = runtime.recent[0]!
    // The core's milliseconds begin where the clock's do.
    const at = nowUs - (nowUs % 1_000) + ((due - tcp.nowMs) | 0) * 1_000
    if (!timer.armed || timer.at > at) runtime.timers.arm(timer, at as Instant)
  }

  // ---- streams without a block

  /** Enables a queue again when there may be blocks. */
  retryLater(q: AnyQueue): void {
    if (this.starvedTimer === null) return
    this.starved.add(q)
    if (this.starvedTimer.armed) return
    this.runtime.timers.arm(this.starvedTimer, after(this.runtime.clock.now(), RETRY))
  }

  private feed(): void {
    for (const q of this.starved) qenable(q)
    this.starved.clear()
  }

  /** One object for all connections with the same settings. */
  share(settings: ConnectionSettings): ConnectionSettings {
    const key = Object.values(settings).join()
    const known = this.shared.get(key)
    if (known !== undefined) return known
    if (this.shared.size < SETTINGS_SHARED_MAX) this.shared.set(key, settings)
    return settings
  }

  // ---- what the core asks

  transmit(mp: Mblk): void {
    if (this.lower === null) freemsg(mp)
    else putnext(this.lower, mp)
  }

  hasRoom(): boolean {
    return this.lower === null || canputnext(this.lower)
  }

  wantsFlush(): void {
    if (this.receiving) this.flushWanted = true
    else if (this.flusher !== null) qenable(this.flusher)
  }

  timerMoved(): void {
    this.timerIsLate = true
    this.wantsFlush()
  }

  readable(tcb: Tcb): void {
    if (tcb.user instanceof Connection) tcb.user.pull()
  }

  writable(tcb: Tcb): void {
    if (tcb.user instanceof Connection) qenable(tcb.user.q.other)
  }

  connected(tcb: Tcb): void {
    if (tcb.user instanceof Connection) tcb.user.connected()
  }

  closed(tcb: Tcb, reason: CloseReason): void {
    if (tcb.user instanceof Connection) tcb.user.closed(tcb, reason)
  }

  urgent(tcb: Tcb): void {
    if (tcb.user instanceof Connection) tcb.user.urgent()
  }

  trouble(tcb: Tcb, code: number): void {
    if (code === 0) this.logTrouble(tcb)
    // SHLD-20: unless it does not want to hear of it.
    if (tcb.user instanceof Connection && tcb.settings.troubleReports) tcb.user.trouble(code)
  }

  private logTrouble(tcb: Tcb): void {
    const { nowMs } = this.tcp
    if (this.troubleAt !== null && (nowMs - this.troubleAt) >>> 0 < TROUBLE_EVENT_MS) return
    this.troubleAt = nowMs
    const name = `${nameText(localName(tcb))}-${nameText(remoteName(tcb))}`
    this.event('warn', 'tcp.trouble', `${name}: ${troubleText(tcb.softError)}`)
  }

  acceptable(listener: Listener): void {
    if (listener.user instanceof Listening) listener.user.tell()
  }

  unread(tcb: Tcb): number {
    return tcb.user instanceof Connection ? tcb.user.unread() : 0
  }

  unreadHeld(tcb: Tcb): number {
    return tcb.user instanceof Connection ? tcb.user.unreadHeld() : 0
  }

  isLocal(address: IpAddress): boolean {
    return this.paths?.isLocal(address) ?? false
  }

  sourceFor(remote: IpAddress): IpAddress | null {
    return this.paths?.sourceFor(remote) ?? null
  }

  pathMtu(family: number, w0: number, w1: number, w2: number, w3: number): number {
    return this.paths?.pathMtu(family, w0, w1, w2, w3) ?? PATH_MTU_UNKNOWN
  }

  lowerPathMtu(family: number, w0: number, w1: number, w2: number, w3: number, mtu: number): void {
    this.paths?.lowerPathMtu(family, w0, w1, w2, w3, mtu)
  }

  doubtPath(w0: number, w1: number, w2: number, w3: number): void {
    this.paths?.doubtPath(w0, w1, w2, w3)
  }

  event(level: 'info' | 'warn', name: string, text: string): void {
    this.runtime.event(level, name, text)
  }
}
