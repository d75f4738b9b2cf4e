/**
 * The wire of iperf3: a control connection that begins with a cookie and then carries states of one byte, and JSON documents with
 * four bytes of length in front; each connection of the test begins with the same cookie. There is no specification: this is
 * what iperf3 3.12 does, as recorded in `testdata/`.
 */

export const COOKIE_BYTES = 37
const COOKIE_CHARACTERS = 'abcdefghijklmnopqrstuvwxyz234567'
export const DEFAULT_PORT = 5_201

export const TEST_START = 1
export const TEST_RUNNING = 2
export const TEST_END = 4
export const PARAM_EXCHANGE = 9
export const CREATE_STREAMS = 10
export const SERVER_TERMINATE = 11
export const CLIENT_TERMINATE = 12
export const EXCHANGE_RESULTS = 13
export const DISPLAY_RESULTS = 14
export const IPERF_DONE = 16
/** A signed byte: the server has a test running. */
export const ACCESS_DENIED = 0xff
/** A signed byte; two error numbers of four bytes follow: iperf's and the system's. */
export const SERVER_ERROR = 0xfe
export const SERVER_ERROR_BYTES = 8

/** iperf's own error numbers, of those that a server may send. */
export const IE_UNIMPLEMENTED = 13
export const IE_RECEIVE_PARAMETERS = 114
export const IE_STREAM_LISTEN = 202

/** A document longer than this is none; with 128 streams it has about 20 KiB. */
const JSON_BYTES_MAX = 1024 * 1024
const LENGTH_BYTES = 4

/** @param random - bytes, at least 36 */
export function makeCookie(random: Uint8Array): Uint8Array {
  const cookie = new Uint8Array(COOKIE_BYTES)
  for (let i = 0; i < COOKIE_BYTES - 1; i++)
    cookie[i] = COOKIE_CHARACTERS.charCodeAt(random[i]! % COOKIE_CHARACTERS.length)
  return cookie
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** A document with its length in front. */
export function jsonBytes(value: unknown): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(value))
  const bytes = new Uint8Array(LENGTH_BYTES + text.length)
  new DataView(bytes.buffer).setUint32(0, text.length)
  bytes.set(text, LENGTH_BYTES)
  return bytes
}

/** What a server that cannot go on says: see {@link SERVER_ERROR}. */
export function serverErrorBytes(iperfError: number): Uint8Array {
  const bytes = new Uint8Array(1 + SERVER_ERROR_BYTES)
  bytes[0] = SERVER_ERROR
  new DataView(bytes.buffer).setUint32(1, iperfError)
  return bytes
}

/** The number of a stream: iperf3 numbers them 1, 3, 4, 5 and so on. @param index - from 0, in the order of connecting */
export function streamNumber(index: number): number {
  return index === 0 ? 1 : index + 2
}

/** Cuts what comes on a control connection into what is expected next. */
export class ControlIntake {
  private waiting = new Uint8Array(0)

  add(bytes: Uint8Array): void {
    const joined = new Uint8Array(this.waiting.length + bytes.length)
    joined.set(this.waiting)
    joined.set(bytes, this.waiting.length)
    this.waiting = joined
  }

  /** @returns exactly `size` bytes, or null if they are not all there */
  take(size: number): Uint8Array | null {
    if (this.waiting.length < size) return null
    const taken = this.waiting.slice(0, size)
    this.waiting = this.waiting.slice(size)
    return taken
  }

  /** @returns the state, or null */
  state(): number | null {
    return this.take(1)?.[0] ?? null
  }

  /** @returns the document, null if it is not all there, or `'invalid'` */
  json(): { readonly value: unknown } | null | 'invalid' {
    if (this.waiting.length < LENGTH_BYTES) return null
    const size = new DataView(this.waiting.buffer, this.waiting.byteOffset).getUint32(0)
    if (size > JSON_BYTES_MAX) return 'invalid'
    const bytes = this.take(LENGTH_BYTES + size)
    if (bytes === null) return null
    try {
      return { value: JSON.parse(new TextDecoder().decode(bytes.subarray(LENGTH_BYTES))) as unknown }
    } catch {
      return 'invalid'
    }
  }

  get size(): number {
    return this.waiting.length
  }
}
