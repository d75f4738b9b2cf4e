import type { TcpConnection } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'

const CHARGEN_BYTES = 100_000
const CHUNK = new Uint8Array(8_192).fill(0x2e)

/** One connection and the program that has it. */
export class AttackedProgram {
  readonly connection: TcpConnection
  /** Read, and not yet sent back. */
  private waiting: Mblk | null = null
  private shut = false
  private ended = false

  constructor(connection: TcpConnection) {
    this.connection = connection
    connection.onClosed = () => this.close()
  }

  /** Returns what comes, without a copy. */
  echo(): this {
    const { connection } = this
    connection.onReadable = () => this.turnRound()
    connection.onWritable = () => this.turnRound()
    connection.onEnd = () => {
      this.ended = true
      this.turnRound()
    }
    return this
  }

  /** Says much, and ends. */
  chargen(): this {
    const { connection } = this
    let left = CHARGEN_BYTES
    const write = (): void => {
      while (left > 0 && !this.shut && connection.closeReason === null) {
        const taken = connection.write(CHUNK.subarray(0, Math.min(left, CHUNK.length)))
        if (taken === 0) return
        left -= taken
      }
      this.close()
    }
    connection.onWritable = write
    write()
    return this
  }

  /** Ends its own direction. */
  shutdown(): void {
    this.shut = true
    if (this.connection.closeReason === null) this.connection.shutdown()
  }

  close(): void {
    this.forget()
    this.connection.close()
  }

  abort(): void {
    this.forget()
    this.connection.abort()
  }

  private turnRound(): void {
    const { connection } = this
    for (;;) {
      const mp = this.waiting ?? connection.getmsg()
      this.waiting = null
      if (mp === null) {
        // All that came was returned.
        if (this.ended) this.close()
        return
      }
      try {
        if (connection.putmsg(mp)) continue
      } catch {
        // This direction was shut down, or all is over: the message is freed.
        continue
      }
      this.waiting = mp
      return
    }
  }

  private forget(): void {
    if (this.waiting !== null) freemsg(this.waiting)
    this.waiting = null
  }
}
