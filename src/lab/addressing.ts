/** Subnets cut out of pools, and hosts counted inside subnets; addresses are text at both ends. */
import { StackError } from '../base/errors.ts'
import { addressBytes, addressText, type IpPrefix, parsePrefix } from '../host/ip-address.ts'

/** An IPv4 and an IPv6 prefix from which subnets are cut. */
export interface Pool {
  readonly ipv4: string
  readonly ipv6: string
}

/** What a lab takes where its file names no address. */
export const DEFAULT_POOLS = {
  /** One /24 and one /64 for each node. */
  nodes: { ipv4: '10.77.0.0/16', ipv6: 'fd77::/16' },
  /** One /30 and one /64 for each link of two. */
  links: { ipv4: '10.76.0.0/16', ipv6: 'fd76::/16' },
  /** One /24 and one /64 for each segment. */
  segments: { ipv4: '10.78.0.0/16', ipv6: 'fd78::/16' },
} as const satisfies Record<string, Pool>

export type PoolName = keyof typeof DEFAULT_POOLS

export function familyOf(text: string): 4 | 6 {
  return text.includes(':') ? 6 : 4
}

function toInteger(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
}

function toText(value: bigint, bytes: number): string {
  const out = new Uint8Array(bytes)
  for (let i = bytes - 1; i >= 0; i--, value >>= 8n) out[i] = Number(value & 0xffn)
  return addressText(out)
}

function networkOf({ address, length }: IpPrefix): bigint {
  const hostBits = BigInt(address.length * 8 - length)
  return (toInteger(address) >> hostBits) << hostBits
}

/** The network of `10.77.1.2/24` is `10.77.1.0/24`. */
export function subnetOf(cidr: string): string {
  const prefix = parsePrefix(cidr)
  return `${toText(networkOf(prefix), prefix.address.length)}/${prefix.length}`
}

/** `10.77.1.2/24` without its length. */
export function hostOf(cidr: string): string {
  return cidr.split('/')[0]!
}

/** The prefix that holds one address only. */
export function asHostRoute(cidr: string): string {
  return `${hostOf(cidr)}/${familyOf(cidr) === 4 ? 32 : 128}`
}

export function lengthOf(cidr: string): number {
  return parsePrefix(cidr).length
}

/**
 * The n-th address of a subnet with the subnet's length.
 * @param n - 1 is the first that a host may have
 * @throws {@link StackError} `ERR_BAD_CONFIG` if the subnet has not so many
 */
export function hostAt(cidr: string, n: number): string {
  const prefix = parsePrefix(cidr)
  const bits = prefix.address.length * 8
  const value = networkOf(prefix) + BigInt(n)
  if (value >> BigInt(bits - prefix.length) !== networkOf(prefix) >> BigInt(bits - prefix.length)) {
    throw new StackError('ERR_BAD_CONFIG', `the subnet ${cidr} has no address number ${n}`)
  }
  return `${toText(value, prefix.address.length)}/${prefix.length}`
}

/**
 * The n-th subnet of a pool.
 * @param length - prefix length of the subnet, longer than the pool's
 * @throws {@link StackError} `ERR_BAD_CONFIG` if the pool has not so many
 */
export function subnetAt(pool: string, length: number, n: number): string {
  const prefix = parsePrefix(pool)
  const bits = prefix.address.length * 8
  if (length < prefix.length || BigInt(n) >= 1n << BigInt(length - prefix.length)) {
    throw new StackError('ERR_BAD_CONFIG', `the pool ${pool} has no /${length} number ${n}`)
  }
  return `${toText(networkOf(prefix) + (BigInt(n) << BigInt(bits - length)), prefix.address.length)}/${length}`
}

/** The n-th IPv6 subnet for people: the number stands in the group behind the pool's, as `fd77:1::/64`. */
export function readableV6Subnet(pool: string, n: number): string {
  const { length } = parsePrefix(pool)
  const numbered = subnetAt(pool, Math.min(length + 16, 64), n)
  return `${hostOf(numbered)}/64`
}

export function overlaps(a: string, b: string): boolean {
  if (familyOf(a) !== familyOf(b)) return false
  const length = Math.min(lengthOf(a), lengthOf(b))
  return subnetOf(`${hostOf(a)}/${length}`) === subnetOf(`${hostOf(b)}/${length}`)
}

/** True for `10.0.0.1/24` and `fd00::1/64`: an address with its length. */
export function isCidr(text: string): boolean {
  if (!text.includes('/')) return false
  try {
    parsePrefix(text)
    return true
  } catch {
    return false
  }
}

/** Host bits all zero: a network, not a host in it. */
export function isNetwork(cidr: string): boolean {
  const { address, length } = parsePrefix(cidr)
  return length < address.length * 8 && toInteger(addressBytes(hostOf(cidr))) === networkOf(parsePrefix(cidr))
}
