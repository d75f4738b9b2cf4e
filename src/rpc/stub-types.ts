/**
 * What generated stubs need of a runtime, and no more: `rpcgen` writes against these types, the client and the server of
 * `putnext/rpc` fit them, and a test fits them with ten lines.
 */
import type { XdrCodec } from './xdr/index.ts'

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

export interface RpcCallOptions {
  /** Milliseconds until the caller gives up, retransmissions included; the caller's own default without it. */
  readonly timeoutMs?: number
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

/** What a procedure may know of the call that it answers. */
export interface RpcContext {
  readonly xid: number
  /** The peer's address as text, for messages and records. */
  readonly peer: string
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

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
  readonly handlers: readonly RpcHandler[]
}

/** Puts a procedure and its implementation into a dispatch table. */
export function rpcHandler<A, R>(
  procedure: RpcProcedure<A, R>,
  handle: (argument: A, context: RpcContext) => Awaitable<R>,
): RpcHandler {
  return { procedure, handle } as unknown as RpcHandler
}
