/** An ICMP message for us: RFC 792, RFC 1122 §3.2.2, RFC 4443. Echo is answered, errors are passed on, the rest is counted. */
import { fold } from '../../base/checksum.ts'
import { type Mblk, OFFLOAD_CSUM_VALID } from '../../streams/mblk/mblk.ts'
import { sumMessage } from '../../streams/mblk/sum.ts'
import type { IpCounter } from '../ip/counters.ts'
import { drop, indicate } from '../ip/deliver.ts'
import type { Interface } from '../ip/interfaces.ts'
import type { Ip } from '../ip/ip.ts'
import {
  ICMP_HEADER_SIZE,
  ICMP4_ADDRESS_MASK,
  ICMP4_ADDRESS_MASK_REPLY,
  ICMP4_ECHO_REPLY,
  ICMP4_ECHO_REQUEST,
  ICMP4_REDIRECT,
  ICMP4_ROUTER_ADVERTISEMENT,
  ICMP4_ROUTER_SOLICITATION,
  ICMP4_SOURCE_QUENCH,
  ICMP4_TIMESTAMP,
  ICMP4_TIMESTAMP_REPLY,
  ICMP6_ECHO_REPLY,
  ICMP6_ECHO_REQUEST,
  ICMP6_MLD_DONE,
  ICMP6_MLD_QUERY,
  ICMP6_MLD2_REPORT,
  ICMP6_REDIRECT,
  ICMP6_ROUTER_SOLICITATION,
  icmpType,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
} from '../wire/icmp.ts'
import { addressSum6 } from '../wire/ipv6.ts'
import { answerEcho } from './echo.ts'
import { errorInput } from './receive-error.ts'

/**
 * @param mp - consumed: the whole datagram, IP header first, contiguous with the first 8 bytes of ICMP
 * @param headerBytes - from the IP header to the message
 * @param size - bytes of the datagram
 * @param notUnicast - it came to a broadcast or multicast address
 */
export function icmpInput(
  ip: Ip,
  from: Interface,
  mp: Mblk,
  family: number,
  headerBytes: number,
  size: number,
  notUnicast: boolean,
): void {
  const length = size - headerBytes
  if (length < ICMP_HEADER_SIZE) return drop(ip, mp, 'icmp-truncated')
  if ((mp.offload & OFFLOAD_CSUM_VALID) === 0) {
    const pseudo = family === 4 ? 0 : fold(addressSum6(mp.bytes, mp.rptr) + PROTOCOL_ICMPV6 + length)
    if (fold(sumMessage(mp, headerBytes, length, pseudo)) !== 0xffff) return drop(ip, mp, 'icmp-checksum')
  }
  const type = icmpType(mp.bytes, mp.rptr + headerBytes)
  const isRequest = type === (family === 4 ? ICMP4_ECHO_REQUEST : ICMP6_ECHO_REQUEST)
  if (isRequest) {
    // RFC 1122 §3.2.2.6 allows silence to broadcasts; to IPv6 groups we keep it too, see docs/supported.md.
    if (notUnicast) return drop(ip, mp, 'icmp-echo-not-unicast')
    return answerEcho(ip, from, mp, family, headerBytes, size)
  }
  if (type === (family === 4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY)) {
    return echoReply(ip, from, mp, family, headerBytes, notUnicast)
  }
  const ignored = family === 4 ? ignoredType4(type) : ignoredType6(type)
  if (ignored !== null) return drop(ip, mp, ignored)
  errorInput(ip, from, mp, family, headerBytes, size)
}

function echoReply(
  ip: Ip,
  from: Interface,
  mp: Mblk,
  family: number,
  headerBytes: number,
  notUnicast: boolean,
): void {
  const protocol = family === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6
  const upper = ip.bound[protocol]!
  if (upper === null || notUnicast) return drop(ip, mp, 'icmp-echo-unclaimed')
  indicate(ip, upper, from, mp, family, protocol, headerBytes, false)
}

/** Checklist 3.1-8: what a host does not act upon, by name. @returns null for an error, or a type that nobody knows */
function ignoredType4(type: number): IpCounter | null {
  switch (type) {
    case ICMP4_REDIRECT:
      return 'icmp-redirect-ignored'
    case ICMP4_SOURCE_QUENCH:
      return 'icmp-source-quench-ignored'
    case ICMP4_TIMESTAMP:
    case ICMP4_TIMESTAMP_REPLY:
      return 'icmp-timestamp-ignored'
    case ICMP4_ADDRESS_MASK:
    case ICMP4_ADDRESS_MASK_REPLY:
      return 'icmp-address-mask-ignored'
    case ICMP4_ROUTER_ADVERTISEMENT:
    case ICMP4_ROUTER_SOLICITATION:
      return 'icmp-router-ignored'
    default:
      return null
  }
}

/** Checklist 3.3-22: a point-to-point link has no neighbours to discover, so nothing of that is answered. */
function ignoredType6(type: number): IpCounter | null {
  if (type >= ICMP6_ROUTER_SOLICITATION && type <= ICMP6_REDIRECT) return 'ndp-ignored'
  if (type >= ICMP6_MLD_QUERY && type <= ICMP6_MLD_DONE) return 'mld-ignored'
  return type === ICMP6_MLD2_REPORT ? 'mld-ignored' : null
}
