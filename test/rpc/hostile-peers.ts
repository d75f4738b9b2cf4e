/** Who attacks: a connection of bytes and a port of datagrams, which send whatever they are given and look at what comes back. */

import { takeEnvelope } from '../../src/rpc/channel.ts'
import { DatagramChannel } from '../../src/rpc/datagram-channel.ts'
import { ReplyHeader, readReply } from '../../src/rpc/message.ts'
import { RecordSplitter } from '../../src/rpc/record-mark.ts'
import { AUTH_ERROR, acceptName, authName, MSG_ACCEPTED } from '../../src/rpc/status.ts'
import { XdrDecoder } from '../../src/rpc/xdr/index.ts'
import { TcpConnection } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'
import { messageFrom } from '../../src/streams/mblk/pullup.ts'
import type { World } from './world.ts'

/** Told of each reply. @param handle - of a session that was given with it, else null */
export type ReplyListener = (xid: number, status: string, handle: Uint8Array | null) => void

const AUTH_SHORT = 2

class ReplyLook {
  private readonly decoder = new XdrDecoder()
  private readonly header = new ReplyHeader()
  private readonly listener: ReplyListener

  constructor(listener: ReplyListener) {
    this.listener = listener
  }

  /** @param mp - consumed @throws Error if it is no proper reply: a server never sends anything else, whatever it got */
  see(mp: Mblk): void {
    const { decoder, header } = this
    decoder.start(mp)
    const fault = readReply(decoder, header)
    decoder.abort()
    freemsg(mp)
    if (fault !== null) throw new Error(`the server sent ${fault}`)
    const { reply, status, verifier, authStatus } = header
    const isDenied = status === AUTH_ERROR ? authName(authStatus) : 'RPC_MISMATCH'
    const handle = verifier.flavor === AUTH_SHORT ? verifier.body : null
    this.listener(header.xid, reply === MSG_ACCEPTED ? acceptName(status) : isDenied, handle)
  }
}

export class StreamAttacker {
  isOpen = true
  private readonly connection: TcpConnection
  private readonly splitter = new RecordSplitter()
  private readonly look: ReplyLook
  private waiting: Uint8Array[] = []

  constructor(world: World, port: number, listener: ReplyListener) {
    this.look = new ReplyLook(listener)
    this.connection = TcpConnection.connect(world.client.runtime, { address: world.server.address, port })
    this.connection.onReadable = () => this.read()
    this.connection.onWritable = () => this.flush()
    this.connection.onEnd = () => this.close()
    this.connection.onClosed = () => this.close()
  }

  send(bytes: Uint8Array): void {
    if (!this.isOpen) return
    this.waiting.push(bytes)
    this.flush()
  }

  private flush(): void {
    while (this.isOpen && this.waiting.length > 0) {
      const first = this.waiting[0]!
      const taken = this.connection.write(first)
      if (taken < first.length) {
        this.waiting[0] = first.subarray(taken)
        return
      }
      this.waiting.shift()
    }
  }

  private read(): void {
    for (let mp = this.connection.getmsg(); mp !== null; mp = this.connection.getmsg()) this.splitter.push(mp)
    for (let mp = this.splitter.next(); mp !== null; mp = this.splitter.next()) this.look.see(mp)
  }

  close(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.waiting = []
    this.splitter.close()
    this.connection.close()
  }

  /** By a reset. */
  abort(): void {
    if (this.isOpen) this.connection.abort()
    this.close()
  }
}

export class DatagramAttacker {
  /** Datagrams that this end could not send. */
  unsent = 0
  private readonly world: World
  private readonly channel: DatagramChannel
  private readonly look: ReplyLook

  constructor(world: World, port: number, listener: ReplyListener) {
    this.world = world
    this.look = new ReplyLook(listener)
    this.channel = new DatagramChannel(world.client, {
      connect: { address: world.server.address, port },
      family: 4,
    })
    this.channel.onReadable = () => this.read()
  }

  send(bytes: Uint8Array): void {
    const mp = messageFrom(this.world.arena, bytes, 0, bytes.length, 'edge')
    if (mp === null || this.channel.send(mp)) return
    this.unsent++
    freemsg(mp)
  }

  private read(): void {
    const { channel } = this
    for (let mp = channel.receive(); mp !== null; mp = channel.receive()) {
      const body = takeEnvelope(mp)!
      freemsg(mp)
      this.look.see(body)
    }
  }

  close(): void {
    this.channel.close()
  }
}
