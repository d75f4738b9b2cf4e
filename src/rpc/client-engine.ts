/**
 * What drives a client's calls: sends what waits, when there is a channel and a session, takes replies, and ends each call once. The decisions about
 * time are the core's ({@link ClientCore}), those about credentials the session's, those about channels the connection's.
 */
import { type Counters, makeCounters } from '../base/counters.ts'
import { StackError } from '../base/errors.ts'
import type { Instant } from '../base/time.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { Runtime } from '../streams/runtime.ts'
import { Timer } from '../streams/timers.ts'
import type { OpaqueAuth } from './auth.ts'
import { takeEnvelope } from './channel.ts'
import { Call, encodeSessionRequest, NO_EPOCH, nullProcedure } from './client-call.ts'
import { type ChannelSource, ClientConnection, type ConnectionOwner } from './client-connection.ts'
import { ClientCore, type DueHandler, FREE, SENT, WAITING } from './client-core.ts'
import type { ClientSettings } from './client-options.ts'
import { REPLY_COUNTERS, ReplyReader, type ReplySink } from './client-replies.ts'
import { ClientSender, SENDER_COUNTERS } from './client-sender.ts'
import { ClientSession } from './client-session.ts'
import { ClientSignals } from './client-signals.ts'
import type { ClientTracer } from './client-tracer.ts'
import { DATAGRAM_BYTES_MAX } from './datagram-channel.ts'
import type { ReplyFault, ReplyHeader } from './message.ts'
import { answerError, type RpcError, refused, undecodable, unknownOutcome } from './outcome.ts'
import { RECORD_FAULT_CODE } from './rpcmod.ts'
import { AUTH_ERROR, AUTH_REJECTEDCRED, MSG_DENIED } from './status.ts'
import type { XdrDecoderOptions } from './xdr/index.ts'

export const CLIENT_COUNTERS = [
  ...SENDER_COUNTERS,
  'connections',
  'connections-lost',
  'connections-failed',
  /** Connections lost since what came was no record, or more than one may hold. */
  'record-faults',
  /** ICMP said that a datagram did not arrive, and the like. */
  'troubles',
  'sessions',
  /** A server that has no sessions, or gives this client none. */
  'sessions-denied',
  /** Calls whose session the server did not know. */
  'sessions-rejected',
  'timed-out',
  'cancelled',
  /** Calls refused because too many waited. */
  'busy',
  ...REPLY_COUNTERS,
] as const

/** A server that gives sessions and knows none of them is told by a call that it has answered. */
const REJECTIONS_MAX = 4

/** Told when it can be called, or why not. */
export interface ReadyWaiter {
  resolve(): void
  reject(error: StackError): void
}

export class ClientEngine implements ConnectionOwner, DueHandler<Call>, ReplySink {
  readonly counters: Counters<(typeof CLIENT_COUNTERS)[number]> = makeCounters(CLIENT_COUNTERS)
  readonly core: ClientCore<Call>
  readonly session: ClientSession
  readonly connection: ClientConnection
  readonly runtime: Runtime
  isClosed = false
  private readonly settings: ClientSettings
  private readonly isStream: boolean
  /** Another channel may lead to another server. */
  private readonly isLookedUp: boolean
  readonly sender: ClientSender
  readonly signals = new ClientSignals(call => this.cancelled(call))
  private readonly replies: ReplyReader
  private readonly timer: Timer
  private readonly tracer: ClientTracer | null
  /** The call that asks for a session. */
  private asking: Call | null = null
  private readonly waiters: ReadyWaiter[] = []
  /** The event loop was asked for its turn: see {@link programHasNews}. */
  private asked = false
  private readonly eventLoopHasTurn = (): void => {
    this.asked = false
    this.runtime.scheduler.programEvents--
    this.tracer?.flush()
  }

  constructor(
    runtime: Runtime,
    source: ChannelSource,
    settings: ClientSettings,
    isStream: boolean,
    isLookedUp: boolean,
    decoder: XdrDecoderOptions | undefined,
    tracer: ClientTracer | null,
  ) {
    const { retransmitUs: firstUs, retransmitMaxUs: maxUs, maxInFlight, maxWaiting } = settings
    this.runtime = runtime
    this.settings = settings
    this.isStream = isStream
    this.isLookedUp = isLookedUp
    this.tracer = tracer
    const limits = { maxInFlight, maxWaiting, retransmit: isStream ? null : { firstUs, maxUs } }
    this.core = new ClientCore(limits, runtime.random, () => new Call())
    this.session = new ClientSession(settings.atMostOnce, settings.credentials, runtime.random)
    this.connection = new ClientConnection(runtime, source, settings, this)
    const { core, session, connection, counters } = this
    const maxMessageBytes = isStream
      ? settings.maxMessageBytes
      : Math.min(settings.maxMessageBytes, DATAGRAM_BYTES_MAX)
    const failed = (call: Call, error: RpcError): void => this.fail(call, error)
    this.sender = new ClientSender({
      runtime,
      core,
      session,
      connection,
      counters,
      isStream,
      maxMessageBytes,
      failed,
    })
    this.replies = new ReplyReader(this.core, this, this.counters, decoder)
    this.timer = new Timer(now => this.timeIsUp(now))
  }

  // ---- sending

  /** A call was begun and encoded: sends it, or does what has to be done before. */
  submit(): void {
    if (this.sender.isEncoding) return
    if (this.sender.isFlowing) this.sender.flush()
    else if (this.connection.isUp) this.askForSession()
    else this.connection.open()
    this.setTimer()
  }

  private setTimer(): void {
    const { nextDueAt } = this.core
    if (nextDueAt === Number.POSITIVE_INFINITY || (this.timer.armed && this.timer.at <= nextDueAt)) return
    this.runtime.timers.arm(this.timer, nextDueAt as Instant)
  }

  private askForSession(): void {
    const { session, core, settings, runtime } = this
    if (!session.isToBeAsked) {
      if (this.asking?.state === WAITING && !this.sender.blocked) this.sender.transmit(this.asking)
      return
    }
    runtime.refresh()
    const call = core.begin(runtime.recent[0]!, settings.timeoutUs, true)
    if (call === null) return
    call.procedure = nullProcedure(settings.program, settings.version) as unknown as Call['procedure']
    call.asksForSession = true
    this.asking = call
    try {
      encodeSessionRequest(this.sender.encoder, call, session)
    } catch (error) {
      this.fail(call, refused('ERR_NO_BUFFERS', call.procedure.name, 'no block is left', error))
      return
    }
    this.sender.transmit(call)
    this.setTimer()
  }

  // ---- what the connection tells

  get isNeeded(): boolean {
    return !this.isClosed && (this.core.outstanding > 0 || this.waiters.length > 0)
  }

  opened(): void {
    this.counters.connections++
    this.sender.blocked = false
    this.runtime.refresh()
    this.flowOn()
  }

  writable(): void {
    this.sender.blocked = false
    this.flowOn()
  }

  private flowOn(): void {
    if (!this.connection.isUp) return
    if (!this.session.isReady) return this.askForSession()
    if (this.waiters.length > 0) for (const { resolve } of this.waiters.splice(0)) resolve()
    this.sender.flush()
    this.setTimer()
  }

  lost(error: StackError): void {
    this.counters['connections-lost']++
    if (error.code === RECORD_FAULT_CODE) this.counters['record-faults']++
    this.runtime.refresh()
    let next: Call | null
    for (let call = this.core.firstSent(); call !== null; call = next) {
      next = call.behind as Call | null
      if (call.message !== null) this.core.again(call)
      else this.fail(call, unknownOutcome(error.code, call.procedure.name, 'the connection was lost', error))
    }
    if (!this.settings.persistent || isForGood(error)) this.failUnreachable(error)
  }

  failed(error: StackError): void {
    this.counters['connections-failed']++
    this.runtime.refresh()
    for (const { reject } of this.waiters.splice(0)) reject(error)
    if (!this.settings.persistent || isForGood(error)) this.failUnreachable(error)
  }

  private failUnreachable(error: StackError): void {
    this.failWaiting(error.code, `the server cannot be reached: ${error.message}`, error)
  }

  private failWaiting(code: StackError['code'], why: string, cause: unknown): void {
    for (let call = this.core.firstWaiting(); call !== null; call = this.core.firstWaiting())
      this.failEither(call, code, why, cause)
  }

  troubled(error: StackError): void {
    this.counters.troubles++
    this.connection.lastError = error
    if (error.code !== 'ERR_CONN_REFUSED' || this.isStream) return
    if (this.isLookedUp) return this.connection.renew(error)
    if (this.settings.persistent) return
    // Nobody listens. One datagram alone cannot have been taken by somebody before.
    const only = this.core.inFlight === 1 ? this.core.firstSent() : null
    if (only?.transmissions === 1)
      this.fail(only, refused(error.code, only.procedure.name, error.message, error))
    for (let call = this.core.firstSent(); call !== null; call = this.core.firstSent())
      this.fail(call, unknownOutcome(error.code, call.procedure.name, error.message, error))
  }

  // ---- receiving

  readable(): void {
    const { connection, isStream } = this
    const { channel } = connection
    if (channel === null) return
    for (let mp = channel.receive(); mp !== null; mp = channel.receive()) {
      let body: Mblk | null = mp
      if (!isStream) {
        body = takeEnvelope(mp)
        freemsg(mp)
      }
      if (body !== null) this.replies.take(body)
      if (connection.channel !== channel) return
    }
    if (this.core.waiting > 0) this.flowOn()
  }

  /** A reply came that is none, or cannot be told what it is. */
  spoiled(call: Call, fault: ReplyFault): void {
    if (call === this.asking) return this.sessionAnswered(call, null)
    this.fail(call, unknownOutcome('ERR_PROTOCOL', call.procedure.name, `a reply with ${fault}`, null, fault))
  }

  results(call: Call, value: unknown, verifier: OpaqueAuth): void {
    this.connection.proved()
    if (call === this.asking) this.sessionAnswered(call, verifier)
    else this.succeed(call, value)
  }

  undecodable(call: Call, error: unknown): void {
    if (call === this.asking) this.sessionAnswered(call, null)
    else this.fail(call, undecodable(call.procedure.name, error))
  }

  denied(call: Call, reply: ReplyHeader): void {
    this.connection.proved()
    if (call === this.asking) return this.sessionAnswered(call, null)
    const isAuth = reply.reply === MSG_DENIED && reply.status === AUTH_ERROR
    if (
      isAuth &&
      reply.authStatus === AUTH_REJECTEDCRED &&
      call.inSession &&
      ++call.rejections <= REJECTIONS_MAX
    )
      this.sessionRejected(call)
    else this.fail(call, answerError(call.procedure.name, reply))
  }

  /** @param verifier - of the reply; null if there is no session to be had */
  private sessionAnswered(call: Call, verifier: OpaqueAuth | null): void {
    const { session, counters } = this
    this.asking = null
    this.over(call)
    session.answered(verifier)
    counters[session.isBound ? 'sessions' : 'sessions-denied']++
    if (session.isReady) this.flowOn()
    else this.failWithoutSession()
  }

  private failWithoutSession(): void {
    const why = 'the server gives no session, and none of its calls may go without'
    for (const { reject } of this.waiters.splice(0)) reject(new StackError('ERR_NOT_SUPPORTED', why))
    this.failWaiting('ERR_NOT_SUPPORTED', why, null)
  }

  /**
   * The server does not know the session: it was started again, or the session expired. What it refused did not run this time. Over a stream a call
   * that was sent once has not run at all. Otherwise an earlier transmission may have, and under a new session it might again.
   */
  private sessionRejected(call: Call): void {
    this.counters['sessions-rejected']++
    this.session.rejected(call.epoch)
    if (this.isStream && call.transmissions === 1) call.transmissions = 0
    if (call.transmissions === 0 || call.procedure.isIdempotent) {
      call.epoch = NO_EPOCH
      this.core.again(call)
    } else {
      const why = 'the server does not know the session any more, and not whether the call ran'
      this.fail(call, unknownOutcome('ERR_CONN_RESET', call.procedure.name, why))
    }
    this.flowOn()
  }

  // ---- ends

  private succeed(call: Call, value: unknown): void {
    const now = this.runtime.recent[0]!
    const { resolve, metrics } = call
    if (metrics !== null) {
      metrics.counters.ok++
      metrics.latency.record(now - call.beganAt)
    }
    this.tracer?.ended(call, now, this.peer, 'ok')
    this.over(call)
    resolve(value)
    this.programHasNews()
  }

  fail(call: Call, error: RpcError): void {
    const { reject, metrics } = call
    const { outcome } = error
    if (metrics !== null) {
      metrics.counters[outcome]++
      if (outcome === 'answered') metrics.latency.record(this.runtime.recent[0]! - call.beganAt)
    }
    this.tracer?.ended(call, this.runtime.recent[0]!, this.peer, `${outcome} ${error.status ?? error.code}`)
    if (call === this.asking) {
      this.asking = null
      this.session.unanswered()
      for (const waiter of this.waiters.splice(0)) waiter.reject(error)
    }
    this.over(call)
    reject(error)
    this.programHasNews()
  }

  /** A call ends without an answer: what that means depends on whether it was sent. */
  private failEither(call: Call, code: StackError['code'], why: string, cause: unknown): void {
    const { name } = call.procedure
    const error =
      call.transmissions === 0 ? refused(code, name, why, cause) : unknownOutcome(code, name, why, cause)
    this.fail(call, error)
  }

  private over(call: Call): void {
    this.core.end(call)
    if (call.signal !== null) this.signals.delete(call)
    call.clear()
  }

  /**
   * Promises were resolved: their continuations run when the run queue returns to the event loop, which it is asked to do. One microtask
   * behind them says that this was so.
   */
  private programHasNews(): void {
    if (this.asked) return
    this.asked = true
    this.runtime.scheduler.programEvents++
    queueMicrotask(this.eventLoopHasTurn)
  }

  private timeIsUp(now: Instant): void {
    this.core.due(now, this)
    this.sender.tryMemoryAgain()
    // There is memory again, or calls that held up the window are gone.
    if (this.core.waiting > 0) this.flowOn()
    this.setTimer()
  }

  expired(call: Call): void {
    this.counters['timed-out']++
    const { lastError } = this.connection
    const sent = call.transmissions > 0
    const why = sent ? 'no answer in time' : 'it could not be sent in time'
    const because = lastError === null ? '' : ` (${lastError.message})`
    this.failEither(call, 'ERR_TIMED_OUT', why + because, lastError)
  }

  resend(call: Call): void {
    const mayGo =
      this.connection.isUp && !this.sender.blocked && (this.session.isReady || call === this.asking)
    if (mayGo) this.sender.transmit(call)
    // A full channel is not asked again at once.
    if (call.state === SENT && call.resendAt <= this.runtime.recent[0]!)
      this.core.postpone(call, this.runtime.recent[0]!)
  }

  private cancelled(call: Call): void {
    if (call.state === FREE) return
    this.counters.cancelled++
    this.runtime.refresh()
    this.failEither(call, 'ERR_CONN_ABORTED', 'the caller cancelled it', call.signal?.reason)
    if (this.core.waiting > 0) this.flowOn()
  }

  // ---- being ready, and the end

  get peer(): string {
    return this.connection.channel?.name ?? 'nobody'
  }

  whenReady(waiter: ReadyWaiter): void {
    this.waiters.push(waiter)
    if (this.sender.isFlowing) this.flowOn()
    else if (this.connection.isUp) this.askForSession()
    else this.connection.open()
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.runtime.refresh()
    this.runtime.timers.cancel(this.timer)
    const { core } = this
    const why = 'the client was closed'
    for (let call = core.firstSent(); call !== null; call = core.firstSent())
      this.failEither(call, 'ERR_STREAM_CLOSED', why, null)
    this.failWaiting('ERR_STREAM_CLOSED', why, null)
    for (const { reject } of this.waiters.splice(0)) reject(new StackError('ERR_STREAM_CLOSED', why))
    this.connection.close()
  }
}

/** The stack that the client is on is closed: no time will mend that. */
function isForGood({ code }: StackError): boolean {
  return code === 'ERR_NETWORK_DOWN' || code === 'ERR_HANGUP'
}
