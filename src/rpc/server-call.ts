/** One call in a server's hands: what its handler sees as context, and what the server knows beside. Used again for the next. */
import type { Instant } from '../base/time.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { Runtime } from '../streams/runtime.ts'
import { Timer } from '../streams/timers.ts'
import { NO_AUTH, type OpaqueAuth } from './auth.ts'
import type { DispatchEntry } from './dispatch.ts'
import type { CachedCall } from './duplicate-cache.ts'
import { NOBODY, type RpcPrincipal } from './principal.ts'
import type { ServerChannel } from './server-channel.ts'
import type { ProcedureCounter } from './server-settings.ts'
import type { Lane, ServiceQueue, Waiting } from './service-queue.ts'
import type { SessionRecord } from './session.ts'
import type { RpcContext } from './stub-types.ts'
import type { XdrOpaque } from './xdr/opaque.ts'

export type ServerQueue = ServiceQueue<ServerCall>
export type ServerEntry = DispatchEntry<ServerQueue, ProcedureCounter>

const NEVER = Number.POSITIVE_INFINITY

export class ServerCall implements RpcContext, Waiting {
  /** In the list of those that wait, or of those that are free. */
  next: ServerCall | null = null
  waitingBytes = 0
  /** An int32. */
  id = 0
  /** Where the answer goes. */
  channel: ServerChannel | null = null
  /** Where it came from first; of a session's call the answer may be for another connection. */
  home: ServerChannel | null = null
  envelope: Mblk | null = null
  entry: ServerEntry | null = null
  lane: Lane<ServerCall> | null = null
  principal: RpcPrincipal = NOBODY
  /** What goes back with the reply. */
  verifier: OpaqueAuth = NO_AUTH
  /** Its arguments, while it waits. */
  mp: Mblk | null = null
  /** What is remembered of it, if it must not run twice. */
  session: SessionRecord | null = null
  cached: CachedCall | null = null
  /** Microseconds; {@link deadlineAt} and {@link waitUntil} are Infinity for never. */
  beganAt = 0
  deadlineAt = NEVER
  waitUntil = NEVER
  isMeasured = false
  /** Freed when the answer is sent. */
  views: readonly XdrOpaque[] | null = null
  private moreViews: XdrOpaque[] | null = null
  isCancelled = false
  /** Among the calls of its connection that a promise is awaited for. */
  prevRunning: ServerCall | null = null
  nextRunning: ServerCall | null = null
  /** Made once for each object, since a promise wants functions. */
  readonly onResult: (result: unknown) => void
  readonly onFailure: (error: unknown) => void
  private readonly runtime: Runtime
  private controller: AbortController | null = null
  private timer: Timer | null = null

  constructor(
    runtime: Runtime,
    settled: (call: ServerCall, result: unknown) => void,
    failed: (call: ServerCall, error: unknown) => void,
  ) {
    this.runtime = runtime
    this.onResult = result => settled(this, result)
    this.onFailure = error => failed(this, error)
  }

  get xid(): number {
    return this.id >>> 0
  }

  get peer(): string {
    return this.channel!.channel.peerOf(this.envelope)
  }

  get deadline(): number | null {
    return this.deadlineAt === NEVER ? null : this.deadlineAt
  }

  get signal(): AbortSignal {
    if (this.controller === null) {
      this.controller = new AbortController()
      if (this.isCancelled) this.controller.abort()
      else this.watchDeadline()
    }
    return this.controller.signal
  }

  freeWithAnswer(view: XdrOpaque): void {
    this.moreViews ??= []
    this.moreViews.push(view)
  }

  /** Nobody waits for its answer any more. */
  cancel(): void {
    if (this.isCancelled) return
    this.isCancelled = true
    if (this.timer !== null) this.runtime.timers.cancel(this.timer)
    this.controller?.abort()
  }

  /** The answer is encoded. */
  freeViews(): void {
    if (this.views !== null) for (const view of this.views) view.free()
    if (this.moreViews !== null) for (const view of this.moreViews) view.free()
    this.views = null
    this.moreViews = null
  }

  /** Makes it fit for another call. What it held is the caller's to have freed. */
  reset(): void {
    this.channel = null
    this.home = null
    this.envelope = null
    this.entry = null
    this.lane = null
    this.principal = NOBODY
    this.verifier = NO_AUTH
    this.mp = null
    this.session = null
    this.cached = null
    this.deadlineAt = NEVER
    this.waitUntil = NEVER
    this.isMeasured = false
    this.isCancelled = false
    this.controller = null
    if (this.timer?.armed) this.runtime.timers.cancel(this.timer)
  }

  private watchDeadline(): void {
    if (this.deadlineAt === NEVER) return
    this.timer ??= new Timer(() => this.cancel())
    this.runtime.timers.arm(this.timer, this.deadlineAt as Instant)
  }
}

/** Objects that wait for their next call, as many as were ever in use at once up to a bound. */
const FREE_MAX = 1_024

export class CallPool {
  private first: ServerCall | null = null
  private free = 0
  private readonly make: () => ServerCall

  constructor(make: () => ServerCall) {
    this.make = make
  }

  take(): ServerCall {
    const call = this.first
    if (call === null) return this.make()
    this.first = call.next
    call.next = null
    this.free--
    return call
  }

  give(call: ServerCall): void {
    call.reset()
    if (this.free >= FREE_MAX) return
    call.next = this.first
    this.first = call
    this.free++
  }
}
