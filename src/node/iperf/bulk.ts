/** What a throughput test needs of a connection: bulk without copies, and a few bytes of control. */

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
  close(): void
  abort(): void
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
  /** Changes a connection that was accepted. */
  apply(connection: BulkConnection, settings: BulkSettings): void
  /** Random bytes, for a cookie. */
  random(size: number): Uint8Array
  /** Gives back what tests shared. */
  close(): void
}
