/**
 * What goes wrong on a connection that goes on: data that is sent again and again (R1 of RFC 9293 §3.8.3), and what ICMP says
 * meanwhile. IP is advised to look for another way, and the program hears of it (§3.9.1.8), long before R2 ends the connection.
 */
import { errorMeaning } from '../icmp/errors.ts'
import { F_ERROR_TOLD, F_TROUBLE_TOLD, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * A SYN, data or a window probe is about to be sent again.
 * @param expiries - timeouts since anything of it was acknowledged (of a probe: answered)
 */
export function sentInVain(tcp: Tcp, tcb: Tcb, expiries: number): void {
  if (expiries < Math.max(1, tcp.settings.r1Retries)) return
  // RFC 9293 §3.8.3 (b), MUST-20: at R1 and at every later expiry, as the way may come and go.
  tcp.host.doubtPath(tcb.remote0, tcb.remote1, tcb.remote2, tcb.remote3)
  if ((tcb.flags & F_TROUBLE_TOLD) !== 0) return
  tcb.flags |= F_TROUBLE_TOLD
  tcp.counters['delivery-doubted']++
  // §3.8.3 (e), SHLD-9.
  tcp.host.trouble(tcb, 0)
}

/**
 * An ICMP error that ends nothing (RFC 9293 §3.9.2.2, SHLD-25). One is told for each stretch without progress: whoever sends
 * more of them is not worth a message each.
 * @param code - of `icmp/errors.ts`
 */
export function softErrorCame(tcp: Tcp, tcb: Tcb, code: number): void {
  tcb.softError = code
  tcp.counters['errors-soft']++
  if ((tcb.flags & F_ERROR_TOLD) !== 0) return
  tcb.flags |= F_ERROR_TOLD
  tcp.host.trouble(tcb, code)
}

/** The peer acknowledged something, or answered a probe: the next trouble is another. */
export function troubleOver(tcb: Tcb): void {
  tcb.flags &= ~(F_TROUBLE_TOLD | F_ERROR_TOLD)
}

/** One line for people. @param code - of an ICMP error; 0: nobody answers */
export function troubleText(code: number): string {
  return code === 0 ? 'what is sent is not acknowledged' : errorMeaning(code).text
}
