/** The kernel's sockets as a network for tests of the iperf engine: the same protocol without our stack below. */
import { randomBytes } from 'node:crypto'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type {
  BulkConnection,
  BulkListener,
  BulkNetwork,
  DatagramFlow,
  DatagramListener,
  EndName,
  SenderFigures,
} from '../bulk.ts'

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

function kernelFlow(socket: UdpSocket, to: EndName, close: () => void): DatagramFlow {
  const flow: DatagramFlow = {
    local: { address: '', port: 0 },
    remote: { address: to.address, port: to.port },
    onDatagram: null,
    onWritable: null,
    onError: null,
    send: (head, size) => {
      const own = Buffer.from(head.subarray(0, Math.min(size, head.length)))
      socket.send([own, BLOCK.subarray(0, size - own.length)], to.port, to.address, () => {})
      return true
    },
    close,
  }
  return flow
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
  openDatagrams: (address, port) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const flow = kernelFlow(socket, { address, port }, () => socket.close())
    socket.on('message', message => flow.onDatagram?.(message, message.length))
    socket.on('error', error => flow.onError?.(error))
    return flow
  },
  listenDatagrams: async (port, address) => {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(port, address, resolve)
    })
    const flows = new Map<number, DatagramFlow>()
    const listener: DatagramListener = { onFlow: null, close: () => socket.close() }
    socket.on('message', (message, from) => {
      let flow = flows.get(from.port)
      if (flow === undefined) {
        flow = kernelFlow(socket, from, () => {})
        if (listener.onFlow?.(flow) !== true) return
        flows.set(from.port, flow)
      }
      flow.onDatagram?.(message, message.length)
    })
    return listener
  },
  apply: () => {},
  random: size => randomBytes(size),
  close: () => {},
}
