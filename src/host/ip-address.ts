/** IP addresses as text and as bytes in network order, as netlink wants them. */

import { isIPv4, isIPv6 } from 'node:net'
import { StackError } from '../base/errors.ts'

export interface IpPrefix {
  /** 4 or 16 bytes */
  readonly address: Uint8Array
  /** bits */
  readonly length: number
}

function v4Bytes(text: string): number[] {
  return text.split('.').map(Number)
}

/** URL hosts are in the canonical form of RFC 5952, without a dotted tail. */
function canonicalV6(text: string): string {
  return new URL(`http://[${text}]`).hostname.slice(1, -1)
}

function v6Words(text: string): number[] {
  return text === '' ? [] : text.split(':').map(word => Number.parseInt(word, 16))
}

/** RFC 4291 §2.2: `::` stands for as many zero groups as are missing. */
function v6Bytes(text: string): number[] {
  const [left, right] = canonicalV6(text).split('::')
  const first = v6Words(left!)
  const last = v6Words(right ?? '')
  const zeros = new Array<number>(8 - first.length - last.length).fill(0)
  return [...first, ...zeros, ...last].flatMap(word => [word >> 8, word & 0xff])
}

/**
 * @param text - without zone or prefix length
 * @throws {@link StackError} `ERR_BAD_ADDRESS`
 */
export function addressBytes(text: string): Uint8Array {
  if (isIPv4(text)) return Uint8Array.from(v4Bytes(text))
  if (isIPv6(text) && !text.includes('%')) return Uint8Array.from(v6Bytes(text))
  throw new StackError('ERR_BAD_ADDRESS', `${JSON.stringify(text)} is not an IP address`)
}

/**
 * @param text - `10.0.0.1/24`; without a length it is a host's: 32 or 128
 * @throws {@link StackError} `ERR_BAD_ADDRESS`
 */
export function parsePrefix(text: string): IpPrefix {
  const [host, bits, ...rest] = text.split('/')
  const address = addressBytes(host!)
  const most = address.length * 8
  const length = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : -1
  if (length < 0 || length > most || rest.length > 0) {
    throw new StackError('ERR_BAD_ADDRESS', `${JSON.stringify(text)} has no prefix length from 0 to ${most}`)
  }
  return { address, length }
}

/** Text of 4 or 16 bytes; IPv6 as RFC 5952 recommends. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16))
  return canonicalV6(words.join(':'))
}
