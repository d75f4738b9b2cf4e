/** Makes IP packets from {@link PacketFields}: right by default, and wrong where the description says so. */
import { fold, sumBytes } from '../../base/checksum.ts'
import { type IpAddress, parseAddress } from '../../inet/address.ts'
import { putI32, putU16 } from '../../inet/wire/fields.ts'
import { FLAG_LETTERS, fromHex, OPTION_KINDS, PacketError } from './packet-fields.ts'

/** A description as it comes from a script: nothing of it is checked yet. */
export type Description = Readonly<Record<string, unknown>>

const PROTOCOL_TCP = 6
const PROTOCOL_ICMP = 1
const PROTOCOL_ICMPV6 = 58
const PACKET_BYTES_MAX = 65_535
const U16_MAX = 0xffff
const U32_MAX = 0xffff_ffff

/**
 * @param fields - as {@link PacketFields}; `source` and `destination` have to be there, for TCP the ports too. What is left
 * out: `protocol` tcp, `flags` A, `window` 65535, `ttl` 64, `dontFragment` true, everything else zero or empty. Instead of
 * `payload` there may be `payloadBytes`: so many bytes of {@link patternByte}. `ipOptions`: hex, IPv4 only.
 * `checksumOk: false` spoils the transport's checksum
 * @throws PacketError that names the field
 */
export function encodePacket(fields: Description): Uint8Array {
  const source = address(fields, 'source')
  const destination = address(fields, 'destination')
  if (source.family !== destination.family)
    throw new PacketError('source and destination are of different families')
  const protocol = protocolNumber(fields, source.family)
  const payload =
    protocol === PROTOCOL_TCP
      ? tcpSegment(fields)
      : protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMPV6
        ? icmpMessage(fields)
        : hexOf(fields, 'payload')
  const packet = source.family === 4 ? ipv4(fields, protocol, payload) : ipv6(fields, protocol, payload)
  const header = packet.length - payload.length
  setAddress(packet, source.family === 4 ? 12 : 8, source)
  setAddress(packet, source.family === 4 ? 16 : 24, destination)
  if (source.family === 4) putU16(packet, 10, ~fold(sumBytes(packet, 0, header)))
  sumTransport(packet, header, protocol, source.family, fields['checksumOk'] === false)
  return packet
}

/** The byte at a place of a stream of test data: neighbours differ, and so do places 256 and 65,536 apart. */
export const patternByte = (place: number): number => (place ^ (place >>> 8) ^ (place >>> 16)) & 0xff

/** @param place - of the first byte in its stream */
export function patternBytes(length: number, place = 0): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = patternByte(place + i)
  return bytes
}

function protocolNumber(fields: Description, family: 4 | 6): number {
  const protocol = fields['protocol'] ?? 'tcp'
  if (protocol === 'tcp') return PROTOCOL_TCP
  if (protocol === 'icmp') return family === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6
  return integer(fields, 'protocol', 0, 255, 0)
}

function ipv4(fields: Description, protocol: number, payload: Uint8Array): Uint8Array {
  const options = hexOf(fields, 'ipOptions')
  if (options.length % 4 !== 0 || options.length > 40)
    throw new PacketError('ipOptions must have a multiple of 4 bytes, up to 40')
  const header = 20 + options.length
  const packet = sized(header + payload.length)
  packet[0] = 0x40 | (header >> 2)
  packet[1] = integer(fields, 'tos', 0, 255, 0)
  putU16(packet, 2, packet.length)
  putU16(packet, 4, integer(fields, 'identification', 0, U16_MAX, 0))
  if (fields['dontFragment'] !== false) packet[6] = 0x40
  packet[8] = integer(fields, 'ttl', 0, 255, 64)
  packet[9] = protocol
  packet.set(options, 20)
  packet.set(payload, header)
  return packet
}

function ipv6(fields: Description, protocol: number, payload: Uint8Array): Uint8Array {
  const packet = sized(40 + payload.length)
  const tos = integer(fields, 'tos', 0, 255, 0)
  packet[0] = 0x60 | (tos >> 4)
  packet[1] = tos << 4
  putU16(packet, 4, payload.length)
  packet[6] = protocol
  packet[7] = integer(fields, 'ttl', 0, 255, 64)
  packet.set(payload, 40)
  return packet
}

function sized(bytes: number): Uint8Array {
  if (bytes > PACKET_BYTES_MAX) throw new PacketError(`a packet of ${bytes} bytes is too long`)
  return new Uint8Array(bytes)
}

function tcpSegment(fields: Description): Uint8Array {
  const options = tcpOptions(fields['options'] ?? [])
  const payload =
    fields['payload'] === undefined
      ? patternBytes(integer(fields, 'payloadBytes', 0, PACKET_BYTES_MAX, 0))
      : hexOf(fields, 'payload')
  const header = 20 + options.length
  const segment = new Uint8Array(header + payload.length)
  putU16(segment, 0, integer(fields, 'sourcePort', 0, U16_MAX, null))
  putU16(segment, 2, integer(fields, 'destinationPort', 0, U16_MAX, null))
  putI32(segment, 4, integer(fields, 'seq', 0, U32_MAX, 0))
  putI32(segment, 8, integer(fields, 'ack', 0, U32_MAX, 0))
  segment[12] = ((header >> 2) << 4) | integer(fields, 'reserved', 0, 15, 0)
  segment[13] = flagBits(fields['flags'] ?? 'A')
  putU16(segment, 14, integer(fields, 'window', 0, U16_MAX, U16_MAX))
  putU16(segment, 18, integer(fields, 'urgent', 0, U16_MAX, 0))
  segment.set(options, 20)
  segment.set(payload, header)
  return segment
}

function flagBits(flags: unknown): number {
  if (typeof flags !== 'string') throw new PacketError('flags must be letters')
  let bits = 0
  for (const letter of flags) {
    const bit = FLAG_LETTERS.indexOf(letter)
    if (bit < 0) throw new PacketError(`flags: "${letter}" is none of ${FLAG_LETTERS}`)
    bits |= 1 << bit
  }
  return bits
}

/** The options, padded with end-of-list to a multiple of 4 bytes. */
function tcpOptions(options: unknown): Uint8Array {
  if (!Array.isArray(options)) throw new PacketError('options must be a list')
  const bytes: number[] = []
  for (const option of options as unknown[]) {
    if (typeof option !== 'object' || option === null) throw new PacketError('an option must be an object')
    bytes.push(...optionBytes(option as Description))
  }
  while (bytes.length % 4 !== 0) bytes.push(0)
  if (bytes.length > 40) throw new PacketError('the options are longer than 40 bytes')
  return Uint8Array.from(bytes)
}

function optionBytes(option: Description): number[] {
  const { kind } = option
  if (kind === 'raw') return [...hexOf(option, 'hex')]
  const number = typeof kind === 'string' ? (OPTION_KINDS as Readonly<Record<string, number>>)[kind] : kind
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > 255)
    throw new PacketError(`nobody knows the option kind ${JSON.stringify(kind)}`)
  if (kind === 'eol' || kind === 'nop') return [number]
  const value = optionValue(option)
  return [number, 2 + value.length, ...value]
}

function optionValue(option: Description): number[] {
  const word = (value: number): number[] => [24, 16, 8, 0].map(shift => (value >>> shift) & 0xff)
  switch (option['kind']) {
    case 'sackPermitted':
      return []
    case 'windowScale':
      return [integer(option, 'value', 0, 255, null)]
    case 'mss': {
      const value = integer(option, 'value', 0, U16_MAX, null)
      return [value >> 8, value & 0xff]
    }
    case 'timestamps':
      return [
        ...word(integer(option, 'value', 0, U32_MAX, null)),
        ...word(integer(option, 'echo', 0, U32_MAX, 0)),
      ]
    case 'sack':
      return sackEdges(option['blocks']).flatMap(word)
    default:
      return [...hexOf(option, 'hex')]
  }
}

function sackEdges(blocks: unknown): number[] {
  if (!Array.isArray(blocks)) throw new PacketError('sack needs blocks: a list of pairs')
  return blocks.flatMap((block: unknown) => {
    if (!Array.isArray(block) || block.length !== 2)
      throw new PacketError('a sack block is a pair of numbers')
    const edges = { left: block[0], right: block[1] }
    return [integer(edges, 'left', 0, U32_MAX, null), integer(edges, 'right', 0, U32_MAX, null)]
  })
}

function icmpMessage(fields: Description): Uint8Array {
  const payload = hexOf(fields, 'payload')
  const message = new Uint8Array(8 + payload.length)
  message[0] = integer(fields, 'type', 0, 255, null)
  message[1] = integer(fields, 'code', 0, 255, 0)
  putI32(message, 4, integer(fields, 'word', 0, U32_MAX, 0))
  message.set(payload, 8)
  return message
}

/** Where the checksum stands in the transport's header. */
const CHECKSUM_AT: Readonly<Record<number, number>> = {
  [PROTOCOL_TCP]: 16,
  [PROTOCOL_ICMP]: 2,
  [PROTOCOL_ICMPV6]: 2,
}

function sumTransport(packet: Uint8Array, at: number, protocol: number, family: 4 | 6, spoil: boolean): void {
  const field = CHECKSUM_AT[protocol]
  if (field === undefined) return
  const addresses = family === 4 ? sumBytes(packet, 12, 20) : sumBytes(packet, 8, 40)
  const pseudo = protocol === PROTOCOL_ICMP ? 0 : fold(addresses + protocol + (packet.length - at))
  const checksum = ~fold(sumBytes(packet, at, packet.length, pseudo))
  putU16(packet, at + field, spoil ? checksum ^ 0x5555 : checksum)
}

function setAddress(packet: Uint8Array, at: number, { family, words }: IpAddress): void {
  if (family === 4) putI32(packet, at, words[3])
  else for (let i = 0; i < 4; i++) putI32(packet, at + 4 * i, words[i]!)
}

function address(fields: Description, name: string): IpAddress {
  const text = fields[name]
  const found = typeof text === 'string' ? parseAddress(text) : null
  if (found === null) throw new PacketError(`${name} must be an address, not ${JSON.stringify(text)}`)
  return found
}

/** @param fallback - null: it has to be there */
function integer(
  fields: Description,
  name: string,
  least: number,
  most: number,
  fallback: number | null,
): number {
  const value = fields[name]
  if (value === undefined && fallback !== null) return fallback
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new PacketError(
    `${name} must be a whole number from ${least} to ${most}, not ${JSON.stringify(value)}`,
  )
}

function hexOf(fields: Description, name: string): Uint8Array {
  const value = fields[name] ?? ''
  if (typeof value !== 'string') throw new PacketError(`${name} must be hex`)
  return fromHex(value)
}
