/**
 * A segment for a connection in SYN-RECEIVED (of a simultaneous opening) or a synchronized state: the eight steps of
 * RFC 9293 §3.10.7.4, with RFC 7323 §5 (PAWS) and RFC 5961.
 */
import { ACK, CWR, FIN, PSH, RST, SYN } from '../wire/tcp.ts'
import { ackNow } from './ack-policy.ts'
import { ackIn } from './acknowledge.ts'
import { challengeAck } from './challenge.ts'
import { enterTimeWait, finish, finWait2 } from './close.ts'
import { emitReset } from './emit-bare.ts'
import { establish } from './establish.ts'
import { textIn } from './input-text.ts'
import { noteDuplicate, takeIntake } from './intake.ts'
import type { Segment } from './segment.ts'
import { CLOSED, CLOSING, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, SYN_RECEIVED } from './states.ts'
import { F_ECE_OUT, F_ECN, F_FIN_SENT, F_ORPHAN, F_SACK, F_TIMESTAMPS, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { urgentIn } from './urgent.ts'

/** RFC 7323 §5.5: after so long an idle time the peer's timestamp clock may have gone half round. */
export const TS_RECENT_MAX_AGE_MS = 24 * 24 * 3_600 * 1_000
/** The two bits of the IP header: Congestion Experienced (RFC 3168 §5). */
const ECN_CE = 3

export function synchronizedIn(tcp: Tcp, tcb: Tcb, seg: Segment): void {
  const { control } = seg
  // The one segment of a thousand that is not of this kind takes the way below; both do the same.
  const expected =
    tcb.state === ESTABLISHED &&
    (control & ~PSH) === ACK &&
    seg.seq === tcb.rcvNxt &&
    ((tcb.rcvAdv - seg.seq - seg.length) | 0) >= 0 &&
    ((tcb.flags & F_TIMESTAMPS) === 0 || (seg.hasTimestamps && ((seg.tsValue - tcb.tsRecent) | 0) >= 0))
  if (!expected && !isAcceptable(tcp, tcb, seg)) return
  tcb.lastInAt = tcp.nowMs
  if (tcb.probes !== 0) tcb.probes = 0
  noteTimestamp(tcp, tcb, seg)
  if (tcb.state === SYN_RECEIVED) {
    if (!completeOpening(tcp, tcb, seg)) return
  } else if (!ackIn(tcp, tcb, seg)) {
    // Fifth, RFC 5961 §5: discarded, and an ACK sent back.
    challengeAck(tcp, tcb)
    return
  }
  // What the ACK said may have ended it (a window of zero too many).
  if (tcb.state === CLOSED) return
  if ((tcb.flags & F_FIN_SENT) !== 0 && tcb.sndUna === tcb.sndNxt && !finAcknowledged(tcp, tcb)) return
  if ((tcb.flags & F_ECN) !== 0 && seg.length > 0) congestionMarks(tcp, tcb, seg)
  if (!expected) urgentIn(tcp, tcb, seg)
  if (seg.length > 0 || (control & FIN) !== 0) textIn(tcp, tcb, seg)
  else if (control === ACK) tcp.counters['pure-acks-in']++
}

/** First to fourth, and the ACK bit. */
function isAcceptable(tcp: Tcp, tcb: Tcb, seg: Segment): boolean {
  const { counters } = tcp
  const { control } = seg
  if ((control & RST) !== 0) {
    resetIn(tcp, tcb, seg)
    return false
  }
  if ((control & SYN) !== 0) {
    synIn(tcp, tcb, seg)
    return false
  }
  if ((tcb.flags & F_TIMESTAMPS) !== 0 && !passesTimestamps(tcp, tcb, seg)) return false
  const end = (seg.seq + seg.length + (control & FIN)) | 0
  // RFC 9293 §3.4, made wider at both ends, as Linux has it: an acknowledgment that data overtook is no old duplicate, and one
  // that stands just at the right edge comes from a peer that filled the window.
  if (((end - tcb.lastAckSent) | 0) < 0 || ((seg.seq - tcb.rcvAdv) | 0) > 0) {
    counters['out-of-window']++
    if (seg.length > 0 && (tcb.flags & F_SACK) !== 0 && ((end - tcb.rcvNxt) | 0) <= 0)
      noteDuplicate(takeIntake(tcp, tcb), seg.seq, (seg.seq + seg.length) | 0)
    // What has no data and no FIN wants no answer urgently; unlimited answers would be a storm between two that disagree.
    if (end === seg.seq) challengeAck(tcp, tcb)
    else ackNow(tcp, tcb)
    return false
  }
  if ((control & ACK) !== 0) return true
  counters['flags-invalid']++
  return false
}

/** RFC 7323 §5.3 R1, and §3.2: a segment without the option is none of this connection's. */
function passesTimestamps(tcp: Tcp, tcb: Tcb, seg: Segment): boolean {
  if (!seg.hasTimestamps) {
    tcp.counters['timestamp-missing']++
    return false
  }
  if (((seg.tsValue - tcb.tsRecent) | 0) >= 0) return true
  const age = (tcp.nowMs - tcb.tsRecentAt) | 0
  if (age < 0 || age > TS_RECENT_MAX_AGE_MS) {
    tcb.tsRecent = seg.tsValue
    tcb.tsRecentAt = tcp.nowMs
    return true
  }
  if (isOvertakenAck(tcb, seg)) return true
  tcp.counters['paws-rejected']++
  // The original of what was sent again and filled a gap, late: its sender hears that it came (RFC 2883 §4, as from Linux).
  const old = (tcb.rcvNxt - seg.seq) | 0
  if (seg.length > 0 && old > 0 && (tcb.flags & F_SACK) !== 0)
    noteDuplicate(takeIntake(tcp, tcb), seg.seq, (seg.seq + Math.min(old, seg.length)) | 0)
  if (seg.length > 0 || (seg.control & FIN) !== 0) ackNow(tcp, tcb)
  else challengeAck(tcp, tcb)
  return false
}

/**
 * A pure acknowledgment that a later one overtook on the way brings nothing that could be taken for new data; on a path that
 * reorders, an answer to each would only be noise (as Linux; docs/divergence.md). Older ones are the ghosts that PAWS is for.
 */
function isOvertakenAck(tcb: Tcb, seg: Segment): boolean {
  return (
    seg.length === 0 &&
    (seg.control & FIN) === 0 &&
    seg.seq === tcb.rcvNxt &&
    ((tcb.tsRecent - seg.tsValue) | 0) <= tcb.rtoMs
  )
}

/** RFC 7323 §4.3: the timestamp of the segment that stands where the last acknowledgment did. */
function noteTimestamp(tcp: Tcp, tcb: Tcb, seg: Segment): void {
  if ((tcb.flags & F_TIMESTAMPS) === 0 || ((seg.seq - tcb.lastAckSent) | 0) > 0) return
  if (((seg.tsValue - tcb.tsRecent) | 0) < 0) return
  tcb.tsRecent = seg.tsValue
  tcb.tsRecentAt = tcp.nowMs
}

/** Second: RFC 5961 §3. PAWS does not apply (RFC 7323 §5.2), a closed window neither (MUST-66). */
function resetIn(tcp: Tcp, tcb: Tcb, seg: Segment): void {
  const { counters } = tcp
  if (seg.seq === tcb.rcvNxt) {
    counters['reset-accepted']++
    // Of an active opening (MUST-11: that is the only one with a control block in SYN-RECEIVED).
    finish(tcp, tcb, tcb.state === SYN_RECEIVED ? 'refused' : onlyFinIsOut(tcb) ? 'done' : 'reset')
  } else if (((seg.seq - tcb.rcvNxt) | 0) > 0 && ((seg.seq - tcb.rcvAdv) | 0) < 0) {
    counters['reset-challenged']++
    challengeAck(tcp, tcb)
  } else counters['reset-out-of-window']++
}

/** Both sides have said all that they had to say. */
const onlyFinIsOut = ({ state, sndNxt, sndUna, flags }: Tcb): boolean =>
  state >= CLOSING && (flags & F_FIN_SENT) !== 0 && ((sndNxt - sndUna) | 0) <= 1

/** Fourth: RFC 5961 §4, whatever its sequence number. */
function synIn(tcp: Tcp, tcb: Tcb, seg: Segment): void {
  // The peer's SYN-ACK completes a simultaneous opening: its SYN has been seen, its ACK counts (RFC 9293 §3.5, figure 8).
  const crossed =
    tcb.state === SYN_RECEIVED &&
    (seg.control & ACK) !== 0 &&
    seg.ack === tcb.sndNxt &&
    seg.seq === ((tcb.rcvNxt - 1) | 0)
  if (!crossed) {
    tcp.counters['syn-challenged']++
    challengeAck(tcp, tcb)
    return
  }
  // RFC 7323 §4.3: it stands at the last acknowledgment, as far as that has been sent.
  if (seg.hasTimestamps) noteTimestamp(tcp, tcb, seg)
  seg.seq = tcb.rcvNxt
  establish(tcp, tcb, seg, false, 0)
  ackNow(tcp, tcb)
  if ((tcb.flags & F_ORPHAN) === 0) tcp.host.connected(tcb)
}

/** Fifth, in SYN-RECEIVED. @returns whether to go on */
function completeOpening(tcp: Tcp, tcb: Tcb, seg: Segment): boolean {
  if (seg.ack !== tcb.sndNxt) {
    tcp.counters['ack-unacceptable']++
    emitReset(tcp, seg)
    return false
  }
  establish(tcp, tcb, seg, true, 0)
  if ((tcb.flags & F_ORPHAN) === 0) tcp.host.connected(tcb)
  return true
}

/** Fifth, the states in which our FIN is on its way. @returns whether the connection goes on */
function finAcknowledged(tcp: Tcp, tcb: Tcb): boolean {
  if (tcb.state === FIN_WAIT_1) {
    tcb.state = FIN_WAIT_2
    finWait2(tcp, tcb)
  } else if (tcb.state === CLOSING) {
    enterTimeWait(tcp, tcb)
    return false
  } else if (tcb.state === LAST_ACK) {
    finish(tcp, tcb, 'done')
    return false
  }
  return true
}

/** RFC 3168 §6.1.3: from the first mark until the sender says that it heard. */
function congestionMarks(tcp: Tcp, tcb: Tcb, seg: Segment): void {
  if ((seg.control & CWR) !== 0) tcb.flags &= ~F_ECE_OUT
  const marked = seg.ecn === ECN_CE
  const intake = takeIntake(tcp, tcb)
  if (marked) {
    tcp.counters['ecn-ce-in']++
    tcb.flags |= F_ECE_OUT
  }
  if (marked !== intake.sawCe) ackNow(tcp, tcb)
  intake.sawCe = marked
}
