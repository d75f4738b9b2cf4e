/** What an acknowledgment says (RFC 9293 §3.10.7.4, fifth; RFC 5681, 6675, 8985). */
import type { Segment } from './segment.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * Takes the ACK field, the window, SACK blocks and the echoed timestamp of a segment in a synchronized state (and in
 * SYN-RECEIVED, where it moves `sndUna` past the SYN). The caller looks at `sndUna === sndNxt` to see its FIN acknowledged.
 * @returns false if the ACK is not acceptable (RFC 5961 §5): the caller drops the segment and acknowledges
 */
export function ackIn(_tcp: Tcp, _tcb: Tcb, _seg: Segment): boolean {
  return true
}
