/** Channels over UDP: a client's, connected to one peer, and a server's, which many peers send to. */
import { StackError } from '../base/errors.ts'
import { formatAddress } from '../inet/address.ts'
import { ERROR_IND, KIND, REMOTE, REMOTE_PORT } from '../inet/unitdata.ts'
import { readUdpError, remoteOf, UdpEndpoint } from '../socket/endpoint.ts'
import type { SocketHost } from '../socket/host.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { BorrowedMblk, Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import type { Runtime } from '../streams/runtime.ts'
import { type RpcChannel, takeEnvelope } from './channel.ts'

/** What UDP carries over IPv4 (RFC 768, RFC 791): 65,535 less the headers. */
export const DATAGRAM_BYTES_MAX = 65_507

export interface DatagramOptions {
  /** The peer; without it anybody's datagrams are taken. */
  readonly connect?: { readonly address: string; readonly port: number }
  readonly bind?: { readonly address?: string; readonly port?: number }
  /** 6 by default, which takes both. */
  readonly family?: 4 | 6
  /** Bytes that may wait to be received, 1 MiB by default. */
  readonly receiveBytes?: number
}

const RECEIVE_BYTES = 1024 * 1024

export class DatagramChannel implements RpcChannel {
  readonly runtime: Runtime
  readonly isStream = false
  readonly maxMessageBytes = DATAGRAM_BYTES_MAX
  readonly isOpen = true
  readonly endpoint: UdpEndpoint
  onOpen: (() => void) | null = null
  onClosed: ((error: StackError | null) => void) | null = null
  onTrouble: ((error: StackError) => void) | null = null

  /** @throws StackError as `UdpEndpoint.open` */
  constructor(host: SocketHost, options: DatagramOptions) {
    this.runtime = host.runtime
    this.endpoint = UdpEndpoint.open(host.runtime, { receiveBytes: RECEIVE_BYTES, ...options })
    this.endpoint.stream.onDown = () => this.goesDown()
  }

  get name(): string {
    const { local, remote } = this.endpoint.names
    const name = remote ?? local
    return name === null ? 'udp' : nameOf(name.address, name.port)
  }

  /** The port that it is bound to. */
  get port(): number {
    return this.endpoint.names.local?.port ?? 0
  }

  set onReadable(callback: (() => void) | null) {
    this.endpoint.stream.onReadable = callback
  }

  set onWritable(callback: (() => void) | null) {
    this.endpoint.onWritable = callback
  }

  receive(): Mblk | null {
    for (let mp = this.endpoint.getmsg(); mp !== null; mp = this.endpoint.getmsg()) {
      if (mp.dblk.arena.words[(mp.rptr >> 2) + KIND] === ERROR_IND) this.tell(mp)
      // A datagram without bytes is no message.
      else if (mp.cont === null || messageBytes(mp.cont) === 0) freemsg(mp)
      else return mp
    }
    return null
  }

  send(mp: Mblk): boolean {
    return this.endpoint.sendTo(mp, null)
  }

  reply(envelope: Mblk | null, mp: Mblk): boolean {
    envelope!.cont = mp
    if (this.endpoint.reply(envelope!)) return true
    takeEnvelope(envelope!)
    return false
  }

  peerOf(envelope: BorrowedMblk | null): string {
    if (envelope === null) return this.name
    const { words } = envelope.dblk.arena
    return nameOf(formatAddress(remoteOf(envelope)), words[(envelope.rptr >> 2) + REMOTE_PORT]!)
  }

  close(): void {
    this.onClosed = null
    this.endpoint.close()
  }

  abort(): void {
    this.close()
  }

  /** @param mp - consumed: an ERROR_IND */
  private tell(mp: Mblk): void {
    const { error } = readUdpError(mp)
    freemsg(mp)
    this.onTrouble?.(error)
  }

  private goesDown(): void {
    const { onClosed } = this
    const { error } = this.endpoint.stream.poll()
    this.onClosed = null
    onClosed?.(error ?? new StackError('ERR_HANGUP', 'the stack was closed'))
  }
}

/** Who sent a datagram, as numbers: for tables. @param into - gets five: the port, then the address (v4-mapped for IPv4) */
export function peerWords(envelope: BorrowedMblk, into: Int32Array): void {
  const { words } = envelope.dblk.arena
  const at = envelope.rptr >> 2
  into[0] = words[at + REMOTE_PORT]!
  for (let i = 0; i < 4; i++) into[1 + i] = words[at + REMOTE + i]!
}

function nameOf(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
