/** What the lecture's tests stand on: a client, a server that may die, and a net that loses what a test tells it to, in virtual time. */
import { milliseconds } from '../../base/time.ts'
import { makeTestRuntime } from '../../streams/testing/runtime.ts'
import { RpcClient } from '../client.ts'
import type { RpcClientOptions } from '../client-options.ts'
import { RpcServer } from '../server.ts'
import type { RpcHandler, RpcProcedure } from '../stub-types.ts'
import type { XdrCodec } from '../xdr/index.ts'
import { type TestChannel, TestNet } from './channel-pair.ts'

export const PROGRAM = 0x2000_0077

export function procedure<A, R>(
  number: number,
  argument: XdrCodec<A>,
  result: XdrCodec<R>,
  isIdempotent = false,
): RpcProcedure<A, R> {
  return {
    name: `PROCEDURE_${number}`,
    program: PROGRAM,
    version: 1,
    procedure: number,
    isIdempotent,
    argument,
    result,
  }
}

/** A client, a net, and a server that may die and be started again with another memory. */
export class World {
  readonly test = makeTestRuntime()
  readonly net: TestNet
  readonly client: RpcClient
  private readonly makeHandlers: () => RpcHandler[]
  private server: RpcServer | null = null
  private ends: TestChannel[] = []
  private boots = 0

  /** @param makeHandlers - called at each start of the server: what it closes over is that life's memory */
  constructor(
    transport: 'tcp' | 'udp',
    makeHandlers: () => RpcHandler[],
    options: RpcClientOptions = {},
    delayMs = 0,
  ) {
    const { runtime } = this.test
    this.net = new TestNet(runtime, { delayMs })
    this.makeHandlers = makeHandlers
    const isStream = transport === 'tcp'
    const source = () => (isStream ? this.net.connect() : this.net.datagramClient())
    this.client = RpcClient.over({ runtime }, source, isStream, {
      program: PROGRAM,
      version: 1,
      retransmitMs: 100,
      ...options,
    })
    this.startServer(isStream)
  }

  startServer(isStream = true): void {
    const server = new RpcServer({ runtime: this.test.runtime }, { secretWord: () => ++this.boots })
    server.add({ name: 'PROGRAM', program: PROGRAM, version: 1, handlers: this.makeHandlers() })
    this.server = server
    const serve = (end: TestChannel): void => {
      this.ends.push(end)
      server.accept(end)
    }
    this.net.onChannel = serve
    if (!isStream) serve(this.net.datagramServer())
  }

  /** Without a word to anybody, as by `kill -9`; what was not sent is not. */
  killServer(): void {
    for (const end of this.ends.splice(0)) end.break()
    this.net.onChannel = null
    void this.server?.close()
    this.server = null
  }

  /** A connection is lost on its way, and both ends live. */
  breakConnection(): void {
    for (const end of this.ends.splice(0)) end.break()
  }

  /** Loses the first message that a side sends. */
  loseOne(side: 'client' | 'server'): void {
    this.net.filter = from => {
      if ((from.port === 1) !== (side === 'server')) return true
      this.net.filter = null
      return false
    }
  }

  async pass(ms: number): Promise<void> {
    for (let i = 0; i < 20; i++) {
      await new Promise(resolve => setImmediate(resolve))
      this.test.advance(milliseconds(ms / 20))
    }
    await new Promise(resolve => setImmediate(resolve))
  }

  async end(): Promise<void> {
    this.client.close()
    void this.server?.close()
    await this.pass(1)
    this.test.finish()
  }
}

export async function resultOf<T>(world: World, promise: Promise<T>): Promise<T> {
  await world.pass(10)
  return promise
}
