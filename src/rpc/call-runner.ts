/** From a call to its answer: decodes the arguments, asks the handler, encodes what it gives, remembers and sends it. */
import { StackError } from '../base/errors.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { DuplicateCache } from './duplicate-cache.ts'
import { warnOfEach } from './handler-warnings.ts'
import { keptReply } from './kept-reply.ts'
import { writeAccepted, writeAuthError } from './message.ts'
import { CallPool, ServerCall, type ServerQueue } from './server-call.ts'
import type { ProcedureCounter, RpcServerOptions, ServerCounter, ServerSettings } from './server-settings.ts'
import {
  AUTH_OK,
  acceptName,
  GARBAGE_ARGS,
  PROC_UNAVAIL,
  PROG_UNAVAIL,
  SUCCESS,
  SYSTEM_ERR,
} from './status.ts'
import { RpcStatusError } from './status-error.ts'
import { XdrDecoder } from './xdr/decoder.ts'
import { XdrEncoder } from './xdr/encoder.ts'
import { XdrError } from './xdr/error.ts'

/** Names of counters, of the server and of the procedure, and of the trace. */
export type ShedReason = Extract<ServerCounter, `shed-${string}`>

/** Waiting calls that are begun in one go. */
const PUMP_CALLS = 64

export class CallRunner {
  readonly decoder: XdrDecoder
  readonly encoder: XdrEncoder
  readonly pool: CallPool
  /** Called when a queue has more that could be run than was run in one go. */
  onMore: (queue: ServerQueue) => void = () => {}
  /** Called when no block was left for a result. */
  onShort: () => void = () => {}
  private readonly runtime: Runtime
  private readonly settings: ServerSettings
  private readonly counters: Record<ServerCounter, number>
  private readonly options: RpcServerOptions
  private readonly cache: DuplicateCache
  private readonly onError: (error: unknown, where: string) => void
  private readonly pumping = new Set<ServerQueue>()
  /** Promises are on their way: the loop is to let them. */
  private letsPromisesRun = false
  private measured = 0

  constructor(
    runtime: Runtime,
    settings: ServerSettings,
    counters: Record<ServerCounter, number>,
    options: RpcServerOptions,
    cache: DuplicateCache,
  ) {
    this.runtime = runtime
    this.settings = settings
    this.counters = counters
    this.options = options
    this.cache = cache
    this.onError = options.onError ?? warnOfEach()
    this.decoder = new XdrDecoder(options.decoder)
    this.encoder = new XdrEncoder(runtime.arena)
    const settled = (call: ServerCall, result: unknown): void => this.settled(call, result, null)
    const failed = (call: ServerCall, error: unknown): void => this.settled(call, undefined, { error })
    this.pool = new CallPool(() => new ServerCall(runtime, settled, failed))
  }

  /**
   * Runs a call that counts as running in its queue.
   * @param call - filled; the decoder stands before its arguments
   * @param mp - consumed: the message that they are in
   */
  run(call: ServerCall, mp: Mblk): void {
    const { decoder } = this
    const { procedure, handler } = call.entry!
    if (!call.isMeasured && ++this.measured >= this.settings.measureEvery) {
      this.measured = 0
      call.isMeasured = true
      call.beganAt = this.runtime.clock.now()
    }
    let argument: unknown
    try {
      argument = procedure.argument.decode(decoder)
      decoder.finish()
    } catch (error) {
      decoder.abort()
      freemsg(mp)
      return this.badArguments(call, error)
    }
    const views = decoder.madeViews
    if (views.length > 0) call.views = views
    freemsg(mp)
    if (handler === null) return this.succeed(call, undefined)
    let result: unknown
    let promise: Promise<unknown> | null = null
    try {
      result = handler.handle(argument, call)
      // What only looks like a promise may throw when it is looked at, or answer twice: it is made one.
      if (isPromise(result)) promise = Promise.resolve(result)
    } catch (error) {
      return this.fail(call, error)
    }
    if (promise !== null) this.await(call, promise)
    else this.succeed(call, result)
  }

  /** Runs calls that waited, as long as they may. */
  pump(queue: ServerQueue): void {
    // Who answers at once would come here again for each.
    if (this.pumping.has(queue)) return
    this.pumping.add(queue)
    let left = PUMP_CALLS
    for (; left > 0 && queue.isReady; left--) {
      const call = queue.take()
      if (call !== null) this.resume(call)
    }
    this.pumping.delete(queue)
    if (queue.isReady) this.onMore(queue)
  }

  private resume(call: ServerCall): void {
    const mp = call.mp!
    call.mp = null
    call.isMeasured = true
    if (Math.min(call.waitUntil, call.deadlineAt) <= this.runtime.clock.now()) {
      freemsg(mp)
      return this.shed(call, 'shed-deadline')
    }
    this.decoder.start(mp, 'args')
    this.run(call, mp)
  }

  // ---- promises

  private await(call: ServerCall, promise: Promise<unknown>): void {
    if (!call.isMeasured) {
      call.isMeasured = true
      call.beganAt = this.runtime.recent[0]!
    }
    call.home!.awaits(call)
    this.letPromisesRun()
    promise.then(call.onResult, call.onFailure)
  }

  /** Microtasks have no turn while the loop looks for packets. */
  private letPromisesRun(): void {
    if (this.letsPromisesRun) return
    this.letsPromisesRun = true
    const { scheduler } = this.runtime
    scheduler.programEvents++
    queueMicrotask(() => {
      this.letsPromisesRun = false
      scheduler.programEvents--
    })
  }

  private settled(call: ServerCall, result: unknown, failure: { readonly error: unknown } | null): void {
    call.home!.settled(call)
    if (failure !== null) this.fail(call, failure.error)
    else this.succeed(call, result)
  }

  // ---- how it ends

  private succeed(call: ServerCall, result: unknown): void {
    const { encoder } = this
    const { procedure } = call.entry!
    const limit = call.channel!.channel.maxMessageBytes
    let reply: Mblk
    try {
      encoder.start('result')
      writeAccepted(encoder, call.id, SUCCESS, call.verifier)
      encoder.put(result, procedure.result)
      if (encoder.size > limit) return this.tooLong(call, encoder.size, limit)
      reply = encoder.finish()
    } catch (error) {
      encoder.abort()
      if (error instanceof XdrError && error.code === 'ERR_NO_BUFFERS') this.onShort()
      return this.fail(call, error)
    }
    this.complete(call, reply, 'answered', 'ok')
  }

  private tooLong(call: ServerCall, size: number, limit: number): void {
    this.encoder.abort()
    this.counters['reply-too-long']++
    this.fail(call, new StackError('ERR_MSG_TOO_LONG', `a reply of ${size} bytes, at most ${limit}`))
  }

  private badArguments(call: ServerCall, error: unknown): void {
    if (!(error instanceof XdrError) || error.code !== 'ERR_PROTOCOL') return this.fail(call, error)
    this.counters['garbage-args']++
    this.refuse(call, GARBAGE_ARGS, 'garbage-args')
  }

  private fail(call: ServerCall, error: unknown): void {
    if (error instanceof RpcStatusError) {
      if (error.acceptStatus === null) return this.deny(call, error.authStatus)
      this.countStatus(error.acceptStatus)
      return this.refuse(call, error.acceptStatus, 'refused')
    }
    // What a handler throws because its call was cancelled is no fault of its.
    if (!call.isCancelled) this.tell(error, call.entry!.procedure.name)
    this.counters['system-err']++
    this.refuse(call, SYSTEM_ERR, 'failed')
  }

  /** Tells the program of an error that no peer is told of. */
  tell(error: unknown, where: string): void {
    try {
      this.onError(error, where)
    } catch {
      // What is thrown at being told of an error has nobody to be told to.
    }
  }

  /** A call that counts as running is not run: SYSTEM_ERR. */
  shed(call: ServerCall, reason: ShedReason): void {
    this.counters[reason]++
    const { session, cached } = call
    if (session !== null) session.session.refused(session)
    if (cached !== null) this.cache.refused(cached, this.runtime.clock.now())
    call.session = null
    call.cached = null
    this.complete(call, this.status(call, SYSTEM_ERR), 'shed', reason)
  }

  countStatus(status: number): void {
    if (status === SYSTEM_ERR) this.counters['system-err']++
    else if (status === GARBAGE_ARGS) this.counters['garbage-args']++
    else if (status === PROC_UNAVAIL) this.counters['proc-unavail']++
    else if (status === PROG_UNAVAIL) this.counters['prog-unavail']++
  }

  private refuse(call: ServerCall, status: number, counter: ProcedureCounter): void {
    this.complete(call, this.status(call, status), counter, acceptName(status))
  }

  private deny(call: ServerCall, status: number): void {
    this.counters['denied-auth']++
    const reply = status === AUTH_OK ? null : this.write(() => writeAuthError(this.encoder, call.id, status))
    this.complete(call, reply, 'refused', 'AUTH_ERROR')
  }

  private status(call: ServerCall, status: number): Mblk | null {
    return this.write(() => writeAccepted(this.encoder, call.id, status, call.verifier))
  }

  /** @returns an owned message of what `write` puts; null if no block is left */
  write(write: () => void): Mblk | null {
    try {
      this.encoder.start()
      write()
      return this.encoder.finish()
    } catch (error) {
      this.encoder.abort()
      if (error instanceof XdrError) return null
      throw error
    }
  }

  /** @param reply - consumed; null if there was no block for one */
  private complete(call: ServerCall, reply: Mblk | null, counter: ProcedureCounter, result: string): void {
    const { envelope, home, lane } = call
    const channel = call.channel!
    const { metrics, queue } = call.entry!
    metrics.counters[counter]++
    if (call.isCancelled) metrics.counters.cancelled++
    if (call.isMeasured || this.options.trace !== undefined) this.measure(call, result)
    call.freeViews()
    if (call.session !== null || call.cached !== null) this.remember(call, reply)
    call.envelope = null
    this.pool.give(call)
    home!.calls--
    queue.ended(lane!)
    if (reply !== null) channel.reply(envelope, reply)
    else this.cannotAnswer(channel, envelope)
    if (queue.waiting > 0) this.pump(queue)
    home!.endIfDone()
  }

  private remember(call: ServerCall, reply: Mblk | null): void {
    const kept = reply === null ? null : keptReply(reply)
    const { session, cached } = call
    if (session !== null) session.session.answered(session, kept)
    else this.cache.answered(cached!, kept, this.runtime.clock.now())
  }

  /** Without a block for the answer a stream ends, so that its peer learns that there is none; a datagram is lost. */
  private cannotAnswer(channel: ServerCall['channel'], envelope: Mblk | null): void {
    this.counters['no-buffers']++
    if (envelope !== null) freemsg(envelope)
    else channel!.abort()
  }

  private measure(call: ServerCall, result: string): void {
    const now = this.runtime.clock.now()
    const { metrics, procedure } = call.entry!
    if (call.isMeasured) metrics.latency.record(now - call.beganAt)
    const { trace } = this.options
    if (trace === undefined) return
    try {
      trace({
        side: 'server',
        procedure: procedure.name,
        xid: call.xid,
        peer: call.peer,
        beganAt: call.isMeasured ? call.beganAt : now,
        endedAt: now,
        transmissions: 1,
        result,
      })
    } catch {
      // As its documentation says: lost.
    }
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}
