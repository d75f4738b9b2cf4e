/** Reads an IP packet into {@link PacketFields}: for people and for programs that compare fields, not for the stack. */
import { fold, sumBytes } from '../../base/checksum.ts'
import { formatAddress, fromV4Word, fromWords } from '../../inet/address.ts'
import { i32, u16 } from '../../inet/wire/fields.ts'
import {
  FLAG_LETTERS,
  OPTION_KINDS,
  type OptionFields,
  PacketError,
  type PacketFields,
  toHex,
} from './packet-fields.ts'

const PROTOCOL_TCP = 6
const PROTOCOL_ICMP = 1
const PROTOCOL_ICMPV6 = 58

/** What the IP header says. */
interface Envelope {
  readonly family: 4 | 6
  readonly source: string
  readonly destination: string
  readonly ttl: number
  readonly tos: number
  readonly protocol: number
  readonly isFragment: boolean
  /** Where the payload begins and ends. */
  readonly start: number
  readonly end: number
  readonly headerOk: boolean
  /** Folded sum of the addresses, for the pseudo-header. */
  readonly addressSum: number
}

/**
 * @param bytes - a whole IP packet
 * @throws PacketError if it is none, or cut short
 */
export function decodePacket(bytes: Uint8Array): PacketFields {
  const version = bytes.length === 0 ? 0 : bytes[0]! >> 4
  if (version !== 4 && version !== 6) throw new PacketError('the packet is neither IPv4 nor IPv6')
  const envelope = version === 4 ? readIpv4(bytes) : readIpv6(bytes)
  const { family, source, destination, ttl, tos, protocol, start, end } = envelope
  const common = { family, source, destination, ttl, tos }
  if (!envelope.isFragment && protocol === PROTOCOL_TCP) return readTcp(bytes, envelope, common)
  if (!envelope.isFragment && protocol === (family === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6))
    return readIcmp(bytes, envelope, common)
  return { protocol, ...common, payload: toHex(bytes, start, end), checksumOk: envelope.headerOk }
}

function readIpv4(bytes: Uint8Array): Envelope {
  const start = (bytes[0]! & 15) * 4
  const end = bytes.length < 20 ? 0 : u16(bytes, 2)
  if (start < 20 || end < start || end > bytes.length)
    throw new PacketError('the IPv4 header does not fit the packet')
  return {
    family: 4,
    source: formatAddress(fromV4Word(i32(bytes, 12))),
    destination: formatAddress(fromV4Word(i32(bytes, 16))),
    ttl: bytes[8]!,
    tos: bytes[1]!,
    protocol: bytes[9]!,
    isFragment: (u16(bytes, 6) & 0x3fff) !== 0,
    start,
    end,
    headerOk: fold(sumBytes(bytes, 0, start)) === 0xffff,
    addressSum: sumBytes(bytes, 12, 20),
  }
}

function readIpv6(bytes: Uint8Array): Envelope {
  const end = bytes.length < 40 ? 0 : 40 + u16(bytes, 4)
  if (end < 40 || end > bytes.length) throw new PacketError('the IPv6 header does not fit the packet')
  const address = (at: number): string =>
    formatAddress(fromWords(6, i32(bytes, at), i32(bytes, at + 4), i32(bytes, at + 8), i32(bytes, at + 12)))
  return {
    family: 6,
    source: address(8),
    destination: address(24),
    ttl: bytes[7]!,
    tos: (u16(bytes, 0) >> 4) & 0xff,
    protocol: bytes[6]!,
    isFragment: false,
    start: 40,
    end,
    headerOk: true,
    addressSum: sumBytes(bytes, 8, 40),
  }
}

type Common = Pick<Envelope, 'family' | 'source' | 'destination' | 'ttl' | 'tos'>

/** Whether the sum over pseudo-header and payload is right. */
function sumOk(bytes: Uint8Array, { start, end, protocol, addressSum }: Envelope, pseudo: boolean): boolean {
  const sum = sumBytes(bytes, start, end, pseudo ? fold(addressSum + protocol + (end - start)) : 0)
  return fold(sum) === 0xffff
}

function readTcp(bytes: Uint8Array, envelope: Envelope, common: Common): PacketFields {
  const { start: at, end, family } = envelope
  const offset = end - at < 20 ? 0 : (bytes[at + 12]! >> 4) * 4
  if (offset < 20 || at + offset > end) throw new PacketError('the TCP header does not fit the packet')
  const ipv4 = family === 4 ? { identification: u16(bytes, 4), dontFragment: (bytes[6]! & 0x40) !== 0 } : {}
  const reserved = bytes[at + 12]! & 15
  return {
    protocol: 'tcp',
    ...common,
    ...ipv4,
    sourcePort: u16(bytes, at),
    destinationPort: u16(bytes, at + 2),
    seq: i32(bytes, at + 4) >>> 0,
    ack: i32(bytes, at + 8) >>> 0,
    flags: [...FLAG_LETTERS].filter((_, bit) => (bytes[at + 13]! & (1 << bit)) !== 0).join(''),
    ...(reserved === 0 ? {} : { reserved }),
    window: u16(bytes, at + 14),
    urgent: u16(bytes, at + 18),
    options: readOptions(bytes, at + 20, at + offset),
    payloadBytes: end - at - offset,
    payload: toHex(bytes, at + offset, end),
    checksumOk: envelope.headerOk && sumOk(bytes, envelope, true),
  }
}

function readOptions(bytes: Uint8Array, at: number, end: number): OptionFields[] {
  const all: OptionFields[] = []
  while (at < end) {
    const kind = bytes[at]!
    if (kind === OPTION_KINDS.eol || kind === OPTION_KINDS.nop) {
      all.push({ kind: kind === OPTION_KINDS.eol ? 'eol' : 'nop' })
      at++
      continue
    }
    const size = at + 1 < end ? bytes[at + 1]! : 0
    // A length that cannot be: the rest has no meaning.
    if (size < 2 || at + size > end) {
      all.push({ kind: 'raw', hex: toHex(bytes, at, end) })
      break
    }
    all.push(readOption(bytes, at, kind, size))
    at += size
  }
  return all
}

function readOption(bytes: Uint8Array, at: number, kind: number, size: number): OptionFields {
  const word = (offset: number): number => i32(bytes, at + offset) >>> 0
  if (kind === OPTION_KINDS.mss && size === 4) return { kind: 'mss', value: u16(bytes, at + 2) }
  if (kind === OPTION_KINDS.windowScale && size === 3) return { kind: 'windowScale', value: bytes[at + 2]! }
  if (kind === OPTION_KINDS.sackPermitted && size === 2) return { kind: 'sackPermitted' }
  if (kind === OPTION_KINDS.timestamps && size === 10)
    return { kind: 'timestamps', value: word(2), echo: word(6) }
  if (kind === OPTION_KINDS.sack && size > 2 && (size - 2) % 8 === 0) {
    const count = (size - 2) / 8
    const blocks = Array.from({ length: count }, (_, i) => [word(2 + 8 * i), word(6 + 8 * i)] as const)
    return { kind: 'sack', blocks }
  }
  return { kind, hex: toHex(bytes, at + 2, at + size) }
}

function readIcmp(bytes: Uint8Array, envelope: Envelope, common: Common): PacketFields {
  const { start: at, end } = envelope
  if (end - at < 8) throw new PacketError('the ICMP header does not fit the packet')
  return {
    protocol: 'icmp',
    ...common,
    type: bytes[at]!,
    code: bytes[at + 1]!,
    word: i32(bytes, at + 4) >>> 0,
    payload: toHex(bytes, at + 8, end),
    checksumOk: envelope.headerOk && sumOk(bytes, envelope, common.family === 6),
  }
}
