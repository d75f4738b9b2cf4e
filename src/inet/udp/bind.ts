/** Binding and connecting: what gives an endpoint its port, its address and its peer. */
import { StackError } from '../../base/errors.ts'
import { formatAddress, type IpAddress, isUnspecified, UNSPECIFIED_V4, UNSPECIFIED_V6 } from '../address.ts'
import { ENDPOINTS_MAX } from './demux.ts'
import type { Endpoint } from './endpoint.ts'
import { chooseEphemeral } from './ports.ts'
import type { Udp } from './state.ts'

/** The address that stands for all of an endpoint's. */
const anyAddress = (e: Endpoint): IpAddress => (e.family === 4 ? UNSPECIFIED_V4 : UNSPECIFIED_V6)

/**
 * Gives an unbound endpoint its address and port.
 * @param address - null for any
 * @param port - 0 for one that is free
 * @throws StackError `ERR_BAD_ARGUMENT` if it is bound already, `ERR_BAD_ADDRESS`, `ERR_ADDR_NOT_AVAILABLE`,
 * `ERR_ADDR_IN_USE`, `ERR_NO_BUFFERS` at the limit of endpoints; it is unbound then as before
 */
export function bind(udp: Udp, e: Endpoint, address: IpAddress | null, port: number): void {
  if (e.port !== 0) throw new StackError('ERR_BAD_ARGUMENT', 'bind: the endpoint is bound already')
  const local = address ?? anyAddress(e)
  if (local.family === 6 && e.family === 4)
    throw new StackError('ERR_BAD_ADDRESS', `bind: ${formatAddress(local)} is no address of an IPv4 endpoint`)
  if (local.family === 4 && e.family === 6 && e.ipv6Only)
    throw new StackError('ERR_BAD_ADDRESS', `bind: ${formatAddress(local)} at an endpoint of IPv6 alone`)
  if (!isUnspecified(local) && udp.sources !== null && !udp.sources.isLocal(local))
    throw new StackError(
      'ERR_ADDR_NOT_AVAILABLE',
      `bind: ${formatAddress(local)} is no address of this stack`,
    )
  if (udp.demux.bound.size >= ENDPOINTS_MAX)
    throw new StackError('ERR_NO_BUFFERS', `bind: ${ENDPOINTS_MAX} endpoints are bound`)
  e.setLocal(local)
  if (port !== 0 && udp.demux.conflicts(e, port)) {
    clearLocal(e)
    throw new StackError('ERR_ADDR_IN_USE', `bind: another endpoint has ${formatAddress(local)} port ${port}`)
  }
  const taken = (tried: number): boolean => udp.demux.conflicts(e, tried)
  e.port = port === 0 ? chooseEphemeral(udp.runtime.random, udp.ports, taken) : port
  if (e.port === 0) {
    clearLocal(e)
    throw new StackError('ERR_ADDR_IN_USE', 'bind: every ephemeral port is in use')
  }
  udp.demux.add(e)
}

function clearLocal(e: Endpoint): void {
  e.port = 0
  e.setLocal(anyAddress(e))
}

/** As a first request on an unbound endpoint does. @returns false if no port is free */
export function bindEphemeral(udp: Udp, e: Endpoint): boolean {
  try {
    bind(udp, e, null, 0)
    return true
  } catch (error) {
    if (error instanceof StackError) return false
    throw error
  }
}

/**
 * From now on the endpoint takes datagrams and errors from this peer alone, and sends to it what names nobody.
 * Connecting again changes the peer.
 * @throws StackError `ERR_BAD_ADDRESS`, `ERR_NETWORK_UNREACHABLE`, and what {@link bind} throws
 */
export function connect(udp: Udp, e: Endpoint, remote: IpAddress, port: number): void {
  const v4 = remote.family === 4
  if (isUnspecified(remote) || (!v4 && e.family === 4))
    throw new StackError('ERR_BAD_ADDRESS', `connect: ${formatAddress(remote)} is no address to connect to`)
  if (v4 && e.family === 6 && e.ipv6Only)
    throw new StackError('ERR_NETWORK_UNREACHABLE', `connect: ${formatAddress(remote)} is not IPv6`)
  const source = udp.sources === null ? null : udp.sources.sourceFor(remote)
  if (udp.sources !== null && source === null)
    throw new StackError('ERR_NETWORK_UNREACHABLE', `connect: no route to ${formatAddress(remote)}`)
  if (e.port === 0) bind(udp, e, null, 0)
  udp.demux.remove(e)
  // The source is chosen once, so that the peer sees one address and the endpoint knows its own (connect(2)).
  if (source !== null && (!e.hasLocalAddress || e.localByConnect)) {
    e.setLocal(source)
    e.localByConnect = true
  }
  e.setRemote(remote, port)
  udp.demux.add(e)
}

/** @throws StackError `ERR_NOT_CONNECTED` */
export function disconnect(udp: Udp, e: Endpoint): void {
  if (!e.connected) throw new StackError('ERR_NOT_CONNECTED', 'disconnect: the endpoint is not connected')
  udp.demux.remove(e)
  e.clearRemote()
  if (e.localByConnect) {
    e.setLocal(anyAddress(e))
    e.localByConnect = false
  }
  udp.demux.add(e)
}
