/**
 * A client as C programs have it (clnt_dg of libtirpc): one call at a time over UDP, no session, the same bytes again after a fixed while, xids that
 * count up from anywhere.
 */

import { after, milliseconds } from '../../src/base/time.ts'
import { NO_AUTH } from '../../src/rpc/auth.ts'
import { takeEnvelope } from '../../src/rpc/channel.ts'
import { DatagramChannel } from '../../src/rpc/datagram-channel.ts'
import type { RpcProcedure } from '../../src/rpc/index.ts'
import { ReplyHeader, readReply, writeCall } from '../../src/rpc/message.ts'
import { XdrDecoder, XdrEncoder } from '../../src/rpc/xdr/index.ts'
import { Timer } from '../../src/streams/index.ts'
import { dupmsg, freemsg } from '../../src/streams/mblk/alloc.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'
import type { World } from './world.ts'

export type PlainOutcome = 'ok' | 'refused' | 'unknown'

export class PlainClient {
  transmissions = 0
  lateReplies = 0
  private readonly world: World
  private readonly channel: DatagramChannel
  private readonly encoder: XdrEncoder
  private readonly decoder = new XdrDecoder()
  private readonly header = new ReplyHeader()
  private readonly timer = new Timer(() => this.again())
  private readonly retryMs: number
  private xid: number
  private triesLeft = 0
  private message: Mblk | null = null
  private done: ((outcome: PlainOutcome) => void) | null = null

  constructor(world: World, port: number, retryMs: number) {
    const { runtime } = world.client
    this.world = world
    this.retryMs = retryMs
    this.xid = runtime.random.int32()
    this.encoder = new XdrEncoder(runtime.arena)
    this.channel = new DatagramChannel(world.client, {
      connect: { address: world.server.address, port },
      family: 4,
    })
    this.channel.onReadable = () => this.read()
  }

  /** @param done - told how it ended, once */
  call(
    { program, version, procedure }: RpcProcedure<number, number>,
    argument: number,
    tries: number,
    done: (outcome: PlainOutcome) => void,
  ): void {
    const { encoder } = this
    this.xid = (this.xid + 1) | 0
    encoder.start()
    writeCall(encoder, this.xid, program, version, procedure, NO_AUTH, NO_AUTH)
    encoder.putInt('argument', argument)
    this.message = encoder.finish()
    this.triesLeft = tries
    this.done = done
    this.again()
  }

  private again(): void {
    if (this.triesLeft-- === 0) return this.end('unknown')
    const copy = dupmsg(this.message!)
    if (copy !== null && !this.channel.send(copy)) freemsg(copy)
    this.transmissions++
    const { timers, clock } = this.world.client.runtime
    timers.arm(this.timer, after(clock.now(), milliseconds(this.retryMs)))
  }

  private read(): void {
    const { channel, decoder, header } = this
    for (let mp = channel.receive(); mp !== null; mp = channel.receive()) {
      const body = takeEnvelope(mp)!
      freemsg(mp)
      decoder.start(body)
      const fault = readReply(decoder, header)
      decoder.abort()
      freemsg(body)
      if (fault !== null) throw new Error(`a server sent ${fault}`)
      if (this.done === null || header.xid !== this.xid) this.lateReplies++
      else this.end(header.isSuccess ? 'ok' : 'refused')
    }
  }

  private end(outcome: PlainOutcome): void {
    const { done, message } = this
    this.world.client.runtime.timers.cancel(this.timer)
    this.message = null
    this.done = null
    freemsg(message!)
    done!(outcome)
  }

  close(): void {
    this.channel.close()
  }
}
