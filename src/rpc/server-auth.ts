/** Who calls: credentials and verifiers (RFC 5531 §8, §9), checked before any argument is looked at. */
import { StackError } from '../base/errors.ts'
import { AUTH_NONE, AUTH_SHORT, AUTH_SYS, NO_AUTH, type OpaqueAuth, readSysAuth, shortAuth } from './auth.ts'
import type { CallHeader } from './message.ts'
import { NOBODY, type RpcPrincipal } from './principal.ts'
import type { Session } from './session.ts'
import type { OpenSession, SessionTable } from './session-table.ts'
import { AUTH_SESSION, readSessionRequest, SessionCall } from './session-wire.ts'
import {
  AUTH_BADCRED,
  AUTH_BADVERF,
  AUTH_FAILED,
  AUTH_OK,
  AUTH_REJECTEDCRED,
  isAuthStatus,
} from './status.ts'
import type { RpcProcedure } from './stub-types.ts'

/**
 * A server's own check, called for each call behind what the server knows by itself (AUTH_NONE, AUTH_SYS, AUTH_SHORT).
 *
 * @param known - whom the server finds by itself; null for a flavor that it does not know
 * @param procedure - null if there is no such
 * @returns on whose behalf the call is made, or the `auth_stat` to deny it with. To throw, or to answer anything else (a promise), is AUTH_FAILED
 */
export type Authenticate = (
  credentials: OpaqueAuth,
  verifier: OpaqueAuth,
  procedure: RpcProcedure<unknown, unknown> | null,
  known: RpcPrincipal | null,
) => RpcPrincipal | number

/** The credentials that a connection sent last, since it mostly sends the same again. */
export class LastCredentials {
  body = NO_AUTH.body
  principal: RpcPrincipal | null = null
}

/** One for a server; what {@link check} found is in its fields until the next. */
export class ServerAuth {
  principal: RpcPrincipal = NOBODY
  /** Of a call that is one of a session's: with {@link call}. */
  session: Session | null = null
  readonly call = new SessionCall()
  /** What goes back with the reply. */
  verifier: OpaqueAuth = NO_AUTH
  sessionsOpened = 0
  sessionsRefused = 0
  private readonly sessions: SessionTable
  private readonly hook: Authenticate | null
  private readonly onError: (error: unknown) => void

  constructor(sessions: SessionTable, hook: Authenticate | null, onError: (error: unknown) => void) {
    this.sessions = sessions
    this.hook = hook
    this.onError = onError
  }

  /**
   * @param now - microseconds
   * @returns AUTH_OK, or the `auth_stat` to deny the call with
   */
  check(
    last: LastCredentials,
    call: CallHeader,
    procedure: RpcProcedure<unknown, unknown> | null,
    now: number,
  ): number {
    const { credentials, verifier } = call
    this.session = null
    this.verifier = NO_AUTH
    let known: RpcPrincipal | null = null
    if (credentials.flavor === AUTH_NONE) known = NOBODY
    else if (credentials.flavor === AUTH_SYS) {
      known = this.readSys(last, credentials.body)
      if (known === null) return AUTH_BADCRED
    } else if (credentials.flavor === AUTH_SHORT) {
      const open = this.sessions.find(credentials.body, now)
      if (open === null) return AUTH_REJECTEDCRED
      if (!this.readVerifier(open, verifier)) return AUTH_BADVERF
      known = open.principal
    }
    if (this.hook !== null) {
      const found = this.ask(this.hook, call, procedure, known)
      if (typeof found === 'number') return found
      known = found
    }
    // A flavor that nobody here knows: of AUTH_TLS (RFC 9289 §4.1) this says that it is not spoken, and the client goes on without or not at all.
    if (known === null) return AUTH_BADCRED
    this.principal = known
    if (call.procedure === 0 && credentials.flavor === AUTH_SYS) this.answerRequest(known, now)
    return AUTH_OK
  }

  private readSys(last: LastCredentials, body: Uint8Array): RpcPrincipal | null {
    if (last.principal !== null && isSame(last.body, body)) return last.principal
    const sys = readSysAuth(body)
    if (sys === null) return null
    last.body = body
    last.principal = { flavor: AUTH_SYS, sys }
    return last.principal
  }

  /** A short hand may be used without a word of the session's calls: then it is short for the credentials, and no more. */
  private readVerifier(open: OpenSession, verifier: OpaqueAuth): boolean {
    if (verifier.flavor !== AUTH_SESSION) return true
    if (!this.call.read(verifier.body)) return false
    this.session = open.session
    return true
  }

  private ask(
    hook: Authenticate,
    { credentials, verifier }: CallHeader,
    procedure: RpcProcedure<unknown, unknown> | null,
    known: RpcPrincipal | null,
  ): RpcPrincipal | number | null {
    try {
      const found = hook(credentials, verifier, procedure, known)
      if (typeof found === 'number') return isAuthStatus(found) && found !== AUTH_OK ? found : AUTH_FAILED
      // A promise, or nothing at all, is not somebody: who cannot be told is nobody who may call.
      if (found === null || typeof found?.flavor === 'number') return found
      throw new StackError('ERR_BAD_ARGUMENT', 'authenticate answers a principal or an auth_stat, at once')
    } catch (error) {
      this.onError(error)
      return AUTH_FAILED
    }
  }

  private answerRequest(principal: RpcPrincipal, now: number): void {
    if (principal.sys === null) return
    const request = readSessionRequest(principal.sys)
    if (request === null) return
    const open = this.sessions.request(request, now)
    if (open === null) {
      this.sessionsRefused++
      return
    }
    this.sessionsOpened++
    this.verifier = shortAuth(open.handle)
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
