/**
 * A client's half of a session: under which credentials calls go, and whether they may go. See `session-wire.ts` for what both halves say.
 *
 * A client that wants no session is ready from the first. One that wants one asks when it has a channel; a server that gives none is served
 * as any client does, unless it has to be one: then nothing is sent, and the next call asks again. A session that the server does not know any more is asked for anew, and every call belongs to the epoch under which it was sent.
 */
import { assert } from '../base/assert.ts'
import type { Random } from '../base/prng.ts'
import { AUTH_SHORT, AUTH_SYS, NO_AUTH, type OpaqueAuth, readSysAuth, shortAuth } from './auth.ts'
import { NO_DEADLINE, readSessionHandle, SessionVerifier, sessionRequest } from './session-wire.ts'

/** Nothing was asked yet, or what there was is lost; asked; given; this server has none. */
type State = 'none' | 'asking' | 'bound' | 'without'

const WINDOW_WITHOUT = 0x7fff_ffff
/** Keeps milliseconds from being taken for {@link NO_DEADLINE}. */
const LONGEST_MS = 0xffff_fffe

export class ClientSession {
  /** 32 hexadecimal digits. */
  readonly clientId: string
  /** Of calls from now on. */
  credentials: OpaqueAuth
  /** Counts up when {@link credentials} changes. */
  epoch = 0
  /** How far the xids of outstanding calls may reach. */
  windowCalls = WINDOW_WITHOUT
  private state: State
  private readonly isRequired: boolean
  private boot: number
  private readonly plain: OpaqueAuth
  private readonly sessionVerifier = new SessionVerifier()

  /** @param wanted - whether to ask for one; @param credentials - AUTH_NONE or AUTH_SYS if it is wanted */
  constructor(wanted: boolean | 'required', credentials: OpaqueAuth, random: Random) {
    this.state = wanted === false ? 'without' : 'none'
    this.isRequired = wanted === 'required'
    this.plain = credentials
    this.credentials = credentials
    this.boot = random.int32()
    this.clientId = Array.from({ length: 4 }, () => hex(random.int32())).join('')
  }

  /** Calls run once at the most from now on. */
  get isBound(): boolean {
    return this.state === 'bound'
  }

  /** Calls may be sent. */
  get isReady(): boolean {
    return this.state === 'bound' || this.state === 'without'
  }

  get isToBeAsked(): boolean {
    return this.state === 'none'
  }

  /** @returns the credentials of the call that asks for a session */
  ask(): OpaqueAuth {
    assert(this.state === 'none', 'a session is asked for once')
    this.state = 'asking'
    this.boot = (this.boot + 1) | 0
    const { clientId, boot, plain } = this
    const credentials = plain.flavor === AUTH_SYS ? readSysAuth(plain.body) : null
    return sessionRequest({ clientId, boot, credentials })
  }

  /** The server answered. @param verifier - of its reply; null if it denied or failed */
  answered(verifier: OpaqueAuth | null): void {
    assert(this.state === 'asking', 'an answer to what was asked')
    this.epoch++
    const handle = verifier?.flavor === AUTH_SHORT ? readSessionHandle(verifier.body) : null
    if (verifier === null || handle === null) {
      this.state = this.isRequired ? 'none' : 'without'
      this.credentials = this.plain
      this.windowCalls = WINDOW_WITHOUT
      return
    }
    this.state = 'bound'
    this.credentials = shortAuth(verifier.body)
    this.windowCalls = Math.min(handle.windowCalls, WINDOW_WITHOUT)
  }

  /** No answer came: it may be asked again. */
  unanswered(): void {
    if (this.state === 'asking') this.state = 'none'
  }

  /** The server does not know the session. @param epoch - under which the call was sent that it refused: an older one says nothing of this */
  rejected(epoch: number): void {
    if (epoch === this.epoch && this.state === 'bound') this.state = 'none'
  }

  /** Of a call that is about to be encoded: one object, good until the next. @param leftUs - until its deadline */
  verifier(oldestXid: number, leftUs: number): OpaqueAuth {
    if (this.state !== 'bound') return NO_AUTH
    const ms = Math.max(0, leftUs / 1_000)
    this.sessionVerifier.set(
      oldestXid,
      ms === Number.POSITIVE_INFINITY ? NO_DEADLINE : Math.min(LONGEST_MS, ms),
    )
    return this.sessionVerifier
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0')
}
