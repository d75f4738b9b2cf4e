/**
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng, sections 4.1 to 4.6), written into memory that the caller gives:
 * little-endian, one section, packets that begin with their IP header.
 */

export const PCAPNG_SECTION = 0x0a0d0d0a
export const PCAPNG_INTERFACE = 1
export const PCAPNG_STATISTICS = 5
export const PCAPNG_PACKET = 6
export const PCAPNG_MAGIC = 0x1a2b3c4d
/** The packet begins with its IP header, version 4 or 6 (LINKTYPE_RAW of the link-layer type registry). */
export const LINKTYPE_RAW = 101
/** Time stamps count units of 10^-6 s (option if_tsresol). */
export const PCAPNG_TSRESOL = 6

const OPT_END = 0
const OPT_COMMENT = 1
const SHB_USER_APPLICATION = 4
const IF_NAME = 2
const IF_DESCRIPTION = 3
const IF_TSRESOL = 9
const EPB_FLAGS = 2
const ISB_RECEIVED = 4
const ISB_DROPPED = 5

/** Bits 0 and 1 of epb_flags (section 4.3.1). */
export const FLAG_INBOUND = 1
export const FLAG_OUTBOUND = 2

/** Fixed part of an enhanced packet block in front of the packet. */
export const PACKET_HEADER_BYTES = 28
/** epb_flags, end of options, total length again. */
const PACKET_TRAILER_BYTES = 8 + 4 + 4

const encoder = new TextEncoder()

export const padded = (length: number): number => (length + 3) & ~3

/** Bytes of an enhanced packet block. @param commentBytes - of its comment, 0 for none */
export function packetBlockBytes(captured: number, commentBytes = 0): number {
  const comment = commentBytes === 0 ? 0 : 4 + padded(commentBytes)
  return PACKET_HEADER_BYTES + padded(captured) + comment + PACKET_TRAILER_BYTES
}

function put16(to: Uint8Array, at: number, value: number): number {
  to[at] = value
  to[at + 1] = value >>> 8
  return at + 2
}

function put32(to: Uint8Array, at: number, value: number): number {
  to[at] = value
  to[at + 1] = value >>> 8
  to[at + 2] = value >>> 16
  to[at + 3] = value >>> 24
  return at + 4
}

/** 64 bits of which the lower 53 may be used. */
function put64(to: Uint8Array, at: number, value: number): number {
  put32(to, at, (value % 2 ** 32) | 0)
  return put32(to, at + 4, Math.floor(value / 2 ** 32))
}

function putOption(to: Uint8Array, at: number, code: number, value: Uint8Array): number {
  at = put16(to, at, code)
  at = put16(to, at, value.length)
  for (let i = 0; i < value.length; i++) to[at + i] = value[i]!
  at += value.length
  for (; (at & 3) !== 0; at++) to[at] = 0
  return at
}

/** What stands around the packet of an enhanced packet block. */
export interface PacketFields {
  readonly interfaceId: number
  /** Microseconds since 1970-01-01 UTC. */
  readonly timeUs: number
  readonly captured: number
  readonly original: number
  /** {@link FLAG_INBOUND} or {@link FLAG_OUTBOUND} */
  readonly flags: number
  /** UTF-8, or null. */
  readonly comment: Uint8Array | null
}

/**
 * Writes an enhanced packet block around the place where its packet goes: `at + PACKET_HEADER_BYTES`, `captured` bytes.
 * @param at - a multiple of four; {@link packetBlockBytes} bytes must be free from there
 * @returns where the block ends
 */
export function putPacketBlock(to: Uint8Array, at: number, fields: PacketFields): number {
  const { captured, comment } = fields
  const size = packetBlockBytes(captured, comment?.length ?? 0)
  put32(to, at, PCAPNG_PACKET)
  put32(to, at + 4, size)
  put32(to, at + 8, fields.interfaceId)
  put32(to, at + 12, Math.floor(fields.timeUs / 2 ** 32))
  put32(to, at + 16, (fields.timeUs % 2 ** 32) | 0)
  put32(to, at + 20, captured)
  put32(to, at + 24, fields.original)
  let end = at + PACKET_HEADER_BYTES + captured
  for (const stop = at + PACKET_HEADER_BYTES + padded(captured); end < stop; end++) to[end] = 0
  if (comment !== null) end = putOption(to, end, OPT_COMMENT, comment)
  end = put16(to, end, EPB_FLAGS)
  end = put16(to, end, 4)
  end = put32(to, end, fields.flags)
  end = put32(to, end, OPT_END)
  return put32(to, end, size)
}

/** A block of a kind that is rare, from its body and options. */
function block(
  type: number,
  body: Uint8Array,
  options: readonly (readonly [number, Uint8Array])[],
): Uint8Array {
  const optionBytes = options.reduce((sum, [, value]) => sum + 4 + padded(value.length), 4)
  const size = 12 + body.length + optionBytes
  const to = new Uint8Array(size)
  put32(to, 0, type)
  put32(to, 4, size)
  to.set(body, 8)
  let at = 8 + body.length
  for (const [code, value] of options) at = putOption(to, at, code, value)
  at = put32(to, at, OPT_END)
  put32(to, at, size)
  return to
}

/** @param comment - for the reader of the file; empty for none */
export function sectionBlock(comment = ''): Uint8Array {
  const body = new Uint8Array(16)
  put32(body, 0, PCAPNG_MAGIC)
  put16(body, 4, 1)
  // The length of the section is not known: -1 (section 4.1).
  body.fill(0xff, 8, 16)
  const application: [number, Uint8Array] = [SHB_USER_APPLICATION, encoder.encode('putnext')]
  return block(
    PCAPNG_SECTION,
    body,
    comment === '' ? [application] : [[OPT_COMMENT, encoder.encode(comment)], application],
  )
}

/** @param snaplen - most bytes of a packet */
export function interfaceBlock(
  name: string,
  snaplen: number,
  description = '',
  linkType = LINKTYPE_RAW,
): Uint8Array {
  const body = new Uint8Array(8)
  put16(body, 0, linkType)
  put32(body, 4, snaplen)
  const options: [number, Uint8Array][] = [[IF_NAME, encoder.encode(name)]]
  if (description !== '') options.push([IF_DESCRIPTION, encoder.encode(description)])
  options.push([IF_TSRESOL, Uint8Array.of(PCAPNG_TSRESOL)])
  return block(PCAPNG_INTERFACE, body, options)
}

/** @param received - packets seen; @param dropped - of these, packets that should be in the file and are not */
export function statisticsBlock(
  interfaceId: number,
  timeUs: number,
  received: number,
  dropped: number,
): Uint8Array {
  const body = new Uint8Array(12)
  put32(body, 0, interfaceId)
  put32(body, 4, Math.floor(timeUs / 2 ** 32))
  put32(body, 8, (timeUs % 2 ** 32) | 0)
  const count = (value: number): Uint8Array => {
    const bytes = new Uint8Array(8)
    put64(bytes, 0, value)
    return bytes
  }
  return block(PCAPNG_STATISTICS, body, [
    [ISB_RECEIVED, count(received)],
    [ISB_DROPPED, count(dropped)],
  ])
}
