/**
 * Netlink messages as bytes: a writer with nested attributes, a reader, acknowledgements. Numbers are in the
 * machine's byte order. What the messages of rtnetlink mean is in `rtnetlink.ts`.
 * @see netlink(7), Documentation/userspace-api/netlink
 */

import { endianness } from 'node:os'

export const NETLINK_ROUTE = 0

export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
export const NLMSG_HEADER_SIZE = 16

export const NLM_F_REQUEST = 0x001
export const NLM_F_MULTI = 0x002
export const NLM_F_ACK = 0x004
export const NLM_F_DUMP = 0x300
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
/** In an answer: the request's own bytes are left out of the error message. */
export const NLM_F_CAPPED = 0x100
/** In an answer: attributes follow the error message. */
export const NLM_F_ACK_TLVS = 0x200

export const LITTLE_ENDIAN = endianness() === 'LE'

const NLA_NESTED = 0x8000
const NLA_TYPE_MASK = 0x3fff
const NLA_HEADER_SIZE = 4
const NLMSGERR_ATTR_MSG = 1
const FIRST_CAPACITY = 512

const align = (bytes: number): number => (bytes + 3) & ~3
const text = new TextDecoder()

/** Writes one message: header, fixed part, attributes. */
export class NetlinkWriter {
  #bytes = new Uint8Array(FIRST_CAPACITY)
  #view = new DataView(this.#bytes.buffer)
  #length = NLMSG_HEADER_SIZE

  /** @param flags - `NLM_F_` beside REQUEST, which is always set */
  constructor(type: number, flags: number, sequence: number) {
    this.#view.setUint16(4, type, LITTLE_ENDIAN)
    this.#view.setUint16(6, NLM_F_REQUEST | flags, LITTLE_ENDIAN)
    this.#view.setUint32(8, sequence, LITTLE_ENDIAN)
  }

  #reserve(bytes: number): number {
    const at = this.#length
    const end = at + align(bytes)
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2))
      larger.set(this.#bytes)
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    this.#length = end
    return at
  }

  #attribute(type: number, valueBytes: number): number {
    const at = this.#reserve(NLA_HEADER_SIZE + valueBytes)
    this.#view.setUint16(at, NLA_HEADER_SIZE + valueBytes, LITTLE_ENDIAN)
    this.#view.setUint16(at + 2, type, LITTLE_ENDIAN)
    return at + NLA_HEADER_SIZE
  }

  /** Appends a fixed part; `fill` writes it at the offset that it is given. */
  fixed(bytes: number, fill: (view: DataView, offset: number) => void): this {
    const at = this.#reserve(bytes)
    fill(this.#view, at)
    return this
  }

  u8(type: number, value: number): this {
    const at = this.#attribute(type, 1)
    this.#view.setUint8(at, value)
    return this
  }

  u32(type: number, value: number): this {
    const at = this.#attribute(type, 4)
    this.#view.setUint32(at, value, LITTLE_ENDIAN)
    return this
  }

  bytes(type: number, value: Uint8Array): this {
    const at = this.#attribute(type, value.length)
    this.#bytes.set(value, at)
    return this
  }

  /** Appends text with the zero byte that the kernel expects after it. */
  string(type: number, value: string): this {
    return this.bytes(type, new TextEncoder().encode(`${value}\0`))
  }

  /** Appends an attribute that holds what `fill` appends. */
  nested(type: number, fill: (writer: this) => void): this {
    const value = this.#attribute(type | NLA_NESTED, 0)
    fill(this)
    this.#view.setUint16(value - NLA_HEADER_SIZE, this.#length - value + NLA_HEADER_SIZE, LITTLE_ENDIAN)
    return this
  }

  /** @returns the message's own bytes, not shared with the writer */
  finish(): Uint8Array {
    this.#view.setUint32(0, this.#length, LITTLE_ENDIAN)
    return this.#bytes.slice(0, this.#length)
  }
}

/** One message of a received datagram; views the datagram's memory. */
export interface NetlinkMessage {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  /** What follows the header. */
  readonly body: DataView
}

/**
 * Splits a datagram. A length that does not fit ends it: the kernel sends none.
 * @param bytes - as received, from its first byte
 */
export function parseMessages(bytes: Uint8Array): NetlinkMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const messages: NetlinkMessage[] = []
  for (let at = 0; at + NLMSG_HEADER_SIZE <= view.byteLength; ) {
    const length = view.getUint32(at, LITTLE_ENDIAN)
    if (length < NLMSG_HEADER_SIZE || length > view.byteLength - at) break
    const start = bytes.byteOffset + at + NLMSG_HEADER_SIZE
    messages.push({
      type: view.getUint16(at + 4, LITTLE_ENDIAN),
      flags: view.getUint16(at + 6, LITTLE_ENDIAN),
      sequence: view.getUint32(at + 8, LITTLE_ENDIAN),
      body: new DataView(bytes.buffer, start, length - NLMSG_HEADER_SIZE),
    })
    at += align(length)
  }
  return messages
}

export type Attributes = ReadonlyMap<number, DataView>

/** @param offset - where attributes begin in `body`; of a type that comes twice the last stays */
export function parseAttributes(body: DataView, offset: number): Attributes {
  const found = new Map<number, DataView>()
  for (let at = offset; at + NLA_HEADER_SIZE <= body.byteLength; ) {
    const length = body.getUint16(at, LITTLE_ENDIAN)
    if (length < NLA_HEADER_SIZE || length > body.byteLength - at) break
    const type = body.getUint16(at + 2, LITTLE_ENDIAN) & NLA_TYPE_MASK
    found.set(
      type,
      new DataView(body.buffer, body.byteOffset + at + NLA_HEADER_SIZE, length - NLA_HEADER_SIZE),
    )
    at += align(length)
  }
  return found
}

/** @returns an own copy of an attribute's bytes */
export function bytesOf(value: DataView): Uint8Array {
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice()
}

/** Text up to the zero byte, or '' for an attribute that is not there. */
export function stringOf(value: DataView | undefined): string {
  return value === undefined ? '' : text.decode(bytesOf(value)).replace(/\0.*$/s, '')
}

/** A 32-bit number, or `missing` for an attribute that is not there or too short. */
export function u32Of(value: DataView | undefined, missing: number): number {
  return value === undefined || value.byteLength < 4 ? missing : value.getUint32(0, LITTLE_ENDIAN)
}

export interface Acknowledgement {
  /** 0 for success, else positive */
  readonly errno: number
  /** What the kernel says about it (`NLMSGERR_ATTR_MSG`), '' if nothing. */
  readonly reason: string
}

/**
 * Reads NLMSG_ERROR, or the error that NLMSG_DONE may carry at the end of a dump.
 * @see struct nlmsgerr, linux/netlink.h
 */
export function parseAcknowledgement(message: NetlinkMessage): Acknowledgement {
  const { body, flags, type } = message
  const errno = body.byteLength < 4 ? 0 : Math.abs(body.getInt32(0, LITTLE_ENDIAN))
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, reason: '' }
  let start = 4
  if (type === NLMSG_ERROR) {
    start += NLMSG_HEADER_SIZE
    // The request is sent back whole in an error unless the kernel was asked to cap it.
    if (errno !== 0 && (flags & NLM_F_CAPPED) === 0 && body.byteLength >= 8) {
      start += align(body.getUint32(4, LITTLE_ENDIAN)) - NLMSG_HEADER_SIZE
    }
  }
  return { errno, reason: stringOf(parseAttributes(body, start).get(NLMSGERR_ATTR_MSG)) }
}
