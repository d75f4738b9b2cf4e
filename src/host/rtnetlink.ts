/**
 * The messages of rtnetlink that a lab needs, from and to plain values: links, addresses, routes. Pure: what sends
 * them is in `links.ts`.
 * @see rtnetlink(7), linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h
 */

import { addressText, type IpPrefix } from './ip-address.ts'
import {
  bytesOf,
  LITTLE_ENDIAN,
  type NetlinkMessage,
  NetlinkWriter,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  parseAttributes,
  stringOf,
  u32Of,
} from './netlink.ts'

export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
export const RTM_GETLINK = 18
export const RTM_NEWADDR = 20
export const RTM_DELADDR = 21
export const RTM_GETADDR = 22
export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25

const IFINFO_SIZE = 16
const IFADDR_SIZE = 8
const RTMSG_SIZE = 12

const AF_INET = 2
const AF_INET6 = 10
export const IFF_UP = 0x1
export const IFF_RUNNING = 0x40

const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_LINK = 5
const IFLA_MASTER = 10
const IFLA_TXQLEN = 13
const IFLA_LINKINFO = 18
const IFLA_IFALIAS = 20
const IFLA_NET_NS_FD = 28
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const VETH_INFO_PEER = 1

const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_FLAGS = 8
const IFA_F_NODAD = 0x02

const RTA_DST = 1
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RTA_PRIORITY = 6
const RTA_PREFSRC = 7
const RTA_METRICS = 8
const RTAX_MTU = 2
const RT_TABLE_MAIN = 254
const RTPROT_STATIC = 4
const RT_SCOPE_UNIVERSE = 0
const RT_SCOPE_LINK = 253
const RT_SCOPE_NOWHERE = 255
const RTN_UNICAST = 1

const familyOf = (address: Uint8Array): number => (address.length === 4 ? AF_INET : AF_INET6)

/** What may be set on a link; what is not named stays as it is. */
export interface LinkChange {
  readonly up?: boolean
  readonly mtu?: number
  /** The new name, where the link is found by its index. */
  readonly name?: string
  readonly transmitQueueLength?: number
  readonly alias?: string
  /** Index of the bridge that it joins, 0 to leave it. */
  readonly master?: number
  /** A descriptor of the namespace that it moves to. */
  readonly namespaceFd?: number
  /** 6 bytes */
  readonly hardwareAddress?: Uint8Array
}

function linkHeader(writer: NetlinkWriter, index: number, up?: boolean): NetlinkWriter {
  return writer.fixed(IFINFO_SIZE, (view, at) => {
    view.setInt32(at + 4, index, LITTLE_ENDIAN)
    view.setUint32(at + 8, up === true ? IFF_UP : 0, LITTLE_ENDIAN)
    view.setUint32(at + 12, up === undefined ? 0 : IFF_UP, LITTLE_ENDIAN)
  })
}

function linkAttributes(writer: NetlinkWriter, change: LinkChange): NetlinkWriter {
  if (change.name !== undefined) writer.string(IFLA_IFNAME, change.name)
  if (change.mtu !== undefined) writer.u32(IFLA_MTU, change.mtu)
  if (change.transmitQueueLength !== undefined) writer.u32(IFLA_TXQLEN, change.transmitQueueLength)
  // Without the zero byte, so that an empty alias is empty and clears the old one.
  if (change.alias !== undefined) writer.bytes(IFLA_IFALIAS, new TextEncoder().encode(change.alias))
  if (change.master !== undefined) writer.u32(IFLA_MASTER, change.master)
  if (change.namespaceFd !== undefined) writer.u32(IFLA_NET_NS_FD, change.namespaceFd)
  if (change.hardwareAddress !== undefined) writer.bytes(IFLA_ADDRESS, change.hardwareAddress)
  return writer
}

export function encodeLinkChange(sequence: number, index: number, change: LinkChange): Uint8Array {
  const writer = linkHeader(new NetlinkWriter(RTM_NEWLINK, NLM_F_ACK, sequence), index, change.up)
  return linkAttributes(writer, change).finish()
}

/** A link to be made; the veth's other end has values of its own and may begin life in another namespace. */
export interface LinkCreation extends LinkChange {
  readonly name: string
  /** As ip-link(8) calls it: `bridge`, `dummy`, `veth`. */
  readonly kind: string
  /** Only with `veth`, and needed there. */
  readonly peer?: LinkChange & { readonly name: string }
}

export function encodeLinkCreate(sequence: number, link: LinkCreation): Uint8Array {
  const { peer } = link
  const flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
  const writer = linkHeader(new NetlinkWriter(RTM_NEWLINK, flags, sequence), 0, link.up)
  linkAttributes(writer, link)
  writer.nested(IFLA_LINKINFO, info => {
    info.string(IFLA_INFO_KIND, link.kind)
    if (peer === undefined) return
    info.nested(IFLA_INFO_DATA, data => {
      data.nested(VETH_INFO_PEER, end => linkAttributes(linkHeader(end, 0, peer.up), peer))
    })
  })
  return writer.finish()
}

export function encodeLinkDelete(sequence: number, index: number): Uint8Array {
  return linkHeader(new NetlinkWriter(RTM_DELLINK, NLM_F_ACK, sequence), index).finish()
}

/** Asks for all links, or for the one of that name. */
export function encodeLinkQuery(sequence: number, name?: string): Uint8Array {
  const writer = linkHeader(
    new NetlinkWriter(RTM_GETLINK, name === undefined ? NLM_F_DUMP : NLM_F_ACK, sequence),
    0,
  )
  if (name !== undefined) writer.string(IFLA_IFNAME, name)
  return writer.finish()
}

export interface LinkInfo {
  readonly index: number
  readonly name: string
  readonly up: boolean
  /** Up, and the other end is there. */
  readonly running: boolean
  readonly mtu: number
  readonly transmitQueueLength: number
  readonly alias: string
  /** `veth`, `bridge`, `tun`; '' for hardware and loopback */
  readonly kind: string
  /** Index of the bridge it belongs to, 0 for none. */
  readonly master: number
  /** Index of a veth's other end, in whatever namespace that is; 0 for none. */
  readonly peer: number
}

/** @returns `null` for a message that is not a link's */
export function parseLink(message: NetlinkMessage): LinkInfo | null {
  const { body } = message
  if (message.type !== RTM_NEWLINK || body.byteLength < IFINFO_SIZE) return null
  const attributes = parseAttributes(body, IFINFO_SIZE)
  const info = attributes.get(IFLA_LINKINFO)
  const flags = body.getUint32(8, LITTLE_ENDIAN)
  return {
    index: body.getInt32(4, LITTLE_ENDIAN),
    name: stringOf(attributes.get(IFLA_IFNAME)),
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
    mtu: u32Of(attributes.get(IFLA_MTU), 0),
    transmitQueueLength: u32Of(attributes.get(IFLA_TXQLEN), 0),
    alias: stringOf(attributes.get(IFLA_IFALIAS)),
    kind: info === undefined ? '' : stringOf(parseAttributes(info, 0).get(IFLA_INFO_KIND)),
    master: u32Of(attributes.get(IFLA_MASTER), 0),
    peer: u32Of(attributes.get(IFLA_LINK), 0),
  }
}

export interface AddressChange extends IpPrefix {
  /** Index of the link. */
  readonly link: number
  /** IPv6: usable at once, without duplicate address detection. */
  readonly noDad?: boolean
}

function encodeAddress(type: number, flags: number, sequence: number, change: AddressChange): Uint8Array {
  const writer = new NetlinkWriter(type, NLM_F_ACK | flags, sequence)
  const noDad = change.noDad === true && change.address.length === 16
  writer.fixed(IFADDR_SIZE, (view, at) => {
    view.setUint8(at, familyOf(change.address))
    view.setUint8(at + 1, change.length)
    view.setUint32(at + 4, change.link, LITTLE_ENDIAN)
  })
  writer.bytes(IFA_LOCAL, change.address).bytes(IFA_ADDRESS, change.address)
  if (noDad) writer.u32(IFA_FLAGS, IFA_F_NODAD)
  return writer.finish()
}

export function encodeAddressAdd(sequence: number, change: AddressChange): Uint8Array {
  return encodeAddress(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sequence, change)
}

export function encodeAddressDelete(sequence: number, change: AddressChange): Uint8Array {
  return encodeAddress(RTM_DELADDR, 0, sequence, change)
}

export function encodeAddressQuery(sequence: number): Uint8Array {
  return new NetlinkWriter(RTM_GETADDR, NLM_F_DUMP, sequence).fixed(IFADDR_SIZE, () => {}).finish()
}

export interface AddressInfo {
  readonly link: number
  /** As `10.0.0.1/24`. */
  readonly prefix: string
}

/** @returns `null` for a message that is not an address's */
export function parseAddress(message: NetlinkMessage): AddressInfo | null {
  const { body } = message
  if (message.type !== RTM_NEWADDR || body.byteLength < IFADDR_SIZE) return null
  const attributes = parseAttributes(body, IFADDR_SIZE)
  const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS)
  if (address === undefined || (address.byteLength !== 4 && address.byteLength !== 16)) return null
  const prefix = `${addressText(bytesOf(address))}/${body.getUint8(1)}`
  return { link: body.getUint32(4, LITTLE_ENDIAN), prefix }
}

export interface RouteChange {
  /** Where to; length 0 is the default route. */
  readonly to: IpPrefix
  readonly via?: Uint8Array
  /** Index of the link; needed without `via`. */
  readonly link?: number
  readonly source?: Uint8Array
  readonly metric?: number
  readonly mtu?: number
}

function encodeRoute(type: number, flags: number, scope: number, sequence: number, route: RouteChange) {
  const writer = new NetlinkWriter(type, NLM_F_ACK | flags, sequence)
  const { to, metric, mtu } = route
  writer.fixed(RTMSG_SIZE, (view, at) => {
    view.setUint8(at, familyOf(to.address))
    view.setUint8(at + 1, to.length)
    view.setUint8(at + 4, RT_TABLE_MAIN)
    view.setUint8(at + 5, type === RTM_NEWROUTE ? RTPROT_STATIC : 0)
    view.setUint8(at + 6, scope)
    view.setUint8(at + 7, type === RTM_NEWROUTE ? RTN_UNICAST : 0)
  })
  if (to.length > 0) writer.bytes(RTA_DST, to.address)
  if (route.via !== undefined) writer.bytes(RTA_GATEWAY, route.via)
  if (route.link !== undefined) writer.u32(RTA_OIF, route.link)
  if (route.source !== undefined) writer.bytes(RTA_PREFSRC, route.source)
  if (metric !== undefined) writer.u32(RTA_PRIORITY, metric)
  if (mtu !== undefined) writer.nested(RTA_METRICS, metrics => metrics.u32(RTAX_MTU, mtu))
  return writer.finish()
}

/** @param replace - take the place of a route to the same destination with the same metric */
export function encodeRouteAdd(sequence: number, route: RouteChange, replace = false): Uint8Array {
  const scope = route.via === undefined && route.to.address.length === 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE
  const flags = NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL)
  return encodeRoute(RTM_NEWROUTE, flags, scope, sequence, route)
}

/** Whatever is left out of `route` may be anything. */
export function encodeRouteDelete(sequence: number, route: RouteChange): Uint8Array {
  return encodeRoute(RTM_DELROUTE, 0, RT_SCOPE_NOWHERE, sequence, route)
}
