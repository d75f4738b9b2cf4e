/**
 * Passive opening on the wire: from a SYN for a listener to the connection in its queue (RFC 9293 §3.10.7.2, RFC 4987). A SYN
 * makes a small record, or a cookie and nothing at all; a control block is made when the peer has shown where it is.
 */
import { assert } from '../../base/assert.ts'
import { isMulticastV4, isMulticastV6, LIMITED_BROADCAST } from '../address.ts'
import { REMOTE } from '../unitdata.ts'
import { ACK, CWR, ECE, FIN, RST, SYN } from '../wire/tcp.ts'
import { countChallenge } from './challenge.ts'
import { cookieAckIn, cookieInstead, sendCookie } from './cookie-handshake.ts'
import { emitBare, emitReset, emitSynAck } from './emit-bare.ts'
import { defaultMss, establish, firstReceiveBytes, makeTcbFor, scaleToOffer } from './establish.ts'
import {
  HO_ANNOUNCED,
  HO_BEGAN_AT,
  HO_CHALLENGE,
  HO_FAMILY,
  HO_FLAGS,
  HO_IRS,
  HO_ISS,
  HO_LISTENER,
  HO_LOCAL,
  HO_MSS,
  HO_REMOTE,
  HO_RETRIES,
  HO_SCALES,
  HO_SENT_US,
  HO_TS_OFFSET,
  HO_TS_RECENT,
} from './half-open.ts'
import { closedIn } from './input.ts'
import { textIn } from './input-text.ts'
import type { Listener } from './listener.ts'
import { LITTLE_BYTES, PRESSURE_HARD, pressure } from './memory.ts'
import { makeRoomForOne, mayHoldOneMore } from './orphans.ts'
import { WINDOW_FIELD_MAX } from './receive.ts'
import type { Segment } from './segment.ts'
import { mssToAnnounce } from './start.ts'
import {
  F_ECN,
  F_SACK,
  F_SYN_RETRANSMITTED,
  F_TIMESTAMPS,
  F_UNACCEPTED,
  F_WINDOW_SCALE,
  type Tcb,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { urgentIn } from './urgent.ts'

/**
 * A segment for a listener: RFC 9293 §3.10.7.2.
 * @param recycled - its connection was in TIME-WAIT: the new one's numbers begin behind `beyond`, the old one's `SND.NXT`
 */
export function listenIn(tcp: Tcp, listener: Listener, seg: Segment, recycled = false, beyond = 0): void {
  const { control } = seg
  if ((control & RST) !== 0) {
    tcp.counters['reset-out-of-window']++
    return
  }
  if ((control & ACK) !== 0) {
    if ((control & SYN) !== 0 || !cookieAckIn(tcp, listener, seg)) closedIn(tcp, seg)
    return
  }
  if ((control & (SYN | FIN)) !== SYN) {
    tcp.counters['flags-invalid']++
    return
  }
  synIn(tcp, listener, seg, recycled, beyond)
}

function synIn(tcp: Tcp, listener: Listener, seg: Segment, recycled: boolean, beyond: number): void {
  const { counters, settings } = tcp
  counters['syn-in']++
  if (!isFromOneHost(seg)) {
    counters['not-unicast']++
    return
  }
  if (!hasRoom(tcp, listener, false)) return
  if (settings.synCookies === 2 && !recycled) return sendCookie(tcp, listener, seg)
  const index = tcp.halfOpen.add(seg.words, seg.at, seg.ports, tcp.nowMs)
  if (index < 0) {
    counters['syn-backlog-full']++
    if (settings.synCookies !== 0) sendCookie(tcp, listener, seg)
    return
  }
  fillRecord(tcp, index, listener, seg)
  if (recycled) {
    const own = tcp.halfOpen.words
    // RFC 9293 §3.6.1: larger than the largest number that the old connection used.
    if (((own[index + HO_ISS]! - beyond) | 0) <= 0)
      own[index + HO_ISS] = (beyond + 65_537 + tcp.random.below(65_536)) | 0
  }
  emitSynAck(tcp, index)
  tcp.halfOpen.schedule(index, (tcp.nowMs + settings.rtoInitialMs + tcp.begunMs) | 0, tcp.nowMs)
  tcp.host.timerMoved()
}

/** MUST-63. IP drops such packets too; whoever drives the core without it is as safe. */
function isFromOneHost({ words, at, family }: Segment): boolean {
  if (family !== 4) return !isMulticastV6(words[at + REMOTE]!)
  const word = words[at + REMOTE + 3]!
  return !isMulticastV4(word) && word !== LIMITED_BROADCAST && word !== 0
}

/**
 * Checklist 3.5-55: what comes while the program does not accept is dropped, and the peer tries again.
 * @param proven - the peer has answered from where it says it is: an orphan gives way to it if the table is full
 */
export function hasRoom(tcp: Tcp, listener: Listener, proven: boolean): boolean {
  if (!listener.hasRoom) {
    tcp.counters['accept-queue-full']++
    listener.overflowed++
    return false
  }
  // An orphan that goes gives its program's memory back, and that program may do anything.
  if (proven ? makeRoomForOne(tcp) : mayHoldOneMore(tcp)) return !listener.closed
  tcp.counters['connections-full']++
  return false
}

function fillRecord(tcp: Tcp, index: number, listener: Listener, seg: Segment): void {
  const { keys, settings } = tcp
  const own = tcp.halfOpen.words
  const r0 = own[index + HO_REMOTE]!
  const r1 = own[index + HO_REMOTE + 1]!
  const r2 = own[index + HO_REMOTE + 2]!
  const r3 = own[index + HO_REMOTE + 3]!
  const l0 = own[index + HO_LOCAL]!
  const l1 = own[index + HO_LOCAL + 1]!
  const l2 = own[index + HO_LOCAL + 2]!
  const l3 = own[index + HO_LOCAL + 3]!
  own[index + HO_ISS] = keys.isn(tcp.isnClock, r0, r1, r2, r3, l0, l1, l2, l3, seg.ports)
  own[index + HO_TS_OFFSET] = keys.tsOffset(r0, r1, r2, r3, l0, l1, l2, l3)
  own[index + HO_FAMILY] = seg.family
  own[index + HO_IRS] = seg.seq
  own[index + HO_MSS] = seg.mss !== 0 ? seg.mss : defaultMss(seg.family)
  const mss = mssToAnnounce(
    tcp,
    seg.family,
    tcp.host.pathMtu(seg.family, r0, r1, r2, r3),
    listener.settings.maxSegment,
  )
  // While memory is spent, as much as is taken then: a burst would be lost but for its first segment.
  const most = pressure(tcp) === PRESSURE_HARD ? Math.max(mss, LITTLE_BYTES) : WINDOW_FIELD_MAX
  const window = Math.min(firstReceiveBytes(tcp, listener.settings), most)
  own[index + HO_ANNOUNCED] = (mss << 16) | window
  own[index + HO_LISTENER] = listener.id
  own[index + HO_SENT_US] = tcp.nowUs
  let flags = 0
  if (settings.sack !== 0 && seg.sackPermitted) flags |= F_SACK
  if (settings.timestamps !== 0 && seg.hasTimestamps) {
    flags |= F_TIMESTAMPS
    own[index + HO_TS_RECENT] = seg.tsValue
  }
  if (settings.windowScaling !== 0 && seg.windowScale >= 0) {
    flags |= F_WINDOW_SCALE
    own[index + HO_SCALES] = (scaleToOffer(tcp.settings, listener.settings) << 8) | seg.windowScale
  }
  // RFC 3168 §6.1.1: an ECN-setup SYN has both bits.
  if (settings.ecn !== 0 && (seg.control & (ECE | CWR)) === (ECE | CWR)) flags |= F_ECN
  own[index + HO_FLAGS] = flags
}

/** A segment for a connection in SYN-RECEIVED that came from a listener (RFC 9293 §3.10.7.4). */
export function halfOpenIn(tcp: Tcp, index: number, seg: Segment): void {
  const { counters } = tcp
  const own = tcp.halfOpen.words
  const { control } = seg
  const listener = listenerOf(tcp, index, seg)
  if (listener === null) {
    tcp.halfOpen.remove(index)
    return closedIn(tcp, seg)
  }
  const irs = own[index + HO_IRS]!
  if ((control & (SYN | ACK | RST | FIN)) === SYN && seg.seq === irs) return repeatedSyn(tcp, index, seg)
  if (seg.seq !== ((irs + 1) | 0) && cookieInstead(tcp, index, listener, seg)) return
  if (!halfOpenAcceptable(tcp, index, seg)) return
  if ((control & RST) !== 0) {
    if (seg.seq === ((irs + 1) | 0)) {
      // MUST-11: back to LISTEN, and the user need not hear of it.
      counters['reset-accepted']++
      counters['opens-failed']++
      tcp.halfOpen.remove(index)
    } else {
      counters['reset-challenged']++
      challengeHalfOpen(tcp, index, seg)
    }
    return
  }
  if ((control & SYN) !== 0) {
    // Fourth: in the window, so the peer began anew: back to LISTEN.
    counters['opens-failed']++
    tcp.halfOpen.remove(index)
    return
  }
  if ((control & ACK) === 0) {
    counters['flags-invalid']++
    return
  }
  if (seg.ack !== ((own[index + HO_ISS]! + 1) | 0)) {
    counters['ack-unacceptable']++
    emitReset(tcp, seg)
    return
  }
  if (hasRoom(tcp, listener, true)) complete(tcp, index, listener, seg)
}

/** The listener that the record came from, if it still listens. */
function listenerOf(tcp: Tcp, index: number, seg: Segment): Listener | null {
  const listener = tcp.listeners.find(seg.words, seg.at, seg.ports >>> 16)
  return listener !== null && listener.id === tcp.halfOpen.words[index + HO_LISTENER] ? listener : null
}

/** Our SYN-ACK was lost, or is on its way still. */
function repeatedSyn(tcp: Tcp, index: number, seg: Segment): void {
  const own = tcp.halfOpen.words
  if ((own[index + HO_FLAGS]! & F_TIMESTAMPS) !== 0 && seg.hasTimestamps)
    own[index + HO_TS_RECENT] = seg.tsValue
  const word = countChallenge(tcp, own[index + HO_CHALLENGE]!)
  if (word === 0) return
  own[index + HO_CHALLENGE] = word
  own[index + HO_FLAGS]! |= F_SYN_RETRANSMITTED
  emitSynAck(tcp, index)
}

/** First: sequence number and timestamp. */
function halfOpenAcceptable(tcp: Tcp, index: number, seg: Segment): boolean {
  const { counters } = tcp
  const own = tcp.halfOpen.words
  const { control } = seg
  const window = own[index + HO_ANNOUNCED]! & WINDOW_FIELD_MAX
  const ahead = (seg.seq - own[index + HO_IRS]! - 1) | 0
  const inWindow = ahead >= 0 && ahead <= window
  if ((control & RST) !== 0) {
    if (!inWindow) counters['reset-out-of-window']++
    return inWindow
  }
  if ((own[index + HO_FLAGS]! & F_TIMESTAMPS) !== 0) {
    if (!seg.hasTimestamps) {
      counters['timestamp-missing']++
      return false
    }
    if (((seg.tsValue - own[index + HO_TS_RECENT]!) | 0) < 0) {
      counters['paws-rejected']++
      challengeHalfOpen(tcp, index, seg)
      return false
    }
  }
  if (inWindow) return true
  counters['out-of-window']++
  challengeHalfOpen(tcp, index, seg)
  return false
}

/** `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>` of a half-open connection, a few each second. */
function challengeHalfOpen(tcp: Tcp, index: number, seg: Segment): void {
  const own = tcp.halfOpen.words
  const word = countChallenge(tcp, own[index + HO_CHALLENGE]!)
  if (word === 0) return
  own[index + HO_CHALLENGE] = word
  const window = (own[index + HO_ANNOUNCED]! & WINDOW_FIELD_MAX) >> (own[index + HO_SCALES]! >> 8)
  emitBare(
    tcp,
    seg,
    (own[index + HO_ISS]! + 1) | 0,
    (own[index + HO_IRS]! + 1) | 0,
    ACK,
    window,
    (own[index + HO_FLAGS]! & F_TIMESTAMPS) !== 0,
    (tcp.nowMs + own[index + HO_TS_OFFSET]!) | 0,
    own[index + HO_TS_RECENT]!,
  )
}

/** Fifth: the handshake is complete. */
function complete(tcp: Tcp, index: number, listener: Listener, seg: Segment): void {
  const own = tcp.halfOpen.words
  const tcb = makeTcbFor(tcp, listener.settings, seg)
  tcb.flags = own[index + HO_FLAGS]!
  tcb.scales = own[index + HO_SCALES]!
  tcb.peerMss = own[index + HO_MSS]!
  tcb.tsRecent = own[index + HO_TS_RECENT]!
  tcb.tsRecentAt = own[index + HO_BEGAN_AT]!
  tcb.tsOffset = own[index + HO_TS_OFFSET]!
  tcb.sndUna = own[index + HO_ISS]!
  tcb.rcvNxt = (own[index + HO_IRS]! + 1) | 0
  tcb.challenge = own[index + HO_CHALLENGE]!
  tcb.rcvAdv = (tcb.rcvNxt + (own[index + HO_ANNOUNCED]! & WINDOW_FIELD_MAX)) | 0
  const rttUs = Math.max(1, (tcp.nowUs - own[index + HO_SENT_US]!) | 0)
  tcp.halfOpen.remove(index)
  join(tcp, tcb, listener, seg, rttUs)
}

/** The connection begins (`rcvNxt`, `rcvAdv` and `sndUna` set) with the segment that completes it, which may carry data and a FIN, and goes into the listener's queue. */
export function join(tcp: Tcp, tcb: Tcb, listener: Listener, seg: Segment, rttUs: number): void {
  tcb.sndNxt = (tcb.sndUna + 1) | 0
  assert(tcp.connections.add(tcb), 'two connections with one tuple')
  tcb.flags |= F_UNACCEPTED
  if ((tcb.flags & F_TIMESTAMPS) !== 0 && seg.seq === tcb.rcvNxt) {
    tcb.tsRecent = seg.tsValue
    tcb.tsRecentAt = tcp.nowMs
  }
  establish(tcp, tcb, seg, true, rttUs)
  tcp.counters['passive-opens']++
  urgentIn(tcp, tcb, seg)
  if (seg.length > 0 || (seg.control & FIN) !== 0) textIn(tcp, tcb, seg)
  listener.push(tcb)
  tcp.host.acceptable(listener)
}

/** A half-open connection's time is up: `timers.ts` calls it from `HalfOpenTable.expire`. Sends the SYN-ACK again, or gives up. */
export function halfOpenTimer(tcp: Tcp, index: number): void {
  const { counters, halfOpen, settings } = tcp
  const own = halfOpen.words
  const retries = own[index + HO_RETRIES]! + 1
  if (retries > settings.synAckRetries) {
    counters['half-open-expired']++
    counters['opens-failed']++
    halfOpen.remove(index)
    return
  }
  own[index + HO_RETRIES] = retries
  own[index + HO_FLAGS]! |= F_SYN_RETRANSMITTED
  counters['retransmitted-segments']++
  // RFC 6298 §5.5: twice as long each time, up to the ceiling.
  const wait = Math.min(settings.rtoMaxMs, settings.rtoInitialMs * 2 ** retries)
  halfOpen.schedule(index, (tcp.nowMs + wait + tcp.begunMs) | 0, tcp.nowMs)
  emitSynAck(tcp, index)
}

/** Drops the half-open connections of a listener that is no more. */
export function forgetHalfOpen(tcp: Tcp, listener: Listener): void {
  const { halfOpen } = tcp
  halfOpen.each(index => {
    if (halfOpen.words[index + HO_LISTENER] === listener.id) halfOpen.remove(index)
  })
}
