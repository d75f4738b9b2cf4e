/**
 * Requests on their way down: checked, completed, the UDP header in front (RFC 768; RFC 1122 §4.1.4). The checksum is
 * left to IP, which knows the addresses, and by it to the device. A request that cannot be done comes back to the
 * program as an ERROR_IND with its tag.
 */
import { allocHeader, freemsg } from '../../streams/mblk/alloc.ts'
import { type Mblk, OFFLOAD_CSUM_NEEDED, OFFLOAD_GSO_UDP } from '../../streams/mblk/mblk.ts'
import { messageBytes, prepend } from '../../streams/mblk/message.ts'
import { M_DATA } from '../../streams/mblk/types.ts'
import { putnext } from '../../streams/putnext.ts'
import { canputnext } from '../../streams/queue.ts'
import { ERROR_MALFORMED, ERROR_NET_UNREACHABLE, ERROR_NO_BUFFERS, ERROR_TOO_BIG } from '../icmp/errors.ts'
import {
  allocUnitdata,
  ERROR_CODE,
  ERROR_IND,
  ERROR_MTU,
  FAMILY,
  FLAGS,
  HEADER_BYTES,
  HOP_LIMIT,
  isUnitdata,
  KIND,
  LOCAL,
  LOCAL_PORT,
  MAPPED_WORD,
  PROTOCOL,
  REMOTE,
  REMOTE_PORT,
  SEGMENT_BYTES,
  TRAFFIC_CLASS,
  UD_BROADCAST,
  UD_DONT_FRAGMENT,
  UD_REFUSED_HERE,
  UNITDATA_REQ,
} from '../unitdata.ts'
import {
  CHECKSUM,
  emitUdp,
  IPPROTO_UDP,
  UDP_HEADER_BYTES,
  UDP_PAYLOAD_MAX_V4,
  UDP_PAYLOAD_MAX_V6,
} from '../wire/udp.ts'
import { bindEphemeral } from './bind.ts'
import type { UdpCounter } from './counters.ts'
import { ACCEPT_EXACT, ACCEPT_NONE, type Endpoint } from './endpoint.ts'
import type { Udp } from './state.ts'
import { SEGMENTS_OUT_MAX } from './super-datagram.ts'

/**
 * Sends what a program put: an UNITDATA_REQ with data, or data alone to the peer of a connected endpoint.
 * @param mp - consumed
 */
export function datagramOut(udp: Udp, e: Endpoint, mp: Mblk): void {
  let request = mp
  if (mp.type === M_DATA) {
    const block = allocUnitdata(mp.dblk.arena, UNITDATA_REQ)
    if (block === null) {
      udp.counters['no-buffers']++
      return freemsg(mp)
    }
    block.cont = mp
    mp.at = null
    request = block
  } else if (!isRequest(mp)) {
    udp.counters['request-malformed']++
    return freemsg(mp)
  }
  if (udp.lower === null) return refuse(udp, e, request, 'request-no-ip', ERROR_NET_UNREACHABLE)
  if (e.port === 0 && !bindEphemeral(udp, e))
    return refuse(udp, e, request, 'request-no-port', ERROR_NO_BUFFERS)
  if (setAddresses(udp, e, request) && setSegments(udp, e, request)) emit(udp, e, request)
}

function isRequest(mp: Mblk): boolean {
  if (!isUnitdata(mp) || (mp.cont !== null && mp.cont.type !== M_DATA)) return false
  return mp.dblk.arena.words[(mp.rptr >> 2) + KIND] === UNITDATA_REQ
}

/** Completes the destination and the source. @param mp - freed or sent back if the answer is false */
function setAddresses(udp: Udp, e: Endpoint, mp: Mblk): boolean {
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  if (words[at + FAMILY] === 0) {
    if (!e.connected) {
      refuse(udp, e, mp, 'request-no-destination', ERROR_MALFORMED)
      return false
    }
    words[at + FAMILY] = 6
    words[at + REMOTE] = e.remote0
    words[at + REMOTE + 1] = e.remote1
    words[at + REMOTE + 2] = e.remote2
    words[at + REMOTE + 3] = e.remote3
    words[at + REMOTE_PORT] = e.remotePort
  }
  const family = familyOf(words, at)
  if (family === 0 || (family === 6 && e.family === 4)) {
    refuse(udp, e, mp, 'request-family', ERROR_MALFORMED)
    return false
  }
  const accept = family === 4 ? e.accept4 : e.accept6
  if (accept === ACCEPT_NONE) {
    // Bound to an address of the other family, or to IPv6 alone: from there nothing leads to it.
    refuse(udp, e, mp, 'request-family', ERROR_NET_UNREACHABLE)
    return false
  }
  const port = words[at + REMOTE_PORT]!
  if (port <= 0 || port > 0xffff) {
    refuse(udp, e, mp, 'request-port-zero', ERROR_MALFORMED)
    return false
  }
  words[at + LOCAL_PORT] = e.port
  if (accept === ACCEPT_EXACT) {
    words[at + LOCAL] = e.local0
    words[at + LOCAL + 1] = e.local1
    words[at + LOCAL + 2] = e.local2
    words[at + LOCAL + 3] = e.local3
  }
  return true
}

/** The family of the destination, a v4-mapped one being IPv4; addresses get their proper form. 0 if there is no such family. */
function familyOf(words: Int32Array, at: number): number {
  const family = words[at + FAMILY]!
  const mapped =
    words[at + REMOTE] === 0 && words[at + REMOTE + 1] === 0 && words[at + REMOTE + 2] === MAPPED_WORD
  if (family === 6 && !mapped) return 6
  if ((family !== 4 && family !== 6) || !mapped) return 0
  words[at + FAMILY] = 4
  // Of an unspecified source nothing may be left, so that IP chooses one.
  if (words[at + LOCAL + 3] === 0) words[at + LOCAL + 2] = 0
  return 4
}

/** Checks the length, of a super-datagram its parts too. @param mp - freed or sent back if the answer is false */
function setSegments(udp: Udp, e: Endpoint, mp: Mblk): boolean {
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  const size = mp.cont === null ? 0 : messageBytes(mp.cont)
  const segment = words[at + SEGMENT_BYTES]!
  if (size > (words[at + FAMILY] === 4 || segment > 0 ? UDP_PAYLOAD_MAX_V4 : UDP_PAYLOAD_MAX_V6)) {
    refuse(udp, e, mp, 'request-too-long', ERROR_TOO_BIG)
    return false
  }
  if (segment < 0 || (segment > 0 && size > segment * SEGMENTS_OUT_MAX)) {
    refuse(udp, e, mp, 'request-segments', ERROR_MALFORMED)
    return false
  }
  if (segment >= size) words[at + SEGMENT_BYTES] = 0
  return true
}

/** Writes the header and hands the datagram to IP. @param mp - consumed */
function emit(udp: Udp, e: Endpoint, mp: Mblk): void {
  const { arena } = mp.dblk
  const { words } = arena
  const at = mp.rptr >> 2
  const size = mp.cont === null ? 0 : messageBytes(mp.cont)
  let data = mp.cont ?? allocHeader(arena)
  mp.cont = null
  if (data !== null) data = prepend(data, UDP_HEADER_BYTES)
  if (data === null) return refuse(udp, e, mp, 'no-buffers', ERROR_NO_BUFFERS)
  emitUdp(data.dblk.bytes, data.rptr, e.port, words[at + REMOTE_PORT]!, UDP_HEADER_BYTES + size, 0)
  const segment = words[at + SEGMENT_BYTES]!
  data.offload = segment === 0 ? OFFLOAD_CSUM_NEEDED : OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_UDP
  data.csumStart = 0
  data.csumOffset = CHECKSUM
  data.gsoSize = segment
  mp.cont = data
  words[at + PROTOCOL] = IPPROTO_UDP
  words[at + HEADER_BYTES] = 0
  if (words[at + HOP_LIMIT] === 0) words[at + HOP_LIMIT] = e.ttl
  if (words[at + TRAFFIC_CLASS] === 0) words[at + TRAFFIC_CLASS] = e.trafficClass
  let flags = words[at + FLAGS]! & UD_DONT_FRAGMENT
  if (e.broadcast) flags |= UD_BROADCAST
  if (e.dontFragment) flags |= UD_DONT_FRAGMENT
  words[at + FLAGS] = flags
  udp.counters['datagrams-out']++
  e.counters['out-datagrams']++
  if (segment !== 0) {
    udp.counters['super-datagrams-out']++
    e.counters['out-super-datagrams']++
  }
  const before = udp.sending
  udp.sending = e
  putnext(udp.lower!, mp)
  udp.sending = before
}

/** Sends a request back as an ERROR_IND. @param mp - consumed: a control block with or without data */
function refuse(udp: Udp, e: Endpoint, mp: Mblk, reason: UdpCounter, code: number): void {
  udp.counters[reason]++
  e.counters['send-refused']++
  if (mp.cont !== null) {
    freemsg(mp.cont)
    mp.cont = null
  }
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  words[at + KIND] = ERROR_IND
  words[at + ERROR_CODE] = code
  words[at + ERROR_MTU] = 0
  words[at + FLAGS] = UD_REFUSED_HERE
  if (canputnext(e.q)) putnext(e.q, mp)
  else freemsg(mp)
}
