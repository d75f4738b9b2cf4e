/** The sessions of a server: bounded, each under a handle that nobody can guess, gone when nobody used it for a while. */
import { AUTH_NONE, AUTH_SYS } from './auth.ts'
import type { ReplyBudget } from './kept-reply.ts'
import type { RpcPrincipal } from './principal.ts'
import { Session, type SessionLimits, type SessionRecord } from './session.ts'
import {
  readSessionHandle,
  type SessionHandle,
  type SessionRequest,
  writeSessionHandle,
} from './session-wire.ts'

export interface SessionTableOptions extends SessionLimits {
  readonly maxSessions: number
  /** Microseconds without a call after which a session may go. */
  readonly idleUs: number
  /** 32 bits that nobody can guess, as an int32. */
  readonly secretWord: () => number
}

/** A session and what the server knows of whom it speaks for. */
export interface OpenSession {
  readonly session: Session
  readonly request: SessionRequest
  readonly principal: RpcPrincipal
  /** The body of its AUTH_SHORT. */
  readonly handle: Uint8Array
  readonly secret: Int32Array
}

const SECRET_WORDS = 4
/** Of the time after which an idle session goes, the part after which it may when there are as many as may be. */
const IDLE_PART = 4

export class SessionTable {
  /** Told of each call in the works that its client gave up. */
  onGivenUp: ((record: SessionRecord) => void) | null = null
  /** Sessions that went because nobody used them. */
  expired = 0
  private readonly options: SessionTableOptions
  private readonly budget: ReplyBudget
  private readonly bootHigh: number
  private readonly bootLow: number
  /** By number; in the order of {@link touch}. */
  private readonly open = new Map<number, OpenSession>()
  private readonly byClient = new Map<string, OpenSession>()
  private lastId: number

  /** @param budget - of the replies of all sessions */
  constructor(options: SessionTableOptions, budget: ReplyBudget) {
    this.options = options
    this.budget = budget
    this.bootHigh = options.secretWord() >>> 0
    this.bootLow = options.secretWord() >>> 0
    this.lastId = options.secretWord()
  }

  get size(): number {
    return this.open.size
  }

  /**
   * A client asks for a session. The same request again gets the same one.
   * @param now - microseconds
   * @returns null if there are as many as may be, all of them in use
   */
  request(request: SessionRequest, now: number): OpenSession | null {
    const key = keyOf(request)
    const known = this.byClient.get(key)
    if (known !== undefined) {
      this.touch(known, now)
      return known
    }
    if (this.open.size >= this.options.maxSessions && !this.makeRoom(now)) return null
    const entry = this.make(request, now)
    this.open.set(entry.session.id, entry)
    this.byClient.set(key, entry)
    return entry
  }

  /**
   * @param body - of credentials AUTH_SHORT
   * @returns null if it is no session of this server, or not any more: AUTH_REJECTEDCRED
   */
  find(body: Uint8Array, now: number): OpenSession | null {
    const handle = readSessionHandle(body)
    if (handle === null || handle.serverBootHigh !== this.bootHigh) return null
    if (handle.serverBootLow !== this.bootLow) return null
    const known = this.open.get(handle.session | 0)
    if (known === undefined || !isSecret(known.secret, handle.secret)) return null
    this.touch(known, now)
    return known
  }

  /** Lets go of sessions that nobody used for the time that is set. @returns when to look again, microseconds; null if never */
  expire(now: number): number | null {
    for (const entry of this.open.values()) {
      const due = entry.session.usedAt + this.options.idleUs
      if (due > now) return due
      if (entry.session.running > 0) this.touch(entry, now)
      else this.drop(entry)
    }
    return null
  }

  close(): void {
    for (const { session } of this.open.values()) session.close()
    this.open.clear()
    this.byClient.clear()
  }

  private make(request: SessionRequest, now: number): OpenSession {
    const { windowCalls, secretWord } = this.options
    this.lastId = (this.lastId + 1) | 0
    const secret = Int32Array.from({ length: SECRET_WORDS }, () => secretWord())
    const handle: SessionHandle = {
      serverBootHigh: this.bootHigh,
      serverBootLow: this.bootLow,
      session: this.lastId >>> 0,
      windowCalls,
      secret,
    }
    const session = new Session(this.lastId, request.clientId, request.boot, this.options, this.budget, now)
    session.onGivenUp = record => this.onGivenUp?.(record)
    const { credentials } = request
    const principal = { flavor: credentials === null ? AUTH_NONE : AUTH_SYS, sys: credentials }
    return { session, request, principal, handle: writeSessionHandle(handle), secret }
  }

  /** The order of the table is kept roughly: exact to an eighth of the time after which a session may go. */
  private touch(entry: OpenSession, now: number): void {
    const { session } = entry
    if (now - session.usedAt < this.options.idleUs / 8) return
    session.usedAt = now
    this.open.delete(session.id)
    this.open.set(session.id, entry)
  }

  /**
   * Of a session under which nothing was called nothing can be forgotten: a flood of requests ends the oldest of its own. Of the others one
   * may go that nobody used for a part of the time after which it goes anyway: its client, if it lives, gets another.
   */
  private makeRoom(now: number): boolean {
    this.expire(now)
    if (this.open.size < this.options.maxSessions) return true
    let idle: OpenSession | null = null
    for (const entry of this.open.values()) {
      const { session } = entry
      if (!session.isUsed) {
        this.drop(entry)
        return true
      }
      if (session.running > 0 || now - session.usedAt < this.options.idleUs / IDLE_PART) continue
      if (idle === null || session.usedAt < idle.session.usedAt) idle = entry
    }
    if (idle === null) return false
    this.drop(idle)
    return true
  }

  private drop(entry: OpenSession): void {
    this.open.delete(entry.session.id)
    this.byClient.delete(keyOf(entry.request))
    entry.session.close()
    this.expired++
  }
}

function keyOf(request: SessionRequest): string {
  return `${request.clientId}:${request.boot}`
}

/** Takes the same time wherever they differ. */
function isSecret(a: Int32Array, b: Int32Array): boolean {
  let difference = 0
  for (let i = 0; i < SECRET_WORDS; i++) difference |= a[i]! ^ b[i]!
  return difference === 0
}
