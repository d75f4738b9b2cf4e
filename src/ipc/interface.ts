/** What `putnext/ipc` promises to a program: a stack that lives in another process, behind a Unix socket. */
import type { StackError } from '../base/errors.ts'
import type { Shim } from '../host/shim.ts'
import type { Runtime } from '../streams/runtime.ts'

export interface AttachOptions {
  /**
   * Share the node's memory: descriptors pass, no bytes. The node must allow it (`--ipc-mapped`), and run as the same user; it trusts
   * this process like a thread of its own. All connections of a client share 2 MiB of blocks to send from, and 16 MiB of blocks that came and
   * were not freed: beyond that, data waits. False by default: bytes pass through the socket.
   */
  readonly mapped?: boolean
  /**
   * Bytes of this process's own memory for packets, 32 MiB by default, 1 MiB to 2 GiB; of no concern to a mapped client. What came and was
   * not read yet lies there.
   */
  readonly arenaBytes?: number
  /** How long the node may take to answer, in milliseconds; 5,000 by default. */
  readonly timeoutMs?: number
  /** Loaded by default. */
  readonly shim?: Shim
}

/** What passed through the port so far, at this end. Bytes of copies are in `runtime.arena.copies` (`ipc`, `ipc-kernel`). */
export interface PortCounters {
  /** System calls that wrote, and that read; 0 of a mapped port. */
  readonly writes: number
  readonly reads: number
  /** Of a mapped port: how often the other process had to be woken, a system call each. */
  readonly wakes: number
  readonly 'frames-out': number
  readonly 'frames-in': number
  readonly 'bytes-out': number
  readonly 'bytes-in': number
  /** Connections that were ended since a message could be neither cut nor sent: too many views of blocks were alive. */
  readonly 'no-views': number
  /** Datagrams that came through the port and were dropped: no block was left for them. */
  readonly 'no-buffers': number
}

/**
 * A program's end of the port. It is a `SocketHost`: `netOn(client)`, `createServer(client, …)`, `connect(client, …)` of `putnext/net`,
 * `createSocket(client, …)` of `putnext/dgram`, and `TcpConnection.connect`, `TcpListener.open` and `UdpEndpoint.open` with `client.runtime` work as on
 * a stack of its own, save what the guide on sockets names.
 */
export interface IpcClient extends AsyncDisposable {
  readonly runtime: Runtime
  readonly mapped: boolean
  /** Of the node, as it says. */
  readonly node: { readonly name: string; readonly version: string; readonly pid: number }
  readonly counters: PortCounters
  /** Called once if the port breaks off: the node ended, or ended this client. Its streams hear it as `ERR_CONN_RESET`. */
  onDown: ((error: StackError) => void) | null
  /** As a handle of Node's: whether the port alone keeps the program running. It does at first. */
  ref(): void
  unref(): void
  /** Gives the port up: connections that were closed in order go on in the node until their data is out, the others are reset. Twice is harmless. */
  close(): Promise<void>
}
