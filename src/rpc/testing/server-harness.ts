/** A server on a net of tests, and peers that speak to it byte by byte: for what no proper client sends. */

import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { makeTestRuntime, type TestRuntime } from '../../streams/testing/runtime.ts'
import { NO_AUTH, type OpaqueAuth } from '../auth.ts'
import { type RpcChannel, takeEnvelope } from '../channel.ts'
import { ReplyHeader, readReply, writeCall } from '../message.ts'
import { RpcServer } from '../server.ts'
import type { RpcServerOptions } from '../server-settings.ts'
import { acceptName, authName, MSG_ACCEPTED, RPC_MISMATCH, SUCCESS } from '../status.ts'
import { type RpcContext, type RpcHandler, type RpcService, rpcHandler } from '../stub-types.ts'
import { type XdrCodec, XdrDecoder, XdrEncoder, XdrOpaque, xdrInt } from '../xdr/index.ts'
import { type NetConditions, type TestChannel, TestNet } from './channel-pair.ts'

export const PROGRAM = 0x2000_0042
export const VERSION = 3

/** A handler of `int f(int)`. */
export function intHandler(
  procedure: number,
  handle: (argument: number, context: RpcContext) => number | Promise<number>,
  more: { readonly isIdempotent?: boolean; readonly version?: number } = {},
): RpcHandler {
  return handlerOf(procedure, xdrInt, xdrInt, handle, more)
}

export function handlerOf<A, R>(
  procedure: number,
  argument: XdrCodec<A>,
  result: XdrCodec<R>,
  handle: (argument: A, context: RpcContext) => R | Promise<R>,
  { isIdempotent = false, version = VERSION } = {},
): RpcHandler {
  const name = `TEST_${procedure}`
  return rpcHandler({ name, program: PROGRAM, version, procedure, isIdempotent, argument, result }, handle)
}

export function serviceOf(handlers: readonly RpcHandler[], version = VERSION): RpcService {
  return { name: 'TEST', program: PROGRAM, version, handlers }
}

/** A reply as a test looks at it. */
export interface SeenReply {
  readonly xid: number
  /** `SUCCESS`, the name of another `accept_stat`, `RPC_MISMATCH`, or the name of an `auth_stat`. */
  readonly status: string
  readonly low: number
  readonly high: number
  readonly verifier: OpaqueAuth
  /** Of SUCCESS with an int; else null. */
  readonly value: number | null
}

export interface CallParts {
  readonly xid?: number
  readonly program?: number
  readonly version?: number
  readonly procedure?: number
  readonly credentials?: OpaqueAuth
  readonly verifier?: OpaqueAuth
  /** An opaque behind the header and the argument. */
  readonly tail?: Uint8Array
  /** Bytes left free in front of the message: it holds a large block. */
  readonly headroom?: number
}

/** One end of a channel, without any manners of its own. */
export class RawPeer<C extends RpcChannel = TestChannel> {
  readonly channel: C
  readonly replies: SeenReply[] = []
  /** Whether the other end ended it. */
  isClosed = false
  lastXid = 100
  private readonly encoder: XdrEncoder
  private readonly decoder = new XdrDecoder()

  constructor(channel: C) {
    this.channel = channel
    this.encoder = new XdrEncoder(channel.runtime.arena)
    channel.onReadable = () => this.read()
    channel.onClosed = () => {
      this.isClosed = true
    }
  }

  /** @returns its xid */
  call(procedure: number, argument: number | null = null, parts: CallParts = {}): number {
    const xid = parts.xid ?? ++this.lastXid
    this.encoder.start('', parts.headroom)
    writeCall(
      this.encoder,
      xid,
      parts.program ?? PROGRAM,
      parts.version ?? VERSION,
      procedure,
      parts.credentials ?? NO_AUTH,
      parts.verifier ?? NO_AUTH,
    )
    if (argument !== null) this.encoder.putInt('argument', argument)
    if (parts.tail !== undefined) this.encoder.putOpaque('tail', XdrOpaque.of(parts.tail))
    this.channel.send(this.encoder.finish())
    return xid
  }

  /** Sends words as a message. */
  words(...words: readonly number[]): void {
    this.encoder.start()
    for (const word of words) this.encoder.putInt('word', word | 0)
    this.channel.send(this.encoder.finish())
  }

  /** Takes the replies that came since it was last asked. */
  taken(): SeenReply[] {
    return this.replies.splice(0)
  }

  /** The only reply that came since. */
  one(): SeenReply {
    const taken = this.taken()
    if (taken.length !== 1) throw new Error(`${taken.length} replies came, not one`)
    return taken[0]!
  }

  private read(): void {
    for (let mp = this.channel.receive(); mp !== null; mp = this.channel.receive()) this.see(mp)
  }

  private see(message: Mblk): void {
    const mp = this.channel.isStream ? message : takeEnvelope(message)!
    const header = new ReplyHeader()
    this.decoder.start(mp)
    const fault = readReply(this.decoder, header)
    if (fault !== null) throw new Error(`a server sent ${fault}`)
    const { xid, status, verifier, low, high, authStatus } = header
    const isAccepted = header.reply === MSG_ACCEPTED
    const name = isAccepted
      ? acceptName(status)
      : status === RPC_MISMATCH
        ? 'RPC_MISMATCH'
        : authName(authStatus)
    const value =
      isAccepted && status === SUCCESS && this.decoder.left >= 4 ? this.decoder.int('value') : null
    this.decoder.abort()
    freemsg(mp)
    if (mp !== message) freemsg(message)
    this.replies.push({ xid, status: name, verifier, low, high, value })
  }
}

export interface ServerBench extends TestRuntime {
  readonly net: TestNet
  readonly server: RpcServer
  /** Errors that handlers threw. */
  readonly errors: unknown[]
  /** A connection to the server. */
  connect(): RawPeer
  /** A peer by datagrams. */
  datagrams(): RawPeer
  /** Lets promises go on, then the run queue, until both are still. */
  rest(): Promise<void>
  /** Stops the server and looks whether every block came home. */
  end(): Promise<void>
}

export function serverBench(
  services: readonly RpcService[],
  options: RpcServerOptions = {},
  conditions: Partial<NetConditions> = {},
): ServerBench {
  const runtime = makeTestRuntime({ arenaOptions: { sizeBytes: 32 * 1024 * 1024 } })
  const net = new TestNet(runtime.runtime, conditions)
  const errors: unknown[] = []
  let word = 1
  const server = new RpcServer(
    { runtime: runtime.runtime },
    { onError: error => errors.push(error), secretWord: () => word++, ...options },
  )
  for (const service of services) server.add(service)
  let datagramEnd: TestChannel | null = null
  const rest = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) {
      runtime.settle()
      await new Promise(resolve => setImmediate(resolve))
    }
    runtime.settle()
  }
  return {
    ...runtime,
    net,
    server,
    errors,
    rest,
    connect() {
      const { client, server: end } = net.pair()
      server.accept(end)
      return new RawPeer(client)
    },
    datagrams() {
      if (datagramEnd === null) {
        datagramEnd = net.datagramServer()
        server.accept(datagramEnd)
      }
      return new RawPeer(net.datagramClient())
    },
    async end() {
      const closed = server.close()
      await rest()
      await closed
      runtime.finish()
    },
  }
}
