/** A datagram that a transport hands back because nobody wants it: its sender hears of it by ICMP (RFC 1122 §4.1.3.1). */
import { freeb } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { ERROR_NEXT_HEADER } from '../icmp/errors.ts'
import { sendIcmpError } from '../icmp/send-error.ts'
import { ERROR_CODE, FAMILY, HEADER_BYTES, isUnitdata, LOCAL, REMOTE } from '../unitdata.ts'
import { IPV4_HEADER_SIZE, ipv4Destination, ipv4HeaderBytes, ipv4Source } from '../wire/ipv4.ts'
import { IPV6_HEADER_SIZE, ipv6DestinationWord, ipv6SourceWord } from '../wire/ipv6.ts'
import { drop } from './deliver.ts'
import type { Ip } from './ip.ts'

/** @param mp - consumed: a REJECT_REQ with the datagram as it was indicated */
export function reject(ip: Ip, mp: Mblk): void {
  const data = mp.cont
  if (!isUnitdata(mp) || data === null) return drop(ip, mp, 'request-malformed')
  const { words } = ip
  const at = mp.rptr >> 2
  const headerBytes = words[at + HEADER_BYTES]!
  const error = words[at + ERROR_CODE]!
  if (!headerIsThere(words, at, data, headerBytes)) return drop(ip, mp, 'reject-header-lost')
  mp.cont = null
  freeb(mp)
  data.rptr -= headerBytes
  // The pointer of this one is the place of the next header field.
  sendIcmpError(ip, data, error, error === ERROR_NEXT_HEADER ? 6 : 0)
}

/**
 * Whether the IP header still lies in front of the data: a module on the way may have moved the datagram elsewhere, and
 * then there is no telling what lies there.
 */
function headerIsThere(words: Int32Array, at: number, data: Mblk, headerBytes: number): boolean {
  const family = words[at + FAMILY]!
  const least = family === 4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE
  const { bytes } = data
  const start = data.rptr - headerBytes
  if (headerBytes < least || start < data.dblk.base || bytes[start]! >> 4 !== family) return false
  if (family === 4) {
    return (
      ipv4HeaderBytes(bytes, start) === headerBytes &&
      ipv4Source(bytes, start) === words[at + REMOTE + 3] &&
      ipv4Destination(bytes, start) === words[at + LOCAL + 3]
    )
  }
  for (let i = 0; i < 4; i++) {
    if (ipv6SourceWord(bytes, start, i) !== words[at + REMOTE + i]) return false
    if (ipv6DestinationWord(bytes, start, i) !== words[at + LOCAL + i]) return false
  }
  return true
}
