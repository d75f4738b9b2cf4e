/** What a throughput test needs of a connection: bulk without copies, and a few bytes of control. */
import type { DatagramFigures } from './datagram-header.ts'

export interface EndName {
  readonly address: string
  readonly port: number
}

/** How a sender fares, from TCP's own bookkeeping. */
export interface SenderFigures {
  /** Segments sent again since the connection began. */
  readonly retransmits: number
  readonly cwndBytes: number
  readonly rttUs: number
}

/** One connection; callbacks are called by the stack, never from within a call. */
export interface BulkConnection {
  readonly local: EndName
  readonly remote: EndName
  onConnect: (() => void) | null
  onReadable: (() => void) | null
  onWritable: (() => void) | null
  /** The peer ended its data, and all of it was taken. */
  onEnd: (() => void) | null
  /** It is over; null if it ended in order. */
  onClosed: ((error: Error | null) => void) | null
  /** Copies bytes in. @returns bytes taken; wait for {@link onWritable} if fewer than given */
  write(bytes: Uint8Array): number
  /** Copies bytes that wait into `into`. @returns bytes, 0 if none wait */
  fill(into: Uint8Array, offset: number, length: number): number
  /** Throws away what waits. @returns bytes */
  drain(): number
  /**
   * Sends bytes of the shared block, without a copy.
   * @param size - at most {@link BulkNetwork.blockBytes}
   * @returns false if there is no room: wait for {@link onWritable}
   */
  sendShared(size: number): boolean
  /** null where nobody knows. */
  figures(): SenderFigures | null
  /** How the datagrams fared, of a stream that has any. */
  readonly datagrams?: DatagramFigures
  /** What came and went until now is not counted. */
  beginCounting?(): void
  close(): void
  abort(): void
}

/** Datagrams to and from one peer. */
export interface DatagramFlow {
  readonly local: EndName
  readonly remote: EndName
  /** The first bytes of a datagram, in memory that the next one uses again, and its size. */
  onDatagram: ((head: Uint8Array, size: number) => void) | null
  onWritable: (() => void) | null
  onError: ((error: Error) => void) | null
  /**
   * Sends a datagram: the head, and filling behind it up to `size` bytes.
   * @returns false if there is no room: wait for {@link onWritable}
   */
  send(head: Uint8Array, size: number): boolean
  close(): void
}

export interface DatagramListener {
  /** Somebody sent who did not before. @returns whether this is wanted; that datagram is then told by `onDatagram` */
  onFlow: ((flow: DatagramFlow) => boolean) | null
  close(): void
}

/** What connections are told to be like. */
export interface BulkSettings {
  readonly noDelay: boolean
  readonly maxSegment: number
  readonly windowBytes: number
}

export interface BulkListener extends EndName {
  onConnection: ((connection: BulkConnection) => void) | null
  close(): void
}

/** The stack that a test runs on. */
export interface BulkNetwork {
  /** Bytes that {@link BulkConnection.sendShared} can send at once. */
  readonly blockBytes: number
  /** Name of the congestion control. */
  readonly congestion: string
  /** @throws StackError */
  connect(address: string, port: number, settings: BulkSettings): BulkConnection
  /** @throws StackError */
  listen(port: number, address?: string): Promise<BulkListener>
  /** @throws StackError */
  openDatagrams(address: string, port: number): DatagramFlow
  /** @throws StackError `ERR_ADDR_IN_USE` */
  listenDatagrams(port: number, address?: string): Promise<DatagramListener>
  /** Changes a connection that was accepted. */
  apply(connection: BulkConnection, settings: BulkSettings): void
  /** Random bytes, for a cookie. */
  random(size: number): Uint8Array
  /** Gives back what tests shared. */
  close(): void
}
