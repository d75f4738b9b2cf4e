/**
 * The addresses of the stack, and what they make of any other address: ours, a broadcast of ours, a multicast group that
 * a host is in, something that cannot be. Asked once per destination; the answers are cached in `destinations.ts`.
 */
import { StackError } from '../../base/errors.ts'
import {
  formatPrefix,
  type IpAddress,
  isLoopback,
  isLoopbackV4,
  isLoopbackV6,
  isMapped,
  isMulticast,
  isMulticastV4,
  isMulticastV6,
  isReservedV4,
  isThisNetworkV4,
  isUnspecified,
  isUnspecifiedV6,
  LIMITED_BROADCAST,
  maskWord,
  type Prefix,
  sameAddress,
} from '../address.ts'
import type { Interface } from './interfaces.ts'

/** Addresses of one stack. */
export const ADDRESSES_MAX = 1_024

/** What an address is to us. */
export const KIND_UNREACHABLE = 0
/** One of our own. */
export const KIND_LOCAL = 1
/** Of somebody else, and there is a route. */
export const KIND_UNICAST = 2
/** Limited, or of a subnet that we are on. */
export const KIND_BROADCAST = 3
/** A multicast group that every host is in. */
export const KIND_MEMBER = 4
/** Any other multicast group. */
export const KIND_MULTICAST = 5
/** 127.0.0.0/8 or ::1: never on a wire. */
export const KIND_LOOPBACK = 6
/** Can be neither source nor destination of a packet. */
export const KIND_INVALID = 7

export interface OwnAddress {
  readonly interface: Interface
  readonly prefix: Prefix
}

export class AddressTable {
  private list: OwnAddress[] = []

  get all(): readonly OwnAddress[] {
    return this.list
  }

  /**
   * @throws StackError `ERR_BAD_ADDRESS` for one that no host can have, `ERR_ADDR_IN_USE` if it is there already
   */
  add(owner: Interface, prefix: Prefix): OwnAddress {
    const { address, length } = prefix
    const text = formatPrefix(prefix)
    const bad = (why: string): never => {
      throw new StackError('ERR_BAD_ADDRESS', `${text} cannot be an address of ${owner.name}: ${why}`)
    }
    if (isUnspecified(address) || isMulticast(address)) bad('it is no unicast address')
    if (isLoopback(address) !== owner.loopback)
      bad('loopback addresses belong on the loopback interface, only')
    const [w0, w1, w2, w3] = address.words
    if (address.family === 6 && isMapped(w0, w1, w2)) bad('it is an IPv4 address; write it as one')
    if (address.family === 4 && (isThisNetworkV4(w3) || isReservedV4(w3) || w3 === LIMITED_BROADCAST))
      bad('it is reserved')
    if (address.family === 4 && length < 31 && (w3 & ~maskWord(length)) === 0)
      bad('it is the address of the subnet')
    if (address.family === 4 && length < 31 && (w3 | maskWord(length)) === -1)
      bad('it is the broadcast of the subnet')
    if (this.list.some(own => sameAddress(own.prefix.address, address)))
      throw new StackError('ERR_ADDR_IN_USE', `${text}: this stack has the address already`)
    if (this.list.length >= ADDRESSES_MAX) throw new StackError('ERR_NO_BUFFERS', 'ip: too many addresses')
    const own = { interface: owner, prefix }
    this.list.push(own)
    return own
  }

  /** @returns null if that interface has no such address */
  remove(owner: Interface, address: IpAddress): OwnAddress | null {
    const own = this.list.find(each => each.interface === owner && sameAddress(each.prefix.address, address))
    if (own === undefined) return null
    this.list = this.list.filter(each => each !== own)
    return own
  }

  removeAll(owner: Interface): void {
    this.list = this.list.filter(each => each.interface !== owner)
  }

  has(address: IpAddress): boolean {
    return this.list.some(own => sameAddress(own.prefix.address, address))
  }

  /** What four words are to us; `KIND_UNICAST` if they are somebody else's, whether or not there is a route. */
  kindOf(w0: number, w1: number, w2: number, w3: number): number {
    return isMapped(w0, w1, w2) ? this.kindOf4(w3) : this.kindOf6(w0, w1, w2, w3)
  }

  private kindOf4(word: number): number {
    if (isLoopbackV4(word)) return KIND_LOOPBACK
    if (word === LIMITED_BROADCAST) return KIND_BROADCAST
    // RFC 1122 §3.2.1.3: 224.0.0.1 is the group of all hosts.
    if (isMulticastV4(word)) return word === (0xe0000001 | 0) ? KIND_MEMBER : KIND_MULTICAST
    if (isThisNetworkV4(word) || isReservedV4(word)) return KIND_INVALID
    for (const { prefix } of this.list) {
      if (prefix.address.family === 4 && prefix.address.words[3] === word) return KIND_LOCAL
    }
    return this.subnetOf(word) === null ? KIND_UNICAST : KIND_BROADCAST
  }

  /**
   * The address whose subnet has `word` as its broadcast address, all ones or, as hosts of old had it, all zeros
   * (RFC 1122 §3.3.6). Subnets of two hosts have none (RFC 3021).
   */
  subnetOf(word: number): OwnAddress | null {
    for (const own of this.list) {
      const { address, length } = own.prefix
      if (address.family !== 4 || length > 30 || own.interface.loopback) continue
      const mask = maskWord(length)
      if (((word ^ address.words[3]) & mask) !== 0) continue
      if ((word & ~mask) === 0 || (word | mask) === -1) return own
    }
    return null
  }

  private kindOf6(w0: number, w1: number, w2: number, w3: number): number {
    if (isUnspecifiedV6(w0, w1, w2, w3)) return KIND_INVALID
    if (isLoopbackV6(w0, w1, w2, w3)) return KIND_LOOPBACK
    if (isMulticastV6(w0)) return this.isMember6(w0, w1, w2, w3) ? KIND_MEMBER : KIND_MULTICAST
    for (const { prefix } of this.list) {
      const { family, words } = prefix.address
      if (family === 6 && words[3] === w3 && words[2] === w2 && words[1] === w1 && words[0] === w0)
        return KIND_LOCAL
    }
    return KIND_UNICAST
  }

  /** RFC 4291 §2.8: all nodes (interface- and link-local), and the solicited-node groups of our addresses. */
  private isMember6(w0: number, w1: number, w2: number, w3: number): boolean {
    if (w1 !== 0) return false
    if ((w0 === (0xff020000 | 0) || w0 === (0xff010000 | 0)) && w2 === 0 && w3 === 1) return true
    if (w0 !== (0xff020000 | 0) || w2 !== 1 || w3 >>> 24 !== 0xff) return false
    return this.list.some(
      ({ prefix }) => prefix.address.family === 6 && ((prefix.address.words[3] ^ w3) & 0xffffff) === 0,
    )
  }
}
