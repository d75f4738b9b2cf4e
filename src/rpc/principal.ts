/** On whose behalf a call is made. */
import type { SysCredentials } from './auth.ts'

/**
 * Whom a call's credentials name. Only what a hook of the server's found is vouched for by anybody: AUTH_SYS is what the
 * caller says of itself.
 */
export interface RpcPrincipal {
  /** Of the credentials it was found by; of a session those it was asked for with. */
  readonly flavor: number
  /** With AUTH_SYS; else null. */
  readonly sys: SysCredentials | null
  /** What a hook of the server's makes of it. */
  readonly name?: string
}

/** Nobody: AUTH_NONE. */
export const NOBODY: RpcPrincipal = { flavor: 0, sys: null }
