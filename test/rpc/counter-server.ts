/** The server of the counter service at one port, which crashes, is stopped and started again, or loses its connections. */
import { StackError } from '../../src/base/errors.ts'
import { DatagramChannel } from '../../src/rpc/datagram-channel.ts'
import { RpcServer, type RpcServerOptions } from '../../src/rpc/index.ts'
import { type StreamChannel, StreamListener } from '../../src/rpc/stream-channel.ts'
import { type CounterState, counterService, type ProgramRun } from './counter-service.ts'
import type { World } from './world.ts'

export const PORT = 2_049

export class CounterServer {
  restarts = 0
  resets = 0
  /** Of all runs together. */
  readonly counters: Record<string, number> = {}
  private readonly world: World
  private readonly state: CounterState
  private readonly options: RpcServerOptions
  private readonly isStream: boolean
  /** Milliseconds that a slow procedure takes. */
  private readonly waitMs: () => number
  private run: ProgramRun = { isAlive: false }
  private server: RpcServer | null = null
  private listener: StreamListener | null = null
  private channels: (StreamChannel | DatagramChannel)[] = []

  constructor(
    world: World,
    state: CounterState,
    isStream: boolean,
    waitMs: () => number,
    options: RpcServerOptions = {},
  ) {
    this.world = world
    this.state = state
    this.isStream = isStream
    this.waitMs = waitMs
    this.options = options
  }

  get isUp(): boolean {
    return this.server !== null
  }

  start(): void {
    const { world, state } = this
    const { runtime } = world.server
    const run = { isAlive: true }
    const server = new RpcServer({ runtime }, { secretWord: () => runtime.random.int32(), ...this.options })
    server.add(counterService(state, run, () => world.delay(this.waitMs(), world.server)))
    this.run = run
    this.server = server
    if (this.isStream) this.listen(server)
    else this.accept(server, new DatagramChannel({ runtime }, { bind: { port: PORT }, family: 4 }))
  }

  private listen(server: RpcServer): void {
    this.listener = new StreamListener(this.world.server, { port: PORT, address: '0.0.0.0' })
    this.listener.onChannel = channel => this.accept(server, channel)
  }

  private accept(server: RpcServer, channel: StreamChannel | DatagramChannel): void {
    this.channels.push(channel)
    server.accept(channel)
  }

  /** The connections are reset by something on the way; the server lives on. */
  reset(): void {
    this.resets++
    for (const channel of this.channels.splice(0)) {
      const { onClosed } = channel
      channel.abort()
      onClosed?.(new StackError('ERR_CONN_RESET', 'cut on the way'))
    }
  }

  /** As if the process were killed: nobody is told but by resets, what was begun does not go on. Started again after a while. */
  crash(downMs: number): void {
    const server = this.goDown()
    if (server === null) return
    this.run.isAlive = false
    for (const channel of this.channels.splice(0)) channel.abort()
    this.end(server, 0)
    this.world.at(downMs, () => this.start(), this.world.server)
  }

  /** Ends in order: what was read is answered first. Started again after that. */
  stop(graceMs: number): void {
    const server = this.goDown()
    if (server === null) return
    this.end(server, graceMs).then(() => {
      this.channels = []
      this.start()
    })
  }

  private goDown(): RpcServer | null {
    const { server, listener } = this
    if (server === null) return null
    this.restarts++
    this.server = null
    this.listener = null
    listener?.close()
    return server
  }

  private async end(server: RpcServer, graceMs: number): Promise<void> {
    await server.close({ graceMs })
    this.count(server)
  }

  private count({ counters, sessionCounts }: RpcServer): void {
    const add = (name: string, value: number): void => {
      this.counters[name] = (this.counters[name] ?? 0) + value
    }
    for (const [name, value] of Object.entries(counters)) add(name, value)
    add('sessions', sessionCounts.opened)
  }

  async close(): Promise<void> {
    const server = this.goDown()
    if (server !== null) await this.end(server, 0)
  }
}
