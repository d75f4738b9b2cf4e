/** A control connection: what is to be sent waits until there is room, what comes is handed on. */
import type { BulkConnection } from './bulk.ts'

const READ_BYTES = 16 * 1024
/** A peer that does not read does not make us hold more than this. */
const WAITING_BYTES_MAX = 2 * 1024 * 1024

export class ControlLink {
  readonly connection: BulkConnection
  private waiting: Uint8Array[] = []
  private waitingBytes = 0
  private closing = false

  /**
   * @param onBytes - what came, a copy
   * @param onEnd - the peer ended or broke it; called once, not after {@link close}
   */
  constructor(connection: BulkConnection, onBytes: (bytes: Uint8Array) => void, onEnd: () => void) {
    this.connection = connection
    let ended = false
    const end = (): void => {
      if (!ended && !this.closing) onEnd()
      ended = true
    }
    connection.onReadable = () => {
      const into = new Uint8Array(READ_BYTES)
      for (
        let size = connection.fill(into, 0, READ_BYTES);
        size > 0;
        size = connection.fill(into, 0, READ_BYTES)
      ) {
        if (this.closing) continue
        onBytes(into.slice(0, size))
      }
    }
    connection.onWritable = () => this.flush()
    connection.onEnd = end
    connection.onClosed = () => {
      end()
      connection.close()
    }
  }

  send(bytes: Uint8Array): void {
    this.waiting.push(bytes)
    this.waitingBytes += bytes.length
    if (this.waitingBytes > WAITING_BYTES_MAX) return this.connection.abort()
    this.flush()
  }

  private flush(): void {
    try {
      for (let first = this.waiting[0]; first !== undefined; first = this.waiting[0]) {
        const taken = this.connection.write(first)
        this.waitingBytes -= taken
        if (taken < first.length) {
          this.waiting[0] = first.subarray(taken)
          return
        }
        this.waiting.shift()
      }
      if (this.closing) this.connection.close()
    } catch {
      // It is over: `onClosed` tells.
      this.waiting = []
    }
  }

  /** Closes it when all has gone out. */
  close(): void {
    this.closing = true
    this.flush()
  }
}
