/** A node's own TCP and UDP as the network of throughput tests: nothing is copied on the way of the data. */
import type { StackError } from '../../base/errors.ts'
import { TcpConnection, TcpListener } from '../../socket/tcp-endpoint.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { msgdsize } from '../../streams/mblk/message.ts'
import type { Runtime } from '../../streams/runtime.ts'
import { PREPARED_BYTES_MAX, PreparedBlock } from '../prepared-block.ts'
import type {
  BulkConnection,
  BulkListener,
  BulkNetwork,
  BulkSettings,
  DatagramFlow,
  DatagramListener,
  EndName,
  SenderFigures,
} from './bulk.ts'
import { listenForUdpFlows, openUdpFlow } from './udp-network.ts'

const WINDOW_BYTES_MIN = 4_096
const WINDOW_BYTES_MAX = 64 * 1024 * 1024
const SEGMENT_BYTES_MIN = 48
const SEGMENT_BYTES_MAX = 65_495

class TcpBulk implements BulkConnection {
  readonly connection: TcpConnection
  private readonly network: TcpNetwork
  private last: SenderFigures | null = null

  constructor(network: TcpNetwork, connection: TcpConnection) {
    this.network = network
    this.connection = connection
  }

  get local(): EndName {
    return this.connection.local
  }

  get remote(): EndName {
    return this.connection.remote
  }

  set onConnect(callback: (() => void) | null) {
    this.connection.onConnect = callback
  }

  set onReadable(callback: (() => void) | null) {
    this.connection.onReadable = callback
  }

  set onWritable(callback: (() => void) | null) {
    this.connection.onWritable = callback
  }

  set onEnd(callback: (() => void) | null) {
    this.connection.onEnd = callback
  }

  set onClosed(callback: ((error: Error | null) => void) | null) {
    this.connection.onClosed =
      callback === null ? null : (_reason, error: StackError | null) => callback(error)
  }

  write(bytes: Uint8Array): number {
    return this.connection.write(bytes)
  }

  fill(into: Uint8Array, offset: number, length: number): number {
    return this.connection.fill(into, offset, length)
  }

  drain(): number {
    const { connection } = this
    let size = 0
    for (let mp = connection.getmsg(); mp !== null; mp = connection.getmsg()) {
      size += msgdsize(mp)
      freemsg(mp)
    }
    return size
  }

  sendShared(size: number): boolean {
    if (this.connection.closeReason !== null) return false
    const mp = this.network.shared().share(size)
    // As many views are alive as may be: acknowledgments free some, and then there is room.
    if (mp === null) return false
    if (this.connection.putmsg(mp)) return true
    freemsg(mp)
    return false
  }

  figures(): SenderFigures | null {
    const info = this.connection.info()
    if (info === null) return this.last
    this.last = { retransmits: info.retransmits, cwndBytes: info.cwndBytes, rttUs: info.srttUs }
    return this.last
  }

  close(): void {
    this.connection.close()
  }

  abort(): void {
    this.connection.abort()
  }
}

export class TcpNetwork implements BulkNetwork {
  readonly blockBytes = PREPARED_BYTES_MAX
  readonly congestion = 'cubic'
  private readonly runtime: Runtime
  private block: PreparedBlock | null = null

  constructor(runtime: Runtime) {
    this.runtime = runtime
  }

  /** The bytes that all senders send: random, made once. @throws StackError `ERR_NO_BUFFERS` */
  shared(): PreparedBlock {
    this.block ??= PreparedBlock.make(this.runtime.arena, this.blockBytes, (bytes, at, size) => {
      for (let i = at; i < at + size; i++) bytes[i] = this.runtime.random.below(256)
    })
    if (this.block === null) throw new Error('no block of memory is left for the data of a test')
    return this.block
  }

  connect(address: string, port: number, settings: BulkSettings): BulkConnection {
    this.shared()
    return new TcpBulk(
      this,
      TcpConnection.connect(this.runtime, { address, port, settings: settingsOf(settings) }),
    )
  }

  async listen(port: number, address?: string): Promise<BulkListener> {
    const opened = TcpListener.open(this.runtime, { port, ...(address === undefined ? {} : { address }) })
    const listener: BulkListener = {
      ...opened.local,
      onConnection: null,
      close: () => opened.close(),
    }
    opened.onConnection = () => {
      for (let next = opened.accept(); next !== null; next = opened.accept()) {
        if (listener.onConnection === null) next.abort()
        else listener.onConnection(new TcpBulk(this, next))
      }
    }
    return listener
  }

  openDatagrams(address: string, port: number): DatagramFlow {
    return openUdpFlow(this.runtime, this.shared(), address, port)
  }

  async listenDatagrams(port: number, address?: string): Promise<DatagramListener> {
    return listenForUdpFlows(this.runtime, this.shared(), port, address)
  }

  apply(connection: BulkConnection, settings: BulkSettings): void {
    if (connection instanceof TcpBulk) connection.connection.set(settingsOf(settings))
  }

  random(size: number): Uint8Array {
    return Uint8Array.from({ length: size }, () => this.runtime.random.below(256))
  }

  close(): void {
    this.block?.free()
    this.block = null
  }
}

/** What a peer asks for is brought to what a connection can have; 0 stays 0, the stack's own. */
function settingsOf({ noDelay, maxSegment, windowBytes }: BulkSettings) {
  const buffer = clamp(windowBytes, WINDOW_BYTES_MIN, WINDOW_BYTES_MAX)
  return {
    noDelay,
    maxSegment: clamp(maxSegment, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
    receiveBytes: buffer,
    sendBytes: buffer,
  }
}

function clamp(value: number, min: number, max: number): number {
  return value === 0 ? 0 : Math.min(max, Math.max(min, value))
}
