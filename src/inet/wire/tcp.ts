/** The TCP header (RFC 9293 §3.1): where its fields lie, how it is checked, how it is written. Options are `tcp/options.ts`'s. */
import { fold, type ReadonlyBytes } from '../../base/checksum.ts'
import { FAMILY, LOCAL, REMOTE } from '../unitdata.ts'
import { i32, putI32, putU16, u16 } from './fields.ts'

export const IPPROTO_TCP = 6
export const TCP_HEADER_BYTES = 20
/** Data offset 15. */
export const TCP_HEADER_MAX = 60

export const SOURCE_PORT = 0
export const DESTINATION_PORT = 2
export const SEQUENCE = 4
export const ACKNOWLEDGMENT = 8
export const DATA_OFFSET = 12
export const CONTROL = 13
export const WINDOW = 14
export const CHECKSUM = 16
export const URGENT = 18

export const FIN = 0x01
export const SYN = 0x02
export const RST = 0x04
export const PSH = 0x08
export const ACK = 0x10
export const URG = 0x20
export const ECE = 0x40
export const CWR = 0x80

export type TcpDrop = 'header-truncated' | 'data-offset-short' | 'data-offset-beyond'

/**
 * Checks that a whole header is there.
 * @param at - first byte of the header; @param end - one past the last contiguous byte
 * @param total - bytes of header and data in all blocks
 * @returns bytes of the header, 20 to 60, or why not; a header that is not contiguous is `header-truncated` only if
 * `total` is too short: pull up 60 bytes first
 */
export function tcpHeaderBytes(
  bytes: ReadonlyBytes,
  at: number,
  end: number,
  total: number,
): number | TcpDrop {
  if (end - at < TCP_HEADER_BYTES) return 'header-truncated'
  const size = (bytes[at + DATA_OFFSET]! >> 4) << 2
  if (size < TCP_HEADER_BYTES) return 'data-offset-short'
  return size > total ? 'data-offset-beyond' : size
}

/** Writes the 20 fixed bytes, checksum and urgent pointer zero. @param headerBytes - with options, a multiple of 4 */
export function emitTcp(
  bytes: Uint8Array,
  at: number,
  sourcePort: number,
  destinationPort: number,
  sequence: number,
  acknowledgment: number,
  headerBytes: number,
  control: number,
  window: number,
): void {
  putU16(bytes, at + SOURCE_PORT, sourcePort)
  putU16(bytes, at + DESTINATION_PORT, destinationPort)
  putI32(bytes, at + SEQUENCE, sequence)
  putI32(bytes, at + ACKNOWLEDGMENT, acknowledgment)
  bytes[at + DATA_OFFSET] = (headerBytes >> 2) << 4
  bytes[at + CONTROL] = control
  putU16(bytes, at + WINDOW, window)
  putU16(bytes, at + CHECKSUM, 0)
  putU16(bytes, at + URGENT, 0)
}

export const tcpSourcePort = (bytes: ReadonlyBytes, at: number): number => u16(bytes, at + SOURCE_PORT)
export const tcpDestinationPort = (bytes: ReadonlyBytes, at: number): number =>
  u16(bytes, at + DESTINATION_PORT)
export const tcpSequence = (bytes: ReadonlyBytes, at: number): number => i32(bytes, at + SEQUENCE)
export const tcpAcknowledgment = (bytes: ReadonlyBytes, at: number): number => i32(bytes, at + ACKNOWLEDGMENT)

/**
 * The sum of the pseudo-header (RFC 9293 §3.1) of what a control block describes.
 * @param at - index of the control block's first word; @param length - bytes of header and data
 */
export function tcpPseudoHeaderSum(words: Int32Array, at: number, length: number): number {
  let sum = IPPROTO_TCP + (length >>> 16) + (length & 0xffff)
  const first = words[at + FAMILY] === 4 ? 3 : 0
  for (let i = first; i < 4; i++) {
    const remote = words[at + REMOTE + i]!
    const local = words[at + LOCAL + i]!
    sum += (remote >>> 16) + (remote & 0xffff) + (local >>> 16) + (local & 0xffff)
  }
  return fold(sum)
}
