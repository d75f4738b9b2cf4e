/**
 * Universal addresses (RFC 1833 §2, RFC 5665 §5.2.3): an IP address in its own notation, then the two bytes of the port, all with
 * dots between: `10.77.1.2.0.111`, `fd77::2.0.111`.
 */
import { formatAddress, type IpAddress, isUnspecified, parseAddress } from '../../inet/address.ts'

export interface SocketAddress {
  readonly address: IpAddress
  readonly port: number
}

/** The longest: an IPv6 address of 45 characters and a port of eight. */
export const UNIVERSAL_CHARACTERS_MAX = 53

const FORM = /^(.+)\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})$/

/** @returns null for anything else, a port of 0 too: nobody is reached there */
export function parseUniversal(text: string): SocketAddress | null {
  if (text.length > UNIVERSAL_CHARACTERS_MAX) return null
  const match = FORM.exec(text)
  if (match === null) return null
  const [high, low] = [Number(match[2]), Number(match[3])]
  const address = parseAddress(match[1]!)
  if (address === null || high > 255 || low > 255 || high + low === 0) return null
  return { address, port: high * 256 + low }
}

export function formatUniversal({ address, port }: SocketAddress): string {
  return `${formatAddress(address)}.${port >>> 8}.${port & 255}`
}

/**
 * What a caller is told of a service that listens on all addresses: the address that the caller has reached this machine by, since
 * that one works from where it is.
 * @param local - where the request came to; null if that is no address that answers (a broadcast)
 */
export function mergedAddress(service: SocketAddress, local: IpAddress | null): SocketAddress {
  const isKnown = local !== null && local.family === service.address.family && !isUnspecified(local)
  return isKnown && isUnspecified(service.address) ? { address: local, port: service.port } : service
}
