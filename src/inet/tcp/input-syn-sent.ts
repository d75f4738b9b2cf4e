/** A segment for a connection in SYN-SENT (RFC 9293 §3.10.7.3). */
import { ACK, CWR, ECE, FIN, RST, SYN } from '../wire/tcp.ts'
import { ackNow } from './ack-policy.ts'
import { finish } from './close.ts'
import { emitSyn } from './emit.ts'
import { emitReset } from './emit-bare.ts'
import { establish } from './establish.ts'
import { textIn } from './input-text.ts'
import { WINDOW_FIELD_MAX } from './receive.ts'
import type { Segment } from './segment.ts'
import { SYN_RECEIVED } from './states.ts'
import { F_ECN, F_ORPHAN, F_SACK, F_TIMESTAMPS, F_WINDOW_SCALE, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { urgentIn } from './urgent.ts'

export function synSentIn(tcp: Tcp, tcb: Tcb, seg: Segment): void {
  const { counters } = tcp
  const { control } = seg
  const acks = (control & ACK) !== 0
  // First, the ACK: only our SYN is there to be acknowledged.
  if (acks && seg.ack !== tcb.sndNxt) {
    counters['ack-unacceptable']++
    if ((control & RST) === 0) emitReset(tcp, seg)
    return
  }
  // Second, the RST: it is the peer's only if it acknowledges the SYN (RFC 5961 §3.2).
  if ((control & RST) !== 0) {
    if (!acks) {
      counters['reset-out-of-window']++
      return
    }
    counters['reset-accepted']++
    finish(tcp, tcb, 'refused')
    return
  }
  // Fourth and fifth: the SYN, or nothing.
  if ((control & SYN) === 0) {
    counters['flags-invalid']++
    return
  }
  const sentAtUs = tcb.sndWl2
  agreeOnOptions(tcp, tcb, seg)
  tcb.rcvNxt = (seg.seq + 1) | 0
  tcb.lastAckSent = tcb.rcvNxt
  tcb.rcvAdv = (tcb.rcvNxt + Math.min(tcb.rcvBuf, WINDOW_FIELD_MAX)) | 0
  if (!acks) return simultaneousOpen(tcp, tcb, seg)
  establish(tcp, tcb, seg, false, Math.max(1, (tcp.nowUs - sentAtUs) | 0))
  ackNow(tcp, tcb)
  if ((tcb.flags & F_ORPHAN) === 0) tcp.host.connected(tcb)
  // What came with the SYN stands one number further on.
  seg.seq = (seg.seq + 1) | 0
  urgentIn(tcp, tcb, seg)
  if (seg.length > 0 || (control & FIN) !== 0) textIn(tcp, tcb, seg)
}

/** MUST-10: the SYNs crossed. Data on it is left for the peer to send again. */
function simultaneousOpen(tcp: Tcp, tcb: Tcb, seg: Segment): void {
  tcb.state = SYN_RECEIVED
  tcb.sndWnd = seg.window
  tcb.sndWndMax = seg.window
  tcb.sndWl1 = seg.seq
  emitSyn(tcp, tcb)
}

/** What both SYNs say holds (RFC 7323 §2.2, §3.2; RFC 2018 §2); what ours offered is in the flags until now. */
function agreeOnOptions(tcp: Tcp, tcb: Tcb, seg: Segment): void {
  if (seg.mss !== 0) tcb.peerMss = seg.mss
  if (!seg.sackPermitted) tcb.flags &= ~F_SACK
  if (!seg.hasTimestamps) tcb.flags &= ~F_TIMESTAMPS
  else if ((tcb.flags & F_TIMESTAMPS) !== 0) {
    tcb.tsRecent = seg.tsValue
    tcb.tsRecentAt = tcp.nowMs
  }
  if ((tcb.flags & F_WINDOW_SCALE) !== 0 && seg.windowScale >= 0)
    tcb.scales = (tcb.scales & 0xff00) | seg.windowScale
  else {
    tcb.flags &= ~F_WINDOW_SCALE
    tcb.scales = 0
  }
  // RFC 3168 §6.1.1: ECE and CWR on a SYN ask for it, ECE alone on the answer agrees.
  const agreed = (seg.control & ACK) !== 0 ? ECE : ECE | CWR
  if ((seg.control & (ECE | CWR)) !== agreed) tcb.flags &= ~F_ECN
}
