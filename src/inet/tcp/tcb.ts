/**
 * The transmission control block: what TCP holds of a connection that is idle (RFC 9293 §3.3.1), in at most 512 bytes. All
 * numbers are int32, which V8 keeps in the object; sequence numbers are `base/seq32.ts`'s. What only a connection at work
 * needs is in two pooled records: {@link Flight} while something is sent and not acknowledged or waits to be sent,
 * {@link Intake} while something received waits for the program or for a gap to close.
 */
import type { Flight } from './flight.ts'
import type { ConnectionUser } from './host.ts'
import type { Intake } from './intake.ts'
import type { ConnectionSettings } from './settings.ts'
import { CLOSED } from './states.ts'

/** `flags` of a {@link Tcb}. What was agreed on: */
export const F_TIMESTAMPS = 1 << 0
export const F_SACK = 1 << 1
export const F_WINDOW_SCALE = 1 << 2
export const F_ECN = 1 << 3
/** The user shut down its direction: a FIN follows what is queued. */
export const F_FIN_QUEUED = 1 << 4
/** The FIN has been sent; its sequence number is `sndNxt - 1`. */
export const F_FIN_SENT = 1 << 5
/** The peer's FIN is in order: `rcvNxt` is past it. */
export const F_FIN_RECEIVED = 1 << 6
/** The user was told that the peer's data ended. */
export const F_EOF_TOLD = 1 << 7
/** An acknowledgment has to leave at the next flush, alone if need be. */
export const F_ACK_NOW = 1 << 8
/** One may wait for the timer `delackAt`. */
export const F_ACK_DELAYED = 1 << 9
/** On the list of connections that the next flush looks at. */
export const F_DIRTY = 1 << 10
/** RFC 3168 §6.1.3: every segment says ECE until the sender says CWR. */
export const F_ECE_OUT = 1 << 11
/** RFC 3168 §6.1.2: the next new data says CWR. */
export const F_CWR_OUT = 1 << 12
/** No user holds it any more (closed by its program): what is left is TCP's own business. */
export const F_ORPHAN = 1 << 13
/** The connection came from a listener and nobody has accepted it yet. */
export const F_UNACCEPTED = 1 << 14
/** `sndUna` was advanced by nothing since the SYN was sent again: no RTT sample from it (Karn). */
export const F_SYN_RETRANSMITTED = 1 << 15
/** Output waits for room on the link. */
export const F_LINK_BLOCKED = 1 << 16
/** Nothing may be sent before more room than a sliver was announced (silly window, RFC 9293 §3.8.6.2.1). */
export const F_WINDOW_LIMITED = 1 << 17
/** The last output was held back by the program, not by a window: the congestion window does not grow (RFC 7661). */
export const F_APP_LIMITED = 1 << 18
/** Urgent data: `rcvUp` / `sndUp` of intake and flight are valid (RFC 6093). */
export const F_URGENT_IN = 1 << 20
export const F_URGENT_OUT = 1 << 21
/** The user asked to be told when there is room for more to send. */
export const F_WANTS_ROOM = 1 << 22
/** A write was pushed: PSH on the last segment of what is queued. */
export const F_PUSH = 1 << 23
/** The path was seen to reorder (RFC 8985 §6.2 step 4). */
export const F_REORDERING = 1 << 24
/** Counted among those with a window of zero of its peer's address (`zero-window.ts`). */
export const F_ZERO_WINDOW = 1 << 25
/** The path swallowed packets of the size that IP knows, and nobody said so: larger ones are tried one at a time (RFC 8899 §4.3). */
export const F_BLACK_HOLE = 1 << 26
/** The program knows that data is sent again and again (`trouble.ts`), or of an ICMP error, since the peer last acknowledged something. */
export const F_TROUBLE_TOLD = 1 << 27
export const F_ERROR_TOLD = 1 << 28

/** `timers` of a {@link Tcb}: which deadlines are set. */
export const T_RETRANSMIT = 1 << 0
/** Tail loss probe or RACK's reordering timer, in place of the retransmission timer (RFC 8985 §7, §6.3). */
export const T_LOSS = 1 << 1
/** Zero-window probes, in place of the retransmission timer (RFC 9293 §3.8.6.1). */
export const T_PERSIST = 1 << 2
export const T_DELAYED_ACK = 1 << 3
/** Keep-alive; in FIN-WAIT-2 of an orphan the end of waiting. */
export const T_KEEP = 1 << 4
export const T_PACE = 1 << 5
/** Nothing was in flight for a while: the flight record goes back to the pool. Shares `retransmitAt`. */
export const T_IDLE = 1 << 6
/** What a program holds back leaves all the same (`cork.ts`); the flight's `corkAtMs`. */
export const T_CORK = 1 << 7

/** In `shape`, above the scales. */
const IPV6 = 1 << 16

export class Tcb {
  // ---- who: four int32 words each, v4-mapped for IPv4
  local0 = 0
  local1 = 0
  local2 = 0
  local3 = 0
  remote0 = 0
  remote1 = 0
  remote2 = 0
  remote3 = 0
  /** `localPort << 16 | remotePort`, an int32. */
  ports = 0
  /** Next in the demultiplexer's bucket. */
  hashNext: Tcb | null = null

  state = CLOSED
  flags = 0
  /** `T_*` bits of the deadlines below that are set. */
  timers = 0
  settings: ConnectionSettings
  /** The module's endpoint; null for what nobody has accepted yet, and for orphans. */
  user: ConnectionUser | null = null
  flight: Flight | null = null
  intake: Intake | null = null
  /** Next on the list of the next flush. */
  dirtyNext: Tcb | null = null

  // ---- send sequence space
  sndUna = 0
  sndNxt = 0
  /** The peer's window in bytes, scaled. */
  sndWnd = 0
  sndWl1 = 0
  sndWl2 = 0
  /** Largest window the peer ever announced (RFC 9293 §3.8.6.2.1, RFC 5961 §5). */
  sndWndMax = 0
  /** Payload bytes of a full segment, options of every segment (timestamps) taken off: the Eff.snd.MSS of RFC 9293 §3.7.1. */
  sndMss = 536
  /** {@link peerMss} above, {@link pathMtu} below. */
  private sizes = 536 << 16
  /** {@link scales}, and the bit {@link IPV6}. */
  private shape = 0

  // ---- receive sequence space
  rcvNxt = 0
  /** One past the right edge that was announced: never moves left (MUST-34 seen from here). */
  rcvAdv = 0
  /** `rcvNxt` of the last acknowledgment that left (RFC 7323 §4.3). */
  lastAckSent = 0
  /** Bytes that may wait for the program; grows by measuring (window auto-tuning). */
  rcvBuf = 0
  /** Estimate of the peer's segment size, for the delayed-ACK rule. */
  rcvMss = 536

  // ---- timestamps (RFC 7323)
  tsRecent = 0
  /** When `tsRecent` was set, in `Tcp.nowMs`. */
  tsRecentAt = 0
  /** Added to the millisecond clock in what we send: random for each pair of addresses. */
  tsOffset = 0

  // ---- round trip (RFC 6298): microseconds; `srtt` 0 means that there is no sample
  srtt = 0
  rttvar = 0
  rtoMs = 1_000
  minRtt = 0

  // ---- congestion control; the rest is in the flight record
  cwnd = 0
  ssthresh = 0x7fffffff
  /** CUBIC's W_max in bytes (RFC 9438), kept over idle times. */
  wMax = 0

  // ---- deadlines, in `Tcp.nowMs`; valid where `timers` has the bit
  retransmitAt = 0
  delackAt = 0
  keepAt = 0
  /** Number of its entry in the timer wheel, 0 if it has none; the wheel's. */
  wheelEntry = 0
  /** {@link backoff}, {@link probes}, {@link softError}: a byte each, from below. */
  private patience = 0
  /** When the unanswered retransmissions began, for R2 and the user timeout. */
  troubleAt = 0
  lastInAt = 0
  lastOutAt = 0
  /** Challenge ACKs of the current second (RFC 5961 §7): second in the upper bits, count in the lower eight. */
  challenge = 0
  /** Bytes that may be queued to be sent. */
  sndBuf = 0

  constructor(settings: ConnectionSettings) {
    this.settings = settings
  }

  get localPort(): number {
    return this.ports >>> 16
  }

  get remotePort(): number {
    return this.ports & 0xffff
  }

  // What is small or seldom asked for shares words: eight bytes each are much for 100,000 idle connections.

  get family(): 4 | 6 {
    return (this.shape & IPV6) === 0 ? 4 : 6
  }

  set family(value: 4 | 6) {
    this.shape = value === 4 ? this.shape & ~IPV6 : this.shape | IPV6
  }

  /** Peer's shift in the low byte, ours in the next. */
  get scales(): number {
    return this.shape & 0xffff
  }

  set scales(value: number) {
    this.shape = (this.shape & ~0xffff) | value
  }

  get sndScale(): number {
    return this.shape & 0xff
  }

  get rcvScale(): number {
    return (this.shape >> 8) & 0xff
  }

  /** MSS that the peer announced, as it came (clamped). */
  get peerMss(): number {
    return this.sizes >>> 16
  }

  set peerMss(value: number) {
    this.sizes = (this.sizes & 0xffff) | (value << 16)
  }

  /** Bytes of an IP packet on this path, at most 65,535. */
  get pathMtu(): number {
    return this.sizes & 0xffff
  }

  set pathMtu(value: number) {
    this.sizes = (this.sizes & ~0xffff) | Math.min(value, 0xffff)
  }

  /** Consecutive expiries of the retransmission or persist timer; stays at 255. */
  get backoff(): number {
    return this.patience & 0xff
  }

  set backoff(value: number) {
    this.patience = (this.patience & ~0xff) | Math.min(value, 0xff)
  }

  /** Keep-alive probes that were not answered; stays at 255. */
  get probes(): number {
    return (this.patience >> 8) & 0xff
  }

  set probes(value: number) {
    this.patience = (this.patience & ~0xff00) | (Math.min(value, 0xff) << 8)
  }

  /** A soft error (`inet/icmp/errors.ts`, below 256) to be told if the connection fails. */
  get softError(): number {
    return (this.patience >> 16) & 0xff
  }

  set softError(value: number) {
    this.patience = (this.patience & ~0xff0000) | (value << 16)
  }
}
