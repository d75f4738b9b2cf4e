/** The kernel's sockets as a host of sockets: `putnext/kernel`. */
import type { Keepalive, SocketHost } from '../socket/host.ts'
import { makeHangup } from '../streams/condition.ts'
import { Arena } from '../streams/mblk/arena.ts'
import { putnext } from '../streams/putnext.ts'
import type { Runtime } from '../streams/runtime.ts'
import { KernelLoop } from './loop.ts'
import { type KernelCounters, KernelSockets } from './sockets.ts'
import { tcpDriver } from './tcp-driver.ts'
import { udpDriver } from './udp-driver.ts'

const ARENA_BYTES = 32 * 1024 * 1024
/** How long `close` waits for the kernel to take what was written. */
const CLOSE_MS = 1_000
/** Turns of the event loop in which programs hear that it ends. */
const HANGUP_TURNS = 16
/** As long as a timer may be. */
const FOREVER_MS = 2 ** 31 - 1

export interface KernelHostOptions {
  /** Bytes of memory for what is written, 32 MiB by default. What comes in lies in Node's. */
  readonly arenaBytes?: number
  /** For tests: see `ArenaOptions.poison`. */
  readonly poison?: boolean
}

/**
 * A host whose drivers `tcp` and `udp` are the kernel's sockets: `TcpConnection.connect(host.runtime, …)`, `TcpListener.open`,
 * `UdpEndpoint.open` and what stands on them work as on a stack of this project, save what the guide on sockets names.
 */
export interface KernelHost extends SocketHost, AsyncDisposable {
  readonly runtime: Runtime
  readonly keepalive: Keepalive
  readonly counters: Readonly<KernelCounters>
  /** As with handles of Node's: whether open sockets keep the program running. They do at first; `keepalive` counts beside them. */
  ref(): void
  unref(): void
  /** Closes all streams, whose programs are told (`ERR_HANGUP`); connections that were closed in order get a second for what was written, the others are reset. Twice is harmless. */
  close(): Promise<void>
}

class Host implements KernelHost {
  readonly runtime: Runtime
  readonly keepalive: Keepalive
  private readonly loop: KernelLoop
  private readonly sockets: KernelSockets
  private holds = 0
  private holder: NodeJS.Timeout | null = null
  private closing: Promise<void> | null = null

  constructor({ arenaBytes = ARENA_BYTES, poison = false }: KernelHostOptions) {
    this.loop = new KernelLoop(new Arena({ sizeBytes: arenaBytes, poison }))
    this.runtime = this.loop.runtime
    this.sockets = new KernelSockets(this.loop)
    this.keepalive = { ref: () => this.hold(1), unref: () => this.hold(-1) }
    this.runtime.registry.register(tcpDriver(this.sockets))
    this.runtime.registry.register(udpDriver(this.sockets))
  }

  get counters(): Readonly<KernelCounters> {
    return this.sockets.counters
  }

  private hold(more: 1 | 0 | -1): void {
    this.holds += more
    // Of a host that is closed there is nothing that a program could wait for.
    if (this.holds > 0 && !this.isClosed) this.holder ??= setInterval(() => {}, FOREVER_MS)
    else if (this.holder !== null) {
      clearInterval(this.holder)
      this.holder = null
    }
  }

  ref(): void {
    this.sockets.ref(true)
  }

  unref(): void {
    this.sockets.ref(false)
  }

  get isClosed(): boolean {
    return this.closing !== null
  }

  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<void> {
    const { loop, runtime, sockets } = this
    runtime.registry.unregister('tcp')
    runtime.registry.unregister('udp')
    this.hold(0)
    await this.hangUp()
    loop.within(() => {
      for (const stream of [...runtime.streams]) stream.close()
    })
    const until = performance.now() + CLOSE_MS
    while (sockets.openCount > 0 && performance.now() < until)
      await new Promise(resolve => setTimeout(resolve, 1))
    sockets.destroyAll()
    while (sockets.openCount > 0) await new Promise(resolve => setImmediate(resolve))
    sockets.stop()
    // Who has a deadline still hears of it.
    if (runtime.timers.idle) loop.close()
  }

  /** Tells the programs of all streams that there is nobody any more: who waits for an answer does not wait for ever. */
  private async hangUp(): Promise<void> {
    const { loop, runtime } = this
    loop.within(() => {
      for (const { bottom } of runtime.streams) {
        const mp = makeHangup(runtime.arena)
        if (mp !== null) putnext(bottom, mp)
      }
    })
    for (let turns = 0; turns < HANGUP_TURNS && !runtime.scheduler.idle; turns++)
      await new Promise(resolve => setImmediate(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

let shared: Host | null = null

/**
 * The kernel's sockets.
 * @param options - a host of its own; without them the process's one
 */
export function kernelHost(options?: KernelHostOptions): KernelHost {
  if (options !== undefined) return new Host(options)
  if (shared === null || shared.isClosed) shared = new Host({})
  return shared
}
