import { Prng } from '../../src/base/prng.ts'
import type { Clock } from '../../src/base/time.ts'
import { InetStack } from '../../src/inet/stack.ts'
import { TcpConnection } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'
import { Runtime } from '../../src/streams/runtime.ts'
import { Stream } from '../../src/streams/stream.ts'
import { type HostileLink, makeHostileLink } from './link.ts'

const CHUNK_BYTES = 4_096

/** An exchange with an echo service. */
export interface Exchange {
  done: boolean
  /** What went wrong, '' if nothing did yet. */
  error: string
}

/** A stack with memory of its own on the same link as the attacker: 10.77.1.1. */
export class HonestHost {
  /** Of the connection in progress: `own << 16 | remote`, which an attacker may know. */
  ports = 0
  private readonly runtime: Runtime
  private readonly stack: InetStack
  private readonly link: HostileLink
  private readonly arena = new Arena({ sizeBytes: 8 * 1024 * 1024 })

  /** @param send - takes every packet that this host sends; consumes it */
  constructor(seed: number, clock: Clock, send: (mp: Mblk) => void) {
    this.runtime = new Runtime({ arena: this.arena, clock, random: new Prng(seed) })
    this.stack = new InetStack(this.runtime)
    this.link = makeHostileLink({ onSent: send })
    const wire = Stream.open(this.runtime, this.link.driver, { name: 'honest' })
    this.stack.attachLink(wire, { name: 'tun0', addresses: ['10.77.1.1/24'] })
  }

  /** A packet for this host. @param mp - of the other stack's arena; consumed */
  receive(mp: Mblk): void {
    this.link.injectCopy(mp)
    freemsg(mp)
  }

  /** @returns whether work is left */
  turn(): boolean {
    return this.runtime.turn()
  }

  /** Sends bytes to an echo service, compares what comes back, and ends in order. */
  exchange(address: string, port: number, bytes: number): Exchange {
    const exchange: Exchange = { done: false, error: '' }
    const connection = TcpConnection.connect(this.runtime, { address, port })
    this.ports = (connection.local.port << 16) | port
    const chunk = new Uint8Array(CHUNK_BYTES)
    let [sent, got] = [0, 0]
    const write = (): void => {
      while (sent < bytes) {
        const size = Math.min(CHUNK_BYTES, bytes - sent)
        for (let i = 0; i < size; i++) chunk[i] = placeByte(sent + i)
        const taken = connection.write(chunk.subarray(0, size))
        sent += taken
        if (taken < size) return
      }
      connection.shutdown()
    }
    connection.onConnect = write
    connection.onWritable = write
    connection.onReadable = () => {
      for (let size = connection.fill(chunk, 0, CHUNK_BYTES); size > 0; ) {
        for (let i = 0; i < size; i++)
          if (chunk[i] !== placeByte(got + i)) exchange.error ||= `byte ${got + i} is another one`
        got += size
        size = connection.fill(chunk, 0, CHUNK_BYTES)
      }
    }
    connection.onEnd = () => {
      if (got !== bytes) exchange.error ||= `${got} of ${bytes} bytes came back`
      exchange.done = exchange.error === ''
      connection.close()
    }
    connection.onClosed = (reason, error) => {
      if (!exchange.done) exchange.error ||= `${reason}: ${error?.message ?? ''} after ${got} bytes`
      connection.close()
    }
    return exchange
  }

  /** What its connections know, for a message. */
  situation(): string {
    return JSON.stringify((this.stack.describe()['tcp'] as { connections: object[] }).connections)
  }

  close(): void {
    this.stack.close()
    for (const stream of [...this.runtime.streams]) stream.close()
    while (this.runtime.turn());
    this.link.release()
    this.arena.assertWhole()
  }
}

/** What stands at a place of the stream. */
const placeByte = (at: number): number => (Math.imul(at, 2_654_435_761) >>> 24) & 0xff
