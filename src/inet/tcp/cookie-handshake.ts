/** Passive opening without any memory of the SYN: a cookie goes out, and comes back in the ACK (RFC 4987 §3.6). */
import { LOCAL, REMOTE } from '../unitdata.ts'
import { ACK, CWR, ECE, FIN, RST, SYN } from '../wire/tcp.ts'
import { emitSynAckTo } from './emit-bare.ts'
import { defaultMss, firstReceiveBytes, makeTcbFor, scaleToOffer } from './establish.ts'
import { hasRoom, join } from './handshake.ts'
import type { Listener } from './listener.ts'
import { WINDOW_FIELD_MAX } from './receive.ts'
import type { Segment } from './segment.ts'
import { mssToAnnounce } from './start.ts'
import { checkCookie, cookieEcn, cookieSack, cookieScale, cookieTimestamp, makeCookie } from './syn-cookie.ts'
import { F_ECN, F_SACK, F_TIMESTAMPS, F_WINDOW_SCALE } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** No cookie is taken later than this after the last one was made. */
const COOKIE_LIFE_MS = 2 << 16

/** Answers a SYN with a cookie; scale, SACK and ECN only where a timestamp can carry them. */
export function sendCookie(tcp: Tcp, listener: Listener, seg: Segment): void {
  const { words, at } = seg
  const { keys, settings } = tcp
  const r0 = words[at + REMOTE]!
  const r1 = words[at + REMOTE + 1]!
  const r2 = words[at + REMOTE + 2]!
  const r3 = words[at + REMOTE + 3]!
  const l0 = words[at + LOCAL]!
  const l1 = words[at + LOCAL + 1]!
  const l2 = words[at + LOCAL + 2]!
  const l3 = words[at + LOCAL + 3]!
  const mss = seg.mss !== 0 ? seg.mss : defaultMss(seg.family)
  const iss = makeCookie(keys, tcp.nowMs, r0, r1, r2, r3, l0, l1, l2, l3, seg.ports, seg.seq, mss)
  const timestamps = settings.timestamps !== 0 && seg.hasTimestamps
  const scale = timestamps && settings.windowScaling !== 0 ? seg.windowScale : -1
  const sack = timestamps && settings.sack !== 0 && seg.sackPermitted
  const ecn = timestamps && settings.ecn !== 0 && (seg.control & (ECE | CWR)) === (ECE | CWR)
  const clock = timestamps ? (tcp.nowMs + keys.tsOffset(r0, r1, r2, r3, l0, l1, l2, l3)) | 0 : 0
  const pathMtu = tcp.host.pathMtu(seg.family, r0, r1, r2, r3)
  tcp.cookieAt = tcp.nowMs
  tcp.cookiesSent = true
  tcp.counters['syn-cookies-sent']++
  emitSynAckTo(
    tcp,
    seg,
    iss,
    Math.min(firstReceiveBytes(tcp, listener.settings), WINDOW_FIELD_MAX),
    mssToAnnounce(tcp, seg.family, pathMtu, listener.settings.maxSegment),
    scale < 0 ? -1 : scaleToOffer(tcp.settings, listener.settings),
    sack,
    timestamps,
    timestamps ? cookieTimestamp(clock, scale, sack, ecn) : 0,
    ecn,
  )
}

/**
 * An ACK that belongs to no connection may bring a cookie back.
 * @returns false if it does not: nobody has answered it yet
 */
export function cookieAckIn(tcp: Tcp, listener: Listener, seg: Segment): boolean {
  const mss = broughtBack(tcp, seg)
  if (mss < 0) return false
  if (mss > 0) openByCookie(tcp, listener, seg, mss)
  else {
    tcp.counters['syn-cookies-wrong']++
    // Only the first segment behind the SYN proves a cookie. Data that overtook it is sent again; a reset would end an honest connection.
    return seg.length > 0 || (seg.control & FIN) !== 0
  }
  return true
}

/**
 * A half-open connection exists, but the ACK is none of its: a peer that was sent a cookie, and in whose name somebody has sent
 * another SYN since. What the peer proves counts more than what anybody can have said.
 * @returns false if there is no such proof: nothing has changed then
 */
export function cookieInstead(tcp: Tcp, index: number, listener: Listener, seg: Segment): boolean {
  if ((seg.control & (SYN | RST | ACK)) !== ACK) return false
  const mss = broughtBack(tcp, seg)
  if (mss <= 0) return false
  tcp.halfOpen.remove(index)
  openByCookie(tcp, listener, seg, mss)
  return true
}

/** The MSS of the cookie that an ACK brings back; 0 if it brings none, -1 while none is out. */
function broughtBack(tcp: Tcp, seg: Segment): number {
  if (!tcp.cookiesSent || tcp.settings.synCookies === 0) return -1
  if (((tcp.nowMs - tcp.cookieAt) | 0) > COOKIE_LIFE_MS) {
    tcp.cookiesSent = false
    return -1
  }
  const { words, at } = seg
  const irs = (seg.seq - 1) | 0
  const cookie = (seg.ack - 1) | 0
  return checkCookie(
    tcp.keys,
    tcp.nowMs,
    words[at + REMOTE]!,
    words[at + REMOTE + 1]!,
    words[at + REMOTE + 2]!,
    words[at + REMOTE + 3]!,
    words[at + LOCAL]!,
    words[at + LOCAL + 1]!,
    words[at + LOCAL + 2]!,
    words[at + LOCAL + 3]!,
    seg.ports,
    irs,
    cookie,
  )
}

function openByCookie(tcp: Tcp, listener: Listener, seg: Segment, mss: number): void {
  if (!hasRoom(tcp, listener, true)) return
  tcp.counters['syn-cookies-accepted']++
  const tcb = makeTcbFor(tcp, listener.settings, seg)
  tcb.peerMss = mss
  tcb.sndUna = (seg.ack - 1) | 0
  tcb.rcvNxt = seg.seq
  if (seg.hasTimestamps && tcp.settings.timestamps !== 0) {
    tcb.flags |= F_TIMESTAMPS
    tcb.tsOffset = tcp.keys.tsOffset(
      tcb.remote0,
      tcb.remote1,
      tcb.remote2,
      tcb.remote3,
      tcb.local0,
      tcb.local1,
      tcb.local2,
      tcb.local3,
    )
    const scale = cookieScale(seg.tsEcho)
    if (scale >= 0) {
      tcb.flags |= F_WINDOW_SCALE
      tcb.scales = (scaleToOffer(tcp.settings, listener.settings) << 8) | scale
    }
    if (cookieSack(seg.tsEcho)) tcb.flags |= F_SACK
    if (cookieEcn(seg.tsEcho)) tcb.flags |= F_ECN
  }
  tcb.rcvAdv = (tcb.rcvNxt + Math.min(tcb.rcvBuf, WINDOW_FIELD_MAX)) | 0
  join(tcp, tcb, listener, seg, 0)
}
