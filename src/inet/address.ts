/**
 * Addresses for people and configuration: text to words and back (RFC 4291 §2.2 in, RFC 5952 out), prefixes, and what
 * kind of address it is. The data path works on the int32 words themselves.
 */
import { MAPPED_WORD } from './unitdata.ts'

export type Family = 4 | 6

/** Four int32 words, most significant first. */
export type AddressWords = readonly [number, number, number, number]

/** An IPv4 address is held v4-mapped (::ffff:a.b.c.d), so that its value is `words[3]`. */
export interface IpAddress {
  readonly family: Family
  readonly words: AddressWords
}

/** An address with a prefix length: 0 to 32 bits for IPv4, 0 to 128 for IPv6. Host bits may be set. */
export interface Prefix {
  readonly address: IpAddress
  readonly length: number
}

export const UNSPECIFIED_V4: IpAddress = { family: 4, words: [0, 0, MAPPED_WORD, 0] }
export const UNSPECIFIED_V6: IpAddress = { family: 6, words: [0, 0, 0, 0] }
/** 255.255.255.255 */
export const LIMITED_BROADCAST = -1

/** The address of an IPv4 word. */
export function fromV4Word(word: number): IpAddress {
  return { family: 4, words: [0, 0, MAPPED_WORD, word | 0] }
}

/** Four words of the given family, as an address. */
export function fromWords(family: Family, w0: number, w1: number, w2: number, w3: number): IpAddress {
  return family === 4 ? fromV4Word(w3) : { family, words: [w0 | 0, w1 | 0, w2 | 0, w3 | 0] }
}

const V4_PART = /^(?:0|[1-9][0-9]{0,2})$/
const V6_PART = /^[0-9a-fA-F]{1,4}$/
const TEXT_MAX = 45

/**
 * Reads an address: four decimal numbers without leading zeros, or RFC 4291 text. Scope suffixes (`%eth0`) are no part
 * of an address.
 * @returns null if it is none
 */
export function parseAddress(text: string): IpAddress | null {
  if (text.length > TEXT_MAX) return null
  if (text.includes(':')) {
    const words = parseV6(text)
    return words === null ? null : { family: 6, words }
  }
  const word = parseV4(text)
  return word === null ? null : fromV4Word(word)
}

function parseV4(text: string): number | null {
  const parts = text.split('.')
  if (parts.length !== 4) return null
  let word = 0
  for (const part of parts) {
    if (!V4_PART.test(part) || Number(part) > 255) return null
    word = (word << 8) | Number(part)
  }
  return word
}

function parseV6(text: string): AddressWords | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const head = hextets(halves[0]!, halves.length === 1)
  const tail = halves.length === 2 ? hextets(halves[1]!, true) : []
  if (head === null || tail === null) return null
  const missing = 8 - head.length - tail.length
  // "::" stands for at least one group (RFC 4291 §2.2).
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail]
  const word = (i: number): number => (all[2 * i]! << 16) | all[2 * i + 1]!
  return [word(0), word(1), word(2), word(3)]
}

/** The 16-bit groups of one side of "::"; the last may be an IPv4 address where the text ends. */
function hextets(text: string, atEnd: boolean): number[] | null {
  if (text === '') return []
  const parts = text.split(':')
  const groups: number[] = []
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!
    if (V6_PART.test(part)) {
      groups.push(Number.parseInt(part, 16))
      continue
    }
    const word = atEnd && i === parts.length - 1 ? parseV4(part) : null
    if (word === null) return null
    groups.push(word >>> 16, word & 0xffff)
  }
  return groups
}

/** The address as text; IPv6 in the form of RFC 5952. */
export function formatAddress(address: IpAddress): string {
  const [w0, w1, w2, w3] = address.words
  return address.family === 4 ? formatV4Word(w3) : formatV6Words(w0, w1, w2, w3)
}

export function formatV4Word(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}`
}

export function formatV6Words(w0: number, w1: number, w2: number, w3: number): string {
  // RFC 5952 §5: a well-known prefix with an embedded IPv4 address shows it.
  if (isMapped(w0, w1, w2)) return `::ffff:${formatV4Word(w3)}`
  const groups: number[] = []
  for (const word of [w0, w1, w2, w3]) groups.push((word >>> 16) & 0xffff, word & 0xffff)
  const gap = longestZeros(groups)
  const text = (part: number[]): string => part.map(group => group.toString(16)).join(':')
  if (gap.length < 2) return text(groups)
  return `${text(groups.slice(0, gap.start))}::${text(groups.slice(gap.start + gap.length))}`
}

/** RFC 5952 §4.2: the longest run of zero groups, the first of equally long ones. */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < 8; start++) {
    let end = start
    while (end < 8 && groups[end] === 0) end++
    if (end - start > best.length) best = { start, length: end - start }
  }
  return best
}

/** Bits of an address of that family. */
export const addressBits = (family: Family): number => (family === 4 ? 32 : 128)

/** Reads `address/length`; an address alone is a prefix of all its bits. @returns null if it is none */
export function parsePrefix(text: string): Prefix | null {
  const slash = text.indexOf('/')
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash))
  if (address === null) return null
  if (slash < 0) return { address, length: addressBits(address.family) }
  const length = text.slice(slash + 1)
  if (!V4_PART.test(length) || Number(length) > addressBits(address.family)) return null
  return { address, length: Number(length) }
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`
}

export function sameAddress(a: IpAddress, b: IpAddress): boolean {
  return a.family === b.family && a.words.every((word, i) => word === b.words[i])
}

/** A word whose first `bits` bits are set; 0 or less gives none, 32 or more all. */
export function maskWord(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits)
}

/** The prefix with its host bits cleared: what a route is for. */
export function network(prefix: Prefix): Prefix {
  const { address } = prefix
  const length = address.family === 4 ? prefix.length + 96 : prefix.length
  const [w0, w1, w2, w3] = address.words
  const mask = (i: number): number => maskWord(length - 32 * i)
  return {
    address: fromWords(address.family, w0 & mask(0), w1 & mask(1), w2 & mask(2), w3 & mask(3)),
    length: prefix.length,
  }
}

export function prefixContains(prefix: Prefix, address: IpAddress): boolean {
  if (prefix.address.family !== address.family) return false
  return sameAddress(network(prefix).address, network({ address, length: prefix.length }).address)
}

/** Whether four words hold an IPv4 address. */
export function isMapped(w0: number, w1: number, w2: number): boolean {
  return w0 === 0 && w1 === 0 && w2 === MAPPED_WORD
}

// ---- kinds of IPv4 addresses, by their word

/** 127.0.0.0/8 (RFC 1122 §3.2.1.3 g) */
export const isLoopbackV4 = (word: number): boolean => word >>> 24 === 127
/** 224.0.0.0/4 */
export const isMulticastV4 = (word: number): boolean => word >>> 28 === 14
/** 169.254.0.0/16 (RFC 3927) */
export const isLinkLocalV4 = (word: number): boolean => word >>> 16 === 0xa9fe
/** 0.0.0.0/8, "this network" (RFC 1122 §3.2.1.3 a, b) */
export const isThisNetworkV4 = (word: number): boolean => word >>> 24 === 0
/** 240.0.0.0/4 without the limited broadcast address (RFC 1112 §4) */
export const isReservedV4 = (word: number): boolean => word >>> 28 === 15 && word !== LIMITED_BROADCAST

// ---- kinds of IPv6 addresses, by their words

/** ff00::/8 */
export const isMulticastV6 = (w0: number): boolean => w0 >>> 24 === 0xff
/** fe80::/10 */
export const isLinkLocalV6 = (w0: number): boolean => w0 >>> 22 === 0xfe80 >>> 6
/** fc00::/7 (RFC 4193) */
export const isUniqueLocalV6 = (w0: number): boolean => w0 >>> 25 === 0xfc >>> 1
export const isUnspecifiedV6 = (w0: number, w1: number, w2: number, w3: number): boolean =>
  (w0 | w1 | w2 | w3) === 0
/** ::1 */
export const isLoopbackV6 = (w0: number, w1: number, w2: number, w3: number): boolean =>
  (w0 | w1 | w2) === 0 && w3 === 1

// ---- kinds, for callers off the data path

export function isUnspecified({ family, words }: IpAddress): boolean {
  return family === 4 ? words[3] === 0 : isUnspecifiedV6(...words)
}

export function isLoopback({ family, words }: IpAddress): boolean {
  return family === 4 ? isLoopbackV4(words[3]) : isLoopbackV6(...words)
}

export function isMulticast({ family, words }: IpAddress): boolean {
  return family === 4 ? isMulticastV4(words[3]) : isMulticastV6(words[0])
}

export function isLinkLocal({ family, words }: IpAddress): boolean {
  return family === 4 ? isLinkLocalV4(words[3]) : isLinkLocalV6(words[0])
}
