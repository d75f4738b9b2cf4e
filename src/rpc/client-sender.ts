/** Writes calls and sends them: the ones that wait, in order, and the ones that are due again. */
import type { Counters } from '../base/counters.ts'
import { StackError } from '../base/errors.ts'
import { dupmsg, freemsg } from '../streams/mblk/alloc.ts'
import type { Runtime } from '../streams/runtime.ts'
import { type Call, encodeCall, renewHeader } from './client-call.ts'
import type { ClientConnection } from './client-connection.ts'
import { type ClientCore, FREE } from './client-core.ts'
import type { ClientSession } from './client-session.ts'
import { type RpcError, refused } from './outcome.ts'
import { XdrEncoder } from './xdr/index.ts'

export const SENDER_COUNTERS = ['transmissions', 'retransmissions', 'no-buffers'] as const

/** How long to wait when no block of memory is left and nobody will say when there is. */
const NO_MEMORY_US = 5_000
/** A call of a session that waited for longer gets a new header: its deadline is nearer than the old one says. */
const STALE_US = 5_000

/** What a sender stands on. */
export interface SenderParts {
  readonly runtime: Runtime
  readonly core: ClientCore<Call>
  readonly session: ClientSession
  readonly connection: ClientConnection
  readonly counters: Counters<(typeof SENDER_COUNTERS)[number]>
  readonly isStream: boolean
  readonly maxMessageBytes: number
  /** Ends a call that cannot be sent. */
  readonly failed: (call: Call, error: RpcError) => void
}

export class ClientSender {
  readonly encoder: XdrEncoder
  /** The channel took no message, and will say when it does. */
  blocked = false
  /** No block was left: it is tried again when the timer comes. */
  private isShort = false
  private readonly parts: SenderParts
  /** A codec is at work: what it calls is sent behind what it encodes. */
  isEncoding = false

  constructor(parts: SenderParts) {
    this.parts = parts
    this.encoder = new XdrEncoder(parts.runtime.arena)
  }

  /** There is a channel that takes calls, and it is known under which credentials they go. */
  get isFlowing(): boolean {
    return this.parts.connection.isUp && this.parts.session.isReady
  }

  /** Encodes a call that was begun. @throws XdrError, what a codec throws; StackError `ERR_MSG_TOO_LONG` */
  encode(call: Call, argument: unknown): void {
    // A getter of the argument may call, too.
    const xdr = this.isEncoding ? new XdrEncoder(this.parts.runtime.arena) : this.encoder
    const isOuter = !this.isEncoding
    this.isEncoding = true
    try {
      encodeCall(
        xdr,
        call,
        this.parts.session,
        this.parts.core.oldestXid,
        call.dueAt - call.beganAt,
        argument,
      )
      if (xdr.size > this.parts.maxMessageBytes) throw tooLong(xdr.size, this.parts.maxMessageBytes)
      const message = xdr.finish()
      if (call.state === FREE) {
        freemsg(message)
        throw new StackError('ERR_STREAM_CLOSED', 'the client was closed')
      }
      call.message = message
    } catch (error) {
      xdr.abort()
      throw error
    } finally {
      if (isOuter) this.isEncoding = false
    }
  }

  /** Sends what waits and may go. The timer is to be set behind it. */
  flush(): void {
    const { core } = this.parts
    core.windowCalls = this.parts.session.windowCalls
    for (let call = core.nextToSend(); call !== null && !this.blocked; call = core.nextToSend()) {
      if (!this.transmit(call) && (this.blocked || !this.isFlowing)) return
    }
  }

  /** @returns false if it was not sent: it waits, or it is over */
  transmit(call: Call): boolean {
    const { channel } = this.parts.connection
    if (channel === null) return false
    let again = true
    try {
      this.bringUpToDate(call)
      again = !this.parts.isStream || call.inSession || call.procedure.isIdempotent
      const mp = again ? dupmsg(call.message!) : call.message!
      if (mp === null) return this.outOfMemory()
      if (!channel.send(mp)) {
        if (mp !== call.message) freemsg(mp)
        this.blocked = true
        return false
      }
      if (mp === call.message) call.message = null
    } catch (error) {
      return this.notSent(call, again, error)
    }
    this.parts.counters.transmissions++
    if (call.metrics !== null) call.metrics.counters.transmissions++
    if (call.transmissions > 0) this.parts.counters.retransmissions++
    this.parts.core.sent(call, this.parts.runtime.recent[0]!)
    return true
  }

  /** A call that was never sent, or may run twice, goes under the session as it is now; any other only under the one that it went under. */
  private bringUpToDate(call: Call): void {
    if (call.asksForSession || (call.transmissions > 0 && !call.procedure.isIdempotent)) return
    const { session, core } = this.parts
    const now = this.parts.runtime.recent[0]!
    // A call that waited for the window to move has to say that it did: by what it says the server decides.
    const isBeyond = ((call.xid - call.oldestSaid) | 0) >= session.windowCalls
    const isStale = call.inSession && (isBeyond || now - call.beganAt > STALE_US)
    if (call.epoch === session.epoch && !isStale) return
    renewHeader(this.encoder, call, session, core.oldestXid, call.dueAt - now)
  }

  private outOfMemory(): boolean {
    this.parts.counters['no-buffers']++
    this.blocked = true
    this.isShort = true
    this.parts.core.nextDueAt = Math.min(
      this.parts.core.nextDueAt,
      this.parts.runtime.recent[0]! + NO_MEMORY_US,
    )
    return false
  }

  /** Nobody says when there is memory: the time has come to look. */
  tryMemoryAgain(): void {
    if (this.isShort) this.blocked = false
    this.isShort = false
  }

  /** @param error - of a channel that is going down, which its `onClosed` will tell; or no block was left */
  private notSent(call: Call, again: boolean, error: unknown): boolean {
    if (!(error instanceof StackError)) throw error
    if (error.code === 'ERR_NO_BUFFERS') return this.outOfMemory()
    this.blocked = true
    if (again) return false
    call.message = null
    this.parts.failed(
      call,
      refused(error.code, call.procedure.name, `it could not be sent: ${error.message}`, error),
    )
    return false
  }
}

function tooLong(size: number, most: number): StackError {
  return new StackError('ERR_MSG_TOO_LONG', `a call of ${size} bytes is too long, ${most} are allowed`, {
    hint: 'over TCP the limit is maxMessageBytes, over UDP what a datagram has',
  })
}
