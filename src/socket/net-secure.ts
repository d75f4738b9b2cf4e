/**
 * The names of TLS connections. Node asks the handle below for them, and a socket that is no handle of Node's has none to
 * ask: without this `remoteAddress` of a secure connection would be undefined.
 */
import type tls from 'node:tls'
import { Socket } from './net-socket.ts'

const NAMES = [
  ...(['localAddress', 'localPort', 'localFamily'] as const),
  ...(['remoteAddress', 'remotePort', 'remoteFamily'] as const),
] as const

/** Gives a TLS connection the names of the socket that it runs on. */
export function nameAs(secure: tls.TLSSocket, socket: Socket): void {
  for (const name of NAMES)
    Object.defineProperty(secure, name, { configurable: true, enumerable: true, get: () => socket[name] })
  secure.address = () => socket.address()
}

/** The same for all that a server accepts; its own listeners find them. */
export function nameAccepted(server: tls.Server): void {
  const name = (secure: tls.TLSSocket): void => {
    // Node's names for what is below, a Duplex in its eyes; there is no other way to it.
    const { _handle } = secure as unknown as { _handle?: { _parentWrap?: { stream?: unknown } } | null }
    const below = _handle?._parentWrap?.stream
    if (below instanceof Socket) nameAs(secure, below)
  }
  server.prependListener('secureConnection', name)
  server.prependListener('tlsClientError', (_error, secure) => name(secure))
}
