/**
 * ICMP errors, and what IP itself says of our segments (RFC 9293 §3.9.2.2, RFC 5461). An error counts only if it quotes a segment
 * that is in flight (RFC 5927 §4.1), and no error ends a connection that is established (RFC 5927 §5.2, MUST-56).
 */
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { ERROR_PORT_UNREACHABLE, ERROR_TOO_BIG, errorMeaning } from '../icmp/errors.ts'
import {
  ERROR_CODE,
  ERROR_MTU,
  FLAGS,
  isUnitdata,
  LOCAL_PORT,
  QUOTED_SEQ,
  REMOTE_PORT,
  UD_REFUSED_HERE,
} from '../unitdata.ts'
import { finish } from './close.ts'
import { HO_ISS } from './half-open.ts'
import { pathMtuChanged } from './path-mtu.ts'
import { CLOSED, ESTABLISHED, SYN_SENT } from './states.ts'
import { F_SYN_RETRANSMITTED, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { softErrorCame } from './trouble.ts'

/** The first code of those that only this stack itself gives (`icmp/errors.ts`). */
const FIRST_OWN_ERROR = 32

/** @param mp - consumed: an ERROR_IND */
export function errorIn(tcp: Tcp, mp: Mblk): void {
  const { counters } = tcp
  counters['errors-in']++
  if (!isUnitdata(mp)) {
    counters['indication-malformed']++
    freemsg(mp)
    return
  }
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  const code = words[at + ERROR_CODE]!
  const mtu = words[at + ERROR_MTU]!
  const quoted = words[at + QUOTED_SEQ]!
  const own = (words[at + FLAGS]! & UD_REFUSED_HERE) !== 0 || code >= FIRST_OWN_ERROR
  const ports = (words[at + LOCAL_PORT]! << 16) | words[at + REMOTE_PORT]!
  const tcb = tcp.connections.find(words, at, ports)
  const half = tcb === null ? tcp.halfOpen.find(words, at, ports) : -1
  freemsg(mp)
  if (tcb === null) {
    if (half < 0) counters['errors-unmatched']++
    else if (!own) halfOpenError(tcp, half, code, quoted)
  } else if (tcb.state === CLOSED) counters['errors-unmatched']++
  else if (own) ownError(tcp, tcb, code, mtu)
  else peerError(tcp, tcb, code, mtu, quoted)
}

function peerError(tcp: Tcp, tcb: Tcb, code: number, mtu: number, quoted: number): void {
  const { counters } = tcp
  const flying = ((quoted - tcb.sndUna) | 0) >= 0 && ((quoted - tcb.sndNxt) | 0) < 0
  if (!flying) {
    counters['errors-out-of-flight']++
    return
  }
  if (code === ERROR_TOO_BIG) {
    // RFC 5927 §7.2: only now may IP believe it, for other connections, too.
    tcp.host.lowerPathMtu(tcb.family, tcb.remote0, tcb.remote1, tcb.remote2, tcb.remote3, mtu)
    return pathMtuChanged(tcp, tcb, mtu)
  }
  // SHLD-26: a hard error ends an opening; RFC 5461 §4.1, RFC 5927 §5.2: and nothing that is established.
  if (tcb.state < ESTABLISHED && errorMeaning(code).hard) {
    tcb.softError = code
    return finish(tcp, tcb, code === ERROR_PORT_UNREACHABLE ? 'refused' : 'unreachable')
  }
  // MUST-56, SHLD-25.
  softErrorCame(tcp, tcb, code)
}

/** No route, no source address, too long for the link: nobody on the network said so. */
function ownError(tcp: Tcp, tcb: Tcb, code: number, mtu: number): void {
  if (code === ERROR_TOO_BIG) return pathMtuChanged(tcp, tcb, mtu)
  // The program hears at once that there is no way; one that is lost later may come back.
  if (tcb.state === SYN_SENT && (tcb.flags & F_SYN_RETRANSMITTED) === 0) {
    tcb.softError = code
    return finish(tcp, tcb, 'unreachable')
  }
  softErrorCame(tcp, tcb, code)
}

function halfOpenError(tcp: Tcp, index: number, code: number, quoted: number): void {
  const { counters, halfOpen } = tcp
  if (halfOpen.words[index + HO_ISS] !== quoted) counters['errors-out-of-flight']++
  else if (errorMeaning(code).hard) {
    halfOpen.remove(index)
    counters['opens-failed']++
  } else counters['errors-soft']++
}
