/**
 * What a program asks of an endpoint, by ioctl or when it opens one: `udp.bind`, `udp.connect`, `udp.disconnect`,
 * `udp.name`, `udp.set`; of the control stream `udp.ports`. Arguments come from outside and are checked here.
 */
import { StackError } from '../../base/errors.ts'
import { fromV4Word, type IpAddress, isMapped, parseAddress } from '../address.ts'
import { bind, connect, disconnect } from './bind.ts'
import type { Endpoint } from './endpoint.ts'
import type { EndpointNames } from './ends.ts'
import type { Udp } from './state.ts'

/** Settings of an endpoint; those not named stay as they are. */
export interface EndpointSettings {
  /** TTL or hop limit, 1 to 255; 0 for the stack's. */
  readonly ttl?: number
  /** All 8 bits of the type of service or traffic class. */
  readonly trafficClass?: number
  /** May send to broadcast addresses. */
  readonly broadcast?: boolean
  /** Too big for the path is an error, not fragments. */
  readonly dontFragment?: boolean
  /** Takes super-datagrams whole, with `SEGMENT_BYTES` set. */
  readonly superDatagrams?: boolean
  /** Bytes that may wait for the program, control blocks included. */
  readonly receiveBytes?: number
}

/** Options of `Stream.open(runtime, 'udp', { options })` for an endpoint. */
export interface EndpointOptions extends EndpointSettings {
  /** 6 by default: both families, unless `ipv6Only`. */
  readonly family?: 4 | 6
  readonly reuseAddress?: boolean
  readonly ipv6Only?: boolean
  /** Binds at once. */
  readonly bind?: { readonly address?: string; readonly port?: number }
  /** Connects at once. */
  readonly connect?: { readonly address: string; readonly port: number }
}

export const RECEIVE_BYTES_MIN = 2_048
export const RECEIVE_BYTES_MAX = 64 * 1024 * 1024

type Fields = Readonly<Record<string, unknown>>

/** Answers one request. @throws StackError what is wrong with it */
export function request(udp: Udp, e: Endpoint, command: string, argument: unknown): unknown {
  switch (command) {
    case 'udp.bind':
      return bindAsAsked(udp, e, fields(command, argument, ['address', 'port']))
    case 'udp.connect':
      return connectAsAsked(udp, e, fields(command, argument, ['address', 'port']))
    case 'udp.disconnect':
      disconnect(udp, e)
      return e.names
    case 'udp.name':
      return e.names
    case 'udp.set':
      set(e, fields(command, argument, SETTINGS))
      return settingsOf(e)
    default:
      throw new StackError('ERR_IOCTL', `an endpoint of udp does not know "${command}"`)
  }
}

/** Settings and bindings of a new endpoint. */
export function applyOptions(udp: Udp, e: Endpoint, options: Fields): void {
  set(e, options)
  if (options['bind'] !== undefined) bindAsAsked(udp, e, fields('bind', options['bind'], ['address', 'port']))
  if (options['connect'] !== undefined)
    connectAsAsked(udp, e, fields('connect', options['connect'], ['address', 'port']))
}

function bindAsAsked(udp: Udp, e: Endpoint, argument: Fields): EndpointNames {
  const { address } = argument
  const port = argument['port'] === undefined ? 0 : integer('bind', 'port', argument['port'], 0, 65_535)
  bind(udp, e, address === undefined || address === '' ? null : addressOf('bind', address), port)
  return e.names
}

function connectAsAsked(udp: Udp, e: Endpoint, argument: Fields): EndpointNames {
  const port = integer('connect', 'port', argument['port'], 1, 65_535)
  connect(udp, e, addressOf('connect', argument['address']), port)
  return e.names
}

export const SETTINGS = [
  'ttl',
  'trafficClass',
  'broadcast',
  'dontFragment',
  'superDatagrams',
  'receiveBytes',
] as const

/** All or nothing: everything is checked before anything changes. */
function set(e: Endpoint, argument: Fields): void {
  const given = (name: string): boolean => argument[name] !== undefined
  const ttl = given('ttl') ? integer('set', 'ttl', argument['ttl'], 0, 255) : e.ttl
  const trafficClass = given('trafficClass')
    ? integer('set', 'trafficClass', argument['trafficClass'], 0, 255)
    : e.trafficClass
  const broadcast = flag(argument, 'broadcast', e.broadcast)
  const dontFragment = flag(argument, 'dontFragment', e.dontFragment)
  const superDatagrams = flag(argument, 'superDatagrams', e.superDatagrams)
  if (given('receiveBytes')) {
    const asked = argument['receiveBytes']
    e.setReceiveBytes(integer('set', 'receiveBytes', asked, RECEIVE_BYTES_MIN, RECEIVE_BYTES_MAX))
  }
  e.ttl = ttl
  e.trafficClass = trafficClass
  e.broadcast = broadcast
  e.dontFragment = dontFragment
  e.superDatagrams = superDatagrams
}

function settingsOf(e: Endpoint): EndpointSettings {
  const { ttl, trafficClass, broadcast, dontFragment, superDatagrams, receiveBytes } = e
  return { ttl, trafficClass, broadcast, dontFragment, superDatagrams, receiveBytes }
}

/** An argument as an object with no fields but those. @throws StackError `ERR_BAD_ARGUMENT` */
export function fields(command: string, argument: unknown, known: readonly string[]): Fields {
  if (argument === undefined || argument === null) return {}
  if (typeof argument !== 'object' || Array.isArray(argument))
    throw new StackError('ERR_BAD_ARGUMENT', `${command}: the argument is an object`)
  const unknown = Object.keys(argument).find(key => !known.includes(key))
  if (unknown !== undefined) {
    const hint = `known: ${known.join(', ')}`
    throw new StackError('ERR_BAD_ARGUMENT', `${command}: unknown field "${unknown}"`, { hint })
  }
  return argument as Fields
}

export function integer(command: string, name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw new StackError('ERR_BAD_ARGUMENT', `${command}: ${name} is an integer from ${min} to ${max}`)
}

export function flag(argument: Fields, name: string, otherwise: boolean): boolean {
  const value = argument[name]
  if (value === undefined) return otherwise
  if (typeof value === 'boolean') return value
  throw new StackError('ERR_BAD_ARGUMENT', `${name} is true or false`)
}

/** An address from text; a v4-mapped one is the IPv4 address that it maps. */
function addressOf(command: string, text: unknown): IpAddress {
  const address = typeof text === 'string' ? parseAddress(text) : null
  if (address === null)
    throw new StackError('ERR_BAD_ADDRESS', `${command}: ${JSON.stringify(text)} is no IP address`)
  const [w0, w1, w2, w3] = address.words
  return isMapped(w0, w1, w2) ? fromV4Word(w3) : address
}
