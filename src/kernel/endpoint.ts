/**
 * An endpoint of the kernel's UDP: the state of the queue pair of the driver `udp`. Each datagram that Node reads goes up as it lies, behind
 * a control block; requests are given to Node at once, and their blocks stay in use until the kernel has taken them.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { StackError } from '../base/errors.ts'
import { formatAddress, type IpAddress } from '../inet/address.ts'
import type { EndpointOptions, EndpointSettings } from '../inet/udp/control.ts'
import type { SocketName } from '../inet/udp/endpoint.ts'
import type { DatagramEnd, EndpointNames } from '../inet/udp/ends.ts'
import {
  allocUnitdata,
  ERROR_CODE,
  ERROR_IND,
  FAMILY,
  LOCAL,
  LOCAL_PORT,
  PROTOCOL,
  REMOTE,
  REMOTE_PORT,
  UNITDATA_IND,
} from '../inet/unitdata.ts'
import { IPPROTO_UDP } from '../inet/wire/udp.ts'
import { esballoc, freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { AnyQueue } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import { canputnext } from '../streams/queue.ts'
import { HEAD_HIWAT } from '../streams/stream-head.ts'
import { AddressCache } from './address-cache.ts'
import { DatagramOutbox } from './datagram-outbox.ts'
import { errnoOf, indicationOf, kernelError } from './errors.ts'
import type { KernelSockets } from './sockets.ts'
import { readUdpSettings } from './udp-options.ts'

/** Addresses are addresses here, never names: looking them up takes no time, and binding is done when the call returns. */
function lookup(
  address: string,
  family: number,
  callback: (error: null, address: string, family: number) => void,
): void {
  callback(null, address, family)
}

export class KernelEndpoint implements DatagramEnd {
  readonly q: AnyQueue
  readonly family: 4 | 6
  /** Null while it is not bound, not connected. */
  local: IpAddress | null = null
  localPort = 0
  remote: IpAddress | null = null
  remotePort = 0
  settings: Required<EndpointSettings>
  private readonly sockets: KernelSockets
  private readonly socket: Socket
  private readonly peers: AddressCache
  private readonly outbox: DatagramOutbox
  /** What a call that is under way met. */
  private met: Error | null = null
  private calling = false
  private closed = false

  constructor(q: AnyQueue, sockets: KernelSockets, options: EndpointOptions) {
    this.q = q
    this.sockets = sockets
    this.family = options.family ?? 6
    this.peers = new AddressCache(this.family)
    this.settings = readUdpSettings(options, null)
    this.socket = createSocket({
      type: this.family === 4 ? 'udp4' : 'udp6',
      reuseAddr: options.reuseAddress === true,
      ipv6Only: options.ipv6Only === true,
      lookup: lookup as never,
    })
    this.outbox = new DatagramOutbox(this, sockets, this.socket, this.peers)
    this.listen()
    if (this.settings.receiveBytes !== HEAD_HIWAT) this.boundReceiving()
    sockets.add(this.socket)
  }

  private listen(): void {
    const { socket, sockets } = this
    const { loop } = sockets
    socket.on('message', (data: Buffer, from: RemoteInfo) => {
      loop.enter()
      try {
        this.datagram(data, from)
      } finally {
        loop.leave()
      }
    })
    socket.on('error', error => {
      if (this.calling) this.met = error
      else loop.within(() => this.indicate(error))
    })
    socket.on('close', () => sockets.remove(socket))
  }

  get isBound(): boolean {
    return this.local !== null
  }

  get names(): EndpointNames {
    return {
      local: this.nameOf(this.local, this.localPort),
      remote: this.nameOf(this.remote, this.remotePort),
    }
  }

  /** An IPv4 address at an endpoint of family 6 is shown v4-mapped, as everywhere. */
  private nameOf(address: IpAddress | null, port: number): SocketName | null {
    if (address === null) return null
    return { address: this.textOf(address), family: this.family, port }
  }

  /** As the kernel wants it for a socket of this family. */
  textOf(address: IpAddress): string {
    const text = formatAddress(address)
    return this.family === 6 && address.family === 4 ? `::ffff:${text}` : text
  }

  // ---- up

  private datagram(data: Buffer, { address, port }: RemoteInfo): void {
    const { q, sockets } = this
    const { counters } = sockets
    sockets.kernelCopied(data.length)
    if (!canputnext(q)) {
      counters['receive-full']++
      return
    }
    const mp = this.control(UNITDATA_IND, this.peers.wordsOf(address), port)
    const body = mp === null ? null : esballoc(q.stream.runtime.arena, data, released)
    if (mp === null || body === null) {
      if (mp !== null) freemsg(mp)
      counters['no-buffers']++
      return
    }
    mp.cont = body
    counters['in-datagrams']++
    putnext(q, mp)
  }

  /** @param remote - of this endpoint's family or v4-mapped: four words. @returns null if no block is left */
  private control(kind: number, remote: IpAddress, port: number): Mblk | null {
    const { arena } = this.q.stream.runtime
    const mp = allocUnitdata(arena, kind)
    if (mp === null) return null
    const { words } = arena
    const at = mp.rptr >> 2
    words[at + FAMILY] = remote.family
    words[at + PROTOCOL] = IPPROTO_UDP
    words[at + REMOTE_PORT] = port
    words[at + LOCAL_PORT] = this.localPort
    for (let i = 0; i < 4; i++) {
      words[at + REMOTE + i] = remote.words[i]!
      words[at + LOCAL + i] = this.local?.words[i] ?? 0
    }
    return mp
  }

  /** The kernel heard that something did not arrive: an ICMP error at a connected endpoint, for the most part. */
  private indicate(error: Error): void {
    if (this.closed || this.remote === null) return
    const mp = this.control(ERROR_IND, this.remote, this.remotePort)
    if (mp === null) return
    mp.dblk.arena.words[(mp.rptr >> 2) + ERROR_CODE] = indicationOf(error)
    if (canputnext(this.q)) putnext(this.q, mp)
    else freemsg(mp)
  }

  // ---- down

  /** @param mp - consumed: an UNITDATA_REQ, or data */
  write(mp: Mblk): void {
    this.outbox.write(mp)
  }

  serveWrite(): void {
    this.outbox.serve()
  }

  // ---- binding and connecting

  /** Calls Node, whose events come before the call returns. @throws StackError */
  private call(action: () => void): void {
    this.met = null
    this.calling = true
    try {
      action()
    } catch (error) {
      throw kernelError(error)
    } finally {
      this.calling = false
    }
    if (this.met !== null) throw kernelError(this.met)
  }

  /** @param address - null for any. @throws StackError `ERR_ADDR_IN_USE`, `ERR_ADDR_NOT_AVAILABLE`, `ERR_BAD_ARGUMENT` … */
  bind(address: IpAddress | null, port: number): void {
    if (this.local !== null) throw new StackError('ERR_BAD_ARGUMENT', 'bind: the endpoint is bound already')
    if (address !== null) this.checkFamily('bind', address)
    const text = address === null ? (this.family === 4 ? '0.0.0.0' : '::') : this.textOf(address)
    this.call(() => this.socket.bind({ address: text, port, exclusive: true }))
    this.learnNames()
    this.applyAll()
  }

  /** @throws StackError `ERR_NETWORK_UNREACHABLE`, `ERR_BAD_ADDRESS`, and what {@link bind} throws */
  connect(address: IpAddress, port: number): void {
    this.checkFamily('connect', address)
    if (this.local === null) this.bind(null, 0)
    if (this.remote !== null) this.disconnect()
    this.call(() => this.socket.connect(port, this.textOf(address), ignore))
    if (!this.isConnected())
      // Node tells why in a tick, too late for whoever opens an endpoint that is connected.
      throw new StackError(
        'ERR_NETWORK_UNREACHABLE',
        `connect: no way to ${this.textOf(address)} port ${port}`,
      )
    this.remote = address
    this.remotePort = port
    this.learnNames()
  }

  private isConnected(): boolean {
    try {
      return this.socket.remoteAddress() !== undefined
    } catch (error) {
      if (errnoOf(error) === 'ERR_SOCKET_DGRAM_NOT_CONNECTED') return false
      throw error
    }
  }

  /** @throws StackError `ERR_NOT_CONNECTED` */
  disconnect(): void {
    if (this.remote === null)
      throw new StackError('ERR_NOT_CONNECTED', 'disconnect: the endpoint is not connected')
    this.call(() => this.socket.disconnect())
    this.remote = null
    this.remotePort = 0
    this.learnNames()
  }

  private checkFamily(command: string, address: IpAddress): void {
    if (address.family === 6 && this.family === 4)
      throw new StackError('ERR_BAD_ADDRESS', `${command}: ${formatAddress(address)} at an IPv4 endpoint`)
  }

  private learnNames(): void {
    const { address, port } = this.socket.address()
    this.local = this.peers.parse(address)
    this.localPort = port
  }

  // ---- settings

  /** @throws StackError `ERR_BAD_ARGUMENT`, `ERR_NOT_SUPPORTED`; nothing has changed then */
  change(given: EndpointSettings): void {
    const before = this.settings
    this.settings = readUdpSettings(given, before)
    if (this.settings.receiveBytes !== before.receiveBytes) this.boundReceiving()
    if (this.local !== null) this.apply(before)
  }

  private boundReceiving(): void {
    const { receiveBytes } = this.settings
    this.q.stream.setReadLimits(receiveBytes, receiveBytes >> 2)
  }

  private applyAll(): void {
    this.apply(readUdpSettings({}, null))
  }

  /** Tells the socket what has changed; it has to be bound. */
  private apply(before: Required<EndpointSettings>): void {
    const { socket, settings } = this
    const { ttl, broadcast, receiveBytes } = settings
    if (ttl !== before.ttl) this.call(() => socket.setTTL(ttl || 64))
    if (broadcast !== before.broadcast) this.call(() => socket.setBroadcast(broadcast))
    // The kernel counts what its blocks take: with less than it begins with a short burst is lost.
    if (receiveBytes !== before.receiveBytes && receiveBytes > socket.getRecvBufferSize())
      this.call(() => socket.setRecvBufferSize(receiveBytes))
  }

  // ---- the end

  close(): void {
    if (this.closed) return
    this.closed = true
    this.socket.close()
    this.outbox.clear()
  }

  describe(): object {
    const { local, remote } = this.names
    return {
      local,
      remote,
      waitingMessages: this.q.next?.zero.messages ?? 0,
      waitingBytes: this.q.next?.zero.count ?? 0,
      waitingToSendBytes: this.q.other.count + this.outbox.bytes,
    }
  }
}

function ignore(): void {}

/** Node's memory is the garbage collector's. */
function released(): void {}
