/** Links, addresses and routes of one network namespace, changed synchronously over netlink. */

import { closeSync, openSync } from 'node:fs'
import { constants } from 'node:os'
import { StackError } from '../base/errors.ts'
import { type Advice, errnoName, hostError, orThrow } from './host-error.ts'
import { addressBytes, parsePrefix } from './ip-address.ts'
import {
  NETLINK_ROUTE,
  type NetlinkMessage,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseAcknowledgement,
  parseMessages,
} from './netlink.ts'
import {
  type AddressChange,
  encodeAddressAdd,
  encodeAddressDelete,
  encodeAddressQuery,
  encodeLinkChange,
  encodeLinkCreate,
  encodeLinkDelete,
  encodeLinkQuery,
  encodeRouteAdd,
  encodeRouteDelete,
  type LinkChange,
  type LinkInfo,
  parseAddress,
  parseLink,
  type RouteChange,
} from './rtnetlink.ts'
import type { ShimNamespaces, ShimPorts } from './shim.ts'

/** The kernel makes no dump datagram longer than this. */
const REPLY_BYTES = 65_536
const NOTHING = new Uint8Array(0)

const ADVICE: Advice = {
  EPERM: {
    meaning: 'it needs CAP_NET_ADMIN in the user namespace that owns the network namespace',
    hint: 'run as root, or in a user namespace (unshare -Urn)',
  },
  EACCES: { meaning: 'it needs CAP_NET_ADMIN', hint: 'run as root, or in a user namespace (unshare -Urn)' },
  EEXIST: { meaning: 'it exists already' },
  ENODEV: { meaning: 'there is no such interface' },
  EOPNOTSUPP: { meaning: 'the kernel lacks this kind of link' },
}

/** Settings of a link by name; see {@link LinkChange}. */
export interface LinkSettings {
  readonly up?: boolean
  readonly mtu?: number
  readonly transmitQueueLength?: number
  readonly alias?: string
}

export interface VethPeer extends LinkSettings {
  readonly name: string
  /** Path of the namespace that the other end is made in; the same one by default. */
  readonly namespace?: string
}

export interface Route {
  /** `10.0.0.0/8`, `fd00::/8`, `0.0.0.0/0`, `::/0` */
  readonly to: string
  readonly via?: string
  readonly device?: string
  readonly source?: string
  readonly metric?: number
  readonly mtu?: number
}

/** Owns a netlink socket in one namespace until {@link close}. Every call is done when it returns. */
export class LinkControl {
  readonly namespace: string
  readonly #shim: ShimNamespaces & Pick<ShimPorts, 'fdClose'>
  readonly #reply = new Uint8Array(REPLY_BYTES)
  #fd: number
  #sequence = 0

  /**
   * @param namespace - path as `/run/netns/NAME`, '' for the current one
   * @throws {@link StackError} `ERR_NOT_FOUND`, `ERR_PERMISSION`
   */
  constructor(shim: ShimNamespaces & Pick<ShimPorts, 'fdClose'>, namespace = '') {
    this.namespace = namespace
    this.#shim = shim
    this.#fd = orThrow(
      shim.netlinkOpen(namespace, NETLINK_ROUTE),
      `open netlink in ${namespace || 'this namespace'}`,
      {
        ...ADVICE,
        ENOENT: { meaning: 'there is no such network namespace' },
      },
    )
  }

  close(): void {
    if (this.#fd >= 0) this.#shim.fdClose(this.#fd)
    this.#fd = -1
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Sends one request and gathers answers until the acknowledgement or the end of the dump. */
  #talk(doing: string, encode: (sequence: number) => Uint8Array): NetlinkMessage[] {
    if (this.#fd < 0) throw new StackError('ERR_STREAM_CLOSED', `cannot ${doing}: the link control is closed`)
    const sequence = ++this.#sequence
    const answers: NetlinkMessage[] = []
    for (let request = encode(sequence); ; request = NOTHING) {
      const length = this.#shim.netlinkTalk(this.#fd, request, this.#reply)
      if (length === -constants.errno.EINTR) continue
      orThrow(length, doing, ADVICE)
      // Copied out, since the answers are read when the buffer holds the next datagram.
      for (const message of parseMessages(this.#reply.slice(0, length))) {
        if (message.sequence !== sequence) continue
        if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
          answers.push(message)
          continue
        }
        const { errno, reason } = parseAcknowledgement(message)
        if (errno !== 0) throw refusal(doing, errno, reason)
        return answers
      }
    }
  }

  list(): LinkInfo[] {
    const answers = this.#talk('list links', sequence => encodeLinkQuery(sequence))
    return answers.flatMap(message => parseLink(message) ?? [])
  }

  /** @returns `null` if there is none of that name */
  find(name: string): LinkInfo | null {
    try {
      const answers = this.#talk(`find ${name}`, sequence => encodeLinkQuery(sequence, name))
      return answers.flatMap(message => parseLink(message) ?? [])[0] ?? null
    } catch (error) {
      if (error instanceof StackError && error.code === 'ERR_NOT_FOUND') return null
      throw error
    }
  }

  /** @throws {@link StackError} `ERR_NOT_FOUND` */
  get(name: string): LinkInfo {
    const link = this.find(name)
    if (link === null) throw new StackError('ERR_NOT_FOUND', `there is no interface ${name}`)
    return link
  }

  #change(doing: string, name: string, change: LinkChange): void {
    const { index } = this.get(name)
    this.#talk(doing, sequence => encodeLinkChange(sequence, index, change))
  }

  set(name: string, settings: LinkSettings): void {
    this.#change(`set ${Object.keys(settings).join(', ')} of ${name}`, name, settings)
  }

  setUp(name: string, up = true): void {
    this.#change(`set ${name} ${up ? 'up' : 'down'}`, name, { up })
  }

  setMtu(name: string, mtu: number): void {
    this.#change(`set the MTU of ${name} to ${mtu}`, name, { mtu })
  }

  setMaster(name: string, bridge: string | null): void {
    const master = bridge === null ? 0 : this.get(bridge).index
    this.#change(bridge === null ? `take ${name} off its bridge` : `put ${name} on ${bridge}`, name, {
      master,
    })
  }

  rename(name: string, newName: string): void {
    this.#change(`rename ${name} to ${newName}`, name, { name: newName })
  }

  /** Moves a link; it arrives down and without addresses. */
  moveToNamespace(name: string, namespace: string): void {
    withNamespaceFd(namespace, namespaceFd =>
      this.#change(`move ${name} to ${namespace}`, name, namespaceFd === undefined ? {} : { namespaceFd }),
    )
  }

  /** Makes a veth pair; the other end may begin in another namespace and be up there. */
  createVeth(name: string, peer: VethPeer, settings: LinkSettings = {}): void {
    const { namespace, up, ...end } = peer
    withNamespaceFd(namespace, namespaceFd => {
      const full = namespaceFd === undefined ? end : { ...end, namespaceFd }
      this.#talk(`make the link ${name} to ${peer.name}`, sequence =>
        encodeLinkCreate(sequence, { ...settings, name, kind: 'veth', peer: full }),
      )
    })
    if (up !== true) return
    // The kernel makes the other end first, and it cannot be up (ENOTCONN) before this end is there.
    const there = namespace === undefined ? this : new LinkControl(this.#shim, namespace)
    try {
      there.setUp(peer.name)
    } finally {
      if (there !== this) there.close()
    }
  }

  createBridge(name: string, settings: LinkSettings = {}): void {
    this.#talk(`make the bridge ${name}`, sequence =>
      encodeLinkCreate(sequence, { ...settings, name, kind: 'bridge' }),
    )
  }

  remove(name: string): void {
    const { index } = this.get(name)
    this.#talk(`remove ${name}`, sequence => encodeLinkDelete(sequence, index))
  }

  #address(name: string, prefix: string): AddressChange {
    return { ...parsePrefix(prefix), link: this.get(name).index, noDad: true }
  }

  /** @param prefix - `10.0.0.1/24`, `fd00::1/64`; an IPv6 address is usable at once (no duplicate detection) */
  addAddress(name: string, prefix: string): void {
    const change = this.#address(name, prefix)
    this.#talk(`add ${prefix} to ${name}`, sequence => encodeAddressAdd(sequence, change))
  }

  removeAddress(name: string, prefix: string): void {
    const change = this.#address(name, prefix)
    this.#talk(`remove ${prefix} from ${name}`, sequence => encodeAddressDelete(sequence, change))
  }

  /** Addresses of a link, as `10.0.0.1/24`. */
  addresses(name: string): string[] {
    const { index } = this.get(name)
    const all = this.#talk('list addresses', encodeAddressQuery).flatMap(
      message => parseAddress(message) ?? [],
    )
    return all.filter(({ link }) => link === index).map(({ prefix }) => prefix)
  }

  #route(route: Route): RouteChange {
    const { to, via, device, source, ...rest } = route
    return {
      ...rest,
      to: parsePrefix(to),
      ...(via === undefined ? {} : { via: addressBytes(via) }),
      ...(source === undefined ? {} : { source: addressBytes(source) }),
      ...(device === undefined ? {} : { link: this.get(device).index }),
    }
  }

  addRoute(route: Route, options: { readonly replace?: boolean } = {}): void {
    const change = this.#route(route)
    this.#talk(`add the route to ${route.to}`, sequence => encodeRouteAdd(sequence, change, options.replace))
  }

  removeRoute(route: Route): void {
    const change = this.#route(route)
    this.#talk(`remove the route to ${route.to}`, sequence => encodeRouteDelete(sequence, change))
  }
}

/** The kernel's own words come after ours: they say which attribute it disliked. */
function refusal(doing: string, errno: number, reason: string): StackError {
  const error = hostError(doing, errno, ADVICE)
  if (reason === '') return error
  const hint = error.hint === undefined ? {} : { hint: error.hint }
  return new StackError(
    error.code,
    `cannot ${doing}: ${reason.replace(/\.$/, '')} (${errnoName(errno)})`,
    hint,
  )
}

function withNamespaceFd(path: string | undefined, act: (fd: number | undefined) => void): void {
  if (path === undefined) {
    act(undefined)
    return
  }
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (cause) {
    throw new StackError('ERR_NOT_FOUND', `there is no network namespace ${path}`, { cause })
  }
  try {
    act(fd)
  } finally {
    closeSync(fd)
  }
}
