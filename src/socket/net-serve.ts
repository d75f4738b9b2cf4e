/** Puts a server of node:http, https, http2 or tls, or of a library built on them, on our stack. */
import type net from 'node:net'
import tls from 'node:tls'
import { nameAccepted } from './net-secure.ts'
import type { Server } from './net-server.ts'
import type { Socket } from './net-socket.ts'

/** A server of Node's; those of HTTP know which connections are idle. */
interface Served extends net.Server {
  closeIdleConnections?(): void
}

/** What settings a server of Node's has for the sockets that it accepts. */
interface SocketSettings {
  readonly allowHalfOpen?: boolean
  readonly pauseOnConnect?: boolean
  readonly noDelay?: boolean
  readonly keepAlive?: boolean
  readonly keepAliveInitialDelay?: number
  readonly highWaterMark?: number
}

/** What takes connections one by one: the injector of `@grpc/grpc-js`, for instance. */
export interface ConnectionInjector {
  injectConnection(socket: Socket): void
}

/**
 * Puts a server on the stack of a listener: whom the listener accepts, the server serves. From then on the server's own
 * `listen`, `close`, `address`, `listening`, `getConnections`, `ref` and `unref` are the listener's, so that a program that has the
 * server need not know. The listener takes over the server's settings for sockets; one that listens already serves at once.
 * @returns the server
 */
export function serve<S extends net.Server | ConnectionInjector>(server: S, listener: Server): S {
  if ('injectConnection' in server) {
    listener.on('connection', socket => {
      server.injectConnection(socket as Socket)
      socket.allowHalfOpen = true
    })
    return server
  }
  copySettings(server as SocketSettings, listener)
  // TLS and HTTP/2 have their own end, and may still have to write when the connection's has come.
  const hasOwnEnd = server instanceof tls.Server || 'updateSettings' in server
  if (server instanceof tls.Server) nameAccepted(server)
  listener.on('connection', socket => {
    server.emit('connection', socket)
    if (hasOwnEnd) socket.allowHalfOpen = true
  })
  for (const event of ['error', 'drop'] as const)
    listener.on(event, (...args: unknown[]) => server.emit(event, ...args))
  // HTTP servers begin to watch over their connections here.
  listener.on('listening', () => server.emit('listening'))
  if (listener.listening) process.nextTick(() => server.emit('listening'))
  hand(server, listener)
  return server
}

function copySettings(from: SocketSettings, to: Server): void {
  const { allowHalfOpen, pauseOnConnect, noDelay, keepAlive, keepAliveInitialDelay, highWaterMark } = from
  to.allowHalfOpen = allowHalfOpen ?? to.allowHalfOpen
  to.pauseOnConnect = pauseOnConnect ?? to.pauseOnConnect
  to.noDelay = noDelay ?? to.noDelay
  to.keepAlive = keepAlive ?? to.keepAlive
  to.keepAliveInitialDelay = keepAliveInitialDelay ?? to.keepAliveInitialDelay
  to.highWaterMark = highWaterMark ?? to.highWaterMark
}

/** Gives the server the listener's side of its methods. */
function hand(server: Served, listener: Server): void {
  const closeItself = server.close
  const close = (callback?: (error?: Error) => void): net.Server => {
    if (!listener.listening) return closeItself.call(server, callback)
    if (typeof callback === 'function') server.once('close', callback)
    server.closeIdleConnections?.()
    listener.close(() => closeItself.call(server))
    return server
  }
  const listen = (...args: unknown[]): net.Server => {
    // Its callback hears the server's own event, as `this` of which it may have the server.
    const callback = args.findLast(arg => typeof arg === 'function') as (() => void) | undefined
    if (callback !== undefined) server.once('listening', callback)
    ;(listener.listen as (...all: unknown[]) => void)(...args.filter(arg => typeof arg !== 'function'))
    return server
  }
  Object.defineProperty(server, 'listening', { configurable: true, get: () => listener.listening })
  listener.maxConnections = server.maxConnections
  Object.defineProperty(server, 'maxConnections', {
    configurable: true,
    get: () => listener.maxConnections,
    set: value => {
      listener.maxConnections = value
    },
  })
  const getConnections: net.Server['getConnections'] = callback => {
    listener.getConnections(callback)
    return server
  }
  const ref = (): net.Server => {
    listener.ref()
    return server
  }
  const unref = (): net.Server => {
    listener.unref()
    return server
  }
  const dispose = async (): Promise<void> => {
    if (listener.listening) await new Promise<void>(resolve => close(() => resolve()))
  }
  const address = (): net.AddressInfo | null => listener.address()
  Object.assign(server, {
    close,
    listen,
    address,
    getConnections,
    ref,
    unref,
    [Symbol.asyncDispose]: dispose,
  })
}
