/** Which interface a destination is reached by: longest prefix, then lowest metric, then the older route. */
import { StackError } from '../../base/errors.ts'
import {
  type Family,
  formatAddress,
  formatPrefix,
  type IpAddress,
  maskWord,
  network,
  type Prefix,
  sameAddress,
} from '../address.ts'
import { IPV6_MTU_MIN } from '../wire/ipv6.ts'
import type { Interface } from './interfaces.ts'

/** Routes of one stack. */
export const ROUTES_MAX = 1_024
export const METRIC_MAX = 1_000_000

export interface Route {
  /** Host bits are clear. */
  readonly prefix: Prefix
  readonly interface: Interface
  /** For people: on a point-to-point link the next hop has no address on the wire. */
  readonly gateway: IpAddress | null
  readonly metric: number
  /** Whether it came with an address, or somebody added it. */
  readonly origin: 'connected' | 'static'
}

export class RouteTable {
  private list: Route[] = []

  get all(): readonly Route[] {
    return this.list
  }

  /** @throws StackError `ERR_ALREADY` if there is one to the same prefix by the same interface with that metric */
  add(route: Route): void {
    const added = { ...route, prefix: network(route.prefix) }
    if (this.list.some(each => isSame(each, added))) {
      const text = `${formatPrefix(added.prefix)} by ${added.interface.name} with metric ${added.metric}`
      throw new StackError('ERR_ALREADY', `there is a route to ${text}`)
    }
    if (this.list.length >= ROUTES_MAX) throw new StackError('ERR_NO_BUFFERS', 'ip: too many routes')
    const before = this.list.findIndex(each => rank(each, added) > 0)
    this.list.splice(before < 0 ? this.list.length : before, 0, added)
  }

  /** Removes all that `matches` names. @returns how many */
  remove(matches: (route: Route) => boolean): number {
    const kept = this.list.filter(route => !matches(route))
    const removed = this.list.length - kept.length
    this.list = kept
    return removed
  }

  /**
   * The best route whose interface is up.
   * @param only - consider routes by this interface alone; null for any
   */
  find(family: Family, words: IpAddress['words'], only: Interface | null): Route | null {
    for (const route of this.list) {
      const { prefix, interface: out } = route
      if (prefix.address.family !== family || !out.up) continue
      if (only !== null && out !== only) continue
      // RFC 8200 §5: a link that cannot carry 1280 bytes cannot carry IPv6.
      if (family === 6 && out.mtu < IPV6_MTU_MIN) continue
      if (covers(prefix, words)) return route
    }
    return null
  }
}

function covers(prefix: Prefix, words: IpAddress['words']): boolean {
  const { family, words: own } = prefix.address
  if (family === 4) return ((own[3] ^ words[3]) & maskWord(prefix.length)) === 0
  for (let i = 0; i < 4; i++) {
    if (((own[i]! ^ words[i]!) & maskWord(prefix.length - 32 * i)) !== 0) return false
  }
  return true
}

/** Longer prefixes first, then lower metrics. */
function rank(a: Route, b: Route): number {
  return b.prefix.length - a.prefix.length || a.metric - b.metric
}

function isSame(a: Route, b: Route): boolean {
  return (
    a.interface === b.interface &&
    a.metric === b.metric &&
    a.prefix.length === b.prefix.length &&
    sameAddress(a.prefix.address, b.prefix.address)
  )
}

/** A route for people. */
export function describeRoute(route: Route): Record<string, unknown> {
  return {
    prefix: formatPrefix(route.prefix),
    interface: route.interface.name,
    ...(route.gateway === null ? {} : { gateway: formatAddress(route.gateway) }),
    metric: route.metric,
    origin: route.origin,
    usable: route.interface.up,
  }
}
