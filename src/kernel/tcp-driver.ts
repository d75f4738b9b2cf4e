/** The driver `tcp` of a kernel host: its streams are connections and listeners of the kernel's TCP, by `node:net`. */
import { connect } from 'node:net'
import { StackError } from '../base/errors.ts'
import { formatAddress, UNSPECIFIED_V4, UNSPECIFIED_V6 } from '../inet/address.ts'
import type { ConnectOptions, ListenOptions } from '../inet/tcp/control.ts'
import { nameText } from '../inet/tcp/describe.ts'
import type { ListeningEnd } from '../inet/tcp/ends.ts'
import { driverFlush } from '../streams/flush.ts'
import { answerIoctl, readIoctl } from '../streams/ioctl.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { M_DATA, M_FLUSH, M_IOCTL, M_PROTO } from '../streams/mblk/types.ts'
import type { AnyQueue, DriverInfo } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import type { Queue } from '../streams/queue.ts'
import { KernelConnection } from './connection.ts'
import { KernelListening } from './listening.ts'
import type { KernelSockets } from './sockets.ts'
import { nodeName, readConnect, readListen, socketName } from './tcp-options.ts'

type KernelStream = KernelConnection | KernelListening

type OpenOptions =
  | { readonly connect: ConnectOptions }
  | { readonly listen: ListenOptions }
  | { readonly accept: ListeningEnd }

export function tcpDriver(sockets: KernelSockets): DriverInfo<KernelStream> {
  return {
    name: 'tcp',
    driver: true,
    // What Node has no room for waits here: full from its first byte on.
    hiwat: 1,
    lowat: 1,
    open: (q, options) => openStream(sockets, q, options as OpenOptions | undefined),
    close: q => q.state.close(),
    read: { put: putnext, service: q => q.state.serveRead() },
    write: {
      put: writePut,
      service: q => {
        if (q.state instanceof KernelConnection) q.state.serveWrite()
      },
    },
    counters: () => sockets.counters,
    describe: state => ({ ...names(state), ...state.describe() }),
    streamName: state => `tcp:${Object.values(names(state)).join('-')}`,
  }
}

function names(state: KernelStream): { local: string; remote?: string } {
  const local = nameText(state.local)
  return state instanceof KernelConnection ? { local, remote: nameText(state.remote) } : { local }
}

function openStream(sockets: KernelSockets, q: AnyQueue, options: OpenOptions | undefined): KernelStream {
  if (options === undefined) throw new StackError('ERR_PLUMBING', 'the kernel needs no plumbing')
  if ('accept' in options) return accept(sockets, q, options.accept)
  if ('listen' in options) return new KernelListening(q, sockets, readListen(options.listen))
  return begin(sockets, q, options.connect)
}

function begin(sockets: KernelSockets, q: AnyQueue, options: ConnectOptions): KernelConnection {
  const { remote, remotePort, local, localPort, settings } = readConnect(options)
  const socket = connect({
    host: formatAddress(remote),
    port: remotePort,
    allowHalfOpen: true,
    ...(local === null ? {} : { localAddress: formatAddress(local) }),
    ...(localPort === 0 ? {} : { localPort }),
  })
  const unbound = remote.family === 4 ? UNSPECIFIED_V4 : UNSPECIFIED_V6
  const given = { local: socketName(local ?? unbound, localPort), remote: socketName(remote, remotePort) }
  const connection = new KernelConnection(q, sockets, socket, given, settings, 'SYN-SENT')
  sockets.add(socket)
  sockets.counters['out-connections']++
  socket.once('connect', () => {
    const own = nodeName(socket.localAddress, socket.localPort)
    sockets.loop.within(() => connection.connected({ local: own, remote: given.remote }))
  })
  return connection
}

function accept(sockets: KernelSockets, q: AnyQueue, from: ListeningEnd): KernelConnection {
  const listening = from instanceof KernelListening ? from : null
  const socket = listening?.take() ?? null
  if (socket === null) throw new StackError('ERR_WOULD_BLOCK', 'no connection waits to be accepted')
  const local = nodeName(socket.localAddress, socket.localPort)
  const remote = nodeName(socket.remoteAddress, socket.remotePort)
  const connection = new KernelConnection(
    q,
    sockets,
    socket,
    { local, remote },
    listening!.settings,
    'ESTABLISHED',
  )
  // In a tick of its own: modules may be pushed on its stream by then.
  socket.resume()
  return connection
}

function writePut(q: Queue<KernelStream>, mp: Mblk): void {
  switch (mp.type) {
    case M_DATA:
    case M_PROTO:
      if (q.state instanceof KernelConnection) return q.state.write(mp)
      return freemsg(mp)
    case M_FLUSH:
      return driverFlush(q, mp)
    case M_IOCTL:
      return answerRequest(q, mp)
    default:
      freemsg(mp)
  }
}

/** Apart, since a closure makes the function that it stands in allocate a context at every call. */
function answerRequest(q: Queue<KernelStream>, mp: Mblk): void {
  const { state } = q
  const { command, argument } = readIoctl(mp)
  answerIoctl(q, mp, () => {
    if (command === 'tcp.info')
      throw new StackError('ERR_NOT_SUPPORTED', "tcp.info: the kernel's is not to be had in Node")
    if (state instanceof KernelConnection && command === 'tcp.set') {
      state.change((argument ?? {}) as object)
      return state.settings
    }
    throw new StackError('ERR_IOCTL', `this stream of tcp does not know "${command}"`)
  })
}
