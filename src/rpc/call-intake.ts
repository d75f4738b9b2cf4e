/**
 * From a message to a call (RFC 5531 §9): header, credentials, program, whether it may run at all (at-most-once), whether it may run
 * now. Whatever is refused on the way is answered as the RFC says and counted.
 */
import { allocb, dupmsg, freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { adjmsg, dropEmptyHead, messageBytes } from '../streams/mblk/message.ts'
import { readMessage } from '../streams/mblk/pullup.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { CallRunner } from './call-runner.ts'
import { takeEnvelope } from './channel.ts'
import type { Dispatch } from './dispatch.ts'
import type { CachedCall, DuplicateCache } from './duplicate-cache.ts'
import { heldBytes } from './kept-reply.ts'
import {
  CallHeader,
  readCall,
  writeAccepted,
  writeAuthError,
  writeProgramMismatch,
  writeRpcMismatch,
} from './message.ts'
import { argumentsChecksum, messageChecksum } from './request-checksum.ts'
import type { ServerAuth } from './server-auth.ts'
import type { ServerCall, ServerEntry, ServerQueue } from './server-call.ts'
import type { ServerChannel } from './server-channel.ts'
import type { ProcedureCounter, ServerCounter, ServerSettings } from './server-settings.ts'
import type { CallVerdict, SessionRecord } from './session.ts'
import { NO_DEADLINE } from './session-wire.ts'
import { AUTH_BADCRED, AUTH_BADVERF, AUTH_OK, PROG_MISMATCH, SYSTEM_ERR } from './status.ts'

/** A waiting message that holds so many times its bytes is copied, so that it holds no more than it has. */
const LOOSE_RATIO = 4
/** Of a caller that does not say how long it waits. */
const UNSAID_WAIT_US = 5_000_000

export class CallIntake {
  /** No call is begun any more. */
  isStopping = false
  /** Called when a call has to wait. */
  onWaiting: () => void = () => {}
  private readonly runtime: Runtime
  private readonly settings: ServerSettings
  private readonly counters: Record<ServerCounter, number>
  private readonly runner: CallRunner
  private readonly auth: ServerAuth
  private readonly cache: DuplicateCache
  private readonly dispatch: Dispatch<ServerQueue, ProcedureCounter>
  private readonly header = new CallHeader()

  constructor(
    runtime: Runtime,
    settings: ServerSettings,
    counters: Record<ServerCounter, number>,
    runner: CallRunner,
    auth: ServerAuth,
    cache: DuplicateCache,
    dispatch: Dispatch<ServerQueue, ProcedureCounter>,
  ) {
    this.runtime = runtime
    this.settings = settings
    this.counters = counters
    this.runner = runner
    this.auth = auth
    this.cache = cache
    this.dispatch = dispatch
  }

  /** @param mp - consumed: as the channel gave it */
  take(from: ServerChannel, mp: Mblk): void {
    let envelope: Mblk | null = null
    let body: Mblk | null = mp
    if (!from.isStream) {
      envelope = mp
      body = takeEnvelope(envelope)
    }
    if (body === null) return freemsg(mp)
    const { header, counters } = this
    const { decoder } = this.runner
    decoder.start(body, 'args')
    const size = decoder.left
    const fault = readCall(decoder, header)
    if (fault !== null) {
      counters[fault]++
      return this.answerFault(from, envelope, body, fault)
    }
    counters.calls++
    const entry = this.dispatch.find(header.program, header.version, header.procedure)
    const now = this.runtime.recent[0]!
    const status = this.auth.check(from.credentials, header, entry?.procedure ?? null, now)
    if (status !== AUTH_OK) return this.deny(from, envelope, body, status)
    if (entry === null) return this.answerUnknown(from, envelope, body)
    entry.metrics.counters.calls++
    if (entry.isIdempotent || (from.isStream && this.auth.session === null)) {
      this.admit(from, envelope, body, size, entry, null, null)
    } else {
      this.takeOnce(from, envelope, body, size, entry, now)
    }
  }

  // ---- at most once

  private takeOnce(
    from: ServerChannel,
    envelope: Mblk | null,
    body: Mblk,
    size: number,
    entry: ServerEntry,
    now: number,
  ): void {
    const { auth, header, cache } = this
    const { xid } = header
    const { session } = auth
    const { left } = this.runner.decoder
    if (session !== null) {
      const checksum = argumentsChecksum(body, size - left, header)
      const verdict = session.begin(xid, auth.call.oldestXid, checksum)
      const { record } = session
      if (verdict === 'run') return this.admit(from, envelope, body, size, entry, record, null)
      if (verdict === 'in-progress') this.redirect(record!.holder as ServerCall | null, from, envelope)
      return this.answerDuplicate(from, envelope, body, entry, verdict, record)
    }
    const peer = from.channel.peerOf(envelope)
    const { program, version, procedure } = header
    const call = `${program}.${version}.${procedure}`
    const verdict = cache.begin(peer, xid, call, messageChecksum(body), now)
    if (verdict === 'run') return this.admit(from, envelope, body, size, entry, null, cache.record)
    this.answerDuplicate(from, envelope, body, entry, verdict, cache.record)
  }

  /** Its client came back by another connection, or from another port: the answer goes there. */
  private redirect(call: ServerCall | null, from: ServerChannel, envelope: Mblk | null): void {
    if (call === null) return
    const copy = envelope === null ? null : dupmsg(envelope)
    if (envelope !== null && copy === null) return
    if (call.envelope !== null) freemsg(call.envelope)
    call.channel = from
    call.envelope = copy
  }

  /** @param body - consumed, and the envelope */
  private answerDuplicate(
    from: ServerChannel,
    envelope: Mblk | null,
    body: Mblk,
    entry: ServerEntry,
    verdict: Exclude<CallVerdict, 'run'>,
    record: SessionRecord | CachedCall | null,
  ): void {
    const { counters } = this
    const { xid } = this.header
    this.done(body)
    if (verdict === 'full') {
      counters['shed-replies-full']++
      entry.metrics.counters.shed++
      return this.refuse(from, envelope, xid)
    }
    counters[`duplicate-${verdict}`]++
    entry.metrics.counters.duplicates++
    if (verdict === 'shed') return this.refuse(from, envelope, xid)
    const reply = verdict === 'answered' ? dupmsg(record!.reply!) : null
    if (reply !== null) from.reply(envelope, reply)
    else if (envelope !== null) freemsg(envelope)
  }

  private refuse(from: ServerChannel, envelope: Mblk | null, xid: number): void {
    this.answer(from, envelope, () => writeAccepted(this.runner.encoder, xid, SYSTEM_ERR, this.auth.verifier))
  }

  // ---- now or later

  /** @param body - consumed, and the envelope: a call that is to be run once */
  private admit(
    from: ServerChannel,
    envelope: Mblk | null,
    body: Mblk,
    size: number,
    entry: ServerEntry,
    session: SessionRecord | null,
    cached: CachedCall | null,
  ): void {
    const { runner, auth } = this
    const { queue } = entry
    const call = runner.pool.take()
    call.id = this.header.xid
    call.channel = from
    call.home = from
    call.envelope = envelope
    call.entry = entry
    call.principal = auth.principal
    call.verifier = auth.verifier
    const lane = from.laneOf(queue)
    call.lane = lane
    from.calls++
    if (session !== null) {
      call.session = session
      session.holder = call
    } else if (cached !== null) {
      call.cached = cached
      cached.holder = call
    }
    if (auth.session !== null) this.setDeadline(call)
    if (queue.enter(lane)) return runner.run(call, body)
    this.wait(call, body, size)
  }

  private setDeadline(call: ServerCall): void {
    const { millisecondsLeft } = this.auth.call
    if (millisecondsLeft !== NO_DEADLINE) call.deadlineAt = this.runtime.recent[0]! + millisecondsLeft * 1_000
  }

  private wait(call: ServerCall, body: Mblk, size: number): void {
    const { decoder } = this.runner
    const { queue } = call.entry!
    const lane = call.lane!
    const mp = this.condense(body, size - decoder.left)
    decoder.abort()
    const now = this.runtime.recent[0]!
    call.beganAt = now
    call.isMeasured = true
    call.waitUntil = now + Math.min(this.settings.maxWaitMs * 1_000, this.patience(call, now))
    call.waitingBytes = heldBytes(mp)
    call.mp = mp
    if (queue.wait(lane, call)) return this.onWaiting()
    call.mp = null
    freemsg(mp)
    // To be refused it has to count as one that ran.
    queue.force(lane)
    this.runner.shed(call, 'shed-queue-full')
  }

  /**
   * How long a call may wait; microseconds. The head of a queue that is never empty has waited for as long as it may: if that were its caller's
   * whole time, whatever is begun would be done too late, and none of those that are not begun would be told in time.
   */
  private patience(call: ServerCall, now: number): number {
    return this.auth.session === null ? UNSAID_WAIT_US : (call.deadlineAt - now) / 2
  }

  /** The arguments alone, in blocks that they fill. @param mp - consumed */
  private condense(mp: Mblk, headerBytes: number): Mblk {
    adjmsg(mp, headerBytes)
    const rest = dropEmptyHead(mp)
    const size = messageBytes(rest)
    if (heldBytes(rest) <= size * LOOSE_RATIO) return rest
    const copy = allocb(this.runtime.arena, size)
    if (copy === null) return rest
    readMessage(rest, 0, copy.dblk.bytes, copy.wptr, size, 'stack')
    copy.wptr += size
    freemsg(rest)
    return copy
  }

  // ---- what is answered without being a call

  private answerFault(from: ServerChannel, envelope: Mblk | null, body: Mblk, fault: string): void {
    const { encoder } = this.runner
    const { xid } = this.header
    if (fault === 'call-credentials') return this.deny(from, envelope, body, AUTH_BADCRED)
    if (fault === 'call-verifier') return this.deny(from, envelope, body, AUTH_BADVERF)
    this.done(body)
    if (fault === 'call-rpc-version') {
      this.counters['denied-rpc-version']++
      return this.answer(from, envelope, () => writeRpcMismatch(encoder, xid))
    }
    if (envelope !== null) freemsg(envelope)
  }

  private deny(from: ServerChannel, envelope: Mblk | null, body: Mblk, status: number): void {
    this.done(body)
    this.counters['denied-auth']++
    this.answer(from, envelope, () => writeAuthError(this.runner.encoder, this.header.xid, status))
  }

  private answerUnknown(from: ServerChannel, envelope: Mblk | null, body: Mblk): void {
    const { dispatch, counters, runner, auth } = this
    const { encoder } = runner
    const { xid } = this.header
    this.done(body)
    if (dispatch.status === PROG_MISMATCH) {
      counters['prog-mismatch']++
      const { low, high } = dispatch
      return this.answer(from, envelope, () => writeProgramMismatch(encoder, xid, low, high, auth.verifier))
    }
    runner.countStatus(dispatch.status)
    this.answer(from, envelope, () => writeAccepted(encoder, xid, dispatch.status, auth.verifier))
  }

  /** @param envelope - consumed */
  private answer(from: ServerChannel, envelope: Mblk | null, write: () => void): void {
    const reply = this.runner.write(write)
    if (reply !== null) return from.reply(envelope, reply)
    this.counters['no-buffers']++
    if (envelope !== null) freemsg(envelope)
    else from.abort()
  }

  private done(body: Mblk): void {
    this.runner.decoder.abort()
    freemsg(body)
  }
}
