/** The transports of RFC 1833 that this stack has, by the names that netconfig(5) gives them. */

export type Transport = 'udp' | 'tcp'

export interface Netid {
  readonly name: 'udp' | 'tcp' | 'udp6' | 'tcp6'
  readonly transport: Transport
  readonly family: 4 | 6
  /** Of IP, as the port mapper names transports: 6 or 17. */
  readonly protocol: number
  /** `nc_semantics`: 1 for datagrams, 3 for connections that end in order. */
  readonly semantics: number
  /** `nc_protofmly` */
  readonly familyName: 'inet' | 'inet6'
}

const DATAGRAMS = 1
const CONNECTIONS = 3
export const IPPROTO_TCP = 6
export const IPPROTO_UDP = 17

function netid(name: Netid['name'], transport: Transport, family: 4 | 6): Netid {
  const [protocol, semantics] = transport === 'udp' ? [IPPROTO_UDP, DATAGRAMS] : [IPPROTO_TCP, CONNECTIONS]
  return { name, transport, family, protocol, semantics, familyName: family === 4 ? 'inet' : 'inet6' }
}

export const NETIDS: readonly Netid[] = [
  netid('udp', 'udp', 4),
  netid('tcp', 'tcp', 4),
  netid('udp6', 'udp', 6),
  netid('tcp6', 'tcp', 6),
]

/** @returns null for a transport that this stack has not, as `local` */
export function netidNamed(name: string): Netid | null {
  return NETIDS.find(one => one.name === name) ?? null
}

export function netidOf(transport: Transport, family: 4 | 6): Netid {
  return NETIDS.find(one => one.transport === transport && one.family === family)!
}

/** What the port mapper calls a transport. @returns null for any protocol but TCP and UDP */
export function netidOfProtocol(protocol: number): Netid | null {
  return NETIDS.find(one => one.family === 4 && one.protocol === protocol) ?? null
}
