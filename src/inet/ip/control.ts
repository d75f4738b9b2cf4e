/** What people and configurations change on a live IP, checked, and what they see of it. Nothing here is on the data path. */
import { StackError } from '../../base/errors.ts'
import type { AnyQueue } from '../../streams/module.ts'
import type { Runtime } from '../../streams/runtime.ts'
import {
  formatPrefix,
  fromWords,
  type IpAddress,
  isMulticast,
  network,
  type Prefix,
  parseAddress,
  parsePrefix,
  sameAddress,
} from '../address.ts'
import type { RateLimitOptions } from '../icmp/rate-limit.ts'
import { IPV6_MTU_MIN } from '../wire/ipv6.ts'
import { KIND_LOCAL, KIND_LOOPBACK } from './addresses.ts'
import { DEST_INTERFACE, DEST_KIND, DEST_MTU, DEST_SOURCE } from './destinations.ts'
import { capabilityNames, checkInterfaceOptions, INTERFACES_MAX, Interface } from './interfaces.ts'
import { Ip, type IpOptions } from './ip.ts'
import { describeRoute, METRIC_MAX } from './routes.ts'
import { emitPiece } from './transmit.ts'

/** What every host can put together (RFC 791 §3.1). */
const IPV4_MTU_MIN = 576

/** An IP without links; `makeIpDriver` makes it a driver. */
export function createIp(runtime: Runtime, options: IpOptions = {}): Ip {
  return new Ip(runtime, emitPiece, options)
}

/** @throws StackError `ERR_NOT_FOUND` */
export function findInterface(ip: Ip, name: string): Interface {
  const found = ip.interfaces.find(each => each?.name === name)
  if (found) return found
  const known = ip.interfaces.flatMap(each => (each === null ? [] : [each.name]))
  throw new StackError('ERR_NOT_FOUND', `ip has no interface "${name}"`, {
    hint: `known: ${known.join(', ') || 'none'}`,
  })
}

/** A stream was linked below. @throws StackError; nothing has changed then */
export function attachInterface(ip: Ip, out: AnyQueue, options: unknown): Interface {
  const checked = checkInterfaceOptions(options)
  if (ip.interfaces.some(each => each?.name === checked.name))
    throw new StackError('ERR_ADDR_IN_USE', `ip: there is an interface named ${checked.name}`)
  if (checked.loopback === true && ip.loopback !== null)
    throw new StackError('ERR_ALREADY', 'ip: there is a loopback interface')
  const free = ip.interfaces.indexOf(null, 1)
  const index = free < 0 ? ip.interfaces.length : free
  if (index > INTERFACES_MAX) throw new StackError('ERR_NO_BUFFERS', 'ip: too many interfaces')
  const added = new Interface(index, checked, out)
  ip.interfaces[index] = added
  if (added.loopback) ip.loopback = added
  try {
    for (const prefix of checked.prefixes) assignAddress(ip, added, prefix)
  } catch (error) {
    detachInterface(ip, added)
    throw error
  }
  ip.destinations.invalidate()
  return added
}

/** The stream below is about to go: its addresses and routes go with it. */
export function detachInterface(ip: Ip, gone: Interface): void {
  gone.up = false
  ip.addresses.removeAll(gone)
  ip.routes.remove(route => route.interface === gone)
  ip.interfaces[gone.index] = null
  if (ip.loopback === gone) ip.loopback = null
  ip.destinations.invalidate()
}

/** The link said that it failed or is gone: it stays linked, unusable, until it is unlinked. */
export function linkChanged(ip: Ip, link: Interface, what: string): void {
  link.up = false
  ip.destinations.invalidate()
  ip.runtime.event('warn', 'ip.link', `${link.name} ${what}`)
}

function assignAddress(ip: Ip, owner: Interface, prefix: Prefix): void {
  ip.addresses.add(owner, prefix)
  const route = {
    prefix: network(prefix),
    interface: owner,
    gateway: null,
    metric: 0,
    origin: 'connected' as const,
  }
  // Two addresses of one subnet share the route.
  const known = ip.routes.all.some(
    each => each.origin === 'connected' && each.interface === owner && samePrefix(each.prefix, route.prefix),
  )
  if (!known) ip.routes.add(route)
  ip.destinations.invalidate()
}

function samePrefix(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && sameAddress(a.address, b.address)
}

/** Gives an interface an address, and a route to its subnet. @throws StackError */
export function addAddress(ip: Ip, interfaceName: string, text: string): void {
  assignAddress(ip, findInterface(ip, interfaceName), readPrefix(text))
}

/** Takes an address away, and the route to its subnet if no other address needs it. @throws StackError `ERR_NOT_FOUND` */
export function removeAddress(ip: Ip, interfaceName: string, text: string): void {
  const owner = findInterface(ip, interfaceName)
  const removed = ip.addresses.remove(owner, readPrefix(text).address)
  if (removed === null) throw new StackError('ERR_NOT_FOUND', `${interfaceName} has no address ${text}`)
  const subnet = network(removed.prefix)
  const needed = ip.addresses.all.some(
    own => own.interface === owner && samePrefix(network(own.prefix), subnet),
  )
  if (!needed)
    ip.routes.remove(
      route => route.origin === 'connected' && route.interface === owner && samePrefix(route.prefix, subnet),
    )
  ip.destinations.invalidate()
}

export interface RouteOptions {
  /** `10.0.0.0/8`, an address, or `default` for both families (`0.0.0.0/0` or `::/0` for one). */
  readonly prefix: string
  /** Name of the interface; without it the gateway decides. */
  readonly interface?: string
  /** An address on a subnet that we are on. */
  readonly gateway?: string
  /** 0 to 1,000,000; 0 by default. The lowest is taken. */
  readonly metric?: number
}

/** @throws StackError; nothing has changed then */
export function addRoute(ip: Ip, options: RouteOptions): void {
  const metric = options.metric ?? 0
  if (!Number.isInteger(metric) || metric < 0 || metric > METRIC_MAX)
    throw new StackError('ERR_BAD_ARGUMENT', `route: metric has to be 0 to ${METRIC_MAX}`)
  for (const prefix of routePrefixes(options)) {
    const gateway = options.gateway === undefined ? null : readGateway(prefix, options.gateway)
    const out = routeInterface(ip, options, gateway)
    ip.routes.add({ prefix, interface: out, gateway, metric, origin: 'static' })
  }
  ip.destinations.invalidate()
}

/** Removes the static routes that match all that is given. @throws StackError `ERR_NOT_FOUND` if none does */
export function removeRoute(ip: Ip, options: RouteOptions): void {
  const prefixes = routePrefixes(options).map(network)
  const out = options.interface === undefined ? null : findInterface(ip, options.interface)
  const removed = ip.routes.remove(
    route =>
      route.origin === 'static' &&
      prefixes.some(prefix => samePrefix(prefix, route.prefix)) &&
      (out === null || route.interface === out) &&
      (options.metric === undefined || route.metric === options.metric),
  )
  if (removed === 0) throw new StackError('ERR_NOT_FOUND', `there is no static route to ${options.prefix}`)
  ip.destinations.invalidate()
}

function routePrefixes(options: RouteOptions): Prefix[] {
  if (options.prefix !== 'default') return [readPrefix(options.prefix)]
  const family = options.gateway === undefined ? 0 : (parseAddress(options.gateway)?.family ?? 0)
  const both = ['0.0.0.0/0', '::/0'].map(readPrefix)
  return family === 0 ? both : both.filter(prefix => prefix.address.family === family)
}

function readPrefix(text: string): Prefix {
  const prefix = typeof text === 'string' ? parsePrefix(text) : null
  if (prefix === null)
    throw new StackError('ERR_BAD_ADDRESS', `bad address or prefix ${JSON.stringify(text)}`)
  return prefix
}

function readGateway(prefix: Prefix, text: string): IpAddress {
  const gateway = parseAddress(text)
  if (gateway === null || gateway.family !== prefix.address.family || isMulticast(gateway))
    throw new StackError(
      'ERR_BAD_ADDRESS',
      `${JSON.stringify(text)} is no gateway to ${formatPrefix(prefix)}`,
    )
  return gateway
}

function routeInterface(ip: Ip, options: RouteOptions, gateway: IpAddress | null): Interface {
  if (options.interface !== undefined) return findInterface(ip, options.interface)
  if (gateway === null)
    throw new StackError('ERR_BAD_ARGUMENT', 'route: an interface or a gateway has to be given')
  const route = ip.routes.find(gateway.family, gateway.words, null)
  if (route === null || route.origin !== 'connected')
    throw new StackError('ERR_NETWORK_UNREACHABLE', `route: ${options.gateway} is on no subnet of ours`)
  return route.interface
}

/** Whether packets that are not for us are passed on (RFC 1812). Off until it is switched on. */
export function setForwarding(ip: Ip, on: boolean): void {
  if (typeof on !== 'boolean') throw new StackError('ERR_BAD_ARGUMENT', 'forwarding has to be true or false')
  ip.forwarding = on
}

/** TTL and hop limit of packets whose sender gives none, 1 to 255. */
export function setHopLimit(ip: Ip, hopLimit: number): void {
  if (!Number.isInteger(hopLimit) || hopLimit < 1 || hopLimit > 255)
    throw new StackError('ERR_BAD_ARGUMENT', 'the hop limit has to be 1 to 255')
  ip.hopLimit = hopLimit
}

/** Limits of ICMP errors that leave; what is not given stays. */
export function setErrorLimit(ip: Ip, limits: Partial<RateLimitOptions>): void {
  for (const [name, value] of Object.entries(limits)) {
    if (!(name in ip.errorLimit.options))
      throw new StackError('ERR_BAD_ARGUMENT', `ICMP limits: nobody knows "${name}"`)
    if (typeof value !== 'number' || !(value >= 0 && value <= 1e9))
      throw new StackError('ERR_BAD_ARGUMENT', `ICMP limits: ${name} has to be 0 to 1,000,000,000`)
  }
  ip.errorLimit.configure({ ...ip.errorLimit.options, ...limits })
}

/** Forgets every path MTU that was learnt. */
export function clearPathMtu(ip: Ip): void {
  ip.pathMtu.clear()
  ip.destinations.invalidate()
}

/**
 * A transport's negative advice (RFC 1122 §3.3.1.4): what it sends to an address is not answered. The cached way there is
 * dropped, so that the next packet takes what the routes and the links say then; a path MTU that was learnt stays.
 * @param w0 - the address, four int32 words
 */
export function doubtPath(ip: Ip, w0: number, w1: number, w2: number, w3: number): void {
  ip.counters['paths-doubted']++
  ip.destinations.forget(w0, w1, w2, w3)
}

/** All of it as a JSON value. */
export function describeIp(ip: Ip): Record<string, unknown> {
  return {
    forwarding: ip.forwarding,
    hopLimit: ip.hopLimit,
    icmpLimits: ip.errorLimit.options,
    interfaces: ip.interfaces.flatMap(each => (each === null ? [] : [describeInterface(ip, each)])),
    routes: ip.routes.all.map(describeRoute),
    pathMtu: ip.pathMtu.describe(ip.nowSeconds()),
    protocols: ip.bound.flatMap((q, protocol) => (q === null ? [] : [protocol])),
    reassembly: { ...ip.reassembly.counters, bytes: ip.reassembly.bytes, datagrams: ip.reassembly.datagrams },
    routeCacheMisses: ip.destinations.misses,
  }
}

function describeInterface(ip: Ip, link: Interface): Record<string, unknown> {
  return {
    name: link.name,
    index: link.index,
    up: link.up,
    mtu: link.mtu,
    loopback: link.loopback,
    capabilities: capabilityNames(link.capabilities),
    addresses: ip.addresses.all.filter(own => own.interface === link).map(own => formatPrefix(own.prefix)),
    packetsIn: link.packetsIn,
    packetsOut: link.packetsOut,
  }
}

/** Whether a program may bind to an address: it is one of ours, or loopback. */
export function isOwnAddress(ip: Ip, address: IpAddress): boolean {
  const kind = ip.destinations.table[ip.destinations.find(...address.words, 0) + DEST_KIND]
  return kind === KIND_LOCAL || kind === KIND_LOOPBACK
}

/** The source address that packets to `remote` get; null if no route leads there, or no address can be the source. */
export function sourceFor(ip: Ip, remote: IpAddress): IpAddress | null {
  const { table } = ip.destinations
  const at = ip.destinations.find(...remote.words, 0)
  if (table[at + DEST_INTERFACE] === 0) return null
  const word = (i: number): number => table[at + DEST_SOURCE + i]!
  if ((word(0) | word(1) | word(2) | word(3)) === 0) return null
  return fromWords(remote.family, word(0), word(1), word(2), word(3))
}

/**
 * Bytes of the largest IP packet on the path to an address, as far as IP knows: the first link's, or less if a router said so.
 * @param w0 - the address, four int32 words
 * @returns what every path takes (RFC 791, RFC 8200 §5) if no route leads there
 */
export function pathMtu(ip: Ip, family: number, w0: number, w1: number, w2: number, w3: number): number {
  const { table } = ip.destinations
  const at = ip.destinations.find(w0, w1, w2, w3, 0)
  if (table[at + DEST_INTERFACE] === 0) return family === 4 ? IPV4_MTU_MIN : IPV6_MTU_MIN
  return table[at + DEST_MTU]!
}
