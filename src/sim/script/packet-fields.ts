/**
 * Packets as JSON values: what `decode`, `encode`, `inject` and `expect` of the script door call the fields of a TCP or
 * ICMP packet. What {@link decodePacket} says of a packet, {@link encodePacket} makes into the same bytes.
 */

/**
 * TCP options in wire order. One whose kind is a number has the bytes of `hex` behind kind and length; `raw` is bytes as
 * they are, for options that do not keep the rules.
 */
export type OptionFields =
  | { readonly kind: 'raw'; readonly hex: string }
  | { readonly kind: 'eol' | 'nop' | 'sackPermitted' }
  | { readonly kind: 'mss' | 'windowScale'; readonly value: number }
  | { readonly kind: 'timestamps'; readonly value: number; readonly echo: number }
  | { readonly kind: 'sack'; readonly blocks: readonly (readonly [left: number, right: number])[] }
  | { readonly kind: number; readonly hex: string }

/** Kind numbers of RFC 9293 §3.2, 7323 and 2018. */
export const OPTION_KINDS = {
  eol: 0,
  nop: 1,
  mss: 2,
  windowScale: 3,
  sackPermitted: 4,
  sack: 5,
  timestamps: 8,
} as const

/** Letters of the control bits, from the lowest bit on: `SA` is a SYN that acknowledges. */
export const FLAG_LETTERS = 'FSRPAUEW'

export interface TcpFields {
  readonly protocol: 'tcp'
  readonly family: 4 | 6
  readonly source: string
  readonly destination: string
  readonly ttl: number
  /** Type of service or traffic class, with the ECN bits. */
  readonly tos: number
  /** IPv4: identification and don't-fragment; an IPv6 packet has neither. */
  readonly identification?: number
  readonly dontFragment?: boolean
  readonly sourcePort: number
  readonly destinationPort: number
  /** Unsigned 32-bit numbers. */
  readonly seq: number
  readonly ack: number
  readonly flags: string
  /** The four bits between data offset and control bits; left out when zero. */
  readonly reserved?: number
  /** As it stands in the header, not scaled. */
  readonly window: number
  readonly urgent: number
  readonly options: readonly OptionFields[]
  readonly payloadBytes: number
  /** Hex. */
  readonly payload: string
  /** False when a checksum of the packet, IP's or TCP's, is wrong. */
  readonly checksumOk: boolean
}

export interface IcmpFields {
  readonly protocol: 'icmp'
  readonly family: 4 | 6
  readonly source: string
  readonly destination: string
  readonly ttl: number
  readonly tos: number
  readonly type: number
  readonly code: number
  /** The 32 bits behind the checksum: the MTU of a packet that was too big, in its low bits. */
  readonly word: number
  /** What stands behind them: the quoted packet of an error. Hex. */
  readonly payload: string
  readonly checksumOk: boolean
}

export interface OtherFields {
  readonly protocol: number
  readonly family: 4 | 6
  readonly source: string
  readonly destination: string
  readonly ttl: number
  readonly tos: number
  /** A fragment, or a protocol that the door does not read. Hex. */
  readonly payload: string
  readonly checksumOk: boolean
}

export type PacketFields = TcpFields | IcmpFields | OtherFields

/** A packet, or its description, that cannot be read. */
export class PacketError extends Error {
  override readonly name = 'PacketError'
}

const DIGITS = '0123456789abcdef'

export function toHex(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = ''
  for (let i = start; i < end; i++) text += DIGITS[bytes[i]! >> 4]! + DIGITS[bytes[i]! & 15]!
  return text
}

/** @param text - an even number of hexadecimal digits; white space between them does not count. @throws PacketError */
export function fromHex(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, '')
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits))
    throw new PacketError('hex must be an even number of hexadecimal digits')
  const bytes = new Uint8Array(digits.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16)
  return bytes
}
