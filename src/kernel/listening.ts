/** A listener of the kernel's TCP: the state of its queue pair. Node accepts at once; what the program has not taken waits here, unread. */
import { createServer, type Server, type Socket } from 'node:net'
import type { StackError } from '../base/errors.ts'
import { formatAddress } from '../inet/address.ts'
import { Arrivals } from '../inet/tcp/arrivals.ts'
import type { ListeningEnd } from '../inet/tcp/ends.ts'
import type { ConnectionSettings } from '../inet/tcp/settings.ts'
import type { SocketName } from '../inet/udp/endpoint.ts'
import type { AnyQueue } from '../streams/module.ts'
import { kernelError } from './errors.ts'
import type { KernelSockets } from './sockets.ts'
import { type KernelListen, nodeName, socketName } from './tcp-options.ts'

export class KernelListening implements ListeningEnd {
  readonly q: AnyQueue
  readonly settings: ConnectionSettings
  local: SocketName
  isOpen = false
  error: StackError | null = null
  private readonly sockets: KernelSockets
  private readonly server: Server
  private readonly backlog: number
  private readonly arrivals: Arrivals<Socket>
  private closed = false

  constructor(q: AnyQueue, sockets: KernelSockets, request: KernelListen) {
    const { loop } = sockets
    this.q = q
    this.sockets = sockets
    this.settings = request.settings
    this.backlog = Math.max(1, request.backlog)
    this.arrivals = new Arrivals(q, queue => sockets.retryLater(queue))
    this.local = socketName(request.address, request.port)
    this.server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
    this.server.on('connection', socket => loop.within(() => this.arrived(socket)))
    this.server.on('listening', () => loop.within(() => this.listens()))
    this.server.on('error', error => loop.within(() => this.failed(kernelError(error))))
    this.server.on('close', () => sockets.remove(this.server))
    sockets.add(this.server)
    this.server.listen({
      host: formatAddress(request.address),
      port: request.port,
      backlog: this.backlog,
      ipv6Only: request.ipv6Only,
      exclusive: true,
    })
  }

  private listens(): void {
    // Closed while it was on its way.
    if (this.closed) return void this.server.close()
    const address = this.server.address()
    if (address === null || typeof address === 'string') return
    this.local = nodeName(address.address, address.port)
    this.isOpen = true
    this.arrivals.opened()
  }

  private failed(error: StackError): void {
    // Of one connection that could not be accepted: others may.
    if (this.isOpen && this.server.listening) return
    this.error = error
    if (!this.isOpen) this.sockets.remove(this.server)
    if (!this.closed) this.arrivals.ended()
  }

  private arrived(socket: Socket): void {
    const { counters } = this.sockets
    // Before it has a stream nobody else hears of its end.
    socket.on('error', ignore)
    if (this.closed || this.arrivals.count >= this.backlog) {
      counters['backlog-overflows']++
      socket.resetAndDestroy()
      return
    }
    counters['in-connections']++
    this.sockets.add(socket)
    this.arrivals.add(socket)
  }

  serveRead(): void {
    this.arrivals.serveRead()
  }

  tellAgain(): void {
    this.arrivals.tellAgain()
  }

  get hasNext(): boolean {
    const { arrivals, sockets } = this
    for (let { first } = arrivals; first?.destroyed === true; { first } = arrivals)
      sockets.remove(arrivals.take()!)
    return arrivals.hasNext
  }

  /** Takes the next connection: its reader from now on hears of its end. */
  take(): Socket | null {
    return this.hasNext ? this.arrivals.take() : null
  }

  close(): void {
    this.closed = true
    for (let socket = this.arrivals.take(); socket !== null; socket = this.arrivals.take()) {
      this.sockets.remove(socket)
      socket.resetAndDestroy()
    }
    if (this.server.listening) this.server.close()
  }

  describe(): object {
    return {
      isOpen: this.isOpen,
      backlog: this.backlog,
      waiting: this.arrivals.count,
      settings: this.settings,
    }
  }
}

function ignore(): void {}
