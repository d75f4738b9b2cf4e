/** A server of remote procedures: services, where they are reached, and how it stops. */
import { type Counters, makeCounters } from '../base/counters.ts'
import { StackError } from '../base/errors.ts'
import { after, type Instant, milliseconds } from '../base/time.ts'
import type { SocketHost } from '../socket/host.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { Runtime } from '../streams/runtime.ts'
import { Timer } from '../streams/timers.ts'
import { CallIntake } from './call-intake.ts'
import { CallRunner, type ShedReason } from './call-runner.ts'
import type { RpcChannel } from './channel.ts'
import { Dispatch } from './dispatch.ts'
import { DuplicateCache } from './duplicate-cache.ts'
import { ReplyBudget } from './kept-reply.ts'
import { MetricsTable, type ProcedureMetrics } from './procedure-metrics.ts'
import { ServerAuth } from './server-auth.ts'
import type { ServerCall, ServerQueue } from './server-call.ts'
import { type ChannelOwner, ServerChannel } from './server-channel.ts'
import { ServerChannels } from './server-channels.ts'
import {
  openListening,
  type RpcListening,
  type RpcListenOptions,
  type ServerDoor,
} from './server-listening.ts'
import {
  PROCEDURE_COUNTERS,
  type ProcedureCounter,
  type ProcedureSummary,
  type RpcServerOptions,
  SERVER_COUNTERS,
  type ServerCounter,
  type ServerSettings,
  serverSettings,
} from './server-settings.ts'
import { type ServiceOptions, ServiceQueue } from './service-queue.ts'
import type { SessionRecord } from './session.ts'
import { SessionTable } from './session-table.ts'
import type { RpcService } from './stub-types.ts'

/** Of the arena, what kept replies may hold, whatever the settings say. */
const KEPT_SHARE = 1 / 4
/** How late a call that may wait no more is told at the most, if the queue stands still. */
const SWEEP_MS = 20

/**
 * A server of remote procedures, on whatever stack its host is: {@link add} services that `rpcgen` made, then {@link listen}; {@link close} stops it.
 *
 * What a handler throws becomes SYSTEM_ERR, or the status of an {@link RpcStatusError}; its text goes to `onError` of the options and not to the caller.
 */
export class RpcServer {
  /** The bounds that it has, times in milliseconds. */
  readonly settings: ServerSettings
  /** What happened so far, whatever the procedure; see {@link describe} for each. */
  readonly counters: Counters<ServerCounter> = makeCounters(SERVER_COUNTERS)
  /** Told when a listening end goes down that nobody closed. */
  onDown: ((error: StackError | null) => void) | null = null
  private readonly host: SocketHost
  private readonly runtime: Runtime
  private readonly options: RpcServerOptions
  private readonly metricsTable = new MetricsTable<ProcedureCounter>(PROCEDURE_COUNTERS)
  private readonly dispatch = new Dispatch<ServerQueue, ProcedureCounter>(procedure =>
    this.metricsTable.of(procedure),
  )
  private readonly queue: ServerQueue
  private readonly sessions: SessionTable
  private readonly cache: DuplicateCache
  private readonly auth: ServerAuth
  private readonly runner: CallRunner
  private readonly intake: CallIntake
  private readonly owner: ChannelOwner
  private readonly channels: ServerChannels
  private readonly doors: ServerDoor[] = []
  /** Queues that have more to run. */
  private readonly pending = new Set<ServerQueue>()
  private readonly pumpTimer = new Timer(() => this.pumpPending())
  private readonly sweepTimer = new Timer(now => this.sweep(now))
  private readonly expiryTimer = new Timer(now => this.expire(now))
  private stopping: Promise<void> | null = null
  private stopped: (() => void) | null = null
  private graceTimer: Timer | null = null

  /** @throws StackError `ERR_BAD_CONFIG` */
  constructor(host: SocketHost, options: RpcServerOptions = {}) {
    const settings = serverSettings(options)
    const { runtime } = host
    this.host = host
    this.runtime = runtime
    this.options = options
    this.settings = settings
    this.channels = new ServerChannels(runtime, settings.maxConnections, this.counters)
    this.queue = new ServiceQueue(options.service)
    const keptBytes = Math.min(settings.maxKeptBytes, runtime.arena.bytes.length * KEPT_SHARE)
    const budget = new ReplyBudget(keptBytes, settings.maxSessions)
    this.sessions = new SessionTable(
      {
        maxSessions: settings.maxSessions,
        windowCalls: settings.windowCalls,
        maxReplyBytes: settings.maxSessionBytes,
        idleUs: settings.sessionIdleMs * 1_000,
        secretWord: options.secretWord ?? hostSecret,
      },
      budget,
    )
    this.sessions.onGivenUp = record => this.givenUp(record)
    this.cache = new DuplicateCache(
      { maxCalls: settings.maxCalls, retentionUs: settings.retentionMs * 1_000 },
      budget,
    )
    this.runner = new CallRunner(runtime, settings, this.counters, options, this.cache)
    this.runner.onMore = queue => this.pumpLater(queue)
    this.runner.onShort = () => this.channels.relieve()
    this.auth = new ServerAuth(this.sessions, options.authenticate ?? null, error =>
      this.runner.tell(error, 'authenticate'),
    )
    this.intake = new CallIntake(
      runtime,
      settings,
      this.counters,
      this.runner,
      this.auth,
      this.cache,
      this.dispatch,
    )
    this.intake.onWaiting = () => this.sweepLater()
    this.owner = {
      settings,
      counters: this.counters,
      take: (from, mp) => this.take(from, mp),
      spoke: channel => this.channels.spoke(channel),
      gone: channel => this.gone(channel),
      isShort: () => this.channels.relieve(),
      released: channel => this.released(channel),
    }
  }

  /**
   * Serves one version of a program.
   * @param options - given, its calls have a queue of their own; else they share the server's
   * @throws StackError `ERR_ALREADY` if it is served already, `ERR_BAD_ARGUMENT`, `ERR_BAD_CONFIG`
   */
  add(service: RpcService, options?: ServiceOptions): this {
    const queue = options === undefined ? this.queue : new ServiceQueue<ServerCall>(options)
    this.dispatch.add(service, queue)
    return this
  }

  /** What is served. */
  get services(): readonly RpcService[] {
    return this.dispatch.services
  }

  /** Of each procedure that is served. */
  get metrics(): Iterable<ProcedureMetrics<ProcedureCounter>> {
    return this.metricsTable
  }

  // ---- where it is reached

  /**
   * Takes calls at a port, by TCP and UDP unless told otherwise. May be called for several. A server that listens keeps the program
   * running until it is stopped.
   * @returns where
   * @throws StackError `ERR_STREAM_CLOSED` if it was stopped, or as the stack refuses
   */
  async listen(options: RpcListenOptions): Promise<readonly RpcListening[]> {
    this.checkOpen()
    const doors = await openListening(this.host, options, this.options.records ?? {}, {
      channel: channel => this.accept(channel),
      down: error => this.onDown?.(error),
    })
    if (this.stopping !== null) {
      for (const door of doors) door.close()
      this.checkOpen()
    }
    if (this.doors.length === 0) this.host.keepalive?.ref()
    this.doors.push(...doors)
    return doors.map(door => door.at)
  }

  /**
   * Serves a channel.
   * @param channel - the server's from now on. If there are as many as may be, the oldest connection that has not sent a call goes for
   * it; it is reset if there is none, or the server stops
   */
  accept(channel: RpcChannel): void {
    if (this.stopping !== null || (channel.isStream && !this.channels.makeRoom())) {
      this.counters['connections-refused']++
      return channel.abort()
    }
    this.channels.add(new ServerChannel(channel, this.owner))
    if (channel.isStream) this.counters.connections++
    if (!this.expiryTimer.armed) this.expire(this.runtime.clock.now())
  }

  /** Channels that are open. */
  get channelCount(): number {
    return this.channels.size
  }

  // ---- the end

  /**
   * Stops: no more calls are read; those that were are run and answered, then their channels end. What is not answered when the
   * grace is over is told so by its `signal`, what waits is refused with SYSTEM_ERR, and all channels end.
   * @param options - `graceMs` 0 by default
   * @returns a promise that is kept when the last channel has ended
   */
  close(options: { readonly graceMs?: number } = {}): Promise<void> {
    if (this.stopping !== null) {
      if ((options.graceMs ?? 0) === 0) this.endNow()
      return this.stopping
    }
    this.stopping = new Promise(done => {
      this.stopped = done
    })
    for (const door of this.doors) door.close()
    for (const channel of this.channels) channel.stop()
    const { graceMs = 0 } = options
    if (graceMs <= 0) this.endNow()
    else {
      this.graceTimer = new Timer(() => this.endNow())
      this.runtime.timers.arm(this.graceTimer, after(this.runtime.clock.now(), milliseconds(graceMs)))
    }
    this.endIfDone()
    return this.stopping
  }

  private endNow(): void {
    for (const channel of this.channels) {
      for (const [queue, lane] of channel.queues) {
        for (let call = queue.remove(lane); call !== null; call = queue.remove(lane))
          this.refuseWaiting(call, queue, 'shed-stopping')
      }
      for (let call = channel.firstRunning; call !== null; call = call.nextRunning) call.cancel()
      if (channel.unsent > 0) channel.abort()
      else channel.close()
    }
    this.endIfDone()
  }

  private refuseWaiting(call: ServerCall, queue: ServerQueue, reason: ShedReason): void {
    freemsg(call.mp!)
    call.mp = null
    queue.force(call.lane!)
    this.runner.shed(call, reason)
  }

  private endIfDone(): void {
    const { stopped, runtime } = this
    if (stopped === null || this.channels.size > 0) return
    this.stopped = null
    const { timers } = runtime
    if (this.graceTimer !== null) timers.cancel(this.graceTimer)
    timers.cancel(this.expiryTimer)
    timers.cancel(this.pumpTimer)
    timers.cancel(this.sweepTimer)
    this.sessions.close()
    this.cache.close()
    if (this.doors.length > 0) this.host.keepalive?.unref()
    stopped()
  }

  private checkOpen(): void {
    if (this.stopping !== null) throw new StackError('ERR_STREAM_CLOSED', 'the server was stopped')
  }

  // ---- for its parts

  private take(from: ServerChannel, mp: Mblk): void {
    this.intake.take(from, mp)
  }

  /** A channel ended: what was not begun is not, and who works for it learns that nobody waits. */
  private gone(channel: ServerChannel): void {
    this.channels.delete(channel)
    for (const [queue, lane] of channel.queues) {
      for (let call = queue.remove(lane); call !== null; call = queue.remove(lane)) {
        if (call.channel !== channel && !call.channel!.isOver) this.move(call, queue)
        else this.forget(call)
      }
      // What was held back is gone; others go on.
      if (queue.isReady) this.pumpLater(queue)
    }
    for (let call = channel.firstRunning; call !== null; call = call.nextRunning) {
      // The client of a session may come back for the answer.
      if (call.session === null || this.stopping !== null) call.cancel()
      // Its handler may never end, and nobody is to be answered there.
      if (call.envelope !== null && call.channel!.isOver) {
        freemsg(call.envelope)
        call.envelope = null
      }
    }
    this.endIfDone()
  }

  /** Its client came back by another connection before the first was known to be gone: it waits there. */
  private move(call: ServerCall, queue: ServerQueue): void {
    const to = call.channel!
    const lane = to.laneOf(queue)
    call.home!.calls--
    to.calls++
    call.home = to
    call.lane = lane
    if (queue.wait(lane, call)) return
    this.refuseWaiting(call, queue, 'shed-queue-full')
  }

  /** @param call - one that waited; nobody was told anything of it */
  private forget(call: ServerCall): void {
    this.counters['connection-gone']++
    freemsg(call.mp!)
    if (call.envelope !== null) freemsg(call.envelope)
    if (call.session !== null) call.session.session.forgotten(call.session)
    if (call.cached !== null) this.cache.forgotten(call.cached)
    call.home!.calls--
    this.runner.pool.give(call)
  }

  private givenUp(record: SessionRecord): void {
    const call = record.holder as ServerCall | null
    if (call === null) return
    this.counters['given-up']++
    // If it waits, it is not begun: its caller does not wait for it.
    call.waitUntil = 0
    call.cancel()
  }

  private released(channel: ServerChannel): void {
    for (const [queue] of channel.queues) if (queue.isReady) this.pumpLater(queue)
  }

  private pumpLater(queue: ServerQueue): void {
    this.pending.add(queue)
    if (!this.pumpTimer.armed) this.runtime.timers.arm(this.pumpTimer, this.runtime.clock.now())
  }

  private pumpPending(): void {
    const queues = [...this.pending]
    this.pending.clear()
    for (const queue of queues) this.runner.pump(queue)
  }

  /** Calls that waited for as long as they may are told so, whether or not their turn comes. */
  private sweep(now: Instant): void {
    let isMore = false
    for (const channel of this.channels) {
      for (const [queue, lane] of channel.queues) {
        if (lane.waiting === 0) continue
        const over: ServerCall[] = []
        queue.sweep(lane, call => Math.min(call.waitUntil, call.deadlineAt) <= now, over)
        for (const call of over) this.refuseWaiting(call, queue, 'shed-deadline')
        isMore ||= lane.waiting > 0
      }
    }
    if (isMore) this.sweepLater()
  }

  private sweepLater(): void {
    const { timers, clock } = this.runtime
    if (!this.sweepTimer.armed) timers.arm(this.sweepTimer, after(clock.now(), milliseconds(SWEEP_MS)))
  }

  private expire(now: Instant): void {
    if (this.channels.size === 0 && this.sessions.size === 0 && this.cache.size === 0) return
    const times = [this.sessions.expire(now), this.cache.expire(now)].filter(at => at !== null)
    const soon = now + Math.min(this.settings.sessionIdleMs, this.settings.retentionMs) * 1_000
    const at = Math.max(now + 1_000, Math.min(soon, ...times))
    this.runtime.timers.arm(this.expiryTimer, at as Instant)
  }

  // ---- for people

  /** What became of the calls of each procedure. */
  describe(): ProcedureSummary[] {
    return [...this.metricsTable].map(({ name, counters, latency }) => ({
      name,
      counters: { ...counters },
      latency: latency.describe(),
    }))
  }

  /** Sessions that are open; those that were given, and that could not be. */
  get sessionCounts(): {
    readonly open: number
    readonly opened: number
    readonly refused: number
    readonly expired: number
  } {
    const { sessionsOpened, sessionsRefused } = this.auth
    return {
      open: this.sessions.size,
      opened: sessionsOpened,
      refused: sessionsRefused,
      expired: this.sessions.expired,
    }
  }

  /** Memory that kept replies hold, and how many calls are remembered without a session. */
  get remembered(): { readonly calls: number; readonly bytes: number } {
    return { calls: this.cache.size, bytes: this.cache.heldBytes }
  }
}

function hostSecret(): number {
  return crypto.getRandomValues(new Int32Array(1))[0]!
}
