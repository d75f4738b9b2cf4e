/** A listener of the kernel's TCP: the state of its queue pair. Node accepts at once; what the program has not taken waits here, unread. */
import { createServer, type Server, type Socket } from 'node:net'
import type { StackError } from '../base/errors.ts'
import { formatAddress } from '../inet/address.ts'
import type { ListeningEnd } from '../inet/tcp/ends.ts'
import { CONN_CON, CONN_IND, makeDisconnect, makePrimitive } from '../inet/tcp/primitives.ts'
import type { ConnectionSettings } from '../inet/tcp/settings.ts'
import type { SocketName } from '../inet/udp/endpoint.ts'
import type { AnyQueue } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
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
  private readonly waiting: Socket[] = []
  /** The program knows that connections wait. */
  private told = false
  /** Primitives for which no block was left; 0 for the end. */
  private readonly untold: number[] = []
  private closed = false

  constructor(q: AnyQueue, sockets: KernelSockets, request: KernelListen) {
    const { loop } = sockets
    this.q = q
    this.sockets = sockets
    this.settings = request.settings
    this.backlog = Math.max(1, request.backlog)
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
    this.tell(CONN_CON)
  }

  private failed(error: StackError): void {
    // Of one connection that could not be accepted: others may.
    if (this.isOpen && this.server.listening) return
    this.error = error
    if (!this.isOpen) this.sockets.remove(this.server)
    this.tell(0)
  }

  private arrived(socket: Socket): void {
    const { counters } = this.sockets
    // Before it has a stream nobody else hears of its end.
    socket.on('error', ignore)
    if (this.closed || this.waiting.length >= this.backlog) {
      counters['backlog-overflows']++
      socket.resetAndDestroy()
      return
    }
    counters['in-connections']++
    this.sockets.add(socket)
    this.waiting.push(socket)
    if (!this.told) this.tellAgain()
  }

  private tell(primitive: number): void {
    if (this.closed) return
    this.untold.push(primitive)
    this.serveRead()
  }

  /** The read queue's service procedure: there may be a block now. */
  serveRead(): void {
    const { arena } = this.q.stream.runtime
    while (this.untold.length > 0) {
      const kind = this.untold[0]!
      const mp = kind === 0 ? makeDisconnect(arena, 'aborted') : makePrimitive(arena, kind)
      if (mp === null) return this.sockets.retryLater(this.q)
      this.untold.shift()
      putnext(this.q, mp)
    }
  }

  tellAgain(): void {
    if (this.waiting.length === 0) return
    this.told = true
    this.tell(CONN_IND)
  }

  get hasNext(): boolean {
    while (this.waiting[0]?.destroyed === true) this.sockets.remove(this.waiting.shift()!)
    if (this.waiting.length === 0) this.told = false
    return this.waiting.length > 0
  }

  /** Takes the next connection: its reader from now on hears of its end. */
  take(): Socket | null {
    return this.hasNext ? this.waiting.shift()! : null
  }

  close(): void {
    this.closed = true
    for (const socket of this.waiting) {
      this.sockets.remove(socket)
      socket.resetAndDestroy()
    }
    this.waiting.length = 0
    if (this.server.listening) this.server.close()
  }

  describe(): object {
    return {
      isOpen: this.isOpen,
      backlog: this.backlog,
      waiting: this.waiting.length,
      settings: this.settings,
    }
  }
}

function ignore(): void {}
