/** Options and settings of endpoints, as far as the kernel's sockets have them in Node. */
import { StackError } from '../base/errors.ts'
import {
  type EndpointOptions,
  type EndpointSettings,
  fields,
  flag,
  integer,
  RECEIVE_BYTES_MAX,
  RECEIVE_BYTES_MIN,
  SETTINGS,
} from '../inet/udp/control.ts'
import { HEAD_HIWAT } from '../streams/stream-head.ts'

const OPEN_OPTIONS = ['family', 'reuseAddress', 'ipv6Only', 'bind', 'connect', ...SETTINGS]

const DEFAULTS: Required<EndpointSettings> = {
  ttl: 0,
  trafficClass: 0,
  broadcast: false,
  dontFragment: false,
  superDatagrams: false,
  receiveBytes: HEAD_HIWAT,
}

/** @throws StackError `ERR_BAD_ARGUMENT` */
export function readOpen(options: unknown): EndpointOptions {
  const given = fields('udp', options, OPEN_OPTIONS)
  const family = given['family'] === undefined ? 6 : integer('udp', 'family', given['family'], 4, 6)
  if (family === 5) throw new StackError('ERR_BAD_ARGUMENT', 'udp: family is 4 or 6')
  flag(given, 'reuseAddress', false)
  flag(given, 'ipv6Only', false)
  return { ...given, family: family as 4 | 6 }
}

/**
 * Settings on top of others. @param before - null for what a socket begins with
 * @throws StackError `ERR_BAD_ARGUMENT`; `ERR_NOT_SUPPORTED` for what the kernel's sockets do not have in Node
 */
export function readUdpSettings(
  given: EndpointSettings,
  before: Required<EndpointSettings> | null,
): Required<EndpointSettings> {
  const was = before ?? DEFAULTS
  const asked = given as Readonly<Record<string, unknown>>
  const number = (name: 'ttl' | 'trafficClass' | 'receiveBytes', min: number, max: number): number =>
    asked[name] === undefined ? was[name] : integer('set', name, asked[name], min, max)
  const settings = {
    ttl: number('ttl', 0, 255),
    trafficClass: number('trafficClass', 0, 255),
    broadcast: flag(asked, 'broadcast', was.broadcast),
    dontFragment: flag(asked, 'dontFragment', was.dontFragment),
    // Allows what never happens here.
    superDatagrams: flag(asked, 'superDatagrams', was.superDatagrams),
    receiveBytes: number('receiveBytes', RECEIVE_BYTES_MIN, RECEIVE_BYTES_MAX),
  }
  const refused = settings.trafficClass !== 0 ? 'trafficClass' : settings.dontFragment ? 'dontFragment' : null
  if (refused !== null)
    throw new StackError('ERR_NOT_SUPPORTED', `udp: ${refused} cannot be set on the kernel's sockets`)
  return settings
}
