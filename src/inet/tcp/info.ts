/** A snapshot of a connection, in the manner of Linux's TCP_INFO. */

import { pacingRate } from './pacing.ts'
import { DUP_THRESHOLD } from './rack.ts'
import { backedOff } from './rtt.ts'
import { type StateName, stateName } from './states.ts'
import { F_APP_LIMITED, F_ECN, F_REORDERING, F_SACK, F_TIMESTAMPS, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

const CA_NAMES = ['open', 'disorder', 'cwr', 'recovery', 'loss'] as const
export type CaState = (typeof CA_NAMES)[number]

/** Bytes and segments are told apart in the names; times in their unit. */
export interface TcpInfo {
  readonly state: StateName
  readonly caState: CaState
  readonly congestion: 'cubic' | 'newreno'
  readonly timestamps: boolean
  readonly sack: boolean
  readonly ecn: boolean
  readonly sndScale: number
  readonly rcvScale: number
  /** The program sends less than the path would take. */
  readonly appLimited: boolean
  /** With its present doublings. */
  readonly rtoMs: number
  readonly srttUs: number
  readonly rttvarUs: number
  readonly minRttUs: number
  readonly backoff: number
  /** Keep-alive or window probes that were not answered. */
  readonly probes: number
  /** Segments sent again since the connection last was idle. */
  readonly retransmits: number
  readonly sndMss: number
  readonly rcvMss: number
  readonly pathMtu: number
  readonly cwndBytes: number
  /** In segments of `sndMss`, as Linux counts. */
  readonly cwnd: number
  /** 0x7fffffff: none yet. */
  readonly ssthreshBytes: number
  readonly ssthresh: number
  /** Segments in flight, and of these SACKed, taken for lost, sent again and not acknowledged since. */
  readonly unacked: number
  readonly sacked: number
  readonly lost: number
  readonly retrans: number
  readonly unackedBytes: number
  readonly notSentBytes: number
  /** Segments; 3: nothing was reordered so far. */
  readonly reordering: number
  /** Bytes a second; 0: not paced. */
  readonly pacingRate: number
  readonly sndWnd: number
  readonly rcvWnd: number
  readonly sndBuf: number
  readonly rcvBuf: number
  readonly lastDataSentMs: number
  readonly lastReceivedMs: number
}

const NONE = 0x7fffffff

export function tcpInfo(tcp: Tcp, tcb: Tcb): TcpInfo {
  const { flight, flags } = tcb
  const board = flight?.board
  const unackedBytes = (tcb.sndNxt - tcb.sndUna) | 0
  return {
    state: stateName(tcb.state),
    caState: CA_NAMES[flight?.caState ?? 0]!,
    congestion: tcb.settings.congestion,
    timestamps: (flags & F_TIMESTAMPS) !== 0,
    sack: (flags & F_SACK) !== 0,
    ecn: (flags & F_ECN) !== 0,
    sndScale: tcb.sndScale,
    rcvScale: tcb.rcvScale,
    appLimited: (flags & F_APP_LIMITED) !== 0,
    rtoMs: backedOff(tcp, tcb),
    srttUs: tcb.srtt,
    rttvarUs: tcb.rttvar,
    minRttUs: tcb.minRtt,
    backoff: tcb.backoff,
    probes: tcb.probes,
    retransmits: flight?.retransmits ?? 0,
    sndMss: tcb.sndMss,
    rcvMss: tcb.rcvMss,
    pathMtu: tcb.pathMtu,
    cwndBytes: tcb.cwnd,
    cwnd: Math.floor(tcb.cwnd / tcb.sndMss),
    ssthreshBytes: tcb.ssthresh,
    ssthresh: tcb.ssthresh === NONE ? NONE : Math.floor(tcb.ssthresh / tcb.sndMss),
    unacked: board?.segments ?? 0,
    sacked: board === undefined ? 0 : board.sackedSegments + (flight?.duplicateAcks ?? 0),
    lost: board?.lostSegments ?? 0,
    retrans: board?.retransmittedSegments ?? 0,
    unackedBytes,
    notSentBytes: flight === null ? 0 : Math.max(0, flight.queue.bytes - unackedBytes),
    reordering:
      (flags & F_REORDERING) !== 0 ? Math.max(DUP_THRESHOLD + 1, board?.sackedSegments ?? 0) : DUP_THRESHOLD,
    pacingRate: pacingRate(tcp, tcb),
    sndWnd: tcb.sndWnd,
    rcvWnd: Math.max(0, (tcb.rcvAdv - tcb.rcvNxt) | 0),
    sndBuf: tcb.sndBuf,
    rcvBuf: tcb.rcvBuf,
    lastDataSentMs: (tcp.nowMs - tcb.lastOutAt) | 0,
    lastReceivedMs: (tcp.nowMs - tcb.lastInAt) | 0,
  }
}
