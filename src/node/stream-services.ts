/**
 * The standard small services on TCP: echo (RFC 862), discard (RFC 863), character generator (RFC 864). Nothing is copied: the
 * message that came is the message that goes back, and the characters are one block of memory for all connections.
 *
 * A connection that sends to echo and does not read fills its own windows and then waits: nothing piles up here. An idle
 * connection costs its callbacks and no buffer.
 */
import { type Counters, makeCounters } from '../base/counters.ts'
import { type TcpConnection, TcpListener } from '../socket/tcp-endpoint.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { canputnext } from '../streams/queue.ts'
import type { Runtime } from '../streams/runtime.ts'
import { PATTERN_BYTES, writePattern } from './chargen-pattern.ts'
import { PREPARED_BYTES_MAX, PreparedBlock } from './prepared-block.ts'
import type { SmallServicePorts } from './small-services.ts'

/** Whole repetitions of the pattern, so that blocks follow one another without a seam. */
const CHARGEN_BLOCK_BYTES = Math.floor(PREPARED_BYTES_MAX / PATTERN_BYTES) * PATTERN_BYTES
/** Connections of one service; the stack as a whole has its own limit. */
const CONNECTIONS_MAX = 262_144

const COUNTERS = [
  'tcp-echo-accepted',
  'tcp-discard-accepted',
  'tcp-chargen-accepted',
  'tcp-refused-full',
  'tcp-no-buffers',
] as const

export type StreamServiceCounters = Counters<(typeof COUNTERS)[number]>

export interface StreamServiceOptions {
  /** Connections that each service has at once. */
  readonly connectionsMax?: number
}

type ServiceName = 'echo' | 'discard' | 'chargen'

/**
 * What a connection calls, with itself as `this`: one set for all connections of a service, since four closures each would cost
 * as much as TCP's own record of an idle connection.
 */
interface Callbacks {
  readonly readable: (this: TcpConnection) => void
  readonly writable: ((this: TcpConnection) => void) | null
  readonly end: ((this: TcpConnection) => void) | null
  readonly closed: (this: TcpConnection) => void
}

export class StreamServices {
  readonly counters: StreamServiceCounters = makeCounters(COUNTERS)
  private readonly runtime: Runtime
  private readonly connectionsMax: number
  private readonly listeners: TcpListener[] = []
  private readonly connections: Record<ServiceName, Set<TcpConnection>> = {
    echo: new Set(),
    discard: new Set(),
    chargen: new Set(),
  }
  /** What echo took and could not send at once; hardly ever anything, since it looks for room first. */
  private readonly held = new Map<TcpConnection, Mblk>()
  /** Made for the first connection of the character generator, given back after the last. */
  private characters: PreparedBlock | null = null

  /**
   * Starts the services that have a port, on all addresses of both families.
   * @throws StackError `ERR_ADDR_IN_USE`; none is started then
   */
  constructor(runtime: Runtime, ports: SmallServicePorts, options: StreamServiceOptions = {}) {
    this.runtime = runtime
    this.connectionsMax = options.connectionsMax ?? CONNECTIONS_MAX
    try {
      this.listen('echo', ports.echo, this.echo())
      this.listen('discard', ports.discard, this.discard())
      this.listen('chargen', ports.chargen, this.generate())
    } catch (error) {
      this.close()
      throw error
    }
  }

  private listen(name: ServiceName, port: number | null, callbacks: Callbacks): void {
    if (port === null) return
    const listener = TcpListener.open(this.runtime, { port })
    this.listeners.push(listener)
    listener.onConnection = () => {
      for (let conn = listener.accept(); conn !== null; conn = listener.accept())
        this.accept(name, conn, callbacks)
    }
  }

  private accept(name: ServiceName, conn: TcpConnection, callbacks: Callbacks): void {
    const connections = this.connections[name]
    if (connections.size >= this.connectionsMax) {
      this.counters['tcp-refused-full']++
      return conn.abort()
    }
    this.counters[`tcp-${name}-accepted`]++
    connections.add(conn)
    conn.onReadable = callbacks.readable
    conn.onWritable = callbacks.writable
    conn.onEnd = callbacks.end
    conn.onClosed = callbacks.closed
    if (name === 'chargen') this.pump(conn)
  }

  private forget(name: ServiceName, conn: TcpConnection): void {
    conn.close()
    if (!this.connections[name].delete(conn)) return
    const held = this.held.get(conn)
    if (held !== undefined) freemsg(held)
    this.held.delete(conn)
    if (name !== 'chargen' || this.connections.chargen.size > 0) return
    this.characters?.free()
    this.characters = null
  }

  /** RFC 862: what came goes back, until the peer has ended and has all of it. */
  private echo(): Callbacks {
    const services = this
    return {
      readable() {
        services.reflect(this)
      },
      writable() {
        services.reflect(this)
      },
      end() {
        if (!services.held.has(this)) this.shutdown()
      },
      closed() {
        services.forget('echo', this)
      },
    }
  }

  private reflect(conn: TcpConnection): void {
    // It was reset, and what still waits in front of that news goes nowhere.
    if (conn.closeReason !== null) return drain(conn)
    const late = this.held.get(conn)
    if (late !== undefined) {
      if (!conn.putmsg(late)) return
      this.held.delete(conn)
    }
    // What is not taken stays in the receive window, and the peer stops.
    const down = conn.stream.top.other
    while (canputnext(down)) {
      const mp = conn.getmsg()
      if (mp === null) break
      if (conn.putmsg(mp)) continue
      this.held.set(conn, mp)
      return
    }
    if (late !== undefined && conn.ended) conn.shutdown()
  }

  /** RFC 863. */
  private discard(): Callbacks {
    const services = this
    return {
      readable: drainThis,
      writable: null,
      end() {
        this.shutdown()
      },
      closed() {
        services.forget('discard', this)
      },
    }
  }

  /** RFC 864: characters without end; what the peer says is thrown away, and when it has no more to say they still come. */
  private generate(): Callbacks {
    const services = this
    return {
      readable: drainThis,
      writable() {
        services.pump(this)
      },
      end: null,
      closed() {
        services.forget('chargen', this)
      },
    }
  }

  private pump(conn: TcpConnection): void {
    this.characters ??= PreparedBlock.make(this.runtime.arena, CHARGEN_BLOCK_BYTES, (bytes, at, size) => {
      writePattern(bytes, at, size, 0)
    })
    const { characters } = this
    if (characters === null) return this.giveUp(conn)
    while (conn.closeReason === null) {
      const mp = characters.share()
      if (mp === null) return this.giveUp(conn)
      if (conn.putmsg(mp)) continue
      return freemsg(mp)
    }
  }

  private giveUp(conn: TcpConnection): void {
    this.counters['tcp-no-buffers']++
    conn.abort()
    this.forget('chargen', conn)
  }

  /** Ends the services and what they serve. */
  close(): void {
    for (const listener of this.listeners) listener.close()
    for (const name of ['echo', 'discard', 'chargen'] as const) {
      for (const conn of [...this.connections[name]]) {
        conn.abort()
        this.forget(name, conn)
      }
    }
  }
}

function drainThis(this: TcpConnection): void {
  drain(this)
}

function drain(conn: TcpConnection): void {
  for (let mp = conn.getmsg(); mp !== null; mp = conn.getmsg()) freemsg(mp)
}
