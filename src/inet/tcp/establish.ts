/** From agreed options to a connection: what active and passive opening have in common. */
import { LOCAL, REMOTE } from '../unitdata.ts'
import { windowScaleFor } from './receive.ts'
import type { Segment } from './segment.ts'
import type { ConnectionSettings, TcpSettings } from './settings.ts'
import { beginSending } from './start.ts'
import { ESTABLISHED, FIN_WAIT_1 } from './states.ts'
import { F_FIN_QUEUED, F_SYN_RETRANSMITTED, F_WINDOW_SCALE, Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Default of the peer's MSS, if it announces none (MUST-15). */
export const MSS_DEFAULT_V4 = 536
export const MSS_DEFAULT_V6 = 1_220

export const defaultMss = (family: number): number => (family === 4 ? MSS_DEFAULT_V4 : MSS_DEFAULT_V6)

/** The shift that we offer: enough for the window that auto-tuning may reach. */
export function scaleToOffer(stack: TcpSettings, settings: ConnectionSettings): number {
  const { autoTuning, receiveBytes, receiveBytesMax } = stack
  if (settings.receiveBytes !== 0) return windowScaleFor(settings.receiveBytes)
  return windowScaleFor(autoTuning === 0 ? receiveBytes : Math.max(receiveBytes, receiveBytesMax))
}

/** Bytes that may wait for the program, at first. */
export function firstReceiveBytes(tcp: Tcp, settings: ConnectionSettings): number {
  return settings.receiveBytes !== 0 ? settings.receiveBytes : tcp.settings.receiveBytes
}

/** A control block in CLOSED with its buffers sized; addresses are the caller's to set. */
export function makeTcb(tcp: Tcp, settings: ConnectionSettings, family: 4 | 6): Tcb {
  const tcb = new Tcb(settings)
  tcb.family = family
  tcb.rcvBuf = firstReceiveBytes(tcp, settings)
  tcb.sndBuf = settings.sendBytes !== 0 ? settings.sendBytes : tcp.settings.sendBytes
  tcb.rtoMs = tcp.settings.rtoInitialMs
  tcb.peerMss = defaultMss(family)
  tcb.sndMss = tcb.peerMss
  tcb.rcvMss = tcb.peerMss
  tcb.lastInAt = tcp.nowMs
  tcb.lastOutAt = tcp.nowMs
  return tcb
}

/** One for the connection that a segment names. */
export function makeTcbFor(tcp: Tcp, settings: ConnectionSettings, seg: Segment): Tcb {
  const { words, at } = seg
  const tcb = makeTcb(tcp, settings, seg.family === 4 ? 4 : 6)
  tcb.remote0 = words[at + REMOTE]!
  tcb.remote1 = words[at + REMOTE + 1]!
  tcb.remote2 = words[at + REMOTE + 2]!
  tcb.remote3 = words[at + REMOTE + 3]!
  tcb.local0 = words[at + LOCAL]!
  tcb.local1 = words[at + LOCAL + 1]!
  tcb.local2 = words[at + LOCAL + 2]!
  tcb.local3 = words[at + LOCAL + 3]!
  tcb.ports = seg.ports
  tcb.pathMtu = tcp.host.pathMtu(tcb.family, tcb.remote0, tcb.remote1, tcb.remote2, tcb.remote3)
  return tcb
}

/**
 * The state becomes ESTABLISHED by a segment that acknowledges our SYN (and FIN-WAIT-1 if the program shut down meanwhile);
 * options, `rcvNxt` and `rcvAdv` are set.
 * @param scaled - whether the segment's window is: that of a SYN is not (RFC 7323 §2.2)
 * @param rttUs - of our SYN and its answer; 0: unknown
 */
export function establish(tcp: Tcp, tcb: Tcb, seg: Segment, scaled: boolean, rttUs: number): void {
  tcb.state = ESTABLISHED
  tcb.sndUna = seg.ack
  tcb.sndWl1 = seg.seq
  tcb.sndWl2 = seg.ack
  tcb.sndWnd = scaled && (tcb.flags & F_WINDOW_SCALE) !== 0 ? seg.window << (tcb.scales & 0xff) : seg.window
  tcb.sndWndMax = tcb.sndWnd
  tcb.lastAckSent = tcb.rcvNxt
  tcb.lastInAt = tcp.nowMs
  beginSending(tcp, tcb, (tcb.flags & F_SYN_RETRANSMITTED) !== 0 ? 0 : rttUs)
  if ((tcb.flags & F_FIN_QUEUED) !== 0) {
    tcb.state = FIN_WAIT_1
    tcp.schedule(tcb)
  }
}
