/** The kernel's sockets as a network for tests of the iperf engine: the same protocol without our stack below. */
import { randomBytes } from 'node:crypto'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { BulkConnection, BulkListener, BulkNetwork, SenderFigures } from '../bulk.ts'

const BLOCK = Buffer.alloc(64 * 1024, 'putnext')

class KernelConnection implements BulkConnection {
  onConnect: (() => void) | null = null
  onWritable: (() => void) | null = null
  onEnd: (() => void) | null = null
  onClosed: ((error: Error | null) => void) | null = null
  readonly socket: Socket
  private readable: (() => void) | null = null
  private error: Error | null = null
  private done = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('connect', () => this.onConnect?.())
    socket.on('readable', () => this.readable?.())
    socket.on('drain', () => this.onWritable?.())
    socket.on('end', () => this.onEnd?.())
    socket.on('error', error => {
      this.error = error
    })
    socket.on('close', () => {
      if (!this.done) this.onClosed?.(this.error)
    })
  }

  set onReadable(callback: (() => void) | null) {
    this.readable = callback
    if (callback !== null) setImmediate(() => this.readable?.())
  }

  get local() {
    return { address: this.socket.localAddress ?? '', port: this.socket.localPort ?? 0 }
  }

  get remote() {
    return { address: this.socket.remoteAddress ?? '', port: this.socket.remotePort ?? 0 }
  }

  write(bytes: Uint8Array): number {
    this.socket.write(Buffer.from(bytes))
    return bytes.length
  }

  fill(into: Uint8Array, offset: number, length: number): number {
    const chunk = this.socket.read(Math.min(length, this.socket.readableLength)) as Buffer | null
    if (chunk === null) return 0
    into.set(chunk, offset)
    return chunk.length
  }

  drain(): number {
    let size = 0
    for (
      let chunk = this.socket.read() as Buffer | null;
      chunk !== null;
      chunk = this.socket.read() as Buffer | null
    )
      size += chunk.length
    return size
  }

  sendShared(size: number): boolean {
    if (this.socket.destroyed || this.socket.writableNeedDrain) return false
    this.socket.write(BLOCK.subarray(0, size))
    return true
  }

  figures(): SenderFigures | null {
    return null
  }

  close(): void {
    this.done = true
    this.socket.end()
    this.socket.resume()
  }

  abort(): void {
    this.done = true
    this.socket.destroy()
  }
}

export const kernelNetwork: BulkNetwork = {
  blockBytes: BLOCK.length,
  congestion: 'cubic',
  connect: (host, port) => new KernelConnection(connect({ host, port, allowHalfOpen: true })),
  listen: async (port, host) => {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: false })
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject)
      server.listen(port, host, resolve)
    })
    const { address, port: own } = server.address() as AddressInfo
    const listener: BulkListener = { address, port: own, onConnection: null, close: () => server.close() }
    server.on('connection', socket => listener.onConnection?.(new KernelConnection(socket)))
    return listener
  },
  apply: () => {},
  random: size => randomBytes(size),
  close: () => {},
}
