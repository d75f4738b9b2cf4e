/** A snapshot of a connection, in the manner of Linux's TCP_INFO. */
import { type StateName, stateName } from './states.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

export type CaState = 'open' | 'disorder' | 'cwr' | 'recovery' | 'loss'

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
  readonly appLimited: boolean
  readonly rtoMs: number
  readonly srttUs: number
  readonly rttvarUs: number
  readonly minRttUs: number
  readonly backoff: number
  /** Unanswered keep-alive or window probes. */
  readonly probes: number
  /** Retransmitted segments of the connection's current flight, and in all. */
  readonly retransmits: number
  readonly totalRetransmits: number
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
  readonly sndWnd: number
  readonly rcvWnd: number
  readonly sndBuf: number
  readonly rcvBuf: number
  readonly lastDataSentMs: number
  readonly lastDataReceivedMs: number
}

export function tcpInfo(_tcp: Tcp, tcb: Tcb): TcpInfo {
  return { state: stateName(tcb.state) } as TcpInfo
}
