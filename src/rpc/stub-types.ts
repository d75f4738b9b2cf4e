/**
 * What generated stubs need of a runtime, and no more: `rpcgen` writes against these types, the client and the server of
 * `putnext/rpc` fit them, and a test fits them with ten lines.
 */
import type { RpcPrincipal } from './principal.ts'
import type { XdrCodec, XdrOpaque } from './xdr/index.ts'

/** One procedure of one version of a program, as both ends know it (RFC 5531 §7.2, §9). */
export interface RpcProcedure<A, R> {
  /** As in the interface file: `NFSPROC3_GETATTR`. For messages, metrics and traces. */
  readonly name: string
  readonly program: number
  readonly version: number
  readonly procedure: number
  /** Done twice it is as if done once (`@idempotent` in the interface file): a server need not remember its replies. */
  readonly isIdempotent: boolean
  /** Several arguments are one tuple, one after the other on the wire. */
  readonly argument: XdrCodec<A>
  readonly result: XdrCodec<R>
}

/** Of one call. */
export interface RpcCallOptions {
  /** Milliseconds until the caller gives up, retransmissions included; the caller's own default without it. */
  readonly timeoutMs?: number
  /** Ends the call when it aborts: as `refused` if it was not sent, else as `unknown`. The error's `cause` is the signal's reason. */
  readonly signal?: AbortSignal
}

/** What a client stub calls through: a binding to one server, whatever the transport. */
export interface RpcCaller {
  /**
   * @param argument - encoded before the promise is returned, so it may be changed then (but not what an `XdrOpaque` lends)
   * @returns the decoded result; views in it (`XdrOpaque`) are the caller's to free
   */
  call<A, R>(procedure: RpcProcedure<A, R>, argument: A, options?: RpcCallOptions): Promise<R>
}

/**
 * What a procedure may know of the call that it answers. It is good until the procedure is done (its promise settled): the
 * server uses it again for another call then.
 *
 * Views in the argument (`XdrOpaque`) are good for the same time: the server frees them when the answer is sent. Who keeps one
 * takes its message (`takeMessage`) or a view of its own (`dup`).
 */
export interface RpcContext {
  /** From 0 to 2^32-1. */
  readonly xid: number
  /** The peer's address and port as text, for messages and records. */
  readonly peer: string
  /** On whose behalf it is made. */
  readonly principal: RpcPrincipal
  /** When its caller gives up, in microseconds on the runtime's clock; null if it did not say. */
  readonly deadline: number | null
  /**
   * Aborted when nobody waits for the answer any more: the caller's deadline passed or it gave up, its connection is gone (unless it has a
   * session, and may come back for the answer), or the server stops. Made when it is first asked for.
   */
  readonly signal: AbortSignal
  /** Frees a view when the answer is sent: for a view that the program owns and answers with. */
  freeWithAnswer(view: XdrOpaque): void
}

/** What may be answered at once or later. */
export type Awaitable<T> = T | Promise<T>

/** A procedure and what answers it, its types forgotten: the codecs keep them right. */
export interface RpcHandler {
  readonly procedure: RpcProcedure<unknown, unknown>
  handle(argument: unknown, context: RpcContext): Awaitable<unknown>
}

/** One version of a program, to be registered with a server. */
export interface RpcService {
  /** The program's name in the interface file. */
  readonly name: string
  readonly program: number
  readonly version: number
  /** Procedure 0 need not be among them. */
  readonly handlers: readonly RpcHandler[]
}

/** Puts a procedure and its implementation into a dispatch table. */
export function rpcHandler<A, R>(
  procedure: RpcProcedure<A, R>,
  handle: (argument: A, context: RpcContext) => Awaitable<R>,
): RpcHandler {
  return { procedure, handle } as unknown as RpcHandler
}
