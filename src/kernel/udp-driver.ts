/** The driver `udp` of a kernel host: its streams are endpoints of the kernel's UDP, by `node:dgram`. */
import { StackError } from '../base/errors.ts'
import { type EndpointSettings, fields, integer, SETTINGS } from '../inet/udp/control.ts'
import { driverFlush } from '../streams/flush.ts'
import { answerIoctl, readIoctl } from '../streams/ioctl.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { M_DATA, M_FLUSH, M_IOCTL, M_PROTO } from '../streams/mblk/types.ts'
import type { AnyQueue, DriverInfo } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import type { Queue } from '../streams/queue.ts'
import { KernelEndpoint } from './endpoint.ts'
import type { KernelSockets } from './sockets.ts'
import { addressOf } from './tcp-options.ts'
import { readOpen } from './udp-options.ts'

/** Bytes of requests that may wait on one endpoint for room in Node. */
const SEND_HIWAT = 256 * 1024
const SEND_LOWAT = 64 * 1024

export function udpDriver(sockets: KernelSockets): DriverInfo<KernelEndpoint> {
  return {
    name: 'udp',
    driver: true,
    hiwat: SEND_HIWAT,
    lowat: SEND_LOWAT,
    open: (q, options) => openEndpoint(sockets, q, options),
    close: q => q.state.close(),
    read: { put: putnext },
    write: { put: writePut, service: q => q.state.serveWrite() },
    counters: () => sockets.counters,
    describe: state => state.describe(),
  }
}

function openEndpoint(sockets: KernelSockets, q: AnyQueue, options: unknown): KernelEndpoint {
  const given = readOpen(options)
  const endpoint = new KernelEndpoint(q, sockets, given)
  try {
    if (given.bind !== undefined) bind(endpoint, given.bind)
    if (given.connect !== undefined) connect(endpoint, given.connect)
  } catch (error) {
    endpoint.close()
    throw error
  }
  return endpoint
}

function bind(endpoint: KernelEndpoint, argument: unknown): void {
  const { address, port } = fields('bind', argument, ['address', 'port'])
  const local = address === undefined || address === '' ? null : addressOf('bind', address)
  endpoint.bind(local, port === undefined ? 0 : integer('bind', 'port', port, 0, 65_535))
}

function connect(endpoint: KernelEndpoint, argument: unknown): void {
  const { address, port } = fields('connect', argument, ['address', 'port'])
  endpoint.connect(addressOf('connect', address), integer('connect', 'port', port, 1, 65_535))
}

function writePut(q: Queue<KernelEndpoint>, mp: Mblk): void {
  switch (mp.type) {
    case M_PROTO:
    case M_DATA:
      return q.state.write(mp)
    case M_FLUSH:
      return driverFlush(q, mp)
    case M_IOCTL:
      return answerRequest(q, mp)
    default:
      freemsg(mp)
  }
}

/** Apart, since a closure makes the function that it stands in allocate a context at every call. */
function answerRequest(q: Queue<KernelEndpoint>, mp: Mblk): void {
  const { command, argument } = readIoctl(mp)
  answerIoctl(q, mp, () => request(q.state, command, argument))
}

/** @throws StackError what is wrong with it */
function request(endpoint: KernelEndpoint, command: string, argument: unknown): unknown {
  switch (command) {
    case 'udp.bind':
      bind(endpoint, argument)
      return endpoint.names
    case 'udp.connect':
      connect(endpoint, argument)
      return endpoint.names
    case 'udp.disconnect':
      endpoint.disconnect()
      return endpoint.names
    case 'udp.name':
      return endpoint.names
    case 'udp.set':
      endpoint.change(fields(command, argument, SETTINGS) as EndpointSettings)
      return endpoint.settings
    default:
      throw new StackError('ERR_IOCTL', `an endpoint of udp does not know "${command}"`)
  }
}
