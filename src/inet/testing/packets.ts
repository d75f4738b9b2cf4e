/** Packets for tests, as flat bytes: right by default, and wrong wherever the test says so. */
import { fold, sumBytes } from '../../base/checksum.ts'

export interface Ipv4Fields {
  readonly source?: readonly number[]
  readonly destination?: readonly number[]
  readonly protocol?: number
  readonly identification?: number
  /** Of the data, in bytes. */
  readonly offset?: number
  readonly more?: boolean
  readonly dontFragment?: boolean
  readonly typeOfService?: number
  readonly hopLimit?: number
  /** A multiple of 4 bytes. */
  readonly options?: readonly number[]
  /** What the header says instead of the truth. */
  readonly totalLength?: number
}

export const SOURCE4 = [10, 0, 0, 1] as const
export const DESTINATION4 = [10, 0, 0, 2] as const
export const SOURCE6 = [0xfd, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1] as const
export const DESTINATION6 = [0xfd, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2] as const

function set16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

export function ipv4Packet(payload: Uint8Array, fields: Ipv4Fields = {}): Uint8Array {
  const options = fields.options ?? []
  const size = 20 + options.length
  const packet = new Uint8Array(size + payload.length)
  packet[0] = 0x40 | (size >> 2)
  packet[1] = fields.typeOfService ?? 0
  set16(packet, 2, fields.totalLength ?? packet.length)
  set16(packet, 4, fields.identification ?? 1)
  const flags = (fields.dontFragment ? 0x4000 : 0) | (fields.more ? 0x2000 : 0)
  set16(packet, 6, flags | ((fields.offset ?? 0) >> 3))
  packet[8] = fields.hopLimit ?? 64
  packet[9] = fields.protocol ?? 253
  packet.set(fields.source ?? SOURCE4, 12)
  packet.set(fields.destination ?? DESTINATION4, 16)
  packet.set(options, 20)
  set16(packet, 10, ~fold(sumBytes(packet, 0, size)))
  packet.set(payload, size)
  return packet
}

export interface ExtensionHeader {
  readonly type: number
  /** Without the next header field: the length byte and all behind it; 8 n - 1 bytes. */
  readonly body: readonly number[]
}

export interface Ipv6Fields {
  readonly source?: readonly number[]
  readonly destination?: readonly number[]
  /** Of the payload, behind all headers given here. */
  readonly nextHeader?: number
  readonly trafficClass?: number
  readonly hopLimit?: number
  readonly headers?: readonly ExtensionHeader[]
  readonly payloadLength?: number
}

export function ipv6Packet(payload: Uint8Array, fields: Ipv6Fields = {}): Uint8Array {
  const headers = fields.headers ?? []
  const ahead = headers.reduce((size, header) => size + 1 + header.body.length, 0)
  const packet = new Uint8Array(40 + ahead + payload.length)
  const trafficClass = fields.trafficClass ?? 0
  packet[0] = 0x60 | (trafficClass >> 4)
  packet[1] = trafficClass << 4
  set16(packet, 4, fields.payloadLength ?? ahead + payload.length)
  packet[7] = fields.hopLimit ?? 64
  packet.set(fields.source ?? SOURCE6, 8)
  packet.set(fields.destination ?? DESTINATION6, 24)
  let nextHeaderAt = 6
  let at = 40
  for (const { type, body } of headers) {
    packet[nextHeaderAt] = type
    nextHeaderAt = at
    packet.set(body, at + 1)
    at += 1 + body.length
  }
  packet[nextHeaderAt] = fields.nextHeader ?? 253
  packet.set(payload, at)
  return packet
}

/** The IPv6 fragment header, to be used as an {@link ExtensionHeader}. @param offset - of the data, in bytes */
export function fragmentHeader(offset: number, more: boolean, identification = 1): ExtensionHeader {
  const word = offset | (more ? 1 : 0)
  const id = [24, 16, 8, 0].map(shift => (identification >>> shift) & 0xff)
  return { type: 44, body: [0, word >>> 8, word & 0xff, ...id] }
}

/** Options that do nothing, as a hop-by-hop (0) or destination (60) header of `words` times 8 bytes. */
export function paddingHeader(type: 0 | 60, words = 1): ExtensionHeader {
  const padding = 8 * words - 4
  return { type, body: [words - 1, 1, padding, ...new Array<number>(padding).fill(0)] }
}

/** A UDP datagram with its checksum, for addresses of either family. */
export function udpDatagram(
  data: Uint8Array,
  source: readonly number[],
  destination: readonly number[],
  ports: readonly [source: number, destination: number],
): Uint8Array {
  const datagram = new Uint8Array(8 + data.length)
  set16(datagram, 0, ports[0])
  set16(datagram, 2, ports[1])
  set16(datagram, 4, datagram.length)
  datagram.set(data, 8)
  const sum = fold(
    pseudoSum(source, destination, 17, datagram.length) + sumBytes(datagram, 0, datagram.length),
  )
  set16(datagram, 6, sum === 0xffff ? 0xffff : ~sum)
  return datagram
}

/** An ICMP or ICMPv6 message with its checksum; `body` begins behind type, code and checksum. */
export function icmpMessage(
  family: 4 | 6,
  type: number,
  code: number,
  body: Uint8Array,
  source: readonly number[],
  destination: readonly number[],
): Uint8Array {
  const message = new Uint8Array(4 + body.length)
  message[0] = type
  message[1] = code
  message.set(body, 4)
  const pseudo = family === 6 ? pseudoSum(source, destination, 58, message.length) : 0
  set16(message, 2, ~fold(pseudo + sumBytes(message, 0, message.length)))
  return message
}

function pseudoSum(
  source: readonly number[],
  destination: readonly number[],
  protocol: number,
  length: number,
): number {
  const addresses = Uint8Array.from([...source, ...destination])
  return fold(sumBytes(addresses, 0, addresses.length) + protocol + length)
}

/** `length` bytes that are all different from their neighbours. */
export function pattern(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + seed + (i >> 8)) & 0xff
  return bytes
}

/** The parts of some bytes between the places given. */
export function split(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const all = [0, ...places, bytes.length]
  return all.slice(1).map((end, i) => bytes.slice(all[i]!, end))
}
