/** A path that was found to take less than was thought; see `path-mtu.ts` for how long that is remembered. */
import { DEST_MTU } from './destinations.ts'
import type { Ip } from './ip.ts'
import { PATH_MTU_MIN4 } from './path-mtu.ts'

/**
 * Takes a smaller path MTU. Whoever calls has checked that it can be true: an ICMP error is believed only if the quoted
 * packet was sent (RFC 5927 §7.2, RFC 8201 §4).
 * @param w0 - the remote address, four int32 words
 * @param claimed - bytes of an IP packet; for IPv4 no less than `PATH_MTU_MIN4` is taken
 */
export function lowerPathMtu(
  ip: Ip,
  family: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  claimed: number,
): void {
  const { destinations } = ip
  const mtu = family === 4 ? Math.max(claimed, PATH_MTU_MIN4) : claimed
  const at = destinations.find(w0, w1, w2, w3, 0)
  if (mtu >= destinations.table[at + DEST_MTU]!) return
  const expiresAt = ip.pathMtu.set(w0, w1, w2, w3, mtu, ip.nowSeconds())
  destinations.lowerMtu(w0, w1, w2, w3, mtu, expiresAt)
  ip.counters['path-mtu-updates']++
}
