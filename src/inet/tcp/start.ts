/** The sending side at the moment when a connection is established, and the sizes of its segments. */

import { TCP_HEADER_BYTES } from '../wire/tcp.ts'
import { sampleMinRtt, sampleRtt } from './rtt.ts'
import { F_SYN_RETRANSMITTED, F_TIMESTAMPS, T_KEEP, T_RETRANSMIT, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { clearTimer, setTimer } from './timers.ts'
import { troubleOver } from './trouble.ts'

const IPV4_HEADER_BYTES = 20
const IPV6_HEADER_BYTES = 40
/** Bytes of an IPv4 packet, and here of an IPv6 packet too. */
const PACKET_MAX = 65_535
const TIMESTAMPS_BYTES = 12
/** RFC 6928: ten segments, but no more than this unless two segments are more. */
const INITIAL_WINDOW_BYTES = 14_600
/** No path and no setting makes segments smaller: headers would be most of them (checklist 3.5-29, -43). */
const SEND_MSS_MIN = 36

export const ipHeaderBytes = (family: number): number =>
  family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES

/**
 * Call once when the state becomes ESTABLISHED, options agreed on and `peerMss`, `sndWnd`, `sndUna`, `sndNxt` set: effective MSS,
 * initial window, send buffer, first RTT sample, keep-alive; stops the SYN's timer; schedules what was queued.
 * @param rttUs - of SYN and its answer; 0: none (it was sent again, Karn; or a cookie)
 */
export function beginSending(tcp: Tcp, tcb: Tcb, rttUs: number): void {
  const synRetransmits = tcb.backoff
  clearTimer(tcb, T_RETRANSMIT)
  tcb.backoff = 0
  tcb.troubleAt = tcp.nowMs
  troubleOver(tcb)
  updateSendMss(tcp, tcb)
  if (rttUs > 0) {
    sampleRtt(tcp, tcb, rttUs)
    sampleMinRtt(tcp, tcb, rttUs)
  }
  // RFC 6298 §5.7: a SYN that had to be sent again leaves a timeout of 3 s until there is a sample.
  else if ((tcb.flags & F_SYN_RETRANSMITTED) !== 0) tcb.rtoMs = Math.max(tcb.rtoMs, 3_000)
  else tcb.rtoMs = tcp.settings.rtoInitialMs
  // RFC 5681 §3.1: where SYNs are lost the initial window is one segment; like Linux not for a single one.
  tcb.cwnd = synRetransmits > 1 ? tcb.sndMss : initialWindow(tcp, tcb)
  if (tcb.sndBuf === 0) tcb.sndBuf = tcb.settings.sendBytes || tcp.settings.sendBytes
  tcb.lastOutAt = tcp.nowMs
  armKeepAlive(tcp, tcb)
  const { flight } = tcb
  if (flight !== null) tcp.schedule(tcb)
}

/** RFC 6928 (5681 §3.1), in bytes. */
export function initialWindow(tcp: Tcp, tcb: Tcb): number {
  const mss = tcb.sndMss
  const segments = tcp.settings.initialWindowSegments
  return Math.min(segments * mss, Math.max(2 * mss, Math.floor((INITIAL_WINDOW_BYTES * segments) / 10)))
}

/** RFC 9293 §3.8.4: the next look, if the connection asks for it (MUST-24: not otherwise). For changed settings too. */
export function armKeepAlive(tcp: Tcp, tcb: Tcb): void {
  const { settings } = tcb
  if (!settings.keepAlive) return
  setTimer(tcp, tcb, T_KEEP, (tcp.nowMs + (settings.keepIdleMs || tcp.settings.keepIdleMs)) | 0)
}

/** Payload bytes of the largest segment for this path and peer, timestamps taken off (RFC 9293 §3.7.1); sets `sndMss`. */
export function updateSendMss(tcp: Tcp, tcb: Tcb): void {
  const path = pathMtuOf(tcp, tcb)
  if (tcb.pathMtu === 0 || tcb.pathMtu > path) tcb.pathMtu = path
  tcb.sndMss = mssFor(tcb, tcb.pathMtu)
}

/** What a packet of so many bytes carries to this peer (MUST-16). */
export function mssFor(tcb: Tcb, packetBytes: number): number {
  let mss = Math.min(tcb.peerMss, packetBytes - ipHeaderBytes(tcb.family) - TCP_HEADER_BYTES)
  const { maxSegment } = tcb.settings
  if (maxSegment > 0) mss = Math.min(mss, maxSegment)
  if ((tcb.flags & F_TIMESTAMPS) !== 0) mss -= TIMESTAMPS_BYTES
  return Math.max(mss, SEND_MSS_MIN)
}

/** Bytes of the packets that full segments make. */
export function packetBytes(tcb: Tcb): number {
  const options = (tcb.flags & F_TIMESTAMPS) !== 0 ? TIMESTAMPS_BYTES : 0
  return tcb.sndMss + options + TCP_HEADER_BYTES + ipHeaderBytes(tcb.family)
}

/** As IP knows it now. */
export function pathMtuOf(tcp: Tcp, tcb: Tcb): number {
  return tcp.host.pathMtu(tcb.family, tcb.remote0, tcb.remote1, tcb.remote2, tcb.remote3)
}

export function announcedMss(tcp: Tcp, tcb: Tcb): number {
  return mssToAnnounce(tcp, tcb.family, pathMtuOf(tcp, tcb), tcb.settings.maxSegment)
}

/** MSS to announce in a SYN: what the path's first link takes, without IP and TCP header (MUST-14, 67; RFC 6691). */
export function mssToAnnounce(tcp: Tcp, family: number, pathMtu: number, maxSegment: number): number {
  const mss = Math.min(pathMtu, PACKET_MAX) - ipHeaderBytes(family) - TCP_HEADER_BYTES
  return Math.max(tcp.settings.mssMin, maxSegment > 0 ? Math.min(mss, maxSegment) : mss)
}
