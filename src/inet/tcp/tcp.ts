/**
 * What all connections of one stack share. The core around it is functions over a {@link Tcp} and a {@link Tcb}: `input.ts`,
 * `output.ts`, `timers.ts` and their neighbours. It does no I/O and reads no clock: segments and user calls come in
 * after {@link Tcp.setNow}, segments and events leave by the {@link TcpHost}, and `timers.ts` says when to come back.
 */
import type { Random } from '../../base/prng.ts'
import type { Arena } from '../../streams/mblk/arena.ts'
import { makeTcpCounters, type TcpCounters } from './counters.ts'
import { ConnectionTable, ListenerTable } from './demux.ts'
import type { Flight } from './flight.ts'
import { HalfOpenTable } from './half-open.ts'
import type { TcpHost } from './host.ts'
import { IntakePool } from './intake-pool.ts'
import { SequenceKeys } from './isn.ts'
import { PORT_COUNTERS } from './ports.ts'
import { Segment } from './segment.ts'
import { CONNECTION_SETTINGS, type ConnectionSettings, TCP_SETTINGS, type TcpSettings } from './settings.ts'
import { F_DIRTY, type Tcb } from './tcb.ts'
import { TimeWaitTable } from './time-wait.ts'
import { TimerWheel } from './timer-wheel.ts'
import { ZeroWindowCounts } from './zero-window.ts'

/** Bytes of keys that a stack needs from the host's CSPRNG. */
export const SECRET_WORDS = 8

export class Tcp {
  readonly arena: Arena
  readonly random: Random
  readonly host: TcpHost
  readonly settings: TcpSettings
  /** What connections have that ask for nothing else. */
  connectionDefaults: ConnectionSettings = CONNECTION_SETTINGS
  readonly counters: TcpCounters = makeTcpCounters()
  readonly connections: ConnectionTable
  readonly listeners: ListenerTable
  readonly halfOpen: HalfOpenTable
  readonly timeWait: TimeWaitTable
  readonly wheel: TimerWheel<Tcb>
  readonly keys: SequenceKeys
  /** Of `ports.ts`. */
  readonly portCounters = new Int32Array(PORT_COUNTERS)
  readonly intakes = new IntakePool()
  readonly zeroWindows = new ZeroWindowCounts()
  /** When the last SYN cookie was sent, in `nowMs`: an ACK that comes long after is none's answer. */
  cookieAt = 0
  cookiesSent = false
  /** The segment in hand. */
  readonly segment = new Segment()
  /** The time of the event in hand: int32 microseconds and milliseconds that wrap. */
  nowUs = 0
  nowMs = 0
  /** 1 if the present millisecond has begun before now: added to a deadline, so that none is met too early (RFC 6298 §2.4). */
  begunMs = 0
  /** Steps of 4 microseconds, for `SequenceKeys.isn`: int32 that wraps after 4.77 hours (`nowUs` wraps too soon). */
  isnClock = 0
  /** Pool of flight records. */
  freeFlight: Flight | null = null
  freeFlights = 0
  /** Connections whose output waits for the link, linked by `dirtyNext`. */
  blockedFirst: Tcb | null = null
  blockedLast: Tcb | null = null
  /** The flush that is going on has more connections to look at. */
  flushing = false
  /** Resets that may still answer strays in the second that began at `resetsAt` (`settings.resetsPerSecond`). */
  resetsLeft = 0
  resetsAt = 0
  /** Bytes of blocks that wait on connections, against `settings.memoryBytes`. */
  memoryUsed = 0
  /** Connections that nobody holds any more. */
  orphans = 0
  /** Connections that the next flush looks at, in order. */
  dirtyFirst: Tcb | null = null
  dirtyLast: Tcb | null = null
  /** Half-open connections name their listener by such a number. */
  nextListenerId = 1
  /** False once the device refused a super-segment: from then on one segment at a time. */
  offload = true

  /** @param secret - {@link SECRET_WORDS} int32 from a CSPRNG */
  constructor(
    arena: Arena,
    random: Random,
    host: TcpHost,
    secret: Int32Array,
    settings: Partial<TcpSettings> = {},
  ) {
    this.arena = arena
    this.random = random
    this.host = host
    this.settings = { ...TCP_SETTINGS, ...settings }
    this.resetsLeft = this.settings.resetsPerSecond
    this.keys = new SequenceKeys(secret)
    const seed = random.int32()
    this.connections = new ConnectionTable(seed)
    this.listeners = new ListenerTable()
    this.halfOpen = new HalfOpenTable(this.settings.synBacklog, seed)
    this.timeWait = new TimeWaitTable(this.settings.timeWaitMax, seed)
    this.wheel = new TimerWheel<Tcb>()
  }

  /** @param us - microseconds on the driver's monotonic clock */
  setNow(us: number): void {
    this.nowUs = us | 0
    this.nowMs = (us / 1_000) | 0
    this.begunMs = us % 1_000 === 0 ? 0 : 1
    this.isnClock = (us / 4) | 0
  }

  /** Has the next flush look at a connection: it has something to send or to acknowledge. */
  schedule(tcb: Tcb): void {
    if ((tcb.flags & F_DIRTY) !== 0) return
    tcb.flags |= F_DIRTY
    tcb.dirtyNext = null
    if (this.dirtyLast === null) {
      this.dirtyFirst = tcb
      this.host.wantsFlush()
    } else this.dirtyLast.dirtyNext = tcb
    this.dirtyLast = tcb
  }
}
