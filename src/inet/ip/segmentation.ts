/**
 * Cutting a super-packet into packets that fit the path, where the link cannot: what the kernel calls GSO. The payload is
 * not copied: each packet is a copy of the headers in front of views of the payload.
 */
import { fold } from '../../base/checksum.ts'
import { allocb, copyHead, dupmsg, freemsg } from '../../streams/mblk/alloc.ts'
import { HEADROOM_BYTES } from '../../streams/mblk/arena.ts'
import { copyBytes } from '../../streams/mblk/copy.ts'
import { type Mblk, OFFLOAD_GSO, type UniqueMblk } from '../../streams/mblk/mblk.ts'
import { adjmsg } from '../../streams/mblk/message.ts'
import { pullupmsg } from '../../streams/mblk/pullup.ts'
import { i32, putI32, putU16 } from '../wire/fields.ts'
import { addressSum4, ipv4Destination, ipv4Id, ipv4Source, setIpv4LengthAndId } from '../wire/ipv4.ts'
import { addressSum6, IPV6_HEADER_SIZE, setIpv6PayloadLength } from '../wire/ipv6.ts'
import { PROTOCOL_TCP, PROTOCOL_UDP, segmentHeaderBytes, UDP_CSUM_OFFSET } from './checksum-offload.ts'

const UDP_LENGTH = 4
const TCP_SEQUENCE = 4
const TCP_FLAGS = 13
const TCP_FIN = 0x01
const TCP_PSH = 0x08
const TCP_CWR = 0x80

/**
 * Cuts a super-packet. Each packet still has its checksum to be finished.
 * @param mp - consumed; a super-packet whose checksum field holds the pseudo-header's sum
 * @param size - bytes of the packet
 * @param emit - takes each packet, owned, with its size
 * @returns how many went out; fewer than there should be when blocks are short
 */
export function segment(
  mp: Mblk,
  family: number,
  size: number,
  emit: (mp: Mblk, size: number) => void,
): number {
  const { csumStart, gsoSize } = mp
  const headerBytes = csumStart + segmentHeaderBytes(mp, csumStart)
  const whole = headerBytes > csumStart && headerBytes <= size ? pullupmsg(mp, headerBytes) : null
  if (whole === null) {
    if (headerBytes <= csumStart || headerBytes > size) freemsg(mp)
    return 0
  }
  let count = 0
  for (let done = headerBytes; done < size; done += gsoSize) {
    const part = Math.min(gsoSize, size - done)
    const piece = cut(whole, done, part, size)
    const header = piece === null ? null : copyHeader(whole, headerBytes)
    if (header === null) {
      if (piece !== null) freemsg(piece)
      break
    }
    adapt(header, family, count, done - headerBytes, headerBytes - csumStart + part, done + part >= size)
    header.cont = piece
    emit(header, headerBytes + part)
    count++
  }
  freemsg(whole)
  return count
}

/** Views of `part` bytes of payload from `start`. @returns null when no view is left */
function cut(mp: Mblk, start: number, part: number, size: number): Mblk | null {
  const piece = dupmsg(mp)
  if (piece === null) return null
  adjmsg(piece, start + part - size)
  adjmsg(piece, start)
  piece.offload = 0
  return piece
}

function copyHeader(mp: Mblk, headerBytes: number): UniqueMblk | null {
  const header = allocb(mp.dblk.arena, headerBytes, HEADROOM_BYTES)
  if (header === null) return null
  copyHead(header, mp)
  header.offload &= ~OFFLOAD_GSO
  header.gsoSize = 0
  copyBytes(mp.dblk.arena, 'stack', header.dblk.bytes, header.rptr, mp.bytes, mp.rptr, headerBytes)
  header.wptr += headerBytes
  return header
}

/**
 * Makes the super-packet's headers those of one packet.
 * @param number - which packet it is, from 0 on
 * @param before - payload bytes in front of this packet's
 * @param length - bytes of transport header and payload
 */
function adapt(
  header: UniqueMblk,
  family: number,
  number: number,
  before: number,
  length: number,
  isLast: boolean,
): void {
  const bytes = header.dblk.bytes
  const at = header.rptr
  const transport = at + header.csumStart
  if (family === 4)
    setIpv4LengthAndId(bytes, at, header.csumStart + length, (ipv4Id(bytes, at) + number) & 0xffff)
  else setIpv6PayloadLength(bytes, at, header.csumStart - IPV6_HEADER_SIZE + length)
  const isUdp = header.csumOffset === UDP_CSUM_OFFSET
  if (isUdp) putU16(bytes, transport + UDP_LENGTH, length)
  else adaptTcp(bytes, transport, before, isLast)
  // The sum is made anew: whoever made the super-packet may have left its length out (checklist 3.7-65).
  const protocol = isUdp ? PROTOCOL_UDP : PROTOCOL_TCP
  const addresses =
    family === 4 ? addressSum4(ipv4Source(bytes, at), ipv4Destination(bytes, at)) : addressSum6(bytes, at)
  putU16(bytes, transport + header.csumOffset, fold(addresses + protocol + length))
}

/** FIN and PSH are the last segment's, CWR is the first's (RFC 3168 §6.1.2). */
function adaptTcp(bytes: Uint8Array, transport: number, before: number, isLast: boolean): void {
  putI32(bytes, transport + TCP_SEQUENCE, i32(bytes, transport + TCP_SEQUENCE) + before)
  if (!isLast) bytes[transport + TCP_FLAGS]! &= ~(TCP_FIN | TCP_PSH)
  if (before > 0) bytes[transport + TCP_FLAGS]! &= ~TCP_CWR
}
