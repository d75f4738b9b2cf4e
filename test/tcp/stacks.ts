/** One stack with its loopback, or two joined by a wire, in time that the test moves: for tests of TCP from program to program. */
import { Prng } from '../../src/base/prng.ts'
import { type Duration, ManualClock } from '../../src/base/time.ts'
import { makeWire, type WireOptions } from '../../src/driver/wire.ts'
import { InetStack } from '../../src/inet/stack.ts'
import type { TcpSettings } from '../../src/inet/tcp/settings.ts'
import { TcpConnection, TcpListener } from '../../src/socket/tcp-endpoint.ts'
import { Arena, type ArenaOptions } from '../../src/streams/mblk/arena.ts'
import { Runtime, type StackEvent } from '../../src/streams/runtime.ts'
import { Stream } from '../../src/streams/stream.ts'

export interface Side {
  readonly runtime: Runtime
  readonly stack: InetStack
  /** Stream of its link; null where the only link is the loopback. */
  readonly link: Stream | null
  readonly address: string
  readonly address6: string
  readonly events: StackEvent[]
}

export interface StacksOptions {
  readonly arena?: ArenaOptions
  readonly tcp?: Partial<TcpSettings>
  readonly wire?: WireOptions
}

const TURNS_MAX = 1_000_000

export class TcpStacks {
  readonly arena: Arena
  readonly clock = new ManualClock(1_000_000)
  readonly client: Side
  readonly server: Side
  private readonly sides: readonly Side[]

  /** @param how - `loopback`: client and server are the same stack */
  constructor(how: 'loopback' | 'wire', options: StacksOptions = {}) {
    this.arena = new Arena({ sizeBytes: 32 * 1024 * 1024, poison: true, ...options.arena })
    if (how === 'loopback') {
      this.client = this.server = this.makeSide(1, options, '127.0.0.1', '::1', null)
      this.sides = [this.client]
    } else {
      const [one, two] = makeWire(options.wire)
      this.client = this.makeSide(1, options, '10.77.0.1', 'fd77::1', one)
      this.server = this.makeSide(2, options, '10.77.0.2', 'fd77::2', two)
      this.sides = [this.client, this.server]
    }
    this.settle()
  }

  private makeSide(
    seed: number,
    options: StacksOptions,
    address: string,
    address6: string,
    driver: ReturnType<typeof makeWire>[number] | null,
  ): Side {
    const events: StackEvent[] = []
    const runtime = new Runtime({
      arena: this.arena,
      clock: this.clock,
      random: new Prng(seed),
      onEvent: event => events.push(event),
    })
    const stack = new InetStack(runtime, options.tcp === undefined ? {} : { tcp: options.tcp })
    let link: Stream | null = null
    if (driver !== null) {
      link = Stream.open(runtime, driver, { name: 'wire0' })
      stack.attachLink(link, { name: 'wire0', addresses: [`${address}/24`, `${address6}/64`] })
    }
    return { runtime, stack, link, address, address6, events }
  }

  /** Runs until nothing is left to do at this moment. */
  settle(): void {
    for (let i = 0; i < TURNS_MAX; i++) {
      let more = false
      for (const side of this.sides) more = side.runtime.turn() || more
      if (more || this.sides.some(side => !side.runtime.scheduler.idle)) continue
      return
    }
    throw new Error(`the run queues were not empty after ${TURNS_MAX} turns`)
  }

  /** Moves time, stopping at every deadline on the way. */
  advance(ms: number): void {
    const end = this.clock.now() + ms * 1_000
    this.settle()
    for (let at = this.nextDeadline(); at !== null && at <= end; at = this.nextDeadline()) {
      this.clock.advance(Math.max(0, at - this.clock.now()) as Duration)
      this.settle()
    }
    this.clock.advance((end - this.clock.now()) as Duration)
    this.settle()
  }

  /** Lets time pass until something is so. @throws Error after `limitMs` */
  until(done: () => boolean, limitMs = 60_000): void {
    const end = this.clock.now() + limitMs * 1_000
    this.settle()
    while (!done()) {
      const at = this.nextDeadline()
      if (at === null || at > end) throw new Error('it did not come to pass')
      this.clock.advance(Math.max(0, at - this.clock.now()) as Duration)
      this.settle()
    }
  }

  private nextDeadline(): number | null {
    let earliest: number | null = null
    for (const { runtime } of this.sides) {
      const at = runtime.timers.pollAt()
      if (at !== null && (earliest === null || at < earliest)) earliest = at
    }
    return earliest
  }

  listen(port = 7_000, address?: string): TcpListener {
    return TcpListener.open(this.server.runtime, { port, ...(address === undefined ? {} : { address }) })
  }

  connect(port = 7_000, address = this.server.address): TcpConnection {
    return TcpConnection.connect(this.client.runtime, { address, port })
  }

  /** A connection, established and accepted. */
  pair(address = this.server.address): {
    client: TcpConnection
    server: TcpConnection
    listener: TcpListener
  } {
    const listener = this.listen(0)
    const client = this.connect(listener.local.port, address)
    this.settle()
    const server = listener.accept()
    if (server === null) throw new Error('nothing came to be accepted')
    this.settle()
    return { client, server, listener }
  }

  /** Closes everything and checks that every block came home. */
  finish(): void {
    for (const { stack } of this.sides) stack.close()
    this.settle()
    for (const { runtime } of this.sides) for (const stream of [...runtime.streams]) stream.close()
    this.settle()
    this.arena.assertWhole()
  }
}
