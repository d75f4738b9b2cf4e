/** The sending side at the moment when a connection is established. */
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * Call once when the state becomes ESTABLISHED, options agreed on and `peerMss`, `sndWnd`, `sndUna`, `sndNxt` set: effective MSS,
 * initial window, send buffer, first RTT sample, keep-alive; stops the SYN's timer; schedules what was queued.
 * @param rttUs - of SYN and its answer; 0: none (it was sent again, Karn; or a cookie)
 */
export function beginSending(_tcp: Tcp, _tcb: Tcb, _rttUs: number): void {}

/** Payload bytes of the largest segment for this path and peer, timestamps taken off (RFC 9293 §3.7.1); sets `sndMss`. */
export function updateSendMss(_tcp: Tcp, _tcb: Tcb): void {}

/** MSS to announce in a SYN: what the path's first link takes, without IP and TCP header (MUST-14, 16, 67). */
export function mssToAnnounce(_tcp: Tcp, _family: number, pathMtu: number, _maxSegment: number): number {
  return pathMtu - 40
}
