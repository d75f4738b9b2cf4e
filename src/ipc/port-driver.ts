/** The drivers `tcp` and `udp` of a client: their streams are opened in the node, and their messages go there and come from there. */
import { StackError } from '../base/errors.ts'
import { formatAddress, parseAddress } from '../inet/address.ts'
import type { ConnectOptions, ListenOptions } from '../inet/tcp/control.ts'
import { nameText } from '../inet/tcp/describe.ts'
import type { ListeningEnd } from '../inet/tcp/ends.ts'
import { readConnectionSettings } from '../inet/tcp/setting-ranges.ts'
import type { SocketName } from '../inet/udp/endpoint.ts'
import { driverFlush } from '../streams/flush.ts'
import { nakIoctl } from '../streams/ioctl.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { M_DATA, M_FLUSH, M_IOCTL, M_PROTO } from '../streams/mblk/types.ts'
import type { AnyQueue, DriverInfo } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import type { Queue } from '../streams/queue.ts'
import type { ClientPort } from './client-port.ts'
import { CONNECT, ENDPOINT, LISTEN } from './protocol.ts'
import { RemoteConnection } from './remote-connection.ts'
import { RemoteEndpoint } from './remote-endpoint.ts'
import { RemoteListening } from './remote-listening.ts'

type PortStream = RemoteConnection | RemoteListening

type PortOpenOptions =
  | { readonly connect: ConnectOptions }
  | { readonly listen: ListenOptions }
  | { readonly accept: ListeningEnd }

export function portDriver(port: ClientPort): DriverInfo<PortStream> {
  return {
    name: 'tcp',
    driver: true,
    // What the node has no credit for waits here: full from its first byte on.
    hiwat: 1,
    lowat: 1,
    open: (q, options) => openStream(port, q, options as PortOpenOptions | undefined),
    close: q => q.state.close(),
    read: { put: putnext, service: q => q.state.serveRead() },
    write: {
      put: writePut,
      service: q => {
        if (q.state instanceof RemoteConnection) q.state.serveWrite()
      },
    },
    describe: state => ({ local: nameText(state.local), id: state.id }),
    streamName: state =>
      state instanceof RemoteConnection
        ? `tcp:${nameText(state.local)}-${nameText(state.remote)}`
        : `tcp:${nameText(state.local)}`,
  }
}

export function datagramDriver(port: ClientPort): DriverInfo<RemoteEndpoint> {
  return {
    name: 'udp',
    driver: true,
    // As above: what may not go waits here.
    hiwat: 1,
    lowat: 1,
    open: (q, options) => openEndpoint(port, q, options),
    close: q => q.state.close(),
    read: { put: putnext, service: q => q.state.serveRead() },
    write: { put: datagramPut, service: q => q.state.serveWrite() },
    counters: state => state.counters,
    describe: ({ names, id }) => ({ ...names, id }),
  }
}

function openEndpoint(port: ClientPort, q: AnyQueue, options: unknown): RemoteEndpoint {
  const id = port.number()
  port.sendText(id, ENDPOINT, 0, options ?? {})
  const endpoint = new RemoteEndpoint(q, port, id)
  port.add(id, endpoint)
  return endpoint
}

function datagramPut(q: Queue<RemoteEndpoint>, mp: Mblk): void {
  switch (mp.type) {
    case M_DATA:
    case M_PROTO:
      return q.state.write(mp)
    case M_FLUSH:
      return driverFlush(q, mp)
    case M_IOCTL:
      return q.state.request(mp)
    default:
      freemsg(mp)
  }
}

function openStream(port: ClientPort, q: AnyQueue, options: PortOpenOptions | undefined): PortStream {
  if (options === undefined) throw new StackError('ERR_PLUMBING', 'a port has no stack to be plumbed')
  if ('accept' in options) return accept(port, q, options.accept)
  if ('listen' in options) {
    const { address = '::', port: number, settings } = options.listen
    readConnectionSettings(settings ?? {}, port.settings)
    const id = port.number()
    port.sendText(id, LISTEN, 0, options.listen)
    const listening = new RemoteListening(q, port, id, nameOf(address === '' ? '::' : address, number))
    port.add(id, listening)
    return listening
  }
  const { address, port: number } = options.connect
  const remote = nameOf(address, number)
  const settings = readConnectionSettings(options.connect.settings ?? {}, port.settings)
  const id = port.number()
  port.sendText(id, CONNECT, 0, options.connect)
  const local = { address: remote.family === 4 ? '0.0.0.0' : '::', family: remote.family, port: 0 }
  const connection = new RemoteConnection(q, port, id, { local, remote, settings }, 'SYN-SENT')
  port.add(id, connection)
  return connection
}

/** @throws StackError `ERR_BAD_ADDRESS` */
function nameOf(text: string, port: number): SocketName {
  const address = parseAddress(text)
  if (address === null) throw new StackError('ERR_BAD_ADDRESS', `${JSON.stringify(text)} is no IP address`)
  return { address: formatAddress(address), family: address.family, port }
}

function accept(port: ClientPort, q: AnyQueue, from: ListeningEnd): RemoteConnection {
  const incoming = from instanceof RemoteListening ? from.take() : null
  if (incoming === null) throw new StackError('ERR_WOULD_BLOCK', 'no connection waits to be accepted')
  const connection = new RemoteConnection(q, port, incoming.id, incoming.names, 'ESTABLISHED')
  port.add(incoming.id, connection)
  connection.replay(incoming.frames)
  return connection
}

function writePut(q: Queue<PortStream>, mp: Mblk): void {
  const { state } = q
  switch (mp.type) {
    case M_DATA:
    case M_PROTO:
      if (state instanceof RemoteConnection) return state.write(mp)
      return freemsg(mp)
    case M_FLUSH:
      return driverFlush(q, mp)
    case M_IOCTL:
      if (state instanceof RemoteConnection) return state.request(mp)
      return nakIoctl(q, mp, new StackError('ERR_IOCTL', 'a listener over a port answers no requests'))
    default:
      freemsg(mp)
  }
}
