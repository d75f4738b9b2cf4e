/**
 * Datagrams and errors on their way up: checks, the endpoint, the header off (RFC 768; RFC 1122 §4.1; RFC 8200 §8.1).
 * What comes in is the control block that IP made with the IP payload behind it; what goes to the program is the
 * same block, completed, with the data.
 */
import { freemsg } from '../../streams/mblk/alloc.ts'
import { type Mblk, OFFLOAD_CSUM_NEEDED, OFFLOAD_CSUM_VALID, OFFLOAD_GSO } from '../../streams/mblk/mblk.ts'
import { adjmsg, dropEmptyHead, messageBytes } from '../../streams/mblk/message.ts'
import { pullupmsg } from '../../streams/mblk/pullup.ts'
import { sumMessage } from '../../streams/mblk/sum.ts'
import { putnext } from '../../streams/putnext.ts'
import { canputnext } from '../../streams/queue.ts'
import { ERROR_PORT_UNREACHABLE } from '../icmp/errors.ts'
import {
  ERROR_CODE,
  FAMILY,
  FLAGS,
  HEADER_BYTES,
  KIND,
  LOCAL_PORT,
  REJECT_REQ,
  REMOTE_PORT,
  SEGMENT_BYTES,
  UD_NOT_UNICAST,
  UD_REFUSED_HERE,
} from '../unitdata.ts'
import {
  checkUdp,
  destinationPort,
  pseudoHeaderSum,
  sourcePort,
  UDP_HEADER_BYTES,
  udpChecksum,
  udpLength,
} from '../wire/udp.ts'
import type { UdpCounter } from './counters.ts'
import { deliver, deliverCopy } from './deliver.ts'
import type { Udp } from './state.ts'
import { deliverSuper, isSuperDatagram } from './super-datagram.ts'

/** The first code of those that only this stack itself gives (`icmp/errors.ts`). */
const FIRST_OWN_ERROR = 32

/** @param mp - consumed: an UNITDATA_IND from IP */
export function datagramIn(udp: Udp, mp: Mblk): void {
  if (mp.cont === null) return drop(udp, mp, 'header-truncated')
  const total = messageBytes(mp.cont)
  if (mp.cont.wptr - mp.cont.rptr < UDP_HEADER_BYTES && total >= UDP_HEADER_BYTES && !pullUpHeader(mp))
    return drop(udp, mp, 'no-buffers')
  const data = mp.cont
  const { bytes, rptr } = data
  const reason = checkUdp(bytes, rptr, data.wptr, total)
  if (reason !== null) return drop(udp, mp, reason)
  const length = udpLength(bytes, rptr)
  if (length < total) {
    // RFC 768 allows the IP payload to be longer; what is behind the datagram is not its data.
    adjmsg(data, length - total)
    udp.counters['padding-trimmed']++
  }
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  if ((data.offload & (OFFLOAD_CSUM_NEEDED | OFFLOAD_CSUM_VALID)) === 0) {
    const wrong = checksumDrop(words, at, data, length)
    if (wrong !== null) return drop(udp, mp, wrong)
  }
  if ((data.offload & OFFLOAD_GSO) !== 0 && !isSuperDatagram(data, length - UDP_HEADER_BYTES))
    return drop(udp, mp, 'gso-refused')
  words[at + REMOTE_PORT] = sourcePort(bytes, rptr)
  words[at + LOCAL_PORT] = destinationPort(bytes, rptr)
  if ((words[at + FLAGS]! & UD_NOT_UNICAST) !== 0) return toMany(udp, mp, length)
  const e = udp.demux.find(words, at)
  if (e === null) return refuse(udp, mp)
  const segmentBytes = stripHeader(mp, length - UDP_HEADER_BYTES)
  if (segmentBytes === 0) return deliver(udp, e, mp)
  udp.counters['super-datagrams-in']++
  deliverSuper(udp, e, mp, segmentBytes)
}

/** IP makes the header contiguous; a module between may have undone that. */
function pullUpHeader(mp: Mblk): boolean {
  const data = pullupmsg(mp.cont!, UDP_HEADER_BYTES)
  mp.cont = data
  mp.dblk.arena.words[(mp.rptr >> 2) + HEADER_BYTES] = 0
  return data !== null
}

/** Verifies the checksum over the chain. */
function checksumDrop(words: Int32Array, at: number, data: Mblk, length: number): UdpCounter | null {
  if (udpChecksum(data.bytes, data.rptr) === 0) {
    // RFC 768: over IPv4 the sender computed none. RFC 8200 §8.1: over IPv6 it must.
    return words[at + FAMILY] === 4 ? null : 'checksum-missing'
  }
  const sum = sumMessage(data, 0, length, pseudoHeaderSum(words, at, length))
  return sum === 0xffff ? null : 'checksum-wrong'
}

/**
 * Takes the UDP header off and clears what was said of the packet as such.
 * @param payload - bytes behind the header
 * @returns payload bytes of each datagram of a super-datagram, else 0
 */
function stripHeader(mp: Mblk, payload: number): number {
  let data = mp.cont!
  const segmentBytes = (data.offload & OFFLOAD_GSO) !== 0 && payload > data.gsoSize ? data.gsoSize : 0
  data.rptr += UDP_HEADER_BYTES
  if (data.rptr === data.wptr && data.cont !== null) {
    data = dropEmptyHead(data)
    mp.cont = data
  }
  data.offload = 0
  data.csumStart = 0
  data.csumOffset = 0
  data.gsoSize = 0
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  words[at + SEGMENT_BYTES] = segmentBytes
  words[at + HEADER_BYTES] = 0
  return segmentBytes
}

/** Broadcast and multicast go to every endpoint that takes them, super-datagrams whole to those alone that can. */
function toMany(udp: Udp, mp: Mblk, length: number): void {
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  let e = udp.demux.nextOfMany(words, at, null)
  // RFC 1122 §3.2.2: no ICMP error for a datagram to many.
  if (e === null) return drop(udp, mp, 'no-listener-not-unicast')
  const segmentBytes = stripHeader(mp, length - UDP_HEADER_BYTES)
  if (segmentBytes !== 0) return drop(udp, mp, 'gso-refused')
  for (;;) {
    const next = udp.demux.nextOfMany(words, at, e)
    if (next === null) return deliver(udp, e, mp)
    deliverCopy(udp, e, mp)
    e = next
  }
}

/** RFC 1122 §4.1.3.1: the sender hears that nobody listens on the port, 0 included, since nobody can. */
function refuse(udp: Udp, mp: Mblk): void {
  udp.counters['no-listener']++
  const { lower } = udp
  if (lower === null || !canputnext(lower)) {
    freemsg(mp)
    return
  }
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  words[at + KIND] = REJECT_REQ
  words[at + ERROR_CODE] = ERROR_PORT_UNREACHABLE
  udp.counters['rejects-out']++
  putnext(lower, mp)
}

/**
 * An error reaches the endpoint whose tuple it quotes, and only if it is connected to that peer: nobody else
 * could have sent the datagram in question, and a forger has to know the tuple. What this stack itself says of
 * a request goes to whoever made it.
 * @param mp - consumed: an ERROR_IND
 */
export function errorIn(udp: Udp, mp: Mblk): void {
  udp.counters['errors-in']++
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  const own = (words[at + FLAGS]! & UD_REFUSED_HERE) !== 0 || words[at + ERROR_CODE]! >= FIRST_OWN_ERROR
  const e = own ? (udp.sending ?? udp.demux.find(words, at)) : udp.demux.findConnected(words, at)
  if (e === null) return drop(udp, mp, 'errors-unmatched')
  if (own) e.counters['send-refused']++
  else e.counters['errors-indicated']++
  if (mp.cont !== null) {
    freemsg(mp.cont)
    mp.cont = null
  }
  if (canputnext(e.q)) putnext(e.q, mp)
  else drop(udp, mp, 'receive-full')
}

function drop(udp: Udp, mp: Mblk, reason: UdpCounter): void {
  udp.counters[reason]++
  freemsg(mp)
}
