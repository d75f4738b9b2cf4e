/**
 * What carries RPC messages: a connection with `rpcmod` pushed on it, or a UDP endpoint, of whatever stack. Clients and servers
 * know this interface and no other; retrying, matching and remembering are theirs.
 */
import type { StackError } from '../base/errors.ts'
import type { BorrowedMblk, Mblk } from '../streams/mblk/mblk.ts'
import type { Runtime } from '../streams/runtime.ts'

/**
 * All callbacks are called by the run queue of {@link runtime}, never from within a call. What is not received stays where it is, and
 * closes the window of a peer that has one.
 */
export interface RpcChannel {
  readonly runtime: Runtime
  /** What is sent arrives once and in order, or the channel ends. Otherwise messages may be lost, doubled and overtaken. */
  readonly isStream: boolean
  /** Of a channel with one peer its address and port, else where it listens: for people. */
  readonly name: string
  /** The longest message that may be sent. */
  readonly maxMessageBytes: number
  /** Whether there is a peer: from the first on, but for a connection that is being made. What is sent before waits. */
  readonly isOpen: boolean
  /** Called once when a connection that is being made {@link isOpen}. */
  onOpen: (() => void) | null
  /** Called when messages wait and none did when it was last called, and when it is set: receive until null, or pause. */
  onReadable: (() => void) | null
  /** Called when a message that was refused may be sent again. */
  onWritable: (() => void) | null
  /** Called once if it can be used no more; not after {@link close}. Null: the peer ended in order. */
  onClosed: ((error: StackError | null) => void) | null
  /** Told what does not end it: of a datagram channel that a message did not arrive (`ERR_CONN_REFUSED`: nobody listens there). */
  onTrouble: ((error: StackError) => void) | null
  /**
   * Takes the next message.
   * @returns an owned chain of M_DATA, on a datagram channel behind its envelope (see {@link takeEnvelope}); null if none waits
   */
  receive(): Mblk | null
  /**
   * Sends a message to the peer of a channel that has one.
   * @param mp - M_DATA, consumed if the answer is true; the caller's if it is false: wait for {@link onWritable}
   * @throws StackError if the channel is down; `mp` is freed then
   */
  send(mp: Mblk): boolean
  /**
   * Answers a message.
   * @param envelope - of the message that is answered; null on a stream. Consumed, and `mp`, if the answer is true
   * @throws StackError as {@link send}; both are freed then
   */
  reply(envelope: Mblk | null, mp: Mblk): boolean
  /** Who sent a message: address and port, for people. @param envelope - borrowed; null on a stream */
  peerOf(envelope: BorrowedMblk | null): string
  /** Sends what was taken, then ends. Twice is harmless. */
  close(): void
  /** Ends at once. */
  abort(): void
}

/** Takes the envelope, which says where a datagram came from, off a message. @returns the rest, owned; null if there is none */
export function takeEnvelope(envelope: Mblk): Mblk | null {
  const body = envelope.cont
  envelope.cont = null
  return body
}
